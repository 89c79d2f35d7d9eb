import json

import numpy as np
import pytest

from neuraxis.errors import UsageError
from neuraxis.pipelines.copies.copies import StoreOptions, copy_ids
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.preparation.store import Store

STRONG = ("augmentation.preset=nnunet", "augmentation.affine_probability=1.0")


@pytest.fixture(scope="module")
def folder(toy_dataset, toy_settings, tmp_path_factory):
    place = tmp_path_factory.mktemp("copies") / "store"
    prepare_datasets([toy_dataset], "auto", (*toy_settings, *STRONG), place, how=StoreOptions(copies=2))
    return place


def test_every_case_has_its_copies_which_differ_from_it_and_from_one_another(folder):
    store = Store(folder)
    assert len(store.ids()) == 24
    original, label = store.read("toy_00")
    images, targets = zip(*(store.read(id) for id in copy_ids("toy_00", 2)), strict=True)
    assert images[0].shape == original.shape
    assert not np.array_equal(images[0], original)
    assert not np.array_equal(images[0], images[1])
    for target in targets:
        assert target.dtype == label.dtype
        assert set(np.unique(target)) <= set(np.unique(label))
        assert not np.array_equal(target, label)


def test_in_a_fold_the_copies_of_held_out_cases_are_left_out(folder, tmp_path):
    for number in range(2):
        fold = job_of_store(folder, tmp_path / "run", number).fold
        training = {id.partition("~")[0] for id in fold.training}
        assert len(fold.training) == 3 * len(training)
        assert not training & set(fold.validation)
        assert not any("~" in id for id in fold.validation)


def test_copies_are_a_function_of_seed_case_and_number(folder, toy_dataset, toy_settings, tmp_path):
    prepare_datasets([toy_dataset], "auto", (*toy_settings, *STRONG), tmp_path, how=StoreOptions(copies=1))
    np.testing.assert_array_equal(Store(tmp_path).read("toy_03~1")[0], Store(folder).read("toy_03~1")[0])
    seed = (*toy_settings, *STRONG, "seed=5")
    prepare_datasets([toy_dataset], "auto", seed, tmp_path, how=StoreOptions(copies=1, overwrite=True))
    assert not np.array_equal(Store(tmp_path).read("toy_03~1")[0], Store(folder).read("toy_03~1")[0])


def test_the_same_call_again_keeps_them_and_fewer_need_leave(folder, toy_dataset, toy_settings):
    written = (folder / "toy_00~1" / "case.json").stat().st_mtime_ns
    settings = (*toy_settings, *STRONG)
    prepare_datasets([toy_dataset], "auto", settings, folder, how=StoreOptions(copies=2))
    assert (folder / "toy_00~1" / "case.json").stat().st_mtime_ns == written
    assert json.loads((folder / "store.json").read_text())["copies"] == 2
    with pytest.raises(UsageError, match="2 augmented copies of each case, asked are 1"):
        prepare_datasets([toy_dataset], "auto", settings, folder, how=StoreOptions(copies=1))


def test_copies_that_would_change_nothing_are_refused(toy_dataset, toy_settings, tmp_path):
    none = (*toy_settings, "augmentation.preset=none", "augmentation.mirror_axes=[]")
    with pytest.raises(UsageError, match="the recipe augments nothing"):
        prepare_datasets([toy_dataset], "auto", none, tmp_path, how=StoreOptions(copies=1))
    with pytest.raises(UsageError, match="--copies -1: needed is a number from 0 to 100"):
        prepare_datasets([toy_dataset], "auto", toy_settings, tmp_path, how=StoreOptions(copies=-1))
    assert not any(tmp_path.iterdir())
