"""The whole way without any data: phantoms of several sites, a fit, and phantoms that the model never saw.

INTO/cohort/         the phantoms: one nnU-Net raw dataset a site, unseen ones with their answers beside them
INTO/run/            the fit: report.html, model.nxb, scores of the held-out fold
INTO/segmentations/  the unseen phantoms, segmented with model.nxb
INTO/unseen.csv      their scores
INTO/demo.json       what was asked for, and how good it was
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.phantoms.cohort import Cohort, CohortCase, CohortOptions, make_cohort
from neuraxis.dataset.phantoms.difficulty import LabelledImages, threshold_scores
from neuraxis.dataset.phantoms.mimics import CHANNELS
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate
from neuraxis.evaluation.scores import Scores
from neuraxis.files import read_json, write_json
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.segment import SegmentOptions, segment
from neuraxis.progress import Progress, Silent
from neuraxis.workers import map_in_order

LABELS = Labels(names={"background": 0, "lesion": 1})
SHORTEST_FIT_S, AFTER_FIT_S = 60.0, 30.0


@dataclass(frozen=True)
class DemoOptions:
    """What the demo makes and how long it takes.

    Attributes:
        seed: of the phantoms.
        training: labelled phantoms of each site.
        unseen: phantoms of each site that no training sees.
        seconds: for everything together.
        recipe: of the fit.
        settings: "key=value" wishes on top.
        cohort: other traits of the phantoms; its seed and numbers are those above.
    """

    seed: int = 0
    training: int = 7
    unseen: int = 2
    seconds: float = 300.0
    recipe: str = "demo"
    settings: tuple[str, ...] = ()
    cohort: CohortOptions = field(default_factory=CohortOptions)


@dataclass(frozen=True)
class DemoResult:
    """How good it was, and where it lies.

    Attributes:
        report: the fit's report, with the held-out fold's scores.
        bundle: the model.
        segmentations: folder of the unseen phantoms' segmentations.
        dice: mean lesion Dice on the unseen phantoms.
        dice_of_each: the same of each, by case id.
        held_out_dice: mean lesion Dice on the fit's held-out fold.
        threshold: the threshold that does best on the unseen, such as "FLAIR above".
        threshold_dice: its mean Dice on the unseen; chosen on the training phantoms.
        seconds: how long everything took.
    """

    report: Path
    bundle: Path
    segmentations: Path
    dice: float
    dice_of_each: dict[str, float]
    held_out_dice: float
    threshold: str
    threshold_dice: float
    seconds: float

    def __str__(self) -> str:
        each = ", ".join(f"{dice:.2f}" for dice in self.dice_of_each.values())
        return (
            f"Mean lesion Dice on {len(self.dice_of_each)} phantoms never seen: {self.dice:.3f} ({each})\n"
            f"On the held-out fold: {self.held_out_dice:.3f}. Best of all global thresholds ({self.threshold}): "
            f"{self.threshold_dice:.3f}\n"
            f"Report: {self.report}\nModel: {self.bundle}\nSegmentations: {self.segmentations}\n"
            f"It took {self.seconds / 60:.1f} minutes. Phantoms are synthetic: they say nothing about patients."
        )


def run_demo(into: Path, progress: Progress | None = None, options: DemoOptions | None = None) -> DemoResult:
    """Make phantoms, fit, segment unseen ones and score them; the same call again resumes.

    Args:
        into: folder for everything.
        progress: who shows how far it is.
        options: sizes, seed and time.

    Raises:
        UsageError: the folder holds a demo that was asked for differently.
        ResourceError: memory, disk or the device does not suffice.
    """
    began = time.monotonic()
    options, progress, into = options or DemoOptions(), progress or Silent(), Path(into)
    asked = _asked(into, options)
    cohort = make_cohort(into / "cohort", _cohort_options(options), progress)
    budget_s = asked.get("fit_budget_s")
    if budget_s is None:
        budget_s = round(max(SHORTEST_FIT_S, options.seconds - AFTER_FIT_S - (time.monotonic() - began)))
        asked = {**asked, "fit_budget_s": budget_s}
        write_json(into / "demo.json", asked)
    fitted = fit(
        cohort.datasets, FitOptions(into / "run", options.recipe, options.settings, budget_s=float(budget_s)), progress
    )
    scores = _score_unseen(cohort, fitted.bundle, into / "segmentations", progress)
    scores.write_csv(into / "unseen.csv")
    threshold, threshold_dice = _best_threshold(cohort, progress)
    result = DemoResult(
        report=fitted.report,
        bundle=fitted.bundle,
        segmentations=into / "segmentations",
        dice=scores.mean("dice", "lesion"),
        dice_of_each=scores.values("dice", "lesion"),
        held_out_dice=fitted.scores.mean("dice", "lesion"),
        threshold=threshold,
        threshold_dice=threshold_dice,
        seconds=round(time.monotonic() - began, 1),
    )
    write_json(into / "demo.json", {**asked, "result": asdict(result)})
    return result


def _asked(into: Path, options: DemoOptions) -> dict[str, Any]:
    """Return what an earlier call of the same demo noted, or what is asked for now."""
    place = into / "demo.json"
    wanted = {"seed": options.seed, "training": options.training, "unseen": options.unseen, "seconds": options.seconds}
    if place.is_file():
        found = dict(read_json(place))
        if any(found.get(key) != value for key, value in wanted.items()):
            raise UsageError(f"{into}: holds a demo of another seed or size. Name another place with --into.")
        return {key: value for key, value in found.items() if key != "result"}
    return wanted


def _cohort_options(options: DemoOptions) -> CohortOptions:
    base = options.cohort
    return CohortOptions(options.seed, options.training, options.unseen, base.sites, base.phantom)


def _score_unseen(cohort: Cohort, bundle: Path, into: Path, progress: Progress) -> Scores:
    """Segment the unseen phantoms of all sites as a user would, and score them."""
    folders = sorted({case.label.parent.parent / "imagesTs" for case in cohort.unseen})
    for result in segment(folders, bundle, into, SegmentOptions(overwrite=True), progress):
        if result.error:
            raise DataError(result.error)
    unseen = Dataset(
        name="unseen phantoms",
        root=cohort.root,
        layout="nnunet",
        channels=CHANNELS,
        modality=dict.fromkeys(CHANNELS, "MRI"),
        labels=LABELS,
        cases=tuple(_case(case) for case in cohort.unseen),
    )
    return evaluate(into, unseen, progress, EvaluateOptions(labels=LABELS))


def _case(case: CohortCase) -> Case:
    images = {channel: ImageFile(path) for channel, path in case.images.items()}
    return Case(case.id, images, case.label, subject=case.id, site=case.site.name)


def _best_threshold(cohort: Cohort, progress: Progress) -> tuple[str, float]:
    """Return the best way to threshold, as chosen on the training phantoms, and its mean Dice on the unseen."""

    def read(case: CohortCase) -> LabelledImages:
        found = _case(case)
        return found.read_images().array.astype("int16"), found.read_label().array[0]

    with progress.stage("try thresholds", len(cohort.cases)) as stage:
        scans = []
        for scan in map_in_order(read, (*cohort.training, *cohort.unseen)):
            scans.append(scan)
            stage.advance()
        count = len(cohort.training)
        found = threshold_scores(scans[:count], scans[count:], steps=100)
    best = max(found, key=lambda way: found[way])
    return best, found[best]
