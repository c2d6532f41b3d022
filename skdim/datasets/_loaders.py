"""The loaders of the bundled sets: structures, labels, ids and test mask, as scikit-learn gives them."""

from __future__ import annotations

from typing import Any

from skdim.datasets._bundled import (
    ALL_FILES,
    BAND_GAP,
    ELASTIC_MODULI,
    FORMATION_ENERGY,
    PIEZOELECTRIC,
    load_distinct,
    load_file,
)

# The loaders return Any because scikit-learn's Bunch is untyped: a Bunch, or with return_X_y a pair.


def load_formation_energy(
    *,
    return_X_y: bool = False,
    as_frame: bool = False,
    subset: str = "all",
    target: str = "formation_energy_per_atom",
) -> Any:
    """Load 3938 inorganic crystals with their formation energies (regression).

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        If True, `data` is a pandas DataFrame with the column ``structure`` and `target` a pandas Series.
    subset : {"all", "train", "test"}, default="all"
        All crystals, the training fold (3150) or the test fold (788). The fold is fixed and shared by all bundled
        sets, see :func:`in_test_fold`.
    target : {"formation_energy_per_atom", "e_above_hull"}, default="formation_energy_per_atom"
        The label to return as target, both in eV/atom.

    Returns
    -------
    Bunch or (data, target)
        Bunch with the attributes

        - data : object ndarray of pymatgen Structures, shape (n,), or DataFrame, shape (n, 1)
        - target : float64 ndarray, shape (n,), or Series
        - frame : DataFrame with ``material_id``, ``structure`` and every label; None unless `as_frame`
        - material_id : ndarray of str, shape (n,)
        - test_mask : ndarray of bool, shape (n,), True for crystals of the test fold
        - feature_names, target_names : lists of str
        - DESCR : str, what the set is, its units, its source and its licence

        The structures are new objects on each call.

    Raises
    ------
    ValueError
        If `subset` or `target` is not one of the above.
    OSError
        If the file does not have the sha256 it was shipped with.

    References
    ----------
    F. Faber et al., Int. J. Quantum Chem. 115 (2015) 1094, doi:10.1002/qua.24917.

    Examples
    --------
    >>> from skdim.datasets import load_formation_energy
    >>> train = load_formation_energy(subset="train")
    >>> train.data.shape, train.target.shape
    ((3150,), (3150,))
    >>> print(train.data[0].formula, train.material_id[0], train.target[0])
    As2 mp-10 0.107405
    """
    return load_file(
        FORMATION_ENERGY,
        "formation_energy.rst",
        target,
        return_X_y=return_X_y,
        as_frame=as_frame,
        subset=subset,
    )


def load_band_gap(
    *,
    return_X_y: bool = False,
    as_frame: bool = False,
    subset: str = "all",
    target: str = "band_gap",
) -> Any:
    """Load 1056 dielectric crystals with their band gaps and refractive indices (regression).

    Parameters
    ----------
    return_X_y, as_frame : bool, default=False
        As in :func:`load_formation_energy`.
    subset : {"all", "train", "test"}, default="all"
        All crystals, the training fold (823) or the test fold (233) shared by all bundled sets.
    target : {"band_gap", "n"}, default="band_gap"
        The label to return as target: the gap in eV, or the refractive index (no unit).

    Returns
    -------
    Bunch or (data, target)
        As in :func:`load_formation_energy`.

    Raises
    ------
    ValueError
        If `subset` or `target` is not one of the above.
    OSError
        If the file does not have the sha256 it was shipped with.

    References
    ----------
    I. Petousis et al., Sci. Data 4 (2017) 160134, doi:10.1038/sdata.2016.134.

    Examples
    --------
    >>> from skdim.datasets import load_band_gap
    >>> X, y = load_band_gap(return_X_y=True)
    >>> print(X.shape, y.min(), y.max())
    (1056,) 0.11 8.32
    """
    return load_file(BAND_GAP, "band_gap.rst", target, return_X_y=return_X_y, as_frame=as_frame, subset=subset)


def load_elastic_moduli(
    *,
    return_X_y: bool = False,
    as_frame: bool = False,
    subset: str = "all",
    target: str = "log10(K_VRH)",
) -> Any:
    """Load 1181 inorganic crystals with their bulk and shear moduli (regression).

    Parameters
    ----------
    return_X_y, as_frame : bool, default=False
        As in :func:`load_formation_energy`.
    subset : {"all", "train", "test"}, default="all"
        All crystals, the training fold (935) or the test fold (246) shared by all bundled sets.
    target : {"log10(K_VRH)", "log10(G_VRH)", "K_VRH", "G_VRH"}, default="log10(K_VRH)"
        The label to return as target: bulk (K) or shear (G) modulus in GPa, or its decadic logarithm. The logarithm
        is the default because the moduli span two orders of magnitude; Matbench does the same.

    Returns
    -------
    Bunch or (data, target)
        As in :func:`load_formation_energy`; `frame` has all four labels.

    Raises
    ------
    ValueError
        If `subset` or `target` is not one of the above.
    OSError
        If the file does not have the sha256 it was shipped with.

    References
    ----------
    M. de Jong et al., Sci. Data 2 (2015) 150009, doi:10.1038/sdata.2015.9.

    Examples
    --------
    >>> from skdim.datasets import load_elastic_moduli
    >>> moduli = load_elastic_moduli(target="K_VRH")
    >>> hardest = moduli.target.argmax()
    >>> print(moduli.data[hardest].composition.reduced_formula, moduli.target[hardest])
    C 435.6615
    """
    return load_file(
        ELASTIC_MODULI, "elastic_moduli.rst", target, return_X_y=return_X_y, as_frame=as_frame, subset=subset
    )


def load_piezoelectric(
    *,
    return_X_y: bool = False,
    as_frame: bool = False,
    subset: str = "all",
    target: str = "eij_max",
) -> Any:
    """Load 941 crystals without inversion centre with their piezoelectric moduli (regression).

    Parameters
    ----------
    return_X_y, as_frame : bool, default=False
        As in :func:`load_formation_energy`.
    subset : {"all", "train", "test"}, default="all"
        All crystals, the training fold (738) or the test fold (203) shared by all bundled sets.
    target : {"eij_max"}, default="eij_max"
        The label to return as target: the largest piezoelectric modulus in C/m^2.

    Returns
    -------
    Bunch or (data, target)
        As in :func:`load_formation_energy`.

    Raises
    ------
    ValueError
        If `subset` or `target` is not one of the above.
    OSError
        If the file does not have the sha256 it was shipped with.

    References
    ----------
    M. de Jong et al., Sci. Data 2 (2015) 150053, doi:10.1038/sdata.2015.53.

    Examples
    --------
    >>> from skdim.datasets import load_piezoelectric
    >>> load_piezoelectric(subset="test", as_frame=True).frame.shape
    (203, 3)
    """
    return load_file(
        PIEZOELECTRIC, "piezoelectric.rst", target, return_X_y=return_X_y, as_frame=as_frame, subset=subset
    )


def load_unlabelled(*, return_X_y: bool = False, as_frame: bool = False, subset: str = "all") -> Any:
    """Load the 6317 distinct crystals of all bundled sets, for pretraining without labels.

    Crystals are distinct by material id; one that is in several sets is taken from the first of formation energy,
    band gap, elastic moduli, piezoelectric moduli.

    Parameters
    ----------
    return_X_y, as_frame : bool, default=False
        As in :func:`load_formation_energy`; the target is None.
    subset : {"all", "train", "test"}, default="all"
        All crystals, or the 5025 that are in the test fold of no bundled set, or the 1292 that are. Pretrain on
        "train" and no test crystal has been seen, not even without its label.

    Returns
    -------
    Bunch or (data, None)
        As in :func:`load_formation_energy`; `target` is None and `target_names` is empty.

    Raises
    ------
    ValueError
        If `subset` is not one of the above.
    OSError
        If a file does not have the sha256 it was shipped with.

    Examples
    --------
    >>> from skdim.datasets import load_unlabelled
    >>> load_unlabelled(subset="train").data.shape
    (5025,)
    """
    return load_distinct(ALL_FILES, "unlabelled.rst", return_X_y=return_X_y, as_frame=as_frame, subset=subset)
