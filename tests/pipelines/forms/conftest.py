"""A BIDS dataset, and the validator of the BIDS community on what is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

NAMES = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-01/anat/sub-01_acq-iso_run-2_FLAIR.nii.gz",
    "sub-02/ses-a/func/sub-02_ses-a_task-motor_dir-AP_bold.nii.gz",
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Three scans of two patients, with values from 0 to 10."""
    root = tmp_path / "raw"
    for seed, name in enumerate(NAMES):
        values = np.random.default_rng(seed).integers(0, 11, (13, 9, 11)) + 0.25
        image = nib.Nifti1Image(values.astype(np.float32), np.diag([-1.0, 1.0, 1.0, 1.0]))
        image.header.set_xyzt_units("mm", "sec")
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, root / name)
    description = {"Name": "raw", "BIDSVersion": "1.10.0", "License": "CC0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return root


@pytest.fixture
def bids_errors() -> Callable[[Path], list[str]]:
    """bids_errors(folder) -> what bids-validator-deno finds, in words; it needs no network."""
    validator = Path(sys.executable).parent / "bids-validator-deno"

    def find(folder: Path) -> list[str]:
        assert not (folder / ".bidsignore").exists()
        no_network = {**os.environ, "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        done = subprocess.run(
            [validator, folder, "--json"], capture_output=True, text=True, timeout=120, env=no_network
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        return [
            f"{issue['code']} {issue['location']} {issue.get('issueMessage', '')}"
            for issue in issues
            if issue["severity"] == "error"
        ]

    return find
