"""Where a promptable network's weights come from, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuraxis.errors import BundleError, MissingExtra, RecipeError
from neuraxis.files import sha256
from neuraxis.networks.sam.base import find_base


@pytest.fixture
def folder(sam_bases: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(sam_bases["sam"], tmp_path / "base"))


def test_a_folder_gives_its_architecture_and_the_hash_of_its_weights(folder) -> None:
    found = find_base(str(folder), ("sam",))
    assert found.hash == sha256(folder / "model.safetensors")
    assert found.architecture["vision_config"]["image_size"] == 64
    assert "architectures" not in found.architecture
    assert "null" not in json.dumps(found.architecture)


def test_no_name_says_what_to_set() -> None:
    with pytest.raises(RecipeError, match=r"network\.options\.base is empty.*facebook/sam-vit-base"):
        find_base("", ("sam",))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "medsam_vit_b.pth"])
def test_pickled_weights_are_refused(folder, name) -> None:
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(BundleError, match=f"{name}, a pickle"):
        find_base(str(folder), ("sam",))


def test_a_folder_that_lacks_a_file_is_refused(folder) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(BundleError, match=r"has no config\.json"):
        find_base(str(folder), ("sam",))
    with pytest.raises(BundleError, match="no such folder"):
        find_base(str(folder / "nowhere" / "else"), ("sam",))


def test_the_other_kind_is_offered(folder) -> None:
    with pytest.raises(RecipeError, match=r"Set network\.name to 'sam'"):
        find_base(str(folder), ("sam2", "sam2_video"))


@pytest.mark.parametrize("text", ["[]", "{", "null", '{"model_type": {"a": 1}}'])
def test_what_is_no_description_is_refused_in_a_line(folder, text) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises((BundleError, RecipeError)) as caught:
        find_base(str(folder), ("sam",))
    assert "\n" not in str(caught.value)


def test_where_the_hub_says_whether_it_is_offline_is_imported_with_it() -> None:
    """In a process of its own, where nothing else has imported the client's parts."""
    program = "from neuraxis.networks.sam.base import find_base; find_base('nobody/nothing', ('sam',))"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "BundleError: nobody/nothing: is not in the hub's cache" in done.stderr.replace("neuraxis.errors.", "")


def test_offline_the_hub_is_not_asked(monkeypatch) -> None:
    import huggingface_hub

    asked = []

    def fetch(name: str, file: str, local_files_only: bool) -> str:
        asked.append(local_files_only)
        raise OSError("not there")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BundleError, match=r"not in the hub's cache.*NEURAXIS_OFFLINE"):
        find_base("facebook/sam-vit-base", ("sam",))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(BundleError, match=r"cannot be fetched from the hub \(not there\)"):
        find_base("facebook/sam-vit-base", ("sam",))
    assert asked == [True, False]


def test_a_name_on_the_hub_is_fetched_as_json_and_safetensors_alone(monkeypatch, folder) -> None:
    import huggingface_hub

    asked = []

    def fetch(name: str, file: str, local_files_only: bool) -> str:
        asked.append((name, file))
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    assert find_base("facebook/sam-vit-base", ("sam",)).folder == folder
    assert asked == [("facebook/sam-vit-base", "config.json"), ("facebook/sam-vit-base", "model.safetensors")]


def test_without_the_extra_the_line_to_type_is_said(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[sam\]'"):
        find_base("facebook/sam-vit-base", ("sam",))
