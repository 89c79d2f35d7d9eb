"""What the tests of pages share: a strict reader of HTML, scores, and overlays, all made up here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.report.overlays import Overlay

VOID = {"br", "hr", "img", "input", "link", "meta"}
NAMES = {"background": 0, "anterior": 1, "posterior": 2}


@dataclass
class Element:
    """One element: its name, attributes, children (elements and text)."""

    name: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)

    def all(self, name: str = "", **attributes: str) -> list[Element]:
        return [one for one in self.walk() if one.matches(name, attributes)]

    def one(self, name: str = "", **attributes: str) -> Element:
        found = self.all(name, **attributes)
        assert len(found) == 1, f"{len(found)} elements {name} {attributes}"
        return found[0]

    def matches(self, name: str, attributes: dict[str, str]) -> bool:
        return (not name or self.name == name) and all(
            value in (self.attributes.get(key.rstrip("_").replace("_", "-")) or "").split()
            for key, value in attributes.items()
        )

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()


class StrictReader(HTMLParser):
    """Builds the tree, and refuses an element that is closed in the wrong place or never."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("#root")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> bears an attribute twice: {attrs}"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


@pytest.fixture
def read_html() -> Callable[[str], Element]:
    """A reader that fails on HTML that is not well formed."""

    def read(text: str) -> Element:
        reader = StrictReader()
        reader.feed(text)
        reader.close()
        assert reader.open == [reader.root], f"never closed: {[one.name for one in reader.open[1:]]}"
        return reader.root

    return read


@pytest.fixture
def scores() -> Scores:
    """Six cases of two structures; the posterior part of the last was not predicted at all."""
    rows = []
    for number, dice in enumerate((0.9, 0.7, 0.8, 0.6, 0.5, 0.4), start=1):
        missed = number == 6
        for structure, lower in (("anterior", 0.0), ("posterior", 0.1)):
            values = {"dice": round(dice - lower, 3), "hd95_mm": 10 * (1 - dice), "volume_error_ml": lower - 0.05}
            if missed and structure == "posterior":
                values |= {"dice": 0.0, "hd95_mm": math.nan}
            rows.append(Score(f"case_{number}", f"p{number}", "north" if number < 4 else "south", structure, values))
    return Scores.of(rows)


@pytest.fixture
def overlay() -> Overlay:
    """A box of label 1 behind a box of label 2, predicted one voxel too far to the right."""
    reference = np.zeros((12, 16, 10), np.int16)
    reference[4:8, 3:8, 3:7] = 1
    reference[4:8, 8:12, 3:7] = 2
    image = np.arange(reference.size, dtype=np.float32).reshape(reference.shape)
    return Overlay("case_1", "Best", image, reference, np.roll(reference, 1, 0), (1.0, 1.0, 2.0), Labels(names=NAMES))
