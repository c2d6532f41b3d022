"""Parsed arguments in; a model, a table of vectors or facts about a model out, and the code the command exits with."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from skdim.cli.paths import Found, find_files

if TYPE_CHECKING:
    from skdim.cli.streaming import Tally
    from skdim.embedder import DeepInfoMaxEmbedder

OK, SOME_FAILED, BAD_INPUT, INTERRUPTED, FAULT = 0, 1, 2, 130, 70
_CHUNK = 1024


def say(message: str) -> None:
    """Write a message for people to stderr."""
    print(f"skdim: {message}", file=sys.stderr, flush=True)


def pretrain(args: argparse.Namespace) -> int:
    """Train an embedder on crystals and save it.

    Parameters
    ----------
    args : Namespace
        paths, out, preset, max_epochs, embedding_dim, seed, jobs, checkpoint, on_error, device, quiet.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    ValueError, OSError
        If an argument or a crystal cannot be used; nothing was written then.
    """
    from skdim.cli.outputs import check_place

    found = _find(args)
    check_place(args.out)

    from skdim.cli.streaming import Tally, featurized
    from skdim.learning.presets import PRESETS
    from skdim.points.featurizer import CrystalPointSetTransformer
    from skdim.points.pointsets import PointSets

    embedder = _new_embedder(args)
    featurizer = CrystalPointSetTransformer(**PRESETS[args.preset].featurizer, n_jobs=args.jobs)
    tally = Tally()
    parts = [points for _, points in featurized(found, featurizer, _CHUNK, tally, progress=not args.quiet)]
    code = _settle(tally, args.on_error, "They are left out.")
    n = _enough(tally, least=1 if args.max_epochs == 0 else 2)
    embedder.fit(PointSets.concatenate(parts))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    embedder.save(args.out)
    if not args.quiet:
        say(f"wrote {args.out}: {n} crystals, {len(embedder.history_)} epochs, {len(embedder.state_.columns)} columns")
    return code


def embed(args: argparse.Namespace) -> int:
    """Write the vectors of crystals, a chunk at a time.

    Parameters
    ----------
    args : Namespace
        model, paths, out, jobs, batch, on_error, device, quiet.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    ValueError, OSError
        If an argument or a crystal cannot be used; nothing was written then.
    """
    from skdim.cli.outputs import check_place, check_suffix, vector_writer

    check_suffix(args.out)
    found = _find(args)

    from skdim.cli.modelfile import sha256_of
    from skdim.cli.streaming import Tally, featurized

    embedder = _saved_embedder(args)
    check_place(args.out)
    featurizer, tally = embedder.featurizer_.set_params(n_jobs=args.jobs, verbose=0), Tally()
    facts = {"model": str(args.model), "sha256": sha256_of(args.model)}
    with vector_writer(args.out, list(embedder.get_feature_names_out()), facts) as writer:
        for ids, points in featurized(found, featurizer, args.batch, tally, progress=not args.quiet):
            # After a failure that ends in an error the rest is only checked, to name all failures at once.
            if not tally.failures or args.on_error == "nan":
                writer.write(ids, embedder.transform(points))
        code = _settle(tally, args.on_error, "Their rows are NaN.")
    if not args.quiet:
        say(f"wrote {args.out}: {tally.n_rows} rows, {len(embedder.state_.columns)} columns")
    return code


def info(args: argparse.Namespace) -> int:
    """Print what a saved embedder is, and how it came to be.

    Parameters
    ----------
    args : Namespace
        model, json.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    ValueError, OSError
        If the file is no saved embedder.
    """
    from skdim.cli.modelfile import as_json, as_text, facts_of

    facts = facts_of(args.model)
    print(as_json(facts) if args.json else as_text(facts))
    return OK


def demo(args: argparse.Namespace) -> int:
    """Pretrain on bundled crystals and show what the vectors are worth.

    Parameters
    ----------
    args : Namespace
        out, quick, seed, quiet.

    Returns
    -------
    int
        Exit code.
    """
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"{str(args.out)!r} is a file; the name of a folder is needed")

    from skdim.demo import run_demo

    run_demo(args.out, quick=args.quick, random_state=args.seed, verbose=int(not args.quiet))
    return OK


def _find(args: argparse.Namespace) -> Found:
    """Find the files, and say which ones in the folders were passed over."""
    found = find_files(args.paths)
    if found.skipped and not args.quiet:
        names = ", ".join(found.skipped[:3]) + (", ..." if len(found.skipped) > 3 else "")
        say(f"skipped in folders, for names that are not those of CIF, POSCAR or JSON: {len(found.skipped)} ({names})")
    return found


def _new_embedder(args: argparse.Namespace) -> DeepInfoMaxEmbedder:
    """Make the embedder that the arguments describe."""
    from skdim.embedder import DeepInfoMaxEmbedder

    _check_device(args.device)
    return DeepInfoMaxEmbedder(
        preset=args.preset,
        max_epochs=args.max_epochs,
        embedding_dim=args.embedding_dim,
        checkpoint_dir=args.checkpoint,
        device=args.device,
        random_state=args.seed,
        verbose=int(not args.quiet),
    )


def _saved_embedder(args: argparse.Namespace) -> DeepInfoMaxEmbedder:
    """Load the embedder, for the device that is asked for."""
    from skdim.embedder import DeepInfoMaxEmbedder

    _check_device(args.device)
    embedder = DeepInfoMaxEmbedder.load(args.model)
    embedder.set_params(device=args.device)
    return embedder


def _check_device(name: str) -> None:
    """Refuse a device that torch does not know or cannot use here."""
    import torch

    try:
        torch.zeros(1, device=None if name == "auto" else name)
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without such devices
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device {name}: {reason}; accepted are auto and what torch can use here") from error


def _enough(tally: Tally, least: int) -> int:
    """Count the usable crystals, and refuse too few."""
    n = tally.n_rows - len(tally.failures)
    if n < least:
        raise ValueError(
            f"{n} of {tally.n_rows} crystals can be used; at least {least} {'is' if least == 1 else 'are'} needed to "
            "pretrain on"
        )
    return n


def _settle(tally: Tally, on_error: str, fate: str) -> int:
    """Say which crystals failed: an error, or a message and an exit code."""
    if not tally.failures:
        return OK
    if on_error == "raise":
        raise ValueError(f"{tally.describe()}\nNothing was written; --on-error nan goes on without them.")
    say(f"{tally.describe()}\n{fate}")
    return SOME_FAILED
