"""Threads of torch: what is counted on is there, and what was changed is put back."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.learning.callbacks import ShowProgress
from skdim.network.threads import one_torch_thread, use_one_thread_after_fork
from tests.small import bundled, bundled_points

FORKED = """
import multiprocessing
import numpy as np
import torch
from sklearn.base import clone
torch.set_num_threads(4)
torch.randn(500, 500) @ torch.randn(500, 500)  # starts the threads that a forked process lacks
from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.interpretation import attention_by_distance
from tests.small import bundled_points
points = bundled_points(150)
embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(points)
labels = np.arange(20.0)
regressor = SiteNetRegressor(embedder, max_epochs=1, random_state=0).fit(points[:20], labels)
uses = {
    "embed": lambda: embedder.transform(points),
    "pretrain": lambda: DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit_transform(points),
    "predict": lambda: regressor.predict(points),
    "interpret": lambda: attention_by_distance(embedder, points[:3])["weight"].to_numpy(),
    "fine-tune": lambda: clone(regressor).fit(points[:20], labels).predict(points[:20]),
}
context = multiprocessing.get_context("fork")
for name, use in uses.items():
    own, queue = use(), context.Queue()
    context.Process(target=lambda: queue.put(use()), daemon=True).start()
    # A training adds its own differences to those of the threads.
    np.testing.assert_allclose(queue.get(timeout=20), own, atol=0.05 if name in ("pretrain", "fine-tune") else 1e-4)
    print(name)
"""


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_uses_that_overlap_put_back_what_the_first_one_found() -> None:
    first, second = one_torch_thread(), one_torch_thread()
    first.__enter__(), second.__enter__()
    assert torch.get_num_threads() == 1
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == 1
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == 2


def test_an_error_inside_puts_the_threads_back() -> None:
    with pytest.raises(ValueError, match="inside"), one_torch_thread():
        raise ValueError("inside")
    assert torch.get_num_threads() == 2


def test_a_process_that_was_not_forked_keeps_its_threads() -> None:
    use_one_thread_after_fork()
    assert torch.get_num_threads() == 2


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the hang is one of forked processes")
def test_a_forked_process_works_though_it_lacks_the_threads_of_torch() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["embed", "pretrain", "predict", "interpret", "fine-tune"], done.stderr


@pytest.mark.slow
def test_vectors_do_not_depend_on_the_number_of_threads_or_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    points = bundled_points(200)
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(points)
    together = embedder.transform(points)
    monkeypatch.setattr("skdim.learning.embedding.PAIRS", dict.fromkeys(("none", "near", "all"), 3000))
    with one_torch_thread():
        np.testing.assert_allclose(embedder.transform(points), together, atol=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("batch_pairs", "threads"), [(300, 1), (20_000, 2)])
def test_fine_tuning_on_small_batches_takes_one_thread(
    batch_pairs: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Watching(ShowProgress):
        def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
            seen.append(torch.get_num_threads())

    monkeypatch.setattr("skdim.learning.training.ShowProgress", Watching)
    model = SiteNetRegressor(max_epochs=1, batch_pairs=batch_pairs, cv=None, random_state=0, device="cpu")
    model.fit(bundled_points(20), bundled(20)[1])
    assert seen == [threads]
    assert torch.get_num_threads() == 2
