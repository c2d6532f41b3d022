"""Diagrams of estimators link to the page about each, where there are pages."""

import re
from pathlib import Path

import pytest

import skdim
from skdim import _estimators


@pytest.fixture(params=["https://skdim.example/en", ""])
def address(request, monkeypatch):
    monkeypatch.setattr(_estimators, "documentation_address", lambda: request.param)
    return request.param


@pytest.mark.parametrize(
    "name",
    ["CrystalPointSetTransformer", "DeepInfoMaxEmbedder", "SiteNetRegressor", "CrystalRegressor", "CrystalClassifier"],
)
def test_each_diagram_links_to_the_page_of_its_estimator_if_there_is_one(name, address):
    estimator = getattr(skdim, name)()
    module = type(estimator).__module__
    page = f"{address}/generated/{module}.html#{module}.{name}"
    assert estimator._get_doc_link() == (page if address else "")
    assert (page in estimator._repr_html_()) == bool(address)
    assert "scikit-learn.org" not in re.findall(f'href="[^"]*{name}', estimator._repr_html_())


def test_pages_that_were_built_beside_the_package_are_found():
    found, built = _estimators.documentation_address(), Path(skdim.__file__).parents[1] / "docs" / "_build" / "html"
    assert found.startswith("https://") or bool(found) == (built / "index.html").is_file()
