"""Pictures of tidy data frames and vectors, as matplotlib Axes or pages; matplotlib is imported when one is drawn."""

from skdim.plotting._attention import AttentionDisplay
from skdim.plotting._boxes import plot_error_boxes
from skdim.plotting._classes import plot_calibration, plot_confusion
from skdim.plotting._crystals import CrystalDisplay
from skdim.plotting._curves import plot_label_efficiency, plot_learning_curve
from skdim.plotting._elements import PeriodicTableDisplay
from skdim.plotting._figures import label_efficiency_figure, new_figure, png
from skdim.plotting._history import TrainingHistoryDisplay
from skdim.plotting._label_efficiency import LabelEfficiencyDisplay
from skdim.plotting._map_page import MOST_STRUCTURES, save_map_page
from skdim.plotting._maps import EmbeddingMapDisplay, plot_embedding_map
from skdim.plotting._parity import ParityDisplay
from skdim.plotting._projection import nearest_rows, project
from skdim.plotting._styles import COLOURS, Style, feature_styles

__all__ = [
    "COLOURS",
    "MOST_STRUCTURES",
    "AttentionDisplay",
    "CrystalDisplay",
    "EmbeddingMapDisplay",
    "LabelEfficiencyDisplay",
    "ParityDisplay",
    "PeriodicTableDisplay",
    "Style",
    "TrainingHistoryDisplay",
    "feature_styles",
    "label_efficiency_figure",
    "nearest_rows",
    "new_figure",
    "plot_calibration",
    "plot_confusion",
    "plot_embedding_map",
    "plot_error_boxes",
    "plot_label_efficiency",
    "plot_learning_curve",
    "png",
    "project",
    "save_map_page",
]
