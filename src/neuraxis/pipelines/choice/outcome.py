"""What remains of a choice: the bundle, the table of candidates, and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuraxis.bundle.bundle import parts_of, write_bundle
from neuraxis.bundle.card import Card, Metrics
from neuraxis.evaluation.choice import Pick
from neuraxis.evaluation.scores import Scores
from neuraxis.files import write_json
from neuraxis.pipelines.choice.candidates import EMPTY, RULE, Row, candidates_section, write_candidates
from neuraxis.pipelines.choice.entries import Entry, Field
from neuraxis.pipelines.outcome import overlay_of
from neuraxis.pipelines.scoring.browser import browser_cases
from neuraxis.progress import Progress
from neuraxis.report.evaluation_report import RunReport, choose_cases, write_run_report
from neuraxis.report.markup import join
from neuraxis.report.page import Cell, Column, Section, table
from neuraxis.report.score_tables import verdict


@dataclass(frozen=True)
class Chosen:
    """What was chosen, and what it is worth.

    Attributes:
        entries: the models that it joins.
        pick: the base and its rules.
        picks: fold to what was chosen without its cases.
        scores: of the pick on all cases, which chose it.
        cross_fitted: of each case under what was chosen without its fold.
        score: name of the metric that decided.
    """

    entries: tuple[Entry, ...]
    pick: Pick
    picks: Mapping[int, Pick]
    scores: Scores
    cross_fitted: Scores
    score: str


def write_chosen(
    field: Field, chosen: Chosen, rows: Sequence[Row], into: Path, progress: Progress
) -> tuple[Path, Path]:
    """Write the tables, the bundle and the report, and return where the latter two lie.

    Args:
        field: what the runs share.
        chosen: what was chosen.
        rows: all candidates.
        into: folder for everything; the chosen one's label maps lie in `predictions`.
        progress: who shows how far it is.
    """
    chosen.scores.write_csv(into / "scores.csv")
    chosen.cross_fitted.write_csv(into / "cross-fitted.csv")
    write_json(into / "summary.json", chosen.scores.nnunet_summary())
    write_candidates(rows, chosen.score, len(chosen.picks), into / "candidates.csv")
    bundle = _write_bundle(chosen, len(rows), into / "model.nxb")
    pictures, left_out = browser_cases(chosen.scores, field.dataset, progress)
    count = len(field.entries)
    content = RunReport(
        title=f"{field.dataset.name}, choice among {count} run{'' if count == 1 else 's'}",
        scores=chosen.scores,
        dataset={
            "chosen": chosen.pick.base,
            "afterwards": "; ".join(chosen.pick.rules.in_words()) or "nothing",
            "decided by": f"mean {chosen.score} over patients",
            "cases": len(field.cases),
        },
        overlays=tuple(
            overlay_of(into / "predictions", field.dataset, id, caption)
            for caption, id in choose_cases(chosen.scores).items()
        ),
        facts={entry.name: str(entry.run) for entry in field.entries},
        notes=(RULE, EMPTY),
        further=(_crossed_section(chosen), candidates_section(rows)),
        browser=pictures,
        browser_left_out=left_out,
    )
    write_run_report(content, into / "report.html")
    return bundle, into / "report.html"


def _write_bundle(chosen: Chosen, candidates: int, path: Path) -> Path:
    """Write the chosen models as one bundle, with the rules in its recipe and both estimates on its card."""
    first, *others = chosen.entries
    parts = parts_of(first.bundle)
    metrics = Metrics.of(
        chosen.scores.summary(),
        scored_on=f"{len(chosen.scores.cases())} cases, each by networks that did not learn from it",
        selected_on_these_cases=True,
        notes=(*chosen.scores.notes, f"Chosen among {candidates} candidates. {RULE}", *_estimates(chosen)),
    )
    limits = "Selected on the cases that it is scored on; what to expect on others stands in the notes of the scores."
    changes = {
        "recipe": parts.card.recipe.model_copy(update={"postprocessing": chosen.pick.rules}),
        "members": len(others),
        "metrics": metrics,
        "limits": (limits, *parts.card.limits),
        **({"int8": None} if others else {}),
    }
    about = {key: value for key, value in parts.card.model_dump().items() if key not in ("created", "versions")}
    folds = tuple(replace(fold, int8=None) for fold in parts.folds) if others else parts.folds
    members = tuple(entry.run / "model.nxb" for entry in others)
    joined = replace(parts, card=Card.model_validate({**about, **changes}), folds=folds, members=members)
    return write_bundle(joined, path, overwrite=True)


def _estimates(chosen: Chosen) -> list[str]:
    """Return in words what to expect of such a choice on other cases, for each structure."""
    found = []
    for structure, metrics in chosen.cross_fitted.summary().items():
        dice = metrics["dice"]
        interval = "" if math.isnan(dice.ci_low) else f" (95 % CI {dice.ci_low:.4f} to {dice.ci_high:.4f})"
        found.append(f"Cross-fitted Dice of {structure}: {dice.mean:.4f}{interval}, n = {dice.n}.")
    return found


def _crossed_section(chosen: Chosen) -> Section:
    """Show the estimate for other cases, and what was chosen without each fold."""
    lead = (
        "Chosen on all folds but one and scored on that one, for every fold. The choice above knows its cases: mean "
        f"foreground Dice {chosen.scores.mean('dice'):.4f}. The choices here do not: "
        f"{chosen.cross_fitted.mean('dice'):.4f}."
    )
    columns = [Column("Scored on"), Column("Chosen without it"), Column("Post-processing"), Column("Same as chosen")]
    rows: list[list[Cell]] = [
        [f"fold {fold}", pick.base, "; ".join(pick.rules.in_words()) or "none", "yes" if pick == chosen.pick else "no"]
        for fold, pick in sorted(chosen.picks.items())
    ]
    body = join(
        verdict(chosen.cross_fitted, "Cross-fitted scores"), table(columns, rows, "What was chosen without each fold")
    )
    return Section("cross-fitted", "Cross-fitted estimate", body, lead)
