"""Vectors of crystals, pretrained without labels: the public names, each imported when it is first asked for.

`import skdim` itself imports neither torch nor scikit-learn, so that a command line or a worker starts at once.

Examples
--------
>>> import skdim
>>> "DeepInfoMaxEmbedder" in dir(skdim)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skdim.classifier import CrystalClassifier as CrystalClassifier
    from skdim.crystals.limits import Limits as Limits
    from skdim.crystals.limits import reading_limits as reading_limits
    from skdim.crystals.reading import read_crystals as read_crystals
    from skdim.embedder import DeepInfoMaxEmbedder as DeepInfoMaxEmbedder
    from skdim.masking import LabelMaskingRegressor as LabelMaskingRegressor
    from skdim.masking_classifier import LabelMaskingClassifier as LabelMaskingClassifier
    from skdim.points.featurizer import CrystalPointSetTransformer as CrystalPointSetTransformer
    from skdim.points.pointsets import PointSets as PointSets
    from skdim.predictor import CrystalRegressor as CrystalRegressor
    from skdim.pretrained import load_pretrained as load_pretrained
    from skdim.regressor import SiteNetRegressor as SiteNetRegressor
    from skdim.scoring import masked_scorer as masked_scorer
    from skdim.sitenet_classifier import SiteNetClassifier as SiteNetClassifier

__version__ = "0.1.0"

_MODULE_OF = {
    "CrystalClassifier": "skdim.classifier",
    "CrystalRegressor": "skdim.predictor",
    "CrystalPointSetTransformer": "skdim.points.featurizer",
    "DeepInfoMaxEmbedder": "skdim.embedder",
    "LabelMaskingClassifier": "skdim.masking_classifier",
    "LabelMaskingRegressor": "skdim.masking",
    "Limits": "skdim.crystals.limits",
    "PointSets": "skdim.points.pointsets",
    "SiteNetClassifier": "skdim.sitenet_classifier",
    "SiteNetRegressor": "skdim.regressor",
    "load_pretrained": "skdim.pretrained",
    "masked_scorer": "skdim.scoring",
    "read_crystals": "skdim.crystals.reading",
    "reading_limits": "skdim.crystals.limits",
}

__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name: str) -> object:
    """Import the module that defines a public name (PEP 562) and keep the name for the next time."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'skdim' has no attribute {name!r}; its public names are {', '.join(__all__)}")
    value: object = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, those not imported yet included."""
    return sorted({*globals(), *__all__})
