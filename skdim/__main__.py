"""Run the command line as ``python -m skdim``."""

from skdim.cli import run_and_exit

if __name__ == "__main__":
    run_and_exit()
