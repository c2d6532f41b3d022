"""`skdim embed`: write the vectors of crystals to a table."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.cli.arguments import PATHS_HELP, add_paths, add_reading, at_least
from skdim.cli.command import Command
from skdim.cli.messages import say
from skdim.cli.names import MODELS_HELP, check_device, model_file
from skdim.cli.reading import find_crystals, settle
from skdim.exceptions import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from skdim.learning.states import EmbedderState
    from skdim.points.chunks import Work
    from skdim.points.pointsets import PointSets

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
    """Write the vectors of crystals, a chunk at a time; return an exit code."""
    from skdim._files import file_digest
    from skdim.cli.outputs import check_place, check_suffix, vector_writer

    check_suffix(args.out)
    found = find_crystals(args)
    file = model_file(args.model)
    check_place(args.out)

    from skdim.cli.streaming import Counts, featurized, reading_workers

    with reading_workers(found, args.jobs) as workers:
        counts = Counts()
        start = partial(featurized, found, size=args.batch, counts=counts, workers=workers, progress=not args.quiet)
        # They read while this process imports torch and loads the model.
        work = _work_of(file) if workers.n > 1 else None
        batches = None if work is None else start(work=work)
        state, embed = _embedding(file, args.device)

        from skdim.network.threads import one_torch_thread

        if batches is None:
            batches = start(work=state.featurizer.work())
        facts = {"model": str(args.model), "sha256": file_digest(file)}
        columns = [f"dim_{name}" for name in state.columns]
        # More threads gain nothing beside the reading, and lose much where processors are busy.
        with vector_writer(args.out, columns, facts) as writer, one_torch_thread():
            for ids, points in batches:
                # After a failure that ends in an error the rest is only checked, to name all failures at once.
                if not counts.failures or args.on_error == "nan":
                    writer.write(ids, embed(points))
            code = settle(counts, args.on_error, "Their rows are NaN.")
    if not args.quiet:
        say(f"wrote {args.out}: {counts.n_rows} rows, {len(columns)} columns")
    return code


def _embedding(file: Path, device: str) -> tuple[EmbedderState, Callable[[PointSets], NDArray[np.float32]]]:
    """Load a model, and say how it embeds, without the estimator: scikit-learn takes half a second to import."""
    from skdim._workers import importing

    with importing():
        check_device(device)

        from skdim.learning.embedding import embed, on_device, resolve_device
        from skdim.learning.statefile import read_embedder_state

    try:
        state = read_embedder_state(file.absolute())
    except ValueError as error:  # documented: the file is no saved embedder
        raise InputError(str(error)) from error
    place = resolve_device(device)
    return state, partial(embed, state, on_device(state.model(), place), device=place)


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
    parser.add_argument("model", metavar="MODEL", help=f"a saved model, or {MODELS_HELP}")
    add_paths(parser)
    formats = "file to write, replaced if it exists: .parquet, .csv, or .npy with the ids in .ids.csv beside it"
    parser.add_argument("--out", type=Path, required=True, metavar="V", help=formats)
    parser.add_argument("--batch", type=at_least(1), default=512, metavar="N", help="crystals in memory at once (512)")
    add_reading(parser, "makes them rows of NaN")


COMMAND = Command("embed", "write vectors of crystals", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
