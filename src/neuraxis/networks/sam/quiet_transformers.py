"""transformers without progress bars, advice and code from afar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def load_from(kind: Any, folder: Path) -> nn.Module:
    """Load a model of a class of transformers from a folder's safetensors, in float32.

    Raises:
        ValueError: weights are missing.
    """
    model, told = kind.from_pretrained(
        folder,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        dtype="float32",
        output_loading_info=True,
    )
    if missing := sorted(told["missing_keys"]):
        raise ValueError(f"{len(missing)} weights are missing, the first is {missing[0]}")
    found: nn.Module = model
    return found
