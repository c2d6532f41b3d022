"""Dicts in every dialect of the field become the crystal they describe, and run nothing that they name."""

import contextlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.db.row import AtomsRow
from ase.io.jsonio import encode
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from skdim.crystals.crystal import site_species
from skdim.crystals.parsing import PARSER_ERRORS, crystal_from_record, crystal_from_text
from skdim.crystals.records import structure_from_dict, unwrap
from skdim.crystals.species import symbol_of
from skdim.crystals.structures import coerce_structure, try_crystal, try_structure
from tests.daily import examples
from tests.handmade import entry, flat, iron, perovskite, salt, silicon, told


def disordered() -> Structure:
    return Structure(Lattice.hexagonal(5, 8), [{"Li+": 0.5}, {"Fe2+": 0.25, "Fe3+": 0.5}, "O2-"], np.eye(3) * 0.4)


def as_optimade(structure: Structure) -> dict:
    """Attributes as the specification of OPTIMADE 1.2 has them."""
    species = {}
    for site in structure:
        held = {element.symbol: amount for element, amount in site.species.element_composition.items()}
        left = round(1 - sum(held.values()), 6)
        symbols, shares = [*held, *(["vacancy"] if left else [])], [*held.values(), *([left] if left else [])]
        species[site.species_string] = {
            "name": site.species_string,
            "chemical_symbols": symbols,
            "concentration": shares,
        }
    return {
        "lattice_vectors": structure.lattice.matrix.tolist(),
        "cartesian_site_positions": structure.cart_coords.tolist(),
        "species_at_sites": [site.species_string for site in structure],
        "species": list(species.values()),
        "nperiodic_dimensions": 3,
        "dimension_types": [1, 1, 1],
        "structure_features": ["disorder"] if not structure.is_ordered else [],
    }


def as_jarvis(structure: Structure, cartesian: bool = False) -> dict:
    """Atoms as ``jarvis.core.atoms.Atoms.to_dict`` gives them."""
    return {
        "lattice_mat": structure.lattice.matrix.tolist(),
        "coords": (structure.cart_coords if cartesian else structure.frac_coords).tolist(),
        "elements": [site.specie.symbol for site in structure],
        "abc": list(structure.lattice.abc),
        "angles": list(structure.lattice.angles),
        "cartesian": cartesian,
        "props": [""] * len(structure),
    }


def as_ase(structure: Structure) -> dict:
    return json.loads(encode(AseAtomsAdaptor.get_atoms(structure, msonable=False).todict()))


def as_ase_row(structure: Structure) -> dict:
    row = AtomsRow(AseAtomsAdaptor.get_atoms(structure, msonable=False))
    return json.loads(encode({key: row[key] for key in ("numbers", "positions", "cell", "pbc")}))


def arrays(structure: Structure) -> dict:
    record = flat(structure)
    return {**record, "lattice": np.array(record["lattice"]), "frac_coords": np.array(record["frac_coords"])}


def same(one: Structure, other: Structure) -> bool:
    return (
        np.allclose(one.lattice.matrix, other.lattice.matrix)
        and np.allclose(one.cart_coords, other.cart_coords)
        and site_species(one) == site_species(other)
    )


ORDERED = {
    "pymatgen": lambda s: s.as_dict(),
    "pymatgen through JSON": lambda s: json.loads(s.to_json()),
    "pymatgen, lattice by lengths": lambda s: {**s.as_dict(), "lattice": {**s.lattice.params_dict}},
    "flat": flat,
    "flat of arrays": arrays,
    "optimade": as_optimade,
    "jarvis": as_jarvis,
    "jarvis, cartesian": lambda s: as_jarvis(s, cartesian=True),
    "ase": as_ase,
    "ase of arrays": lambda s: AseAtomsAdaptor.get_atoms(s, msonable=False).todict(),
    "ase row": as_ase_row,
}
DISORDERED = {
    "pymatgen": lambda s: s.as_dict(),
    "flat": flat,
    "flat with an array lattice": lambda s: {**flat(s), "lattice": s.lattice},
    "optimade": as_optimade,
}
WRAPPED = {
    "entry": lambda s: entry(s, entry_id="e"),
    "materials project": lambda s: {"material_id": "mp-1", "structure": s.as_dict(), "band_gap": 1.0},
    "jarvis document": lambda s: {"jid": "JVASP-1", "atoms": as_jarvis(s), "formation_energy_peratom": 0.1},
    "optimade resource": lambda s: {"id": "a", "type": "structures", "attributes": as_optimade(s)},
    "text in a field": lambda s: {"id": "a", "cif": s.to(fmt="cif"), "formula": "x"},
    "JSON text in a field": lambda s: {"id": "a", "structure": s.to_json()},
    "entry in a field": lambda s: {"id": 1, "entry": entry(s)},
}


@pytest.mark.slow
def test_entries_are_written_as_pymatgen_writes_them():
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    computed = ComputedStructureEntry(salt(), -1.0, entry_id="e", data={"a": 1})
    assert computed.as_dict() == {**entry(salt(), entry_id="e", a=1), "@module": computed.as_dict()["@module"]}
    assert same(coerce_structure(computed), salt())


@pytest.mark.parametrize("dialect", ORDERED)
@pytest.mark.parametrize("make", [salt, perovskite, silicon])
def test_every_dialect_gives_the_crystal(dialect, make):
    assert same(structure_from_dict(ORDERED[dialect](make())), make())


@pytest.mark.parametrize("dialect", DISORDERED)
def test_disorder_is_kept_and_charges_are_dropped_after_summing(dialect):
    found = structure_from_dict(DISORDERED[dialect](disordered()))
    assert site_species(found) == [((3, 0.5),), ((26, 0.75),), ((8, 1.0),)]
    assert same(found, disordered())


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_a_crystal_among_other_fields_is_found(wrapping):
    assert coerce_structure(WRAPPED[wrapping](salt())).matches(salt())
    assert told(crystal_from_text(json.dumps(WRAPPED[wrapping](salt())))).matches(salt())


def test_two_crystals_in_a_record_are_listed():
    record = {"relaxed": salt().as_dict(), "measured": flat(salt()), "gap": 1}
    with pytest.raises(ValueError, match="in the fields 'relaxed', 'measured'; say which"):
        told(crystal_from_record(record))
    assert same(structure_from_dict(unwrap(record, "measured")), salt())
    with pytest.raises(ValueError, match="no field 'cif'"):
        unwrap(record, "cif")


def test_species_equal_without_isotope_are_summed():
    record = {"lattice": np.eye(3) * 4, "species": ["Cs", {"H": 0.3, "D": 0.7}], "frac_coords": [[0, 0, 0], [0.5] * 3]}
    assert site_species(structure_from_dict(record)) == [((55, 1.0),), ((1, 1.0),)]


@pytest.mark.parametrize(
    ("occupancies", "usable"), [((0.54, 0.54), True), ((0.334, 0.667), True), ((0.8, 0.8), False), ((1, 0.4), False)]
)
def test_one_element_with_and_without_charge_is_scaled_to_one_atom_or_refused_with_its_site(occupancies, usable):
    record = salt().as_dict()
    one, other = occupancies
    record["sites"][0]["species"] = [
        {"element": "Na", "occu": one},
        {"element": "Na", "oxidation_state": 1, "occu": other},
    ]
    crystal, reason = try_crystal(record)
    if usable:
        assert crystal.species_on(0) == ((11, 1.0),)
        assert (sum(occupancies) > 1.01) == any("scaled to 1: site 0" in note.kind for note in crystal.notes)
    else:
        assert "site 0 has occupancies that add to 1." in reason


def test_atoms_of_data_sets_for_potentials_are_read():
    record = {"cell": np.eye(3) * 4.1, "atomic_numbers": [55, 17], "positions": [[0, 0, 0], [2.05] * 3], "energy": -1.0}
    assert structure_from_dict(record).formula == "Cs1 Cl1"


@pytest.mark.parametrize(
    "word", ["X", "X0+", "Vac", "vacancy", "T1", "M", "Na/K", "", "na", "0", "119", "Fe2O3", None, True]
)
def test_what_is_no_element_is_refused_by_name(word):
    record = {"lattice": np.eye(3) * 4, "species": ["Cs", word], "frac_coords": [[0, 0, 0], [0.5] * 3]}
    with pytest.raises(ValueError, match=r"site 1 holds '.*', which is no element"):
        structure_from_dict(record)


@pytest.mark.parametrize(
    ("word", "symbol"),
    [
        ("Fe", "Fe"),
        ("Fe3+", "Fe"),
        ("Fe2.5+", "Fe"),
        ("O2-", "O"),
        ("O-2", "O"),
        ("Fe3+,spin=5", "Fe"),
        ("T", "H"),
        (8, "O"),
    ],
)
def test_species_are_read_without_charge(word, symbol):
    assert symbol_of(word) == symbol


# ---------------------------------------------------------------- OPTIMADE


def test_species_with_vacancies_and_unlike_names():
    record = {**as_optimade(iron()), "species_at_sites": ["M1"]}
    record["species"] = [{"name": "M1", "chemical_symbols": ["Fe", "Ni", "vacancy"], "concentration": [0.5, 0.3, 0.2]}]
    assert site_species(structure_from_dict(record)) == [((26, 0.5), (28, 0.3))]


def test_groups_of_sites_that_exclude_one_another():
    record = as_optimade(salt())
    record["assemblies"] = [{"sites_in_groups": [[0, 1], [2]], "group_probabilities": [0.3, 0.7]}]
    amounts = [content[0][1] for content in site_species(structure_from_dict(record))]
    assert amounts == [0.3, 0.3, 0.7, 1, 1, 1, 1, 1]
    record["assemblies"] = [{"sites_in_groups": [[-1]], "group_probabilities": [0.3]}]
    with pytest.raises(ValueError, match="assemblies name site -1"):
        structure_from_dict(record)


def test_attached_hydrogen_is_said_and_other_atoms_refuse_the_crystal():
    record = as_optimade(iron())
    record["species"][0] |= {"attached": ["H"], "nattached": [3]}
    with pytest.warns(UserWarning, match="'Fe' has attached H without positions: it is left out"):
        structure_from_dict(record)
    record["species"][0] |= {"attached": ["H", "C"], "nattached": [3, 1]}
    with pytest.raises(ValueError, match="only hydrogen may be left out"):
        structure_from_dict(record)


def test_the_formula_of_optimade_tells_of_hydrogen_without_positions():
    implicit = {"structure_features": ["implicit_atoms"], "chemical_formula_reduced": "FeH3"}
    with pytest.warns(UserWarning, match="chemical_formula_reduced has more or less hydrogen than the crystal"):
        structure_from_dict({**as_optimade(iron()), **implicit})


def test_formulas_of_disordered_crystals_are_rounded_in_optimade():
    record = {**as_optimade(disordered()), "chemical_formula_reduced": "FeLiO"}
    assert len(structure_from_dict(record)) == 3


@pytest.mark.parametrize("name", ["occupancy", "occupancies", "occ"])
def test_occupancies_in_a_column_of_ase_are_not_passed_over(name):
    atoms = salt().to_ase_atoms()
    atoms.set_array(name, np.ones(len(atoms)))
    assert try_structure(atoms)[1] is None
    assert try_structure(atoms.todict())[1] is None
    atoms.arrays[name][1] = 0.5
    for row in (atoms, atoms.todict()):
        assert f"a column {name!r} with other values than 1" in try_structure(row)[1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nperiodic_dimensions": 2, "dimension_types": [1, 1, 0]}, "nperiodic_dimensions is 2"),
        ({"nperiodic_dimensions": None, "dimension_types": [1, 1, 0]}, r"periodic as pbc=\(True, True, False\)"),
        ({"species": [{"name": "Fe", "chemical_symbols": ["X"], "concentration": [1.0]}]}, "'X', which is no element"),
        ({"cartesian_site_positions": [None, [1, 1, 1]]}, "than numbers in rows of 3: None in row 0"),
        ({"species": []}, "'Fe', which is not among the species"),
        ({"species_at_sites": ["Fe", "Fe"]}, "2 species with coordinates"),
        ({"nsites": 7}, "nsites is 7, but"),
        ({"chemical_formula_reduced": "Fe2O3"}, "the atoms do not agree with chemical_formula_reduced"),
        (
            {"species": [{"name": "Fe", "chemical_symbols": [one], "concentration": [1.0]} for one in ("Fe", "Co")]},
            "two different species are called 'Fe'",
        ),
        ({"lattice_vectors": [[1, 0, 0], [0, 1, 0], [None] * 3]}, "singular lattice"),
        ({"lattice_vectors": [[1, 0, 0], [0, 1, 0], [0, 1, 0]]}, "singular lattice"),
        ({"species": [{"name": "Fe", "chemical_symbols": ["Fe", "Ni"], "concentration": [1.0]}]}, "1 concentrations"),
    ],
)
def test_what_is_no_crystal_in_optimade_has_a_reason(change, reason):
    _, why = try_structure({**as_optimade(iron()), **change})
    assert re.search(reason, why), why


# ---------------------------------------------------------------- nothing is run, nothing is changed


def test_nothing_named_in_a_record_is_imported(tmp_path, monkeypatch):
    (tmp_path / "named_in_data.py").write_text("import pathlib\npathlib.Path('ran').touch()\nclass Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    bait = {"@module": "named_in_data", "@class": "Thing", "@version": "1", "module": "named_in_data"}
    record = {**salt().as_dict(), **bait, "properties": bait, "charge": 0}
    record["lattice"] = {**record["lattice"], **bait}
    record["sites"] = [
        {**site, **bait, "properties": {"a": bait}, "species": [{**one, **bait} for one in site["species"]]}
        for site in record["sites"]
    ]
    computed = {**entry(salt()), **bait, "structure": record, "parameters": bait}
    ase = {**as_ase(salt()), **bait, "calculator": "named_in_data.Thing", "constraints": [bait], "info": bait}
    text = "\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    (tmp_path / "a.yaml").write_text(text)
    for data in (record, computed, ase, json.dumps(record), json.dumps(computed), Path("a.yaml")):
        assert same(coerce_structure(data), salt())
    assert "named_in_data" not in sys.modules
    assert not Path("ran").exists()


@pytest.mark.parametrize("dialect", [*ORDERED, *WRAPPED])
def test_the_dict_is_left_as_it_is(dialect):
    record = (ORDERED | WRAPPED)[dialect](silicon())
    before = encode(record)
    told(crystal_from_record(record))
    assert encode(record) == before


def paths_in(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths_in(inner, (*path, key))


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**30), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.just([[0.0] * 3] * 3), st.just({"@module": "os", "@class": "system"}),
)  # fmt: skip


@pytest.mark.slow
@examples(300)
@given(st.sampled_from(sorted(ORDERED | WRAPPED)), st.data())
def test_damaged_records_give_a_crystal_or_a_reason(dialect, data):
    record = json.loads(encode((ORDERED | WRAPPED)[dialect](iron())))
    *path, last = data.draw(st.sampled_from([path for path in paths_in(record) if path]))
    inner = record
    for key in path:
        inner = inner[key]
    if data.draw(st.booleans()):
        inner[last] = data.draw(JUNK)
    else:
        del inner[last]
    with contextlib.suppress(PARSER_ERRORS):
        told(crystal_from_record(record))
    structure, reason = try_structure(record)
    assert (structure is None) == (reason is not None)
