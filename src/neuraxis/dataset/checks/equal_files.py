"""Files that hold the same bytes under two names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.checks.leakage import judge
from neuraxis.dataset.dataset import Dataset
from neuraxis.files import sha256

_PROBE = 2**16


class _Use(NamedTuple):
    id: str
    case: Case
    role: str
    path: Path


def equal_files(dataset: Dataset, counts: Mapping[str, Mapping[int, int]]) -> Iterator[Finding]:
    """Yield what is there twice, byte by byte.

    Args:
        dataset: whose files are compared; only those of one size are read.
        counts: case id to label number to voxels; label maps without labels are all alike.
    """
    uses = []
    for case in (*dataset.cases, *dataset.unlabelled):
        role = "image" if case.label else "test image"
        uses += [_Use(case.id, case, role, path) for path in {file.path for file in case.images.values()}]
        is_empty = set(counts.get(case.id, {})) <= {0, dataset.labels.ignore}
        uses += [_Use(case.id, case, "label map", case.label)] if case.label and not is_empty else []
    found = {}
    by_name = partial(sorted, key=lambda use: (use.id, use.role, use.path))
    for first, *others in map(by_name, _same_content([use for use in uses if use.path.is_file()])):
        for other in others:
            finding = _judge(dataset, first, other)
            found[first.id, other.id, finding.code] = finding
    yield from found.values()


def _same_content(uses: list[_Use]) -> list[list[_Use]]:
    """Group uses whose files hold the same bytes; a look at size and middle spares most of the reading."""
    groups = [uses]
    for key in (lambda path: path.stat().st_size, _middle, sha256):
        cached, refined = cache(key), []
        for group in groups:
            parts: dict[object, list[_Use]] = {}
            for use in group:
                parts.setdefault(cached(use.path), []).append(use)
            refined += [part for part in parts.values() if len(part) > 1]
        groups = refined
    return groups


def _middle(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _PROBE) // 2)
        return stream.read(_PROBE)


def _judge(dataset: Dataset, first: _Use, second: _Use) -> Finding:
    roles, severity = {first.role, second.role}, "warning"
    kinds = " and ".join(sorted(roles)) if len(roles) > 1 else f"{first.role}s"
    message = f"the {kinds} of {first.id} and {second.id} hold the same bytes"
    if first.id == second.id:
        code, advice = "equal_files", "Check which of the two is the right one."
        severity = "error" if "label map" in roles else "warning"
        message = f"'{first.path.name}' and '{second.path.name}' ({kinds}) hold the same bytes"
    elif "label map" in roles:
        code, advice = "equal_labels", "Check which of the two is the right one."
    else:
        code, judged = "equal_scans", judge(dataset, first.case, second.case)
        severity, advice = judged.severity, judged.advice
        message += judged.where
    return Finding(first.id, "error" if severity == "error" else "warning", code, message, advice, second.id)
