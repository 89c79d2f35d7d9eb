"""The optimisers, and the clipping of gradients."""

import pytest
import torch

from neuraxis.recipe.recipe import TrainingRecipe
from neuraxis.training.optimisation.optimizers import build_optimizer, clip_gradients


def stepped(gradients, **settings):
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = build_optimizer(TrainingRecipe(learning_rate=0.1, **settings), [weight])
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({"optimizer": "adamw"}, lambda w: torch.optim.AdamW(w, 0.1, weight_decay=0.01)),
        ({"optimizer": "adam"}, lambda w: torch.optim.Adam(w, 0.1, weight_decay=0.01)),
        ({"optimizer": "sgd"}, lambda w: torch.optim.SGD(w, 0.1, 0.99, nesterov=True, weight_decay=0.01)),
        (
            {"optimizer": "sgd", "momentum": 0.5, "nesterov": False, "weight_decay": 0.0},
            lambda w: torch.optim.SGD(w, 0.1, 0.5),
        ),
        ({"optimizer": "sgd", "momentum": 0.0}, lambda w: torch.optim.SGD(w, 0.1, weight_decay=0.01)),
    ],
)
def test_each_optimiser_steps_as_torchs(settings, theirs):
    gradients = [[1.0, -2.0], [0.5, 0.5], [-1.0, 3.0]]
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = theirs([weight])
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()

    assert torch.allclose(stepped(gradients, **settings), weight)


@pytest.mark.parametrize(
    ("settings", "clipped"),
    [
        ({"clip_norm": 0, "clip_value": 0}, [30.0, -40.0]),
        ({"clip_norm": 5, "clip_value": 0}, [3.0, -4.0]),
        ({"clip_norm": 0, "clip_value": 35}, [30.0, -35.0]),
        ({"clip_norm": 5, "clip_value": 20}, [3.5355, -3.5355]),
        ({"clip_norm": 100, "clip_value": 100}, [30.0, -40.0]),
    ],
)
def test_gradients_are_cut_and_then_shortened(settings, clipped):
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([30.0, -40.0])

    clip_gradients(TrainingRecipe(**settings), [weight])

    assert weight.grad.tolist() == pytest.approx(clipped, rel=1e-3)
