"""Reading and writing .nii.gz of 256 x 256 x 256 int16: neuraxis beside nibabel, on images as they are and on noise.

Run: python benchmarks/nifti_io.py [--scan FILE]. Everybody computes on one thread with its default compression; runs
are interleaved and go through the disk's cache. Ours checks the checksum, writes under a temporary name and waits for
the disk; nibabel does neither. Goals (DESIGN): read within 80 ms, write within 90 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _measure import Cost, interleave, machine, median, table, versions

from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SIDE = 256
GOALS_MS = {"read": 80, "write": 90}


def head() -> np.ndarray:
    """Return a head in noisy air: smooth tissues with edges, intensities of 12 bits, noise of a good MR scan."""
    generator = np.random.Generator(np.random.Philox(7))
    x, y, z = np.ogrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    radius = np.sqrt((x / 0.72) ** 2 + (y / 0.9) ** 2 + (z / 0.8) ** 2)
    folds = radius + 0.03 * np.sin(22 * x) * np.sin(19 * y) * np.sin(25 * z)
    image = np.select([folds < 0.35, folds < 0.7, folds < 0.8, radius < 0.88, radius < 1], [620, 900, 240, 60, 1100], 0)
    image = image * (1 + 0.15 * x - 0.1 * z)
    real, imaginary = generator.normal(0, 14, (2, *image.shape))
    return np.asarray(np.hypot(image + real, imaginary).round(), np.int16)


def stripped_head() -> np.ndarray:
    """Return the same head with air set to 0, as skull-stripped and defaced scans have it."""
    image = head()
    x, y, z = np.ogrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return np.where((x / 0.72) ** 2 + (y / 0.9) ** 2 + (z / 0.8) ** 2 < 0.64, image, 0).astype(np.int16)


def noise() -> np.ndarray:
    """Return values without any pattern, of 12 bits."""
    return np.random.Generator(np.random.Philox(8)).integers(0, 4096, (SIDE,) * 3).astype(np.int16)


def on_the_clock(work: Callable[[], object]) -> Callable[[], Cost]:
    def timed() -> Cost:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return Cost(time.perf_counter() - wall, time.process_time() - cpu, 0, "")

    return timed


def measure(array: np.ndarray, folder: Path, repeats: int) -> tuple[dict[str, list[Cost]], dict[str, float]]:
    """Return the costs of each job, and the size of each program's file in MB."""
    import nibabel as nib

    ours, theirs = folder / "ours.nii.gz", folder / "theirs.nii.gz"
    volume = Volume(np.asfortranarray(array)[None], Grid(array.shape, np.eye(4)))
    image = nib.Nifti1Image(np.asfortranarray(array), np.eye(4))
    work = {
        "write neuraxis": lambda: nifti.write(ours, volume),
        "write nibabel": lambda: nib.save(image, theirs),
        "read neuraxis": lambda: nifti.read(theirs),
        "read nibabel": lambda: np.asarray(nib.load(theirs).dataobj),
    }
    for job in work.values():
        job()
    costs = interleave({name: on_the_clock(job) for name, job in work.items()}, repeats)
    return costs, {"neuraxis": ours.stat().st_size / 1e6, "nibabel": theirs.stat().st_size / 1e6}


def rows_of(content: str, costs: dict[str, list[Cost]], sizes: dict[str, float]) -> list[list[str]]:
    rows = []
    for act in ("read", "write"):
        times = {who: median([cost.wall_s for cost in costs[f"{act} {who}"]]) for who in sizes}
        for who, size in sizes.items():
            cpu = median([cost.cpu_s for cost in costs[f"{act} {who}"]])
            ratio = f"1/{times['nibabel'] / times[who]:.1f}" if who == "neuraxis" else "1"
            stored = f"{size:.1f}" if act == "write" else ""
            wall = 1000 * times[who]
            goal = GOALS_MS[act] if who == "neuraxis" else None
            said = f"{goal} ms: {'reached' if wall <= goal else 'missed'}" if goal else ""
            rows.append([f"{act} {content}, {who}", f"{wall:.0f}", f"{1000 * cpu:.0f}", stored, ratio, said])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, help="a scan to measure beside the made ones, at its own size")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each row (7)")
    wanted = parser.parse_args()
    print(versions("neuraxis", "isal", "nibabel", "numpy"))
    print(f"{machine(1)}\nmedians of {wanted.repeats} runs of each in turn\n", flush=True)
    contents = {"head in air": head, "stripped head": stripped_head, "noise": noise}
    if wanted.scan:
        contents[wanted.scan.name] = lambda: nifti.read(wanted.scan).array[0]
    rows = []
    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        for content, make in contents.items():
            rows += rows_of(content, *measure(make(), Path(name), wanted.repeats))
    print(table((f"{SIDE} x {SIDE} x {SIDE} int16", "wall ms", "CPU ms", "MB", "of nibabel's wall", "goal"), rows))


if __name__ == "__main__":
    main()
