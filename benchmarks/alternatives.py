"""Measure how much faster or slower embedding and training are with means that the package does not use.

    python benchmarks/alternatives.py [--threads 2] [--passes 7] [--crystals N] [--no-compile] [--out FILE]

Each is measured by itself, in turn with the package as it is; medians of the ratios over the passes count, and above 1
it would pay. A pass embeds the training fold of the formation energies from point sets, or makes one training
step for each of its batches, batches included. Default preset. torch.compile needs a C++ compiler and is left out where
there is none.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import record


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description="What would embedding and training gain by other means?")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: 2)")
    parser.add_argument("--passes", type=int, default=7, help="of each; medians count (default: 7)")
    parser.add_argument("--crystals", type=int, default=None, help="to embed and to train on (default: all)")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes a while")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/alternatives.json"), help="JSON file to write")
    options = parser.parse_args(arguments)
    compilers = [name for name in ("g++", "clang++", "c++") if shutil.which(name)]
    if not compilers and not options.no_compile:
        print("torch.compile is left out: there is no C++ compiler", file=sys.stderr)
    alternatives = measured(
        options.threads, options.passes, options.crystals, bool(compilers) and not options.no_compile
    )
    for row in alternatives:
        print(f"{row['step']:9} {row['alternative']:28} {row['ratio']:5.2f}  first pass {row['first_seconds']:6.2f} s")
    settings = {name: getattr(options, name) for name in ("threads", "passes", "crystals")}
    for file in record.write(
        {**record.surroundings(), "settings": settings, "alternatives": alternatives}, options.out, "alternatives"
    ):
        print(f"Written to {file}")


def measured(threads: int, passes: int, crystals: int | None, with_compile: bool) -> list[dict[str, str | float]]:
    """How fast each step is with each alternative, the package as it is being 1."""
    import torch

    from skdim import CrystalPointSetTransformer, DeepInfoMaxEmbedder
    from skdim.datasets import load_formation_energy
    from skdim.learning.embedding import PAIRS
    from skdim.learning.presets import PRESETS

    torch.set_num_threads(threads)
    points = CrystalPointSetTransformer().fit_transform(load_formation_energy(subset="train").data[:crystals])
    model = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(points).encoder_.model
    rows = []
    budgets = {"embedding": PAIRS["none"], "training": PRESETS["default"].training.batch_pairs}
    # Compiled at the end: it goes on in the background, and would slow down what is measured after it.
    for step, compiled in [(step, compiled) for compiled in (False, True)[: 1 + with_compile] for step in budgets]:
        usual, alternatives = alternatives_to(step, model, points, budgets[step], compiled)
        usual()
        for name, work in alternatives.items():
            first = seconds(work)
            ratios = [seconds(usual) / seconds(work) for _ in range(passes)]
            rows.append({"step": step, "alternative": name, "ratio": median(ratios), "first_seconds": first})
    return sorted(rows, key=lambda row: row["step"])


def seconds(work: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternatives_to(
    step: str, model: Any, points: Any, budget: int, compiled: bool
) -> tuple[Callable[[], None], dict[str, Callable[[], None]]]:
    """A pass as the package makes it, and one with each alternative: torch.compile, or all others."""
    import torch

    from skdim.network.threads import one_torch_thread

    make = embed_batch if step == "embedding" else train_batch
    plain = make(model)

    def over(
        batch_work: Callable[[Any], None] = plain,
        size: float = 1.0,
        around: Callable[[], Any] = nullcontext,
        ahead: bool = False,
    ) -> Callable[[], None]:
        """All batches of one pass."""

        def work() -> None:
            with around():
                for batch in batches(points, int(size * budget), ahead):
                    batch_work(batch)

        return work

    if compiled:
        return over(), {"torch.compile": over(make(torch.compile(model, dynamic=True)))}
    return over(), {
        "one thread": over(around=one_torch_thread),
        "bfloat16 by autocast": over(around=lambda: torch.autocast("cpu", torch.bfloat16)),
        "batches made ahead": over(ahead=True),
        "batches of half the pairs": over(size=0.5),
        "batches of twice the pairs": over(size=2.0),
    }


def batches(points: Any, budget: int, ahead: bool) -> Iterator[Any]:
    """Batches of all crystals; ahead makes each one in a thread while the one before is worked on."""
    from skdim.network.batches import collate, pair_budget_batches

    chosen = list(pair_budget_batches(points.n_pairs, budget, np.arange(len(points)), 2))
    if not ahead:
        yield from (collate(points, crystals) for crystals in chosen)
        return
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(collate, points, chosen[0])
        for crystals in [*chosen[1:], None]:
            batch = following.result()
            if crystals is not None:
                following = pool.submit(collate, points, crystals)
            yield batch


def embed_batch(model: Any) -> Callable[[Any], None]:
    """Vectors of a batch."""
    import torch

    def work(batch: Any) -> None:
        with torch.inference_mode():
            model(batch)

    return work


def train_batch(model: Any) -> Callable[[Any], None]:
    """One step of training."""
    import torch

    from skdim.network.noise import Noise

    optimiser, noise = torch.optim.AdamW(model.parameters()), Noise.of_epoch(0, 0, training=True)

    def work(batch: Any) -> None:
        optimiser.zero_grad()
        sum(model(batch, noise).values()).backward()
        optimiser.step()

    return work


if __name__ == "__main__":
    main()
