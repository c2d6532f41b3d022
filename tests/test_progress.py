"""Progress: silent if asked, lines in a log, an announcement of what will take long."""

import io
import sys

import pytest

from skdim import _progress
from skdim._progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [0.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


def run(clock, seconds, **options):
    with Progress("working", "steps", 10, **options) as progress:
        for _ in range(10):
            clock[0] += seconds
            progress.update(loss="0.5")


def test_nothing_is_written_unless_asked_for(clock, capsys):
    run(clock, 100, enabled=False, announce=True)
    assert capsys.readouterr() == ("", "")


def test_short_work_is_one_line_in_a_log(clock, capsys):
    run(clock, 0.5, enabled=True, announce=True)
    assert capsys.readouterr() == ("", "working: 10 of 10 steps in 5 s, loss=0.5\n")


def test_a_log_has_a_line_now_and_then_and_no_carriage_return(clock, capsys):
    run(clock, 25, enabled=True)
    out, log = capsys.readouterr()
    lines = log.splitlines()
    assert out == ""
    assert "\r" not in log
    assert lines[0] == "working: 1 of 10 steps in 25 s, about 3 min 45 s left, loss=0.5"
    assert lines[-1] == "working: 10 of 10 steps in 4 min 10 s, loss=0.5"
    assert 3 <= len(lines) <= 6


def test_how_many_there_are_may_turn_out_on_the_way(clock, capsys):
    with Progress("working", "steps", 2, enabled=True) as progress:
        progress.expect(3)
        progress.update(3)
    assert capsys.readouterr().err == "working: 3 of 3 steps in 0.0 s\n"


def test_long_work_is_announced_after_its_first_step(clock, capsys):
    run(clock, 9, enabled=True, announce=True)
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "working: at most about 1 min 21 s more, for 9 steps of 9 s each"


def test_an_imported_kernel_is_no_notebook(clock, capsys):
    pytest.importorskip("ipykernel", reason="the extra docs is not installed")
    run(clock, 0.5, enabled=True, announce=True)
    assert capsys.readouterr() == ("", "working: 10 of 10 steps in 5 s, loss=0.5\n")


def test_a_terminal_gets_a_bar(clock, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run(clock, 9, enabled=True, announce=True)
    assert "10/10" in terminal.getvalue()
    assert "\nworking: at most about 1 min 21 s more" in "\n" + terminal.getvalue().replace("\r", "\n")
