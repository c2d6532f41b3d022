"""The largest set of matminer's features that can be computed of thousands of crystals: composition, structure, sites.

It is what MODNet takes (De Breuck et al., npj Comput. Mater. 7 (2021) 83) without what needs oxidation states to be
guessed, what is fitted to a set of crystals, and what takes long (`LEFT_OUT`): half a second for a crystal of ten
sites is left.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

LEFT_OUT = {
    "a fifth of a second or more for a crystal of ten sites": (
        "AtomicPackingEfficiency",
        "AverageBondAngle",
        "AverageBondLength",
        "BondOrientationalParameter",
        "ChemEnvSiteFingerprint",
        "ChemicalOrdering",
        "CoordinationNumber",
        "MaximumPackingEfficiency",
        "OPSiteFingerprint",
        "WenAlloys",
    ),
    "oxidation states": ("ElectronegativityDiff", "EwaldEnergy", "GlobalInstabilityIndex", "OxidationStates"),
    "fitted": ("BondFractions", "CoulombMatrix", "PartialRadialDistributionFunction", "SineCoulombMatrix"),
}
"""Featurizers of MODNet and matminer that are not in the set, by the reason."""
# What featurizers raise on crystals that they were not made for.
FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
_STATISTICS = ("mean", "std_dev", "minimum", "maximum")


def of_compositions() -> list[Any]:
    """Make the featurizers of compositions."""
    from matminer.featurizers import composition as of

    tables = [of.ElementProperty.from_preset(name, impute_nan=True) for name in ("magpie", "deml", "matminer")]
    others = (
        of.AtomicOrbitals,
        of.BandCenter,
        of.ElementFraction,
        of.Miedema,
        of.Stoichiometry,
        of.TMetalFraction,
        of.ValenceOrbital,
        of.YangSolidSolution,
    )
    return [*tables, of.IonProperty(fast=True, impute_nan=True), *(_imputing(kind) for kind in others)]


def of_structures() -> list[Any]:
    """Make the featurizers of structures, and those of sites, of which the statistics over the crystal are taken."""
    from matminer.featurizers import site, structure

    sites = (
        site.AGNIFingerprints(),
        site.CrystalNNFingerprint.from_preset("ops"),
        site.GaussianSymmFunc(),
        site.GeneralizedRadialDistributionFunction.from_preset("gaussian"),
        site.LocalPropertyDifference.from_preset("ward-prb-2017"),
        site.VoronoiFingerprint(),
    )
    return [
        structure.DensityFeatures(),
        structure.GlobalSymmetryFeatures(),
        structure.RadialDistributionFunction(),
        structure.StructuralComplexity(),
        structure.StructuralHeterogeneity(),
        structure.XRDPowderPattern(),
        *(structure.SiteStatsFingerprint(one, stats=_STATISTICS) for one in sites),
    ]


def _imputing(kind: Any) -> Any:
    """Make a featurizer that fills tables where they have no value, if it can."""
    try:
        return kind(impute_nan=True)
    except TypeError:
        return kind()


class MatminerSet:
    """All featurizers side by side; where one fails on a crystal, its columns are NaN."""

    def __init__(self) -> None:
        # Of the species on the sites, or of the whole.
        with warnings.catch_warnings():
            # Of tables that a featurizer of an earlier matminer makes by itself.
            warnings.filterwarnings("ignore", message=r"\w+\(impute_nan=False\)")
            self.parts: list[tuple[Callable[[Structure], Any], Any]] = [
                *((lambda structure: structure.composition.element_composition, one) for one in of_compositions()),
                *((lambda structure: structure, one) for one in of_structures()),
            ]
        self.labels = [
            [f"{type(getattr(one, 'site_featurizer', one)).__name__} {label}" for label in one.feature_labels()]
            for _, one in self.parts
        ]
        self.columns = [label for labels in self.labels for label in labels if not _is_word(label)]

    def featurize(self, structure: Structure) -> NDArray[np.float64]:
        """Return the features (d,) of a crystal."""
        rows = []
        for (view, one), labels in zip(self.parts, self.labels, strict=True):
            kept = [not _is_word(label) for label in labels]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of values that a table does not have: they are NaN
                    found = one.featurize(view(structure))
                values = np.asarray(found, dtype=object).ravel()[kept].astype(np.float64)
            except FAILURES:
                values = np.full(sum(kept), np.nan)
            rows.append(values)
        row: NDArray[np.float64] = np.concatenate(rows)
        return np.where(np.isfinite(row), row, np.nan)


def _is_word(label: str) -> bool:
    """Tell the columns that hold words."""
    return label.endswith(("_character", "_element", "crystal_system"))
