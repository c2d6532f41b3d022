"""Primitive reduced cells of crystals, and the pairs of their supercells.

The supercell neighbourhood is that of the paper: each of the n sites of the primitive cell sees all N atoms of one
near-cubic, near-orthogonal supercell, at their minimum-image distances. Two descriptions of a crystal (rotated,
shifted, in another cell, with its sites in another order) give the same pairs, because the primitive cell is brought
to the standard setting of its space group first. This cannot hold where the standard setting leaves a choice that the
supercell shows: in some crystals of the Laue classes 4/m, -3, 6/m and m-3 (one in a hundred of the bundled crystals),
and where a lattice is by accident more symmetric than its crystal. Nor is it continuous: a distortion that breaks a
symmetry by more than the tolerance may bring another supercell. The shell neighbourhood (`skdim.points.neighbors`) has
no such limits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import moyopy
import numpy as np
from numpy.typing import NDArray

from skdim.crystals.limits import current_limits
from skdim.points.neighbors import CrowdedError

_TIE = 1e-6  # lengths and shears that differ by less decide alike, whatever their rounding errors
# Harmless messages of moyopy, by logger, by what they begin with: a filter sees only what its own logger is given.
_REMARKS = {
    "moyo": "Omitted ",  # operations of cells that are not primitive, which are not used here
    "moyo.symmetrize.symmetrization": "Large displacement ",  # an atom moved to what a symmetry demands, as is wanted
}
_BLOCK = 1_000_000  # pairs times images that are looked at together: tens of megabytes


@dataclass(frozen=True, eq=False)
class PrimitiveCell:
    """The smallest cell of a crystal, Niggli-reduced."""

    lattice: NDArray[np.float64]  # (3, 3) lattice vectors as rows, in Angstrom; the shortest first
    frac: NDArray[np.float64]  # (n, 3) fractional coordinates
    site: NDArray[np.int64]  # (n,) for each site one of the sites of the given cell that it stands for


def primitive_cell(
    lattice: NDArray[np.float64],  # (3, 3) lattice vectors as rows, in Angstrom
    frac: NDArray[np.float64],  # (m, 3) fractional coordinates
    # (m,) type of each site; sites of different types are never translated copies of each other.
    site_type: NDArray[np.integer],
    tolerance: float = 1e-3,  # in Angstrom: atoms this close to where a symmetry demands them are moved there
) -> PrimitiveCell:
    """Find the primitive cell in the standard setting of the space group, Niggli-reduced.

    It is rotated and shifted against the given cell. Where the symmetry search fails, as with several sites in one
    place, it is the given cell, reduced: all atoms are there, but the cell may be larger than necessary.
    """
    labels = np.unique(site_type, return_inverse=True)[1].reshape(-1) + 1
    cell = moyopy.Cell(lattice.tolist(), frac.tolist(), labels.tolist())
    found = symmetry_of(cell, tolerance)
    if found is None:
        basis, site = np.array(lattice), np.arange(len(frac))
    else:
        basis, frac = np.array(found.prim_std_cell.basis), np.array(found.prim_std_cell.positions)
        _, site = np.unique(found.mapping_std_prim, return_index=True)
    change = _niggli_change(basis)
    return PrimitiveCell(change @ basis, frac @ np.linalg.inv(change), site.astype(np.int64))


def symmetry_of(cell: moyopy.Cell, tolerance: float) -> moyopy.MoyoDataset | None:
    """Return the symmetry of a cell, None where moyopy finds none at any tolerance it tries."""
    loggers = [logging.getLogger(name) for name in _REMARKS]
    for logger in loggers:
        logger.addFilter(_concerns_cell)
    try:
        return moyopy.MoyoDataset(cell, symprec=tolerance)
    except ValueError:
        return None
    finally:
        for logger in loggers:
            logger.removeFilter(_concerns_cell)


def _concerns_cell(record: logging.LogRecord) -> bool:
    """Tell whether a message of moyopy matters here."""
    return not record.getMessage().startswith(_REMARKS[record.name])


def supercell_matrix(
    lattice: NDArray[np.float64],  # (3, 3) lattice vectors as rows
    n_sites: int,  # sites of the cell
    size: int = 50,  # the most atoms; one cell is taken if `n_sites` is larger than that
) -> NDArray[np.int64]:
    r"""Choose the near-cubic, near-orthogonal supercell with at most `size` atoms.

    With :math:`L = R Q`, R upper triangular and Q orthogonal, the shear
    :math:`S = \mathrm{diag}(R^{-1})^{-1} R^{-1}` makes the cell orthogonal with edges :math:`|R_{kk}|`. The shortest
    edge is repeated until one more repeat would exceed `size`; the supercell is :math:`\mathrm{diag}(r) S`, rounded.

    Rows of the result (3, 3) are the supercell's vectors in units of the lattice vectors: upper triangular, the repeats
    on the diagonal.

    References
    ----------
    .. [1] Moran et al., Site-Net, arXiv:2209.08190.

    Examples
    --------
    >>> import numpy as np
    >>> supercell_matrix(np.diag([3.0, 4.0, 9.0]), n_sites=4).tolist()
    [[4, 0, 0], [0, 3, 0], [0, 0, 1]]
    """
    # L L^T = R R^T: R is the Cholesky factor for the axes in reverse order.
    upper = np.linalg.cholesky((lattice @ lattice.T)[::-1, ::-1])[::-1, ::-1]
    inverse = np.linalg.inv(upper)
    shear = inverse / np.diag(inverse)[:, None]
    edges = np.diag(upper)
    repeats = np.ones(3, np.int64)
    while True:
        lengths = repeats * edges
        longer = repeats.copy()
        longer[np.argmax(lengths <= lengths.min() * (1 + _TIE))] += 1
        if longer.prod() * n_sites > size:
            # Halves, as in every hexagonal cell, all go down; numpy.rint would leave them to rounding errors.
            return np.asarray(np.floor(repeats[:, None] * shear + 0.5 - _TIE), np.int64)
        repeats = longer


def supercell_pairs(
    lattice: NDArray[np.float64],  # (3, 3) lattice vectors as rows, in Angstrom
    frac: NDArray[np.float64],  # (n, 3) fractional coordinates
    size: int = 50,  # the most atoms N of the supercell; see `supercell_matrix`
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pair every site of a cell with every atom of its supercell.

    For each of the n * N pairs it gives the site, in increasing order; the site that the supercell atom is a copy of,
    each equally often with each; and the distance to the nearest periodic image of that atom, 0 for the site itself.
    """
    check_pairs(len(frac), size)
    matrix = supercell_matrix(lattice, len(frac), size)
    # The matrix is triangular, so these points are one of each class of lattice points.
    points = np.indices(np.diag(matrix).tolist()).reshape(3, -1).T
    atoms = (points[:, None, :] + frac).reshape(-1, 3)
    basis = _niggli_change(matrix @ lattice) @ matrix
    box = basis @ lattice
    to_box, images = np.linalg.inv(basis), _images(box)
    step = max(1, _BLOCK // (len(atoms) * len(images)))
    blocks = [
        _nearest(((atoms - some[:, None, :]) @ to_box).reshape(-1, 3), box, images)
        for some in np.array_split(frac, range(step, len(frac), step))
    ]
    i = np.repeat(np.arange(len(frac)), len(atoms))
    j = np.tile(np.arange(len(frac)), len(points) * len(frac))
    return i, j, np.concatenate(blocks)


def check_pairs(n_sites: int, size: int) -> None:
    """Refuse a cell with too many pairs in its supercell, before it is searched for."""
    # They are kept as they are: four of them take the work of one that has to be found.
    most = 4 * current_limits().pairs
    if (pairs := n_sites * max(n_sites, size)) > most:
        raise CrowdedError(
            f"{n_sites} sites, each of which sees all atoms of its supercell, up to {max(n_sites, size)}: up to "
            f"{float(pairs):.3g} pairs; {most} are accepted (four times the limit pairs)"
        )


def _niggli_change(lattice: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the integer matrix (3, 3) that turns lattice vectors into Niggli-reduced ones."""
    _, change = moyopy.niggli_reduce(lattice.tolist())
    return np.array(change, np.int64).T


def _images(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lattice vectors (M, 3) that can bring a point of the box around the origin nearer to it.

    Of a Niggli-reduced box the 26 neighbouring images suffice. The image t is nearer to a point x than the origin
    if 2 x·t < -t·t, which no x of the box reaches unless the sum of |b·t| over the box vectors b exceeds t·t.
    """
    image = (np.indices((3, 3, 3)).reshape(3, -1).T - 1) @ box
    reach = np.abs(image @ box.T).sum(axis=1)
    return np.asarray(image[reach >= (image * image).sum(axis=1) * (1 + _TIE)])


def _nearest(frac: NDArray[np.float64], box: NDArray[np.float64], images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances (P,) of points, given in fractions of the box, to the nearest image of the origin."""
    cart = (frac - np.rint(frac)) @ box
    if len(images):
        candidates = np.concatenate([np.zeros((1, 3)), images])
        # |x + t|^2 - |x|^2 finds the image; the distance is then taken of the sum itself, without cancellation.
        gain = cart @ (2 * candidates.T) + (candidates * candidates).sum(axis=1)
        cart = cart + candidates[gain.argmin(axis=1)]
    return np.asarray(np.sqrt((cart * cart).sum(axis=1)))
