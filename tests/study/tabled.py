"""A table of crystals with labels, as a user might have one."""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skdim.datasets import load_formation_energy


@cache
def crystals(n=60):
    """Some bundled crystals."""
    bunch = load_formation_energy()
    return list(bunch.data[:n]), list(bunch.material_id[:n]), np.asarray(bunch.target[:n])


def write_cells(path, n=60, **columns):
    """Write the crystals as cells, numbers and coordinates, with two labels, one of which is not known of all."""
    structures, ids, energies = crystals(n)
    volume = np.array([s.volume / len(s) for s in structures])
    columns = {
        "material_id": ids,
        "cell": [list(s.lattice.parameters) for s in structures],
        "numbers": [list(s.atomic_numbers) for s in structures],
        "frac_coords": [s.frac_coords.ravel().tolist() for s in structures],
        "energy": energies,
        "volume": np.where(np.arange(n) % 10 == 3, np.nan, volume),
        **columns,
    }
    pq.write_table(pa.table(columns), path)
    return path
