"""Errors that name what was given and cannot be used: parameters, files, and rows of the input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

_LISTED = 20


class InputError(ValueError):
    """What a caller gave cannot be used: a parameter, a file, a table, crystals.

    The message names it and says what is accepted. The command line ends with "bad input" on these errors only; any
    other ``ValueError`` counts as a fault of the package and is shown with its traceback.
    """


def first_few(names: Iterable[object], most: int = 10) -> str:
    """Name some things for a message: the first few, and how many more there are.

    Examples
    --------
    >>> first_few(["Na1", "Na2", "Cl1"], 2)
    'Na1, Na2 and 1 more'
    """
    named = [str(name) for name in names]
    return ", ".join(named[:most]) + (f" and {len(named) - most} more" if len(named) > most else "")


def describe_failures(failures: Sequence[tuple[int, str]], labels: Sequence[str] | None = None) -> str:
    """List failing rows with their reasons, one a line.

    Parameters
    ----------
    failures : sequence of (int, str)
        Row number and reason of each failing row.
    labels : sequence of str, optional
        A name for each of the failing rows, such as its label in a DataFrame.

    Returns
    -------
    str
        The first 20 rows with their reasons; of the rest only how many there are.

    Examples
    --------
    >>> print(describe_failures([(3, "no sites"), (7, "no sites")], labels=["mp-1", "mp-2"]))
    2 structures cannot be used:
      row 3 (mp-1): no sites
      row 7 (mp-2): no sites
    """
    names = [""] * len(failures) if labels is None else [f" ({label})" for label in labels]
    head = f"{len(failures)} structure{'s' if len(failures) != 1 else ''} cannot be used:"
    lines = [f"  row {row}{name}: {reason}" for (row, reason), name in zip(failures[:_LISTED], names, strict=False)]
    if len(failures) > _LISTED:
        lines.append(f"  and {len(failures) - _LISTED} more")
    return "\n".join([head, *lines])


class StructureError(InputError):
    """Rows of the input that are no usable crystals, all of them at once.

    Parameters
    ----------
    failures : sequence of (int, str)
        Row number and reason of each failing row.
    labels : sequence of str, optional
        A name for each of the failing rows.

    Attributes
    ----------
    failures : list of (int, str)
        Row number and reason of each failing row, all of them, also where the message names the first ones only.
    labels : list of str or None
        A name for each of the failing rows.

    Examples
    --------
    >>> StructureError([(3, "no sites")]).failures
    [(3, 'no sites')]
    """

    def __init__(self, failures: Sequence[tuple[int, str]], labels: Sequence[str] | None = None) -> None:
        self.failures = [(int(row), reason) for row, reason in failures]
        self.labels = None if labels is None else list(labels)
        super().__init__(describe_failures(self.failures, self.labels))

    def __reduce__(self) -> tuple[type[StructureError], tuple[object, ...]]:
        # The default would rebuild the error from its message alone, and a worker's error could not come back.
        return type(self), (self.failures, self.labels)


def shortened(error: object, most: int = 500) -> str:
    """What an error says, in full where it is short: a file may hold values of any length.

    Examples
    --------
    >>> shortened(ValueError("far too long"), 7)
    'far too...'
    """
    text = str(error)
    return text if len(text) <= most else f"{text[:most]}..."


class ModelFileError(InputError):
    """A file that holds no model of this package, or one that is damaged; the message names the file and the field.

    Examples
    --------
    >>> raise ModelFileError("'model.safetensors': tensor scale must be finite, got NaN or infinity.")
    Traceback (most recent call last):
    ...
    skdim.exceptions.ModelFileError: 'model.safetensors': tensor scale must be finite, got NaN or infinity.
    """


class WorkerError(RuntimeError):
    """A worker process ended in the middle of its work, for example for want of memory.

    Parameters
    ----------
    rows : sequence of range
        Rows of the input that were in work: those of the process that died, and those of the processes that were
        stopped with it.
    reason : str, default=""
        How the processes ended, such as "SIGKILL(-9)".
    labels : sequence or mapping of int to str, optional
        A name for each row of the input, or for those in work.

    Attributes
    ----------
    rows : list of range
        As given.

    Examples
    --------
    >>> print(WorkerError([range(0, 64)], "SIGKILL(-9)"))
    A worker process ended unexpectedly (SIGKILL(-9)) while these rows were in work: 0 to 63. If memory ran out, use
    fewer processes; if one crystal is to blame, featurize these rows alone to find it.
    """

    def __init__(
        self, rows: Sequence[range], reason: str = "", labels: Sequence[str] | Mapping[int, str] | None = None
    ) -> None:
        self.rows, self.reason, self.labels = list(rows), reason, labels
        how = f" ({reason})" if reason else ""
        named = "; ".join(self._named(part) for part in self.rows) or "not known"
        super().__init__(
            f"A worker process ended unexpectedly{how} while these rows were in work: {named}. If memory ran out, use "
            "fewer processes; if one crystal is to blame, featurize these rows alone to find it."
        )

    def _named(self, rows: range) -> str:
        """First and last row, with their names if there are any."""
        text = f"{rows.start} to {rows.stop - 1}"
        return text if self.labels is None else f"{text} ({self.labels[rows.start]} to {self.labels[rows.stop - 1]})"

    def __reduce__(self) -> tuple[type[WorkerError], tuple[object, ...]]:
        return type(self), (self.rows, self.reason, self.labels)


class JobError(RuntimeError):
    """A worker process failed with an error that cannot be sent to this one; its traceback is in the notes.

    Parameters
    ----------
    kind : str
        Type of the error.
    message : str
        What it says.
    rows : range
        Rows of the input that were in work.

    Attributes
    ----------
    kind, message, rows
        As given.

    Examples
    --------
    >>> print(JobError("LicenceError", "no seats left", range(0, 64)))
    LicenceError in a worker process, at work on rows 0 to 63: no seats left
    """

    def __init__(self, kind: str, message: str, rows: range) -> None:
        self.kind, self.message, self.rows = kind, message, rows
        super().__init__(f"{kind} in a worker process, at work on rows {rows.start} to {rows.stop - 1}: {message}")

    def __reduce__(self) -> tuple[type[JobError], tuple[object, ...], dict[str, object]]:
        return type(self), (self.kind, self.message, self.rows), self.__dict__


class ProcessLostError(RuntimeError):
    """A training in several processes cannot go on because one of them has ended; the message says how to go on.

    Examples
    --------
    >>> raise ProcessLostError("another of the 2 processes that train together has ended.")
    Traceback (most recent call last):
    ...
    skdim.exceptions.ProcessLostError: another of the 2 processes that train together has ended.
    """
