"""What the card of a model says of how far its scores can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from neuraxis.dataset.checks.finding import Finding

LIMITS = (
    "Scores come from one held-out fold of the training data's own sites; other scanners may do worse.",
    "No case outside the training data's anatomy, contrast and spacing was tried.",
)
LEAKY = ("One patient or scan trained and was held out, which was allowed: the scores may be too good.",)
JOINT_LIMITS = (
    "Each case was scored by the one network that did not learn from it; all together no case could score.",
    "Scores come from the training data's own sites; other scanners may do worse.",
    LIMITS[1],
)


def limits_of(leaks: Sequence[Finding], joint: bool = False) -> tuple[str, ...]:
    """Return the limits of a model.

    Args:
        leaks: that were allowed in its data.
        joint: whether its networks were trained on all folds, one each.
    """
    return (*(JOINT_LIMITS if joint else LIMITS), *(LEAKY if leaks else ()))
