"""The package itself: what importing it costs, the names it offers, its version."""

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import skdim


def test_importing_the_package_imports_no_heavy_library():
    heavy = {"joblib", "matminer", "matplotlib", "numpy", "pandas", "pymatgen", "sklearn", "skorch", "torch"}
    code = f"import sys, skdim; print(*sorted({heavy!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert loaded == []


@pytest.mark.parametrize("name", sorted(set(skdim.__all__) - {"__version__"}))
def test_each_public_name_is_listed_and_is_what_its_module_defines(name):
    assert name in dir(skdim)
    value = getattr(skdim, name)
    assert value.__name__ == name
    assert value is getattr(sys.modules[value.__module__], name)


def test_type_checkers_are_told_the_same_names():
    tree = ast.parse(Path(skdim.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.asname: node.module for node in block.body for alias in node.names}
    assert told == {name: getattr(skdim, name).__module__ for name in set(skdim.__all__) - {"__version__"}}


def test_unknown_name_is_refused_with_the_public_ones_named():
    with pytest.raises(AttributeError, match=r"no attribute 'DeepInfoMin'.*DeepInfoMaxEmbedder"):
        _ = skdim.DeepInfoMin


def test_the_installed_version_is_the_one_in_the_source():
    assert version("skdim-crystals") == skdim.__version__
