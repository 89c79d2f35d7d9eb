"""The public face: which names there are, that they load late, and that a type checker knows them."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import neuraxis
from neuraxis.cli import main

FACE = Path(neuraxis.__file__)
NAMES = {
    # verbs
    "open_dataset", "check", "plan", "prepare", "train", "fit", "segment", "segment_files", "evaluate", "write_report",
    "choose", "compare", "convert", "domain_shift", "explain", "inspect", "learning_curve", "transfer",
    "read_volume", "open_bundle", "list_choices", "examine_machine", "run_demo",
    "export_bundle", "import_bundle", "list_bundles", "pull_bundle", "cite_bundle", "quantise_bundle",
    "list_runs", "make_phantoms", "stop_run", "list_sources", "fetch_dataset",
    # types
    "Case", "ChooseOptions", "CompareOptions", "ConvertOptions", "CurveOptions", "Dataset", "Finding", "FitResult",
    "ExplainOptions", "FetchedDataset", "Grid", "Labels", "MakeOptions", "ModelBundle", "SourceOptions",
    "Plan", "Prediction", "Predictor", "PredictorOptions", "QuantiseOptions", "Recipe", "RunState", "Scores",
    "ScoringOptions", "SegmentOptions", "ShiftOptions", "TransferOptions", "Volume",
    # errors
    "BundleError", "DataError", "MissingExtra", "NeuraxisError", "QualityFlag", "RecipeError", "ResourceError",
    "UnknownName", "UsageError",
    "__version__",
}  # fmt: skip
HEAVY = {"torch", "lightning", "numpy", "scipy", "nibabel", "openvino", "pydantic", "cyclopts", "rich"}


def test_the_public_names_are_these() -> None:
    assert set(neuraxis.__all__) == NAMES
    assert len(neuraxis.__all__) == len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_public_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(neuraxis, name)
    assert name in dir(neuraxis)
    if name != "__version__":
        assert found.__doc__


def test_importing_the_package_imports_nothing_else() -> None:
    script = "import sys, neuraxis\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_segmenting_and_scoring_from_python_need_no_torch() -> None:
    script = "import sys, neuraxis\n[getattr(neuraxis, name) for name in neuraxis.__all__]\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert not {"torch", "lightning", "monai"} & set(done.stdout.split())


def test_the_type_checker_sees_the_same_names_as_the_program() -> None:
    branch = next(node for node in ast.parse(FACE.read_text()).body if isinstance(node, ast.If))
    typed = {
        alias.asname or alias.name for node in branch.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert typed == NAMES - {"__version__"}
    for node in branch.body:
        assert isinstance(node, ast.ImportFrom)
        module = importlib.import_module(node.module or "")
        for alias in node.names:
            assert getattr(neuraxis, alias.asname or alias.name) is getattr(module, alias.name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'neuraxis' has no attribute 'fitt'"):
        _ = neuraxis.fitt
    assert not hasattr(neuraxis, "torch")


def test_every_verb_of_the_command_line_has_its_function() -> None:
    other_names = {"bundle": "open_bundle", "catalog": "list_choices", "doctor": "examine_machine", "demo": "run_demo"}
    other_names |= {"run": "list_runs", "dataset": "make_phantoms"}
    assert {other_names.get(verb, verb) for verb in main.VERBS} <= NAMES
