"""Times steps of one training in a process of its own; `training_step.py` starts it.

Run: python _step_ours.py STORE PRECISION AUGMENTATION BATCH WARM STEPS. The last line printed is JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from _measure import Meter


def main() -> None:
    from neuraxis.pipelines.steps import job_of_store
    from neuraxis.recipe.augmentation import AugmentationRecipe
    from neuraxis.training.train import train

    store, precision, preset = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    batch, warm, steps = (int(word) for word in sys.argv[4:7])
    meters: list[Meter] = []
    facts: dict[str, float] = {}
    done = 0

    def count() -> bool:
        nonlocal done
        done += 1
        if done == warm:
            meters.append(Meter())
        if done == warm + steps:
            facts.update(meters[0].read(steps))
        return done == warm + steps

    with tempfile.TemporaryDirectory(prefix="neuraxis-bench-") as name:
        job = job_of_store(store, Path(name), 0, "cpu")
        recipe = job.recipe
        training = {"precision": precision, "steps": 10_000, "validations": 1, "checkpoint_minutes": 60.0}
        recipe = recipe.model_copy(
            update={
                "training": recipe.training.model_copy(update=training),
                "patches": recipe.patches.model_copy(update={"batch": batch}),
                "augmentation": recipe.augmentation if preset == "default" else AugmentationRecipe(preset=preset),
            }
        )
        task = train(replace(job, recipe=recipe), stop=count)
    parameters = sum(value.numel() for value in task.network.parameters())
    print("\n" + json.dumps({**facts, "waiting_share": task.clock.waiting_share, "parameters": parameters}), flush=True)


if __name__ == "__main__":
    main()
