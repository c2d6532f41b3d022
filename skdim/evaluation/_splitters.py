"""Cross-validation by composition system, formula, prototype, structure or element: relatives stay on one side."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, GroupKFold
from sklearn.utils.validation import indexable

from skdim._parameters import check, choice, number
from skdim.crystals.structures import load_structures
from skdim.exceptions import InputError
from skdim.points.cells import symmetry_of
from skdim.points.twins import in_order, label_close

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core.structure import IStructure

_SYMPREC = 0.01  # Angstrom; measured coordinates seldom follow their symmetry more closely


def composition_groups(X: Any, by: str = "system") -> NDArray[np.object_]:
    """Name the group of each crystal, for scikit-learn's group splitters.

    Parameters
    ----------
    X : collection of crystals of length C
        Structures of any accepted kind.
    by : {"system", "formula", "prototype", "structure"}, default="system"
        What relatives have in common.

        - "system": the elements, as "Cl-Na".
        - "formula": the reduced formula, as "NaCl".
        - "prototype": the stoichiometry, the space group, and the number and symmetry of the sites of each species,
          as "A1B1 225 A:4:m-3m B:4:m-3m". Site symmetries and not Wyckoff letters, since letters change with the
          choice of the origin. Crystals of one prototype in the sense of a matcher share this name; a few that a
          matcher tells apart (the same sites with other coordinates) share it too. The name takes a third of a
          millisecond, where a matcher compares pairs.
        - "structure": reduced formula and structure, by pymatgen's ``StructureMatcher``: near-duplicates, see
          :func:`near_duplicates`. The name is the formula and a number.

    Returns
    -------
    ndarray of str objects, shape (C,)

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If `by` is not one of the above.

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> composition_groups(load_band_gap().data[:3], by="formula").tolist()
    ['Rb2Te', 'CdCl2', 'MnI2']
    """
    check("by", by, choice("system", "formula", "prototype", "structure"))
    structures = _structures(X)
    if by == "structure":
        labels = near_duplicates(structures)
        names = [f"{_formula(s)} {label}" for s, label in zip(structures, labels, strict=True)]
    else:
        names = [_NAMES[by](structure) for structure in structures]
    return np.array(names, dtype=object)


def near_duplicates(X: Any, vectors: Any = None, tolerance: float = 0.05) -> NDArray[np.int64]:
    """Label crystals so that near-duplicates share a label.

    Only crystals of one reduced formula are compared. To remove near-duplicates keep the first of each label:
    ``np.unique(labels, return_index=True)[1]``. To keep them on one side of a split, give the labels as groups.

    Parameters
    ----------
    X : collection of crystals of length C
        Structures of any accepted kind.
    vectors : array-like of shape (C, d) or None, default=None
        Their vectors. Two crystals are alike if the root mean square difference over the columns is at most
        `tolerance`. None compares the structures with pymatgen's ``StructureMatcher`` at its defaults instead, which
        finds the same structure also where volumes differ.
    tolerance : float, default=0.05
        In the units of the vectors, which are standard deviations for those of `DeepInfoMaxEmbedder`.

    Returns
    -------
    ndarray of int64, shape (C,)
        0, 1, ... in order of first appearance. Likeness is passed on: if b is like a and c is like b, all three share
        a label.

    Raises
    ------
    StructureError
        For rows that are no usable crystals, all at once.
    ValueError
        If there is not one finite vector for each crystal.

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> crystals = list(load_band_gap().data[:3])
    >>> near_duplicates([*crystals, crystals[1].copy()]).tolist()
    [0, 1, 2, 1]
    """
    check("tolerance", tolerance, number(least=0))
    structures = _structures(X)
    formulas = [_formula(structure) for structure in structures]
    if vectors is None:
        return _label_alike(formulas, partial(_same_structure, structures))
    return label_close(formulas, _one_vector_each(vectors, len(structures)), tolerance)


def _label_alike(formulas: Sequence[str], alike: Callable[[int, int], bool]) -> NDArray[np.int64]:
    """Label rows so that those that are alike share a label; only rows of one formula are compared."""
    labels = np.arange(len(formulas))
    members: dict[str, list[int]] = {}
    for row, formula in enumerate(formulas):
        members.setdefault(formula, []).append(row)
    for rows in members.values():
        for first, second in itertools.combinations(rows, 2):
            if labels[first] != labels[second] and alike(first, second):
                labels[labels == labels[second]] = labels[first]
    return in_order(labels)


class CompositionGroupKFold(BaseCrossValidator):
    """K folds that keep relatives together, as `sklearn.model_selection.GroupKFold` does for groups it is given.

    The groups are made of the crystals themselves, so it goes wherever a splitter goes: ``cross_val_score(pipeline,
    structures, y, cv=CompositionGroupKFold(5))``. For vectors, which do not tell their composition, use GroupKFold
    with ``groups=composition_groups(structures)``.

    Parameters
    ----------
    n_splits : int, default=5
        Folds.
    by : {"system", "formula", "prototype", "structure"}, default="system"
        What relatives have in common, see :func:`composition_groups`.
    shuffle : bool, default=True
        Whether groups are dealt to the folds at random; otherwise the largest go first, to the fold with the fewest
        rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffle.

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> crystals = load_band_gap().data[:60]
    >>> splitter = CompositionGroupKFold(3, by="formula", random_state=0)
    >>> train, test = next(splitter.split(crystals))
    >>> formulas = composition_groups(crystals, by="formula")
    >>> set(formulas[train]) & set(formulas[test])
    set()
    """

    def __init__(self, n_splits: int = 5, by: str = "system", shuffle: bool = True, random_state: Any = None) -> None:
        self.n_splits = n_splits
        self.by = by
        self.shuffle = shuffle
        self.random_state = random_state

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Give the rows of each fold.

        Parameters
        ----------
        X : collection of crystals of length C
            Structures of any accepted kind.
        y, groups : ignored
            The groups are those of the crystals.

        Yields
        ------
        train, test : ndarray of int
            Rows.

        Raises
        ------
        ValueError
            If there are fewer groups than folds.
        """
        names = composition_groups(X, self.by)
        found = len(set(names))
        if found < self.n_splits:
            raise InputError(
                f"n_splits must be at most {found}, as the {len(names)} crystals have no more groups by {self.by}, got "
                f"{self.n_splits}."
            )
        seed = self.random_state if self.shuffle else None
        yield from GroupKFold(self.n_splits, shuffle=self.shuffle, random_state=seed).split(names, y, names)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : ignored
            It does not depend on them.

        Returns
        -------
        int
        """
        return self.n_splits


class LeaveElementOut(BaseCrossValidator):
    """One split for each element: the crystals that contain it are the test rows, all others the training rows.

    A crystal is a test row of each of its elements, so `cross_val_score` can be used and `cross_val_predict` cannot.

    Parameters
    ----------
    elements : sequence of str or None, default=None
        Symbols. None takes, in the order of atomic numbers, every element that enough crystals contain.
    min_test : int, default=10
        Least number of test rows and of training rows of an element that is taken by itself.

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> crystals = load_band_gap().data[:100]
    >>> splitter = LeaveElementOut(["O"])
    >>> train, test = next(splitter.split(crystals))
    >>> any("O" in crystals[row].composition for row in train), all("O" in crystals[row].composition for row in test)
    (False, True)
    """

    def __init__(self, elements: Sequence[str] | None = None, min_test: int = 10) -> None:
        self.elements = elements
        self.min_test = min_test

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Give the rows of each split.

        Parameters
        ----------
        X : collection of crystals of length C
            Structures of any accepted kind.
        y, groups : ignored
            The elements are those of the crystals.

        Yields
        ------
        train, test : ndarray of int
            Rows.
        """
        indexable(X, y)
        inside = self._inside(X)
        for element in self._elements(inside):
            contains = np.array([element in elements for elements in inside])
            yield np.flatnonzero(~contains), np.flatnonzero(contains)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits.

        Parameters
        ----------
        X : collection of crystals of length C, or None
            Needed, unless the elements were named.
        y, groups : ignored
            It does not depend on them.

        Returns
        -------
        int
        """
        if X is None and self.elements is not None:
            return len(self.elements)
        if X is None:
            raise InputError("X must be the crystals, whose elements are left out in turn, got None.")
        return len(self._elements(self._inside(X)))

    def _inside(self, X: Any) -> list[frozenset[str]]:
        """List the elements of each crystal."""
        return [frozenset(symbols_of(structure)) for structure in _structures(X)]

    def _elements(self, inside: list[frozenset[str]]) -> list[str]:
        """List the elements to be left out."""
        counts = Counter(itertools.chain.from_iterable(inside))
        if self.elements is None:
            from pymatgen.core.periodic_table import Element

            least = self.min_test
            taken = [symbol for symbol, n in counts.items() if least <= n <= len(inside) - least]
            if not taken:
                raise InputError(
                    f"min_test must be smaller, got {least}: no element is in that many of the {len(inside)} crystals "
                    "and missing in as many."
                )
            return sorted(taken, key=lambda symbol: int(Element(symbol).Z))
        wrong = [symbol for symbol in self.elements if not 0 < counts[symbol] < len(inside)]
        if wrong or not len(self.elements):
            raise InputError(
                f"elements must be elements that some of the {len(inside)} crystals contain and some do not, got "
                f"{wrong or list(self.elements)}."
            )
        return list(self.elements)


def symbols_of(structure: IStructure) -> list[str]:
    """List the symbols of a crystal's elements, sorted; an oxidation state or an isotope makes no other element."""
    return sorted(structure.composition.element_composition.as_dict())


def _structures(X: Any) -> list[IStructure]:
    """Read crystals; one that cannot be used is an error."""
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiub":
        raise TypeError(
            f"X is an array of numbers of shape {X.shape}; crystals are needed, since vectors do not tell their "
            "composition. Give composition_groups(structures) as groups to GroupKFold instead."
        )
    return [structure for structure in load_structures(X)[0] if structure is not None]


def _one_vector_each(vectors: Any, n: int) -> NDArray[np.float64]:
    """Return vectors as an array with a finite row for each crystal."""
    table: NDArray[np.float64] = np.asarray(vectors, dtype=np.float64)
    if table.ndim != 2 or len(table) != n or not np.isfinite(table).all():
        raise InputError(f"vectors must have one finite row for each of the {n} crystals, got shape {table.shape}.")
    return table


def _same_structure(structures: Sequence[IStructure], first: int, second: int) -> bool:
    """Tell whether pymatgen finds two structures alike."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return bool(StructureMatcher().fit(structures[first], structures[second]))


def _system(structure: IStructure) -> str:
    """Name the elements."""
    return "-".join(symbols_of(structure))


def _formula(structure: IStructure) -> str:
    """Name the composition."""
    return str(structure.composition.element_composition.reduced_formula)


def _prototype(structure: IStructure) -> str:
    """Name the stoichiometry, the space group and the sites of each species, whichever elements they are."""
    import moyopy

    species = [str(sorted(site.species.as_dict().items())) for site in structure]
    kinds = {name: number for number, name in enumerate(sorted(set(species)), start=1)}
    numbers = [kinds[name] for name in species]
    cell = moyopy.Cell(structure.lattice.matrix.tolist(), structure.frac_coords.tolist(), numbers)
    found = symmetry_of(cell, _SYMPREC)
    if found is None:
        sites, group = Counter((kind, row, "?") for row, kind in enumerate(numbers)), "?"
    else:
        sites = Counter(zip(numbers, found.orbits, found.site_symmetry_symbols, strict=True))
        group = str(found.number)
    shared = math.gcd(*sites.values())
    orbits: dict[int, list[str]] = {}
    for (kind, _, symmetry), count in sites.items():
        orbits.setdefault(kind, []).append(f"{count // shared}:{symmetry}")
    amounts = Counter(numbers)
    least = math.gcd(*amounts.values())
    described = sorted((amounts[kind] // least, sorted(found_at)) for kind, found_at in orbits.items())
    letters = [chr(ord("A") + place) if place < 26 else f"X{place}" for place in range(len(described))]
    stoichiometry = "".join(f"{letter}{amount}" for letter, (amount, _) in zip(letters, described, strict=True))
    places = [f"{letter}:{'+'.join(found_at)}" for letter, (_, found_at) in zip(letters, described, strict=True)]
    return " ".join([stoichiometry, group, *places])


_NAMES: dict[str, Callable[[IStructure], str]] = {"system": _system, "formula": _formula, "prototype": _prototype}
