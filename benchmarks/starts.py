"""What pretraining is worth to fine-tuning: errors from the pretrained start, divided by those from an untrained one.

    python benchmarks/starts.py --model untrained.safetensors [--trained benchmarks/finetuning.json] [--jobs 1]
        [--out benchmarks/starts.json]

``--model`` is a file of the form of the model that ``finetuning.py`` recorded, with drawn weights: what
``pretrain_large.py`` and ``pretrain_electrons.py`` write with ``--max-epochs 0``. It is fine-tuned here on the same
repeats from random folds, and every error is set beside the recorded one. Both start at the ridge on their own
vectors. Like the others, a run that was stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import finetuning
import numpy as np
import repeats

SPLIT = "random"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the untrained start, print the ratios and write them."""
    parser = repeats.options_of("Fine-tuning from a pretrained and from an untrained start.", "starts", 3)
    parser.add_argument(
        "--trained", type=Path, default=Path("benchmarks/finetuning.json"), help="record to compare with"
    )
    options = parser.parse_args(arguments)
    recorded = json.loads(options.trained.read_text("utf-8"))
    if recorded["settings"]["repeats"] != options.repeats:
        raise SystemExit(f"{options.trained} has {recorded['settings']['repeats']} repeats: give them as --repeats")
    wanted = repeats.keys(options, labels=finetuning.SIZES, split=(SPLIT,))
    found = repeats.measured(options, wanted, finetuning.one_repeat, lambda key: finetuning.given(key, options.model))
    rows = compared(recorded["rows"], finetuning.summary(found))
    for row in rows:
        print(
            f"{row['task']:30} {row['labels']:4} labels: fine-tuned from trained {row['trained']:.4f}, from untrained "
            f"{row['untrained']:.4f}, ratio {row['ratio']:.3f}"
        )
    mean = float(np.exp(np.mean([np.log(row["ratio"]) for row in rows])))
    print(f"geometric mean of {len(rows)} cells: {mean:.3f}")
    settings = {"trained": recorded["settings"]["model"], "trained_sha256": recorded["settings"]["sha256"]}
    repeats.write(options, "starts", found, settings=settings, rows=rows, mean=mean)


def compared(trained: Sequence[repeats.Repeat], untrained: Sequence[repeats.Repeat]) -> list[repeats.Repeat]:
    """Errors of both starts in each cell that both have."""
    of_trained = {_cell(row): row["ratio"] * row["ridge"] for row in trained}
    rows = []
    for row in untrained:
        if _cell(row) not in of_trained:
            continue
        both = {"trained": of_trained[_cell(row)], "untrained": row["ratio"] * row["ridge"]}
        kept = {name: row[name] for name in ("split", "task", "labels", "repeats")}
        rows.append({**kept, **both, "ratio": both["trained"] / both["untrained"]})
    return rows


def _cell(row: repeats.Repeat) -> tuple[str, str, int]:
    """What a cell is of."""
    return row["split"], row["task"], row["labels"]


if __name__ == "__main__":
    main()
