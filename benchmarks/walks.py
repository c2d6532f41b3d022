"""Follow one input through the package: which files and functions of skdim it meets, in order, and how often.

What is not needed to understand a walk is a hop that can go; a test keeps the two walks from growing.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import skdim
from skdim.datasets import load_band_gap

_ROOT = Path(skdim.__file__).parent
_UNNAMED = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<lambda>", "<module>")

Walk = Counter[tuple[str, str]]
"""How often each function was called: by file, and name within it, in the order of the first calls."""


def walk(work: Callable[[], Any]) -> Walk:
    """Do some work, and count the calls of named functions of skdim; those of other threads and processes are not."""
    met: Walk = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        ours = code.co_filename.startswith(f"{_ROOT}/") and not code.co_name.startswith(_UNNAMED)
        # What is not optimised is the body of a module or a class, which runs where it is imported.
        if event == "call" and ours and code.co_flags & inspect.CO_OPTIMIZED:
            met[code.co_filename.removeprefix(f"{_ROOT}/"), code.co_qualname] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return met


def through_transform(crystals: Sequence[Any]) -> Walk:
    """A list of structures through `DeepInfoMaxEmbedder.transform`."""
    embedder = skdim.DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(crystals)
    return walk(lambda: embedder.transform(crystals))


def through_fit(crystals: Sequence[Any], labels: Any) -> Walk:
    """Labels through `SiteNetRegressor.fit`, from a fitted embedder."""
    embedder = skdim.DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(crystals)
    regressor = skdim.SiteNetRegressor(embedder, max_epochs=1, cv=2, random_state=0)
    return walk(lambda: regressor.fit(crystals, labels))


def counts(met: Walk) -> tuple[int, int]:
    """Files and functions of a walk."""
    return len({file for file, _ in met}), len(met)


def lines(met: Walk) -> list[str]:
    """Each file of a walk with its functions, in the order of their first calls, and how often each was called."""
    by_file: dict[str, list[str]] = {}
    for (file, name), n in met.items():
        by_file.setdefault(file, []).append(f"    {name}  {n}")
    return [line for file, names in by_file.items() for line in (f"{file}  {len(names)}", *names)]


def main() -> None:
    """Print both walks."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    data = load_band_gap()
    crystals, labels = list(data.data[:60]), data.target[:60]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of so few epochs
        walks = {"transform": through_transform(crystals), "fit": through_fit(crystals, labels)}
    for name, met in walks.items():
        files, functions = counts(met)
        print(f"{name}: {files} files, {functions} functions", *lines(met), sep="\n")


if __name__ == "__main__":
    main()
