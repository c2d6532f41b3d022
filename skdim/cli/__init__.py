"""The command `skdim`: one module a command, each with its arguments, help text, examples and run function.

`program` is the front door: it holds the table of commands and decides which exit code an error gets. What commands
share: `reading` finds crystals and reports those that failed, `streaming` featurizes them a chunk at a time, `names`
knows what comes with the package, `outputs` writes vectors, `modelfile` reads the record of a saved model.
"""

from skdim.cli.program import build_parser, main, run_and_exit

__all__ = ["build_parser", "main", "run_and_exit"]
