"""The page of `explain`: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuraxis.report.explaining.heat import HeatCase
from neuraxis.report.explaining.sections import explained_sections
from neuraxis.report.explaining.told import CaseFiles
from neuraxis.report.page import Head, Section, facts_list, write_page


def explanation_html(cases: Sequence[CaseFiles], pictures: Sequence[HeatCase], facts: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        cases: what was looked into.
        pictures: their slices.
        facts: name to value: the model, versions, time.
    """
    labels = dict.fromkeys(one.label for case in cases for one in case.gradcam)
    told = {"model": cases[0].model, "cases": str(len(cases))}
    if labels:
        told["labels"] = ", ".join(labels)
    sections = [*explained_sections(cases, pictures), Section("facts", "Facts", facts_list(facts))]
    return write_page(Head(f"What {cases[0].model} looked at", "neuraxis explanation", told), sections)
