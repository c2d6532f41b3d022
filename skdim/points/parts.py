"""Crystals that are read and featurized together, in this process or another one: all that comes back of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skdim.crystals.limits import applied
from skdim.crystals.notes import Decided
from skdim.crystals.pieces import Piece
from skdim.crystals.reading import sources_of_piece
from skdim.points.chunks import Work, featurize, no_crystals
from skdim.points.pointsets import PointSets

_CHUNK = 64  # crystals that are reduced together


@dataclass(frozen=True)
class Part:
    """What is known of some crystals once they are featurized."""

    ids: list[str]  # of the n crystals; another part may have the same
    points: PointSets  # one crystal a row, those that failed without sites
    failures: list[tuple[int, str]]  # row within the part, and reason
    decided: list[Decided]  # what was decided in reading, by row within the part


def read_part(pieces: Sequence[Piece], work: Work) -> Part:
    """Read and featurize the crystals of some files, which `skdim.crystals.pieces.pieces_of` gives."""
    with applied(work.limits):
        sources = [source for piece in pieces for source in sources_of_piece(piece)]
    starts = range(0, len(sources), _CHUNK)
    chunks = [featurize(sources[start : start + _CHUNK], work) for start in starts]
    return Part(
        [source.id for source in sources],
        PointSets.concatenate([chunk.points for chunk in chunks] or [no_crystals(0, work.config)]),
        [(start + row, why) for start, chunk in zip(starts, chunks, strict=True) for row, why in chunk.failures],
        [one._replace(row=start + one.row) for start, c in zip(starts, chunks, strict=True) for one in c.decided],
    )
