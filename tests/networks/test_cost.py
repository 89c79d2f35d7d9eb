"""What a network costs, counted by hand; that counts are those of the networks themselves is tested in tests/every."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neuraxis.networks.catalog import LAYERS, OPTIONS
from neuraxis.networks.cost import Cost, TrainingStep, cost, example_cost, step_memory_gb, training_memory_gb
from neuraxis.networks.options import UNetOptions
from neuraxis.networks.topology import plan_topology

TWO_STAGES = UNetOptions(
    features=(2, 4), kernels=((3, 3, 3),) * 2, strides=((1, 1, 1), (2, 2, 2)), convolutions=1, flat_axis=None
)
TRAIN_STEPS = Path(__file__).parents[2] / "benchmarks" / "_train_steps.py"


def test_a_network_of_two_stages_costs_what_its_five_layers_cost():
    """Kernel, channels before and after, voxels: 27-1-2 on 64, 27-2-4 on 8, 8-4-2 up, 27-4-2 on 64, 1-2-3 on 64."""
    counted = cost("unet", TWO_STAGES, (4, 4, 4), 1, 3)

    weights = 27 * 2 + 27 * 2 * 4 + 8 * 4 * 2 + 27 * 4 * 2 + 2 * 3
    biases, norms = 2 + 4 + 2 + 2 + 3, 2 * (2 + 4 + 2)
    assert counted.parameters == weights + biases + norms
    assert counted.multiply_adds == 27 * 2 * 64 + 27 * 2 * 4 * 8 + 8 * 4 * 2 * 8 + 27 * 4 * 2 * 64 + 2 * 3 * 64


def test_a_patch_that_is_no_multiple_of_the_stride_counts_as_padded():
    assert cost("unet", TWO_STAGES, (3, 4, 3), 1, 3) == cost("unet", TWO_STAGES, (4, 4, 4), 1, 3)


def test_a_network_that_does_not_say_its_layers_costs_zeros_and_the_program_alone():
    assert cost("foreign", object(), (8, 8, 8), 1, 2) == example_cost("foreign") == Cost(0, 0)
    assert training_memory_gb("foreign", object(), (8, 8, 8), 2, 1, 2) < 1


@pytest.mark.parametrize("name", LAYERS.names())
def test_memory_grows_with_batch_and_patch_and_shrinks_with_half_precision(name):
    options = OPTIONS.load(name).planned(plan_topology((64, 64, 64), (1.0, 1.0, 1.0)), 32, 320, None)
    alone = training_memory_gb(name, options, (64, 64, 64), 1, 1, 2)
    loss_gb = 5 * 4 * 58 * 64**3 / 2**30  # of 58 more outputs

    assert training_memory_gb(name, options, (64, 64, 64), 2, 1, 2) > 1.1 * alone
    assert training_memory_gb(name, options, (64, 64, 128), 1, 1, 2) > 1.1 * alone
    assert training_memory_gb(name, options, (64, 64, 64), 1, 1, 60) > alone + loss_gb
    assert step_memory_gb(name, options, TrainingStep((64, 64, 64), 1, 1, 2, half=True)) < 0.99 * alone


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_real_training_stays_below_the_estimate_which_is_at_most_a_third_too_high(precision, tmp_path):
    """The program with its libraries is in both, so the patch is as large as a short test allows."""
    patch, outputs = (32, 32, 32), 3
    options = UNetOptions.planned(plan_topology(patch, (1.0, 1.0, 1.0)), 32, 320, None)
    expected = step_memory_gb("unet", options, TrainingStep(patch, 2, 1, outputs, half=precision == "bf16"))
    plan = {"network": "unet", "options": options.model_dump(), "patch": patch, "batch": 2, "channels": 1}
    plan |= {"outputs": outputs, "precision": precision, "device": "cpu", "steps": 2}
    (tmp_path / "plan.json").write_text(json.dumps(plan))

    done = subprocess.run(
        [sys.executable, TRAIN_STEPS, tmp_path / "plan.json"], capture_output=True, text=True, timeout=300, check=True
    )

    peak = json.loads(done.stdout.splitlines()[-1])["peak_gb"]
    assert peak <= expected <= 1.33 * peak
