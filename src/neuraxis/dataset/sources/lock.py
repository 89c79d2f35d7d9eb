"""What a dataset was when it first came: a file beside it that later fetches must agree with.

Where a publisher states a hash, the lock repeats it. Where none does, the first download is taken on trust, and the
lock says so; a later one that differs is refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from neuraxis.errors import BundleError
from neuraxis.files import read_json, write_json

Checked = Literal["published", "first download"]


class LockedFile(BaseModel):
    """One file that was fetched.

    Attributes:
        url: where from.
        size: in bytes.
        sha256: of what came, in hex.
        checked_with: "published" where a stated hash was right; "first download" where none is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    checked_with: Checked


class Lock(BaseModel):
    """What a dataset's files were.

    Attributes:
        dataset: its name.
        licence: that was accepted.
        accepted: when, in UTC.
        files: by their path in the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    licence: str
    accepted: str
    files: dict[str, LockedFile] = {}

    @property
    def on_trust(self) -> int:
        """How many files nobody has published a hash of."""
        return sum(file.checked_with == "first download" for file in self.files.values())


def lock_path(into: Path) -> Path:
    """Return where the lock of a dataset's folder lies: beside it."""
    return into.with_name(f"{into.name}.lock.json")


def read_lock(into: Path) -> Lock | None:
    """Return the lock of a folder; None where there is none.

    Raises:
        BundleError: it is damaged.
    """
    path = lock_path(into)
    if not path.exists():
        return None
    try:
        return Lock.model_validate(read_json(path))
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise BundleError(f"{path}: is no lock of a dataset ({place}). Remove it to begin anew.") from error


def write_lock(into: Path, lock: Lock) -> None:
    """Write the lock of a folder."""
    write_json(lock_path(into), lock.model_dump())


def now() -> str:
    """Return the time, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
