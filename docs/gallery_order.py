"""The order of the gallery: from first steps to the special."""

from sphinx_gallery.sorting import FileNameSortKey

STORY = (
    "plot_quickstart.py",
    "plot_label_efficiency.py",
    "plot_intervals.py",
    "plot_errors.py",
    "plot_measure_next.py",
    "plot_disordered.py",
    "plot_embedding_map.py",
    "plot_interpretation.py",
    "plot_fine_tuning.py",
    "plot_label_masking.py",
    "plot_matminer_workflow.py",
)


class ByStory(FileNameSortKey):
    """Sort examples as `STORY` has them; new ones come last, by name."""

    def __call__(self, filename):
        """Return the key of an example."""
        place = STORY.index(filename) if filename in STORY else len(STORY)
        return place, super().__call__(filename)
