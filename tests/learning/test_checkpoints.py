"""Checkpoints: a stopped training goes on as if it had not been, and no other training goes on from there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from skdim import PointSets
from skdim.learning.checkpoints import Checkpoint, TrainingState
from skdim.learning.presets import Run
from skdim.learning.tensorfile import read_tensors, write_tensors
from skdim.learning.training import train
from tests.daily import slow
from tests.learning.test_training import PUBLISHED, Stopped, config, fit, fresh, losses, same_weights, stop
from tests.small import bundled_points


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("params", [{"learning_rate": 0.05}, PUBLISHED, {"preset": "paper", "patience": 2}])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    params: dict[str, Any], batch: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = bundled_points(40)
    params = {**params, "max_epochs": 6, "validation_fraction": 0.2, "encoder_params": {"width": 8}}
    if params.get("preset"):
        params["encoder_params"] = {"width": 8, "heads": 1}
    whole = fit(points, **params)
    with monkeypatch.context() as patch:
        stop(patch, Stopped, epoch=3, batch=batch)
        with pytest.raises(Stopped):
            fit(points, checkpoint_dir=tmp_path / "run", **params)
    resumed = fit(points, checkpoint_dir=tmp_path / "run", **params)
    assert losses(resumed) == losses(whole)
    assert same_weights(resumed, whole)
    again = fit(points, checkpoint_dir=tmp_path / "run", **params)
    assert losses(again) == losses(whole)
    assert same_weights(again, whole)


def test_a_training_that_was_over_is_not_taken_up_again(tmp_path: Path) -> None:
    points = bundled_points(40)
    models = [fresh(points) for _ in range(2)]
    run = Run(0, checkpoint=Checkpoint(tmp_path / "c.safetensors", "f"))
    first, second = (train(model, points, config(0.2), run).history for model in models)
    assert first == second
    assert len(first) < 30
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, models[1].state_dict()[name])


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the checkpoint of one epoch; only for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("left")
    fit(bundled_points(20), max_epochs=1, checkpoint_dir=folder)
    return folder


def heavier(points: PointSets) -> PointSets:
    return replace(points, multiplicity=points.multiplicity + 1)


@pytest.mark.parametrize(
    "other",
    [
        {"X": "fewer"},
        {"X": "heavier"},
        {"random_state": 1},
        {"learning_rate": 0.01},
        {"max_epochs": 4},
        {"objective_params": {"jitter": 0.0}},
        {"validation_fraction": 0.3},
    ],
)
def test_a_checkpoint_of_another_training_is_refused(other: dict[str, Any], left: Path) -> None:
    points = bundled_points(20)
    changed = {"fewer": points[:-1], "heavier": heavier(points)}.get(other.pop("X", ""), points)
    with pytest.raises(ValueError, match=r"checkpoint.safetensors was written by a training on other data"):
        fit(changed, **{"max_epochs": 1, "checkpoint_dir": left, **other})


def test_going_on_from_other_weights_is_another_training(tmp_path: Path) -> None:
    embedder = fit(bundled_points(20), max_epochs=1, checkpoint_dir=tmp_path, warm_start=True)
    with pytest.raises(ValueError, match="written by a training on other data"):
        embedder.fit(bundled_points(20))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    fit(bundled_points(20), max_epochs=1, checkpoint_dir=tmp_path)
    file.write_bytes(file.read_bytes()[:100])
    (tmp_path / "checkpoint.previous.safetensors").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"checkpoint.safetensors is not a checkpoint of skdim, or it is damaged"):
        fit(bundled_points(20), max_epochs=1, checkpoint_dir=tmp_path)
    fit(bundled_points(20), max_epochs=0).save(file)
    with pytest.raises(ValueError, match="is not a checkpoint"):
        fit(bundled_points(20), max_epochs=1, checkpoint_dir=tmp_path)


@pytest.mark.parametrize("missing", ["first", "history", "param_groups", "fingerprint"])
def test_a_checkpoint_that_lacks_a_fact_is_damaged_though_its_digest_is_right(
    missing: str, left: Path, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint.safetensors"
    facts, arrays = read_tensors(left / file.name)
    write_tensors(file, {name: fact for name, fact in facts.items() if name not in (missing, "sha256")}, arrays)
    with pytest.raises(ValueError, match=f"is damaged: .*{missing}"):
        fit(bundled_points(20), max_epochs=1, checkpoint_dir=tmp_path)
    write_tensors(file, facts, {**arrays, "weights/more": arrays[min(arrays)]})
    with pytest.raises(ValueError, match=r"does not fit the model .*more"):
        fit(bundled_points(20), max_epochs=1, checkpoint_dir=tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="of POSIX systems")
def test_a_pipe_in_the_place_of_a_checkpoint_is_not_waited_for(tmp_path: Path) -> None:
    whole = fit(bundled_points(20), max_epochs=2, checkpoint_dir=tmp_path)
    (tmp_path / "checkpoint.safetensors").unlink()
    os.mkfifo(tmp_path / "checkpoint.safetensors")
    with pytest.warns(UserWarning, match="it is no regular file.*: the epoch before it is used"):
        resumed = fit(bundled_points(20), max_epochs=2, checkpoint_dir=tmp_path)
    assert same_weights(resumed, whole)


@pytest.mark.parametrize("harm", ["flipped", *slow("truncated", "removed")])
def test_where_the_last_checkpoint_is_damaged_the_one_before_is_used(harm: str, tmp_path: Path) -> None:
    points, file = bundled_points(20), tmp_path / "checkpoint.safetensors"
    whole = fit(points, max_epochs=3, validation_fraction=0.2, checkpoint_dir=tmp_path)
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    if harm == "removed":  # as by a kill between the two steps of a write
        file.unlink()
        resumed = fit(points, max_epochs=3, validation_fraction=0.2, checkpoint_dir=tmp_path)
    else:
        file.write_bytes(content if harm == "flipped" else content[: len(content) // 2])
        with pytest.warns(UserWarning, match=r"checkpoint.safetensors is damaged .*: the epoch before it is used"):
            resumed = fit(points, max_epochs=3, validation_fraction=0.2, checkpoint_dir=tmp_path)
    assert losses(resumed) == losses(whole)
    assert same_weights(resumed, whole)


def test_a_full_disk_leaves_the_checkpoints_as_they_were(tmp_path: Path) -> None:
    fit(bundled_points(20), max_epochs=2, checkpoint_dir=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["checkpoint.previous.safetensors", "checkpoint.safetensors"]
    resource = pytest.importorskip("resource", reason="of POSIX systems")
    checkpoint = Checkpoint(tmp_path / "checkpoint.safetensors", "f")
    state = TrainingState({"a": torch.zeros(100_000)}, {}, {"state": {}, "param_groups": []}, 1.0, 1.0, 0, [])
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint.safetensors") as caught:
            checkpoint.write(state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "previous" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_checkpoint_needs_a_seed_to_come_back_to(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="random_state must be an integer where checkpoint_dir is given, got None"):
        fit(bundled_points(20), checkpoint_dir=tmp_path, random_state=None)
