"""How a dataset is damaged, and what the checks find in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.dataset.checks.check import check_dataset
from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.recognise import open_dataset

Alter = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def found() -> Callable[[Dataset], list[tuple[str, str, str]]]:
    """found(dataset) -> case, severity and code of every finding, each with a message, an advice and one line."""

    def check(dataset: Dataset) -> list[tuple[str, str, str]]:
        findings = check_dataset(dataset)
        for finding in findings:
            assert finding.message
            assert not finding.message.endswith(".")
            assert finding.advice.endswith((".", ")"))
            assert "\n" not in str(finding)
        return [(finding.case, finding.severity, finding.code) for finding in findings]

    return check


@pytest.fixture
def only() -> Callable[[Path], Finding]:
    """only(folder) -> the one finding in it."""

    def check(folder: Path) -> Finding:
        findings = check_dataset(open_dataset(folder))
        assert len(findings) == 1, [str(finding) for finding in findings]
        return findings[0]

    return check


@pytest.fixture
def change() -> Callable[..., None]:
    """change(path, alter, affine) writes a scan anew, with its array altered."""

    def rewrite(path: Path, alter: Alter, affine: np.ndarray | None = None) -> None:
        image = nib.load(path)
        array = alter(np.asarray(image.dataobj))
        nib.save(nib.Nifti1Image(array, image.affine if affine is None else affine), path)

    return rewrite


@pytest.fixture
def put() -> Callable[..., Alter]:
    """put(value, dtype, count) -> what puts a value into the last voxels."""

    def make(value: float, dtype: str, count: int = 1) -> Alter:
        def alter(array: np.ndarray) -> np.ndarray:
            array = array.astype(dtype)
            array.flat[-count:] = value
            return array

        return alter

    return make
