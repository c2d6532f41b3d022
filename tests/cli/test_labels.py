"""Rows of a table find their crystals, and what is in a cell is read as it is meant."""

import numpy as np
import pandas as pd
import pytest

from skdim._targetmodel import _DECADES
from skdim.cli.cells import unit_of
from skdim.cli.labels import WIDE, read_labels
from skdim.cli.matching import header_without_unit, match_names, stem
from skdim.exceptions import InputError

IDS = ["cifs/a.cif", "cifs/deep/b.cif.gz", "set.zip/x/c.cif", "mp-1", "set.zip/y/d.cif", "other/d.cif"]


def labels(tmp_path, text: str, target: str = "gap", name: str = "t.csv", **given):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_labels(tmp_path / name, target, IDS, **{"key": None, "groups": None, **given})


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("cifs/a.cif", 0),
        ("./cifs/a.cif", 0),
        ("a.cif", 0),
        ("a", 0),
        ("deep/b.cif.gz", 1),
        ("b", 1),
        ("x/c.cif", 2),
        ("c.cif", 2),
        ("mp-1", 3),
        ("y/d.cif", 4),
        ("other/d.cif", 5),
    ],
)
def test_a_row_finds_its_crystal_by_path_by_member_or_by_stem(tmp_path, name: str, place: int) -> None:
    found = labels(tmp_path, f"id,gap\n{name},1.5\n")
    assert np.flatnonzero(np.isfinite(found.values)).tolist() == [place]


def test_what_fits_nothing_or_too_much_is_listed(tmp_path) -> None:
    found = labels(tmp_path, "id,gap\na,1\nd,2\nzzz,3\n")
    assert np.isfinite(found.values).sum() == 1
    notes = " ".join(found.notes)
    assert "1 row of the table without a crystal: zzz" in notes
    assert "would fit several crystals, and label none: d" in notes
    assert "5 crystals without a row in the table" in notes
    assert found.unmatched == ["zzz", "d"]


@pytest.mark.parametrize(
    ("cell", "value", "side"),
    [
        ("1.5", 1.5, 0),
        (" 1e-3 ", 1e-3, 0),
        ("<1E-10", 1e-10, -1),
        ("<= 2", 2.0, -1),
        ("≤2", 2.0, -1),
        (">5", 5.0, 1),
        ("≥ .5", 0.5, 1),
        ("1.23(4)", 1.23, 0),
        ("1.2 ± 0.3", 1.2, 0),
        ("1.2+/-0.3", 1.2, 0),
        ("−3", -3.0, 0),
        ("<1.2×10^-4", 1.2e-4, -1),
        ("3 x 10⁻²", 0.03, 0),
        ("4.5 GPa", 4.5, 0),
        ("2 to 3", np.nan, 0),
        ("12-15", np.nan, 0),
        ("", np.nan, 0),
        ("n/a", np.nan, 0),
        ("-", np.nan, 0),
        ("about 3", np.nan, 0),
        ("~4", 4.0, 0),
        ("ca. 4", 4.0, 0),
        ("1.2(3)e-5", 1.2e-5, 0),
        ("1.2(3)×10⁻⁵", 1.2e-5, 0),
        ("(1.2 ± 0.3)×10^-5", 1.2e-5, 0),
        ("10⁻³", 1e-3, 0),
        ("10^-3", 1e-3, 0),
        ("2.5D-3", 2.5e-3, 0),
        ("1e–5", 1e-5, 0),
        ("1'234.5", 1234.5, 0),
        ("1 234", 1234.0, 0),
        ("1,234.5", 1234.5, 0),
        ("1.234.567,5", 1234567.5, 0),
        ("0.125", 0.125, 0),
        ("--", np.nan, 0),
        ("n.d.", np.nan, 0),
        ("#N/A", np.nan, 0),
        ("—", np.nan, 0),
        ("1.2/1.3", np.nan, 0),
        ("0x10", np.nan, 0),
        ("inf", np.nan, 0),
        ("1e999", np.nan, 0),
        ("1,5", 1.5, 0),
        ("1,500", np.nan, 0),
    ],
)
def test_a_cell_is_read_as_it_is_meant(tmp_path, cell: str, value: float, side: int) -> None:
    found = labels(tmp_path, f'id,gap\na,"{cell}"\nb,7\n')
    assert found.values[0] == value or (np.isnan(found.values[0]) and np.isnan(value))
    assert found.sides[0] == side
    unread = [note for note in found.notes if "cannot be read" in note]
    assert bool(unread) == (cell in ("about 3", "inf", "1e999", "1,500", "2 to 3", "12-15", "1.2/1.3", "0x10"))


def test_of_several_rows_for_one_crystal_the_median_counts_and_bounds_only_where_there_is_no_value(tmp_path) -> None:
    found = labels(tmp_path, "id,gap\na,1\na.cif,2\ncifs/a.cif,9\nb,<3\nb,<2\nc,>1\nc,<3\nmp-1,<9\nmp-1,4\n")
    assert found.values[:4].tolist() == [2.0, 2.0, 2.0, 4.0]
    assert found.sides[:4].tolist() == [0, -1, 0, 0]
    (said,) = [note for note in found.notes if "4 crystals with several labels" in note]
    assert "cifs/a.cif (1, 2, 9)" in said
    assert "mp-1 (<9, 4)" in said


def test_equal_labels_are_no_several_and_bounds_that_exclude_each_other_are_none(tmp_path) -> None:
    found = labels(tmp_path, "id,gap\na,1\na,1\nb,>3\nb,<1\nc,1\nc,1\nc,9\n")
    assert found.values[[0, 2]].tolist() == [1.0, 1.0]
    assert np.isnan(found.values[1])
    notes = " ".join(found.notes)
    assert "1 crystal with the same label in several rows" in notes
    assert "bounds that exclude each other, taken as missing: cifs/deep/b.cif.gz (>3, <1)" in notes


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_commas_semicolons_and_tabs_and_a_byte_order_mark(tmp_path, mark: str) -> None:
    lines = (mark.join(["code", "gap", "family"]), mark.join(["a", "1", "f"]))
    found = labels(tmp_path, "\ufeff" + "\n".join(lines), key="code")
    assert found.values[0] == 1.0


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["0,25", "<1,5E-10", "3,125", "weak"], [0.25, 1.5e-10, 3.125, np.nan]),
        (["1,250", "3,125"], [np.nan, np.nan]),  # decimals or thousands: nobody can tell, so they are listed
        (["1,25", "3.5"], [np.nan, 3.5]),
    ],
)
def test_between_tabs_commas_are_decimal_where_they_can_be_nothing_else(tmp_path, cells, values) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text("id\tgap\n" + "".join(f"{k}\t{cell}\n" for k, cell in enumerate(cells)))
    found = read_labels(path, "gap", [f"{k}.cif" for k in range(len(cells))], key=None, groups=None)
    np.testing.assert_allclose(found.values, values)
    unread = sum(np.isnan(values))
    assert not unread or any(f"{unread} label" in note for note in found.notes)


def test_between_semicolons_commas_are_decimal(tmp_path) -> None:
    found = labels(tmp_path, "id;gap\na;1,5\nb;<2,5E-3\nc;1.234,5\nmp-1;7\n")
    assert found.values[:4].tolist() == [1.5, 2.5e-3, 1234.5, 7.0]


@pytest.mark.parametrize(
    ("mark", "cells", "values"),
    [
        (";", ["1.234", "0,5", "950"], [1234.0, 0.5, 950.0]),  # decimals stand behind commas
        (";", ["1.234", "0.5", "950"], [1.234, 0.5, 950.0]),
        (";", ["1.234", "2.000", "3.5"], [1.234, 2.0, 3.5]),
        ("\t", ["1,234", "2,000.5", "950"], [1234.0, 2000.5, 950.0]),
        ("\t", ["1,234", "2,000", "950"], [np.nan, np.nan, 950.0]),
    ],
)
def test_what_sets_thousands_apart_is_told_by_the_other_cells(tmp_path, mark, cells, values) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(f"id{mark}gap\n" + "".join(f"{k}{mark}{cell}\n" for k, cell in enumerate(cells)))
    found = read_labels(path, "gap", [f"{k}.cif" for k in range(len(cells))], key=None, groups=None)
    np.testing.assert_allclose(found.values, values)
    assert any("set thousands apart" in note for note in found.notes) == bool(np.isnan(values).any())


def test_cells_in_another_unit_than_most_are_no_numbers(tmp_path) -> None:
    found = labels(tmp_path, "id,gap\na,1.5 eV\nb,900 meV\nc,2 eV\nmp-1,3\n")
    assert np.isfinite(found.values[:4]).tolist() == [True, False, True, True]
    assert "numbers are taken to be in eV" in " ".join(found.notes)
    assert "1 label not in eV, taken as missing: 900 meV" in " ".join(found.notes)


def test_the_header_and_the_most_cells_say_the_unit(tmp_path) -> None:
    few = labels(tmp_path, "id,gap\na,1.5\nb,900 meV\nc,2\n")  # one unit of three numbers says nothing of the others
    assert np.isfinite(few.values[:3]).tolist() == [True, False, True]
    assert not any("taken to be in" in note for note in few.notes)
    assert "1 label with a unit where most have none, taken as missing: 900 meV" in " ".join(few.notes)
    headed = labels(tmp_path, "id,gap (eV)\na,1.5 eV\nb,900 meV\nc,800 meV\n")
    assert np.isfinite(headed.values[:3]).tolist() == [True, False, False]


@pytest.mark.parametrize("header", ["gap (eV)", "gap [eV]", "gap / eV", "gap/eV", '"gap, eV"', "gap / (eV)", " gap "])
def test_a_column_is_found_without_the_unit_in_its_header(tmp_path, header: str) -> None:
    found = labels(tmp_path, f"id,{header}\na,1\nb,1.5 eV\nc,900 meV\n")
    assert found.values[:2].tolist() == [1.0, 1.5] or "eV" not in header
    assert (found.values[0], found.unit) == (1.0, "eV" if "eV" in header else "")
    with pytest.raises(InputError, match="no column"):
        labels(tmp_path, "id,gap (eV),gap (meV)\na,1,2\n")


@pytest.mark.parametrize(
    ("header", "bare", "unit"),
    [
        ("sigma / S cm-1", "sigma", "S cm-1"),
        ("kappa / W m^-1 K^-1", "kappa", "W m^-1 K^-1"),
        ("density/g·cm⁻³", "density", "g·cm⁻³"),
        ("E / eV atom-1", "E", "eV atom-1"),
        ("M / µB/f.u.", "M", "µB/f.u."),
        ("T/K", "T", "K"),
        ("Tc / K", "Tc", "K"),
        ("log10(sigma / S cm-1)", "log10(sigma)", ""),
        ("log10 (sigma)", "log10 (sigma)", ""),
        ("log sigma (S/cm)", "log sigma", ""),
        *(
            (same, same, "")
            for same in ("c/a", "K/G", "Li/K", "Ca / Mg", "Ti/V", "x/y/z", "log10(K)", "eV", "name, formula")
        ),
    ],
)
def test_a_unit_is_told_from_a_ratio_and_a_logarithm_has_none(header: str, bare: str, unit: str) -> None:
    assert header_without_unit(header) == bare
    assert unit_of(header, [""]) == (unit, False)


@pytest.mark.parametrize("name", ["", "nan", "<NA>", "-"])
def test_a_row_whose_id_says_nothing_is_one_without_an_id(tmp_path, name: str) -> None:
    found = labels(tmp_path, f"id,gap\na,1\n{name},2\n")
    assert "1 row of the table without an id" in found.notes
    assert not found.unmatched


def test_zeros_that_keep_labels_from_being_learned_as_logarithms_are_told(tmp_path) -> None:
    assert WIDE == 10**_DECADES
    told = labels(tmp_path, "id,gap\na,0\nb,1e-3\nc,1e-1\n").notes
    (said,) = (note for note in told if note.startswith("1 label is 0, so that the others, which span 2.0 decades"))
    assert "write that as a bound, such as <1E-10" in said  # a conductivity
    assert "leave it, or tell such crystals first: by --task classification" in said  # the gap of a metal
    for others in ("b,0.02\nc,1", "b,-1e-3\nc,1", "b,0\nc,0"):
        assert not any("decades" in note for note in labels(tmp_path, f"id,gap\na,0\n{others}\n").notes)


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_as_spreadsheets_write_them(tmp_path, coding: str) -> None:
    (tmp_path / "t.csv").write_bytes("# exported\n\nid;größe\na;1,5 °C\n".encode(coding))
    found = read_labels(tmp_path / "t.csv", "größe", IDS, key=None, groups=None)
    assert found.values[0] == 1.5
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"a workbook; save its sheet as .csv"):
        read_labels(tmp_path / "t.xlsx", "gap", IDS, key=None, groups=None)


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nid;gap\na;1,5\nb;2\n",
        "Gaps of the group,,\n,,\nid,gap,\na,1.5,\nb,2,\n",
        "Gaps of the group, 2026\nid;gap\na;1,5\nb;2\n",
        "Gaps; of 2026;;;;\n\nid;gap;p;q;r;s\na;1,5;1;2;3;4\nb;2;1;2;3;4\n",
        "Gaps of the group\n\nid\tgap\na\t1.5\nb\t2\n",
        "id,gap\na,1.5\nb,2\n\n,\n,,\n",
        "id,gap\na,1.5,\nb,2,\n",  # of which a reader may take the first column for row names
        ",id,gap\n0,a,1.5\n1,b,2\n",
        ",gap,sample\n0,1.5,a\n1,2,b\n",
        "no,sample,gap\n1,a,1.5\n2,b,2\n",
        "gap,Material ID\n1.5,a\n2,b\n",
        "id,gap\n,eV\na,1.5\nb,2\n",
        "id,gap\n A ,1.5\nB.CIF,2\n",
        "id,gap,note,note\na,1.5,,\nb,2,x,\n",
    ],
)
def test_tables_that_say_the_same(tmp_path, text: str) -> None:
    found = labels(tmp_path, text)
    assert found.values[:2].tolist() == [1.5, 2.0]
    assert np.isnan(found.values[2:]).all()
    assert not any("without a crystal" in note for note in found.notes)


def test_a_row_of_units_gives_the_unit(tmp_path) -> None:
    found = labels(tmp_path, "id,gap,T\n-,(eV),K\na,1.5,300\nb,2 eV,300\nc,900 meV,300\n")
    assert found.unit == "eV"
    assert found.values[:2].tolist() == [1.5, 2.0]
    assert "1 label not in eV, taken as missing: 900 meV" in " ".join(found.notes)


@pytest.mark.parametrize("first", ["-,,K", ",-,K", "unit,class,K", "units,n/a,K"])
def test_a_row_of_units_over_classes_is_told_as_one(tmp_path, first) -> None:
    found = labels(tmp_path, f"id,gap,T\n{first}\na,metal,300\nb,insulator,300\n", classes=True)
    assert found.values[:2] == ["metal", "insulator"]
    told = ", ".join(cell or "(blank)" for cell in first.split(","))
    assert f"the first row of the table is taken as one of units, not of a crystal: {told}" in found.notes
    assert not any("without an id" in note or "without a crystal" in note for note in found.notes)


@pytest.mark.parametrize("first", [",metal,300", ",metal,K", "-,insulator,", ",,300"])
def test_a_row_without_an_id_over_classes_is_no_row_of_units(tmp_path, first) -> None:
    found = labels(tmp_path, f"id,gap,T\n{first}\na,metal,300\nb,insulator,300\n", classes=True)
    assert found.values[:2] == ["metal", "insulator"]
    assert not any("units" in note for note in found.notes)
    assert any("without an id" in note or "without a crystal" in note for note in found.notes)


def test_a_row_of_units_that_leaves_the_target_blank_is_told_as_one(tmp_path) -> None:
    found = labels(tmp_path, "id,gap,T\n,,K\na,1.5,300\nb,2,300\n")
    assert found.unit == ""
    assert any("taken as one of units" in note for note in found.notes)
    assert not any("without an id" in note for note in found.notes)


def test_what_a_logarithm_is_taken_of_is_no_unit(tmp_path) -> None:
    found = labels(tmp_path, "id,log10(sigma)\na,-3\n", target="log10(sigma)")
    assert found.unit == ""
    assert labels(tmp_path, "id,log10(sigma) (S/cm)\na,-3\n", target="log10(sigma)").unit == ""  # -3 is none of S/cm
    raised = labels(tmp_path, "id,gap (S cm⁻¹)\na,1 S cm^-1\nb,2 S cm-1\nc,3 S/m\n")
    assert np.isfinite(raised.values[:3]).tolist() == [True, True, False]


def test_numbers_of_files_lose_their_zeros_in_spreadsheets_and_formulas_never_their_case(tmp_path) -> None:
    ids = ["x/007.cif", "x/012.cif", "x/Co.cif", "x/NaCl.cif"]
    matches = match_names(["7", "12.0", "CO", "nacl", "Co"], ids)
    assert matches.rows == {0: [0], 1: [1], 2: [4], 3: [3]}
    assert matches.missing == ["CO"]
    assert matches.guessed == [("7", "x/007.cif"), ("12.0", "x/012.cif"), ("nacl", "x/NaCl.cif")]
    assert match_names(["1"], ["01.cif", "001.cif"]).unclear == ["1"]
    assert match_names(["A1", "a1"], ["a1.cif"]).missing == ["A1"]  # the other row names it as it is called
    (tmp_path / "t.csv").write_text("id,gap\n7,1.5\n")
    notes = read_labels(tmp_path / "t.csv", "gap", ids, key=None, groups=None).notes
    assert "1 row of the table matched but for case, blanks or zeros in front: 7 is x/007.cif" in notes


def test_columns_of_one_name_are_not_chosen_between(tmp_path) -> None:
    for text in ("id,gap,gap\na,1,2\n", "id,gap (eV),gap (eV)\na,1,2\n"):
        with pytest.raises(InputError, match="'gap' is the name of several columns"):
            labels(tmp_path, text)


def test_an_index_of_a_parquet_table_is_a_column(tmp_path) -> None:
    pd.DataFrame({"gap": [1.5, None]}, index=pd.Index(["a", "b"], name="id")).to_parquet(tmp_path / "t.parquet")
    found = read_labels(tmp_path / "t.parquet", "gap", IDS, key=None, groups=None)
    assert np.flatnonzero(np.isfinite(found.values)).tolist() == [0]


def test_blocks_are_named_with_or_without_their_file() -> None:
    ids = ["cifs/two.cif#alpha", "cifs/two.cif#beta", "other/one.cif#gamma", "cifs/three.cif#beta"]
    names = ["two#alpha", "two.cif#beta", "gamma", "beta", "cifs\\three.cif#beta", "alpha"]
    matches = match_names(names, ids)
    assert matches.rows == {0: [0, 5], 1: [1], 2: [2], 3: [4]}
    assert matches.unclear == ["beta"]


def test_groups_come_from_a_column_and_crystals_without_a_row_stand_alone(tmp_path) -> None:
    found = labels(tmp_path, "id,gap,family\na,1,f\nb,2,f\nc,3,\n", groups="family")
    assert found.groups[:2] == ["f", "f"]
    assert len(set(found.groups[2:])) == 4


def test_classes_are_texts_and_rows_that_disagree_count_as_missing(tmp_path) -> None:
    found = labels(tmp_path, "id,gap\na,metal\nb,insulator\nc,metal\nc.cif,insulator\n", classes=True)
    assert found.values[:3] == ["metal", "insulator", ""]
    assert found.known.sum() == 2


def test_classes_and_groups_that_differ_in_case_alone_are_one_and_what_is_missing_is_none(tmp_path) -> None:
    text = "id,gap,family\na,metal,f\nb,Metal,F\nc,metal ,-\nmp-1,--,n.d.\nc.cif,metal,\n"
    found = labels(tmp_path, text, classes=True, groups="family")
    assert found.values[:4] == ["metal", "metal", "metal", ""]
    assert found.groups[:2] == ["f", "f"]
    assert len(set(found.groups[1:])) == 5
    notes = " ".join(found.notes)
    assert "classes that differ in case or form alone are taken as one: 'metal' and 'Metal'" in notes
    assert "groups that differ in case or form alone are taken as one: 'f' and 'F'" in notes
    numbered = labels(tmp_path, "id,gap\na,1\nb,1.0\nc,0\n", classes=True)
    assert len(set(numbered.values[:3])) == 2


def test_a_crystal_in_several_groups_is_told(tmp_path) -> None:
    found = labels(tmp_path, "id,gap,family\na,1,f\na,1,g\n", groups="family")
    assert found.groups[0] == "f"
    assert "1 crystal in several groups, of which the first is taken: cifs/a.cif (f, g)" in found.notes


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("id,gap\na,1\nb,2,more\n", {}, r"row 2 \('b', '2', 'more'\) has 3 cells under 2 names of columns; a cell"),
        ("id,gap\na,1,5\nb,0,25\n", {}, r"row 1 .* \(and 1 more such rows\); a cell with a , in it needs quotes"),
        ("<!DOCTYPE html><html></html>", {}, "a web page, not data"),
        ("id,gap\na,1\n", {"target": "Tc"}, "--target 'Tc' is no column of .*its columns are id, gap"),
        ("id,gap\na,1\n", {"key": "code"}, "--id 'code' is no column"),
        ("id,gap\na,1\n", {"groups": "family"}, "--groups 'family' is no column"),
        (
            "id,gap\nq,1\n",
            {},
            "no row of .* fits a crystal: its column 'id' has 'q', and the crystals are 'cifs/a",
        ),
        ("gap\n1\n", {}, "has no column of ids"),
        ("", {}, "cannot be read as a table"),
        ('id,gap\na,"1\n', {}, "cannot be read as a table"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text: str, given: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        labels(tmp_path, text, **given)


def test_a_table_that_is_not_there(tmp_path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        read_labels(tmp_path / "none.csv", "gap", IDS, key=None, groups=None)


def test_stems() -> None:
    assert [stem(name) for name in ("a.cif", "x/y.tar.gz/b.CIF.GZ", "a.b.cif", "POSCAR", ".cif", "c:\\x\\d.cif")] == [
        "a", "b", "a.b", "POSCAR", ".cif", "d",
    ]  # fmt: skip


def test_a_stem_of_two_crystals_means_neither():
    matches = match_names(["a", "x/a.cif", "b"], ["x/a.cif", "y/a.cif.gz", "b.cif"])
    assert matches.rows == {0: [1], 2: [2]}
    assert matches.unclear == ["a"]
