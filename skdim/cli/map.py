"""`skdim map`: write a page on which a table of vectors can be explored as a map of crystals."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skdim.cli.arguments import add_quiet, add_seed
from skdim.cli.command import Command
from skdim.cli.exits import OK, SOME_FAILED
from skdim.cli.matching import column_named, counted, match_names, some_of
from skdim.cli.messages import say
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from pymatgen.core.structure import Structure

    from skdim.cli.cells import NumberStyle

_DESCRIPTION = """\
Write a map of crystals, as one HTML page that opens in a browser without a network. Similar crystals lie close to each
other. On the page: hover for the properties of a crystal; click for its structure and its nearest neighbours; search by
id or formula; colour by any column; select with the lasso and save the selection as CSV.

VECTORS is what skdim embed wrote (.parquet, .csv, or .npy with its .ids.csv). Rows of NaN are left out. Properties come
from --table, a CSV or Parquet file as skdim fit takes it; formulas and structures from --structures. Ids are matched
whole or by the stem of a file name: "NaCl" is the row "cifs/NaCl.cif".
"""

_EXAMPLES = """\
  skdim embed materials_project cifs/ --out vectors.parquet
  skdim map vectors.parquet --structures cifs/ --out map.html
  skdim map vectors.parquet --table gaps.csv --color gap --method umap --out map.html"""

_TSNE_UP_TO = 10_000  # crystals: above, t-SNE takes many minutes
_MOST_PLAIN = 0.8  # of the cells of a column of numbers


def run(args: argparse.Namespace) -> int:
    """Write the page; return an exit code."""
    from skdim.plotting import nearest_rows, project, save_map_page

    table, vectors, dropped = read_vectors(args.vectors)
    if dropped:
        say(f"left out: {dropped} row{'s' * (dropped != 1)} of NaN")
    if len(table) < 4:
        raise InputError(f"a map needs at least 4 crystals, {str(args.vectors)!r} has {len(table)} usable rows")
    if args.table is not None:
        table = _with_properties(table, args.table, args.id, quiet=args.quiet)
    structures, code = _structures(args.structures, list(table["id"]), quiet=args.quiet)
    if structures:
        formulas = {row: crystal.composition.reduced_formula for row, crystal in structures.items()}
        table.insert(1, "formula", [formulas.get(row, "") for row in range(len(table))])
    color = None if args.color is None else column_named(args.color, [str(name) for name in table.columns])
    if color is None and args.color is not None:
        names = ", ".join(map(str, [c for c in table.columns if c != "id"])) or "none: give a --table"
        raise InputError(f"--color must be a column of the table ({names}), got {args.color!r}")
    method = args.method or ("tsne" if len(table) <= _TSNE_UP_TO else "pca")
    try:
        places = project(vectors, method, args.seed)
    except ImportError as error:
        raise InputError(str(error)) from error
    save_map_page(
        args.out,
        places,
        table,
        neighbors=nearest_rows(vectors, random_state=args.seed),
        structures=structures,
        color=color,
        title=args.title,
    )
    if not args.quiet:
        say(f"wrote {args.out}: {len(table)} crystals, placed by {method}; open it in a browser")
    return code


def read_vectors(path: Path) -> tuple[pd.DataFrame, NDArray[Any], int]:
    """Read a table that skdim embed wrote: ids (a column) and vectors (n, d) of rows without NaN; count the others."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    if not path.is_file():
        raise InputError(f"{str(path)!r} is not a file; VECTORS is what skdim embed wrote")
    try:
        if path.suffix.lower() == ".npy":
            vectors = np.load(path, allow_pickle=False)
            ids = pd.read_csv(path.with_suffix(".ids.csv"), dtype=str, keep_default_na=False)["id"]
        else:
            whole = path.suffix.lower() == ".parquet"
            frame = pd.read_parquet(path) if whole else pd.read_csv(path, converters={"id": str})  # "NA" is an id, too
            ids, vectors = frame["id"].astype(str), frame.drop(columns="id").to_numpy(np.float32)
    except KeyError as error:
        raise InputError(f"{str(path)!r} has no column 'id'; VECTORS is what skdim embed wrote") from error
    except (ValueError, pa.ArrowInvalid) as error:  # what pandas raises of damaged tables is a ValueError
        raise InputError(f"{str(path)!r} holds no vectors: {error}") from error
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise InputError(f"{str(path)!r} has {len(vectors)} vectors and {len(ids)} ids")
    usable = np.isfinite(vectors).all(1)
    return pd.DataFrame({"id": ids.to_numpy()[usable]}), vectors[usable], int((~usable).sum())


def _with_properties(table: pd.DataFrame, path: Path, key: str | None, *, quiet: bool) -> pd.DataFrame:
    """Add the columns of another table by id."""
    from skdim.cli.cells import number_style
    from skdim.cli.labels import find_column, id_column
    from skdim.cli.tablefile import read_table

    properties = read_table(path, "--table")
    names = [str(name) for name in properties.columns]
    key = id_column(names) if key is None else find_column("--id", key, names, path)
    matches = match_names([str(name).strip() for name in properties[key]], list(table["id"]))
    if not matches.rows:
        seen = repr(properties[key].iloc[0]) if len(properties) else "nothing"
        raise InputError(
            f"no row of --table {str(path)!r} fits a vector: its column {key!r} has {seen}, and the vectors are "
            f"{table['id'].iloc[0]!r} and so on; --id names another column"
        )
    lost = [*matches.missing, *matches.unclear]
    again = [table["id"].iloc[place] for place, rows in matches.rows.items() if len(rows) > 1]
    if lost and not quiet:
        say(f"{counted(lost, 'row')} of {path} without a vector: {some_of(lost)}")
    if matches.guessed and not quiet:
        say(matches.loosely(str(path)))
    if again and not quiet:
        say(f"{counted(again, 'crystal')} with several rows in {path}, of which the first is shown: {some_of(again)}")
    known = properties.drop(columns=[c for c in (key, "id", "formula") if c in properties])
    known = known.iloc[[rows[0] for rows in matches.rows.values()]].set_axis(list(matches.rows), axis=0)
    for name in known:
        texts = [str(text).strip() for text in known[name]]
        style = number_style(texts, semicolons=bool(properties.attrs.get("semicolons")))
        numbers, odd = _numbers(texts, style)
        if numbers:
            known[name] = numbers
        if odd and not quiet:
            say(
                f"{counted(odd, 'cell')} of {name!r} left blank, as no number in the unit of the others: {some_of(odd)}"
            )
    return table.join(known)


def _numbers(texts: list[str], style: NumberStyle) -> tuple[list[float], list[str]]:
    """Read a column of which four cells in five are plain numbers: bounds as their value, and what is left blank.

    Both are empty where it is a column of words.
    """
    from skdim.cli.cells import LabelCell, is_missing

    cells = {text: LabelCell.read(text, style) for text in texts if not is_missing(text)}
    known = [cells[text] for text in texts if text in cells]
    plain = [cell for cell in known if cell is not None and not cell.unit]
    if not known or len(plain) < _MOST_PLAIN * len(known):
        return [], []
    usable = {text: cell.value for text, cell in cells.items() if cell is not None and not cell.unit}
    odd = [text for text in texts if text in cells and text not in usable]
    return [usable.get(text, float("nan")) for text in texts], odd


def _structures(paths: list[Path] | None, ids: list[str], *, quiet: bool) -> tuple[dict[int, Structure], int]:
    """Read the structures of the rows, as far as one page can hold them."""
    if not paths:
        return {}, OK
    from skdim.cli.names import with_bundled
    from skdim.cli.reading import crystal_rows
    from skdim.cli.streaming import Counts
    from skdim.crystals.paths import find_files
    from skdim.crystals.structures import try_crystal
    from skdim.plotting import MOST_STRUCTURES

    files = find_files(with_bundled(paths))
    names = [crystal.id for crystal in crystal_rows(files)]
    named = match_names(names, ids).rows
    rows = {places[0]: row for row, places in sorted(named.items())[:MOST_STRUCTURES]}
    if not rows:
        raise InputError(f"no id of --structures is one of the vectors: {names[0]!r} and {ids[0]!r} differ")
    found: dict[int, Any] = {}
    counts = Counts()
    # Read once more, as only those that are drawn are kept.
    for place, source in enumerate(crystal_rows(files)):
        if place not in rows:
            continue
        crystal, reason = try_crystal(source)
        counts.count([source.id], [] if reason is None else [(0, reason)])
        if crystal is not None:
            counts.notes.add(source.id, crystal.notes)
            found[rows[place]] = crystal.structure
    counts.warn()
    if counts.failures:
        name, reason = counts.failures[0]
        say(f"{len(counts.failures)} structures cannot be drawn, the first: {name}: {reason}")
    if len(found) < len(ids) and not quiet:
        say(f"structures of {len(found)} of {len(ids)} crystals are on the page (at most {MOST_STRUCTURES})")
    return dict(sorted(found.items())), SOME_FAILED if counts.failures else OK


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of map."""
    parser.add_argument("vectors", type=Path, metavar="VECTORS", help="a table that skdim embed wrote")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE", help="HTML file to write")
    parser.add_argument("--table", type=Path, metavar="T", help="properties: .csv or .parquet")
    parser.add_argument("--id", metavar="COLUMN", help="column of ids in --table (id, name, file, ... or the first)")
    parser.add_argument("--color", metavar="COLUMN", help="column that colours the points at first (the first one)")
    parser.add_argument("--structures", type=Path, nargs="+", metavar="PATH", help="the crystals, to draw them")
    methods = f"how to place the crystals (tsne up to {_TSNE_UP_TO} of them, else pca); umap needs umap-learn"
    parser.add_argument("--method", choices=("pca", "tsne", "umap"), help=methods)
    parser.add_argument("--title", default="Map of crystals", help="of the page")
    add_seed(parser)
    add_quiet(parser)


COMMAND = Command("map", "explore vectors on a page in the browser", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
