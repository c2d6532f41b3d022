"""Run the command line as ``python -m skdim``."""

import sys

from skdim.cli import main

if __name__ == "__main__":
    sys.exit(main())
