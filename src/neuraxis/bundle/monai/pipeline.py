"""A bundle's configuration and metadata as a recipe and labels of ours: exact, or refused.

What counts is what `evaluator` runs: its network, its inferer, the transforms of its dataset and its postprocessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neuraxis.bundle.monai.config import FILE, Component, Config
from neuraxis.bundle.monai.expressions import Unknown, is_harmless_command
from neuraxis.bundle.monai.networks import NetworkPlan, read_network
from neuraxis.bundle.monai.outputs import Outputs, Postprocessing
from neuraxis.bundle.monai.transforms import Preparation
from neuraxis.errors import BundleError
from neuraxis.recipe.recipe import Recipe

_COMMANDS = ("initialize", "run", "finalize", "evaluating")
_WATCHING = ("CheckpointLoader", "StatsHandler", "TensorBoardStatsHandler", "LogfileHandler")
_WEIGHTS = "models/model.pt"


@dataclass(frozen=True)
class Pipeline:
    """A model of MONAI in our words.

    Attributes:
        recipe: every decision.
        outputs: what the network's outputs mean.
        network: its network and weights.
        channels: names of the image's channels.
        modality: channel to what it is, where that is stated.
        weights: its file in the bundle's folder.
        key: under which the file holds them, unless it holds nothing else.
    """

    recipe: Recipe
    outputs: Outputs
    network: NetworkPlan
    channels: tuple[str, ...]
    modality: dict[str, str]
    weights: str
    key: str


def read_pipeline(config: Config, metadata: dict[str, Any], name: str) -> Pipeline:
    """Translate a configuration.

    Args:
        config: of inference.
        metadata: content of `metadata.json`.
        name: of the model.

    Raises:
        BundleError: something is missing, or is done that no recipe can say.
        RecipeError: its values fit no recipe.
    """
    _check_commands(config)
    evaluator = config.component(config.at("evaluator"), "evaluator")
    if evaluator.kind != "SupervisedEvaluator":
        evaluator.refuse("is no SupervisedEvaluator")
    network = read_network(config.component(evaluator.raw("network"), "network"))
    formats = metadata.get("network_data_format")
    channels = _names(formats, "inputs", network.channels, config)
    dataset = _dataset(config, evaluator)
    transform = config.value(dataset.raw("transform"))
    preparation = Preparation(channels)
    preparation.read(config.parts(transform, "preprocessing"))
    post = Postprocessing(config, preparation, transform)
    post.read(config.parts(evaluator.raw("postprocessing"), "postprocessing"), network.outputs)
    outputs = post.outputs(_names(formats, "outputs", network.outputs, config))
    window, inference = _inference(config.component(evaluator.raw("inferer"), "inferer"))
    if outputs.picked != tuple(range(network.outputs)) and not network.final:
        config.refuse("its outputs are painted in an order that its network does not have")
    handlers = list(_handlers(config, evaluator))
    _finish(evaluator)
    weights, key = _checkpoint(config, handlers)
    recipe = Recipe.model_validate(
        {
            "name": name,
            "summary": "Trained with MONAI.",
            "configuration": "3d",
            "preparation": preparation.recipe(),
            "patches": {"shape": window},
            "augmentation": {"preset": "none"},
            "network": network.recipe,
            "inference": inference,
        }
    )
    return Pipeline(recipe, outputs, network, channels, _modality(formats, channels), weights, key)


def _check_commands(config: Config) -> None:
    """Refuse commands that could change the network or what it is run on."""
    for section in _COMMANDS:
        commands = config.content.get(section, [])
        for command in commands if isinstance(commands, list) else [commands]:
            text = command.strip() if isinstance(command, str) else ""
            if not text.startswith("$") or not is_harmless_command(text[1:]):
                config.refuse(f"the command {ascii(command)[:150]} in '{section}' is not run here")


def _dataset(config: Config, evaluator: Component) -> Component:
    loader = config.component(evaluator.raw("val_data_loader"), "dataloader")
    if loader.kind not in ("DataLoader", "ThreadDataLoader"):
        loader.refuse("is no DataLoader")
    loader.ignore("num_workers", "shuffle", "pin_memory", "prefetch_factor", "persistent_workers")
    loader.expect("batch_size", 1)
    dataset = config.component(loader.raw("dataset"), "dataset")
    loader.finish()
    if dataset.kind not in ("Dataset", "CacheDataset"):
        dataset.refuse("is neither Dataset nor CacheDataset")
    dataset.ignore("data", "transform", "cache_rate", "cache_num", "num_workers", "runtime_cache", "progress")
    dataset.finish()
    return dataset


def _inference(part: Component) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the window, and the recipe's branch `inference`."""
    if part.kind != "SlidingWindowInferer":
        part.refuse("is no SlidingWindowInferer")
    size = part.take("roi_size")
    window = part.counts("roi_size") if isinstance(size, list) else (size,) * 3
    if len(window) != 3 or not all(type(side) is int and 0 < side <= 2048 for side in window):
        part.refuse(f"has roi_size = {ascii(size)[:60]}, needed are three sides")
    overlap = part.take("overlap", 0.25)
    overlap = overlap[0] if isinstance(overlap, list) and len(set(map(str, overlap))) == 1 else overlap
    if isinstance(overlap, bool) or not isinstance(overlap, int | float) or not 0 <= overlap <= 0.9:
        part.refuse(f"has overlap = {ascii(overlap)[:60]}, needed is one share from 0 to 0.9")
    inference = {
        "overlap": overlap,
        "arithmetic": "monai",
        "weight": part.expect("mode", "constant", "gaussian"),
        "padding": {"constant": "zeros", "replicate": "edge"}[part.expect("padding_mode", "constant", "replicate")],
    }
    part.expect("sigma_scale", 0.125)
    part.expect("cval", 0.0, 0)
    part.expect("with_coord", False)
    part.ignore("sw_batch_size", "sw_device", "device", "progress", "cache_roi_weight_map", "cpu_thresh")
    part.ignore("buffer_steps", "buffer_dim")
    part.finish()
    return window, inference


def _finish(evaluator: Component) -> None:
    """Pass over what an evaluator says about its device and its scores, and refuse the rest."""
    evaluator.expect("mode", "eval")
    evaluator.expect("decollate", True)
    evaluator.ignore("device", "val_data_loader", "network", "inferer", "postprocessing", "val_handlers")
    evaluator.ignore("amp", "amp_kwargs", "non_blocking", "epoch_length", "compile", "compile_kwargs")
    evaluator.ignore("key_val_metric", "additional_metrics", "metric_cmp_fn", "to_kwargs", "event_names")
    evaluator.finish()


def _handlers(config: Config, evaluator: Component) -> list[Component]:
    """Return those of the evaluator and a loader of checkpoints that stands by itself."""
    found = []
    if "val_handlers" in evaluator.given and config.value(evaluator.raw("val_handlers")) is not None:
        found = list(config.parts(evaluator.raw("val_handlers"), "handlers"))
    for handler in found:
        if handler.kind not in _WATCHING:
            handler.refuse(f"is none of the handlers {', '.join(_WATCHING)}")
    if "checkpointloader" in config.content:
        found.append(config.component(config.at("checkpointloader"), "checkpointloader"))
    return found


def _checkpoint(config: Config, handlers: list[Component]) -> tuple[str, str]:
    """Return the file of the weights, by its place in the bundle's folder, and their key in it."""
    loaders = [handler for handler in handlers if handler.kind == "CheckpointLoader"]
    places = set()
    for loader in loaders:
        path, keys = loader.take("load_path"), config.value(loader.raw("load_dict"))
        loader.ignore("map_location", "name")
        loader.expect("strict", True)
        loader.expect("strict_shape", True)
        loader.finish()
        if not isinstance(path, str) or not isinstance(keys, dict) or len(keys) != 1:
            shown = path.text if isinstance(path, Unknown) else path
            loader.refuse(f"loads {ascii(shown)[:100]}, needed is one file for the network alone")
        places.add((_inside(config, path), str(next(iter(keys)))))
    if len(places) > 1:
        config.refuse("it loads weights from several files")
    return places.pop() if places else (_WEIGHTS, "model")


def _inside(config: Config, path: str) -> str:
    """Return a path as it goes on from the bundle's folder."""
    root = config.value(config.content.get("bundle_root", "."))
    start = f"{root}/" if isinstance(root, str) else ""
    parts = path.removeprefix(start).split("/")
    kept = [part for part in parts if part not in ("", ".")]
    if path.removeprefix(start).startswith("/") or ".." in kept or not kept or "\\" in path or "\0" in path:
        raise BundleError(f"{config.name}: {FILE} loads weights from {ascii(path)[:120]}, outside of the bundle.")
    return "/".join(kept)


def _names(formats: Any, side: str, count: int, config: Config) -> tuple[str, ...]:
    """Return the names that `network_data_format` gives to channels or outputs; by number where it gives none."""
    found = _format(formats, side)
    stated = found.get("num_channels", count)
    if stated != count:
        raise BundleError(
            f"{config.name}: configs/metadata.json states {ascii(stated)[:20]} channels for its {side}, {FILE} has "
            f"{count}. Fetch it again."
        )
    given = found.get("channel_def")
    given = given if isinstance(given, dict) else {}
    word = "channel" if side == "inputs" else "output"
    names = [str(given.get(str(place)) or f"{word} {place}")[:200] for place in range(count)]
    return tuple(one if names.count(one) == 1 else f"{one} {place}" for place, one in enumerate(names))


def _format(formats: Any, side: str) -> dict[str, Any]:
    """Return the first entry of the network's inputs or outputs; empty where metadata do not tell."""
    inner = formats.get(side) if isinstance(formats, dict) else None
    first = next(iter(inner.values()), None) if isinstance(inner, dict) else None
    return first if isinstance(first, dict) else {}


def _modality(formats: Any, channels: tuple[str, ...]) -> dict[str, str]:
    stated = _format(formats, "inputs").get("modality")
    known = {"CT": "CT", "MR": "MRI", "MRI": "MRI"}
    return dict.fromkeys(channels, known[stated]) if isinstance(stated, str) and stated in known else {}
