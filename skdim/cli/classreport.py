"""What a fit of classes has found, as text: accuracy, confusion, and the labels to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from skdim.classifier import CrystalClassifier

_SHOWN = 10  # surest mistakes
_GUESS = 0.95  # share of the log loss of a guess from which on a model is hardly better


def classes_text(
    model: CrystalClassifier,
    target: str,  # column of the labels
    source: str,  # where the vectors come from
    labels: Sequence[str],  # of the crystals
    ids: Sequence[str],  # of the crystals
    notes: Sequence[str],  # what was noticed in the table
) -> str:
    """Write what a classifier has found."""
    from sklearn.metrics import balanced_accuracy_score, confusion_matrix

    truth = np.array([labels[row] for row in model.labelled_])
    shares = model.held_out_[model.labelled_]
    guess = model.classes_[model.decided(shares)].astype(str)
    kinds = [str(kind) for kind in model.classes_]
    wide = max(12, *(len(kind) for kind in kinds))
    counts = confusion_matrix(truth, guess, labels=kinds)
    share = model.losses_[model.chosen_] / model.losses_["shares"]
    caution = f"{model.chosen_} is {'hardly' if share < 1 else 'no'} better than a guess of the shares of the classes"
    lines = [
        f"{target}: {len(truth)} labels of {len(kinds)} classes; chosen: {model.chosen_}",
        f"vectors: {source}",
        f"held-out predictions: accuracy {np.mean(truth == guess):.1%}, mean over the classes "
        f"{balanced_accuracy_score(truth, guess):.1%} (a guess: {1 / len(kinds):.1%})",
        *([f"caution: {caution}, so its predictions say little"] if share > _GUESS else []),
        "",
        "log loss by cross-validation",
        *(
            f"  {'guess of the shares of classes' if name == 'shares' else name:32} {loss:8.3f}"
            for name, loss in sorted(model.losses_.items(), key=lambda item: item[1])
        ),
        "",
        "label (rows) and held-out prediction (columns)",
        " " * wide + "".join(f" {kind:>{wide}}" for kind in kinds),
        *(f"{kind:{wide}}" + "".join(f" {n:{wide}d}" for n in row) for kind, row in zip(kinds, counts, strict=True)),
        "",
        "surest mistakes (look at these labels first)",
    ]
    wrong = np.flatnonzero(truth != guess)
    for row in wrong[np.argsort(-shares[wrong].max(1))][:_SHOWN].tolist():
        said = f"{truth[row]}, predicted {guess[row]} at {shares[row].max():.0%}"
        lines.append(f"  {ids[int(model.labelled_[row])]}: {said}")
    return "\n".join([*lines, *(f"note: {note}" for note in notes)])
