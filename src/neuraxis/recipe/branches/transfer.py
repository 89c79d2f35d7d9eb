"""The recipe's branch for what a training takes from the model that it begins with."""

from __future__ import annotations

from pydantic import Field

from neuraxis.recipe.part import Part


class TransferRecipe(Part):
    """Names that are others in the model with which a training begins (`--from`); equal names need no key.

    Attributes:
        channels: channel of the data to that of the model whose weights it begins with.
        labels: label or region of the data to that of the model; several may begin with the same.
    """

    channels: dict[str, str] = Field(default={})
    labels: dict[str, str] = Field(default={})
