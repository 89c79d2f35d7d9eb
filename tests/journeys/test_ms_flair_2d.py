"""Project 3, from pictures to a report, with the recipe's small network."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

SMALL = (
    "patches.shape=[96,112,1]",
    "network.options.features=[8,16,32,64,128]",
    "network.options.kernels=[[9,9,1],[7,7,1],[5,5,1],[3,3,1],[3,3,1]]",
    "network.options.strides=[[1,1,1],[2,2,1],[2,2,1],[2,2,1],[2,2,1]]",
)
MAKE = "dataset make ms-flair-2d --into data --size small"


def pooled_dice(table: Path) -> float:
    """Return the Dice of all pictures' pixels together, as published: some pictures have no lesion."""
    with table.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    both = sum(float(row["volume_ml_reference"]) + float(row["volume_ml_predicted"]) for row in rows)
    return 2 * sum(float(row["recall"] or 0) * float(row["volume_ml_reference"]) for row in rows) / both


@pytest.mark.long
def test_pictures_become_a_model_that_segments_pictures_it_never_saw(neuraxis) -> None:
    neuraxis(f"{MAKE} --cases 20 --sites 2")
    neuraxis("fit data --recipe ms-flair-2d --variant small --into run --preview data/test/images")
    for name in ("curves.csv", "curves.png", "scores.csv", "report.html", "model.nxb"):
        assert (Path("run") / name).stat().st_size > 0
    assert list(Path("run/previews").glob("sub-005_slice-2*"))

    neuraxis("segment data/test/images --model run/model.nxb --into found")
    neuraxis("evaluate found data/test --into scores --recipe ms-flair-2d")
    assert pooled_dice(Path("scores/scores.csv")) > 0.3


@pytest.mark.long
@pytest.mark.parametrize(("variant", "steps"), [("small", 250), ("published", 650)])
def test_one_picture_is_learned_by_heart(neuraxis, mean_of, variant: str, steps: int) -> None:
    neuraxis(f"{MAKE} --cases 5 --sites 1")
    for path in sorted(Path("data/train").rglob("*.*")):
        if path.stem != "sub-001_slice-2":
            path.unlink()
    neuraxis(
        f"fit data --recipe ms-flair-2d --variant {variant} --into run",
        *SMALL,
        "augmentation.preset=none",
        "training.learning_rate=3e-3",
        f"training.steps={steps}",
        "training.stop_patience=0",
        "training.plateau_patience=15",
        "training.validations=20",
        "previews.every=0",
    )
    neuraxis("segment data/train/images --model run/model.nxb --into found")
    neuraxis("evaluate found data/train/masks --into scores --recipe ms-flair-2d")
    assert mean_of(Path("scores/scores.csv")) >= 0.9
