"""Quality per minute on the real hippocampi: neuraxis beside nnU-Net, the same cases, fold, minutes and cores.

One row is one command, which may be killed at any time; the same command again goes on:

    python benchmarks/quality/hippocampus.py run --who neuraxis --minutes 10 --seed 0 --into DIR
    python benchmarks/quality/hippocampus.py run --who nnunet --minutes 10 --seed 0 --into DIR --peer PEER
    python benchmarks/quality/hippocampus.py table DIR

and settings are chosen without a look at the held-out cases, on folds of the training cases alone:

    python benchmarks/quality/hippocampus.py inner --settings a.toml b.toml --minutes 10 --into DIR
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
from pathlib import Path
from typing import Any

from _data import subset
from _facts import WAIT_S, take_cores
from _nnunet import PeerRow
from _ours import fit_row
from _row import Row, cases_of
from _shared import HOW_TO_GET
from _table import OURS, THEIRS, page_tables, put_into_page, read_results, trial_table

from neuraxis.errors import NeuraxisError
from neuraxis.files import folder_lock, read_json

CORES = 2


def run(wanted: argparse.Namespace) -> None:
    """Make one row, or go on with it."""
    if wanted.who == THEIRS and wanted.peer is None:
        raise SystemExit(HOW_TO_GET)
    take_cores(wanted.cores)
    row = Row(wanted.who, wanted.minutes, wanted.seed, place_of(wanted))
    if row.result.is_file():
        print(f"{row.result} is there already. Remove it to score again, and {row.folder} too to measure again.")
        return
    with folder_lock(row.folder):
        cases = cases_of(row.into, wanted.cases)
        if row.who == OURS:
            made = fit_row(row, cases, wanted.wait)
        else:
            made = PeerRow(row, cases, wanted.peer.resolve(), wanted.wait).run_all()
    tell(row, made)


def inner(wanted: argparse.Namespace) -> None:
    """Try settings on folds of fold 0's training cases."""
    take_cores(wanted.cores)
    into = place_of(wanted) / "inner"
    outer = cases_of(into.parent, wanted.cases)
    cases = subset(outer, outer.folds[0].training, into / "training-cases")
    for settings in wanted.settings:
        for fold in wanted.folds:
            for seed in wanted.seeds:
                row = Row(name_of(settings), wanted.minutes, seed, into, fold, settings)
                if not row.result.is_file():
                    with folder_lock(row.folder):
                        tell(row, fit_row(row, cases, wanted.wait))
    print(trial_table(read_trials(into)))


def place_of(wanted: argparse.Namespace) -> Path:
    """Return the folder of the results; a part of the cases has one of its own."""
    into = Path(wanted.into.resolve())
    return into / f"first-{wanted.cases}" if wanted.cases else into


def name_of(settings: str) -> str:
    """Return a name for settings: that of the book, or of the file with a hash of what it holds."""
    if not settings.endswith(".toml"):
        return settings
    content = hashlib.sha256(Path(settings).read_bytes()).hexdigest()
    return f"{Path(settings).stem}-{content[:6]}"


def read_trials(into: Path) -> list[dict[str, Any]]:
    """Return the results of all candidates, of all inner folds."""
    return [read_json(path) for path in sorted(into.glob("*.json"))]


def show(wanted: argparse.Namespace) -> None:
    """Print the tables of a folder of results, or put them into a page."""
    tables = page_tables(read_results(wanted.folder))
    if wanted.page is None:
        print(tables)
    else:
        put_into_page(wanted.page, tables)


def tell(row: Row, made: dict[str, Any]) -> None:
    """Print the heart of a result."""
    print(f"{row.name}: mean Dice {made['scores']['dice']['mean']:.4f} in {made['wall_s']:.0f} s, in {row.result}")
    for warning in made["warnings"]:
        print(f"  {warning}", file=sys.stderr)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("run", help="make one row")
    one.add_argument("--who", choices=(OURS, THEIRS), required=True)
    one.add_argument("--minutes", type=float, required=True, help="the budget")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    one.set_defaults(do=run)
    trial = verbs.add_parser("inner", help="try settings on folds of the training cases")
    trial.add_argument("--settings", nargs="+", required=True, help="recipes of the book, or TOML files")
    trial.add_argument("--minutes", type=float, required=True, help="the budget of each run")
    trial.add_argument("--folds", type=int, nargs="+", default=[0], help="inner folds, of 0 to 4 (0)")
    trial.add_argument("--seeds", type=int, nargs="+", default=[0])
    trial.set_defaults(do=inner)
    for verb in (one, trial):
        verb.add_argument("--into", type=Path, required=True, metavar="DIR", help="folder of the results")
        verb.add_argument("--cases", type=int, default=0, metavar="N", help="the first N alone, to try the command")
        verb.add_argument("--cores", type=int, default=CORES, help=f"cores to compute on ({CORES})")
        verb.add_argument("--wait", type=float, default=WAIT_S, help="seconds to wait for a busy machine (180)")
    table = verbs.add_parser("table", help="print the tables of a folder of results")
    table.add_argument("folder", type=Path)
    table.add_argument("--page", type=Path, help="put them into this page instead")
    table.set_defaults(do=show)
    return parser.parse_args()


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    wanted = options()
    try:
        wanted.do(wanted)
    except NeuraxisError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
