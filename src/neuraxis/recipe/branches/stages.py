"""The recipe's list `[[stage]]`: a training in several parts, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated

from pydantic import Field

from neuraxis.recipe.part import Part

ROUNDING = 1e-6


class StageRecipe(Part):
    """One part of a training, with a warm-up, a schedule and an optimiser of its own.

    A part of the network is named as its author did, such as "encoder" or "encoder.0"; a pattern such as "*.bias" is
    compared with the names of all weights. `training` says everything else.

    Attributes:
        steps: optimiser steps; `training.steps` is then their sum. Either every stage has steps, or a share.
        share: of all steps, in (0, 1]; those of all stages make 1. A plan writes this one down.
        freeze: parts of the network whose weights stay as they are; statistics of frozen batch normalisation, too.
        channels: names of the channels that the network sees; the others are filled in as `missing.fill` says. Empty:
            all of them.
        learning_rate: its highest value; left out, `training.learning_rate`.
        rates: part of the network to a factor of the learning rate; of several that fit a weight the last counts.
    """

    steps: int | None = Field(None, ge=1)
    share: float | None = Field(None, gt=0, le=1)
    freeze: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    learning_rate: float | None = Field(None, gt=0)
    rates: dict[str, Annotated[float, Field(gt=0)]] = Field(default={})


def shares_of(stages: Sequence[StageRecipe]) -> tuple[float, ...]:
    """Return which share of all steps each stage has.

    Raises:
        ValueError: not every stage says how long it is in the same way, or the shares do not make 1.

    >>> shares_of([StageRecipe(steps=30), StageRecipe(steps=10)])
    (0.75, 0.25)
    """
    steps = [stage.steps for stage in stages if stage.steps is not None]
    shares = [stage.share for stage in stages if stage.share is not None]
    if len(steps) == len(stages) and not shares:
        return tuple(count / sum(steps) for count in steps)
    if len(shares) < len(stages) or steps:
        raise ValueError("every stage needs either steps or a share of all steps, all of them the same of the two")
    if abs(sum(shares) - 1) > ROUNDING:
        raise ValueError(f"the shares of the stages make {sum(shares):g}; needed is 1")
    return tuple(shares)


def spans_of(stages: Sequence[StageRecipe]) -> tuple[tuple[float, float], ...]:
    """Return for each stage at which share of all steps it begins and ends.

    >>> spans_of([StageRecipe(share=0.25), StageRecipe(share=0.75)])
    ((0.0, 0.25), (0.25, 1.0))
    """
    ends = [*accumulate(shares_of(stages))]
    return tuple(zip([0.0, *ends[:-1]], [*ends[:-1], 1.0], strict=True))
