from __future__ import annotations

import inspect

import pytest

from neuraxis import errors
from neuraxis.errors import MissingExtra, NeuraxisError, UnknownName, suggest

CODES = {
    "UsageError": 2,
    "RecipeError": 2,
    "UnknownName": 2,
    "DataError": 3,
    "BundleError": 4,
    "ResourceError": 5,
    "MissingExtra": 5,
    "QualityFlag": 6,
    "Stopped": 143,
}


def test_every_error_exits_with_the_code_that_the_design_gives_it() -> None:
    classes = {
        name: kind.exit_code
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, NeuraxisError) and kind is not NeuraxisError
    }
    assert classes == CODES


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    for name, code in CODES.items():
        line = next(line for line in (errors.__doc__ or "").splitlines() if name in line)
        assert f" {code} " in line


def test_an_unknown_name_prints_without_quotes_and_offers_the_nearest() -> None:
    error = UnknownName("network", "segresnett", ["unet", "segresnet"])
    assert str(error) == "No network is called 'segresnett'. Did you mean 'segresnet'?"
    assert isinstance(error, LookupError)


def test_a_missing_extra_is_an_import_error_that_says_what_to_type() -> None:
    error = MissingExtra("torch", "train")
    assert isinstance(error, ImportError)
    assert str(error) == "This needs 'torch', which is not installed. Type: pip install 'neuraxis[train]'"


@pytest.mark.parametrize(
    ("name", "answer"),
    [("unett", "Did you mean 'unet'?"), ("Unet", "Did you mean 'unet'?"), ("qqq", "Known: segresnet, unet.")],
)
def test_suggestions(name: str, answer: str) -> None:
    assert suggest(name, {"unet", "segresnet"}) == answer
