"""What a user asks of a recipe: a book entry or a TOML file, a variant of it, and `key=value` pairs on top.

Wishes are a nested dict with some of the recipe's keys; the planner takes every other decision. Every key is
checked against the recipe's types, so that a misspelt one is answered with the nearest.

    [training]
    learning_rate = 7e-5

    [variant.published]                       # --recipe NAME:published, or --recipe NAME --variant published
    summary = "what it does otherwise"
    training.ema_decay = 0.0
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from neuraxis.errors import RecipeError, UnknownName
from neuraxis.losses.catalog import OPTIONS as LOSS_OPTIONS
from neuraxis.networks.catalog import OPTIONS
from neuraxis.recipe.recipe import NetworkRecipe, Recipe

Wishes = dict[str, Any]


def read_wishes(recipe: str | Path = "auto", settings: Sequence[str] = ()) -> Wishes:
    """Read a recipe by book name or TOML file, take a variant of it, and put `key=value` settings on top.

    Args:
        recipe: name or file; a variant's name after a colon, as in "ms-flair-2d:published".
        settings: the later of two for one key counts.

    Raises:
        RecipeError: the file cannot be read, or a key or setting is wrong; `UnknownName` for the name of a recipe or
            of a variant.
    """
    name, variant = split_variant(recipe)
    wishes = _read_recipe(name)
    variants = wishes.pop("variant", {})
    if variant:
        wishes = _as_variant(wishes, _known_variants(variants, name), variant)
    asked: Wishes = {}
    for setting in settings:
        key, found, value = setting.partition("=")
        if not found:
            raise RecipeError(f"--set {setting}: needed is key=value, such as training.steps=500.")
        _put(asked, key.strip(), _parse_value(value.strip()))
    wishes = _put_over(wishes, asked)
    check_keys(wishes)
    return wishes


def split_variant(recipe: str | Path) -> tuple[str, str]:
    """Return the name or file of a recipe, and the name of the variant that stands after it; empty where none does.

    >>> split_variant("ms-flair-2d:published"), split_variant("C:/mine.toml")
    (('ms-flair-2d', 'published'), ('C:/mine.toml', ''))
    """
    name, _, variant = str(recipe).rpartition(":")
    if not name or variant.endswith(".toml") or set(variant) & {"/", "\\"}:
        return str(recipe), ""
    return name, variant


def book() -> dict[str, str]:
    """Return the name and the summary of every recipe that ships."""
    return {name: summary for name, summary in book_and_variants().items() if not split_variant(name)[1]}


def book_and_variants() -> dict[str, str]:
    """Return the name and the summary of every recipe that ships, each followed by its variants, as NAME:VARIANT."""
    found = {}
    pages = resources.files("neuraxis.recipe").joinpath("book").iterdir()
    for name in sorted(page.name.removesuffix(".toml") for page in pages if page.name.endswith(".toml")):
        wishes = _read_recipe(name)
        found[name] = str(wishes.get("summary", ""))
        for variant, table in _known_variants(wishes.get("variant", {}), name).items():
            found[f"{name}:{variant}"] = str(table.get("summary", ""))
    return found


def check_keys(wishes: Mapping[str, Any]) -> None:
    """Raise `RecipeError` for the first key that no recipe has; the message offers the nearest."""
    _check_branch(Recipe, wishes, "")
    for branch, options, usual in (("network", OPTIONS, "unet"), ("loss", LOSS_OPTIONS, "dice_ce")):
        asked = wishes.get(branch, {})
        if isinstance(asked, Mapping) and isinstance(asked.get("options"), Mapping):
            _check_branch(options.load(asked.get("name", usual)), asked["options"], f"{branch}.options.")
        elif isinstance(asked, Mapping) and "name" in asked:
            options.load(asked["name"])


def resolve(decisions: Mapping[str, Any]) -> Recipe:
    """Build the frozen recipe from a complete nested dict.

    Raises:
        RecipeError: a key is unknown or a value is wrong, with the key's dotted name.
    """
    check_keys(decisions)
    try:
        return Recipe.model_validate(decisions)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "recipe"
        raise RecipeError(
            f"{where}: {first['msg'].removeprefix('Value error, ')} (found {_short(first['input'])})."
        ) from error


def look_up(wishes: Mapping[str, Any], key: str | Sequence[str]) -> Any:
    """Return the wish of a dotted key, or of a sequence of names, or None where the user left it open."""
    branch: Any = wishes
    for name in key.split(".") if isinstance(key, str) else key:
        if not isinstance(branch, Mapping) or name not in branch:
            return None
        branch = branch[name]
    return branch


def leaves(wishes: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the dotted key of every wish."""
    for key, value in wishes.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def overlay(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `top` put over it, branch by branch."""
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = overlay(merged[key], value) if both else value
    return merged


def _known_variants(variants: Any, recipe: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the variants of a recipe after a look at their form."""
    if not isinstance(variants, Mapping) or not all(isinstance(table, Mapping) for table in variants.values()):
        raise RecipeError(f"{recipe}: variant: needed is a table for each variant, such as [variant.published].")
    return variants


def _as_variant(wishes: Wishes, variants: Mapping[str, Mapping[str, Any]], variant: str) -> Wishes:
    """Return a recipe with a variant put over it, and the variant's name in its own."""
    name = str(wishes.get("name", "recipe"))
    if variant not in variants:
        raise UnknownName(f"variant of '{name}'", variant, variants)
    return {**_put_over(wishes, variants[variant]), "name": f"{name}-{variant}"}


def _put_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> Wishes:
    """Return wishes with others put over them; another network or loss does not take the options of the first."""
    base = dict(base)
    for branch, usual in (("network", "unet"), ("loss", "dice_ce")):
        below, above = (wishes.get(branch) for wishes in (base, top))
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            named = below.get("name", usual)
            if above.get("name", named) != named:
                base[branch] = {key: value for key, value in below.items() if key != "options"}
    return overlay(base, top)


def _read_recipe(recipe: str | Path) -> Wishes:
    path = Path(recipe)
    if path.suffix == ".toml":
        try:
            return tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            raise RecipeError(
                f"{path}: cannot be read ({error.strerror}). Name a TOML file or a recipe of the book."
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: is not valid TOML: {error}.") from error
    pages = {page.name: page for page in resources.files("neuraxis.recipe").joinpath("book").iterdir()}
    if f"{recipe}.toml" not in pages:
        known = sorted(name.removesuffix(".toml") for name in pages if name.endswith(".toml"))
        raise UnknownName("recipe", str(recipe), known)
    return tomllib.loads(pages[f"{recipe}.toml"].read_text("utf-8"))


def _check_branch(model: type[BaseModel], wishes: Mapping[str, Any], prefix: str) -> None:
    for key, value in wishes.items():
        if key not in model.model_fields:
            raise RecipeError(f"No recipe has the key '{prefix}{key}'. {_nearest_key(prefix, key, model)}")
        field = model.model_fields[key]
        inner = _model_of(field.annotation)
        if inner is not None and isinstance(value, Mapping):
            _check_branch(inner, value, f"{prefix}{key}.")
        elif (item := _item_of(field.annotation)) is not None and isinstance(value, Sequence):
            for number, entry in enumerate(value):
                _check_branch(item, _as_table(entry, f"{prefix}{key}"), f"{prefix}{key}.{number}.")
        else:
            _check_value(field, value, prefix + key)


def _check_value(field: FieldInfo, value: Any, key: str) -> None:
    """Raise `RecipeError` where a wish is not of its key's type or range."""
    try:
        kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([key, *map(str, first["loc"])])
        raise RecipeError(f"{where}: {first['msg']} (found {_short(first['input'])}).") from error


def _nearest_key(prefix: str, key: str, model: type[BaseModel]) -> str:
    every = {name.rsplit(".", 1)[-1]: name for name in all_keys()}
    near = difflib.get_close_matches(key, list(model.model_fields), n=1, cutoff=0.5)
    elsewhere = difflib.get_close_matches(key, list(every), n=1, cutoff=0.75)
    if elsewhere and difflib.get_close_matches(key, [*near, *elsewhere], n=1, cutoff=0.5) == elsewhere != near:
        return f"Did you mean '{every[elsewhere[0]]}'?"
    if near:
        return f"Did you mean '{prefix}{near[0]}'?"
    return f"Known here: {', '.join(sorted(model.model_fields))}."


def all_keys(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every value in a recipe, lists of tables left out."""
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        if _item_of(field.annotation) is not None:
            continue
        if inner is None or model is NetworkRecipe:
            yield prefix + name
        else:
            yield from all_keys(inner, f"{prefix}{name}.")


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for kind in (annotation, *(typing.get_args(annotation) if isinstance(annotation, types.UnionType) else ())):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _item_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a list of tables, or None."""
    return _model_of(typing.get_args(annotation)[0]) if typing.get_origin(annotation) is tuple else None


def _as_table(entry: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise RecipeError(f"{key}: needed is a list of tables, [[{key}]] in a TOML file (found {_short(entry)}).")
    return entry


def _put(wishes: Wishes, key: str, value: Any) -> None:
    *branches, leaf = key.split(".")
    for name in branches:
        inner = wishes.setdefault(name, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"--set {key}: '{name}' is a value, not a group of keys.")
        wishes = inner
    wishes[leaf] = value


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
