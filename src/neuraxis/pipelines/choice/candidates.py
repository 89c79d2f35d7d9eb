"""The table of all candidates: each base as it is, with each rule alone, and with the rules that help it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuraxis.evaluation.choice import Base, Candidate, Pick, by_patient, loss_and_error
from neuraxis.files import write_csv
from neuraxis.report.page import Cell, Column, Section, table

HEADER = ("candidate", "models", "networks", "post_processing", "score", "mean", "loss_against_best",
          "standard_error", "patients", "finalist", "chosen", "selected_on_these_cases")  # fmt: skip
RULE = (
    "Chosen is the simplest candidate whose loss against the best, patient by patient, is at most one standard error "
    "of it: fewer models first, then fewer rules, then the run that was named first."
)
EMPTY = "For choosing, a structure that is neither there nor found counts as 1; in the tables of scores it is left out."


@dataclass(frozen=True)
class Row:
    """One candidate.

    Attributes:
        base: the model, or the models it joins.
        models: how many.
        rules: of post-processing, in words.
        mean: of its score over patients.
        loss: against the best finalist, on that mean.
        error: standard error of the loss; NaN for a single patient.
        patients: how many.
        is_finalist: whether it could be chosen: a base as it is, or with all rules that help it.
        is_chosen: whether it was.
    """

    base: str
    models: int
    rules: str
    mean: float
    loss: float
    error: float
    patients: int
    is_finalist: bool
    is_chosen: bool


def list_candidates(
    bases: Sequence[Base], finalists: Sequence[Candidate], chosen: Pick, patients: Sequence[str]
) -> tuple[Row, ...]:
    """Return a row for each candidate, finalists first, then by falling score."""
    tried = [
        Candidate(Pick(base.name, rules), base.models, values)
        for base in bases
        for every in base.ruled.values()
        for rules, values in every
    ]
    last = {_key(one) for one in finalists}
    best = max((by_patient(one.values, patients) for one in finalists), key=lambda values: float(values.mean()))
    rows = []
    for one in (*finalists, *(one for one in tried if _key(one) not in last)):
        values = by_patient(one.values, patients)
        loss, error = loss_and_error(values, best)
        is_finalist = any(one is other for other in finalists)
        rules = "; ".join(one.pick.rules.in_words()) or "none"
        chosen_one = is_finalist and one.pick == chosen
        mean = float(values.mean())
        rows.append(Row(one.pick.base, one.models, rules, mean, loss, error, len(values), is_finalist, chosen_one))
    return tuple(sorted(rows, key=lambda row: (not row.is_finalist, -row.mean)))


def write_candidates(rows: Sequence[Row], score: str, networks: int, path: Path) -> None:
    """Write `candidates.csv`; all of it is selected on its own cases.

    Args:
        rows: the candidates.
        score: name of the metric that decided.
        networks: how many each model has, one for each fold.
        path: the file, replaced atomically.
    """
    lines = []
    for row in rows:
        error = "" if math.isnan(row.error) else row.error
        figures = (row.mean, row.loss, error, row.patients, _yes(row.is_finalist), _yes(row.is_chosen), "yes")
        lines.append((row.base, row.models, networks * row.models, row.rules, score, *figures))
    write_csv(path, HEADER, lines)


def candidates_section(rows: Sequence[Row]) -> Section:
    """Return the part of the report that shows every candidate."""
    columns = [Column("Candidate", choice=True), Column("Models", True, 0), Column("Post-processing"),
               Column("Mean", True, 4), Column("Loss against the best", True, 4), Column("Its standard error", True, 4),
               Column("Finalist", choice=True), Column("Chosen", choice=True)]  # fmt: skip
    cells: list[list[Cell]] = [
        [row.base, row.models, row.rules, row.mean, row.loss, row.error, _yes(row.is_finalist), _yes(row.is_chosen)]
        for row in rows
    ]
    lead = (
        "Selected on these cases: every mean here is of the cases that choose among them. Finalists are each model and "
        f"ensemble, as it is and with all rules that help it; the other rows show one rule alone. {RULE} {EMPTY}"
    )
    return Section("candidates", "Candidates", table(columns, cells, "Every candidate"), lead)


def _key(candidate: Candidate) -> tuple[str, str]:
    return candidate.pick.base, candidate.pick.rules.model_dump_json()


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
