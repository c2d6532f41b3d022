"""How often it is pretrained: once for the same crystals and parameters, whatever the labels are."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

from skdim import PointSets
from skdim.learning.pretraincache import pretraining_key
from tests.handmade import salt
from tests.masked import MAE, data, embedder, model, pretrainings
from tests.small import bundled, bundled_points


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["str", "path", "Memory"])
def test_a_search_over_labels_pretrains_once_a_fold(tmp_path: Path, kind: str) -> None:
    memory = {"str": str(tmp_path), "path": tmp_path, "Memory": joblib.Memory(tmp_path, verbose=0)}[kind]
    points, y = data(40, unknown=5)
    grid = {"n_labels": [5, 10, None], "random_state": [0, 1], "regressor__alpha": [1.0, 100.0]}
    search = GridSearchCV(model(memory=memory), grid, cv=2, scoring=MAE, refit=False, error_score="raise")
    search.fit(points, y)
    assert pretrainings(tmp_path) == 2
    plain = GridSearchCV(model(), {"n_labels": [5, 10, None]}, cv=2, scoring=MAE, refit=False).fit(points, y)
    kept = GridSearchCV(model(memory=memory), {"n_labels": [5, 10, None]}, cv=2, scoring=MAE).fit(points, y)
    assert pretrainings(tmp_path) == 3  # the refit on all rows
    for name in ("split0_test_score", "split1_test_score"):
        assert kept.cv_results_[name] == pytest.approx(plain.cv_results_[name], rel=1e-6)


def test_what_decides_a_pretraining_is_its_key_and_labels_are_not(tmp_path: Path) -> None:
    points, y = data(20)
    model(memory=tmp_path).fit(points, y)
    model(memory=tmp_path).fit(points, -2 * y)
    model(memory=tmp_path).fit(bundled(20)[0], y)  # the same crystals, not yet featurized
    model(memory=tmp_path).fit(points, np.where(np.arange(20) < 9, y, np.nan), sample_weight=np.ones(20))
    assert pretrainings(tmp_path) == 1
    for changed in ({"max_epochs": 0}, {"random_state": 1}, {"encoder_params": {"width": 4}}):
        model(memory=tmp_path, embedder=embedder(**changed)).fit(points, y)
    assert pretrainings(tmp_path) == 4
    model(memory=tmp_path).fit(points[:19], y[:19])
    model(memory=tmp_path).fit(points[::-1], y)
    assert pretrainings(tmp_path) == 6


def test_point_sets_have_one_key_whatever_they_were_cut_out_of() -> None:
    rows = np.array([7, 3, 30, 11])
    cut = bundled_points(40)[rows]
    made = PointSets.concatenate([bundled_points(40)[row] for row in rows])
    alone = embedder().featurize([bundled(40)[0][row] for row in rows])
    assert len(cut.site_types) > len(alone.site_types)
    assert len({pretraining_key(embedder(), points) for points in (cut, made, alone)}) == 1
    assert pretraining_key(embedder(), cut[::-1]) != pretraining_key(embedder(), cut)


def test_of_files_the_content_is_the_key(tmp_path: Path) -> None:
    other, path = StandardScaler(), tmp_path / "POSCAR"
    keys = set()
    for structure in (salt(), salt(), bundled(1)[0][0]):
        structure.to(str(path), "poscar")
        keys.add(pretraining_key(other, [path]))
    assert len(keys) == 2
