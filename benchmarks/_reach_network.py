"""Runs `neuraxis segment` and prints when it reached the network: seconds since a start, and its own CPU seconds.

Run: python _reach_network.py START segment SCAN --model BUNDLE --into OUT, START as `time.monotonic()` gave it.
"""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager

from neuraxis.cli import display
from neuraxis.cli.main import run
from neuraxis.progress import Stage


class Watch(display.PlainScreen):
    """A screen that notes when the prediction begins: everything is loaded then, the scan read and prepared."""

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """Open a stage, and print the times where it is the prediction."""
        if name == "predict":
            print(f"{time.monotonic() - float(sys.argv[1]):.4f} {time.process_time():.4f}", flush=True)
        return super().stage(name, total)


if __name__ == "__main__":
    display.choose_screen = lambda output: Watch()
    sys.exit(run(sys.argv[2:]))
