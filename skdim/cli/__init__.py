"""The command `skdim`: words of a command line in, files and an exit code out.

`paths` finds files, `inputs` reads crystals from them, `streaming` featurizes them chunk by chunk, `outputs` writes
vectors, `modelfile` tells what a saved model is; `commands` are their callers and `program` is the front door.
"""

from skdim.cli.program import build_parser, main

__all__ = ["build_parser", "main"]
