from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.dataset.opening import Place
from neuraxis.pipelines import fit as whole
from neuraxis.pipelines import steps
from neuraxis.pipelines.fit import FitOptions
from neuraxis.recipe.wishes import read_wishes, resolve
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

MODEL = Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb"


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(array, Grid(array.shape[1:], np.diag([1.0, 1.0, 2.0, 1.0]))))


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Five cases of two channels with one lesion each."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "toy"
    for number in range(5):
        label = np.zeros((1, 16, 16, 16), np.uint8)
        label[0, 4 : 8 + number, 4:9, 4:9] = 1
        for channel in range(2):
            image = generator.normal(100 + 50 * label, 5).astype(np.float32)
            write(folder / "imagesTr" / f"sub-{number}_000{channel}.nii.gz", image)
        write(folder / "labelsTr" / f"sub-{number}.nii.gz", label)
    description = {"channel_names": {"0": "FLAIR", "1": "T1"}, "labels": {"background": 0, "lesion": 1}}
    (folder / "dataset.json").write_text(json.dumps({**description, "numTraining": 5, "file_ending": ".nii.gz"}))
    return folder


def test_the_steps_take_what_the_step_before_returned(toy: Path, tmp_path: Path, monkeypatch) -> None:
    dataset = nx.open_dataset(toy)
    assert nx.check(dataset) == nx.check(toy)
    plan = nx.plan(dataset, settings={"patches.batch": 3, "training.precision": "fp32"})
    assert plan.recipe.patches.batch == 3
    assert plan.recipe.training.precision == "fp32"
    store = nx.prepare(dataset, plan, into=tmp_path / "prepared")
    assert len(store.ids()) == 5
    asked = []
    bundle = Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb"
    monkeypatch.setattr(steps, "train_store", lambda *arguments: asked.append(arguments) or bundle)
    assert nx.train(store, into=tmp_path / "run", fold=1).path == bundle
    assert asked == [(tmp_path / "prepared", tmp_path / "run", 1, "auto", None, steps.TrainOptions())]
    assert resolve(read_wishes(tmp_path / "prepared" / "recipe.toml")) == plan.recipe


def test_a_recipe_in_memory_prepares_as_its_file_does(toy: Path, tmp_path: Path) -> None:
    recipe = nx.plan(toy, settings=["preparation.image_order=1"]).recipe
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    first = nx.prepare(toy, recipe, tmp_path / "first")
    second = nx.prepare(toy, tmp_path / "recipe.toml", tmp_path / "second")
    np.testing.assert_array_equal(first.read("sub-0")[0], second.read("sub-0")[0])
    assert "image_order = 1" in (tmp_path / "first" / "recipe.toml").read_text()


def test_fit_takes_datasets_and_folders_and_its_options_as_keywords(toy: Path, tmp_path: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(whole, "fit", lambda *arguments: asked.append(arguments))
    nx.fit([nx.open_dataset(toy), "other"], into="runs/a", settings={"training.steps": 5}, fold=2, budget_s=60)
    nx.fit(str(toy), into="runs/b", repeat="runs/a")
    expected = FitOptions(Path("runs/a"), settings=("training.steps=5",), fold=2, budget_s=60)
    assert asked[0] == ([Place(toy), Place(Path("other"))], expected, None)
    assert asked[1] == ([Place(toy)], FitOptions(Path("runs/b"), repeat=Path("runs/a")), None)


def test_a_dataset_that_was_changed_in_memory_is_not_silently_read_from_disk(toy: Path) -> None:
    dataset = nx.open_dataset(toy)
    with pytest.raises(nx.UsageError, match="toy: was changed after it was opened"):
        nx.plan(replace(dataset, cases=dataset.cases[:3]))


@pytest.mark.parametrize("given", ["volume", "pairs", "folder"])
def test_one_scan_is_segmented_in_memory(given: str, toy: Path, tmp_path: Path) -> None:
    files = {"FLAIR": toy / "imagesTr" / "sub-0_0000.nii.gz", "T1": toy / "imagesTr" / "sub-0_0001.nii.gz"}
    folder = tmp_path / "sub-0"
    folder.mkdir()
    for name, path in files.items():
        (folder / f"sub-0_{name}.nii.gz").write_bytes(path.read_bytes())
    volumes = [nx.read_volume(path) for path in files.values()]
    both = replace(volumes[0], array=np.concatenate([volume.array for volume in volumes]))
    scan = {"volume": both, "pairs": files, "folder": folder}[given]
    found = nx.segment(scan, nx.open_bundle(MODEL, tmp_path), precision="fp32", probabilities=True)
    assert found.segmentation.array.shape == (1, 16, 16, 16)
    assert found.provenance["precision"] == "fp32"
    assert found.probability is not None
    path = found.save(tmp_path / "out.nii.gz")
    assert nx.read_volume(path).grid.matches(volumes[0].grid)
    again = nx.segment(files, MODEL, precision="fp32")
    np.testing.assert_array_equal(found.segmentation.array, again.segmentation.array)


def test_several_scans_are_referred_to_the_function_for_them(toy: Path) -> None:
    with pytest.raises(nx.UsageError, match=r"holds 5 cases where one is needed. Use segment_files"):
        nx.segment(toy / "imagesTr", MODEL)


def test_an_incomplete_scan_says_what_is_lacking(toy: Path) -> None:
    with pytest.raises(nx.DataError, match="T1 is lacking"):
        nx.segment({"FLAIR": toy / "imagesTr" / "sub-0_0000.nii.gz"}, MODEL)


def test_every_kind_has_names_and_every_name_says_what_it_is() -> None:
    found = nx.list_choices()
    assert {"networks", "losses", "layouts", "recipes", "metrics", "runtimes", "augmentations", "forms"} <= set(found)
    assert all(names and all(names.values()) for names in found.values())


def test_one_kind_comes_alone_and_says_what_needs_an_extra() -> None:
    found = nx.list_choices("runtimes")
    assert list(found) == ["runtimes"]
    assert found["runtimes"]["torch"].endswith("(needs neuraxis[train])")
    assert "needs" not in found["runtimes"]["openvino"]


def test_networks_say_what_they_cost() -> None:
    found = nx.list_choices("networks")["networks"]
    assert "; stride 32x32x32, 31.2 M parameters, 0.95 TFLOPs, " in found["unet"]
    assert "; stride 32x32x32, 102.3 M parameters, 1.4 TFLOPs" in found["residual-unet"]
    assert "0.013 TFLOPs, 0.18 CPU seconds at 128x128x128" in found["segformer3d"]


def test_a_misspelt_kind_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(nx.UnknownName, match=r"No kind is called 'metrcs'. Did you mean 'metrics'\?"):
        nx.list_choices("metrcs")
