"""Prepared cases on disk, in chunks, so that a patch is read without its case.

One folder a case: `image.b2nd` (float32), `target.b2nd` (uint8, of soft labels float16), `foreground.npy` (voxels to
centre patches on) and `case.json`, which is written last: a case without it is not there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.errors import DataError, ResourceError
from neuraxis.files import read_json, sync
from neuraxis.preparation.prepared import Prepared, WayBack

FOREGROUND_VOXELS = 4096
_CHUNK, _BLOCK = 64, 16


class Store:
    """The prepared cases of one dataset."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._open: dict[str, _Case] = {}

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all cases that are whole, sorted."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(path.parent.name for path in self.folder.glob("*/case.json")))

    def holds(self, id: str, key: str) -> bool:
        """Tell whether a case is there as a whole and was prepared from the same files by the same recipe."""
        manifest = self.folder / id / "case.json"
        try:
            content = read_json(manifest)
            same = bool(content.get("key") == key)
            sizes = content.get("sizes", {})
            return same and all((manifest.parent / name).stat().st_size == size for name, size in sizes.items())
        except (DataError, OSError):
            return False

    def put(self, id: str, prepared: Prepared, key: str = "") -> None:
        """Write a case; it is there as a whole or not at all.

        It does not wait for the disk, `settle` does: where power fails before, `holds` sees from the sizes that a case
        is not whole.

        Raises:
            ResourceError: it cannot be written.
        """
        if prepared.target is None:
            raise ValueError(f"{id}: a case for training needs its target.")
        part, final = self.folder / f".part-{id}", self.folder / id
        shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
        try:
            part.mkdir(parents=True)
            self._write(part, id, prepared)
            sizes = {path.name: path.stat().st_size for path in sorted(part.iterdir())}
            content = {"id": id, "key": key, "sizes": sizes, "way_back": prepared.way_back.to_dict()}
            (part / "case.json").write_text(json.dumps(content), "utf-8")
            if final.exists():
                shutil.rmtree(final)
            part.rename(final)
        except (OSError, RuntimeError) as error:  # Blosc raises RuntimeError where the disk is full
            free = shutil.disk_usage(self.folder).free / 1e9 if self.folder.exists() else 0.0
            raise ResourceError(
                f"{id}: could not be written into {self.folder} ({error}); {free:.1f} GB are free there. Make room, or "
                "name another place with --into."
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self._open.pop(id, None)

    def settle(self, ids: Collection[str]) -> None:
        """Wait until these cases are on disk."""
        for folder in (self.folder / id for id in ids):
            for path in (*folder.iterdir(), folder):
                sync(path)
        if ids:
            sync(self.folder)

    def open_library(self) -> None:
        """Import what writing needs, so that workers that are copies of this process find it imported."""
        import blosc2  # noqa: F401
        import numpy.random  # noqa: F401

    def _write(self, part: Path, id: str, prepared: Prepared) -> None:
        import blosc2

        one = {"nthreads": 1}  # Blosc's own threads stop a worker for ever where the process that was copied had some
        for name, array in (("image", prepared.image), ("target", np.asarray(prepared.target))):
            blosc2.asarray(
                np.ascontiguousarray(array),
                urlpath=str(part / f"{name}.b2nd"),
                chunks=(1, *(min(_CHUNK, size) for size in array.shape[1:])),
                blocks=(1, *(min(_BLOCK, size) for size in array.shape[1:])),
                cparams={"codec": blosc2.Codec.LZ4, "clevel": 1, **one},
                dparams=one,
            )
        np.save(part / "foreground.npy", _foreground(id, np.asarray(prepared.target)), allow_pickle=False)

    def keep_only(self, ids: Collection[str]) -> None:
        """Remove the cases of other ids, and what killed processes left half-written."""
        for part in self.folder.glob(".part-*"):
            shutil.rmtree(part)
        for id in self.ids():
            if id not in ids:
                shutil.rmtree(self.folder / id)
                self._open.pop(id, None)

    def shape(self, id: str) -> tuple[int, int, int]:
        """Return the size (X, Y, Z) of a prepared case."""
        return self.way_back(id).shape

    def way_back(self, id: str) -> WayBack:
        """Return how a case was cut and resampled."""
        return self._case(id).way_back

    def foreground(self, id: str) -> np.ndarray:
        """Return up to 4096 labelled voxels for each class, rows of (output, x, y, z), int32, ordered by output.

        Of soft labels they are those of which a class has more than half, else those of its largest share.
        """
        return self._case(id).foreground

    def read(self, id: str, box: tuple[slice, slice, slice] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return image (C, ...) and target (T, ...) of a box, or of the whole case."""
        case, where = self._case(id), (slice(None), *(box or (slice(None),) * 3))
        return np.asarray(case.image[where]), np.asarray(case.target[where])

    def _case(self, id: str) -> _Case:
        if id not in self._open:
            self._open[id] = _Case(self.folder / id)
        return self._open[id]


class _Case:
    def __init__(self, folder: Path) -> None:
        if not (folder / "case.json").is_file():
            raise DataError(f"{folder}: is not a prepared case. Prepare the dataset again.")
        self._folder = folder

    @cached_property
    def way_back(self) -> WayBack:
        return WayBack.from_dict(read_json(self._folder / "case.json")["way_back"])

    @cached_property
    def foreground(self) -> np.ndarray:
        return np.asarray(np.load(self._folder / "foreground.npy", allow_pickle=False))

    @cached_property
    def image(self) -> Any:
        return self._array("image")

    @cached_property
    def target(self) -> Any:
        return self._array("target")

    def _array(self, name: str) -> Any:
        import blosc2

        return blosc2.open(str(self._folder / f"{name}.b2nd"), mode="r", dparams={"nthreads": 1})


def _foreground(id: str, target: np.ndarray) -> np.ndarray:
    """Draw voxels of each class by a generator keyed with the id, so that the same case gives the same voxels."""
    key = int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "little")
    generator = np.random.Generator(np.random.Philox(key=key))
    rows = []
    for output, mask in _masks(target):
        flat = np.flatnonzero(mask)
        if flat.size > FOREGROUND_VOXELS:
            flat = np.sort(generator.choice(flat, FOREGROUND_VOXELS, replace=False))
        places = np.stack(np.unravel_index(flat, mask.shape), axis=1)
        rows.append(np.column_stack([np.full(len(places), output), places]))
    return np.concatenate(rows).astype(np.int32) if rows else np.zeros((0, 4), np.int32)


def _masks(target: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield where each class of a target is."""
    if target.dtype.kind == "f":
        for output, share in enumerate(target):
            highest = float(share.max(initial=0))
            yield output, (share > 0.5 if highest > 0.5 else (share == highest) & (share > 0))
    elif target.shape[0] > 1:
        for output, region in enumerate(target):
            yield output, region == 1
    else:
        for output in range(1, int(target[target < 255].max(initial=0)) + 1):
            yield output, target[0] == output
