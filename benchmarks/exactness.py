"""Exactness: models that nnU-Net trained, segmented by nnU-Net and by neuraxis, compared voxel by voxel.

Run: python benchmarks/exactness.py --peer DIR [--only hippocampus-3d|hippocampus-2d|brain] [--into DIR] [--page FILE].
nnU-Net trains each model first, where that was not done before: about a quarter of an hour for each of the hippocampus,
an hour for the brain; killed, the same command goes on. Models and nnU-Net's own segmentations are kept in DIR, so
another run takes minutes. Both programs get the same files: unseen cases, for the hippocampus each as RAS, LAS, PIR and
with a tilted affine; with and without mirroring; ours in fp32 and at its default precision.
Not part of `make bench`, which would train: without a peer it says what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import _tumours
from _agreement import TURNS, Row, compare, crop_around, cropped, store
from _agreement_table import put_into_page, read_results, show
from _measure import machine, run_tree, threads_env, versions
from _model import DATA
from _peer import HOW_TO_GET, NAME, NUMBER, Peer, write_raw
from _trained import Training, prepare, train

import neuraxis as nx
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Volume

TRAINING_CASES, UNSEEN_CASES = 60, 20
MIRRORED_BOX = (160, 128, 128)
AS_THEY_ARE, CROP = "as they are", "crop"
PRECISIONS = {"fp32": ["--precision", "fp32"], "default": []}


@dataclass(frozen=True)
class Model:
    """One model: where nnU-Net keeps it, how it is trained, in words."""

    peer: Peer
    training: Training
    words: str

    @property
    def folder(self) -> Path:
        """Where files and segmentations of this benchmark lie."""
        return self.peer.folder / f"exactness-{self.peer.configuration}"

    @property
    def is_brain(self) -> bool:
        """Whether it is the large network."""
        return self.peer.name == _tumours.NAME


def models(venv: Path) -> dict[str, Model]:
    """Return every model of the benchmark."""
    folder = venv / "hippocampus-trained"
    small = f"{TRAINING_CASES} cases of the hippocampus set"
    return {
        "hippocampus-3d": Model(Peer(venv, folder, NUMBER, NAME), Training(16, 25, 2), small),
        "hippocampus-2d": Model(Peer(venv, folder, NUMBER, NAME, "2d"), Training(40, 25, 12), small),
        "brain": Model(
            Peer(venv, venv / "brain-trained", _tumours.NUMBER, _tumours.NAME),
            Training(31, 10, 2, (64, 64, 64), (128, 128, 128)),
            "a real brain with a tumour and 5 phantoms",
        ),
    }


def make(model: Model, threads: int) -> None:
    """Train a model where that was not done."""
    if model.peer.checkpoint.exists():
        return
    print(f"nnU-Net trains {model.training.steps} steps on {model.words}", flush=True)
    raw = model.peer.folder / "raw" / model.peer.name
    if not (raw / "dataset.json").exists():
        if model.is_brain:
            _tumours.write_dataset(raw, model.peer.folder / "unseen")
        else:
            write_raw(raw, DATA, case_ids()[:TRAINING_CASES])
    prepare(model.peer, threads, [_tumours.VALIDATION] if model.is_brain else [])
    train(model.peer, model.training, threads)


def case_ids() -> list[str]:
    """Return the ids of the hippocampus set."""
    return [image.name.removesuffix(".nii.gz") for image in sorted((DATA / "imagesTr").glob("[!.]*.nii.gz"))]


def hippocampus_cases() -> Iterator[tuple[str, list[Volume], Volume]]:
    """Return unseen cases as id, channels and manual label, each in every way that a file can lie."""
    for id in case_ids()[-UNSEEN_CASES:]:
        image, label = (nifti.read(DATA / part / f"{id}.nii.gz") for part in ("imagesTr", "labelsTr"))
        for how in TURNS:
            yield f"{id}-{how}", [store(image, how)], store(label, how)


def brain_cases(unseen: Path, whole: bool) -> Iterator[tuple[str, list[Volume], Volume]]:
    """Return the unseen brains, or of the real one alone the part around its tumour."""
    for path in sorted((unseen / "labels").glob("*.nii.gz")):
        id = path.name.removesuffix(".nii.gz")
        label = nifti.read(path)
        channels = [nifti.read(channel) for channel in sorted((unseen / "images").glob(f"{id}_*.nii.gz"))]
        if whole:
            yield f"{id}-{AS_THEY_ARE}", channels, label
        elif id == "real2":
            box = crop_around(label.array, MIRRORED_BOX)
            yield f"{id}-{CROP}", [cropped(channel, box) for channel in channels], cropped(label, box)


def write_cases(folder: Path, cases: Iterator[tuple[str, list[Volume], Volume]]) -> None:
    """Write cases as nnU-Net names them, with their labels, unless that was done."""
    if (folder / "written").exists():
        return
    for id, channels, label in cases:
        for place, channel in enumerate(channels):
            nifti.write(folder / "images" / f"{id}_{place:04d}.nii.gz", channel)
        nifti.write(folder / "labels" / f"{id}.nii.gz", label)
    (folder / "written").touch()


def their_segmentations(model: Model, cases: Path, mirror: bool, threads: int) -> Path:
    """Return nnU-Net's segmentations, made anew where its checkpoint is newer than they are."""
    into = cases / ("theirs-mirrored" if mirror else "theirs")
    done = into / "done"
    if not done.exists() or done.stat().st_mtime < model.peer.checkpoint.stat().st_mtime:
        shutil.rmtree(into, ignore_errors=True)
        cost = run_tree(model.peer.predict(cases / "images", into, (0, 0), mirror), model.peer.env(threads))
        print(f"nnU-Net{', mirroring' if mirror else ''}: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} CPU s", flush=True)
        done.touch()
    return into


def our_segmentations(model: Model, cases: Path, mirror: bool, precision: str, threads: int) -> Path:
    """Return ours, made anew."""
    into, home = cases / "ours", cases / "home"
    for place in (into, home):  # the home too: a network that an older version compiled lies in its cache
        shutil.rmtree(place, ignore_errors=True)
    home.mkdir()
    program = Path(sys.executable).with_name("neuraxis")
    words = [*PRECISIONS[precision], *([] if mirror else ["--no-mirror"])]
    command = [
        program,
        "segment",
        cases / "images",
        "--model",
        model.folder / "model.nxb",
        "--into",
        into,
        "--quiet",
        *words,
    ]
    cost = run_tree(command, {**threads_env(threads), "HOME": str(home)})
    print(f"neuraxis {' '.join(words)}: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} CPU s", flush=True)
    return into


def rows_of(model: Model, cases: Path, mirror: bool, threads: int) -> list[Row]:
    """Segment cases with both programs and compare them: a row for each way that files lie, and each precision."""
    theirs = their_segmentations(model, cases, mirror, threads)
    rows = []
    for precision in PRECISIONS:
        ours = our_segmentations(model, cases, mirror, precision, threads)
        found = [
            compare(ours / path.name, path, cases / "labels" / path.name) for path in sorted(theirs.glob("*.nii.gz"))
        ]
        for how in (*TURNS, AS_THEY_ARE, CROP):
            if cases_so := tuple(case for case in found if case.id.endswith(f"-{how}")):
                rows.append(Row(how, mirror, precision, cases_so))
    return rows


def run(model: Model, threads: int, whole_mirror: bool) -> list[Row]:
    """Return every row of a model."""
    model.folder.mkdir(parents=True, exist_ok=True)
    (model.folder / "model.nxb").unlink(missing_ok=True)
    nx.import_bundle(model.peer.model, model.folder / "model.nxb")
    if not model.is_brain:
        write_cases(model.folder, hippocampus_cases())
        return [row for mirror in (False, True) for row in rows_of(model, model.folder, mirror, threads)]
    parts = {"whole": (False, True) if whole_mirror else (False,), CROP: (True,)}
    rows = []
    for part, mirrors in parts.items():
        write_cases(model.folder / part, brain_cases(model.peer.folder / "unseen", part != CROP))
        rows += [row for mirror in mirrors for row in rows_of(model, model.folder / part, mirror, threads)]
    return rows


def write_result(path: Path, model: Model, rows: Sequence[Row], threads: int) -> None:
    """Keep what was found, a row on a line."""
    head = {
        "model": path.stem,
        "trained": f"{model.training.steps} steps on {model.words}",
        "machine": machine(threads),
        "versions": f"{versions('neuraxis', 'openvino', 'numpy')}; beside {model.peer.versions()}",
        "command": f"python benchmarks/exactness.py --peer {model.peer.venv} --only {path.stem}",
    }
    lines = ",\n".join(json.dumps(row.as_json()) for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{json.dumps(head, indent=1)[:-2]},\n "rows": [\n{lines}\n]}}\n', "utf-8")


def options(names: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="DIR", help="nnU-Net's environment")
    parser.add_argument("--only", choices=names, help="one model")
    parser.add_argument("--whole-mirror", action="store_true", help="mirror on whole brains too: an hour of nnU-Net")
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="where results are kept (exactness in the peer's folder)"
    )
    parser.add_argument("--page", type=Path, help="put the tables of all results in --into into this page")
    return parser.parse_args()


def main() -> None:
    threads = os.cpu_count() or 1
    wanted = options(list(models(Path())))
    if wanted.peer is None:
        print(f"nothing to compare with: {HOW_TO_GET}")
        return
    venv = wanted.peer.resolve()
    into = wanted.into or venv / "exactness"
    for name, model in models(venv).items():
        if wanted.only in (None, name):
            make(model, threads)
            write_result(into / f"{name}.json", model, run(model, threads, wanted.whole_mirror), threads)
    results = read_results(into)
    print("\n" + show([one for one in results if wanted.only in (None, one.name)]))
    if wanted.page:
        put_into_page(wanted.page, show(results))


if __name__ == "__main__":
    main()
