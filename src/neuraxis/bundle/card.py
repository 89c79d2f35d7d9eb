"""What a bundle says about its model: `bundle.json`, schema 1.

The card holds everything that is needed to use the model (labels, channels, recipe) and to judge it (data, metrics,
limits, licence). It names no code: networks and losses are names of closed tables.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neuraxis import _version
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError, NeuraxisError
from neuraxis.recipe.recipe import Recipe

SCHEMA = 1
MAX_TEXT = 100_000


class CardPart(BaseModel):
    """A frozen branch of the card; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MetricSummary(CardPart):
    """One metric of one structure over the scored cases; None where it is undefined.

    Attributes:
        n: cases in which the metric is defined.
        ci_low: lower end of the 95 % bootstrap interval of the mean over patients; None below 5 patients.
        ci_high: its upper end.
    """

    n: int = Field(ge=0)
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None

    @field_validator("mean", "sd", "median", "ci_low", "ci_high", mode="before")
    @classmethod
    def _undefined(cls, value: Any) -> Any:
        return None if isinstance(value, float) and math.isnan(value) else value


class Metrics(CardPart):
    """How good the model was, and on what.

    Attributes:
        scored_on: the cases in words, such as "held-out fold 0, 40 cases".
        structures: structure to metric to its summary.
        selected_on_these_cases: the scored cases also chose something (a checkpoint, a post-processing).
        notes: rules for empty cases and the like.
    """

    scored_on: str = ""
    structures: dict[str, dict[str, MetricSummary]] = {}
    selected_on_these_cases: bool = False
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, summary: Mapping[str, Mapping[str, Any]], **about: Any) -> Metrics:
        """Make metrics of a table structure -> metric -> object (or dict) with n, mean, sd, median, ci_low, ci_high."""
        structures = {
            structure: {
                metric: MetricSummary.model_validate(value, from_attributes=True) for metric, value in table.items()
            }
            for structure, table in summary.items()
        }
        return cls(structures=structures, **about)


class TrainingData(CardPart):
    """What the model learned from.

    Attributes:
        datasets: names of the datasets.
        cases: labelled cases that trained any of the folds.
        patients: patients behind them; None where the data do not tell.
        sites: names of the sites.
        median_shape: voxels along (X, Y, Z), or the axes that the recipe's `preparation` turns to.
        median_spacing_mm: of the scans before resampling.
        notes: what else a user should know about the data.
    """

    datasets: tuple[str, ...] = ()
    cases: int = Field(0, ge=0)
    patients: int | None = None
    sites: tuple[str, ...] = ()
    median_shape: tuple[float, float, float] | None = None
    median_spacing_mm: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()


class Int8Dice(CardPart):
    """Mean Dice of one structure in each precision, over the cases in which it is defined; None where it never is.

    Attributes:
        fp32: of the network as it was trained.
        default: in the precision that is taken by default (see `Int8.default_precision`).
        int8: of the quantised network.
    """

    fp32: float | None = None
    default: float | None = None
    int8: float | None = None


class Int8(CardPart):
    """What the int8 networks lose, and how they were made.

    Attributes:
        structures: mean Dice of each structure in each precision.
        dice: its mean over the structures.
        dice_loss: Dice in fp32 less Dice in int8, both means over the structures.
        default_precision: "bf16" or "fp32", what the machine that measured takes by default.
        cases: on how many cases it was measured.
        held_out: whether no measured case trained the networks that were run on it; false where that is not known.
        notes: on which cases, and how, in words.
        calibration_patches: patches from which the ranges of values were taken, for each fold.
        calibration_cases: cases that these were cut from, for each fold.
        versions: software that made the networks.
    """

    structures: dict[str, Int8Dice]
    dice: Int8Dice
    dice_loss: float | None
    default_precision: str
    cases: int = Field(ge=1)
    held_out: bool
    notes: tuple[str, ...] = ()
    calibration_patches: int = Field(ge=1)
    calibration_cases: int = Field(ge=1)
    versions: dict[str, str] = {}


class CorrectedLabel(CardPart):
    """One label map that was put in place of another, or came with a new case; hashes alone, since cases have names.

    Attributes:
        sha256: of the file.
        replaces: of the label map before; empty for a new case.
        written: when the file was written last, ISO 8601, UTC.
        model_hash: of the model that it was made with at first, where that is known.
    """

    sha256: str
    replaces: str = ""
    written: str = ""
    model_hash: str = ""


class Corrections(CardPart):
    """Label maps that were corrected and cases that came since (`fit --add`).

    Attributes:
        data_hash: of the data before.
        split_hash: of their splits, which stayed.
        labels: one for each label map.
    """

    data_hash: str
    split_hash: str
    labels: tuple[CorrectedLabel, ...] = Field(min_length=1)


def software_versions() -> dict[str, str]:
    """Return the versions of neuraxis, Python and the packages that shape a model's result."""
    versions = {"neuraxis": _version.__version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "torch", "lightning", "onnx", "openvino", "safetensors"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


class Card(CardPart):
    """The whole of `bundle.json`.

    Attributes:
        schema_version: 1; a reader refuses what is newer than itself.
        name: short name of the model.
        channels: names of the image's channels, in the network's order.
        modality: channel to what it is ("MRI", "CT", ...).
        previous_labels: in the second stage of a cascade, the labels of the first (the bundle inside this one) that
            the network sees as further channels; empty for a model of one stage.
        recipe: every decision, preparation and tiling included.
        folds: indices of the folds whose weights are inside; several make an ensemble.
        members: how many further models are inside, bundles of their own whose probabilities are averaged with this
            one's; 0 for most.
        int8: what the quantised networks lose, where there are some.
        corrections: what was corrected in the training data, where something was.
        licence: of the weights.
        versions: software that made them.
        data_hash: of the training data's files.
        split_hash: of the splits.
        created: time of writing, ISO 8601, UTC.
    """

    schema_version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=200)
    summary: str = ""
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    notice: str = "Research use only, not a medical device."
    labels: Labels
    channels: tuple[str, ...] = Field(min_length=1)
    modality: dict[str, str] = {}
    previous_labels: tuple[int, ...] = ()
    recipe: Recipe
    folds: tuple[int, ...] = Field(min_length=1)
    members: int = Field(0, ge=0, le=9)
    training_data: TrainingData = TrainingData()
    intended_use: str = ""
    limits: tuple[str, ...] = ()
    metrics: Metrics = Metrics()
    int8: Int8 | None = None
    corrections: Corrections | None = None
    licence: str = "not stated"
    citation: str = ""
    versions: dict[str, str] = Field(default_factory=software_versions)
    data_hash: str = ""
    split_hash: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        if len(set(self.channels)) < len(self.channels):
            raise ValueError(f"channels are named twice: {', '.join(self.channels)}")
        unprepared = [channel for channel in self.channels if channel not in self.recipe.preparation.normalisation]
        if unprepared:
            raise ValueError(f"the recipe has no normalisation for channel '{unprepared[0]}'")
        if sorted(set(self.folds)) != list(self.folds) or self.folds[0] < 0 or self.folds[-1] > 999:
            raise ValueError(f"folds are rising numbers from 0 to 999, found {list(self.folds)}")
        if sorted({number for number in self.previous_labels if number > 0}) != list(self.previous_labels):
            raise ValueError(f"previous_labels are rising numbers above 0, found {list(self.previous_labels)}")
        if self.members and self.previous_labels:
            raise ValueError("the second stage of a cascade has no further members")
        if problem := self.recipe.postprocessing.problem(self.labels.scored):
            raise ValueError(f"the recipe's postprocessing does not fit the labels: {problem}")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the network's input channels are, in words: the image's channels, then labels of the previous stage."""
        return input_names(self.channels, self.previous_labels)

    def to_json(self) -> str:
        """Return the text of `bundle.json`; what not every bundle has stands only where it is."""
        spare: dict[str, Any] = {
            key: True for key in ("previous_labels", "members", "int8", "corrections") if not getattr(self, key)
        }
        if absent := {key for key in ("colours", "soft") if not getattr(self.labels, key)}:
            spare["labels"] = absent
        content = self.model_dump(mode="json", exclude=spare)
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def input_names(channels: tuple[str, ...], previous_labels: tuple[int, ...]) -> tuple[str, ...]:
    """Return what a network's input channels are, in words (see `Card`)."""
    return (*channels, *(f"label {number} of the previous stage" for number in previous_labels))


def parse_card(content: bytes, source: str) -> tuple[Card, dict[str, Any]]:
    """Read `bundle.json`.

    Args:
        content: the file's bytes.
        source: the bundle's name for messages.

    Returns:
        The card, and the JSON as it stands in the file.

    Raises:
        BundleError: it is no JSON, of a newer schema, or a key or value is wrong.
    """
    raw = parse_raw(content, source)
    try:
        return Card.model_validate(raw), raw
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place, message = ".".join(str(key) for key in first["loc"])[:200] or "the whole", first["msg"][:500]
    except NeuraxisError as error:
        place, message = "recipe", str(error)
    raise BundleError(
        f"{source}: bundle.json cannot be used: {place}: {_one_line(message)}. It was written by neuraxis "
        f"{_writer(raw)}, this is {_version.__version__}: if that is newer, type: pip install -U neuraxis"
    )


def parse_raw(content: bytes, source: str) -> dict[str, Any]:
    """Read the JSON of `bundle.json` as far as its schema version tells whether this program can read the rest.

    Raises:
        BundleError: it is no JSON object, has no schema version or a newer one.
    """
    try:
        raw = json.loads(content.decode("utf-8"), parse_constant=_no_constant)
        _check_texts(raw, source)
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"{source}: bundle.json is not valid JSON ({_one_line(str(error))}). Fetch it again."
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(
            f"{source}: bundle.json has no schema_version, so this is no bundle of neuraxis. Fetch it again."
        )
    if version > SCHEMA:
        raise BundleError(
            f"{source}: is of schema {str(version)[:20]}, written by neuraxis {_writer(raw)}; this is neuraxis "
            f"{_version.__version__}, which reads up to schema {SCHEMA}. Type: pip install -U neuraxis"
        )
    return dict(raw)


def _check_texts(content: Any, source: str) -> None:
    """Refuse control characters, which could steer a terminal, and texts without end."""
    if isinstance(content, dict):
        for key, value in content.items():
            _check_texts(key, source)
            _check_texts(value, source)
    elif isinstance(content, list):
        for value in content:
            _check_texts(value, source)
    elif isinstance(content, str) and not _is_plain(content):
        raise BundleError(
            f"{source}: bundle.json holds a text that is too long or has control characters "
            f"({content[:40]!a}). It is refused; fetch the bundle from its source."
        )


def _is_plain(text: str) -> bool:
    return len(text) <= MAX_TEXT and all(unicodedata.category(sign)[0] != "C" or sign in "\n\t" for sign in text)


def _writer(raw: dict[str, Any]) -> str:
    versions = raw.get("versions")
    version = versions.get("neuraxis") if isinstance(versions, dict) else None
    return _one_line(version)[:40] if isinstance(version, str) else "of unknown version"


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split()).removesuffix(".")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
