"""The page of a map: what it holds, what it refuses, and that no text in the data becomes code."""

import base64
import json

import numpy as np
import pandas as pd
import pytest

from skdim.plotting import _map_page as map_page
from skdim.plotting import nearest_rows, project, save_map_page
from tests.daily import slow
from tests.handmade import salt

SALT = salt()


def page_data(path):
    """Return what the page holds, read as a browser reads it: up to the first end of a script element."""
    text = path.read_text(encoding="utf-8")
    return json.loads(text.split('<script id="data" type="application/json">', 1)[1].split("</script>", 1)[0])


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def test_the_page_holds_places_properties_neighbours_and_structures(tmp_path):
    rng = np.random.default_rng(0)
    places, table = rng.normal(size=(5, 2)), pd.DataFrame({"id": list("abcde"), "gap (eV)": [0.5, np.nan, 1, 2, 3]})
    table["kind"] = ["oxide", None, "oxide", "halide", "halide"]
    near = nearest_rows(places, k=2)
    save_map_page(tmp_path / "m.html", places, table, neighbors=near, structures={2: SALT}, color="kind")
    data = page_data(tmp_path / "m.html")
    assert data["id"] == list("abcde")
    assert data["color"] == "kind"
    np.testing.assert_array_equal(floats(data["x"]), places[:, 0].astype(np.float32))
    np.testing.assert_array_equal(floats(data["columns"][0]["numbers"]), table["gap (eV)"].to_numpy(np.float32))
    assert data["columns"][1]["texts"] == ["oxide", "", "oxide", "halide", "halide"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(data["neighbors"]), "<i4").reshape(5, 2), near)
    crystal = data["structures"]["2"]
    places = np.frombuffer(base64.b64decode(crystal["places"]), "<u2").reshape(-1, 3) / 65_535
    np.testing.assert_allclose(places, SALT.frac_coords % 1, atol=2e-5)
    assert sorted(data["elements"]) == ["11", "17"]


def test_the_page_asks_nothing_of_the_network(tmp_path):
    save_map_page(tmp_path / "m.html", np.zeros((2, 2)), pd.DataFrame({"id": ["a", "b"]}))
    page = (tmp_path / "m.html").read_text(encoding="utf-8")
    # plotly.js fetches maps of the world only for maps of the world.
    assert "<script src" not in page
    assert "<link" not in page
    assert "@import" not in page


def test_hostile_ids_stay_texts(tmp_path):
    hostile = ["</script><script>alert(1)</script>", "<!--<script>", "\u2028", "=1+2"]
    save_map_page(tmp_path / "m.html", np.zeros((4, 2)), pd.DataFrame({"id": hostile}))
    assert page_data(tmp_path / "m.html")["id"] == hostile


def test_what_does_not_fit_together_is_refused(tmp_path):
    table = pd.DataFrame({"id": ["a", "b"], "gap": [1.0, 2.0]})
    for places, options, message in [
        (np.zeros((3, 2)), {}, r"coordinates must be finite numbers of shape \(2, 2\), got shape \(3, 2\)"),
        (np.full((2, 2), np.nan), {}, "coordinates must be finite"),
        (np.zeros((2, 2)), {"color": "K"}, "color must be one of the columns .*'gap'.*, got 'K'"),
        (np.zeros((2, 2)), {"neighbors": np.zeros((1, 2))}, "neighbors must have 2 rows, got 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            save_map_page(tmp_path / "m.html", places, table, **options)
    with pytest.raises(ValueError, match="must have a column 'id'"):
        save_map_page(tmp_path / "m.html", np.zeros((2, 2)), table.drop(columns="id"))
    assert not list(tmp_path.iterdir())


def test_more_structures_than_a_page_holds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(map_page, "MOST_STRUCTURES", 1)
    with pytest.raises(ValueError, match="at most 1 structures, got 2"):
        save_map_page(
            tmp_path / "m.html", np.zeros((2, 2)), pd.DataFrame({"id": ["a", "b"]}), structures={0: SALT, 1: SALT}
        )


def test_nearest_rows_are_those_of_all_distances():
    vectors = np.random.default_rng(1).normal(size=(60, 7))
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(nearest_rows(vectors, k=4), np.argsort(distances, axis=1)[:, :4])


def test_a_row_is_not_its_own_neighbour_among_equals():
    near = nearest_rows(np.repeat(np.random.default_rng(0).normal(size=(3, 4)), 5, axis=0), k=3)
    assert not (near == np.arange(15)[:, None]).any()
    np.testing.assert_array_equal(near // 5, np.arange(15)[:, None] // 5 + np.zeros((1, 3), int))


@pytest.mark.parametrize("method", ["pca", *slow("tsne")])
def test_projection_keeps_two_groups_apart_and_repeats(method):
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(0, 1, (20, 6)), rng.normal(12, 1, (20, 6))])
    places = project(vectors, method)
    np.testing.assert_array_equal(places, project(vectors, method))
    middles = places[:20].mean(0), places[20:].mean(0)
    spread = max(
        np.linalg.norm(places[:20] - middles[0], axis=1).max(), np.linalg.norm(places[20:] - middles[1], axis=1).max()
    )
    assert np.linalg.norm(middles[0] - middles[1]) > spread


def test_projections_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="method must be 'pca', 'tsne' or 'umap', got 'mds'"):
        project(np.zeros((5, 2)), "mds")
    with pytest.raises(ValueError, match="at least 4 crystals, got 3"):
        project(np.zeros((3, 2)))
