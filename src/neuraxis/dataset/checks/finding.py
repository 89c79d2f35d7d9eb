"""What a check found out about a case or a dataset."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
RANK: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or odd.

    Attributes:
        case: id of the case; empty where it concerns the whole dataset.
        severity: "error": training on it is refused; "warning": look at it; "note": good to know.
        code: a short name of the kind, which stays the same between versions.
        message: what was found, without a full stop.
        advice: what to do, as a sentence.
        other: id of a second case that it concerns.
    """

    case: str
    severity: Severity
    code: str
    message: str
    advice: str
    other: str = ""

    @property
    def cases(self) -> tuple[str, ...]:
        """The ids of every case it concerns."""
        return tuple(id for id in (self.case, self.other) if id)

    def __str__(self) -> str:
        return f"{self.case}: {self.message}. {self.advice}" if self.case else f"{self.message}. {self.advice}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)
