"""SAM and SAM 2 with tiny random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from neuraxis.networks.catalog import NETWORKS, OPTIONS
from neuraxis.networks.sam.base import find_base
from neuraxis.networks.sam.promptable import Promptable


@pytest.fixture(params=["sam", "sam2"])
def base(request: pytest.FixtureRequest, sam_bases: dict[str, Path]) -> tuple[str, Path]:
    """The name of a network, and the folder of its base."""
    return request.param, sam_bases[request.param]


@pytest.fixture
def network(base: tuple[str, Path]) -> Callable[..., Promptable]:
    """Builds the network; with `begin` its base is taken and its encoder set aside, as in training."""

    def build(channels: int = 1, outputs: int = 2, begin: bool = True, **options: Any) -> Promptable:
        name, folder = base
        kind = OPTIONS.load(name)
        found = find_base(str(folder), kind.kinds)
        about = {"base": str(folder), "base_hash": found.hash, "architecture": found.architecture}
        given = kind(**{**about, **options})
        torch.manual_seed(0)
        made: Promptable = NETWORKS.load(name)(given, channels, outputs)
        if begin:
            made.begin_with_base()
        return made

    return build
