"""From files to the point sets of their crystals, a batch at a time, with messages about those that failed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING

from skdim._jobs import Job
from skdim._progress import Progress
from skdim._workers import Workers
from skdim.cli.messages import one_line
from skdim.crystals.notes import Note, NoteCounts
from skdim.crystals.paths import Found, holds_many
from skdim.crystals.pieces import Piece, grouped, pieces_of
from skdim.crystals.sources import UniqueIds
from skdim.exceptions import WorkerError

if TYPE_CHECKING:
    from skdim.points.chunks import Work
    from skdim.points.parts import Part
    from skdim.points.pointsets import PointSets

_PIECES = 64  # that a process reads at once: enough to spread the cost of a call
_FEW, _LAST = 16, 128  # that it reads at once in the end, and how many of them for each process
_MODULES = ("skdim.points.parts",)


@dataclass
class Counts:
    """How many crystals were read, and which of them cannot be used."""

    n_rows: int = 0
    n_files: int = 0  # that they come from; of a file that holds many crystals each one counts
    failures: list[tuple[str, str]] = field(default_factory=list)  # id and reason of each that cannot be used
    notes: NoteCounts = field(default_factory=NoteCounts)  # what was decided in reading the others
    told: bool = True  # whether a warning tells it; False where the same crystals are read once more

    def count(self, ids: list[str], failures: list[tuple[int, str]]) -> None:
        """Add crystals, some of which failed: by row, with the featurizer's reasons."""
        self.n_rows += len(ids)
        for row, reason in failures:
            # The reason names the file as the id does.
            self.failures.append((ids[row], reason.removeprefix(f"file {ids[row]!r}: ")))

    def describe(self) -> str:
        """Name every crystal that failed, one a line, with its reason."""
        lines = (f"  {one_line(name)}: {reason}" for name, reason in self.failures)
        return "\n".join([f"{len(self.failures)} of {self.n_rows} crystals cannot be used", *lines])

    def warn(self) -> None:
        """Warn once of what was decided in reading."""
        if self.told and (told := self.notes.describe()):
            warnings.warn(told, UserWarning, stacklevel=2)


def reading_workers(found: Found, jobs: int) -> Workers:
    """Start the processes that read crystals: best before this process imports torch, so that they are soon at work."""
    most = None if any(map(holds_many, found.files)) else len(found.files)
    return Workers(jobs, _MODULES, most)


def beside(workers: Workers) -> AbstractContextManager[None]:
    """Let torch compute in no more threads than there are processors beside those of the other workers.

    Its threads wait for one another, and one of them for a processor that a worker has.
    """
    from joblib import cpu_count

    from skdim.network.threads import torch_threads

    return nullcontext() if workers.n == 1 else torch_threads(max(1, cpu_count() - workers.n + 1))


def featurized(
    found: Found,  # what to read
    work: Work,  # of a featurizer
    workers: Workers,  # of `reading_workers`; they have their first crystals when this function returns
    size: int,  # crystals in a batch
    counts: Counts,  # kept up to date; when all is read, one warning tells its notes
    *,
    progress: bool,  # whether to show progress on stderr
) -> Iterator[tuple[list[str], PointSets]]:
    """Read and featurize crystals, a batch at a time, and forget them; those that failed have no sites."""
    from skdim.points.parts import read_part

    # How many crystals are in archives and lists is only known when they have been read; others hold one, most of them.
    total = None if any(map(holds_many, found.files)) else len(found.files)
    most = _PIECES if total is None else min(_PIECES, -(-total // (4 * workers.n)))
    given: dict[int, list[Piece]] = {}  # by their first number, to name them

    def jobs() -> Iterator[Job]:
        first, pieces = 0, pieces_of(found.files, found.column, found.id_column)
        # The last ones few at a time: no process is to wait long for another.
        last = _LAST * workers.n if total is not None and workers.n > 1 else 0
        many = None if total is None else max(0, total - last)
        for group in chain(grouped(islice(pieces, many), max(1, most)), grouped(pieces, min(_FEW, max(1, most)))):
            given[first] = group
            yield Job(read_part, (group, work), range(first, first + len(group)))
            first += len(group)

    parts = _named_parts(workers.results(jobs()), given, counts)
    return _shown(_batches(parts, size), total, counts, progress=progress)


def _named_parts(
    parts: Iterable[Part], given: dict[int, list[Piece]], counts: Counts
) -> Iterator[tuple[list[str], PointSets]]:
    """Give crystals ids of their own, and count them."""
    unique = UniqueIds().unique
    try:
        for part in parts:
            group = given.pop(min(given))
            # The names that are kept already, where they are the same: of many files names are what takes memory.
            known = {piece: piece for piece in group if isinstance(piece, str)}
            ids = [unique(known.get(name, name)) for name in part.ids]
            counts.count(ids, part.failures)
            counts.n_files += len(group)
            noted: dict[int, list[Note]] = {}
            for one in part.decided:
                noted.setdefault(one.row, []).append(one.note)
            for row, notes in noted.items():
                counts.notes.add(ids[row], notes)
            yield ids, part.points
    except WorkerError as error:
        names = {first + k: _name(piece) for first, group in given.items() for k, piece in enumerate(group)}
        raise WorkerError(error.rows, error.reason, names) from error


def _name(piece: Piece) -> str:
    """Name a file or crystal."""
    return piece if isinstance(piece, str) else piece.id


def _batches(parts: Iterable[tuple[list[str], PointSets]], size: int) -> Iterator[tuple[list[str], PointSets]]:
    """Regroup crystals into batches of one size: vectors do not depend on how the reading was divided."""
    from skdim.points.pointsets import PointSets

    ids: list[str] = []
    held: list[PointSets] = []
    for names, points in parts:
        ids += names
        held.append(points)
        if len(ids) < size:
            continue
        joined = PointSets.concatenate(held)
        while len(ids) >= size:
            yield ids[:size], joined[:size]
            ids, joined = ids[size:], joined[size:]
        held = [joined]
    if ids:
        yield ids, PointSets.concatenate(held)


def _shown(
    batches: Iterable[tuple[list[str], PointSets]], total: int | None, counts: Counts, *, progress: bool
) -> Iterator[tuple[list[str], PointSets]]:
    """Show how far the reading is, and tell at its end what was decided."""
    with Progress("reading crystals", "crystals", total, enabled=progress) as bar:
        for ids, points in batches:
            yield ids, points
            if total is not None:
                bar.expect(total + counts.n_rows - counts.n_files)
            bar.update(len(ids))
    counts.warn()
