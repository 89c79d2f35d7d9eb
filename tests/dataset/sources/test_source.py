"""The table of public datasets: every address and hash with its page, every dataset to be had in one way."""

from __future__ import annotations

import pytest

from neuraxis.dataset.layouts.catalog import LAYOUTS
from neuraxis.dataset.sources.source import Source, find_source, list_sources
from neuraxis.errors import UnknownName

WANTED = {
    "mslesseg",
    "open-ms-data",
    "spine-generic",
    "ds005143",
    "ms-flair",
    "ms-flair-pictures",
    "verse19",
    "verse20",
}


def test_the_datasets_of_the_projects_and_ten_tasks_of_the_decathlon_are_known() -> None:
    names = [source.name for source in list_sources()]
    assert len(set(names)) == len(names)
    assert set(names) >= WANTED
    assert sum(name.startswith("msd-") for name in names) == 10


@pytest.mark.parametrize("source", list_sources(), ids=lambda source: source.name)
def test_every_address_is_https_has_its_page_and_its_own_place(source: Source) -> None:
    files = source.every_file()
    assert len({file.path for file in files}) == len(files)
    for file in files:
        assert file.url.startswith("https://")
        assert "{" not in file.url + file.path
        assert file.stated_at.startswith("https://")
    assert source.licence
    assert source.citation
    layout = source.layout.split()[0]
    assert layout in {*LAYOUTS.names(), "none"}


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'mslesseg'"):
        find_source("mslesegs")
