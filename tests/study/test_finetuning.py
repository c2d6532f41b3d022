"""The start from another property learns from no crystal that is in the test fold of any task."""

from dataclasses import replace

import numpy as np

from skdim import SiteNetRegressor
from skdim.study.encoders import Encoders
from skdim.study.finetuning import OtherProperty
from skdim.study.tasks import load_task


def test_labels_of_another_property_leave_out_the_test_folds_of_every_task(tmp_path):
    gaps, energies = load_task("band_gap").sample(40, 0), load_task("formation_energy").sample(40, 1)
    pool = np.flatnonzero(~energies.test_mask)
    # A crystal of the training fold of one that is in the test fold of the other.
    ids = list(gaps.material_id)
    ids[int(np.argmax(gaps.test_mask))] = energies.material_id[pool[3]]
    encoders = Encoders([replace(gaps, material_id=ids), energies], tmp_path, 0, 0, None, 0, print)
    points, target = OtherProperty(encoders, SiteNetRegressor(), 40, 0, print).labelled("formation_energy")
    assert target.tolist() == np.delete(energies.target[pool], 3).tolist()
    assert points.equals(encoders.points_of("default", energies)[np.delete(pool, 3)])
    # Of a data set that is no task of the study, its own test fold is left out too.
    moduli = load_task("elastic_moduli").sample(40, 0)
    tested = {i for i, test in zip(ids, gaps.test_mask, strict=True) if test}
    tested |= {i for i, test in zip(energies.material_id, energies.test_mask, strict=True) if test}
    use = [not test and i not in tested for i, test in zip(moduli.material_id, moduli.test_mask, strict=True)]
    _, other = OtherProperty(encoders, SiteNetRegressor(), 40, 0, print).labelled("elastic_moduli")
    assert other.tolist() == moduli.target[use].tolist()
