"""Bundles of MONAI that must not become one of ours: exit 4, one line, nothing run, nothing left behind."""

from __future__ import annotations

import json
import os
import stat
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import neuraxis as nx
from neuraxis.cli.main import run
from neuraxis.errors import MissingExtra, UsageError

Config = dict[str, Any]
Change = Callable[[Config], None]


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Return a function that imports through the command line, and expects one line and exit 4."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    def check(source: Path, words: str) -> None:
        before = sorted(tmp_path.rglob("*"))
        code = run(["bundle", "import", str(source), "--into", str(tmp_path / "model.nxb")])
        said = capsys.readouterr()
        assert (code, said.out) == (4, ""), said.err
        assert words in " ".join(said.err.split()), said.err
        assert len(said.err.strip().splitlines()) == 1
        assert sorted(tmp_path.rglob("*")) == before

    return check


def step(place: int, side: str = "preprocessing", **values: Any) -> Change:
    def change(config: Config) -> None:
        config[side]["transforms"][place] |= values

    return change


def added(part: Config, side: str = "preprocessing", place: int = 99) -> Change:
    return lambda config: config[side]["transforms"].insert(place, part)


def put(key: str, **values: Any) -> Change:
    return lambda config: config[key].update(values)


def whole(**values: Any) -> Change:
    return lambda config: config.update(values)


def without(place: int, side: str) -> Change:
    return lambda config: config[side]["transforms"].pop(place)


NORMALISE = {"_target_": "NormalizeIntensityd", "keys": "image"}
CROP = {"_target_": "CropForegroundd", "keys": "image", "source_key": "image"}
REFUSED: dict[str, tuple[str, Change, str]] = {
    "a network of its own": ("ct", put("network_def", _target_="scripts.networks.Mine"), "its scripts.networks.Mine"),
    "another network": ("ct", put("network_def", _target_="SwinUNETR"), "its SwinUNETR in 'network' is none of"),
    "a network that is code": (
        "ct",
        whole(network_def="$torch.jit.load(@bundle_root + '/models/model.ts')"),
        'is the expression "torch.jit.load(@bundle_root',
    ),
    "another layer": ("ct", put("network_def", adn_ordering="ADN"), "has adn_ordering = 'ADN'"),
    "an unknown argument": ("mri", put("network_def", secret=3), "its SegResNet in 'network' has secret = 3"),
    "two dimensions": ("ct", put("network_def", spatial_dims=2), "has spatial_dims = 2"),
    "absurd widths": ("mri", put("network_def", init_filters=10**9), "which no network here has"),
    "kernels that differ": (
        "dynunet",
        put("network_def", kernel_size=[[3, 3, 1], 3, 3]),
        "kernels that differ from stage to stage",
    ),
    "residual blocks": ("dynunet", put("network_def", res_block=True), "has res_block = True"),
    "an unknown transform": (
        "ct",
        added({"_target_": "RandGaussianNoised", "keys": "image"}),
        "its RandGaussianNoised in 'preprocessing' is none of the transforms",
    ),
    "a transform of its own": ("ct", added({"_target_": "scripts.Mine", "keys": "image"}), "its scripts.Mine in"),
    "an expression": ("ct", step(4, a_min="$__import__('os').system('touch MARK')"), 'has a_min = "$__import__('),
    "a lambda": (
        "mri",
        step(3, "postprocessing", func="$lambda x: __import__('os').system('touch MARK')"),
        "which is not run here",
    ),
    "a command": ("ct", whole(initialize=["$__import__('os').system('touch MARK')"]), "the command"),
    "an argument that runs": (
        "ct",
        whole(initialize=["$monai.utils.set_determinism(seed=__import__('os').system('touch MARK'))"]),
        "the command",
    ),
    "another spacing mode": ("ct", step(3, mode="nearest"), "has another mode than bilinear"),
    "another orientation": ("ct", step(2, axcodes="LPS"), "has axcodes = 'LPS'"),
    "two normalisations": ("ct", added(NORMALISE), "changes intensities that were changed before"),
    "zeros after interpolation": (
        "ct",
        lambda config: config["preprocessing"]["transforms"].__setitem__(4, NORMALISE | {"nonzero": True}),
        "nonzero = True after Spacingd",
    ),
    "a crop too late": ("ct", added(CROP), "comes twice, or after Spacingd"),
    "a margin": ("dynunet", step(3, margin=5), "has margin = 5"),
    "another selection": ("dynunet", step(3, select_fn="$lambda x: x > 7"), "known is a comparison with 0"),
    "labels before interpolation": (
        "ct",
        lambda config: config["postprocessing"]["transforms"].reverse(),
        "comes after SaveImaged",
    ),
    "nearest results": ("ct", step(1, "postprocessing", nearest_interp=True), "nearest_interp = True"),
    "no way back": ("dynunet", without(1, "postprocessing"), "brings the result back to the scan's voxels"),
    "no labels": ("dynunet", without(0, "postprocessing"), "no AsDiscreted"),
    "masks": ("mri", without(3, "postprocessing"), "writes a mask for each of 3 outputs"),
    "another threshold": ("mri", step(2, "postprocessing", threshold=0.3), "has threshold = 0.3"),
    "components": (
        "dynunet",
        added({"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}, "postprocessing", 1),
        "its KeepLargestConnectedComponentd in 'postprocessing' is none of",
    ),
    "another inferer": ("ct", put("inferer", _target_="SimpleInferer"), "is no SlidingWindowInferer"),
    "an open window": ("ct", put("inferer", roi_size=[16, 16, -1]), "needed are three sides"),
    "another padding": ("ct", put("inferer", padding_mode="circular"), "has padding_mode = 'circular'"),
    "a window that does not halve": ("ct", put("inferer", roi_size=[18, 16, 16]), "set it to 20"),
    "batches of its own": ("ct", put("evaluator", prepare_batch="$lambda batch: 0"), "has prepare_batch = "),
    "a handler": ("ct", whole(handlers=[{"_target_": "scripts.Handler"}]), "its scripts.Handler in 'handlers'"),
    "a reference to nothing": ("ct", put("evaluator", network="@missing"), "has no 'missing', which it refers to"),
    "a circle": ("ct", whole(network="@device", device="@network"), "refers to itself"),
    "a circle in a list": ("ct", step(3, pixdim="@deep") and whole(network=["@network"]), "is no object of MONAI"),
    "weights elsewhere": (
        "ct",
        put("checkpointloader", load_path="$@bundle_root + '/../other/model.pt'"),
        "outside of the bundle",
    ),
    "weights somewhere": ("ct", put("checkpointloader", load_path="/etc/model.pt"), "outside of the bundle"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_recipe_can_say_is_refused_and_nothing_is_run(what, changed, refused, monkeypatch, tmp_path) -> None:
    name, change, words = REFUSED[what]
    monkeypatch.chdir(tmp_path)

    refused(changed(name, change), words)

    assert not (tmp_path / "MARK").exists()


class Command:
    """Runs a shell command where a pickle of it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def same(config: Config) -> None:
    """Leave a configuration as it is."""


def test_weights_that_would_run_code_are_refused_and_do_not(changed, refused, tmp_path) -> None:
    folder = changed("ct", same)
    torch.save({"model": Command(tmp_path / "mark")}, folder / "models" / "model.pt")

    refused(folder, "could run code. It is refused; nothing was run.")

    assert not (tmp_path / "mark").exists()


FIRST = "model.0.conv.unit0.conv.weight"


def spoil(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update({key: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil(FIRST, torch.zeros(1).expand(10**6, 10**6)), "has the shape (1000000, 1000000), needed is"),
        (spoil(FIRST, torch.full((4, 1, 3, 3, 3), torch.nan)), "holds NaN or infinity"),
        (spoil(FIRST, torch.zeros(4, 1, 3, 3, 3, dtype=torch.int32)), "needed are floating-point numbers"),
        (spoil(FIRST, [1.0]), "holds no tensor at"),
        (spoil("more", torch.zeros(3)), "holds 'inner.more', which has no place in it"),
        (lambda state: state.pop(FIRST), "lacks inner.model.0.conv.unit0.conv.weight"),
        (lambda state: state.clear(), "holds no tensor at all"),
    ],
)
def test_weights_of_another_network_are_refused(change, words, changed, refused) -> None:
    folder = changed("ct", same)
    state = dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    change(state)
    torch.save(state, folder / "models" / "model.pt")

    refused(folder, words)


def test_torchscript_is_not_run_in_place_of_weights(changed, refused) -> None:
    folder = changed("ct", same)
    (folder / "models" / "model.pt").rename(folder / "models" / "model.ts")

    refused(folder, "models/model.ts is TorchScript, which is code and is not run")


def test_weights_that_are_a_link_out_of_the_bundle_are_refused(changed, refused, tmp_path) -> None:
    folder = changed("ct", same)
    (folder / "models" / "model.pt").rename(tmp_path / "elsewhere.pt")
    (folder / "models" / "model.pt").symlink_to(tmp_path / "elsewhere.pt")

    refused(folder, "is a link that leaves the bundle")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("inference.json", "[1]", "is not an object"),
        ("inference.json", "{", "cannot be read as JSON"),
        ("inference.json", "[" * 100_000, "cannot be read as JSON"),
        ("inference.json", "{}", "has no 'evaluator', which it refers to"),
        ("metadata.json", "3", "is not an object"),
        ("metadata.json", '{"network_data_format": {"inputs": {"image": {"num_channels": 7}}}}', "states 7 channels"),
    ],
)
def test_files_that_are_no_configuration_are_refused(file, content, words, changed, refused) -> None:
    folder = changed("ct", same)
    (folder / "configs" / file).write_text(content)

    refused(folder, words)


def test_a_configuration_in_yaml_is_told_what_to_become(changed, refused) -> None:
    folder = changed("ct", same)
    (folder / "configs" / "inference.json").rename(folder / "configs" / "inference.yaml")

    refused(folder, "its configuration is inference.yaml: write it as JSON")


def test_values_without_end_are_refused(changed, refused) -> None:
    """Each of 40 lists names the one before it ten times."""

    def laugh(config: Config) -> None:
        for place in range(40):
            config[f"list{place + 1}"] = [f"@list{place}"] * 10
        config |= {"list0": [1], "window": "@list40"}
        config["inferer"]["roi_size"] = "@window"

    refused(changed("ct", laugh), "refers to itself")


@pytest.mark.parametrize("name", ["../out.json", "/tmp/out.json"])
def test_a_zip_that_leaves_its_folder_is_refused(name, bundles, refused, tmp_path) -> None:
    packed = tmp_path / "ct.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(bundles["ct"].folder / "configs" / "metadata.json", "ct/configs/metadata.json")
        archive.writestr(name, "{}")

    refused(packed, "would leave the folder")


def test_a_zip_with_a_link_is_refused(bundles, refused, tmp_path) -> None:
    packed, link = tmp_path / "ct.zip", zipfile.ZipInfo("ct/models/model.pt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(bundles["ct"].folder / "configs" / "metadata.json", "ct/configs/metadata.json")
        archive.writestr(link, "/etc/passwd")

    refused(packed, "is a link")


def test_what_is_asked_of_nnunets_models_alone_is_told(bundles, tmp_path) -> None:
    with pytest.raises(UsageError, match="which has no configurations, folds or checkpoints"):
        nx.import_bundle(bundles["ct"].folder, tmp_path / "model.nxb", folds=(0,))


def test_without_monai_the_line_to_type_is_told(bundles, tmp_path, monkeypatch) -> None:
    for module in list(sys.modules):
        if module.startswith("monai.") or module == "neuraxis.networks.monai_unet":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "monai", None)

    with pytest.raises(MissingExtra, match=r"needs 'monai.*, which is not installed.*'neuraxis\[train\]'"):
        nx.import_bundle(bundles["ct"].folder, tmp_path / "model.nxb")
    assert not (tmp_path / "model.nxb").exists()


def test_a_bundle_that_we_exported_keeps_its_network_as_code_and_is_refused(bundles, refused, tmp_path) -> None:
    """Its configuration says in expressions what MONAI has no transform for."""
    content = json.loads((bundles["ct"].folder / "configs" / "inference.json").read_text())
    content["network_def"] = "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()"
    folder = tmp_path / "exported"
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(content))
    (folder / "configs" / "metadata.json").write_text("{}")

    refused(folder, 'is the expression "torch.jit.load(')
