"""Which weights of a network a stage trains, how fast, and which it leaves as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Any

from torch import nn

from neuraxis.errors import RecipeError
from neuraxis.recipe.branches.stages import StageRecipe

_SHOWN = 20


def fits(name: str, pattern: str) -> bool:
    """Tell whether a weight is of a part of the network, or its whole name fits a pattern.

    >>> fits("encoder.1.0.weight", "encoder.1"), fits("encoder.10.0.weight", "encoder.1"), fits("a.bias", "*.bias")
    (True, False, True)
    """
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


def is_frozen(name: str, stage: StageRecipe) -> bool:
    """Tell whether a stage leaves a weight as it is."""
    return any(fits(name, pattern) for pattern in stage.freeze)


def trained_groups(network: nn.Module, stage: StageRecipe) -> list[dict[str, Any]]:
    """Return the weights that a stage trains, by the factor of their learning rate: an optimiser's groups."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not is_frozen(name, stage):
            found = [factor for pattern, factor in stage.rates.items() if fits(name, pattern)]
            groups.setdefault(found[-1] if found else 1.0, []).append(parameter)
    return [{"params": parameters, "factor": factor} for factor, parameters in groups.items()]


def hold_still(network: nn.Module, stage: StageRecipe) -> None:
    """Keep what a stage freezes from moving: its weights, and statistics of normalisation that no weight moves with.

    Args:
        network: in training; all that the stage does not freeze is set free.
        stage: what it freezes.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not is_frozen(name, stage))
        parameter.grad = parameter.grad if parameter.requires_grad else None
    for module in _with_frozen_statistics(network, stage):
        module.eval()


def _with_frozen_statistics(network: nn.Module, stage: StageRecipe) -> Iterator[nn.Module]:
    """Yield the modules with running statistics whose own weights are all frozen."""
    for prefix, module in network.named_modules():
        if getattr(module, "running_mean", None) is None:
            continue
        own = [name for name, _ in module.named_parameters(recurse=False)] or ["running_mean"]
        if all(is_frozen(f"{prefix}.{name}", stage) for name in own):
            yield module


def refuse_unknown_parts(network: nn.Module, stages: Sequence[StageRecipe]) -> None:
    """Refuse stages that name parts which the network does not have, or that train nothing.

    Raises:
        RecipeError: with the stage, the pattern and the parts that there are.
    """
    names = [name for name, _ in network.named_parameters()]
    for number, stage in enumerate(stages, start=1):
        for key, patterns in (("freeze", stage.freeze), ("rates", stage.rates)):
            for pattern in patterns:
                if not any(fits(name, pattern) for name in names):
                    raise RecipeError(
                        f"stage {number}: {key} names '{pattern}', which fits no weight of the network. Its parts are "
                        f"{', '.join(part_names(names))}; a pattern such as '*.bias' is compared with whole names."
                    )
        if all(is_frozen(name, stage) for name in names):
            raise RecipeError(f"stage {number}: freezes every weight, so nothing would be learned. Freeze less.")


def part_names(names: Iterable[str]) -> list[str]:
    """Return the parts that weights are of: the first word in which their names differ, and a number behind it.

    >>> part_names(["encoder.0.0.weight", "encoder.0.0.bias", "encoder.1.0.weight", "head.weight"])
    ['encoder.0', 'encoder.1', 'head']
    """
    split = [name.split(".") for name in names]
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*split, strict=False)))
    parts: dict[str, None] = {}
    for words in split:
        numbered = shared + 1 < len(words) and words[shared + 1].isdigit()
        parts[".".join(words[: shared + 1 + numbered])] = None
    found = [*parts]
    return found if len(found) <= _SHOWN else [*found[:_SHOWN], f"and {len(found) - _SHOWN} more"]
