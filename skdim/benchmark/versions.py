"""A study in; the facts by which it can be repeated, as JSON, out."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import skdim
from skdim.benchmark.store import write_text

if TYPE_CHECKING:
    from skdim.benchmark.plan import Plan

# What the errors of heads depend on; what features depend on shows in the features.
_OF_HEADS = ("numpy", "scipy", "scikit-learn")
_SHOWN = (*_OF_HEADS, "torch", "skorch", "pymatgen", "matminer", "pandas", "chgnet", "umap-learn")


def versions_of(*more: str) -> dict[str, str]:
    """Give the versions of what decides the errors of a head.

    Parameters
    ----------
    *more : str
        Distributions beside numpy, scipy and scikit-learn.

    Returns
    -------
    dict
        With "skdim"; distributions that are not installed are left out.
    """
    found = {"skdim": skdim.__version__}
    for name in (*_OF_HEADS, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write_facts(plan: Plan, found: dict[str, Any], finished: bool) -> None:
    """Write ``study.json``.

    Parameters
    ----------
    plan : Plan
        What is done.
    found : dict
        What only the doing shows, by name.
    finished : bool
        Whether everything that was asked for is in the records.
    """
    facts: dict[str, Any] = {
        "command": None,
        "quick": False,
        "finished": finished,
        "seed": plan.seed,
        "versions": {"python": platform.python_version(), **versions_of(*_SHOWN)},
        "baseline": plan.baseline,
        "tasks": _tasks(plan),
        "settings": {
            "features": {name: kind if isinstance(kind, str) else repr(kind) for name, kind in plan.features.items()},
            "draws": plan.draws,
            "crystals": plan.crystals,
            "max_epochs": plan.max_epochs,
            "n_jobs": plan.n_jobs,
        },
        **found,
    }
    write_text(plan.out / "study.json", json.dumps(facts, indent=2, allow_nan=False))


def _tasks(plan: Plan) -> dict[str, dict[str, Any]]:
    """Units and sizes of the tasks, by name."""
    return {
        task.name: {
            "unit": task.unit,
            "crystals": len(task),
            "training_fold": len(goal.pool),
            "test_fold": len(goal.held_out),
            "labels": [int(n) for n in labels],
        }
        for task, goal, labels in zip(plan.tasks, plan.goals, plan.labels, strict=True)
    }
