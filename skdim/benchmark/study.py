"""Names of data sets, feature sets and heads in; a folder with every record and a report on them out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim.benchmark.plan import STUDY_HEADS, make_plan
from skdim.benchmark.running import Study
from skdim.benchmark.tasks import DATASETS, StudyTask

if TYPE_CHECKING:
    import pandas as pd


def run_study(
    out: str | os.PathLike[str],
    *,
    tasks: Sequence[str | StudyTask] = tuple(DATASETS),
    label_counts: Sequence[int] | None = None,
    features: Sequence[str] | Mapping[str, Any] | None = None,
    heads: Sequence[str] | Mapping[str, Any] = STUDY_HEADS,
    draws: int = 20,
    fine_tuning_draws: int = 5,
    fewer_draws: Mapping[str, int] | None = None,
    transductive: bool = False,
    baseline: str | None = None,
    crystals: int | None = None,
    max_epochs: int | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
    report: bool = True,
    notes: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Measure feature sets and heads on tasks with few labels, and report on it.

    Encoders are pretrained once, on the structures of all training folds together, and the labels of each task are
    drawn from its training fold, as `label_efficiency` does. What is finished is in the folder at once: a run that was
    stopped goes on from there when it is started again, and one with more draws, heads or feature sets computes only
    those.

    Parameters
    ----------
    out : str or path
        Folder of the results: ``results.parquet`` (the records), ``study.json`` (how they came to be),
        ``maps.parquet``, ``report.html``, ``report.md``, ``models/``, and ``parts/`` with what is finished.
    tasks : sequence of str or StudyTask
        "formation_energy", "band_gap", "elastic_moduli", or tasks of your own.
    label_counts : sequence of int or None, default=None
        Numbers of labels; None takes each task's own.
    features : sequence of str, mapping, or None, default=None
        Names of feature sets: those of `EMBEDDERS` ("default", "paper", "default untrained", ...) and of `BASELINES`
        ("magpie", "ofm", ...). Or a mapping from names in the records to such names or to transformers of structures,
        which are cloned and fitted on the pool of each task. None takes all that can be computed here.
    heads : sequence of str, or mapping of str to regressor
        As for `label_efficiency`, and "fine_tuned": a `SiteNetRegressor` that starts from the default encoder, from the
        untrained one, and from one trained on all labels of another property.
    draws, fine_tuning_draws : int
        Draws for each number of labels, for heads on fixed vectors and for fine-tuning: the same first draws.
    fewer_draws : mapping of str to int, optional
        Draws of heads that have fewer than the others.
    transductive : bool, default=False
        Whether to add "default transductive": pretrained on the structures of the test folds too, without labels.
    baseline : str or None, default=None
        Feature set that the report compares with; None takes "magpie" if it is there.
    crystals : int or None, default=None
        Crystals of each task, drawn at random; None takes all.
    max_epochs : int or None, default=None
        Of the pretrainings; None leaves it to the presets.
    cache_dir : str, path or None, default=None
        Where baseline features are kept; None takes ``cache`` in the folder.
    random_state : int, default=0
        Decides the draws and seeds everything else.
    n_jobs : int or None, default=None
        Jobs at a time, -1 for all cores; None leaves it to joblib.parallel_config, which can also name a backend.
    verbose : int, default=0
        1 says on stderr what is done.
    report : bool, default=True
        Whether to write ``report.html`` and ``report.md``, as `write_report` does.
    notes : mapping, optional
        JSON-able; becomes part of ``study.json``.

    Returns
    -------
    DataFrame
        The records, as of `label_efficiency`; "fine_tuned" has no ``cv_mae``.

    Raises
    ------
    ValueError, TypeError
        If something is not known or cannot be done; before anything is computed.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     records = run_study(folder, tasks=["band_gap"], label_counts=[50], features=["default untrained", "magpie"],
    ...                         heads=["ridge"], draws=2, crystals=100, report=False)
    >>> records[["features", "head", "labels", "draw"]].values.tolist()[:2]
    [['default untrained', 'ridge', 50, 0], ['default untrained', 'ridge', 50, 1]]
    """
    plan = make_plan(
        out,
        tasks=tasks,
        label_counts=label_counts,
        features=features,
        heads=heads,
        draws=draws,
        fine_tuning_draws=fine_tuning_draws,
        fewer_draws=fewer_draws,
        transductive=transductive,
        baseline=baseline,
        crystals=crystals,
        max_epochs=max_epochs,
        random_state=random_state,
        n_jobs=n_jobs,
    )
    study = Study(plan, Path(cache_dir) if cache_dir is not None else plan.out / "cache", verbose, dict(notes or {}))
    study.run()
    if report:
        from skdim.benchmark.report import write_report

        write_report(plan.out, baseline=plan.baseline)
    return study.table()
