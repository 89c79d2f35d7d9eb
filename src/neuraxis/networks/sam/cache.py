"""Embeddings of slices, kept on disk within a bounded size: those not asked for longest go first."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from neuraxis.files import atomic_path

ENDING = ".safetensors"
Embedding = tuple[torch.Tensor, ...]


class EmbeddingCache:
    """A folder of embeddings, one file each, named by the hash of what was embedded.

    Several processes may share it. A number is kept in half precision; `rounded` makes that of one that was just
    computed, so that it is the same whether an embedding was kept or not.

    Args:
        folder: it is made where it is not there.
        most_bytes: that the files may take together; an embedding larger than that is not kept.
        about: what else the embeddings depend on, such as the encoder's weights.
    """

    def __init__(self, folder: Path, most_bytes: int, about: str) -> None:
        self.folder, self.most_bytes, self._about = folder, most_bytes, about.encode()
        folder.mkdir(parents=True, exist_ok=True)
        kept = sorted(folder.glob(f"*{ENDING}"), key=lambda path: path.stat().st_mtime_ns)
        self._sizes = {path: path.stat().st_size for path in kept}
        self.found = self.computed = 0
        self._make_room(0)

    @property
    def size(self) -> int:
        """Bytes that this process knows to be kept."""
        return sum(self._sizes.values())

    def get(self, pixels: torch.Tensor, compute: Callable[[], Embedding]) -> Embedding:
        """Return the embedding of an image (3, S, S), from the folder or computed; half precision, on the processor."""
        path = self.folder / f"{self._key(pixels)}{ENDING}"
        kept = self._read(path)
        if kept is not None:
            self.found += 1
            return kept
        self.computed += 1
        embedding = rounded(compute())
        self._keep(path, embedding)
        return embedding

    def _key(self, pixels: torch.Tensor) -> str:
        content = pixels.detach().float().cpu().contiguous().numpy()
        return hashlib.sha256(self._about + str(content.shape).encode() + content.tobytes()).hexdigest()

    def _read(self, path: Path) -> Embedding | None:
        try:
            content = load_file(path)
        except (OSError, SafetensorError):
            self._sizes.pop(path, None)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        self._sizes[path] = self._sizes.pop(path, 0) or path.stat().st_size
        return tuple(content[str(number)] for number in range(len(content)))

    def _keep(self, path: Path, embedding: Sequence[torch.Tensor]) -> None:
        size = sum(tensor.nbytes for tensor in embedding) + 256 * len(embedding)
        if size > self.most_bytes:
            return
        self._make_room(size)
        with atomic_path(path) as part:
            save_file({str(number): tensor for number, tensor in enumerate(embedding)}, part)
        self._sizes[path] = path.stat().st_size

    def _make_room(self, size: int) -> None:
        """Delete what was not asked for longest until `size` more bytes fit."""
        total = self.size
        while self._sizes and total + size > self.most_bytes:
            oldest = next(iter(self._sizes))
            total -= self._sizes.pop(oldest)
            oldest.unlink(missing_ok=True)


def rounded(embedding: Sequence[torch.Tensor]) -> Embedding:
    """Return an embedding in half precision on the processor, as it is kept."""
    return tuple(tensor.detach().half().cpu().contiguous() for tensor in embedding)
