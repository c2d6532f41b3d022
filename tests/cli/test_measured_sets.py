"""Recipes for measured sets, as the page has them, on small files in the layout that the sets are published in."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.io.cif import CifWriter

from skdim import read_crystals
from skdim.cli.labels import read_labels
from tests.handmade import salt, silicon

PAGE = Path(__file__).parent.parent.parent / "docs" / "fit.md"
MAGNDATA = """\
#\\#CIF_2.0
# Created by the Bilbao Crystallographic Server
data_5yOhtAoR
_citation_journal_abbrev  ?
{tag}  {temperature}
_experiment_temperature  ?
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
2 -x,-y,-z,-1
loop_
_space_group_symop_magn_centering.id
_space_group_symop_magn_centering.xyz
1 x,y,z,+1
2 x+1/2,y+1/2,z,-1
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni1 Ni 0 0 0
O1 O 0.5 0 0
loop_
_atom_site_moment.label
_atom_site_moment.crystalaxis_x
_atom_site_moment.crystalaxis_y
_atom_site_moment.crystalaxis_z
Ni1 0 0 1.9
"""


def test_recipes_for_measured_sets_run_as_written_on_files_in_their_layout(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("3DSC_MP.csv").write_text(
        '# "The 3DSC_MP."\nformula_sc,tc,cif,synth_doped\n'
        "Ag1B2,6.7,data/final/MP/cifs/Ag1B2-MP-mp-12062.cif,False\n"
        "Ag0.2Ba1Si1.8,3.2,data/final/MP/cifs/Ag0.2Ba1Si1.8-MP-mp-7275-synth_doped.cif,True\n"
        "Ag1Be2,0,data/final/MP/cifs/Ag1Be2-MP-mp-603.cif,False\n"
    )
    tags = {"0.1": ("_transition_temperature", "'523'"), "0.12": ("_Neel_temperature", "65(2)"), "1.3": ("_note", "?")}
    for folder in ("magndata", "mp"):
        Path(folder).mkdir()
    for name, (tag, temperature) in tags.items():
        Path(f"magndata/{name}.mcif").write_text(MAGNDATA.format(tag=tag, temperature=temperature))
    for name, crystal in (("salt", salt()), ("silicon", silicon())):
        CifWriter(crystal).write_file(f"mp/{name}.cif")
    with gzip.open("matbench_expt_gap.json.gz", "wt") as file:
        json.dump(
            {"index": [0, 1], "columns": ["composition", "gap expt"], "data": [["ClNa", 8.5], ["GaAs", 1.4]]}, file
        )

    for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text().split("## Measured sets")[1], re.M | re.S):
        exec(block, {})

    cifs = [f"superconductors_3D/{path}" for path in pd.read_csv("3DSC_MP.csv", skiprows=1)["cif"]]
    for table, target, key, ids, values in (
        ("tc.csv", "tc", "cif", cifs, [6.7, 3.2, np.nan]),
        ("magndata.csv", "T", None, [f"magndata/{name}.mcif" for name in tags], [523, 65, np.nan]),
        ("gaps.csv", "gap", None, ["mp/salt.cif", "mp/silicon.cif"], [8.5, np.nan]),
    ):
        found = read_labels(Path(table), target, ids, key=key, groups=None)
        np.testing.assert_array_equal(found.values, values)
        assert not found.unmatched
    for magnetic in read_crystals("magndata"):
        with pytest.warns(UserWarning, match="without their moments"):
            assert magnetic.structure.composition.formula == "Ni2 O2"
