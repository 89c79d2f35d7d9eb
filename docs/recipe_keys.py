"""Write docs/reference/recipe-keys.md from the recipe's own types, so that the page cannot grow old.

usage: python docs/recipe_keys.py docs/reference/recipe-keys.md
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from neuraxis.losses.catalog import LOSSES
from neuraxis.losses.catalog import OPTIONS as LOSS_OPTIONS
from neuraxis.networks.catalog import NETWORKS, OPTIONS
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import book_and_variants

HEAD = """# Recipe keys

Every decision of a run is one of these keys. `--set KEY=VALUE` sets one, a TOML file sets many
([how to write a recipe](../how-to/write-a-recipe.md)); what you leave open the planner takes from the data, and
where it has nothing to say the default holds. *needed* marks the keys that the planner always fills.

This page is written by `make recipe-keys` from the types in `recipe/`; a test fails when it is out of date.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [HEAD, "## Recipes that ship\n", *_rows(("name", "what it is for"), book_and_variants().items())]
    parts += ["", "## The top of the file\n", *_table(Recipe, "")]
    for name, field in Recipe.model_fields.items():
        branch, item = _branch(field.annotation), _item(field.annotation)
        if branch is not None:
            parts += ["", f"## `[{name}]`\n", _prose(branch), "", *_table(branch, f"{name}.")]
        if item is not None:
            parts += ["", f"## `[[{name}]]`\n", _prose(item), "", *_table(item, f"{name}.")]
    for branch, names, every in (("network", NETWORKS, OPTIONS), ("loss", LOSSES, LOSS_OPTIONS)):
        for name in every.entries:
            options = every.load(name)
            if options.model_fields:
                parts += ["", f"## `[{branch}.options]` of `{name}`\n", f"{_capital(names.summary(name))}.", ""]
                parts += _table(options, f"{branch}.options.")
    return "\n".join(parts) + "\n"


def _table(model: type[BaseModel], prefix: str) -> list[str]:
    meanings = _meanings(model)
    fields = {
        name: field
        for name, field in model.model_fields.items()
        if not _branch(field.annotation) and not _item(field.annotation)
    }
    rows = [
        (f"`{prefix}{name}`", f"`{_type(field)}`", _default(field), meanings.get(name, ""))
        for name, field in fields.items()
    ]
    return _rows(("key", "type", "default", "meaning"), rows)


def _rows(head: tuple[str, ...], rows: typing.Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _type(field: FieldInfo) -> str:
    limits = [_limit(rule) for rule in field.metadata]
    return " ".join([_name(field.annotation), *filter(None, limits)])


def _limit(rule: object) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [(sign, getattr(rule, key)) for key, sign in signs.items() if getattr(rule, key, None) is not None]
    return ", ".join(f"{sign} {value}" for sign, value in found)


def _name(kind: object) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _name(inner[0])
    if origin is typing.Literal:
        return " or ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_name(one) for one in inner if one is not type(None))
    if origin is tuple:
        return f"list of {_name(inner[0])}" if inner[-1] is Ellipsis else f"{len(inner)} × {_name(inner[0])}"
    if origin is dict:
        return f"table of {_name(inner[1])}"
    words = {"int": "whole number", "float": "number", "str": "text", "bool": "true or false", "Any": "any value"}
    name = getattr(kind, "__name__", str(kind))
    return words.get(name, name)


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "*needed*"
    if field.default is None:
        return "left out"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, str):
        return f'`"{field.default}"`'
    return f"`{list(field.default) if isinstance(field.default, tuple) else field.default}`"


def _prose(model: type[BaseModel]) -> str:
    text = inspect.cleandoc(model.__doc__ or "").split("Attributes:")[0]
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in text.strip().split("\n\n"))


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    text = inspect.cleandoc(model.__doc__ or "").partition("Attributes:")[2]
    return {name: _capital(meaning) for name, meaning in _entries(text)}


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"^ {4}(\w+): (.+(?:\n {5,}.+)*)", text, re.MULTILINE):
        yield found[1], re.sub(r"\s+", " ", found[2])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _item(kind: object) -> type[BaseModel] | None:
    """Return the type of a list of tables, or None."""
    return _branch(typing.get_args(kind)[0]) if typing.get_origin(kind) is tuple else None


def _branch(kind: object) -> type[BaseModel] | None:
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
