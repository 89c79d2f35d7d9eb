"""What `resampling.py` measures of one library, in a process of its own: seconds, memory and the result.

Run: python _resample_work.py LIBRARY WORK REPEATS RESULT.npy, by an interpreter that has the library. Prints JSON: CPU
and wall seconds (the fastest of the repeats) and how far memory grew beyond the input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CUBIC = ((240, 240, 155), (225, 225, 186))
THICK = ((320, 320, 28), (280, 280, 46))  # slices of 5 mm to 3 mm, within the slice 0.7 to 0.8 mm
THICK_MM = ((0.7, 0.7, 5.0), (0.8, 0.8, 3.0))
LOGITS = ((160, 160, 160), (192, 192, 192))
CLASSES = 20
WORKS = ("cubic", "thick", "labels", "logits")
Work = Callable[[], np.ndarray]


def image(shape: tuple[int, int, int]) -> np.ndarray:
    """Return a smooth head with noise, float32 (1, X, Y, Z)."""
    axes = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    distance = np.sqrt(sum(axis**2 for axis in axes))
    noise = np.random.default_rng(0).normal(0, 20, shape)
    return (500 * np.cos(6 * distance) * (distance < 0.9) + noise).astype(np.float32)[None]


def labels(shape: tuple[int, int, int]) -> np.ndarray:
    """Return shells 0 to 3, uint8 (X, Y, Z)."""
    axes = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    distance = np.sqrt(sum(axis**2 for axis in axes))
    return np.where(distance < 0.8, (distance * 12).astype(np.uint8) % 4, 0).astype(np.uint8)


def logits() -> np.ndarray:
    """Return logits (20, X, Y, Z), float32, that follow smooth structures."""
    shape = LOGITS[0]
    x, y, z = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    values = np.empty((CLASSES, *shape), np.float32)
    for number in range(CLASSES):
        angle = 2 * np.pi * number / CLASSES
        values[number] = 8 * np.cos(3 * (x * np.cos(angle) + y * np.sin(angle)) + 2 * z * (number % 3 - 1))
    return values


def ours(work: str) -> Work:
    from neuraxis.dataset.labels import Labels
    from neuraxis.preparation.prepared import WayBack
    from neuraxis.preparation.steps import restore
    from neuraxis.volume.grid import Grid
    from neuraxis.volume.resample import resample_image, resample_labels

    if work == "logits":
        names = Labels(names={"background": 0, **{f"l{number}": number for number in range(1, CLASSES)}})
        way = WayBack(Grid(LOGITS[1], np.eye(4)), (0, 0, 0), LOGITS[1], LOGITS[0])
        values = logits()
        return lambda: restore([values], way, names).segmentation
    if work == "labels":
        shells = labels(CUBIC[0])
        return lambda: resample_labels(shells, CUBIC[1], 1)
    (old, new), orders = (THICK, (3, 3, 0)) if work == "thick" else (CUBIC, (3, 3, 3))
    scan = image(old)
    return lambda: resample_image(scan, new, orders)[0]


def nnunet(work: str) -> Work:
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape as resample

    even = ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    if work == "logits":
        values = logits()
        return lambda: resample(values, LOGITS[1], *even, order=1, force_separate_z=None).argmax(0).astype(np.uint8)
    if work == "labels":
        shells = labels(CUBIC[0])[None]
        return lambda: resample(shells, CUBIC[1], *even, is_seg=True, order=1, force_separate_z=None)[0]
    (old, new), spacing = (THICK, THICK_MM) if work == "thick" else (CUBIC, even)
    scan = image(old)
    return lambda: resample(scan, new, *spacing, order=3, force_separate_z=None)[0]


def scipy(work: str) -> Work | None:
    from scipy import ndimage

    if work != "cubic":
        return None
    scan, factors = image(CUBIC[0])[0], np.array(CUBIC[1]) / np.array(CUBIC[0])
    return lambda: ndimage.zoom(scan, factors, order=3, mode="nearest", grid_mode=True)


def simpleitk(work: str) -> Work | None:
    import SimpleITK

    if work not in ("cubic", "labels"):
        return None
    scan = SimpleITK.GetImageFromArray(image(CUBIC[0])[0] if work == "cubic" else labels(CUBIC[0]))
    how = SimpleITK.sitkBSpline if work == "cubic" else SimpleITK.sitkLabelLinear
    old, new = np.array(scan.GetSize(), float), CUBIC[1][::-1]
    spacing = old / new
    start = (spacing - 1) / 2
    return lambda: SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(
            scan, new, SimpleITK.Transform(), how, start.tolist(), spacing.tolist(), np.eye(3).ravel().tolist()
        )
    )


LIBRARIES = {"neuraxis": ours, "nnU-Net": nnunet, "scipy": scipy, "SimpleITK": simpleitk}


def memory_gb(name: str) -> float:
    """Return VmRSS (now) or VmHWM (the peak) of this process, in GiB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 2**20 for line in lines if line.startswith(name + ":")), 0.0)


def main() -> None:
    library, name, repeats, into = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    work = LIBRARIES[library](name)
    if work is None:
        print(json.dumps(None))
        return
    before = memory_gb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", "utf-8")  # the peak begins anew
    costs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        costs.append((time.process_time() - cpu, time.perf_counter() - wall))
    grown = memory_gb("VmHWM") - before
    np.save(into, np.asarray(result))
    print(json.dumps({"cpu_s": min(cpu for cpu, _ in costs), "wall_s": min(wall for _, wall in costs), "gb": grown}))


if __name__ == "__main__":
    main()
