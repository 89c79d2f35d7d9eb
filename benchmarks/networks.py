"""Every network of the catalog: what it costs, and how good it is after the same minutes on the same cases.

    python benchmarks/networks.py                                  # cost alone, of a patch of 128 x 128 x 128
    python benchmarks/networks.py run --minutes 1 --into DIR       # train, predict and score every network
    python benchmarks/networks.py table DIR                        # what was found, as tables

`run` takes every network on phantoms and on the real hippocampi, skips what is done, and may be killed at any time;
the same command again goes on. A network that fails says why in its row, and the next one begins.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).with_name("quality")))

from _facts import WAIT_S, take_cores, wait_for_quiet
from _network_cost import PRECISIONS, measure
from _network_figure import draw
from _network_row import SETTINGS, ground_of, is_made, make_row, reason_to_leave_out, row_of
from _network_table import BEGIN, page_tables, read_results
from _table import put_into_page

from neuraxis.errors import NeuraxisError
from neuraxis.files import folder_lock
from neuraxis.networks.catalog import NETWORKS

CORES = 2


def cost(wanted: argparse.Namespace) -> None:
    """Print the cost of each network."""
    measure(wanted.only, wanted.precisions, wanted.threads)


def run(wanted: argparse.Namespace) -> None:
    """Make all rows that are not there yet."""
    take_cores(wanted.cores)
    into = Path(wanted.into.resolve())
    into.mkdir(parents=True, exist_ok=True)
    with folder_lock(into):
        for warning in wait_for_quiet(wanted.wait):
            print(f"  {warning}", file=sys.stderr)
        for name in wanted.datasets:
            ground = ground_of(name, into)
            for network in wanted.only:
                row = row_of(ground, network, wanted.minutes, wanted.seed, into)
                if not is_made(row):
                    tell(row.name, make_row(ground, network, row, None))


def tell(name: str, made: dict[str, Any]) -> None:
    """Print the heart of a row."""
    if "problem" in made:
        print(f"{name}: {made['problem']}", flush=True)
        return
    dice, cost_found = made["scores"]["dice"]["mean"], made["cost"]
    print(f"{name}: mean Dice {dice:.4f} after {made['steps']} steps, {cost_found['predict_cpu_s']:.2f} CPU s a volume")
    for warning in made["warnings"]:
        print(f"  {warning}", file=sys.stderr)
    sys.stdout.flush()


def show(wanted: argparse.Namespace) -> None:
    """Print the tables of a folder of results, or put them and the figure into a page."""
    results = read_results(wanted.folder)
    if wanted.page is None:
        print(page_tables(results))
        return
    picture = wanted.page.with_suffix(".svg")
    if results:
        draw(results, picture)
    put_into_page(wanted.page, page_tables(results, picture.name), BEGIN)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers()
    costs = verbs.add_parser("cost", help="parameters, FLOPs and CPU seconds (what is done without a verb)")
    costs.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS, help="these (both)")
    costs.add_argument("--threads", type=int, default=1, help="of each (1)")
    costs.set_defaults(do=cost)
    rows = verbs.add_parser("run", help="train, predict and score")
    rows.add_argument("--minutes", type=float, default=1.0, help="of training for each network (1)")
    rows.add_argument("--datasets", nargs="+", default=SETTINGS, choices=SETTINGS, help="these (both)")
    rows.add_argument("--seed", type=int, default=0)
    rows.add_argument("--into", type=Path, required=True, metavar="DIR", help="folder of the results")
    rows.add_argument("--cores", type=int, default=CORES, help=f"cores to compute on ({CORES})")
    rows.add_argument("--wait", type=float, default=WAIT_S, help="seconds to wait for a busy machine (180)")
    rows.set_defaults(do=run)
    plain = [name for name in NETWORKS.names() if not reason_to_leave_out(name)]
    for verb, names in ((costs, plain), (rows, NETWORKS.names())):
        verb.add_argument("--only", nargs="+", default=names, metavar="NAME", help="these networks (all)")
    table = verbs.add_parser("table", help="print the tables of a folder of results")
    table.add_argument("folder", type=Path)
    table.add_argument("--page", type=Path, help="put them into this page instead, and a figure beside it")
    table.set_defaults(do=show)
    return parser.parse_args(sys.argv[1:] or ["cost"])


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    wanted = options()
    try:
        wanted.do(wanted)
    except NeuraxisError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
