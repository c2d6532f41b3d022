"""Progress of long work: a bar in a terminal or a notebook, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import Any

# In a log: the first line soon enough to see that something happens, then few enough to read.
_FIRST, _EVERY = 10.0, 60.0
# Shorter work needs no announcement.
_WORTH_SAYING = 20.0


class Progress:
    """How far some work is, on stderr.

    Examples
    --------
    >>> progress = Progress("counting", "numbers", 3, enabled=False)
    >>> for number in range(3):
    ...     progress.update()
    >>> progress.close()
    """

    def __init__(
        self,
        title: str,  # what is going on, such as "pretraining"
        unit: str,  # what is counted, in the plural, such as "epochs"
        total: int | None,  # how many there are; None if unknown
        *,
        enabled: bool,  # whether to show anything
        done: int = 0,  # how many are done already, for work that continues
        # Whether to say after the first step how long all of it takes at most, where that is more than some seconds.
        announce: bool = False,
    ) -> None:
        self.title, self.unit, self.total = title, unit, total
        self.enabled, self.done, self.announce = enabled, done, announce
        self._shown: dict[str, str] = {}
        self._begun_at, self._started = done, time.monotonic()
        self._next_line, self._bar = self._started + _FIRST, None
        if enabled and _shows_bars():
            self._bar = _bar_class()(desc=title, unit=f" {unit}", total=total, initial=done)

    def update(self, n: int = 1, **shown: str) -> None:
        """Count steps."""
        first = self.done == self._begun_at
        self.done += n
        self._shown = shown
        if not self.enabled:
            return
        if first and self.announce:
            self._announce()
        if self._bar is not None:
            if shown:
                self._bar.set_postfix(shown, refresh=False)
            self._bar.update(n)
        elif (now := time.monotonic()) >= self._next_line:
            self._next_line = now + _EVERY
            self._write(self._line(shown))

    def expect(self, total: int) -> None:
        """Correct how many there are."""
        if self.total == total:
            return
        self.total = total
        if self._bar is not None:
            self._bar.total = total

    def close(self) -> None:
        """End the bar; in a log, say how much was done and how long it took."""
        if self._bar is not None:
            self._bar.close()
        elif self.enabled:
            self._write(self._line(self._shown, ended=True))

    def _announce(self) -> None:
        """Say how long all steps take at most, judged by the first."""
        if self.total is None:
            return
        each = (time.monotonic() - self._started) / max(self.done - self._begun_at, 1)
        if (left := each * (self.total - self.done)) >= _WORTH_SAYING:
            self._write(
                f"{self.title}: at most about {duration(left)} more, for {self.total - self.done:,} {self.unit} of "
                f"{duration(each)} each"
            )

    def _line(self, shown: dict[str, str], *, ended: bool = False) -> str:
        """One line of a log."""
        spent = time.monotonic() - self._started
        parts = [f"{self._count()} in {duration(spent)}"]
        if not ended and self.total is not None and self.done > self._begun_at:
            each = spent / (self.done - self._begun_at)
            parts.append(f"about {duration(each * max(self.total - self.done, 0))} left")
        parts += [f"{name}={value}" for name, value in shown.items()]
        return f"{self.title}: {', '.join(parts)}"

    def _count(self) -> str:
        """How many are done, of how many."""
        return f"{self.done:,}{'' if self.total is None else f' of {self.total:,}'} {self.unit}"

    def _write(self, line: str) -> None:
        """Write a line to stderr, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        """Begin."""
        return self

    def __exit__(self, *error: Any) -> None:
        """End."""
        self.close()


def _shows_bars() -> bool:
    """Whether a bar can be redrawn: in a terminal, or in a notebook."""
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    """Whether a kernel runs the code; that its package is imported, as a test or a library may do, does not say so."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def _bar_class() -> Any:
    """Tqdm's bar of widgets in a notebook that has them, else its bar of text: without widgets, the first warns."""
    if _in_notebook() and find_spec("ipywidgets") is None:
        from tqdm import tqdm
    else:
        from tqdm.auto import tqdm
    return tqdm


def duration(seconds: float) -> str:
    """Write a duration as a person would.

    Examples
    --------
    >>> duration(0.25), duration(8.2), duration(75), duration(4000)
    ('0.2 s', '8 s', '1 min 15 s', '1 h 7 min')
    """
    if seconds < 2:
        return f"{seconds:.1f} s"
    if (whole := round(seconds)) < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
