"""The ranges that pyproject.toml states are the ones that are tested: it and the files of exact versions agree."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import skdim

ROOT = Path(__file__).parent.parent


def stated(*extras):
    """Requirements of the package and of these extras, by canonical name, its own extras left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]
    requirements = {canonicalize_name(r.name): r for r in map(Requirement, lines)}
    requirements.pop(canonicalize_name(project["name"]), None)
    assert len(requirements) >= 10
    return requirements


def pins(name):
    """Exact versions in a file of requirements/, by canonical name."""
    lines = [line for line in (ROOT / "requirements" / name).read_text().splitlines() if line and line[0] != "#"]
    assert all(line.count("==") == 1 for line in lines)
    return {canonicalize_name(key): Version(value) for key, value in (line.split("==") for line in lines)}


def test_every_lower_bound_is_what_the_lowest_environment_installs():
    lowest = pins("lowest.txt")
    for name, requirement in stated("accelerate", "ase", "dask", "draw", "test").items():
        (bound,) = (Version(s.version) for s in requirement.specifier if s.operator == ">=")
        assert bound == lowest[name], name


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("constraints.txt", ("accelerate", "ase", "browser", "dask", "docs", "draw", "dev", "ray", "test")),
        ("lowest.txt", ()),
    ],
)
def test_every_requirement_is_pinned_to_a_version_it_admits(name, extras):
    exact = pins(name)
    for key, requirement in stated(*extras).items():
        assert requirement.specifier.contains(exact[key]), key


@pytest.mark.parametrize("name", ["constraints.txt", "lowest.txt"])
def test_versions_are_those_of_any_index(name):
    assert all(version.local is None for version in pins(name).values())


def test_the_lock_has_hashes_and_the_versions_of_the_constraints():
    lines = [line for line in (ROOT / "requirements" / "lock.txt").read_text().splitlines() if "==" in line]
    locked = {canonicalize_name(name): version.split()[0] for name, version in (line.split("==", 1) for line in lines)}
    exact = pins("constraints.txt")
    shared = sorted(set(locked) & set(exact))
    assert len(shared) > 40
    assert [name for name in shared if Version(locked[name]) != exact[name]] == []
    assert (ROOT / "requirements" / "lock.txt").read_text().count("--hash=sha256:") > len(lines)


def test_the_citation_names_the_version():
    (version,) = [line for line in (ROOT / "CITATION.cff").read_text().splitlines() if line.startswith("version: ")]
    assert version == f"version: {skdim.__version__}"
