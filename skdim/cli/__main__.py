"""Run the command line as ``python -m skdim.cli``."""

from skdim.cli import run_and_exit

if __name__ == "__main__":
    run_and_exit()
