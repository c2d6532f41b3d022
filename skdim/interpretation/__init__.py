"""A fitted embedder and crystals in, tables of what it looks at, expects and finds alike out."""

from skdim.interpretation.attention import attention_by_distance
from skdim.interpretation.context import interchangeable_elements, site_surprise
from skdim.interpretation.similarity import nearest_neighbors

__all__ = ["attention_by_distance", "interchangeable_elements", "nearest_neighbors", "site_surprise"]
