"""`python -m neuraxis`: the same as the command `neuraxis`."""

import sys

from neuraxis.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
