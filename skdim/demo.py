"""The whole method on bundled crystals, step by step: what `skdim demo` runs."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from skdim.embedder import DeepInfoMaxEmbedder
    from skdim.points.pointsets import PointSets

_UNIT = "eV/atom"


@dataclass(frozen=True)
class Size:
    """How much a demo does."""

    crystals: int | None  # crystals to take, drawn at random; None takes all
    max_epochs: int | None  # of the pretraining; None leaves it to the preset
    repeats: dict[int, int]  # for each number of labels
    trees: int  # in a forest


# A thousand labels take most of the time: fewer repeats there, and forests of 20 trees.
FULL = Size(None, None, {50: 10, 100: 10, 250: 5, 1000: 3}, trees=20)
QUICK = Size(300, 1, {50: 2, 100: 2}, trees=10)
LABELS = 100  # of the model that is kept at the end


def run_demo(
    out: Path,  # made if it is not there; files of earlier runs are replaced
    *,
    quick: bool = False,  # very little of everything, in a few seconds, to see that it runs: its numbers mean nothing
    random_state: int = 0,
    verbose: int = 1,  # 0 prints nothing
) -> None:
    """Pretrain on the bundled crystals without labels and show what the vectors are worth with few labels.

    Writes into the folder ``model.safetensors``, ``vectors.parquet`` (material_id, fold, then the columns of the
    trained vector), ``results.csv`` (the records of `skdim.evaluation.label_efficiency`), ``label_efficiency.png``,
    ``embedding_map.png``, ``energies.skdim`` (a fitted `skdim.CrystalRegressor`) and ``predictions.csv`` (of the test
    fold, with intervals).
    """
    out, size = Path(out), QUICK if quick else FULL
    out.mkdir(parents=True, exist_ok=True)
    steps = Steps(verbose)
    with steps.step("Crystals", _CRYSTALS):
        crystals = _load(size, random_state)
        test = crystals.test_mask
        steps.say(f"{len(test):,} crystals: {(~test).sum():,} to learn from, {test.sum():,} in the test fold")
    with steps.step("Point sets", _POINT_SETS):
        points = _featurize(crystals)
        steps.say(f"{len(points):,} crystals, {points.n_sites.sum():,} distinct sites, {points.n_pairs.sum():,} pairs")
    with steps.step("Pretraining", _PRETRAINING):
        trained = _pretrain(points[~test], size.max_epochs, random_state, steps.bars)
        steps.say(_losses(trained))
    with steps.step("Vectors", _VECTORS):
        untrained = _pretrain(points[~test], 0, random_state, steps.bars)
        vectors = {"trained": trained.transform(points), "untrained": untrained.transform(points)}
        _save(out, trained, vectors["trained"], crystals)
        steps.say(f"{vectors['trained'].shape[1]:,} columns a crystal, in model.safetensors and vectors.parquet")
    with steps.step("Few labels", _FEW_LABELS):
        records = _measure(vectors, crystals, size, random_state, steps.bars)
        records.to_csv(out / "results.csv", index=False)
    with steps.step("Pictures", _PICTURES):
        _draw(out, records, vectors["trained"][test], crystals.target[test], random_state)
    with steps.step("Predictions", _PREDICTIONS):
        steps.say(_predict(out, trained, points, crystals, random_state))
    steps.show(_results(records, int(test.sum()), size))
    if quick:
        steps.show(_QUICK)
    steps.show(_ending(out, steps.seconds))


_CRYSTALS = """Inorganic crystals with formation energies from density functional theory, which come with the package. A
fifth of them is the test fold: nothing is learned from it."""
_POINT_SETS = """Each crystal becomes a set of sites, described by properties of their elements, and the distances
between neighbouring sites. Sites that are equivalent by symmetry are kept once."""
_PRETRAINING = """A Site-Net encoder learns by Deep InfoMax, from structures alone, which element the surroundings of a
site suggest. No energy is used."""
_VECTORS = """The encoder turns each crystal into one vector. The same encoder before training is the control: it shows
what the training adds."""
_FEW_LABELS = """Now the energies of a few crystals are used as labels, drawn at random again and again. Regressors
learn them from the vectors and, for comparison, from Magpie's statistics of the elements in each crystal."""
_PICTURES = """The errors against the number of labels, and a map on which crystals with similar vectors are close."""

_PREDICTIONS = f"""With {LABELS} of the labels a regressor is chosen and trained, and the energies of the test fold are
predicted with intervals that are meant to hold nine times of ten."""

_QUICK = f"""
--quick only shows that everything runs: {QUICK.max_epochs} epoch on {QUICK.crystals} crystals says nothing about what
the pretraining is worth. The demo without --quick does."""


class Steps:
    """Prints what is done, why, and how long it took; with verbose=0 nothing."""

    def __init__(self, verbose: int) -> None:
        self.verbose = verbose
        self.number = 0
        self.start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start

    @property
    def bars(self) -> int:
        """Whether to show progress bars: they are for a screen, not for a log."""
        return int(bool(self.verbose) and sys.stderr.isatty())

    @contextmanager
    def step(self, title: str, why: str) -> Iterator[None]:
        """Announce a step, and print at its end how long it took."""
        self.number += 1
        self.show(f"\n{self.number}. {title}")
        self.say(textwrap.fill(why.replace("\n", " "), 97))
        start = time.perf_counter()
        yield
        self.say(f"[{time.perf_counter() - start:.1f} s]")

    def say(self, text: str) -> None:
        """Print an indented line."""
        self.show(textwrap.indent(text, "   "))

    def show(self, text: str) -> None:
        """Print at once, also into a pipe."""
        if self.verbose:
            print(text, flush=True)


def _load(size: Size, random_state: int) -> Any:
    """Load the crystals, or some of them."""
    from skdim.datasets import load_formation_energy

    crystals = load_formation_energy()
    if size.crystals is not None:
        some = np.random.default_rng(random_state).permutation(len(crystals.data))[: size.crystals]
        for name in ("data", "target", "material_id", "test_mask"):
            crystals[name] = crystals[name][some]
    return crystals


def _featurize(crystals: Any) -> PointSets:
    """Make point sets of the crystals."""
    from skdim.points.featurizer import CrystalPointSetTransformer

    return CrystalPointSetTransformer().fit_transform(crystals.data)


def _pretrain(points: PointSets, max_epochs: int | None, random_state: int, verbose: int) -> DeepInfoMaxEmbedder:
    """Pretrain the default preset."""
    from skdim.embedder import DeepInfoMaxEmbedder

    return DeepInfoMaxEmbedder(max_epochs=max_epochs, random_state=random_state, verbose=verbose).fit(points)


def _losses(embedder: DeepInfoMaxEmbedder) -> str:
    """Summarise the pretraining."""
    losses = [row["valid_loss"] for row in embedder.history_]
    best = int(np.argmin(losses))
    return (
        f"loss on held-out crystals: {losses[0]:.3f} after epoch 1, {losses[best]:.3f} after epoch {best + 1} of "
        f"{len(losses)}, whose weights are kept"
    )


def _save(out: Path, embedder: DeepInfoMaxEmbedder, vectors: NDArray[np.float32], crystals: Any) -> None:
    """Write the model, and the vectors of all crystals."""
    import pandas as pd

    embedder.save(out / "model.safetensors")
    table = pd.DataFrame(vectors, columns=embedder.get_feature_names_out())
    ids = pd.DataFrame({"material_id": crystals.material_id, "fold": np.where(crystals.test_mask, "test", "train")})
    pd.concat([ids, table], axis=1).to_parquet(out / "vectors.parquet", index=False)


def _measure(
    vectors: dict[str, NDArray[np.float32]], crystals: Any, size: Size, random_state: int, verbose: int
) -> pd.DataFrame:
    """Train regressors on few labels and record their errors on the test fold."""
    from sklearn.ensemble import ExtraTreesRegressor

    from skdim.evaluation import REGRESSORS, label_efficiency, magpie_statistics
    from skdim.evaluation._kernel_ridge import GAMMAS

    return label_efficiency(
        {**vectors, "Magpie": magpie_statistics(crystals.data, n_jobs=-1)},
        crystals.target,
        crystals.test_mask,
        label_counts=list(size.repeats),
        n_repeats=size.repeats,
        regressors={
            "median": REGRESSORS["median"](),
            "ridge": REGRESSORS["ridge"](),
            "kernel_ridge": REGRESSORS["kernel_ridge"]().set_params(gammas=GAMMAS[::2]),  # in half of the time
            "extra_trees": ExtraTreesRegressor(size.trees, max_features=1 / 5),
        },
        cv=None,
        task="formation energy",
        random_state=random_state,
        n_jobs=-1,
        verbose=verbose,
    )


def _results(records: pd.DataFrame, n_test: int, size: Size) -> str:
    """Table of errors, what it shows, and how the feature sets compare."""
    from skdim.evaluation import compare, format_table
    from skdim.study.blocks import listed

    counts, repeats = listed(size.repeats), listed(size.repeats.values())
    caption = (
        f"Mean absolute error on the {n_test} test crystals in {_UNIT}: mean ± standard error over {repeats} random "
        f"repeats with {counts} labels, the same for every row. Trained and untrained are the vectors of the encoder; "
        f"median is the guess that needs no features; the kernel is Laplacian and chooses among three length scales; "
        f"forests have {size.trees} trees."
    )
    lines = ["", format_table(records), "", *textwrap.wrap(caption, 100), ""]
    for baseline in ("untrained", "Magpie"):
        lines.append(f"Errors of trained divided by those of {baseline}, geometric mean over the numbers of labels:")
        for regressor in ("ridge", "kernel_ridge", "extra_trees"):
            ratio = compare(records, "trained", baseline, regressor=regressor)
            lines.append(f"   {regressor.replace('_', ' '):13} {ratio}")
    return "\n".join(lines)


def _draw(out: Path, records: pd.DataFrame, vectors: NDArray[np.float32], target: Any, random_state: int) -> None:
    """Draw the learning curves, and the map of the test fold."""
    from skdim.plotting import label_efficiency_figure, new_figure, plot_embedding_map, png, project

    title = "Predicting the formation energy from few labels"
    curves = label_efficiency_figure(records, unit=_UNIT, title=title)
    (out / "label_efficiency.png").write_bytes(png(curves))
    drawn = new_figure(7.5, 5.5)
    places = project(vectors, "tsne", random_state)
    ax = plot_embedding_map(places, target, drawn.subplots(), label=f"formation energy ({_UNIT})")
    ax.set_title(f"Trained vectors of the {len(vectors)} test crystals (t-SNE)")
    (out / "embedding_map.png").write_bytes(png(drawn))


def _predict(out: Path, embedder: DeepInfoMaxEmbedder, points: PointSets, crystals: Any, random_state: int) -> str:
    """Fit on few labels, predict the test fold with intervals, keep both, and say how they compare with the truth."""
    from skdim.predictor import CrystalRegressor

    test = crystals.test_mask
    labelled = np.random.default_rng(random_state).permutation(np.flatnonzero(~test))[:LABELS]
    model = CrystalRegressor(embedder, regressors=["ridge", "laplacian"], random_state=random_state)
    model.fit(points[labelled], crystals.target[labelled]).save(out / "energies.skdim")
    table = model.predict_frame(points[test])
    truth = crystals.target[test]
    table.insert(0, "material_id", crystals.material_id[test])
    table.insert(1, "formation_energy", truth)
    for name in ("nearest_1", "nearest_2", "nearest_3"):
        table[name] = [crystals.material_id[labelled[row]] for row in table[name]]
    table.to_csv(out / "predictions.csv", index=False)
    inside = (table["lower"] <= truth) & (truth <= table["upper"])
    shown = table[["material_id", "formation_energy", "prediction", "lower", "upper"]].head(5)
    return (
        f"{shown.to_string(index=False, float_format='{:.2f}'.format)}\n"
        f"mean absolute error {np.abs(table['prediction'] - truth).mean():.3f} {_UNIT}; {inside.mean():.0%} of the "
        f"intervals hold the truth, and are {(table['upper'] - table['lower']).mean():.2f} {_UNIT} wide on average"
    )


def _ending(out: Path, seconds: float) -> str:
    """Say where things are and how to go on."""
    return f"""
Done in {seconds:.0f} s. In {out}/:
   model.safetensors     the trained encoder
   vectors.parquet       the vector of each crystal, with its material id and fold
   results.csv           the error of each regressor in each repeat
   label_efficiency.png  errors against the number of labels
   embedding_map.png     map of the test crystals by their vectors
   energies.skdim        a model of the energies from {LABELS} labels, for skdim predict
   predictions.csv       its predictions of the test crystals, with intervals

Vectors of your own crystals (paths, pymatgen Structures, ASE Atoms, ...):
   from skdim import DeepInfoMaxEmbedder
   vectors = DeepInfoMaxEmbedder.load("{out / "model.safetensors"}").transform(["my.cif"])"""
