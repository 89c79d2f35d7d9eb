"""Our arithmetic beside nnU-Net's own decisions, which fixtures/make_nnunet_plans.py wrote down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.recipe.nnunet import NNUNetData, NNUNetPlan, nnunet_plan

FIXTURE = Path(__file__).parents[1] / "networks" / "fixtures" / "nnunet_plans.json"
ROWS = json.loads(FIXTURE.read_text("utf-8"))
PLANNERS = ("plain", "resenc-m", "resenc-l")
DECISIONS = ("spacing", "median", "patch", "batch", "strides", "kernels", "features", "encoder", "decoder")


def decided(plan: NNUNetPlan) -> dict[str, object]:
    """Return a plan as the fixture holds it."""
    configurations = {
        name: {key: json.loads(json.dumps(getattr(found, key))) for key in DECISIONS}
        for name, found in plan.configurations.items()
    }
    return {"transpose": list(plan.transpose), "configurations": configurations}


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_every_decision_is_nnunets(row: dict, planner: str) -> None:
    data = NNUNetData(row["shapes"], row["spacings"], row["training"], row["labels"])
    assert decided(nnunet_plan(data, planner)) == row["plans"][planner]


def test_the_table_holds_the_kinds_that_matter() -> None:
    plans = [row["plans"][planner]["configurations"] for row in ROWS for planner in PLANNERS]
    assert len(ROWS) >= 25
    assert sum("3d_lowres" in plan for plan in plans) >= 10
    assert sum("3d_fullres" not in plan for plan in plans) >= 3  # pictures
    assert {row["channels"] for row in ROWS} == {1, 2, 3, 4}
    kernels = [kernel for plan in plans for kernel in plan.get("3d_fullres", {}).get("kernels", ())]
    assert [1, 3, 3] in kernels
    batches = [plan[name]["batch"] for plan in plans for name in plan]
    assert (min(batches), max(batches) > 100) == (2, True)
