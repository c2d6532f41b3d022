"""The command `skdim`: one module a command, each with its arguments, help text, examples and run function.

`program` is the front door: it holds the table of commands and decides which exit code an error gets. The commands are
`demo`, `pretrain`, `embed`, `info` and `benchmark`. What they share: `paths` finds files, `inputs` reads crystals from
them, `streaming` featurizes them chunk by chunk, `reading` reports those that failed, `names` knows what comes with the
package, `outputs` writes vectors, `modelfile` reads the record of a saved model.
"""

from skdim.cli.program import build_parser, main

__all__ = ["build_parser", "main"]
