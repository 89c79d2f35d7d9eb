"""Embeddings on disk, within a bounded size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from neuraxis.networks.sam.cache import EmbeddingCache

ONE = 2 * 1024 + 512  # an embedding of a thousand halves, with some room for the file's head


def picture(number: int) -> torch.Tensor:
    return torch.full((3, 4, 4), float(number))


def embedding(number: int) -> tuple[torch.Tensor, ...]:
    return (torch.full((1, 1024), float(number)),)


def refuse() -> tuple[torch.Tensor, ...]:
    pytest.fail("it was kept, and is computed again")


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_what_was_kept_is_not_computed_again_by_another_process(tmp_path) -> None:
    EmbeddingCache(tmp_path, 10 * ONE, "weights").get(picture(1), lambda: embedding(1))
    found = EmbeddingCache(tmp_path, 10 * ONE, "weights").get(picture(1), refuse)
    assert torch.equal(found[0], embedding(1)[0].half())


def test_other_weights_have_embeddings_of_their_own(tmp_path) -> None:
    EmbeddingCache(tmp_path, 10 * ONE, "one").get(picture(1), lambda: embedding(1))
    found = EmbeddingCache(tmp_path, 10 * ONE, "other").get(picture(1), lambda: embedding(2))
    assert float(found[0][0, 0]) == 2


def test_the_folder_never_grows_beyond_its_size_and_the_longest_unused_goes_first(tmp_path) -> None:
    cache = EmbeddingCache(tmp_path, 3 * ONE, "")
    for number in range(3):
        cache.get(picture(number), lambda number=number: embedding(number))
    cache.get(picture(0), refuse)
    for number in range(3, 5):
        cache.get(picture(number), lambda number=number: embedding(number))
        assert on_disk(tmp_path) <= 3 * ONE
    cache.get(picture(0), refuse)
    computed = []
    cache.get(picture(1), lambda: computed.append(1) or embedding(1))
    assert computed == [1]


def test_a_smaller_size_makes_room_at_once(tmp_path) -> None:
    large = EmbeddingCache(tmp_path, 10 * ONE, "")
    for number in range(5):
        large.get(picture(number), lambda number=number: embedding(number))
    for place, path in enumerate(sorted(tmp_path.iterdir())):
        os.utime(path, ns=(place, place))
    EmbeddingCache(tmp_path, 2 * ONE, "")
    assert 0 < on_disk(tmp_path) <= 2 * ONE


def test_what_is_larger_than_the_size_is_not_kept(tmp_path) -> None:
    EmbeddingCache(tmp_path, 100, "").get(picture(1), lambda: embedding(1))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_damaged_or_gone_is_computed_again(tmp_path) -> None:
    cache = EmbeddingCache(tmp_path, 10 * ONE, "")
    cache.get(picture(1), lambda: embedding(1))
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"damaged")
    assert float(cache.get(picture(1), lambda: embedding(1))[0][0, 0]) == 1
    kept.unlink()
    assert float(cache.get(picture(1), lambda: embedding(1))[0][0, 0]) == 1
