"""MONAI itself accepts the exported bundles, runs them, and finds what `neuraxis segment` finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import neuraxis as nx
from neuraxis.bundle.exports.monai import export_monai
from neuraxis.dataset.labels import Labels

# what MONAI's own schema demands, from the place that the file names: MONAI takes a file that is there for the one at
# the URL in the metadata, and so needs no network
SCHEMA = Path(__file__).parent / "fixtures" / "meta_schema_20240725.json"
SCANS = ("sub-01", "sub-02")
TINY = {"features": [3, 4], "kernels": [[1, 1, 1]] * 2, "strides": [[1, 1, 1]] * 2}
FLAT = {"features": [3, 4], "kernels": [[3, 3, 1]] * 2, "strides": [[1, 1, 1], [2, 2, 1]], "flat_axis": 2}
REGIONS = Labels(names={"oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(2, 1))
STATISTICS = {"CT": {"low": 10, "high": 1500, "mean": 700, "std": 300}}
# one that sees a scan in a single window, of thick slices that are resampled apart
THICK = {"preparation": {"crop": "nonzero", "normalisation": {"T2": "zscore_nonzero"}, "thick_ratio": 2}}
MODELS: dict[str, dict[str, Any]] = {
    "thick": {**THICK, "summary": "$1 / 0", "citation": "@nowhere", "licence": "%nowhere"},
    # many windows, of a network that looks at single voxels and so does not mind where they lie
    "regions": {
        "labels": REGIONS,
        "channels": ("CT", "T1"),
        "folds": 2,
        "network": {"name": "classic-unet", "options": {**TINY, "norm": "none"}},
        "preparation": {
            "spacing_mm": [1.2, 0, 1.7],
            "normalisation": {"CT": "ct", "T1": "percentile"},
            "intensity": STATISTICS,
            "image_order": 1,
        },
        "patches": {"shape": [6, 8, 5]},
    },
    # as models that were imported from nnU-Net are
    "stored": {
        "folds": 2,
        "preparation": {"orientation": "stored", "axes": [2, 1, 0], "spacing_mm": [2.0, 1.2, 1.2]},
        "patches": {"shape": [20, 16, 16]},
        "inference": {"arithmetic": "nnunet", "mirror_axes": [0, 2]},
    },
    "flat": {
        "network": {"options": FLAT},
        "patches": {"shape": [16, 16, 1]},
        "preparation": {"spacing_mm": [1.2, 1.2, 0], "normalisation": {"T2": "range"}},
    },
}
REST = """
import sys
from monai.bundle import run, verify_metadata

metadata, broken, schema, *folders = sys.argv[1:]
verify_metadata(meta_file=metadata, filepath=schema)
print("verified")
try:
    verify_metadata(meta_file=broken, filepath=schema)
except ValueError as error:
    print(error)
for folder in folders:
    run(bundle_root=folder, meta_file=f"{folder}/configs/metadata.json", config_file=f"{folder}/configs/inference.json")
"""


@dataclass(frozen=True)
class Runs:
    """What MONAI made of the exported bundles, each with its scans in it, and what it said."""

    folder: Path
    first: subprocess.CompletedProcess[str]
    rest: subprocess.CompletedProcess[str]

    def pairs(self, name: str) -> list[tuple[nib.Nifti1Image, nib.Nifti1Image]]:
        """Return for each scan what MONAI wrote, and what neuraxis writes."""
        bundle = nx.open_bundle(self.folder / f"{name}.nxb")
        found = []
        for path in sorted((self.folder / name / "segmentations").glob("*.nii.gz")):
            case = path.name.removesuffix("_seg.nii.gz")
            files = [self.folder / name / "scans" / f"{case}.nii.gz"]
            if len(bundle.channels) > 1:
                files = [Path(str(files[0]).replace("_0000", f"_{place:04}")) for place in range(len(bundle.channels))]
            scan = dict(zip(bundle.channels, files, strict=True))
            ours = nx.segment(scan, bundle, precision="fp32").save(self.folder / f"{name}-{case}.nii.gz")
            found.append((nib.load(path), nib.load(ours)))
        return found


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, *map(str, arguments)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=alone)


def end(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, write_model: Callable[..., Path], write_scan: Callable[..., Path]
) -> Runs:
    """MONAI's own command runs the first model; its functions do all else in one process, as MONAI starts slowly."""
    folder = tmp_path_factory.mktemp("monai")
    for name, wanted in MODELS.items():
        bundle = nx.open_bundle(write_model(folder / f"{name}.nxb", **wanted), folder / "cache")
        export_monai(bundle, folder / name)
        several = len(bundle.channels) > 1
        for seed, scan in enumerate(SCANS):
            for channel in range(len(bundle.channels)):
                file = f"{scan}_{channel:04}.nii.gz" if several else f"{scan}.nii.gz"
                write_scan(folder / name / "scans" / file, seed=seed + 10 * channel)
    shutil.copy(SCHEMA, folder / "schema.json")
    first, *others = MODELS
    metadata = folder / first / "configs" / "metadata.json"
    broken = {key: value for key, value in json.loads(metadata.read_text()).items() if key != "network_data_format"}
    (folder / "broken.json").write_text(json.dumps(broken))
    shutil.copytree(folder / first / "scans", folder / "elsewhere")
    shutil.rmtree(folder / first / "scans")
    places = ("--dataset_dir", folder / "elsewhere", "--output_dir", folder / first / "segmentations")
    configured = ("--meta_file", metadata, "--config_file", folder / first / "configs" / "inference.json")
    checked = (metadata, folder / "broken.json", folder / "schema.json")
    running = [
        start("-m", "monai.bundle", "run", "--bundle_root", folder / first, *configured, *places),
        start("-c", REST, *checked, *(folder / name for name in others)),
    ]
    ran, rest = map(end, running)
    (folder / first / "scans").mkdir()
    for file in (folder / "elsewhere").iterdir():
        shutil.copy(file, folder / first / "scans" / file.name)
    return Runs(folder, ran, rest)


def test_monai_verifies_the_metadata_and_refuses_what_lacks_a_key(runs: Runs) -> None:
    assert "verified\n" in runs.rest.stdout, runs.rest.stderr[-2000:]
    assert "'network_data_format' is a required property" in runs.rest.stdout


def test_monai_runs_them(runs: Runs) -> None:
    assert runs.first.returncode == 0, runs.first.stderr[-2000:]
    assert runs.rest.returncode == 0, runs.rest.stderr[-2000:]


@pytest.mark.parametrize("name", MODELS)
def test_monai_finds_what_neuraxis_finds_on_the_scans_own_grid(name: str, runs: Runs) -> None:
    pairs = runs.pairs(name)
    assert len(pairs) == len(SCANS)
    for theirs, ours in pairs:
        found, expected = (np.asarray(image.dataobj) for image in (theirs, ours))
        numbers = [number for number in np.unique(expected) if number]
        assert len(numbers) == 2
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(theirs.affine, ours.affine, atol=1e-5)
        for number in numbers:
            both = np.count_nonzero((found == number) & (expected == number))
            dice = 2 * both / (np.count_nonzero(found == number) + np.count_nonzero(expected == number))
            assert dice > 0.99, f"{number}: {dice}"


def test_the_network_runs_without_neuraxis_and_takes_its_state(runs: Runs, tmp_path: Path) -> None:
    place = runs.folder / "thick" / "models"
    script = (
        "import sys, torch\n"
        "sys.modules['neuraxis'] = None\n"
        f"network = torch.jit.load({str(place / 'model.ts')!r})\n"
        f"state = torch.load({str(place / 'model.pt')!r}, weights_only=True)\n"
        "assert type(state) is dict\n"
        "network.load_state_dict(state)\n"
        "print(tuple(network(torch.zeros(2, 1, 16, 16, 20)).shape))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.stdout.strip() == "(2, 3, 16, 16, 20)", done.stderr
