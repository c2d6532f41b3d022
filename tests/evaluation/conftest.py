"""Crystals, features and records that several files of tests share.

The package is imported when they are asked for: libraries of matminer change the filters of warnings on import, which
has to happen where a test file is collected.
"""

import numpy as np
import pytest
from sklearn.utils import Bunch

from tests.evaluation.toy import toy


@pytest.fixture(scope="session")
def energies():
    from skdim.datasets import in_test_fold
    from tests.bundled import rows
    from tests.small import crystals_and_energies

    crystals, target = crystals_and_energies(range(400))
    names = [row["material_id"] for row in rows()[:400]]
    return Bunch(data=crystals, target=target, test_mask=in_test_fold(names), material_id=names)


@pytest.fixture(scope="session")
def magpie(energies):
    from skdim.evaluation import magpie_statistics

    return magpie_statistics(energies.data)


@pytest.fixture(scope="session")
def records(energies, magpie):
    from skdim.evaluation import label_efficiency

    sets, data = {"Magpie": magpie, "few columns": magpie.iloc[:, ::12]}, (energies.target, energies.test_mask)
    regressors = ["median", "ridge", "kernel_ridge", "extra_trees"]
    return label_efficiency(
        sets, *data, label_counts=(30, 100), regressors=regressors, n_repeats=2, task="energy", random_state=7
    )


@pytest.fixture
def task():
    X, y = toy(120, 6)
    return X, y, np.arange(120) % 4 == 0
