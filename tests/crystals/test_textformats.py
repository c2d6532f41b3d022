"""Formats are told apart by content, mistakes named; YAML is plain data of a bounded size."""

import json
import pickle

import pytest
from ruamel.yaml import YAML

from skdim.crystals.structures import coerce_structure, try_crystal
from skdim.crystals.textformats import load_yaml
from tests.handmade import DATA, perovskite


def test_a_structure_in_yaml_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    with path.open("w") as file:
        YAML().dump(perovskite().as_dict(), file)
    assert coerce_structure(path).matches(perovskite())


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}' if k else 'x'] * 9)}]" for k in range(12)),
        "a: &a [*a]",
        "[" * 1000,
        "a: " + "x" * (2 << 20),
        "a: !!python/object/apply:os.system [ls]",
        "a: !!python/name:os.system",
    ],
)
def test_yaml_that_unfolds_without_end_or_names_code_is_refused(text):
    with pytest.raises(ValueError, match="YAML"):
        load_yaml(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\ufeff\n<!-- a comment -->\n<HTML lang='en'>", "a web page"),
        ('<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>', "a web page"),
        ("<html><body>one line</body></html>", "a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n", "a Git LFS pointer"),
        ("/annex/objects/MD5E-s1--x.cif\n", "a git-annex pointer"),
        ("outs:\n- md5: ab\n  path: a.cif\n", "a DVC pointer"),
        ("%PDF-1.7\n", "a PDF"),
        ("PK\3\4\n", "a zip archive"),
        ("{'lattice': 1}", "a Python dict printed as text"),
        ("Full Formula (Na1 Cl1)\n", "a printed pymatgen Structure"),
        ("https://example.org/a.cif", "nothing is downloaded"),
        ("404: Not Found\n", "the message of a web server"),
        (r"{\rtf1\ansi data_x}" + "\n", "formatted text"),
        ("CRYST1   10.000   10.000   10.000  90.00  90.00  90.00 P 1\n", "a PDB file"),
        (" vasp.5.4.4\n executed on\n", "an OUTCAR"),
        (r"data_x\n_cell_length_a 4\n", "whose line ends are written as"),
    ],
)
def test_common_mistakes_are_named(text, words, tmp_path):
    assert words in try_crystal(text)[1]
    if "\n" in text:
        (tmp_path / "a.cif").write_text(text)
        assert words in try_crystal(tmp_path / "a.cif")[1]
        assert words in try_crystal(text.encode())[1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "an image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "an image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Word or Excel"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x93NUMPY\x01\0v\0{'descr': '<f8'}\n", "an array of numpy"),
        (pickle.dumps({"structure": 1}), "a pickle"),
        (b"SQLite format 3\0", "an SQLite database"),
    ],
)
def test_files_of_other_kinds_are_named(data, words, tmp_path):
    (tmp_path / "a.cif").write_bytes(data)
    assert words in try_crystal(tmp_path / "a.cif")[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("_cell_length_a", "<<<<<<< HEAD\n_cell_length_a", "a merge of two versions"),
        ("_cell_length_a", "_title \u2018a b\u2019\n_cell_length_a", "quotes of a word processor"),
    ],
)
def test_damage_of_editors_to_a_cif_is_named(old, new, words):
    text = (DATA / "nacl.cif").read_text()
    assert old in text
    assert words in try_crystal(text.replace(old, new, 1))[1]


@pytest.mark.parametrize("name", ["vasprun.xml", "a.cssr", "a.xsf", "CHGCAR"])
def test_a_file_that_is_not_what_its_name_says_has_a_reason(name, tmp_path):
    (tmp_path / name).write_text("some words\nTITL\n<modeling></modeling>\n")
    crystal, reason = try_crystal(tmp_path / name)
    assert crystal is None
    assert "not what its name says" in reason or "neither CIF" in reason


def test_json_with_a_mark_or_written_twice_is_read():
    text = json.dumps(perovskite().as_dict())
    for written in ("\ufeff" + text, json.dumps(text)):
        assert coerce_structure(written).matches(perovskite())


@pytest.mark.parametrize("encoding", ["utf-32", "utf-16-be", "utf-8-sig"])
def test_line_ends_of_the_first_macintosh_in_any_encoding(encoding):
    text = (DATA / "nacl.cif").read_text().replace("\n", "\r")
    assert coerce_structure(text.encode(encoding)).reduced_formula == "NaCl"
    assert coerce_structure(text).reduced_formula == "NaCl"
