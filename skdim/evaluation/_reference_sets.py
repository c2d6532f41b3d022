"""What each of the reference features computes of one crystal."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skdim.crystals.crystal import site_species
from skdim.points.features import element_table

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core.structure import IStructure, Structure

_CHGNET_COLUMNS = 64  # of CHGNet's crystal vector, and of an atom in each of its layers
_CHGNET_LAYERS = 5  # its embedding of elements and four convolutions
_SEVENNET_LAYERS, _SEVENNET_SCALARS = 5, 128


@dataclass(frozen=True)
class Featurizer:
    """The columns of a reference set and what fills them."""

    columns: Sequence[str]  # names of the d columns
    # Takes a structure of neutral elements and returns its features, shape (d,); raises an error where it cannot.
    featurize: Callable[[Structure], NDArray[np.float64]]


def neutral(structure: IStructure) -> Structure:
    """Copy lattice, coordinates and occupancies of a structure, without charges, labels and properties."""
    from pymatgen.core.periodic_table import Element
    from pymatgen.core.structure import Structure

    species = [{Element.from_Z(z): share for z, share in content} for content in site_species(structure)]
    return Structure(structure.lattice.matrix, species, structure.frac_coords)


def _shares(structure: Structure) -> dict[int, float]:
    """Share of each element in the atoms of a crystal, by rising atomic number; the shares add to one."""
    composition = structure.composition.fractional_composition
    return {element.Z: float(composition[element]) for element in sorted(composition, key=lambda e: e.Z)}


def magpie() -> Featurizer:
    """Magpie's statistics of 22 elemental properties over the composition, as in `magpie_statistics`.

    132 columns.
    """
    from matminer.featurizers.composition import ElementProperty
    from pymatgen.core.composition import Composition
    from pymatgen.core.periodic_table import Element

    magpie = ElementProperty.from_preset("magpie", impute_nan=True)

    def featurize(structure: Structure) -> NDArray[np.float64]:
        composition = Composition({Element.from_Z(z): round(share, 10) for z, share in _shares(structure).items()})
        return np.asarray(magpie.featurize(composition), np.float64)

    return Featurizer(magpie.feature_labels(), featurize)


def elements() -> Featurizer:
    """Statistics over the composition of the tables that ``site_features="bonding"`` gives the encoder.

    Mean, mean deviation, minimum and maximum of 21 elemental properties. It shows what part of a result comes from the
    choice of tables rather than from the encoder.

    84 columns.
    """
    table = element_table("bonding")

    def featurize(structure: Structure) -> NDArray[np.float64]:
        shares = _shares(structure)
        values, weights = table.values[list(shares)], np.array(list(shares.values()))
        mean = weights @ values
        rows = [mean, weights @ np.abs(values - mean), values.min(0), values.max(0)]
        return np.concatenate(rows)

    words = ("mean", "mean deviation", "minimum", "maximum")
    return Featurizer([f"{word} {name}" for word in words for name in table.names], featurize)


def orbital_field_matrix() -> Featurizer:
    """Orbital field matrix [1]_, mean over the sites, flattened, with the periods of the elements.

    Without the seven entries for the period, elements with equal valence shells could not be told apart.

    39 × 39 columns.

    References
    ----------
    .. [1] T. L. Pham et al., Sci. Technol. Adv. Mater. 18 (2017) 756, doi:10.1080/14686996.2017.1378060.
    """
    from matminer.featurizers.structure import OrbitalFieldMatrix

    return _of_structures(OrbitalFieldMatrix(period_tag=True))


def classical_force_field() -> Featurizer:
    """Classical force-field inspired descriptors [1]_: composition, cell, charges, distances, angles, neighbours.

    1557 columns.

    References
    ----------
    .. [1] K. Choudhary et al., Phys. Rev. Mater. 2 (2018) 083801, doi:10.1103/PhysRevMaterials.2.083801.
    """
    from skdim.evaluation._cfid import ArrayCFID

    return _of_structures(ArrayCFID())


def powder_pattern() -> Featurizer:
    """X-ray powder pattern for copper radiation, smeared, one column a degree from 0 to 127.

    128 columns.
    """
    from matminer.featurizers.structure import XRDPowderPattern

    return _of_structures(XRDPowderPattern())


def matminer_set() -> Featurizer:
    """The largest set of matminer's features that can be computed of thousands of crystals [1]_.

    Statistics of three tables of elements, fractions, orbitals and stoichiometry; density, symmetry, radial
    distribution, complexity, heterogeneity and powder pattern; statistics over the sites of eleven descriptions of
    their surroundings. `skdim.evaluation._matminer_set` says what is left out. None of them is trained on labels.

    References
    ----------
    .. [1] P.-P. De Breuck, G. Hautier, G.-M. Rignanese, npj Comput. Mater. 7 (2021) 83,
       doi:10.1038/s41524-021-00552-2.
    """
    from skdim.evaluation._matminer_set import MatminerSet

    whole = MatminerSet()
    return Featurizer(whole.columns, whole.featurize)


def _of_structures(featurizer: Any) -> Featurizer:
    """Use one of matminer's featurizers of structures."""

    def featurize(structure: Structure) -> NDArray[np.float64]:
        return np.asarray(featurizer.featurize(structure), np.float64)

    return Featurizer(featurizer.feature_labels(), featurize)


def _chgnet_model() -> Any:
    """CHGNet with its weights, which the package brings."""
    model_class = importlib.import_module("chgnet.model").CHGNet
    with contextlib.redirect_stdout(io.StringIO()):  # it prints how many parameters it has
        return model_class.load(use_device="cpu", verbose=False)


def chgnet() -> Featurizer:
    """Crystal vector of CHGNet [1]_, pretrained on energies of 1.5M structures of the Materials Project.

    Unlike the others it was trained on labels: energies, forces, stresses and magnetic moments of relaxations, very
    likely those of the crystals that are described here among them.

    64 columns.

    References
    ----------
    .. [1] B. Deng et al., Nat. Mach. Intell. 5 (2023) 1031, doi:10.1038/s42256-023-00716-3.
    """
    import torch

    model = _chgnet_model()

    def featurize(structure: Structure) -> NDArray[np.float64]:
        with torch.no_grad():
            found = model.predict_structure(structure, task="e", return_crystal_feas=True)
        return np.asarray(found["crystal_fea"], np.float64)

    return Featurizer([f"chgnet {k}" for k in range(_CHGNET_COLUMNS)], featurize)


def chgnet_layers() -> Featurizer:
    """Atoms of CHGNet [1]_ after each of its layers, mean and deviation over the crystal.

    A stronger reading of the same network than its crystal vector: what describes a property may be in a layer that the
    energy needs no more. It was trained on the labels that `chgnet` names.

    5 layers times 2 times 64 columns.

    References
    ----------
    .. [1] B. Deng et al., Nat. Mach. Intell. 5 (2023) 1031, doi:10.1038/s42256-023-00716-3.
    """
    import torch

    model = _chgnet_model()
    layers: list[torch.Tensor] = []
    for layer in (model.atom_embedding, *model.atom_conv_layers):
        layer.register_forward_hook(lambda module, inputs, output: layers.append(output.detach()))

    def featurize(structure: Structure) -> NDArray[np.float64]:
        layers.clear()
        with torch.no_grad():
            model.predict_structure(structure, task="e")
        return _pooled(layers)

    return Featurizer(_layer_columns("chgnet", _CHGNET_LAYERS, _CHGNET_COLUMNS), featurize)


def sevennet() -> Featurizer:
    """Scalars of SevenNet-0 [1]_ after each of its layers, mean and deviation over the atoms of the crystal.

    SevenNet-0 is an equivariant potential, trained on energies, forces and stresses of 1.5M structures of the Materials
    Project, very likely those of the crystals that are described here among them. Its package brings the weights.

    5 layers times 2 times 128 columns.

    References
    ----------
    .. [1] Y. Park, J. Kim, S. Hwang, S. Han, J. Chem. Theory Comput. 20 (2024) 4857, doi:10.1021/acs.jctc.4c00190.
    """
    return _sevennet("sevennet", "7net-0")


def sevennet_l3i5() -> Featurizer:
    """The same of SevenNet-l3i5, a later and larger form that was trained on the same structures.

    5 layers times 2 times 128 columns.
    """
    return _sevennet("sevennet l3i5", "7net-l3i5")


def _sevennet(name: str, weights: str) -> Featurizer:
    """Scalars of a potential of the package sevenn, which brings these weights."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No tensor product accelerator")  # slower, with the same numbers
        calculator = importlib.import_module("sevenn.calculator").SevenNetCalculator(weights, device="cpu")
    to_graph = importlib.import_module("sevenn.train.dataload").unlabeled_atoms_to_graph
    data_class = importlib.import_module("sevenn.atom_graph_data").AtomGraphData
    steps = dict(calculator.model.named_children())
    last = list(steps).index(f"{_SEVENNET_LAYERS - 1}_equivariant_gate")
    for step in list(steps)[last + 1 :]:
        delattr(calculator.model, step)  # energy and forces, which need gradients
    layers: list[torch.Tensor] = []
    for k in range(_SEVENNET_LAYERS):
        # The scalars come first among the features of an atom.
        steps[f"{k}_equivariant_gate"].register_forward_hook(
            lambda module, inputs, output: layers.append(output["x"].detach()[:, :_SEVENNET_SCALARS])
        )

    def featurize(structure: Structure) -> NDArray[np.float64]:
        layers.clear()
        graph = to_graph(structure.to_ase_atoms(), calculator.cutoff, with_shift=False)
        with torch.no_grad():
            calculator.model(data_class.from_numpy_dict(graph))
        return _pooled(layers)

    return Featurizer(_layer_columns(name, _SEVENNET_LAYERS, _SEVENNET_SCALARS), featurize)


def _pooled(layers: Sequence[Any]) -> NDArray[np.float64]:
    """Mean and standard deviation over atoms of each layer (n, d), one after the other."""
    values = [np.asarray(layer, np.float64) for layer in layers]
    return np.concatenate([part for layer in values for part in (layer.mean(0), layer.std(0))])


def _layer_columns(name: str, layers: int, width: int) -> list[str]:
    """Names of what `_pooled` returns."""
    return [
        f"{name} layer {k} {kind} {i}" for k in range(layers) for kind in ("mean", "deviation") for i in range(width)
    ]
