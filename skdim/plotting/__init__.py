"""Records or vectors in, matplotlib Axes out. matplotlib is imported when something is drawn."""

from skdim.plotting._map_page import MOST_STRUCTURES, nearest_rows, project, rows_of, save_map_page
from skdim.plotting.boxes import plot_error_boxes
from skdim.plotting.curves import plot_label_efficiency, spread
from skdim.plotting.files import png, save_embedding_map, save_label_efficiency
from skdim.plotting.maps import plot_embedding_map
from skdim.plotting.styles import COLOURS, Style, feature_styles

__all__ = [
    "COLOURS",
    "MOST_STRUCTURES",
    "Style",
    "feature_styles",
    "nearest_rows",
    "plot_embedding_map",
    "plot_error_boxes",
    "plot_label_efficiency",
    "png",
    "project",
    "rows_of",
    "save_embedding_map",
    "save_label_efficiency",
    "save_map_page",
    "spread",
]
