"""What remains of a training: the bundle, the scores of the held-out fold, and the report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from neuraxis.bundle.bundle import BundleParts, ModelBundle, with_metrics, write_bundle
from neuraxis.bundle.card import Card, Metrics, software_versions
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.splits import Fold
from neuraxis.evaluation.evaluate import evaluate
from neuraxis.evaluation.scores import Scores
from neuraxis.files import sha256, write_json
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.pipelines.run_folder import RunFolder
from neuraxis.progress import Progress
from neuraxis.recipe.planner import Plan
from neuraxis.report.evaluation_report import RunReport, choose_cases, write_run_report
from neuraxis.report.figures import curves_png, overlay_png
from neuraxis.report.overlays import Overlay
from neuraxis.training.curves import read_curves
from neuraxis.workers import map_in_order


def bundle_network(card: Card, network: Any, into: Path) -> Path:
    """Export the trained network of the card's one fold and write `model.nxb` in the folder `into`."""
    from neuraxis.bundle.export import export_fold

    parts = into / "bundle-parts"
    files = export_fold(network, card.recipe, card.channels, card.folds[0], parts)
    path = write_bundle(BundleParts(card, (files,)), into / "model.nxb", overwrite=True)
    shutil.rmtree(parts)
    return path


def score_held_out(run: RunFolder, dataset: Dataset, fold: Fold, bundle: ModelBundle, progress: Progress) -> Scores:
    """Predict the held-out cases as a user would, with the bundle and its default runtime, and score them.

    Predictions that the same weights made are kept.
    """
    held_out = dataset.only(fold.validation)
    folder, weights = run.path("predictions"), sha256(bundle.folds[0].weights)
    if run.content.get("predicted_with") != weights:
        shutil.rmtree(folder, ignore_errors=True)
        run.note(predicted_with=weights)
    open_cases = [case for case in held_out.cases if not (folder / f"{case.id}.json").is_file()]
    if open_cases:
        predictor = Predictor(bundle, PredictorOptions(device=run.content["device"]))
        with progress.stage("predict the held-out fold", len(held_out.cases)) as stage:
            stage.advance(len(held_out.cases) - len(open_cases))
            scans = map_in_order(lambda case: case.read_images(), open_cases, workers=1)
            for case, scan in zip(open_cases, scans, strict=True):
                predictor.predict(scan).save(folder / f"{case.id}.nii.gz", overwrite=True)
                stage.advance(note=case.id)
    scores = evaluate(folder, held_out, progress)
    scores.write_csv(run.path("scores.csv"))
    write_json(run.path("summary.json"), scores.nnunet_summary())
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


def write_outcome(run: RunFolder, dataset: Dataset, plan: Plan, scores: Scores) -> None:
    """Write `report.html`, and the curves and the best, median and worst case as pictures."""
    curves = read_curves(run.path("curves.csv"))
    if curves:
        curves_png(curves, run.path("curves.png"))
    chosen = choose_cases(scores).items()
    overlays = tuple(_overlay(run, dataset, case, caption) for caption, case in chosen)
    if overlays:
        overlay_png(overlays, run.path("overlays.png"))
    content = RunReport(
        title=f"{dataset.name}, held-out fold",
        scores=scores,
        dataset=_described(run, dataset),
        reasons=plan.reasons,
        recipe_toml=plan.recipe.to_toml(),
        curves=curves,
        overlays=overlays,
        facts=_facts(run),
        notes=tuple(f"{finding['case']}: {finding['message']}" for finding in run.content["findings"]),
    )
    write_run_report(content, run.path("report.html"))


def _overlay(run: RunFolder, dataset: Dataset, id: str, caption: str) -> Overlay:
    from neuraxis.volume.formats import nifti

    case = dataset.case(id)
    volume, label = case.read_images(), case.read_label()
    predicted = nifti.read(run.path("predictions") / f"{id}.nii.gz")
    return Overlay(
        id, caption, volume.array[0], label.array[0], predicted.array[0], volume.grid.spacing_mm, dataset.labels
    )


def _described(run: RunFolder, dataset: Dataset) -> dict[str, Any]:
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


def _facts(run: RunFolder) -> dict[str, str]:
    content = run.content
    versions = ", ".join(f"{name} {version}" for name, version in software_versions().items())
    seconds = [event["seconds"] for event in content["events"] if event["kind"] == "finished"]
    return {
        "versions": versions,
        "seed": str(content["seed"]),
        "data hash": content["data_hash"],
        "split hash": content["split_hash"],
        "machine": f"{content['machine']['system']}, {content['machine']['threads']} threads",
        "time of the last call": f"{seconds[-1] / 60:.1f} minutes" if seconds else "unknown",
    }
