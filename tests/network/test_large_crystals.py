"""Memory of one large crystal: a process of its own, whose peak is looked at."""

from __future__ import annotations

import subprocess
import sys

import pytest

EMBED = """
import numpy as np
import torch
from pymatgen.core import Lattice, Structure
from skdim import DeepInfoMaxEmbedder
from skdim.datasets import load_band_gap

embedder = DeepInfoMaxEmbedder(preset="paper", max_epochs=0, random_state=0).fit(load_band_gap().data[:20])
rng = np.random.default_rng(0)
places = np.stack(np.meshgrid(*[np.arange(13)] * 3), -1).reshape(-1, 3)[:2000] + rng.uniform(-0.1, 0.1, (2000, 3))
crystal = Structure(Lattice.cubic(2.6 * 13), rng.choice(["Si", "O", "Na", "Al"], 2000), places / 13)
vector = embedder.transform([crystal])
assert np.isfinite(vector).all()
# Of this process alone: getrusage counts what the process that started it had in memory, too.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak = int(status["VmHWM"].split()[0])
if torch.version.cuda:  # without the pages of its libraries, gigabytes of them, whatever is computed
    peak -= int(status["RssFile"].split()[0])
print(peak * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process alone is known on Linux only")
def test_the_paper_s_preset_embeds_two_thousand_sites_within_a_gibibyte() -> None:
    """Four million pairs; what the imports take is in it too."""
    done = subprocess.run([sys.executable, "-c", EMBED], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2**30
