from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.cli.main import run
from neuraxis.dataset.checks.sketch import sketch
from neuraxis.errors import UsageError
from neuraxis.pipelines.checking import inspecting
from neuraxis.report.inspection import portrait
from neuraxis.volume.formats import nifti


@pytest.fixture
def data(toy_dataset: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset001_Toy"
    shutil.copytree(toy_dataset, folder)
    return folder


def lines(page: Path) -> list[dict]:
    return [json.loads(line) for line in page.with_suffix(".jsonl").read_text().splitlines() if line]


def test_a_dataset_becomes_a_page_with_what_check_finds(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = nx.inspect(data, page)
    assert done.page == page
    assert [one.case for one in done.inspection.portraits] == [f"toy_{number:02}" for number in range(8)]
    assert done.inspection.findings == nx.check(data)
    first = done.inspection.portraits[0]
    label = nx.open_dataset(data).cases[0].read_label()
    assert first.volumes_ml["ball"] == pytest.approx((label.array == 1).sum() * label.grid.voxel_ml)
    assert first.lesions["ball"].count == 1
    assert first.axes == "RAS"
    assert done.inspection.portraits[1].axes == "LAS"
    assert page.read_text().count("data:image/jpeg") == 8
    with pytest.raises(UsageError, match="--overwrite"):
        nx.inspect(data, page)


def test_it_goes_on_where_it_was_killed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    read: list[str] = []

    def counted(case, dataset, size):
        if len(read) == 3:
            raise KeyboardInterrupt
        read.append(case.id)
        return portrait.portray(case, dataset, size)

    monkeypatch.setattr("neuraxis.workers.may_fork", lambda: False)
    monkeypatch.setattr("neuraxis.workers.usable_cores", lambda: 1)
    monkeypatch.setattr(inspecting, "portray", counted)
    with pytest.raises(KeyboardInterrupt):
        nx.inspect(data, page)
    assert not page.exists()
    kept = {line["portrait"]["case"] for line in lines(page)}
    assert 1 <= len(kept) <= 3
    text = page.with_suffix(".jsonl").read_text()
    page.with_suffix(".jsonl").write_text(text[:-40])  # the last line was being written
    done_already = len(kept) - 1
    read.clear()
    monkeypatch.setattr(inspecting, "portray", lambda *about: read.append(about[0].id) or portrait.portray(*about))
    whole = nx.inspect(data, page)
    assert len(read) == 8 - done_already
    read.clear()
    again = nx.inspect(data, page, overwrite=True)
    assert read == []
    assert again.inspection.portraits[0].volumes_ml == whole.inspection.portraits[0].volumes_ml
    changed = data / "imagesTr" / "toy_03_0000.nii.gz"
    volume = nifti.read(changed)
    nifti.write(changed, volume.with_array(volume.array + np.int16(1)))
    nx.inspect(data, page, overwrite=True)
    assert read == ["toy_03"]


def test_copies_are_found_from_what_was_kept(data: Path, tmp_path: Path) -> None:
    image = nifti.read(data / "imagesTr" / "toy_00_0000.nii.gz")
    mirrored = image.with_array(image.array[:, ::-1].astype(np.float32))
    nifti.write(data / "imagesTr" / "toy_02_0000.nii.gz", mirrored)
    first = nx.inspect(data, tmp_path / "page.html").inspection.findings
    second = nx.inspect(data, tmp_path / "page.html", overwrite=True).inspection.findings
    assert [finding.code for finding in first] == ["copied_scan", "mixed_types"]
    assert first == second


def test_unlabelled_scans_are_inspected_too(data: Path, tmp_path: Path) -> None:
    shutil.move(data / "imagesTr", data / "imagesTs")
    shutil.rmtree(data / "labelsTr")
    (data / "imagesTr").mkdir()
    (data / "labelsTr").mkdir()
    dataset = nx.open_dataset(data)
    done = nx.inspect(dataset, tmp_path / "page.html")
    assert len(done.inspection.portraits) == 8
    assert "Lesion sizes" not in done.page.read_text()


def test_the_verb_tells_where_the_page_is(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chdir(tmp_path)
    page = tmp_path / "report.html"
    assert run(["inspect", str(data), "--into", str(page), "--quiet"]) == 0
    assert "8 cases, 0 errors, 0 warnings" in capsys.readouterr().out
    assert run(["inspect", str(data), "--into", str(page), "--json", "--overwrite"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == 8
    assert run(["inspect", str(data), "--into", str(tmp_path / "page.txt")]) == 2
    assert ".html" in capsys.readouterr().err


def test_a_sketch_survives_json() -> None:
    image = np.random.default_rng(0).normal(size=(24, 20, 18))
    one = sketch(image, (1.0, 1.0, 1.0))
    other = portrait._unpacked(json.loads(json.dumps(portrait._packed(one))))
    assert one is not None
    assert other is not None
    assert (one.sides, [level.factor for level in one.levels]) == (
        other.sides,
        [level.factor for level in other.levels],
    )
    for mine, theirs in zip(one.levels, other.levels, strict=True):
        assert np.array_equal(mine.places, theirs.places)
        assert np.allclose(mine.around, theirs.around, atol=2e-3)
