"""What the benchmarks of the folder above share with those in this one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _measure import run_tree, threads_env
from _peer import HOW_TO_GET, NAME, NUMBER, Peer, write_raw

__all__ = ["HOW_TO_GET", "NAME", "NUMBER", "Peer", "run_tree", "threads_env", "write_raw"]
