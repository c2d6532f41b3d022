"""Batches in threads: the same results in the same order, few of them waiting, nothing changed for others."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxEmbedder
from skdim.concurrency import concurrently, one_torch_thread
from tests.small import bundled_points

FORKED = """
import multiprocessing
import numpy as np
import torch
torch.set_num_threads(4)
torch.randn(500, 500) @ torch.randn(500, 500)  # starts the threads that a forked process lacks
from skdim import DeepInfoMaxEmbedder
from tests.small import bundled_points
points = bundled_points(150)
embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(points)
own, queue = embedder.transform(points), multiprocessing.get_context("fork").Queue()
multiprocessing.get_context("fork").Process(target=lambda: queue.put(embedder.transform(points))).start()
np.testing.assert_allclose(queue.get(timeout=60), own, atol=5e-5)
print("equal")
"""


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_come_in_the_order_of_the_items_whatever_takes_longer(n_threads: int) -> None:
    def late(k: int) -> int:
        time.sleep(0.002 * (k % 3 == 0))
        return k

    assert list(concurrently(late, range(20), n_threads)) == list(range(20))
    assert list(concurrently(late, [], n_threads)) == []


def test_each_thread_computes_in_one_thread_and_afterwards_all_is_as_before() -> None:
    meeting = threading.Barrier(2, timeout=60)

    def look(_: int) -> tuple[int, int]:
        meeting.wait()  # so that both threads take part
        return threading.get_ident(), torch.get_num_threads()

    seen = list(concurrently(look, range(4), 2))
    assert len({thread for thread, _ in seen}) == 2
    assert {n for _, n in seen} == {1}
    assert torch.get_num_threads() == 2


def test_items_are_taken_as_they_are_needed() -> None:
    taken = 0

    def items():
        nonlocal taken
        for k in range(1000):
            taken += 1
            yield k

    results = concurrently(lambda k: k, items(), 3)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert taken < 20
    results.close()
    assert torch.get_num_threads() == 2


def test_an_error_of_one_item_is_raised_and_leaves_nothing_behind() -> None:
    def refuse(k: int) -> int:
        if k == 3:
            raise ValueError("item 3")
        return k

    with pytest.raises(ValueError, match="item 3"):
        list(concurrently(refuse, range(100), 2))
    assert torch.get_num_threads() == 2
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor") and t.is_alive()]


def test_uses_that_overlap_put_back_what_the_first_one_found() -> None:
    first, second = concurrently(abs, range(3), 2), concurrently(abs, range(6), 2)
    next(first), next(second)
    assert list(first) == [1, 2]
    assert torch.get_num_threads() == 1
    assert list(second) == [1, 2, 3, 4, 5]
    assert torch.get_num_threads() == 2


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the hang is one of forked processes")
def test_a_forked_process_embeds_few_crystals_though_it_lacks_the_threads_of_torch() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120)
    assert done.stdout == "equal\n", done.stderr


def test_vectors_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    points = bundled_points(200)
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(points)
    monkeypatch.setattr("skdim.embedding.PAIRS", {1: 3000, 2: 3000})
    together = embedder.transform(points)
    with one_torch_thread():
        np.testing.assert_allclose(embedder.transform(points), together, atol=5e-5)
