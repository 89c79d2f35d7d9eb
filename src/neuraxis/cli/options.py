"""What several verbs take: how results are shown, which recipe, and times such as `1h30m`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from neuraxis.errors import UsageError

if TYPE_CHECKING:
    from neuraxis.dataset.opening import Place

_TIME = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}

RecipeName = Annotated[
    str, Parameter(name="--recipe", help="A recipe of the book (see: neuraxis catalog recipes) or a TOML file.")
]
VariantName = Annotated[
    str,
    Parameter(
        name="--variant",
        help="One of the recipe's variants, such as published (see: neuraxis catalog recipes).",
        show_default=False,
    ),
]
Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        help="One decision of the recipe as key=value, such as training.steps=500. May be repeated.",
        show_default=False,
    ),
]
Device = Annotated[str, Parameter(name="--device", help="Where to compute: auto, cpu, cuda or cuda:1.")]
DeviceCount = Annotated[
    int | None,
    Parameter(
        name="--devices",
        help="On how many GPUs, or processes on a CPU, a batch is shared; under torchrun it says so itself.",
        show_default=False,
    ),
]
Deterministic = Annotated[
    bool,
    Parameter(
        name="--deterministic",
        help="On a GPU, refuse operations that may give other numbers the next time; on a CPU none does.",
        show_default=False,
    ),
]
Profiled = Annotated[
    bool,
    Parameter(
        name="--profile", help="Also time the operations of some training steps; no result changes.", show_default=False
    ),
]
Previewed = Annotated[
    tuple[str, ...],
    Parameter(
        name="--preview",
        help="Unlabelled scans to show while it learns: files, folders, or CHANNEL=FILE for those of one case.",
        consume_multiple=True,
        negative="",
        show_default=False,
    ),
]
AllowLeak = Annotated[
    bool,
    Parameter(
        name="--allow-leak",
        help="Train though one patient or scan stands in two splits; the run and its report say so.",
        show_default=False,
    ),
]
Overwrite = Annotated[
    bool, Parameter(name="--overwrite", help="Replace results that exist already.", show_default=False)
]


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How results and messages are shown; the same for every verb.

    Results go to stdout, messages and progress to stderr.
    """

    json: Annotated[bool, Parameter(help="Print the results as JSON on stdout.", show_default=False)] = False
    quiet: Annotated[bool, Parameter(help="No progress; of messages only warnings.", show_default=False)] = False
    verbose: Annotated[bool, Parameter(help="Every message, with its time and origin.", show_default=False)] = False


SHOWN = Output()


@Parameter(name="*")
@dataclass(frozen=True)
class DataChoices:
    """How the folder of a dataset is understood, where it does not say so itself."""

    layout: Annotated[
        str, Parameter(help="Its layout, where several could be meant (see: neuraxis catalog layouts).")
    ] = "auto"
    subject: Annotated[
        str,
        Parameter(
            help="Regular expression whose one group finds the patient in a case's name, such as '^(sub-[0-9]+)'.",
            show_default=False,
        ),
    ] = ""
    label_table: Annotated[
        Path | None,
        Parameter(help="Names of the labels: ITK-SNAP, FreeSurfer, TSV, CSV or JSON.", show_default=False),
    ] = None
    volume: Annotated[
        str,
        Parameter(
            help="Of 4D images: mean, or the number of one, from 0 on. [default: of BIDS series the mean]",
            show_default=False,
        ),
    ] = ""

    def places(self, datasets: Iterable[Path]) -> tuple[Place, ...]:
        """Return where datasets lie and how they are understood.

        Raises:
            UsageError: a choice cannot be used.
        """
        from neuraxis.dataset.opening import Opening, Place

        if self.volume not in ("", "mean") and not self.volume.isdigit():
            raise UsageError(f"--volume {self.volume}: needed is mean, or a number from 0 on.")
        number: int | Literal["mean"] | None = "mean" if self.volume else None
        number = int(self.volume) if self.volume.isdigit() else number
        opening = Opening(self.layout, self.subject, self.label_table, number)
        return tuple(Place(path, opening) for path in datasets)


@Parameter(name="*")
@dataclass(frozen=True)
class DecidedData(DataChoices):
    """How folders are understood, and what a recipe makes of them."""

    recipe: RecipeName = "auto"
    variant: VariantName = ""
    settings: Settings = ()

    @property
    def chosen_recipe(self) -> str:
        """The recipe with its variant."""
        return with_variant(self.recipe, self.variant)


AS_FOUND = DataChoices()
UNDECIDED = DecidedData()


def with_variant(recipe: str, variant: str) -> str:
    """Return the name or file of a recipe with that of a variant after a colon.

    >>> with_variant("ms-flair-2d", "published"), with_variant("ms-flair-2d", "")
    ('ms-flair-2d:published', 'ms-flair-2d')
    """
    return f"{recipe}:{variant}" if variant else recipe


def parse_duration(text: str, flag: str = "--budget") -> float:
    """Return the seconds that a time such as `90s`, `20m` or `1h30m` stands for.

    Args:
        text: hours, minutes and seconds, in that order, each with its unit.
        flag: the option it was given to, for the message.

    Raises:
        UsageError: a unit is missing or unknown, or the time is zero.

    >>> parse_duration("1h30m")
    5400.0
    """
    needed = "Needed is a time with its unit, such as 90s, 20m or 1h30m."
    tidy = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", tidy):
        raise UsageError(f"{flag} {text}: has no unit. {needed} Did you mean {tidy}m?")
    match = _TIME.fullmatch(tidy)
    seconds = sum(float(value) * _SECONDS[unit] for unit, value in match.groupdict().items() if value) if match else 0
    if seconds <= 0:
        raise UsageError(f"{flag} {text}: cannot be read as a time above zero. {needed}")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """Return a time in two units at most, such as `4 s`, `3 min` or `1 h 20 min`.

    >>> format_duration(7500)
    '2 h 5 min'
    """
    seconds = max(0.0, seconds)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
