"""The recipe's branch for label maps: what their numbers, greys or colours become before anything else sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import Field, ValidationError, field_validator, model_validator

from neuraxis.dataset.coding import MIXED_TOLERANCE, Coding, tidy_colour
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels, painted_with
from neuraxis.errors import RecipeError, suggest
from neuraxis.recipe.part import Part

Members = tuple[int | str, ...]


class LabelRecipe(Part):
    """What the label maps become before anything else looks at them, in the order of these keys.

    Names and numbers are those of the dataset, or those that an earlier key gave. Files stay as they are.

    Attributes:
        colours: name to its colour in the pictures, such as "#ff0000"; numbers follow the order, from 1 on, unless the
            dataset has all of these names. Each pixel takes the nearest; the background is black unless it is named.
        tolerance: distance in RGB within which a pixel must lie from a colour, or from a mixture of two as edges have
            it.
        threshold: values above it are 1, others 0: greys of a JPEG, masks of 0 and 255, probabilities.
        soft: the value of a voxel that is all of a structure, such as 1 or 255: values from 0 to it are kept as
            shares and learned as such, and whatever asks for whole voxels takes the label with the largest share. A
            file, or volume of a 4D file, is one label each.
        map: number to the number that it becomes.
        names: name to number, in place of the dataset's names.
        merge: name to the labels that it joins, by name or number; "background" takes labels away.
        regions: name to the labels that it joins; regions may overlap, and each is an output of its own.
        ignore: the label, by name or number, whose voxels are neither learned nor scored.
    """

    colours: dict[str, str] = Field(default={})
    tolerance: float | None = Field(None, ge=0, le=442)
    threshold: float | None = None
    soft: float | None = Field(None, gt=0, allow_inf_nan=False)
    map: dict[int, int] = Field(default={})
    names: dict[str, int] = Field(default={})
    merge: dict[str, Members] = Field(default={})
    regions: dict[str, Members] = Field(default={})
    ignore: int | str | None = None

    @field_validator("colours")
    @classmethod
    def _readable(cls, colours: dict[str, str]) -> dict[str, str]:
        return {name: tidy_colour(colour) for name, colour in colours.items()}

    @model_validator(mode="after")
    def _one_reading(self) -> LabelRecipe:
        ways = {"colours": self.colours, "threshold": self.threshold is not None, "soft": self.soft is not None}
        chosen = [name for name, is_chosen in ways.items() if is_chosen]
        if len(chosen) > 1:
            raise ValueError(f"{chosen[0]} and {chosen[1]} are two ways to read a label map. Leave one of them out")
        return self


AS_STORED = LabelRecipe()


def relabel(dataset: Dataset, recipe: LabelRecipe) -> Dataset:
    """Return the dataset with the labels that the recipe makes of its own; no file is read or written.

    Raises:
        RecipeError: it names a label that the dataset lacks, or what comes out are no labels.
    """
    if recipe == AS_STORED:
        return dataset
    own = dataset.labels
    algebra = _Algebra(dict(own.names), dict(own.regions), own.paint, own.ignore, dict(own.colours), soft=own.soft)
    algebra.read_anew(recipe)
    algebra.exchange(recipe.map)
    algebra.rename(recipe.names)
    for name, members in recipe.merge.items():
        algebra.merge(name, members)
    algebra.join(recipe.regions)
    algebra.set_ignored(recipe.ignore)
    labels = algebra.labels()
    cases = tuple(replace(case, coding=algebra.coding_after(case.coding, recipe)) for case in dataset.cases)
    return replace(dataset, labels=labels, cases=cases)


@dataclass
class _Algebra:
    """Labels on their way, and the exchanges of numbers that they need, one after the other."""

    names: dict[str, int]
    regions: dict[str, tuple[int, ...]]
    paint: tuple[int, ...]
    ignore: int | None
    colours: dict[str, str]
    reading: Coding | None = None
    exchanges: list[dict[int, int]] = field(default_factory=list)
    soft: bool = False

    def read_anew(self, recipe: LabelRecipe) -> None:
        """Read colours, a threshold or shares in place of what the dataset's layout found."""
        if recipe.colours:
            known = recipe.colours.keys() <= self.names.keys()
            named = [name for name in recipe.colours if name != "background"]
            numbers = self.names if known else {"background": 0} | {name: n for n, name in enumerate(named, start=1)}
            tolerance = MIXED_TOLERANCE if recipe.tolerance is None else recipe.tolerance
            coded = {colour: numbers[name] for name, colour in recipe.colours.items()}
            self.reading = Coding(colours=coded, tolerance=tolerance)
            self._start_with({name: numbers[name] for name in named}, recipe.colours)
        elif recipe.threshold is not None:
            structures = [name for name, number in self.names.items() if number != 0]
            self.reading = Coding(threshold=recipe.threshold)
            self._start_with({structures[0] if len(structures) == 1 else "label 1": 1}, {})

        elif recipe.soft is not None:
            self._read_shares(recipe.soft, recipe.names or self.names)

    def _read_shares(self, scale: float, names: Mapping[str, int]) -> None:
        """Take each layer of the label map as the shares of one structure, in the order of their numbers."""
        own = {name: number for name, number in sorted(names.items(), key=lambda pair: pair[1]) if number}
        layers = tuple({1: number} for number in own.values())
        self.reading = Coding(soft=scale, layers=layers if layers != ({1: 1},) else ())
        self._start_with(own, self.colours)
        self.soft = True

    def _start_with(self, names: dict[str, int], colours: Mapping[str, str]) -> None:
        self.names, self.colours = {"background": 0, **names}, dict(colours)
        self.regions, self.paint, self.ignore = {}, (), None

    def exchange(self, numbers: Mapping[int, int]) -> None:
        """Give numbers other numbers; a name whose new number has a name already is gone."""
        if not numbers:
            return
        self.exchanges.append(dict(numbers))
        kept = {name: number for name, number in self.names.items() if numbers.get(number, number) == number}
        moved = {name: numbers[number] for name, number in self.names.items() if name not in kept}
        for name, number in moved.items():
            plain = f"label {number}" if name.startswith("label ") and name[6:].isdigit() else name
            if number not in kept.values():
                kept[plain] = number
        for number in numbers.values():
            if number not in kept.values() and number != self.ignore:
                kept["background" if number == 0 else f"label {number}"] = number
        self.names = kept

        def moved_all(joined: Iterable[int]) -> tuple[int, ...]:
            return tuple(dict.fromkeys(numbers.get(number, number) for number in joined))

        self.regions = {name: moved_all(joined) for name, joined in self.regions.items()}
        self.paint = tuple(numbers.get(number, number) for number in self.paint)
        self.ignore = None if self.ignore is None else numbers.get(self.ignore, self.ignore)

    def rename(self, names: Mapping[str, int]) -> None:
        """Call the numbers by other names, all of them."""
        if names:
            self.names = dict(names) if 0 in names.values() else {"background": 0, **names}

    def merge(self, name: str, members: Members) -> None:
        """Join labels to one; it has the number of that name, else the smallest of theirs."""
        numbers = {self._number(member, f"labels.merge.{name}") for member in members}
        target = self.names.get(name, min(numbers, default=0)) if name != "background" else 0
        gone = numbers | {target}
        names = {old: number for old, number in self.names.items() if number not in gone or number == 0}
        if name != "background":
            names[name] = target
        self.names = dict(sorted(names.items(), key=lambda pair: pair[1]))
        changed = {number: target for number in numbers if number != target}
        if changed:
            self.exchange(changed)

    def join(self, regions: Mapping[str, Members]) -> None:
        """Make regions the outputs."""
        if regions:
            self.regions = {
                name: tuple(dict.fromkeys(self._number(member, f"labels.regions.{name}") for member in members))
                for name, members in regions.items()
            }
            self.paint = painted_with(self.regions)

    def set_ignored(self, ignored: int | str | None) -> None:
        """Take a label out of what is learned and scored."""
        if ignored is None:
            return
        self.ignore = ignored if isinstance(ignored, int) else self._number(ignored, "labels.ignore")
        self.names = {name: number for name, number in self.names.items() if number != self.ignore}
        left = {name: tuple(n for n in joined if n != self.ignore) for name, joined in self.regions.items()}
        self.regions = {name: joined for name, joined in left.items() if joined}
        self.paint = painted_with(self.regions)

    def labels(self) -> Labels:
        """Return what came out.

        Raises:
            RecipeError: it makes no labels.
        """
        colours = {name: colour for name, colour in self.colours.items() if name in {*self.names, *self.regions}}
        try:
            return Labels(
                names=self.names,
                regions=self.regions,
                paint=self.paint,
                ignore=self.ignore,
                colours=colours,
                soft=self.soft,
            )
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise RecipeError(f"labels: {reason} (the labels would be {self.names}). Mend [labels].") from error

    def coding_after(self, coding: Coding, recipe: LabelRecipe) -> Coding:
        """Return a case's coding with all that was changed."""
        coding = self.reading or coding
        if recipe.tolerance is not None:
            coding = coding.model_copy(update={"tolerance": recipe.tolerance})
        for numbers in self.exchanges:
            coding = coding.then(numbers)
        return coding

    def _number(self, member: int | str, where: str) -> int:
        if isinstance(member, str) and member not in self.names:
            raise RecipeError(f"{where}: the data have no label '{member}'. {suggest(member, self.names)}")
        number = self.names[member] if isinstance(member, str) else member
        if number not in self.names.values():
            known = ", ".join(f"{number} {name}" for name, number in self.names.items())
            raise RecipeError(f"{where}: the data have no label {number}. Known: {known}.")
        return number
