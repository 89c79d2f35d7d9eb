"""The fixtures' models, imported once."""

from __future__ import annotations

from pathlib import Path

import pytest

import neuraxis as nx
from neuraxis.bundle.bundle import ModelBundle

FIXTURES = Path(__file__).parent / "fixtures"
HEAD = ("head", "nnUNetTrainer__nnUNetPlans__3d_fullres")
HEAD_2D = ("head", "nnUNetTrainer__nnUNetPlans__2d")
SPINE = ("spine", "nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres")


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], ModelBundle]:
    """Bundles by (dataset, model)."""
    folder = tmp_path_factory.mktemp("imported")
    return {
        (name, model): nx.import_bundle(FIXTURES / name / model, folder / f"{name}-{model}.nxb")
        for name, model in (HEAD, HEAD_2D, SPINE)
    }
