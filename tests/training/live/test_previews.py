"""Previews of a training: they change no weight, keep to their share, and go on after an interruption."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neuraxis.errors import Stopped
from neuraxis.pipelines.runs.previews import prepare_scans
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.report.previews.record import read_record
from neuraxis.training.live import previews
from neuraxis.training.train import train

STEPS = 12


@pytest.fixture(scope="module")
def store(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    settings = (*toy_settings, f"training.steps={STEPS}", "previews.every=1", "previews.count=1")
    prepare_datasets([toy_dataset], "auto", settings, folder)
    return folder


def job(store, folder, previews=None, **training):
    plain = job_of_store(store, folder, 0, "cpu")
    changes = {"previews": plain.recipe.previews.model_copy(update=previews or {})}
    changes["training"] = plain.recipe.training.model_copy(update=training)
    return dataclasses.replace(plain, recipe=plain.recipe.model_copy(update=changes))


def weights(task):
    return torch.cat([value.flatten() for value in task.shipped_network().state_dict().values()])


def stop_after(steps):
    asked = iter(range(steps - 1))
    return lambda: next(asked, None) is None


@pytest.mark.parametrize("training", [{}, {"ema_decay": 0.0, "precision": "bf16"}])
def test_previews_change_no_weight(store, tmp_path, training):
    with_them = train(job(store, tmp_path / "with", **training))
    without = train(job(store, tmp_path / "without", {"every": 0}, **training))

    assert torch.equal(weights(with_them), weights(without))
    assert (tmp_path / "with" / "previews" / "previews.csv").is_file()
    assert not (tmp_path / "without" / "previews").exists()


def test_every_validation_has_its_strips_and_its_line(store, tmp_path):
    train(job(store, tmp_path))

    rows = read_record(tmp_path / "previews")
    assert [row.step for row in rows] == [4, 8, 12]
    assert len({(row.case, row.slice) for row in rows}) == 1
    assert all(0 <= row.dice <= 1 and row.seconds > 0 for row in rows)
    strips = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    case = rows[0].case
    assert strips == [
        f"previews/step-{step:07}/{case}-{kind}.png" for step in (4, 8, 12) for kind in ("tiled", "whole")
    ]


def test_fewer_are_made_when_told_so_but_one_after_the_last_step(store, tmp_path):
    train(job(store, tmp_path, {"every": 2}))

    assert [row.step for row in read_record(tmp_path / "previews")] == [8, 12]


def test_the_strips_are_in_tensorboard(store, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(job(store, tmp_path))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()

    (name,) = events.Tags()["images"]
    assert name == f"preview/{read_record(tmp_path / 'previews')[0].case}"
    assert [image.step for image in events.Images(name)] == [4, 8, 12]


def test_a_resumed_training_goes_on_with_its_previews(store, tmp_path):
    train(job(store, tmp_path), stop=stop_after(9))
    lost = tmp_path / "previews" / "step-0000008"
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save(checkpoint | {"step": 6}, tmp_path / "checkpoint.pt")  # killed: what came after step 6 is lost
    (lost / "stale.png").touch()

    train(job(store, tmp_path), stop=stop_after(1))
    assert not lost.exists()
    train(job(store, tmp_path))

    assert [row.step for row in read_record(tmp_path / "previews")] == [4, 8, 12]


def test_unlabelled_scans_of_any_folder_are_shown(store, toy_dataset, tmp_path):
    plain = job(store, tmp_path, {"count": 0})
    scan = toy_dataset / "imagesTr" / "toy_00_0000.nii.gz"
    scans = prepare_scans([str(scan)], plain.recipe, ("T2",))

    train(dataclasses.replace(plain, scans=scans))

    rows = read_record(tmp_path / "previews")
    assert {(row.case, row.role) for row in rows} == {("toy_00", "unlabelled")}
    assert all(np.isnan(row.dice) for row in rows)


def test_chosen_cases_are_shown_be_they_held_out_or_not(store, tmp_path):
    plain = job(store, tmp_path)
    chosen = plain.fold.validation[0], plain.fold.training[0]

    train(job(store, tmp_path, {"cases": chosen}, steps=3))

    assert [(row.case, row.role) for row in read_record(tmp_path / "previews")][-2:] == [
        (chosen[0], "held out"),
        (chosen[1], "trained on"),
    ]


def test_a_preview_that_fails_is_told_once_and_the_training_goes_on(store, tmp_path, monkeypatch, caplog):
    def broken(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr(previews, "look", broken)
    with caplog.at_level("WARNING", "neuraxis"):
        task = train(job(store, tmp_path))

    assert task.step == STEPS
    assert [record.message.count("could not be made (MemoryError: no room)") for record in caplog.records] == [1]


def test_they_keep_to_their_share_but_for_the_last(store, tmp_path, monkeypatch):
    monkeypatch.setattr(previews, "FREE_S", 0.0)
    task = train(job(store, tmp_path, {"share": 1e-6}))

    rows = read_record(tmp_path / "previews")
    assert [row.step for row in rows] == [4, 12]  # nothing was spent before the first
    assert {row.extent for row in rows} == {"one window"}
    assert task.step == STEPS


def test_their_time_counts_as_time_of_the_rows(store, tmp_path, monkeypatch):
    moments = []
    plain = job(store, tmp_path)
    train(plain, steer=lambda moment: moments.append(moment))

    spent = sum(row.seconds for row in read_record(tmp_path / "previews")[:2])
    assert moments[-1].rows_s > spent > 0


def test_a_training_is_stopped_by_a_file_and_resumes_bit_for_bit(store, tmp_path, monkeypatch):
    straight = train(job(store, tmp_path / "straight"))
    monkeypatch.setattr("neuraxis.training.live.pulse.EVERY_S", 0.0)
    folder = tmp_path / "stopped"

    def ask(moment):
        if moment.step == 5:
            (folder / "stop").touch()

    with pytest.raises(Stopped, match="stopped after step 6 of 12, as `neuraxis run stop` asked"):
        train(job(store, folder), steer=ask)
    (folder / "stop").unlink()
    resumed = train(job(store, folder))

    assert (resumed.first_step, resumed.step) == (6, 12)
    assert torch.equal(weights(straight), weights(resumed))


def test_without_a_case_nothing_is_shown(store, tmp_path):
    train(job(store, tmp_path, {"count": 0}, steps=2))

    assert not (tmp_path / "previews").exists()
