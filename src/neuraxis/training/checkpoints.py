"""Checkpoints that are whole or not there, and that hold no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import CheckpointIO

from neuraxis.errors import DataError
from neuraxis.files import atomic_path


class AtomicCheckpointIO(CheckpointIO):
    """Writes to a temporary file, syncs it to disk and renames it; reads tensors and plain numbers alone."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint; a kill at any moment leaves the old one or the new one."""
        with atomic_path(Path(path)) as part:
            torch.save(checkpoint, part)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint; it is never unpickled.

        Raises:
            DataError: it cannot be read.
        """
        try:
            content = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except Exception as error:
            raise DataError(
                f"{path}: the checkpoint cannot be read ({type(error).__name__}). Remove it to train from the start."
            ) from error
        return dict(content)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)
