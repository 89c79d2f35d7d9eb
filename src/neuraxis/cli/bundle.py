"""`neuraxis bundle show|verify`: what is inside a model file, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from neuraxis.cli.options import SHOWN, Output
from neuraxis.cli.printing import columns, number, show, show_json
from neuraxis.cli.scores import HEADER

if TYPE_CHECKING:
    from neuraxis.bundle.bundle import ModelBundle

bundle = App(name="bundle", help="Show or verify a model file (.nxb) or an unpacked bundle.")
_File = Annotated[Path, Parameter(name="BUNDLE")]


@bundle.command(name="show")
def show_bundle(model: _File, /, *, output: Output = SHOWN) -> int:
    """Show what a model segments, what it learned from, how good it was, and its licence.

    For example:

        neuraxis bundle show runs/a/model.nxb

    Args:
        model: A .nxb file or an unpacked bundle.
        output: how it is shown.
    """
    from neuraxis.bundle.bundle import open_bundle

    opened = open_bundle(model)
    if output.json:
        show_json({**opened.card, "hash": opened.hash, "path": opened.path})
    else:
        show(describe_bundle(opened))
    return 0


@bundle.command(name="verify")
def verify_bundle(model: _File, /, *, output: Output = SHOWN) -> int:
    """Check every file of a bundle against its hash, and that its parts fit together.

    Exits with 0 where it is whole, with 4 where it is refused.

    For example:

        neuraxis bundle verify model.nxb

    Args:
        model: A .nxb file or an unpacked bundle.
        output: how it is shown.
    """
    from neuraxis.bundle.bundle import open_bundle

    opened = open_bundle(model)
    if output.json:
        show_json({"path": opened.path, "name": opened.name, "hash": opened.hash, "whole": True})
    else:
        show(f"{model}: whole, {opened.name}, {len(opened.folds)} fold(s), hash {opened.hash}")
    return 0


def describe_bundle(opened: ModelBundle) -> str:
    """Return the card in words."""
    card = opened.card
    rows = [
        ("name", opened.name),
        ("summary", card.get("summary")),
        ("segments", ", ".join(opened.labels.scored)),
        ("channels", ", ".join(f"{name} ({opened.modality.get(name, 'any')})" for name in opened.channels)),
        ("folds", ", ".join(str(fold.index) for fold in opened.folds)),
        ("network", opened.recipe.network.name),
        ("learned from", _training(card.get("training_data", {}))),
        ("made", card.get("created")),
        ("licence", card.get("licence")),
        ("citation", card.get("citation")),
        ("intended use", card.get("intended_use")),
        ("limits", " ".join(card.get("limits", []))),
        ("hash", opened.hash),
        ("notice", card.get("notice")),
    ]
    lines = [columns([(name, value) for name, value in rows if value])]
    metrics = card.get("metrics", {})
    if metrics.get("structures"):
        lines += ["", f"scores ({metrics.get('scored_on') or 'cases not stated'})", _scores(metrics["structures"])]
    return "\n".join(lines)


def _training(data: dict[str, object]) -> str:
    datasets, cases = data.get("datasets") or (), data.get("cases")
    return f"{cases} cases of {', '.join(map(str, datasets))}" if isinstance(datasets, list) and datasets else ""


def _scores(structures: dict[str, dict[str, dict[str, float | None]]]) -> str:
    rows = []
    for structure, metrics in structures.items():
        for metric, value in metrics.items():
            low, high = value.get("ci_low"), value.get("ci_high")
            interval = "-" if low is None or high is None else f"{number(low)} to {number(high)}"
            middle = [_or_nan(value.get(key)) for key in ("mean", "sd", "median")]
            rows.append((structure, metric, value.get("n"), *middle, interval))
    return columns(rows, HEADER)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
