"""The walk of a newcomer: the README and the start page, followed line by line in an empty folder."""

import re
import shlex
from pathlib import Path

import pytest

from skdim.cli import main
from skdim.datasets import load_elastic_moduli

ROOT = Path(__file__).parent.parent
INSTALLING = ("pip ", "make ")  # not in a test


def steps(page):
    """The code blocks of a page in order: ("python", code) and ("console", a command line)."""
    blocks = re.findall(r"^```(python|console)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for kind, body in blocks:
        if kind == "python":
            yield kind, body
        else:
            yield from ((kind, line) for line in re.findall(r"^ *\$ (.*?) *(?:#.*)?$", body, re.MULTILINE))


def walk(page):
    """Follow a page in the current folder: Python in one session, as one types it, and each command."""
    names, done = {}, []
    for kind, text in steps(page):
        if kind == "console" and text.startswith(INSTALLING):
            continue
        if kind == "python":
            exec(compile(text, str(page), "exec"), names)
        else:
            program, *rest = shlex.split(text)
            assert program == "skdim", text
            assert main(rest) == 0, text
        done.append(text)
    return done


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_blocks_are_found():
    for page in (ROOT / "README.md", ROOT / "docs" / "start.md"):
        kinds = [kind for kind, _ in steps(page)]
        assert {"python", "console"} == set(kinds)
        assert len(kinds) >= 5


def shapes(text):
    """The lines of a text without numbers: these, the regressor chosen and whether fine-tuning is tried may differ."""
    lines = [re.sub(r"[\d.]+", "0", line).replace("<- chosen", "") for line in text.splitlines()]
    lines = [" ".join(re.sub(r"chosen: \S+|\(of the ridge, .*\)", "", line).split()) for line in lines]
    return {line for line in lines if line and "fine-tuning" not in line}


@pytest.mark.slow
def test_the_start_page_can_be_followed(folder, capsys):
    page = ROOT / "docs" / "start.md"
    done = walk(page)
    shown = re.findall(r"^```text\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    assert shapes("".join(shown)) <= shapes(capsys.readouterr().out)
    assert sum(text.startswith("skdim ") for text in done) >= 4
    for name in ("model.skdim", "model.skdim.html", "predictions.csv", "vectors.parquet", "map.html"):
        assert (folder / name).stat().st_size


@pytest.mark.slow
def test_the_readme_can_be_followed_by_who_has_files_and_labels(folder):
    crystals = load_elastic_moduli(as_frame=True, target="K_VRH").frame
    for name, rows in {"cifs": crystals[:40], "new_cifs": crystals[40:45]}.items():
        (folder / name).mkdir()
        for material, structure in zip(rows["material_id"], rows["structure"], strict=True):
            structure.to(str(folder / name / f"{material}.cif"))
    labels = crystals[:40].rename(columns={"material_id": "id", "K_VRH": "conductivity"})
    labels[["id", "conductivity"]].to_csv(folder / "labels.csv", index=False)
    done = walk(ROOT / "README.md")
    assert sum(text.startswith("skdim ") for text in done) >= 2
    assert (folder / "predictions.csv").read_text("utf-8").count("\n") == 6
