"""neuraxis: from labelled scans of brain and spine to a validated segmenter, and from a new scan to a segmentation.

The verbs of the command line are functions here, and load what they need when they are first used:

    import neuraxis as nx

    dataset = nx.open_dataset("ms-brain/")
    run = nx.fit(dataset, into="runs/a")
    found = nx.segment("sub-01_FLAIR.nii.gz", run.bundle)
    found.save("sub-01_seg.nii.gz")

Research use only, not a medical device.
"""

from typing import TYPE_CHECKING

from neuraxis._version import __version__

if TYPE_CHECKING:
    from neuraxis.bundle.bundle import ModelBundle, open_bundle
    from neuraxis.bundle.exports.exporting import export_bundle
    from neuraxis.bundle.pull import pull_bundle
    from neuraxis.bundle.registry import cite_bundle, list_bundles
    from neuraxis.dataset.case import Case
    from neuraxis.dataset.checks.finding import Finding
    from neuraxis.dataset.dataset import Dataset
    from neuraxis.dataset.labels import Labels
    from neuraxis.dataset.layouts.recognise import open_dataset
    from neuraxis.dataset.phantoms.kind import MakeOptions
    from neuraxis.dataset.phantoms.make import make_phantoms
    from neuraxis.dataset.prediction import Prediction
    from neuraxis.dataset.sources.fetch import FetchedDataset, SourceOptions, fetch_dataset
    from neuraxis.dataset.sources.source import list_sources
    from neuraxis.errors import (
        BundleError,
        DataError,
        MissingExtra,
        NeuraxisError,
        QualityFlag,
        RecipeError,
        ResourceError,
        UnknownName,
        UsageError,
    )
    from neuraxis.evaluation.scores import Scores
    from neuraxis.inference.predictor import Predictor, PredictorOptions
    from neuraxis.pipelines.checking.inspecting import inspect
    from neuraxis.pipelines.choice.choose import ChooseOptions
    from neuraxis.pipelines.choice.choose import choose_among as choose
    from neuraxis.pipelines.comparison.compare import CompareOptions, compare
    from neuraxis.pipelines.comparison.learning_curve import CurveOptions, learning_curve
    from neuraxis.pipelines.comparison.shift import ShiftOptions, domain_shift
    from neuraxis.pipelines.demo import run_demo
    from neuraxis.pipelines.doctor import examine_machine
    from neuraxis.pipelines.evaluate import ScoringOptions, write_report
    from neuraxis.pipelines.evaluate import evaluate_folders as evaluate
    from neuraxis.pipelines.explaining.explain import ExplainOptions, explain
    from neuraxis.pipelines.fit import FitResult
    from neuraxis.pipelines.forms.convert import ConvertOptions, convert
    from neuraxis.pipelines.int8.quantise import QuantiseOptions, quantise_bundle
    from neuraxis.pipelines.runs.state import RunState, list_runs
    from neuraxis.pipelines.runs.stop import stop_run
    from neuraxis.pipelines.segment import SegmentOptions
    from neuraxis.pipelines.segment import segment as segment_files
    from neuraxis.pipelines.transfer.transfer import TransferOptions, transfer
    from neuraxis.pipelines.verbs import check, fit, import_bundle, list_choices, plan, prepare, segment, train
    from neuraxis.recipe.planner import Plan
    from neuraxis.recipe.recipe import Recipe
    from neuraxis.volume.formats.any_format import read as read_volume
    from neuraxis.volume.grid import Grid
    from neuraxis.volume.volume import Volume
else:
    _PLACES = {
        **dict.fromkeys(("check", "fit", "list_choices", "plan"), "neuraxis.pipelines.verbs"),
        **dict.fromkeys(("import_bundle", "prepare", "segment", "train"), "neuraxis.pipelines.verbs"),
        **dict.fromkeys(("cite_bundle", "list_bundles"), "neuraxis.bundle.registry"),
        **dict.fromkeys(("CompareOptions", "compare"), "neuraxis.pipelines.comparison.compare"),
        **dict.fromkeys(("TransferOptions", "transfer"), "neuraxis.pipelines.transfer.transfer"),
        **dict.fromkeys(("ConvertOptions", "convert"), "neuraxis.pipelines.forms.convert"),
        "choose": "neuraxis.pipelines.choice.choose:choose_among",
        **dict.fromkeys(("CurveOptions", "learning_curve"), "neuraxis.pipelines.comparison.learning_curve"),
        **dict.fromkeys(("ShiftOptions", "domain_shift"), "neuraxis.pipelines.comparison.shift"),
        "evaluate": "neuraxis.pipelines.evaluate:evaluate_folders",
        "examine_machine": "neuraxis.pipelines.doctor",
        **dict.fromkeys(("ExplainOptions", "explain"), "neuraxis.pipelines.explaining.explain"),
        "export_bundle": "neuraxis.bundle.exports.exporting",
        "inspect": "neuraxis.pipelines.checking.inspecting",
        **dict.fromkeys(("FetchedDataset", "SourceOptions", "fetch_dataset"), "neuraxis.dataset.sources.fetch"),
        "list_runs": "neuraxis.pipelines.runs.state",
        "list_sources": "neuraxis.dataset.sources.source",
        "make_phantoms": "neuraxis.dataset.phantoms.make",
        "open_bundle": "neuraxis.bundle.bundle",
        "open_dataset": "neuraxis.dataset.layouts.recognise",
        "pull_bundle": "neuraxis.bundle.pull",
        "quantise_bundle": "neuraxis.pipelines.int8.quantise",
        "read_volume": "neuraxis.volume.formats.any_format:read",
        "run_demo": "neuraxis.pipelines.demo",
        "stop_run": "neuraxis.pipelines.runs.stop",
        "segment_files": "neuraxis.pipelines.segment:segment",
        "write_report": "neuraxis.pipelines.evaluate",
        "Case": "neuraxis.dataset.case",
        "ChooseOptions": "neuraxis.pipelines.choice.choose",
        "Dataset": "neuraxis.dataset.dataset",
        "Finding": "neuraxis.dataset.checks.finding",
        "FitResult": "neuraxis.pipelines.fit",
        "Grid": "neuraxis.volume.grid",
        "Labels": "neuraxis.dataset.labels",
        "MakeOptions": "neuraxis.dataset.phantoms.kind",
        "ModelBundle": "neuraxis.bundle.bundle",
        "Plan": "neuraxis.recipe.planner",
        "Prediction": "neuraxis.dataset.prediction",
        "Predictor": "neuraxis.inference.predictor",
        "PredictorOptions": "neuraxis.inference.predictor",
        "QuantiseOptions": "neuraxis.pipelines.int8.quantise",
        "Recipe": "neuraxis.recipe.recipe",
        "RunState": "neuraxis.pipelines.runs.state",
        "Scores": "neuraxis.evaluation.scores",
        "ScoringOptions": "neuraxis.pipelines.evaluate",
        "SegmentOptions": "neuraxis.pipelines.segment",
        "Volume": "neuraxis.volume.volume",
        **dict.fromkeys(("BundleError", "DataError", "MissingExtra", "NeuraxisError"), "neuraxis.errors"),
        **dict.fromkeys(("QualityFlag", "RecipeError", "ResourceError"), "neuraxis.errors"),
        **dict.fromkeys(("UnknownName", "UsageError"), "neuraxis.errors"),
    }

    def __getattr__(name):
        """Import a public name when it is first asked for."""
        from importlib import import_module

        if name not in _PLACES:
            raise AttributeError(f"module 'neuraxis' has no attribute '{name}'")
        module, _, attribute = _PLACES[name].partition(":")
        globals()[name] = found = getattr(import_module(module), attribute or name)
        return found

    def __dir__():
        """List the public names, loaded or not."""
        return sorted({*globals(), *_PLACES})


__all__ = [
    "BundleError",
    "Case",
    "ChooseOptions",
    "CompareOptions",
    "ConvertOptions",
    "CurveOptions",
    "DataError",
    "Dataset",
    "ExplainOptions",
    "FetchedDataset",
    "Finding",
    "FitResult",
    "Grid",
    "Labels",
    "MakeOptions",
    "MissingExtra",
    "ModelBundle",
    "NeuraxisError",
    "Plan",
    "Prediction",
    "Predictor",
    "PredictorOptions",
    "QualityFlag",
    "QuantiseOptions",
    "Recipe",
    "RecipeError",
    "ResourceError",
    "RunState",
    "Scores",
    "ScoringOptions",
    "SegmentOptions",
    "ShiftOptions",
    "SourceOptions",
    "TransferOptions",
    "UnknownName",
    "UsageError",
    "Volume",
    "__version__",
    "check",
    "choose",
    "cite_bundle",
    "compare",
    "convert",
    "domain_shift",
    "evaluate",
    "examine_machine",
    "explain",
    "export_bundle",
    "fetch_dataset",
    "fit",
    "import_bundle",
    "inspect",
    "learning_curve",
    "list_bundles",
    "list_choices",
    "list_runs",
    "list_sources",
    "make_phantoms",
    "open_bundle",
    "open_dataset",
    "plan",
    "prepare",
    "pull_bundle",
    "quantise_bundle",
    "read_volume",
    "run_demo",
    "segment",
    "segment_files",
    "stop_run",
    "train",
    "transfer",
    "write_report",
]
