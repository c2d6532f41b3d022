"""`skdim pretrain`: train an encoder on crystals and save it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skdim.cli.arguments import PATHS_HELP, add_paths, add_reading, add_seed, at_least
from skdim.cli.command import Command
from skdim.cli.matching import counted
from skdim.cli.messages import say
from skdim.cli.names import MODELS_HELP, check_device, load_embedder
from skdim.cli.reading import check_enough, find_crystals, settle
from skdim.exceptions import InputError

if TYPE_CHECKING:
    from skdim.embedder import DeepInfoMaxEmbedder
    from skdim.points.pointsets import PointSets

_PRESETS = ("default", "deep", "paper")
_CHUNK = 1024

_DESCRIPTION = f"""\
Pretrain an encoder on crystals and save it as one safetensors file. No labels are needed: give it every structure you
have, also those whose properties are unknown.

{PATHS_HELP}"""

_EXAMPLES = """\
  skdim pretrain cifs/ --out model.safetensors
  skdim pretrain bundled:formation_energy --out model.safetensors --max-epochs 10
  skdim pretrain mp.json.gz 'runs/**/CONTCAR' --out model.safetensors --max-epochs 30 --jobs 4
  skdim pretrain cifs/ --start materials_project --max-epochs 5 --out mine.safetensors
        continues the pretraining of the model that comes with the package, on your own crystals
  skdim pretrain big.tar.gz --out model.safetensors --checkpoint state/ --on-error nan
        After an interrupt, the same command continues where it stopped. Without --checkpoint the best weights so far
        are in model.interrupted.safetensors, for --start."""


def run(args: argparse.Namespace) -> int:
    """Train an embedder on crystals and save it."""
    from skdim._files import scratch_folder
    from skdim.cli.outputs import check_place

    found = find_crystals(args)
    check_place(args.out)

    from skdim.cli.streaming import Counts, featurized, reading_workers
    from skdim.points.pointsets import PointSets
    from skdim.points.pointstore import save_parts

    embedder, counts = _embedder(args), Counts()
    work = (embedder.featurizer_ if hasattr(embedder, "featurizer_") else embedder.make_featurizer()).work()
    # Through a file, so that neither reading nor training holds all crystals in memory. Beside --out, as the folder
    # for temporary files is in memory on many machines.
    with scratch_folder(_existing(args.out) / args.out.name) as folder:
        with reading_workers(found, args.jobs) as workers:
            parts = featurized(found, work, workers, _CHUNK, counts, progress=not args.quiet)
            save_parts(folder / "points", (points for _, points in parts))
        code = settle(counts, args.on_error, "They are left out.")
        n = check_enough(counts, 1 if args.max_epochs == 0 else 2, "to pretrain on")
        _fit(embedder, PointSets.load(folder / "points", mmap_mode="r"), args)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    embedder.save(args.out)
    if not args.quiet:
        epochs = counted(embedder.history_, "epoch")
        say(f"wrote {args.out}: {n} crystals, {epochs}, {len(embedder.state_.columns)} columns")
    return code


def _fit(embedder: DeepInfoMaxEmbedder, points: PointSets, args: argparse.Namespace) -> None:
    """Train; what an interrupted training has learned goes to a file of its own, as --out is for a whole one."""
    before = getattr(embedder, "state_", None)
    try:
        embedder.fit(points)
    except KeyboardInterrupt:
        if getattr(embedder, "state_", None) is before:  # nothing was learned yet
            raise
        place = args.out
        while place == args.out or place.exists():
            place = place.with_name(f"{place.stem}.interrupted{place.suffix}")
        place.parent.mkdir(parents=True, exist_ok=True)
        embedder.save(place)
        more = "; the same command goes on from its checkpoint" if args.checkpoint else ""
        say(f"wrote {place}: the weights of the best of {counted(embedder.history_, 'epoch')}{more}")
        raise


def _existing(path: Path) -> Path:
    """The folder of a file, or the nearest one above that exists."""
    return next(place for place in path.absolute().parents if place.is_dir())


def _embedder(args: argparse.Namespace) -> DeepInfoMaxEmbedder:
    """Make the embedder that the arguments describe, or load the one to continue."""
    from skdim.embedder import DeepInfoMaxEmbedder

    chosen = {
        "max_epochs": args.max_epochs,
        "checkpoint_dir": args.checkpoint,
        "device": args.device,
        "random_state": args.seed,
        "verbose": int(not args.quiet),
    }
    if args.start is None:
        check_device(args.device)
        return DeepInfoMaxEmbedder(preset=args.preset or _PRESETS[0], embedding_dim=args.embedding_dim, **chosen)
    for name in ("preset", "embedding_dim"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} cannot be combined with --start, whose model decides it")
    embedder = load_embedder(args.start, args.device)
    if args.max_epochs is None:  # 0, with which the models that come with the package were finished, trains nothing
        chosen["max_epochs"] = embedder.max_epochs or None
    embedder.set_params(**chosen, warm_start=True)
    return embedder


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of pretrain."""
    add_paths(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="M", help="file to write, replaced if it exists")
    parser.add_argument("--preset", choices=_PRESETS, help=f"configuration ({_PRESETS[0]})")
    parser.add_argument("--start", metavar="MODEL", help=f"model to continue: a saved one, or {MODELS_HELP} (none)")
    parser.add_argument("--max-epochs", type=at_least(0), metavar="N", help="most epochs (the preset's); 0: untrained")
    parser.add_argument("--embedding-dim", type=at_least(1), metavar="N", help="columns of the vectors (the preset's)")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="keep the state of the training here and continue from it"
    )
    add_seed(parser)
    add_reading(parser, "leaves them out")


COMMAND = Command("pretrain", "learn from crystals without labels", _DESCRIPTION, _EXAMPLES, _add_arguments, run)
