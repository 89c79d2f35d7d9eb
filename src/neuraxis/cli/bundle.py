"""`neuraxis bundle`: what is inside a model file and whether it is whole; models of others, and models on the net."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from neuraxis.cli.bundle_export import export_model
from neuraxis.cli.bundle_quantise import describe_int8, quantise_model
from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Output, Overwrite
from neuraxis.cli.printing import columns, number, show, show_json
from neuraxis.cli.scores import HEADER

if TYPE_CHECKING:
    from neuraxis.bundle.bundle import ModelBundle

bundle = App(name="bundle", help="Fetch, show, verify, cite, import or export a model file (.nxb).")
bundle.command(export_model, name="export")
bundle.command(quantise_model, name="quantise")
_File = Annotated[Path, Parameter(name="BUNDLE")]
_Registry = Annotated[
    str | None,
    Parameter(
        name="--from",
        help="A registry of models: a JSON file or an https address. [default: NEURAXIS_REGISTRY, else the one that "
        "ships]",
        show_default=False,
    ),
]


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


@Parameter(name="*")
@dataclass(frozen=True)
class ImportChoices:
    """What is taken of a model, and where it goes; configuration, folds and checkpoint are nnU-Net's."""

    into: Annotated[Path, Parameter(help="The bundle to write, NAME.nxb.")]
    configuration: Annotated[
        str | None,
        Parameter(help="2d, 3d_fullres, 3d_lowres or 3d_cascade_fullres, where several are there.", show_default=False),
    ] = None
    folds: Annotated[
        tuple[int, ...],
        Parameter(
            help="Take these folds alone; of a cascade, of both its stages. [default: all]",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    checkpoint: Annotated[Literal["final", "best"], Parameter(help="Which file of each fold.")] = "final"
    overwrite: Overwrite = False


@bundle.command(name="import")
def import_model(
    source: Annotated[Path, Parameter(name="MODEL")], /, *, choices: ImportChoices, output: Output = SHOWN
) -> int:
    """Turn a model of nnU-Net 2 or a bundle of MONAI into one that segments as they do.

    Nothing that is in it is run. What cannot be done exactly is refused. Of a
    cascade both stages are taken into the one bundle; the folder of the first
    must lie beside that of the second.

    For example:

        neuraxis bundle import nnUNetTrainer__nnUNetPlans__3d_fullres/ --into m.nxb
        neuraxis bundle import exported.zip --configuration 2d --into model.nxb
        neuraxis bundle import spleen_ct_segmentation/ --into spleen.nxb

    Args:
        source: A folder of results or a zip of nnU-Net's, or a bundle of MONAI.
        choices: what is taken of it.
        output: how it is shown.
    """
    from neuraxis.pipelines.verbs import import_bundle

    opened = import_bundle(source, **asdict(choices))
    if output.json:
        show_json({"path": opened.path, "name": opened.name, "hash": opened.hash, "folds": len(opened.folds)})
    else:
        show(f"{choices.into}\n{describe_bundle(opened)}")
    return 0


@bundle.command(name="list")
def list_models(*, registry: _Registry = None, output: Output = SHOWN) -> int:
    """List the models that can be fetched.

    For example:

        neuraxis bundle list
        neuraxis bundle list --from https://models.example.org/registry.json

    Args:
        registry: where the models are listed.
        output: how it is shown.
    """
    from neuraxis.bundle.registry import EMPTY, list_bundles

    models = list_bundles(_registry(registry), _offline())
    if output.json:
        show_json(models)
    elif models:
        rows = [(model.name, model.kind, _size(model.size), model.licence, model.summary) for model in models]
        show(columns(rows, ("name", "kind", "size", "licence", "summary")))
    else:
        show(EMPTY)
    return 0


@bundle.command(name="pull")
def pull_model(
    name: Annotated[str, Parameter(name="NAME")],
    /,
    *,
    into: Annotated[Path | None, Parameter(help="The file to write. [default: NAME.nxb]", show_default=False)] = None,
    registry: _Registry = None,
    overwrite: Overwrite = False,
    output: Output = SHOWN,
) -> int:
    """Fetch a model of a registry and check it before it gets its name.

    A download that was cut goes on with the same command. A model of nnU-Net
    becomes a bundle at once; --into NAME.zip keeps it as it is published.
    Where NEURAXIS_OFFLINE is set, no connection is opened.

    For example:

        neuraxis bundle pull lesions --from registry.json --into lesions.nxb

    Args:
        name: of the model, as `neuraxis bundle list` shows it.
        into: where it goes.
        registry: where the models are listed.
        overwrite: whether another file of that name may be replaced.
        output: how it is shown.
    """
    from neuraxis.bundle.pull import pull_bundle

    with display(output) as progress:
        pulled = pull_bundle(name, into, _registry(registry), _offline(), overwrite, progress)
    if output.json:
        show_json(pulled)
        return 0
    rows = [
        ("licence", pulled.licence),
        ("published at", pulled.page),
        ("SHA-256", pulled.sha256),
        ("next", pulled.next or f"neuraxis segment scans/ --model {pulled.path} --into segmentations/"),
    ]
    show(f"{pulled.path}{'' if pulled.fetched else ' (was there already)'}\n{columns(rows)}")
    return 0


@bundle.command(name="cite")
def cite_model(
    name: Annotated[str, Parameter(name="NAME_OR_BUNDLE")],
    /,
    *,
    registry: _Registry = None,
    output: Output = SHOWN,
) -> int:
    """Show a model's licence and what to cite, in words and for BibTeX.

    For example:

        neuraxis bundle cite model.nxb

    Args:
        name: name in a registry, or a .nxb file or unpacked bundle.
        registry: where the models are listed.
        output: how it is shown.
    """
    from neuraxis.bundle.registry import cite_bundle

    found = cite_bundle(name, _registry(registry), _offline())
    if output.json:
        show_json(found)
        return 0
    rows = [("name", found.name), ("licence", found.licence), ("citation", found.citation or "not stated")]
    rows += [("published at", found.page)] if found.page else []
    show("\n\n".join([columns(rows), *found.bibtex]))
    return 0


def _registry(named: str | None) -> str | None:
    return named or os.environ.get("NEURAXIS_REGISTRY") or None


def _offline() -> bool:
    return os.environ.get("NEURAXIS_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.1f} MB"


def describe_bundle(opened: ModelBundle) -> str:
    """Return the card in words."""
    card = opened.card
    rows = [
        ("name", opened.name),
        ("summary", card.get("summary")),
        ("segments", ", ".join(opened.labels.scored)),
        ("channels", ", ".join(f"{name} ({opened.modality.get(name, 'any')})" for name in opened.channels)),
        ("may be missing", _missing(opened)),
        ("folds", ", ".join(str(fold.index) for fold in opened.folds)),
        ("first stage", _first_stage(opened.previous)),
        ("averaged with", "; ".join(f"{other.name}, {len(other.folds)} folds (inside)" for other in opened.members)),
        ("network", opened.recipe.network.name),
        ("afterwards", "; ".join(opened.recipe.postprocessing.in_words())),
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
        where = metrics.get("scored_on") or "cases not stated"
        chose = "; selected on these cases" if metrics.get("selected_on_these_cases") else ""
        lines += ["", f"scores ({where}{chose})", _scores(metrics["structures"])]
    if card.get("int8"):
        lines += ["", describe_int8(card["int8"])]
    return "\n".join(lines)


def _missing(opened: ModelBundle) -> str:
    missing = opened.recipe.missing
    names = ", ".join(missing.by_channel)
    filled = "zeros" if missing.fill == "zeros" else "the mean of the others"
    return f"{names}, though not all at once (the model then sees {filled} in their place)" if names else ""


def _first_stage(stage: ModelBundle | None) -> str:
    if stage is None:
        return ""
    return f"{stage.name}, folds {', '.join(str(fold.index) for fold in stage.folds)} (inside; it runs first)"


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
