"""`neuraxis inspect` of 500 scans of 64 x 64 x 64 voxels, whole process: seconds, peak memory, size of the page.

    python benchmarks/inspection.py [--cases 500]

The scans are smooth textures with lesions, of three sites, written once into a temporary folder. Goal: at most 60 s on
two cores, a page below 30 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from _measure import machine, peak_tree_gb, run_tree, threads_env
from scipy import ndimage

from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SIDE, SITES = 64, ("alder", "birch", "cedar")


def write_dataset(folder: Path, cases: int) -> None:
    grid = Grid((SIDE,) * 3, np.diag([1.0, 1.0, 1.5, 1.0]))
    for number in range(cases):
        draws = np.random.default_rng(number)
        smooth = ndimage.gaussian_filter(draws.normal(size=(SIDE,) * 3).astype(np.float32), 3)
        noise = draws.normal(0, 20, smooth.shape)
        image = (600 + 150 * (number % 3) + 150 * smooth / smooth.std() + noise).clip(0).astype(np.int16)
        label = (smooth > np.quantile(smooth, draws.uniform(0.985, 0.999))).astype(np.uint8)
        id = f"case_{number:05}"
        for name, array in ((f"imagesTr/{id}_0000.nii.gz", image), (f"labelsTr/{id}.nii.gz", label)):
            nifti.write(folder / name, Volume(array[None], grid))
    site = {f"case_{number:05}": SITES[number % 3] for number in range(cases)}
    content = {"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "lesion": 1}, "numTraining": cases,
               "file_ending": ".nii.gz", "site": site}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(content))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    cases = parser.parse_args().cases
    print(machine(2))
    with tempfile.TemporaryDirectory() as place:
        data, page = Path(place) / "data", Path(place) / "inspection.html"
        write_dataset(data, cases)
        command = [Path(sys.executable).with_name("neuraxis"), "inspect", data, "--into", page, "--quiet"]
        first = run_tree(command, threads_env(1))
        size = page.stat().st_size / 2**20
        again = run_tree([*command, "--overwrite"], threads_env(1))
        page.with_suffix(".jsonl").unlink()
        peak = peak_tree_gb([*command, "--overwrite"], threads_env(1))
    print(f"{cases} scans of {SIDE}x{SIDE}x{SIDE}: {first.wall_s:.1f} s wall, {first.cpu_s:.1f} s CPU; "
          f"once more with what is known {again.wall_s:.1f} s; peak {peak:.2f} GiB; page {size:.1f} MiB")  # fmt: skip


if __name__ == "__main__":
    main()
