"""What a bundle of MONAI says: the card's words, what differs from neuraxis, and no text that MONAI would run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import neuraxis as nx
from neuraxis.bundle.card import Metrics
from neuraxis.bundle.exports.monai import export_monai
from neuraxis.bundle.exports.monai_card import describe, differences, readme
from neuraxis.bundle.exports.monai_config import inference_config
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError

Write = Callable[..., Path]


@pytest.fixture
def told(tmp_path: Path, write_model: Write) -> Callable[..., Any]:
    """Opens a bundle of which the card says what is given."""
    return lambda **wanted: nx.open_bundle(write_model(tmp_path / "toy.nxb", **wanted))


def texts_of(content: Any) -> list[str]:
    if isinstance(content, dict):
        return [text for pair in content.items() for part in pair for text in texts_of(part)]
    if isinstance(content, list):
        return [text for part in content for text in texts_of(part)]
    return [content] if isinstance(content, str) else []


def test_the_metadata_says_what_the_card_says(told: Callable[..., Any]) -> None:
    mean = {"n": 5, "mean": 0.75, "sd": 0.1, "median": 0.7, "ci_low": 0.6, "ci_high": 0.9}
    metrics = Metrics.of({"ball": {"dice": mean, "hd95_mm": {"n": 0}}}, scored_on="nothing")
    found = describe(told(licence="CC BY 4.0", citation="Doe 2024", intended_use="tests", metrics=metrics))
    assert found["copyright"] == "CC BY 4.0"
    assert found["references"] == ["Doe 2024"]
    assert found["intended_use"] == "tests Research use only, not a medical device."
    assert found["eval_metrics"] == {"mean dice of ball": 0.75}
    assert found["pred_classes"] == "numbers of the written file: 0 background, 3 ball, 7 shell"
    formats = found["network_data_format"]
    assert formats["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "ball", "2": "shell"}
    assert formats["inputs"]["image"]["spatial_shape"] == [16, 16, 20]
    assert formats["inputs"]["image"]["modality"] == "MRI"


def test_shapes_go_by_the_axes_of_the_scan(told: Callable[..., Any]) -> None:
    bundle = told(preparation={"axes": [2, 0, 1]})
    shape = describe(bundle)["network_data_format"]["inputs"]["image"]["spatial_shape"]
    assert shape == inference_config(bundle)["inferer"]["roi_size"] == [16, 20, 16]


@pytest.mark.parametrize("sign", ["$", "@", "%", "  $"])
def test_no_text_of_a_card_begins_as_what_monai_runs_or_reads(sign: str, told: Callable[..., Any]) -> None:
    text = f"{sign}__import__('os').abort() @# %:: and so on"
    labels = Labels(names={"background": 0, text: 1})
    mean = {text: {text: {"n": 1, "mean": 1.0}}}
    card = {"name": text, "summary": text, "citation": text, "licence": text, "intended_use": text, "limits": (text,)}
    bundle = told(labels=labels, channels=(text,), modality={text: text}, metrics=Metrics.of(mean), **card)
    assert [found for found in texts_of(describe(bundle)) if found.lstrip()[:1] in ("$", "@", "%")] == []
    assert [found for found in texts_of(describe(bundle)) if "@#" in found or "%:" in found] == []
    assert text not in json.dumps(inference_config(bundle))


@pytest.mark.parametrize(
    ("rule", "statistics"),
    [("nyul", {"landmarks": {"T2": [float(number) for number in range(11)]}}), ("zscore_head", {})],
)
def test_a_normalisation_that_monai_does_not_know_is_refused_in_one_line(
    rule: str, statistics: dict[str, Any], told: Callable[..., Any], tmp_path: Path
) -> None:
    bundle = told(preparation={"normalisation": {"T2": rule}, **statistics})
    with pytest.raises(
        BundleError, match=rf"channel 'T2' is .* \({rule}\), for which MONAI has no transform"
    ) as caught:
        export_monai(bundle, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_said_in_transforms_is_said_in_metadata_and_readme(told: Callable[..., Any]) -> None:
    plain, imported = told(), told(preparation={"clip_overshoot": True}, inference={"arithmetic": "nnunet"})
    assert len(differences(plain)) < len(differences(imported))
    for line in differences(imported):
        assert line in describe(imported)["differences_from_neuraxis"]
        assert line in readme(imported)


def test_the_readme_tells_how_to_run_it_and_how_files_are_named(told: Callable[..., Any]) -> None:
    one, several = readme(told()), readme(told(channels=("FLAIR", "T1"), folds=2, inference={"mirror_axes": [0]}))
    assert "python -m monai.bundle run" in one
    assert "one file a scan" in one
    assert "`CASE_0000.nii.gz` (FLAIR), `CASE_0001.nii.gz` (T1)" in several
    assert "an ensemble of 2 folds" in several
    assert "runs mirrored images too" in several


def test_a_licence_is_written_only_where_one_is_stated(told: Callable[..., Any], tmp_path: Path) -> None:
    export_monai(told(licence="CC BY 4.0"), tmp_path / "a")
    export_monai(told(), tmp_path / "b")
    assert (tmp_path / "a" / "LICENSE").read_text() == "The weights of this model are under: CC BY 4.0\n"
    assert not (tmp_path / "b" / "LICENSE").exists()
