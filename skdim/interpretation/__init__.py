"""What a fitted embedder looks at, what it expects at each site, and which crystals it finds alike."""

from skdim.interpretation._attention import attention_by_distance
from skdim.interpretation._context import interchangeable_elements, site_surprise
from skdim.interpretation._similarity import nearest_neighbors

__all__ = ["attention_by_distance", "interchangeable_elements", "nearest_neighbors", "site_surprise"]
