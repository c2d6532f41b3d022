"""What `skdim fit` learns: which model's vectors, which regressor, and about how long that takes."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skdim._progress import duration
from skdim.cli.messages import say
from skdim.cli.names import MODELS, load_embedder
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skdim.cli.labels import LabelTable
    from skdim.points.pointsets import PointSets

QUICK = ("ridge", "laplacian", "gaussian", "trees")
CLASSES = ("ridge", "laplacian", "trees")
FINE_TUNING = "fine-tuning"
PRETRAINED_HERE = "pretrained here"

# Processor seconds of one fit on 300 labels, and the power of their number with which they grow. Each regressor is
# fitted on all labels and without each of ten folds, on vectors and on Magpie statistics; of classes without each pair
# of folds too.
_FIT_SECONDS = {"ridge": (0.02, 2.4), "laplacian": (0.11, 2.4), "gaussian": (0.06, 2.4), "trees": (0.45, 1.05)}
_FITS, _FITS_OF_CLASSES, _WORTH_SAYING = 12, 60, 5.0
_MOST_FINE_TUNING = 75.0  # seconds, above which it is not tried unless it is asked for
_LEARNED_FROM_LABELS = "materials_project_labels"


@dataclass(frozen=True)
class Given:
    """What is learned from."""

    ids: list[str]  # of the crystals
    labels: dict[str, LabelTable]  # of each target
    points: dict[str, PointSets]  # the C crystals, by the name of the model whose vectors are made of them
    groups: NDArray[Any] | None  # (C,) that stay together


@dataclass(frozen=True)
class Learned:
    """What was learned."""

    model: Any  # fitted, with the names of the labelled crystals
    points: PointSets  # the crystals, as the model takes them
    source: str  # where the vectors come from, and why from there
    notes: list[str]  # what the user should know beside that


def with_commas(words: Sequence[str]) -> list[str]:
    """Put commas between the names behind --regressors where blanks are: what follows may be the crystals as well.

    Examples
    --------
    >>> with_commas(["fit", "--regressors", "ridge", "trees", "cifs/"])
    ['fit', '--regressors', 'ridge,trees', 'cifs/']
    """
    told: list[str] = []
    for word in words:
        if told[-2:-1] == ["--regressors"] and word in (*QUICK, FINE_TUNING):
            told[-1] += f",{word}"
        else:
            told.append(word)
    return told


def asked_for(args: argparse.Namespace) -> list[str]:
    """Regressors that are asked for by name, none where it is left to the command; an unknown one is refused."""
    names: list[str] = [] if args.regressors is None else args.regressors.replace(",", " ").split()
    known = QUICK if args.task == "classification" else (*QUICK, FINE_TUNING)
    if args.regressors is not None and (not names or set(names) - set(known)):
        raise InputError(f"--regressors must be among {', '.join(known)}, got {args.regressors!r}")
    return names


def load_starts(args: argparse.Namespace) -> dict[str, Any]:
    """Load the models to choose from, by name; or make the one that is to be pretrained."""
    if not args.pretrain:
        names = [name.strip() for name in str(args.model).split(",") if name.strip()]
        if not names:
            raise InputError(
                f"--model must name a model, got {args.model!r}; {', '.join(MODELS)} come with the package"
            )
        return {name: load_embedder(name, args.device) for name in names}

    from skdim.embedder import DeepInfoMaxEmbedder

    fresh = DeepInfoMaxEmbedder(device=args.device, random_state=args.seed, verbose=int(not args.quiet))
    return {PRETRAINED_HERE: fresh}


def learn(args: argparse.Namespace, given: Given, starts: Mapping[str, Any]) -> Learned:
    """Choose vectors, by one of the models of `load_starts`, and a regressor, and train it."""
    fit = _fit_classes if args.task == "classification" else _fit_numbers
    wanted, notes = _regressors(args, given)
    if not args.quiet:
        _say_how_long(given, wanted, len(starts), _fits(args))
    # The vectors are chosen by regressors on them, and only those of the chosen model are fine-tuned.
    quick = [name for name in wanted if name != FINE_TUNING] or [QUICK[0]]
    tried = {}
    if len(starts) > 1:
        tried = {name: fit(args, given, start, name, quick) for name, start in starts.items()}
    losses = {name: _loss(model) for name, model in tried.items()}
    chosen = min(losses, key=lambda name: losses[name]) if losses else next(iter(starts))
    model = tried.get(chosen) if quick == wanted else None
    model = model or fit(args, given, starts[chosen], chosen, wanted)
    model.ids_ = [given.ids[row] for row in model.labelled_]
    if chosen == _LEARNED_FROM_LABELS:
        notes.append(
            "the model of the vectors has learned from computed formation energies, band gaps and stiffness of "
            "crystals of the Materials Project; if your labels are such values of crystals that are there, errors are "
            "smaller than those of new crystals"
        )
    return Learned(model, given.points[chosen], _source(chosen, given.points[chosen], losses), notes)


def _regressors(args: argparse.Namespace, given: Given) -> tuple[list[str], list[str]]:
    """What to choose from, and a note where fine-tuning would take too long."""
    if names := asked_for(args):
        return names, []
    if args.task == "classification":
        return list(CLASSES), []
    if (seconds := _fine_tuning_seconds(given)) > _MOST_FINE_TUNING:
        asked = ",".join([*QUICK, FINE_TUNING])
        said = (
            f"fine-tuning was not tried, as it would take about {duration(seconds)}; --regressors {asked} asks for it"
        )
        return list(QUICK), [said]
    return [*QUICK, FINE_TUNING], []


def _fine_tuning_seconds(given: Given) -> float:
    """Say about how long fine-tuning takes, for all targets."""
    from skdim._finetuned import seconds

    points = next(iter(given.points.values()))
    return sum(seconds(points[known.known & points.valid]) for known in given.labels.values())


def _fits(args: argparse.Namespace) -> float:
    """About how many fits of each regressor on a table take as long one after the other."""
    if args.task != "classification":
        return _FITS

    from joblib import effective_n_jobs

    return float(_FITS_OF_CLASSES / effective_n_jobs(args.jobs) ** 0.5)  # threads do not save all that they could


def _say_how_long(given: Given, regressors: Sequence[str], n_models: int, fits: float) -> None:
    """Say about how long the choice takes, where that is worth saying."""
    points = next(iter(given.points.values()))
    used = [list(itertools.compress(known.values, known.known & points.valid)) for known in given.labels.values()]
    known = [_FIT_SECONDS[name] for name in regressors if name in _FIT_SECONDS]
    once = sum(at_300 * (len(labels) / 300) ** power for labels in used for at_300, power in known)
    fine_tuning = _fine_tuning_seconds(given) if FINE_TUNING in regressors else 0.0
    again = n_models + (n_models > 1 and fine_tuning > 0)
    seconds = once * (again + 1) * fits + fine_tuning  # once more on Magpie statistics
    if seconds >= _WORTH_SAYING:
        models = f" and {n_models} models" if n_models > 1 else ""
        say(
            f"choosing among {len(regressors)} regressors{models} for {sum(map(len, used))} labels: about "
            f"{duration(seconds)}{_unless_alone()}"
        )


def _unless_alone() -> str:
    """Say that it may take longer, where other processes already want more processors than there are."""
    from joblib import cpu_count

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return f"; longer, as {load:.0f} processes share {cpu_count()} processors" if load > cpu_count() + 1 else ""


def _source(chosen: str, points: PointSets, losses: Mapping[str, float]) -> str:
    """Say where the vectors come from, and why from there."""
    if chosen == PRETRAINED_HERE:
        return f"pretrained on these {int(points.valid.sum())} crystals"
    if not losses:
        return chosen
    each = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    return f"{chosen}, chosen by its error by cross-validation as a share of that of a guess ({each})"


def _loss(model: Any) -> float:
    """Error by cross-validation as a share of that of a guess; of several targets the geometric mean."""
    import numpy as np

    if isinstance(model.losses_, dict):  # of classes
        return float(model.losses_[model.chosen_] / model.losses_["shares"])
    shares = [loss[name] / loss["median"] for loss, name in zip(model.losses_, model.chosen_, strict=True)]
    return float(np.exp(np.mean(np.log(shares))))


def _fit_numbers(args: argparse.Namespace, given: Given, start: Any, name: str, regressors: Sequence[str]) -> Any:
    """Fit a regressor on the vectors of one model."""
    import numpy as np
    import pandas as pd

    from skdim.predictor import CrystalRegressor

    table = pd.DataFrame({target: known.values for target, known in given.labels.items()})
    sides: NDArray[np.int64] = np.stack([known.sides for known in given.labels.values()], 1)
    model = CrystalRegressor(
        start,
        regressors=regressors,
        scale=args.transform,
        device=args.device,
        on_error="nan",
        n_jobs=args.jobs,
        random_state=args.seed,
        verbose=int(not args.quiet),
    )
    y = table if len(given.labels) > 1 else table.iloc[:, 0]
    return model.fit(given.points[name], y, groups=given.groups, censored=sides)


def _fit_classes(args: argparse.Namespace, given: Given, start: Any, name: str, regressors: Sequence[str]) -> Any:
    """Fit a classifier on the vectors of one model."""
    import pandas as pd

    from skdim.classifier import CrystalClassifier

    ((target, known),) = given.labels.items()
    model = CrystalClassifier(
        start,
        regressors=regressors,
        device=args.device,
        on_error="nan",
        n_jobs=args.jobs,
        random_state=args.seed,
        verbose=int(not args.quiet),
    )
    return model.fit(given.points[name], pd.Series(known.values, name=target), groups=given.groups)
