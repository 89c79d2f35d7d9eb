"""What remains of a training: the bundle, the scores of the held-out fold, and the report."""

from __future__ import annotations

import csv
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuraxis.bundle.bundle import BundleParts, ModelBundle, with_metrics, write_bundle
from neuraxis.bundle.card import Card, Metrics, software_versions
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.splits import Fold
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate
from neuraxis.evaluation.scores import Scores
from neuraxis.files import sha256, write_json
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.inference.prompted.prompting import is_prompted
from neuraxis.networks.catalog import PROMPTED
from neuraxis.pipelines.prompting.beside_oracle import FOLDER as ORACLE
from neuraxis.pipelines.prompting.beside_oracle import beside_oracle, in_words
from neuraxis.pipelines.run_folder import RunFolder
from neuraxis.pipelines.scoring.browser import browser_cases
from neuraxis.pipelines.scoring.losses import has_room, losses_told, with_loss
from neuraxis.progress import Progress
from neuraxis.recipe.branches.prompted import as_shipped
from neuraxis.recipe.planner import Plan
from neuraxis.recipe.previews import PreviewRecipe
from neuraxis.report.evaluation_report import RunReport, choose_cases, write_run_report
from neuraxis.report.figures import curves_png, overlay_png
from neuraxis.report.overlays import Overlay
from neuraxis.report.previews.gif import write_gifs
from neuraxis.report.previews.record import FOLDER as PREVIEWS
from neuraxis.report.previews.section import Previews
from neuraxis.training.curves import read_curves
from neuraxis.workers import map_in_order

log = logging.getLogger("neuraxis")
TRAINED, STOPPED_EARLY, WAITING_TOO_LONG = "trained", "stopped_early", 0.05


def note_training(run: RunFolder, task: Any) -> None:
    """Write into `run.json` that training ended, why if early, and its share of time without data."""
    share = round(task.clock.waiting_share, 4)
    watch = task.watch
    if watch.stopped_at is not None and run.event(STOPPED_EARLY) is None:
        best = {"best": watch.best, "best_step": watch.best_step}
        run.add_event(STOPPED_EARLY, step=watch.stopped_at, **best, reason=watch.reason)
    if run.event(TRAINED) is None:
        run.add_event(TRAINED, steps=task.step, seconds=round(task.clock.seconds, 1))
    run.note(waiting_share=share, loader_workers=task.recipe.training.loader_workers)
    if share > WAITING_TOO_LONG:
        log.warning("%s", waiting_in_words(run.content))


def waiting_in_words(content: Mapping[str, Any]) -> str:
    """Return how long training stood still for want of data, and what helps where that was long."""
    share, workers = float(content["waiting_share"]), int(content["loader_workers"])
    text = f"{100 * share:.1f} % of the training time"
    if share <= WAITING_TOO_LONG:
        return text
    return f"Training waited for data during {text}: raise training.loader_workers (now {workers})."


def bundle_network(card: Card, network: Any, into: Path) -> Path:
    """Export the trained network of the card's one fold and write `model.nxb` in the folder `into`.

    What the recipe said of previews stays in the run: ids and paths are nobody else's business.
    """
    from neuraxis.bundle.export import export_fold

    network_recipe = card.recipe.network
    if network_recipe.name in PROMPTED:
        network_recipe = network_recipe.model_copy(update={"options": as_shipped(network_recipe.options)})
    changes = {"previews": PreviewRecipe(), "network": network_recipe}
    card = card.model_copy(update={"recipe": card.recipe.model_copy(update=changes)})
    parts = into / "bundle-parts"
    files = export_fold(network, card.recipe, card.inputs, card.folds[0], parts)
    path = write_bundle(BundleParts(card, (files,)), into / "model.nxb", overwrite=True)
    shutil.rmtree(parts)
    return path


def score_held_out(run: RunFolder, dataset: Dataset, fold: Fold, bundle: ModelBundle, progress: Progress) -> Scores:
    """Predict the held-out cases as a user would, with the bundle and its default runtime, and score them.

    Predictions that the same weights made are kept. Where these cases decided when the learning rate fell or when
    training ended, the scores say so.
    """
    held_out = dataset.only(fold.validation)
    folder, weights = run.path("predictions"), sha256(bundle.folds[0].weights)
    if run.content.get("predicted_with") != weights:
        shutil.rmtree(folder, ignore_errors=True)
        run.note(predicted_with=weights)
    open_cases = [case for case in held_out.cases if not (folder / f"{case.id}.json").is_file()]
    if open_cases:
        kept = has_room(open_cases, len(bundle.labels.outputs))
        predictor = Predictor(bundle, PredictorOptions(device=run.content["device"], probabilities=kept))
        with progress.stage("predict the held-out fold", len(held_out.cases)) as stage:
            stage.advance(len(held_out.cases) - len(open_cases))
            ready = map_in_order(lambda case: predictor.prepare(case.read_images(apart=True)), open_cases, workers=1)
            for case, scan in zip(open_cases, ready, strict=True):
                found = with_loss(predictor.predict(scan), case, bundle.recipe)
                found.save(folder / f"{case.id}.nii.gz", overwrite=True)
                stage.advance(note=case.id)
    chose = bundle.recipe.training.chooses_on_held_out
    losses = losses_told(folder, [case.id for case in held_out.cases])
    scores = evaluate(folder, held_out, progress, EvaluateOptions(selected_on_these_cases=chose, losses=losses))
    scores.write_csv(run.path("scores.csv"))
    write_json(run.path("summary.json"), scores.nnunet_summary())
    if is_prompted(bundle) and run.content.get("prompts_compared") != weights:
        both = beside_oracle(bundle, held_out, folder, run.path(ORACLE), progress, run.content["device"])
        run.note(prompts_compared=weights, prompts=in_words(both))
        log.info("mean Dice by where prompts come from: %s", in_words(both))
    return scores


def put_metrics_on_card(run: RunFolder, bundle: ModelBundle, scores: Scores, fold: int) -> None:
    """Write the held-out scores onto the bundle's card, once."""
    if bundle.card["metrics"]["structures"]:
        return
    metrics = Metrics.of(
        scores.summary(),
        scored_on=f"held-out fold {fold}, {len(scores.cases())} cases",
        selected_on_these_cases=scores.selected_on_these_cases,
        notes=scores.notes,
    )
    with_metrics(bundle, metrics, run.path("model.nxb"), overwrite=True)


def write_outcome(run: RunFolder, dataset: Dataset, plan: Plan, scores: Scores, progress: Progress) -> None:
    """Write `report.html`, and the curves and the best, median and worst case as pictures."""
    curves = read_curves(run.path("curves.csv"))
    if curves:
        curves_png(curves, run.path("curves.png"))
    previews = _previews(run)
    write_gifs(previews.folder)
    chosen = choose_cases(scores).items()
    overlays = tuple(overlay_of(run.path("predictions"), dataset, case, caption) for caption, case in chosen)
    if overlays:
        overlay_png(overlays, run.path("overlays.png"))
    pictures, left_out = browser_cases(scores, dataset, progress)
    content = RunReport(
        title=f"{dataset.name}, held-out fold",
        scores=scores,
        dataset=data_in_words(run, dataset),
        reasons=plan.reasons,
        recipe_toml=plan.recipe.to_toml(),
        curves=curves,
        profile=_profile(run.path("profile.csv")),
        overlays=overlays,
        facts=facts_of(run),
        previews=previews,
        notes=tuple(f"{finding['case']}: {finding['message']}" for finding in run.content["findings"]),
        browser=pictures,
        browser_left_out=left_out,
    )
    write_run_report(content, run.path("report.html"))


def _previews(run: RunFolder) -> Previews:
    trained = run.event(TRAINED) or {}
    return Previews(run.path(PREVIEWS), float(trained.get("seconds", 0.0)))


def _profile(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [*csv.DictReader(stream)]


def overlay_of(predictions: Path, dataset: Dataset, id: str, caption: str) -> Overlay:
    """Return the pictures of a case: its first channel, its label map, and the segmentation in a folder."""
    from neuraxis.volume.formats import any_format

    case = dataset.case(id)
    volume, label = case.read_images(apart=True), case.read_label()
    volume = next((one for one in volume.each if one.grid.shape == label.grid.shape), volume)
    predicted = any_format.read(predictions / f"{id}.nii.gz")
    return Overlay(
        id, caption, volume.array[0], label.array[0], predicted.array[0], volume.grid.spacing_mm, dataset.labels
    )


def data_in_words(run: RunFolder, dataset: Dataset) -> dict[str, Any]:
    """Return what a report says of the data."""
    data = run.content["card"]["training_data"]
    return {
        "name": dataset.name,
        "layout": dataset.layout,
        "labelled cases": len(dataset.cases),
        "patients": len({case.subject or case.id for case in dataset.cases}),
        "training cases": data["cases"],
        "channels": ", ".join(dataset.channels),
        "structures": ", ".join(dataset.labels.scored),
        "sites": ", ".join(sorted({case.site for case in dataset.cases if case.site})) or "one",
    }


def leaks_in_words(leaks: Sequence[Mapping[str, Any]]) -> str:
    """Return what a report says of patients or scans in two splits that were allowed."""
    return f"{len(leaks)} allowed, so that scores may be too good: {'; '.join(leak['message'] for leak in leaks[:6])}"


def facts_of(run: RunFolder) -> dict[str, str]:
    """Return what a report says of a run: versions, seed, hashes, machine, times."""
    content = run.content
    versions = ", ".join(f"{name} {version}" for name, version in software_versions().items())
    seconds = [event["seconds"] for event in content["events"] if event["kind"] == "finished"]
    stopped = run.event(STOPPED_EARLY)
    return {
        "versions": versions,
        "seed": str(content["seed"]),
        "data hash": content["data_hash"],
        "split hash": content["split_hash"],
        "machine": f"{content['machine']['system']}, {content['machine']['threads']} threads",
        "waiting for data": waiting_in_words(content) if "waiting_share" in content else "not measured",
        "previews": _previews(run).summary() or "none",
        **({"mean Dice by prompts": content["prompts"]} if content.get("prompts") else {}),
        **({"leaks": leaks_in_words(content["leaks_allowed"])} if content.get("leaks_allowed") else {}),
        **({"early stopping": stopped["reason"]} if stopped else {}),
        "time of the last call": f"{seconds[-1] / 60:.1f} minutes" if seconds else "unknown",
    }
