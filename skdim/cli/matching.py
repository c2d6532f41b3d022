"""Tables about crystals, matched with them by names: whole ids, paths within folders and archives, or file stems."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from skdim.cli.messages import one_line
from skdim.crystals.paths import ARCHIVES
from skdim.exceptions import first_few

_SUFFIXES = (".cif", ".mcif", ".vasp", ".poscar", ".contcar", ".json", ".xyz", ".res", ".gz", ".bz2", ".xz")
# Units as people write them behind a name and a slash or a comma: "eV", "S cm-1", "W m^-1 K^-1", "kJ/mol", "µC cm-2".
_UNIT_WORD = (
    r"(?:[fpnuµμmcdhkMGT]?(?:eV|Pa|bar|m|g|s|A|K|mol|J|V|W|C|F|S|T|Hz|N|L|l|Ry|Ha|cal|[Oo]hm|Ω|Oe|emu|B)"
    r"|Å|°C|°|%|Angstrom|[Aa]toms?|f\.u\.|atm|Torr|deg|rad|min|h|Hartree|Bohr|ppm)"
)
_POWER = r"(?:\^|\*\*)?\(?[+\-\u2212⁻]?[\d⁰¹²³⁴⁵⁶⁷⁸⁹]*\)?"
_UNITS = rf"{_UNIT_WORD}{_POWER}(?:(?:\s*[·*/]\s*|\s+){_UNIT_WORD}{_POWER})*"
_UNIT = re.compile(rf"\s*(?:[/,]\s*)?(?:\([^()]*\)|\[[^][]*\])$|(?<=\S)\s*[/,]\s*{_UNITS}$")
_RATIO = re.compile(r"(?!T[cmg]?\s*/)[A-Z][a-z]?\s*/\s*[A-Z][a-z]?")  # of elements or moduli: Ca/Mg, B/G; not T/K
_BRACKETS = re.compile(r"\((?:[^()]|\([^()]*\))*\)")
_LOGARITHM = re.compile(r"(?:[Ll]og|LOG|lg|ln)(?:_?10)?(?![a-z])")
_NUMBERED = re.compile(r"0*(\d+)(?:\.0+)?")


def column_named(name: str, columns: Sequence[str]) -> str | None:
    """Find a column by its name, with or without the unit behind it; None if none or several have it.

    Where no column has the name as it is given, capital letters, blanks and underscores do not count.

    Examples
    --------
    >>> column_named("Tc", ["id", "Tc (K)"]), column_named("Tc", ["Tc [K]", "Tc (mK)"])
    ('Tc (K)', None)
    >>> column_named("bulk_modulus", ["Sample", "Bulk modulus (GPa)"])
    'Bulk modulus (GPa)'
    >>> column_named("Eg", ["Sample", "E_g / eV"])
    'E_g / eV'
    """
    if name in columns:
        return name
    bare = [column for column in columns if header_without_unit(column) == name]
    if not bare:
        wanted = _folded(name)
        bare = [column for column in columns if wanted in (_folded(column), _folded(header_without_unit(column)))]
    return bare[0] if len(bare) == 1 else None


def _folded(name: str) -> str:
    """A name without what is not always written alike: capital letters, blanks and underscores."""
    return "".join(name.casefold().replace("_", " ").split())


def header_without_unit(header: str) -> str:
    """Leave out the unit behind the name of a column: in brackets, or a known one behind a slash or a comma.

    What a logarithm is taken of is no unit, but may have one.

    Examples
    --------
    >>> header_without_unit("Tc [K]"), header_without_unit("gap / eV"), header_without_unit("c/a")
    ('Tc', 'gap', 'c/a')
    >>> header_without_unit("log10(Tc)"), header_without_unit("log10(sigma / S cm-1)")
    ('log10(Tc)', 'log10(sigma)')
    """
    logarithm = _LOGARITHM.match(header)
    inside = header[logarithm.end() :].strip() if logarithm else ""
    if _BRACKETS.fullmatch(inside):
        return f"{header[: header.index('(') + 1]}{header_without_unit(inside[1:-1])})"
    return header if _RATIO.fullmatch(header) else _UNIT.sub("", header)


def is_logarithm(header: str) -> bool:
    """Tell whether the numbers below the name of a column are logarithms.

    Examples
    --------
    >>> is_logarithm("log10(sigma / S cm-1)"), is_logarithm("lg_K"), is_logarithm("logic")
    (True, True, False)
    """
    return _LOGARITHM.match(header) is not None


def stem(name: str) -> str:
    """Return the name of a file without folders and suffixes.

    Examples
    --------
    >>> stem("cifs.zip/measured/jqc.cif.gz"), stem("two.cif#alpha"), stem("Li7La3Zr2O12.v2")
    ('jqc', 'two#alpha', 'Li7La3Zr2O12.v2')
    """
    name, hash_, block = name.partition("#")
    return _file_stem(name) + hash_ + block


def _file_stem(name: str) -> str:
    """Stem of the name of a file."""
    last = PurePosixPath(name.replace("\\", "/")).name
    while last.lower().endswith((*_SUFFIXES, *ARCHIVES)):
        last = last[: last.rindex(".")]
    return last or name


@dataclass(frozen=True)
class Matches:
    """Which crystals the rows of a table name."""

    rows: dict[int, list[int]]  # for each crystal that is named, by its place, the rows that name it
    missing: list[str]  # names that fit no crystal
    unclear: list[str]  # names that would fit several
    # Names that fit but for case, blanks or zeros in front, each with the crystal.
    guessed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def sure(self) -> int:
        """Number of rows that name a crystal as it is called."""
        return sum(map(len, self.rows.values())) - len(self.guessed)

    def loosely(self, table: str) -> str:
        """Say which rows of a table were guessed."""
        named = some_of(f"{name} is {found}" for name, found in self.guessed)
        return f"{counted(self.guessed, 'row')} of {table} matched but for case, blanks or zeros in front: {named}"


def match_names(names: Sequence[str], ids: Sequence[str]) -> Matches:
    """Find the crystal that each name means, by the first of these rules that fits any.

    The name is its id; its id ends with a slash and the name; its file has the name, both without suffixes; the name is
    that of its block within a file; and for crystals that no row names so, the name of its file but for case, blanks
    and what spreadsheets do to numbers: "7" and "7.0" for "007". Formulas that differ are never taken for each other,
    as "CO" for "Co". A name that fits several crystals by that rule is unclear.

    Examples
    --------
    >>> match_names(["b", "cifs/a.cif", "c", "7"], ["cifs/a.cif", "cifs/b.cif", "007.cif"])
    Matches(rows={1: [0], 0: [1], 2: [3]}, missing=['c'], unclear=[], guessed=[('7', '007.cif')])
    """
    by_id = {name: place for place, name in enumerate(ids)}
    by_end, by_stem, by_block, by_look = (defaultdict[str, set[int]](set) for _ in range(4))
    for place, name in enumerate(ids):
        parts = PurePosixPath(name).parts
        for start in range(1, len(parts)):
            by_end["/".join(parts[start:])].add(place)
        by_stem[stem(name)].add(place)
        by_look[_look(stem(name))].add(place)
        if "#" in name:
            by_block[name.rpartition("#")[2]].add(place)
    found: dict[int, list[int]] = defaultdict(list)
    missing: list[str] = []
    unclear: list[str] = []
    guessed: list[tuple[str, str]] = []
    left: list[tuple[int, str]] = []
    for row, name in enumerate(names):
        end = name.replace("\\", "/").removeprefix("./")
        fits = (
            {by_id[name]} if name in by_id else by_end.get(end) or by_stem.get(stem(name)) or by_block.get(name, set())
        )
        if len(fits) == 1:
            found[next(iter(fits))].append(row)
        elif fits:
            unclear.append(name)
        else:
            left.append((row, name))
    named = set(found)
    for row, name in left:
        alike = (
            {place for place in by_look.get(_look(stem(name)), set()) if _may_be(name, ids[place])} if name else set()
        )
        if len(alike) == 1 and not alike & named:
            place = next(iter(alike))
            found[place].append(row)
            guessed.append((name, ids[place]))
        else:
            (unclear if len(alike) > 1 else missing).append(name)
    return Matches(dict(found), missing, unclear, guessed)


def _look(name: str) -> str:
    """Write a name without case, blanks and zeros in front of a number."""
    name = "".join(name.split()).casefold()
    found = _NUMBERED.fullmatch(name)
    return found[1] if found else name


def _may_be(name: str, other: str) -> bool:
    """Tell whether two names may be the same: not if they are different formulas."""
    from skdim.crystals.formula import parse_formula  # which takes a second to load, as `skdim map --help` must not

    one, two = parse_formula(stem(name).strip()), parse_formula(stem(other).strip())
    return one is None or two is None or one == two


def counted(found: Sequence[object], noun: str) -> str:
    """Count things, with their noun in the right number.

    Examples
    --------
    >>> counted([1], "row"), counted([], "row")
    ('1 row', '0 rows')
    """
    return f"{len(found)} {noun}{'s' * (len(found) != 1)}"


def some_of(names: Iterable[str]) -> str:
    """Name the first few of some crystals."""
    return first_few(map(one_line, names))
