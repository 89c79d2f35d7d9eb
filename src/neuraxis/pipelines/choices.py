"""What there is to choose from: names of networks, losses, layouts, recipes, metrics and runtimes."""

from __future__ import annotations

from collections.abc import Callable

from neuraxis.dataset.layouts.catalog import LAYOUTS
from neuraxis.errors import UnknownName
from neuraxis.evaluation.catalog import METRICS
from neuraxis.inference.runtimes.catalog import RUNTIMES
from neuraxis.losses.catalog import LOSSES
from neuraxis.networks.catalog import NETWORKS
from neuraxis.recipe.wishes import book
from neuraxis.registry import Catalog


def list_choices(kind: str = "") -> dict[str, dict[str, str]]:
    """Return kind to name to summary.

    Args:
        kind: one of `KINDS`; empty for all of them.

    Raises:
        UnknownName: there is no such kind; the message offers the nearest.

    >>> "unet" in list_choices("networks")["networks"]
    True
    """
    if kind and kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    return {name: KINDS[name]() for name in ([kind] if kind else KINDS)}


def _of(table: Catalog) -> Callable[[], dict[str, str]]:
    def summaries() -> dict[str, str]:
        found = {}
        for name in table.names():
            extra = table.entries[name].extra if name in table.entries else ""
            found[name] = table.summary(name) + (f" (needs neuraxis[{extra}])" if extra else "")
        return found

    return summaries


KINDS: dict[str, Callable[[], dict[str, str]]] = {
    "networks": _of(NETWORKS),
    "losses": _of(LOSSES),
    "layouts": _of(LAYOUTS),
    "recipes": book,
    "metrics": _of(METRICS),
    "runtimes": _of(RUNTIMES),
}
