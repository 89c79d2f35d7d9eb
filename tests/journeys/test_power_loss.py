"""A power cut at any moment: what was not synced to disk is lost or cut short, yet a file is the old or the new one.

The disk is simulated on a real folder. Names count once their folder is synced, contents once their file is; what is
not synced may have reached the disk, in part or not at all, as the simulation draws it.
"""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from neuraxis.files import read_json, write_json
from neuraxis.pipelines.run_folder import RunFolder
from neuraxis.preparation.prepared import Prepared, WayBack
from neuraxis.preparation.store import Store
from neuraxis.training.checkpoints import AtomicCheckpointIO
from neuraxis.volume.grid import Grid

CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")
DRAWS = 6


class PowerLoss(BaseException):
    """The lights go out."""


class Disk:
    """What of a folder is safe, kept up to date by watching the calls that matter.

    Args:
        root: the folder.
        patch: pytest's monkeypatch.
        moment: after how many calls the power fails.
    """

    def __init__(self, root, patch, moment):
        self.root, self.left = root, moment
        self.synced, self.names, self.pins, self.at_loss = {}, {}, {}, None
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            self._sync_folder(folder)
            for path in folder.iterdir():
                if path.is_file():
                    self._sync_file(path)
        for call in CALLS:
            patch.setattr(os, call, self._watched(getattr(os, call), call == "fsync"))

    def after_loss(self, into, draws):
        """Write what a disk may hold after the loss, and return its folder."""
        into.mkdir()
        self._rebuild(self.root, into, draws)
        return into

    def _watched(self, call, is_sync):
        def watched(*arguments, **options):
            self._count()
            result = call(*arguments, **options)
            if is_sync and self.at_loss is None:
                path = Path(os.readlink(f"/proc/self/fd/{arguments[0]}"))
                (self._sync_folder if path.is_dir() else self._sync_file)(path)
            return result

        return watched

    def _count(self):
        self.left -= 1
        if self.left == 0:
            folders = [self.root, *(path for path in self.root.rglob("*") if path.is_dir())]
            self.at_loss = {folder: self._listed(folder) for folder in folders}
            raise PowerLoss

    def _listed(self, folder):
        return {path.name: None if path.is_dir() else self._pinned(path) for path in folder.iterdir()}

    def _pinned(self, path):
        """Return the file's number; it stays open, so that no other file gets that number."""
        number = path.stat().st_ino
        if number not in self.pins:
            self.pins[number] = path.open("rb")
        return number

    def _content(self, number):
        self.pins[number].seek(0)
        return self.pins[number].read()

    def _sync_folder(self, folder):
        self.names[folder] = self._listed(folder)

    def _sync_file(self, path):
        number = self._pinned(path)
        self.synced[number] = self._content(number)

    def _rebuild(self, folder, into, draws):
        now, safe = self.at_loss.get(folder), self.names.get(folder)
        listed = draws.choice([names for names in (now, safe) if names is not None])
        for name, number in listed.items():
            if number is None:
                (into / name).mkdir()
                if folder / name in self.at_loss or folder / name in self.names:
                    self._rebuild(folder / name, into / name, draws)
                continue
            content, safe_content = self._content(number), self.synced.get(number)
            if content != safe_content:
                cut = content[: draws.randrange(len(content) + 1)]
                content = draws.choice([cut] if safe_content is None else [cut, safe_content])
            (into / name).write_bytes(content)


def every_loss(root, tmp_path, work):
    """Lose power at each moment of `work` and yield what the disk may hold then."""
    moment, lost = 0, True
    while lost:
        moment, lost = moment + 1, False
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(root, patch, moment)
            try:
                work()
            except PowerLoss:
                lost = True
        for seed in range(DRAWS * lost):
            yield disk.after_loss(tmp_path / f"after-{moment}-{seed}", random.Random(seed))
        for pin in disk.pins.values():
            pin.close()
    assert moment > 3


def test_the_simulated_disk_loses_what_is_not_synced(tmp_path):
    (tmp_path / "disk").mkdir()
    path = tmp_path / "disk" / "plain.json"

    def careless():
        path.write_bytes(b"new" * 50)
        os.replace(path, path.with_suffix(".old"))
        path.write_bytes(b"newer" * 50)
        os.replace(path, path.with_suffix(".old"))
        os.replace(path.with_suffix(".old"), path)

    found = {
        tuple(sorted(file.read_bytes() for file in disk.iterdir()))
        for disk in every_loss(path.parent, tmp_path, careless)
    }
    assert () in found
    assert any(content != b"newer" * 50 for contents in found for content in contents)


def test_a_json_file_is_the_old_or_the_new_one(tmp_path):
    path = tmp_path / "disk" / "run.json"
    write_json(path, {"events": ["old"]})
    found = []
    for disk in every_loss(path.parent, tmp_path, lambda: write_json(path, {"events": ["old", "new"]})):
        found.append(read_json(disk / "run.json")["events"])
        write_json(path, {"events": ["old"]})

    assert all(events in (["old"], ["old", "new"]) for events in found)
    assert ["old"] in found
    assert ["old", "new"] in found


def test_an_event_is_on_disk_once_it_is_told(tmp_path):
    RunFolder(tmp_path / "disk", {})

    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(tmp_path / "disk", patch, 10**6)
        RunFolder(tmp_path / "disk", {}).add_event("steps_corrected", step=5, steps=9)
        disk.left = 1
        with pytest.raises(PowerLoss):
            os.mkdir(tmp_path / "disk" / "later")

    for seed in range(DRAWS):
        content = read_json(disk.after_loss(tmp_path / f"after-{seed}", random.Random(seed)) / "run.json")
        assert [event["steps"] for event in content["events"]] == [9]


def test_a_checkpoint_is_the_old_or_the_new_one(tmp_path):
    path, files = tmp_path / "disk" / "checkpoint.pt", AtomicCheckpointIO()
    files.save_checkpoint({"step": 1, "weights": torch.ones(1000)}, path)
    found = set()
    for disk in every_loss(
        path.parent, tmp_path, lambda: files.save_checkpoint({"step": 2, "weights": 2 * torch.ones(1000)}, path)
    ):
        content = files.load_checkpoint(disk / "checkpoint.pt")
        assert torch.equal(content["weights"], content["step"] * torch.ones(1000))
        found.add(content["step"])
        files.save_checkpoint({"step": 1, "weights": torch.ones(1000)}, path)

    assert found == {1, 2}


def test_a_prepared_case_is_there_as_a_whole_or_is_prepared_again(tmp_path):
    arrays = {key: np.full((1, 8, 8, 8), value, np.float32) for key, value in (("old", 1), ("new", 2))}

    def put(folder, key):
        way_back = WayBack(Grid((8, 8, 8), np.eye(4)), (0, 0, 0), (8, 8, 8), (8, 8, 8))
        Store(folder).put("a", Prepared(arrays[key], way_back, np.ones((1, 8, 8, 8), np.uint8)), key)

    put(tmp_path / "disk", "old")
    found = set()
    for disk in every_loss(tmp_path / "disk", tmp_path, lambda: put(tmp_path / "disk", "new")):
        for key in arrays:
            if Store(disk).holds("a", key):
                found.add(key)
                np.testing.assert_array_equal(Store(disk).read("a")[0], arrays[key])
        put(disk, "new")
        assert Store(disk).holds("a", "new")
        np.testing.assert_array_equal(Store(disk).read("a")[0], arrays["new"])
        put(tmp_path / "disk", "old")

    assert "old" in found
