"""Project 5, on tumours of phantoms: three stages on four channels, and the published network of two."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

COARSE = (
    "preparation.spacing_mm=[4.0,4.0,4.0]",
    "patches.shape=[32,32,32]",
    "patches.batch=2",
    "network.options.features=[8,16,32,64]",
    "network.options.strides=[[1,1,1],[2,2,2],[2,2,2],[2,2,2]]",
    "network.options.kernels=[[3,3,3],[3,3,3],[3,3,3],[3,3,3]]",
    "training.learning_rate=3e-3",
    "training.ema_decay=0.9",
    "training.validations=3",
    "splits.folds=2",
    "previews.every=0",
)
MAKE = "dataset make brain-tumour --into data --cases 4 --sites 2 --size small"


def write_list(name: str, *channels: str) -> None:
    """Write a list of cases with two of the four channels."""
    cases = sorted(path.name for path in Path("data").iterdir() if path.is_dir())
    ends = [f"_{channel.lower()}.nii.gz" for channel in channels] + ["_seg.nii.gz"]
    with Path(name).open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines)
        table.writerow(["case", *channels, "label"])
        table.writerows([case, *(f"data/{case}/{case}{end}" for end in ends)] for case in cases)


@pytest.mark.long
def test_four_channels_are_learned_in_stages_and_weighed_against_scratch(neuraxis, mean_of) -> None:
    neuraxis(MAKE)
    neuraxis("fit data --recipe brats-transfer --into run", *COARSE, "training.steps=220", "patches.foreground=0.6")
    assert mean_of(Path("run/scores.csv")) > 0.2
    with Path("run/curves.csv").open(encoding="utf-8") as lines:
        assert {float(row["stage"]) for row in csv.DictReader(lines)} == {1, 2, 3}

    line = "transfer data --from run/model.nxb --recipe brats-transfer --variant scratch --into worth --steps 4"
    neuraxis(f"{line} --shares 50,100", *COARSE)
    assert Path("worth/report.html").is_file()


@pytest.mark.long
def test_the_published_network_of_two_channels_begins_the_second_with_the_first(neuraxis) -> None:
    neuraxis(MAKE)
    write_list("first.csv", "FLAIR", "T1ce")
    write_list("second.csv", "T2", "T1")
    small = ("network.options.features=[8,16,32,64,128]", "splits.folds=2", "training.steps=40", "previews.every=0")
    neuraxis("fit first.csv --recipe brats-transfer --variant published --into one", *small)
    neuraxis("fit second.csv --recipe brats-transfer:published-second --from one/model.nxb --into two", *small)
    with Path("two/transfer.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert not [row for row in rows if "fresh" in row.values()]
