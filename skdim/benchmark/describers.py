"""One crystal in, what others have described crystals by out: the makers of each baseline's columns."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.benchmark.content_cache import BareCrystal
from skdim.points.elements import element_table

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

_CHGNET_COLUMNS = 64  # of CHGNet's crystal vector


@dataclass(frozen=True)
class Describer:
    """Columns of a baseline and what fills them.

    Attributes
    ----------
    labels : sequence of str
        Of the columns.
    describe : callable
        A `BareCrystal` in, its features out, shape (d,); raises an error where it cannot.
    """

    labels: Sequence[str]
    describe: Callable[[BareCrystal], NDArray[np.float64]]


def to_structure(crystal: BareCrystal) -> Structure:
    """Make a pymatgen structure of neutral elements.

    Parameters
    ----------
    crystal : BareCrystal

    Returns
    -------
    pymatgen Structure
    """
    from pymatgen.core.periodic_table import Element
    from pymatgen.core.structure import Structure

    species = [{Element.from_Z(z): share for z, share in content} for content in crystal.contents]
    return Structure(crystal.matrix, species, crystal.places)


def shares(crystal: BareCrystal) -> dict[int, float]:
    """Return the share of each element in the atoms of a crystal, by rising atomic number.

    Parameters
    ----------
    crystal : BareCrystal

    Returns
    -------
    dict of int to float
        The shares add to one.
    """
    amounts: dict[int, float] = defaultdict(float)
    for content in crystal.contents:
        for number, amount in content:
            amounts[number] += amount
    total = sum(amounts.values())
    return {number: amounts[number] / total for number in sorted(amounts)}


def magpie() -> Describer:
    """Magpie's statistics of 22 elemental properties over the composition, as in `magpie_statistics`.

    Returns
    -------
    Describer
        Of 132 columns.
    """
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    featurizer = ElementProperty.from_preset("magpie", impute_nan=True)

    def describe(crystal: BareCrystal) -> NDArray[np.float64]:
        composition = Composition({Element.from_Z(z): round(share, 10) for z, share in shares(crystal).items()})
        return np.asarray(featurizer.featurize(composition), np.float64)

    return Describer(featurizer.feature_labels(), describe)


def elements() -> Describer:
    """Statistics over the composition of the tables that ``site_features="bonding"`` gives the encoder.

    Mean, mean deviation, minimum and maximum of 21 elemental properties: what part of a result is the choice of
    tables, and not what an encoder makes of them.

    Returns
    -------
    Describer
        Of 84 columns.
    """
    table = element_table("bonding")

    def describe(crystal: BareCrystal) -> NDArray[np.float64]:
        of_element = shares(crystal)
        values, weights = table.values[list(of_element)], np.array(list(of_element.values()))
        mean = weights @ values
        rows = [mean, weights @ np.abs(values - mean), values.min(0), values.max(0)]
        return np.concatenate(rows)

    words = ("mean", "mean deviation", "minimum", "maximum")
    return Describer([f"{word} {name}" for word in words for name in table.names], describe)


def orbital_field_matrix() -> Describer:
    """Orbital field matrix [1]_, mean over the sites, flattened, with the periods of the elements.

    Without the seven entries for the period, elements with equal valence shells would be one and the same.

    Returns
    -------
    Describer
        Of 39 × 39 columns.

    References
    ----------
    .. [1] T. L. Pham et al., Sci. Technol. Adv. Mater. 18 (2017) 756, doi:10.1080/14686996.2017.1378060.
    """
    from matminer.featurizers.structure import OrbitalFieldMatrix

    return _of_structures(OrbitalFieldMatrix(period_tag=True))


def classical_force_field() -> Describer:
    """Classical force-field inspired descriptors [1]_: composition, cell, charges, distances, angles, neighbours.

    Returns
    -------
    Describer
        Of 1557 columns.

    References
    ----------
    .. [1] K. Choudhary et al., Phys. Rev. Mater. 2 (2018) 083801, doi:10.1103/PhysRevMaterials.2.083801.
    """
    from skdim.benchmark.cfid import ArrayCFID

    return _of_structures(ArrayCFID())


def powder_pattern() -> Describer:
    """X-ray powder pattern of copper radiation, smeared, one column a degree from 0 to 127.

    Returns
    -------
    Describer
        Of 128 columns.
    """
    from matminer.featurizers.structure import XRDPowderPattern

    return _of_structures(XRDPowderPattern())


def _of_structures(featurizer: Any) -> Describer:
    """Use one of matminer's featurizers of structures."""

    def describe(crystal: BareCrystal) -> NDArray[np.float64]:
        return np.asarray(featurizer.featurize(to_structure(crystal)), np.float64)

    return Describer(featurizer.feature_labels(), describe)


def chgnet() -> Describer:
    """Crystal vector of CHGNet [1]_, pretrained on energies of 1.5M structures of the Materials Project.

    Unlike the others it has seen labels: energies, forces, stresses and magnetic moments of relaxations, among them
    very likely those of the crystals that are described here.

    Returns
    -------
    Describer
        Of 64 columns.

    Raises
    ------
    ImportError
        Without the package, which the extra of this name installs.

    References
    ----------
    .. [1] B. Deng et al., Nat. Mach. Intell. 5 (2023) 1031, doi:10.1038/s42256-023-00716-3.
    """
    import torch

    model_class = importlib.import_module("chgnet.model").CHGNet
    with contextlib.redirect_stdout(io.StringIO()):  # it says how many parameters it has
        model = model_class.load(use_device="cpu", verbose=False)

    def describe(crystal: BareCrystal) -> NDArray[np.float64]:
        with torch.no_grad():
            found = model.predict_structure(to_structure(crystal), task="e", return_crystal_feas=True)
        return np.asarray(found["crystal_fea"], np.float64)

    return Describer([f"chgnet {k}" for k in range(_CHGNET_COLUMNS)], describe)
