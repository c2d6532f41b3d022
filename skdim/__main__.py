"""Run the command line as ``python -m skdim``."""

import sys

from skdim.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
