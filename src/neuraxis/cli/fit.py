"""`neuraxis fit`: from labelled scans to a validated model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import (
    AS_FOUND,
    SHOWN,
    AllowLeak,
    DataChoices,
    Deterministic,
    Device,
    DeviceCount,
    Output,
    Previewed,
    Profiled,
    RecipeName,
    Settings,
    VariantName,
    parse_duration,
    with_variant,
)
from neuraxis.cli.printing import show, show_json
from neuraxis.cli.scores import describe_scores, scores_content
from neuraxis.cli.torchrun import chosen_devices, follows, leading
from neuraxis.errors import UsageError


@Parameter(name="*")
@dataclass(frozen=True)
class FitChoices:
    """What `fit` can be told."""

    recipe: RecipeName = "auto"
    variant: VariantName = ""
    settings: Settings = ()
    into: Annotated[
        Path | None,
        Parameter(help="Folder of the run; a run that is there is resumed. [default: runs/DATASET]"),
    ] = None
    budget: Annotated[
        str | None, Parameter(help="Time for all of it, such as 20m or 1h30m; the schedule then ends in time.")
    ] = None
    fold: Annotated[int, Parameter(help="The fold that is held out and scored.")] = 0
    folds: Annotated[
        int | None,
        Parameter(
            help="Train so many folds, score every case by the one that held it out, and join all networks.",
            show_default=False,
        ),
    ] = None
    jobs: Annotated[int, Parameter(help="With --folds: how many are trained at once, each with its cores or GPU.")] = 1
    device: Device = "auto"
    devices: DeviceCount = None
    deterministic: Deterministic = False
    repeat: Annotated[
        Path | None, Parameter(help="An earlier run to do again: its recipe, splits, seeds and events.")
    ] = None
    profile: Profiled = False
    preview: Previewed = ()
    begin_with: Annotated[
        Path | None,
        Parameter(name="--from", help="A bundle to begin with: its weights as far as they fit, and its network."),
    ] = None
    add: Annotated[
        tuple[Path, ...],
        Parameter(
            help="Folders of corrected label maps, named as the cases are, or datasets of corrected and further cases.",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    allow_leak: AllowLeak = False


DEFAULTS = FitChoices()


def fit(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    choices: FitChoices = DEFAULTS,
    data: DataChoices = AS_FOUND,
    output: Output = SHOWN,
) -> int:
    """Turn labelled scans into a validated model.

    Checks the data, plans, prepares, trains, scores the held-out fold, and
    writes a model (model.nxb) with a report (report.html). The same command
    again resumes a run that was interrupted.

    For example:

        neuraxis fit ms-brain/ --into runs/a --budget 1h30m
        neuraxis fit site-a/ site-b/ --set training.steps=5000
        neuraxis fit pictures/ --recipe ms-flair-2d --variant published
        neuraxis fit ms-brain/ --folds 5 --budget 8h
        neuraxis fit ms-brain/ --preview unlabelled/
        neuraxis fit new-site/ --from model.nxb --budget 20m
        neuraxis fit ms-brain/ --from model.nxb --add corrected/
        neuraxis fit ms-brain/ --devices 4

    Args:
        datasets: Folders of labelled scans in any known layout; several are joined.
        choices: what is asked for.
        data: how folders are understood.
        output: how it is shown.
    """
    from neuraxis.pipelines.fit import FitOptions
    from neuraxis.pipelines.fit import fit as fit_model

    devices = chosen_devices(choices.devices)
    if devices.torchrun and choices.folds is not None:
        raise UsageError("--folds: torchrun can share one fold. Leave torchrun out and name --devices.")
    if choices.jobs != 1 and choices.folds is None:
        raise UsageError(f"--jobs {choices.jobs}: is for several folds. Name how many with --folds.")
    if follows(devices, choices.device):
        return 0
    options = FitOptions(
        into=choices.into or default_run(datasets, choices.fold, choices.repeat, choices.folds),
        recipe=with_variant(choices.recipe, choices.variant),
        settings=choices.settings,
        budget_s=parse_duration(choices.budget) if choices.budget else None,
        fold=choices.fold,
        device=choices.device,
        devices=devices,
        deterministic=choices.deterministic,
        repeat=choices.repeat,
        profile=choices.profile,
        previews=choices.preview,
        begin_with=choices.begin_with,
        add=choices.add,
        allow_leak=choices.allow_leak,
    )
    places = data.places(datasets)
    with display(output) as progress, leading(devices, choices.device):
        if choices.folds is None:
            result = fit_model(places, options, progress)
        else:
            from neuraxis.pipelines.folds.fitting import fit_folds

            result = fit_folds(places, options, choices.folds, progress, choices.jobs)
    show_fit(result, output)
    return 0


def default_run(
    datasets: tuple[Path, ...], fold: int = 0, repeat: Path | None = None, folds: int | None = None
) -> Path:
    """Return where a run goes that was given no place, so that the same command finds it again.

    >>> default_run((Path("data/ms-brain"),), fold=2)
    PosixPath('runs/ms-brain-fold-2')
    """
    if repeat is not None:
        return repeat.resolve().with_name(f"{repeat.resolve().name}-repeat")
    name = "+".join(path.resolve().name for path in datasets)[:150]
    if folds is not None:
        return Path("runs") / f"{name}-{folds}-folds"
    return Path("runs") / (f"{name}-fold-{fold}" if fold else name)


def show_fit(result: Any, output: Output) -> None:
    """Print where the results of a run are and how good the model is."""
    if output.json:
        content = {"run": result.run, "bundle": result.bundle, "report": result.report}
        show_json({**content, "scores": scores_content(result.scores)})
        return
    show(describe_scores(result.scores))
    show()
    show(f"model   {result.bundle}\nreport  {result.report}")
    show(f"\nNext: neuraxis segment SCAN --model {result.bundle} --into OUT")
