"""Which cases are shown while a network learns."""

from __future__ import annotations

from pydantic import Field

from neuraxis.recipe.part import Part


class PreviewRecipe(Part):
    """Pictures of chosen cases while a network learns; they change no weight, and a bundle does not keep these keys.

    Attributes:
        every: a preview at every so many validations, and after the last step; 0 makes none.
        cases: ids of the dataset's cases to show; empty takes some of the held-out ones.
        count: how many of them, where none are named.
        files: unlabelled scans to show as well: files, folders, or CHANNEL=FILE for those of one case.
        share: of the training time that previews may take; where a whole scan would take more, a part of it is shown.
    """

    every: int = Field(1, ge=0)
    cases: tuple[str, ...] = ()
    count: int = Field(2, ge=0)
    files: tuple[str, ...] = ()
    share: float = Field(0.05, gt=0, le=1)
