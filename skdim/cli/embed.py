"""`skdim embed`: write the vectors of crystals to a table."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.cli.arguments import PATHS_HELP, add_paths, add_reading, at_least
from skdim.cli.command import Command
from skdim.cli.messages import say
from skdim.cli.names import MODELS, load_embedder, model_file
from skdim.cli.reading import find_crystals, settle

if TYPE_CHECKING:
    from skdim.points.chunks import Work

_DESCRIPTION = f"""\
Write one vector for each crystal: one row for each input, in order, with a column "id".

{PATHS_HELP}
The id of a row is the path of its file ("cifs/NaCl.cif"); for a member of an archive the two paths joined
("cifs.zip/NaCl.cif"); for one of several blocks of a CIF path and block ("all.cif#NaCl"); for a structure in a JSON
list or dict, a table or a database its own id (--id; material_id, id, entry_id, jid, mat_id, task_id, or the key in a
dict), or else the path and its number from 0 ("mp.json/0", "mp.csv/0"; rows of an ASE database have its numbers, from
1). A repeated id gets "#2", "#3", ... at its end.
"""

_EXAMPLES = """\
  skdim embed materials_project cifs/ --out vectors.parquet
        with the model that comes with the package
  skdim embed model.safetensors new.zip POSCAR --out vectors.csv --on-error nan
  skdim embed model.safetensors 'cifs/*.cif' --out vectors.npy --jobs -1
        writes the vectors alone, and their ids in the same order to vectors.ids.csv"""


def run(args: argparse.Namespace) -> int:
    """Write the vectors of crystals, a chunk at a time.

    Parameters
    ----------
    args : Namespace
        See `_add_arguments`.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    InputError, OSError
        If an argument or a crystal cannot be used; nothing is written then.
    """
    from skdim._files import file_digest
    from skdim.cli.outputs import check_place, check_suffix, vector_writer

    check_suffix(args.out)
    found = find_crystals(args)
    file = model_file(args.model)
    check_place(args.out)

    from skdim.cli.streaming import Counts, beside, featurized, reading_workers

    with reading_workers(found, args.jobs) as workers:
        counts = Counts()
        start = partial(featurized, found, size=args.batch, counts=counts, workers=workers, progress=not args.quiet)
        # They read while this process imports torch and loads the model.
        work = _work_of(file) if workers.n > 1 else None
        batches = None if work is None else start(work=work)
        embedder = load_embedder(file.absolute(), args.device)  # found once: a former name is told of once
        if batches is None:
            batches = start(work=embedder.featurizer_.work())
        facts = {"model": str(args.model), "sha256": file_digest(file)}
        columns = list(embedder.get_feature_names_out())
        with vector_writer(args.out, columns, facts) as writer, beside(workers):
            for ids, points in batches:
                # After a failure that ends in an error the rest is only checked, to name all failures at once.
                if not counts.failures or args.on_error == "nan":
                    writer.write(ids, embedder.transform(points))
            code = settle(counts, args.on_error, "Their rows are NaN.")
    if not args.quiet:
        say(f"wrote {args.out}: {counts.n_rows} rows, {len(embedder.state_.columns)} columns")
    return code


def _work_of(file: Path) -> Work | None:
    """Read out of the header of a model how its point sets are made; None if the file is of an earlier format.

    Whether the file is whole is checked when the model is loaded, which takes longer.
    """
    from skdim.learning.tensorfile import read_facts
    from skdim.points.chunks import work_with

    try:
        return work_with(**read_facts(file)["featurizer"])
    except (ValueError, LookupError, TypeError):
        return None


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of embed."""
    parser.add_argument(
        "model", metavar="MODEL", help=f"a saved model, or one that comes with skdim: {', '.join(MODELS)}"
    )
    add_paths(parser)
    formats = "file to write, replaced if it exists: .parquet, .csv, or .npy with the ids in .ids.csv beside it"
    parser.add_argument("--out", type=Path, required=True, metavar="V", help=formats)
    parser.add_argument(
        "--batch", type=at_least(1), default=1024, metavar="N", help="crystals in memory at once (1024)"
    )
    add_reading(parser, "makes them rows of NaN")


COMMAND = Command("embed", "write vectors of crystals", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
