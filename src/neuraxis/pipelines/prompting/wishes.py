"""What `--prompts`, `--box` and `--point` mean, for every scan that is segmented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError, UsageError, suggest
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.inference.prompted.hints import REFERENCE, Drawn, Hints, Kind
from neuraxis.inference.prompted.prompting import is_prompted
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

ALONE: dict[str, Kind] = {"coarse": "coarse", "centre-line": "centre-line", "previous": "previous", "drawn": "drawn"}
WITH_PATH: dict[str, Kind] = {"coarse": "map", "centre-line": "line", REFERENCE: "map"}
Joined = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class PromptWishes:
    """Where prompts shall come from.

    Attributes:
        source: "coarse", "centre-line", "previous" or "drawn", or "coarse:BUNDLE", "centre-line:MASK" or
            "reference:MASK", where a mask is a file, or a folder of files named as the cases are. Empty: as the model's
            recipe says, or "previous" where something is drawn.
        boxes: "[NAME=]x0,y0,x1,y1[,slice]", first and last voxels of the scan's file, counted from 0.
        points: "[NAME=]x,y,z[,inside]", voxels; inside is 1, or 0 for a point that is not of the structure.
    """

    source: str = ""
    boxes: tuple[str, ...] = ()
    points: tuple[str, ...] = ()

    @property
    def are_any(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.source or self.boxes or self.points)


class HintGiver:
    """Gives the hints of one scan after another; a coarse model is loaded once.

    Args:
        wishes: where prompts shall come from.
        bundle: the model that is prompted.
        options: how a coarse model predicts.

    Raises:
        UsageError: the model takes no prompts, a source has no such name, or a box or point cannot be read.
        BundleError: the coarse model is refused.
    """

    def __init__(self, wishes: PromptWishes, bundle: ModelBundle, options: PredictorOptions) -> None:
        self._wishes, self._bundle = wishes, bundle
        if wishes.are_any and not is_prompted(bundle):
            raise UsageError(f"{bundle.path}: is not told where to look. Leave --prompts, --box and --point out.")
        drawn = *(read_box(text) for text in wishes.boxes), *(read_point(text) for text in wishes.points)
        source = wishes.source or ("previous" if drawn else "")
        name, _, path = source.partition(":")
        known = WITH_PATH if path else ALONE
        if source and name not in known:
            if name == REFERENCE:
                raise UsageError(f"--prompts {source}: needs a label map, or a folder of them: reference:MASK.")
            raise UsageError(f"--prompts {source}: no such source. {suggest(name, {*ALONE, *WITH_PATH})}")
        if name == "drawn" and not drawn:
            raise UsageError("--prompts drawn: nothing is drawn. Add --box or --point.")
        self._path = Path(path) if path else None
        self._usual = Hints(known[name], source, drawn=drawn) if source else None
        self._coarse: Predictor | None = None
        if self._path is not None and not self._path.exists():
            raise UsageError(f"--prompts {source}: {path}: no such file or folder.")
        if name == "coarse" and self._path is not None:
            coarse = open_bundle(self._path, options.cache)
            self._joined = joined_by_name(bundle.labels, coarse.labels, f"--prompts {source}")
            self._picked = _picked(bundle.channels, coarse.channels, f"--prompts {source}")
            alone = PredictorOptions(device=options.device, threads=options.threads, cache=options.cache)
            self._coarse = Predictor(coarse, alone)

    def hints(self, id: str, scan: Volume) -> Hints | None:
        """Return the hints of a scan; None where its prompts come from where they usually do.

        Raises:
            DataError: its mask is not there, or lies on another grid.
        """
        if self._usual is None or self._path is None:
            return self._usual
        if self._coarse is not None:
            found = self._coarse.predict(_with_channels(scan, self._picked)).segmentation.array[0]
            return replace(self._usual, label_map=_numbered(found, self._joined))
        path = _mask_of(self._path, id)
        mask = any_format.read(path)
        _refuse_other_grid(mask, scan.grid, path)
        joined = joined_by_name(self._bundle.labels, self._bundle.labels, "")
        if self._usual.kind == "line" and len(joined) == 1:
            return replace(self._usual, label_map=(mask.array[0] != 0).astype(np.uint8))
        return replace(self._usual, label_map=_numbered(mask.array[0], joined))


def oracle_hints(label_map: np.ndarray, labels: Labels) -> Hints:
    """Return hints from the reference (X, Y, Z) of a case, on the scan's canonical grid."""
    return Hints("map", REFERENCE, _numbered(label_map, joined_by_name(labels, labels, "")))


def joined_by_name(ours: Labels, theirs: Labels, where: str) -> Joined:
    """Return for each structure of ours the numbers that it has in the label maps of theirs.

    Raises:
        UsageError: they do not know one of that name; where both know one alone, its name does not matter.
    """
    if len(ours.scored) == len(theirs.scored) == 1:
        return tuple(theirs.scored.values())
    for name in ours.scored:
        if name not in theirs.scored:
            raise UsageError(f"{where}: knows no structure '{name}'. {suggest(name, theirs.scored)}")
    return tuple(theirs.scored[name] for name in ours.scored)


def read_box(text: str) -> Drawn:
    """Read "[NAME=]x0,y0,x1,y1[,slice]".

    Raises:
        UsageError: it is none.

    >>> read_box("10,12,30,40,5").box, read_box("10,12,30,40,5").slice
    ((10.0, 12.0, 30.0, 40.0), 5)
    """
    structure, numbers = _numbers(text, "--box", (4, 5), "x0,y0,x1,y1[,slice]")
    x0, y0, x1, y1 = numbers[:4]
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return Drawn(f"--box {text}", box, int(numbers[4]) if len(numbers) == 5 else None, structure=structure)


def read_point(text: str) -> Drawn:
    """Read "[NAME=]x,y,z[,inside]".

    Raises:
        UsageError: it is none.
    """
    structure, numbers = _numbers(text, "--point", (3, 4), "x,y,z[,inside]")
    if len(numbers) == 4 and numbers[3] not in (0, 1):
        raise UsageError(f"--point {text}: the fourth number says whether the point is inside: 1, or 0.")
    x, y, z = numbers[:3]
    return Drawn(f"--point {text}", point=(x, y, z), inside=numbers[3:] != [0.0], structure=structure)


def _numbers(text: str, option: str, counts: Sequence[int], form: str) -> tuple[str, list[float]]:
    structure, _, rest = text.rpartition("=")
    try:
        numbers = [float(part) for part in rest.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or not np.isfinite(numbers).all():
        raise UsageError(f"{option} {text}: needed is [NAME=]{form}, in voxels of the scan's file, from 0.")
    return structure.strip(), numbers


def _picked(ours: Sequence[str], theirs: Sequence[str], where: str) -> list[int]:
    """Return the places of their channels among ours."""
    if len(ours) == len(theirs) == 1:
        return [0]
    for name in theirs:
        if name not in ours:
            raise UsageError(f"{where}: needs a channel '{name}', which the scan does not have. {suggest(name, ours)}")
    return [list(ours).index(name) for name in theirs]


def _with_channels(scan: Volume, picked: Sequence[int]) -> Volume:
    if scan.apart:
        each = tuple(scan.apart[place] for place in picked)
        return replace(each[0], apart=each) if len(each) > 1 else each[0]
    return scan.with_array(scan.array[list(picked)])


def _numbered(label_map: np.ndarray, joined: Joined) -> np.ndarray:
    """Return a label map in which bit k says whether structure k is there, since regions overlap."""
    found = np.zeros(label_map.shape, np.uint8 if len(joined) <= 8 else np.int64)
    for place, numbers in enumerate(joined):
        found[np.isin(label_map, numbers)] |= 1 << place
    return found


def _mask_of(path: Path, id: str) -> Path:
    if not path.is_dir():
        return path
    found = [one for one in sorted(path.iterdir()) if any_format.is_scan(one) and any_format.stem(one) == id]
    if not found:
        raise DataError(f"{id}: {path} has no mask of that name. Add {id}.nii.gz, or leave the scan out.")
    return found[0]


def _refuse_other_grid(mask: Volume, grid: Grid, path: Path) -> None:
    if not mask.grid.matches(grid):
        raise DataError(
            f"{path}: lies on another grid than the scan: {mask.grid.describe()} against {grid.describe()}. Resample "
            "it onto the scan."
        )
