"""The steps of a fit by themselves."""

import pytest

from neuraxis.errors import RecipeError
from neuraxis.pipelines.steps import plan_datasets


def test_rules_of_post_processing_are_part_of_the_plan(toy_dataset, toy_settings):
    rules = ('postprocessing.largest=["ball"]', "postprocessing.min_volume_mm3.shell=12")

    plan = plan_datasets([toy_dataset], settings=(*toy_settings, *rules))

    assert plan.recipe.postprocessing.in_words() == (
        "remove components of shell below 12 mm3",
        "keep the largest component of ball",
    )


def test_rules_for_a_structure_that_the_data_lack_are_refused(toy_dataset, toy_settings):
    with pytest.raises(RecipeError, match=r"postprocessing: no structure is called 'bal'\. Did you mean 'ball'"):
        plan_datasets([toy_dataset], settings=(*toy_settings, 'postprocessing.fill_holes=["bal"]'))
