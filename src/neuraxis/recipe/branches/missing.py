"""The recipe's branch for channels that may be missing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from neuraxis.recipe.part import Part

Probability = Annotated[float, Field(ge=0, lt=1)]
Fill = Literal["zeros", "mean"]


class MissingRecipe(Part):
    """Channels that are left out of some samples in training, so that the model also works without them.

    At least one channel stays in each sample. A model that was trained so segments scans that lack these channels.

    Attributes:
        probability: with which a channel is left out of a sample, in [0, 1): one number for all, or channel to number;
            channels that are not named are always there. A plan writes down the latter.
        fill: what stands in place of a channel that is missing, after normalisation: "zeros", or in each voxel the
            "mean" of the channels that are there.
    """

    probability: Probability | dict[str, Probability] = Field(default={})
    fill: Fill = "zeros"

    @property
    def by_channel(self) -> dict[str, float]:
        """Channel to probability, those above 0 alone.

        Raises:
            ValueError: it is one number for all still, which the planner replaces.
        """
        if not isinstance(self.probability, dict):
            raise ValueError("missing.probability is one number still: plan with the data first.")
        return {channel: value for channel, value in self.probability.items() if value > 0}
