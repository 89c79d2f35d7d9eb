"""What every branch of the recipe shares."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Axis = Literal[0, 1, 2]


class Part(BaseModel):
    """A frozen branch of the recipe; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
