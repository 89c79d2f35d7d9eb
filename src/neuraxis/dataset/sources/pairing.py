"""A dataset.json for what comes in no layout of ours: which images and label maps belong together."""

from __future__ import annotations

import re
from pathlib import Path

from neuraxis.dataset.sources.source import Pairs
from neuraxis.errors import DataError
from neuraxis.files import write_json

DESCRIPTION = "dataset.json"


def write_pairs(folder: Path, pairs: Pairs, name: str) -> int:
    """Write dataset.json in the manner of nnU-Net, with the files where they lie; return the number of cases.

    Raises:
        DataError: no case has all its images and a label map.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    images = [_matched(pattern, names) for pattern in pairs.images]
    labels = _matched(pairs.label, names)
    whole = sorted(case for case in labels if all(case in channel for channel in images))
    if not whole:
        raise DataError(f"{folder}: no case has all its images and a label map. The source may have been rearranged.")
    write_json(
        folder / DESCRIPTION,
        {
            "name": name,
            "channel_names": {str(place): channel for place, channel in enumerate(pairs.channels)},
            "labels": {"background": 0, **pairs.labels},
            "numTraining": len(whole),
            "file_ending": pairs.ending,
            "dataset": {
                case: {"images": [channel[case] for channel in images], "label": labels[case]} for case in whole
            },
        },
    )
    return len(whole)


def _matched(pattern: str, names: list[str]) -> dict[str, str]:
    """Return case to file where a pattern fits; `{case}` stands for the case, `*` for anything within a name."""
    parts = re.split(r"(\{case\}|\*)", pattern)
    seen, text = False, ""
    for part in parts:
        if part == "{case}":
            text += r"(?P=case)" if seen else r"(?P<case>[^/]+?)"
            seen = True
        else:
            text += "[^/]*" if part == "*" else re.escape(part)
    expression = re.compile(text)
    return {found["case"]: name for name in names if (found := expression.fullmatch(name))}
