"""Pretraining in several processes of which one is lost; run by test_distributed.py through a launcher.

    python tests/lost.py FOLDER

If there is a file "lose" in the folder, the second process is killed as soon as there is a checkpoint.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch

from skdim import DeepInfoMaxEmbedder
from tests.small import bundled_points


def end_when_there_is(file: Path) -> None:
    """End this process, as a machine that fails does."""
    while not file.exists():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    if rank == 1 and (folder / "lose").exists():
        checkpoint = folder / "checkpoint" / "checkpoint.safetensors"
        threading.Thread(target=end_when_there_is, args=(checkpoint,), daemon=True).start()
    embedder = DeepInfoMaxEmbedder(
        encoder_params={"width": 8},
        max_epochs=12,
        batch_pairs=200,
        random_state=0,
        checkpoint_dir=folder / "checkpoint",
    )
    np.save(folder / f"vectors-{rank}.npy", embedder.fit_transform(bundled_points(40)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
