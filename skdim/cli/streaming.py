"""Point sets of the crystals of files, a chunk at a time, and what is to be said of those that failed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skdim._progress import Progress
from skdim.cli.messages import one_line
from skdim.crystals.paths import Found, holds_many
from skdim.crystals.reading import CrystalRow, read_files
from skdim.exceptions import WorkerError

if TYPE_CHECKING:
    from skdim.points.featurizer import CrystalPointSetTransformer
    from skdim.points.pointsets import PointSets


@dataclass
class Counts:
    """How many crystals were read, and which of them cannot be used.

    Attributes
    ----------
    n_rows : int
        Crystals read.
    failures : list of (str, str)
        Id and reason of each that cannot be used.
    """

    n_rows: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def count(self, crystals: list[CrystalRow], failures: list[tuple[int, str]]) -> None:
        """Add crystals, some of which failed: by row, with the featurizer's reasons."""
        self.n_rows += len(crystals)
        for row, reason in failures:
            name = crystals[row].id
            # The reason names the file as the id does.
            self.failures.append((name, reason.removeprefix(f"file {name!r}: ")))

    def describe(self) -> str:
        """Name every crystal that failed, one a line, with its reason."""
        lines = (f"  {one_line(name)}: {reason}" for name, reason in self.failures)
        return "\n".join([f"{len(self.failures)} of {self.n_rows} crystals cannot be used", *lines])


def featurized(
    found: Found, featurizer: CrystalPointSetTransformer, size: int, counts: Counts, *, progress: bool
) -> Iterator[tuple[list[str], PointSets]]:
    """Read and featurize crystals, so many at a time, and forget them.

    Parameters
    ----------
    found : Found
        What to read.
    featurizer : CrystalPointSetTransformer
        Its ``on_error`` does not matter.
    size : int
        Crystals in a chunk.
    counts : Counts
        Is kept up to date.
    progress : bool
        Whether to show progress on stderr.

    Yields
    ------
    ids : list of str
        Of up to ``size`` crystals, in order.
    points : PointSets
        The same crystals; those that failed have no sites.
    """
    crystals = read_files(found.files, column=found.column, id_column=found.id_column)
    # How many crystals are in archives and lists is only known when they have been read.
    total = None if any(holds_many(file) for file in found.files) else len(found.files)
    with Progress("reading crystals", "crystals", total, enabled=progress) as bar:
        while chunk := list(itertools.islice(crystals, size)):
            try:
                points, failures = featurizer.try_transform(chunk)
            except WorkerError as error:
                raise WorkerError(error.rows, error.reason, [crystal.id for crystal in chunk]) from error
            counts.count(chunk, failures)
            yield [crystal.id for crystal in chunk], points
            bar.update(len(chunk))
