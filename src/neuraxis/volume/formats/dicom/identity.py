"""Who a scan shows, so that it is never said: names, numbers and dates of the patient, and every UID.

Messages, sidecars and reports name files and series. Where a part of such a name holds what the header calls the
patient, the part is masked. A header that says that the identity was removed (0012,0062) calls the patient by a
pseudonym, which may be shown; UIDs never are.

>>> identity = Identity(frozenset({"doe", "john", "19700131"}))
>>> identity.mask("T1 of John Doe"), identity.mask("T1 mprage")
('***', 'T1 mprage')
>>> identity.mask_words("T1 of John Doe")
'T1 of *** ***'
>>> identity.shown(Path("scans/DOE_JOHN/1.2.840.113619.2.5/T1/0001.dcm"))
'scans/***/***/T1/0001.dcm'
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MASK = "***"
_UID = re.compile(r"\d+(?:\.\d+){4,}")
_LONG = 5  # letters and digits from which on a word is also looked for inside of others
_PEOPLE = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ReferringPhysicianName",
           "PerformingPhysicianName", "OperatorsName")  # fmt: skip
_NUMBERS = ("PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "MedicalRecordLocator")
_NOBODY = frozenset(
    {"anon", "anonymised", "anonymized", "anonymous", "deidentified", "name", "none", "patient", "phantom", "removed",
     "subject", "test", "unknown"}
)  # fmt: skip
TAGS = (*_PEOPLE, *_NUMBERS, "PatientIdentityRemoved")


@dataclass(frozen=True)
class Identity:
    """The words that name a patient, in small letters; they are never shown, not even by `repr`."""

    words: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return "Identity(...)"

    @classmethod
    def of(cls, dataset: Any) -> Identity:
        """Collect the words of a header."""
        if str(dataset.get("PatientIdentityRemoved", "")).strip().upper() == "YES":
            return cls()
        words: set[str] = set()
        for keyword in (*_PEOPLE, *_NUMBERS):
            for value in _values(dataset.get(keyword)):
                words |= {*_tokens(value), _plain(value)}
        return cls(frozenset(word for word in words - _NOBODY if len(word) > 1))

    @classmethod
    def joined(cls, identities: Iterable[Identity]) -> Identity:
        """Return all the words of several."""
        return cls(frozenset().union(*(identity.words for identity in identities)))

    def mask(self, text: str) -> str:
        """Return a text, or only the mask where it names the patient or holds a UID."""
        return MASK if self.is_named_in(text) else text

    def mask_words(self, text: str) -> str:
        """Return a text with only the words masked that name the patient; all of it where that does not help."""
        parts = re.split(r"([\W_]+)", _UID.sub(MASK, text))
        return self.mask("".join(MASK if part.casefold() in self.words else part for part in parts))

    def is_named_in(self, text: str) -> bool:
        """Tell whether a text names the patient or holds a UID."""
        if _UID.search(text) or self.words & set(_tokens(text)):
            return True
        plain = _plain(text)
        return any(word in plain for word in self.words if len(word) >= _LONG)

    def shown(self, path: Path) -> str:
        """Return a path whose parts that name the patient are masked."""
        return str(Path(*(part if part == path.anchor else self.mask(part) for part in path.parts)))


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    many = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    return [str(one) for one in many if str(one).strip()]


def _tokens(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text.casefold()) if len(word) > 1]


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())
