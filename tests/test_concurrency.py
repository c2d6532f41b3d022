"""Batches in threads: the same results in the same order, few of them waiting, nothing changed for others."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxEmbedder
from skdim.concurrency import concurrently, one_torch_thread
from tests.small import bundled_points


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


def test_vectors_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    points = bundled_points(200)
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(points)
    monkeypatch.setattr("skdim.embedding.PAIRS", {1: 3000, 2: 3000})
    together = embedder.transform(points)
    with one_torch_thread():
        np.testing.assert_allclose(embedder.transform(points), together, atol=5e-5)
