"""Crystals as several programs write them, files of installed packages, and damaged files; pymatgen is the twin."""

import io
import random
import sysconfig
import warnings
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Element, Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter

from skdim import load_pretrained
from skdim.crystals.cif import read_cif
from skdim.crystals.crystal import crystal_of
from skdim.crystals.structures import check_crystal
from tests.bundled import sample
from tests.daily import slow

PACKAGES = Path(sysconfig.get_paths()["purelib"])


@lru_cache(maxsize=1)
def some_crystals():
    return [s for s in sample(20) if len(s) < 40]


def by_pymatgen(structure):
    return str(CifWriter(structure))


def with_symmetry(structure, symprec=1e-4):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of spglib
        return str(CifWriter(structure, symprec=symprec))


def by_ase(structure):
    pytest.importorskip("ase")
    from ase.io import write

    file = io.BytesIO()
    write(file, structure.to_ase_atoms(), format="cif")
    return file.getvalue().decode()


def by_gemmi(structure):
    import gemmi

    small = gemmi.SmallStructure()
    small.cell = gemmi.UnitCell(*structure.lattice.parameters)
    small.spacegroup_hm = "P 1"
    for k, site in enumerate(structure):
        atom = gemmi.SmallStructure.Site()
        atom.label, atom.type_symbol = f"{site.specie.symbol}{k}", site.specie.symbol
        atom.fract = gemmi.Fractional(*site.frac_coords)
        atom.occ = 1
        small.add_site(atom)
    return small.make_cif_block().as_string()


@pytest.mark.parametrize("write", [by_pymatgen, *slow(with_symmetry, by_ase, by_gemmi)])
def test_the_vector_of_a_crystal_does_not_depend_on_the_program_that_wrote_it(write):
    model, crystals = load_pretrained(), some_crystals()
    vectors = model.transform([write(structure) for structure in crystals])
    assert len(crystals) > 10
    assert np.abs(vectors - model.transform(crystals)).max() < 1e-3


@pytest.mark.slow
def test_where_the_writer_moved_atoms_onto_symmetry_the_vector_is_that_of_what_it_wrote():
    model, texts = load_pretrained(), [with_symmetry(structure, symprec=0.01) for structure in some_crystals()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pymatgen says which coordinates it rounds to thirds
        written = [Structure.from_str(text, fmt="cif") for text in texts]
    assert np.abs(model.transform(texts) - model.transform(written)).max() < 1e-4


def contents(crystal):
    """Atoms by symbol."""
    found = Counter()
    for kind in crystal.site_type:
        for number, amount in crystal.species[kind]:
            found[Element.from_Z(number).symbol] += amount
    return {symbol: round(amount, 3) for symbol, amount in found.items()}


def twin(text):
    """What pymatgen reads; None if it reads nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parser = CifParser.from_str(text, occupancy_tolerance=1.015)
            return crystal_of(parser.parse_structures(primitive=False, on_error="ignore")[0])
        except Exception:  # pymatgen raises whatever its parser meets; that it reads nothing is all that is asked
            return None


# Files that one of the readers reads and the other does not, or that both read differently, with the reason.
EXPLAINED: dict[str, str] = {}


@pytest.mark.slow
def test_files_of_installed_packages_are_read_as_by_pymatgen():
    files = [
        file for kind in ("*.cif", "*.mcif") for file in sorted(PACKAGES.rglob(kind)) if file.stat().st_size < 10**6
    ]
    compared = 0
    for file in files:
        text = file.read_text(errors="replace")
        if "_atom_site_fract_x" not in text or file.name in EXPLAINED:
            continue
        other = twin(text)
        assert other is not None, file
        assert contents(read_cif(text)) == contents(other), file
        compared += 1
    assert compared or not files


def mutated(text, chance):
    """A CIF with one thing deleted, doubled, moved, or written over."""
    lines = text.split("\n")
    k = chance.randrange(len(lines))
    words, kind = lines[k].split(), chance.randrange(7)
    if kind == 0:
        del lines[k]
    elif kind == 1:
        lines.insert(k, lines[k])
    elif kind == 2:
        other = chance.randrange(len(lines))
        lines[k], lines[other] = lines[other], lines[k]
    elif kind == 3:
        return text[: chance.randrange(len(text))]
    elif kind == 4 and words:
        words[chance.randrange(len(words))] = chance.choice(["?", ".", "0", "1", "0.5", "Na", "x", "-1", "'P 1'"])
        lines[k] = " ".join(words)
    elif kind == 5 and lines[k]:
        place = chance.randrange(len(lines[k]))
        lines[k] = lines[k][:place] + chance.choice("0123456789.-+xyzABC?'") + lines[k][place + 1 :]
    elif lines[k]:
        place = chance.randrange(len(lines[k]))
        lines[k] = lines[k][:place] + lines[k][place + 1 :]
    return "\n".join(lines)


def compare_mutations(count, seed):
    """Count damaged files by what both readers make of them, and list those that they read differently."""
    chance = random.Random(seed)
    texts = [write(s) for s in some_crystals() if len(s) < 12 for write in (by_pymatgen, with_symmetry)]
    outcomes, differing = Counter(), []
    for _ in range(count):
        text = mutated(chance.choice(texts), chance)
        try:
            crystal = check_crystal(read_cif(text))
        except ValueError:
            outcomes["refused"] += 1
            continue
        other = twin(text)
        if other is None:
            outcomes["read by us alone"] += 1
            continue
        lattices = [sorted(Lattice(c.lattice).parameters) for c in (crystal, other)]
        same = contents(crystal) == contents(other) and np.allclose(*lattices, atol=1e-3)
        outcomes["same" if same else "differs"] += 1
        if not same and "_chemical_formula_sum" not in text:
            differing.append(text)
    return outcomes, differing


@pytest.mark.slow
def test_damaged_files_give_no_other_crystal():
    outcomes, differing = compare_mutations(100, seed=0)
    assert not differing
    assert outcomes["same"] > 10


@pytest.mark.slow
def test_a_thousand_damaged_files_give_no_other_crystal():
    outcomes, differing = compare_mutations(1000, seed=1)
    assert not differing
    assert outcomes["same"] > 100
    assert outcomes["differs"] <= 10  # atoms that pymatgen loses, where the formula in the file is on our side


def test_disordered_crystals_survive_writing():
    mixed = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.3}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert contents(read_cif(by_pymatgen(mixed))) == {"Na": 0.5, "K": 0.3, "Cl": 1}
