"""The previews in a run's report: the last strip of each case, its windows, and how it came about as a GIF."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path

from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.page import Section
from neuraxis.report.previews.record import Shown, by_case, read_record, strip_path

MOST_BYTES = 8_000_000
LEAD = (
    "Chosen cases as the network saw them while it learned, each at one slice of the prepared scan; the patient's "
    "right is left. They chose nothing: no weight depends on them."
)


@dataclass(frozen=True)
class Previews:
    """What a training showed.

    Attributes:
        folder: where strips, GIFs and the record lie.
        seconds: that the training took in all; 0 where that is not known.
    """

    folder: Path
    seconds: float = 0.0

    def summary(self) -> str:
        """Return how many previews there were and which share of the training they took; empty without any."""
        rows = read_record(self.folder)
        if not rows:
            return ""
        spent, cases = sum(row.seconds for row in rows), len(by_case(rows))
        steps = len({row.step for row in rows})
        share = f", {100 * spent / self.seconds:.1f} % of the training time" if self.seconds > 0 else ""
        return f"{steps} of {cases} case{'s' * (cases > 1)}, {spent:.1f} s{share}"


def previews_section(previews: Previews | None) -> Section | None:
    """Return the part of the report; None without previews. What would make the page too large is named instead."""
    rows = read_record(previews.folder) if previews else []
    if previews is None or not rows:
        return None
    room, parts = MOST_BYTES, []
    for case, shown in by_case(rows).items():
        content, size = _case(previews.folder, case, shown, room)
        room -= size
        parts.append(content)
    lead = join(LEAD, " Previews: ", previews.summary(), ".")
    return Section("previews", "Previews", tag("div", *parts, class_="overlays"), lead)


def _case(folder: Path, case: str, shown: list[Shown], room: int) -> tuple[Markup, int]:
    last, parts, used = shown[-1], [], 0
    part = "" if last.extent.startswith("the whole scan") else f" ({last.extent})"
    dice = "" if math.isnan(last.dice) else f", Dice {last.dice:.3f}{part}"
    title = f"{case} ({last.role}) after step {last.step}{dice}"
    pictures = (
        ("", strip_path(folder, last, "whole"), "image/png", "Image, reference where there is one, and prediction"),
        ("The windows one by one", strip_path(folder, last, "tiled"), "image/png", "The raw windows at their places"),
        (
            f"How it came about: {len(shown)} previews",
            folder / f"{case}.gif",
            "image/gif",
            "The prediction step by step",
        ),
    )
    for summary, path, kind, alt in pictures:
        size = path.stat().st_size * 4 // 3 if path.is_file() else 0
        if not size:
            continue
        if used + size > room:
            parts.append(tag("p", f"Too large for this page: {path.relative_to(folder.parent)}", class_="case-name"))
            continue
        used += size
        url = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
        picture = tag("img", src=url, alt=f"{case}: {alt}", loading="lazy")
        parts.append(tag("details", tag("summary", summary), picture) if summary else picture)
    return tag("article", tag("h3", title), *parts, class_="overlay preview"), used
