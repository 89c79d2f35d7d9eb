"""The table of public datasets: every address and hash with its page, every dataset to be had in one way."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

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
    assert source.page.startswith("https://")
    assert source.layout.split()[0] in {*LAYOUTS.names(), "none"}


@pytest.mark.parametrize("source", list_sources(), ids=lambda source: source.name)
def test_every_fact_has_a_page_that_states_it_or_is_none(source: Source) -> None:
    facts = source.facts()
    assert list(facts) == ["holds", "cases", "download", "licence", "cite", "remark", "otherwise"]
    for fact in facts.values():
        assert fact is None or (fact.says and all(page.startswith("https://") for page in fact.stated_at))
    cited = [*source.every_file(), *filter(None, (source.listing, source.annex, source.pairs, *facts.values()))]
    assert all(part.stated_at for part in cited)
    assert all(page.startswith("https://") for page in source.pages())
    assert source.pages()


def test_all_that_info_shows_is_a_fact_with_its_page_or_settled_by_the_reader() -> None:
    cited = {"holds", "cases", "download", "licence", "paper", "remark", "otherwise"}
    cited_within = {"files", "many", "listing", "annex", "pairs", "steps", "steps_stated_at"}
    ours = {"name", "title", "page", "layout", "opens", "top"}
    assert set(Source.model_fields) == cited | cited_within | ours


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cases": {"says": "12"}}, "stated_at"),
        ({"cases": {"says": "12", "stated_at": []}}, "stated_at"),
        ({"cases": {"says": "12", "stated_at": "a friend"}}, "stated_at"),
        ({"licence": None}, "no licence"),
        ({"files": [], "steps": ["Ask."]}, "no page states"),
        ({"steps": ["Ask."], "steps_stated_at": "https://example.org"}, "either steps or files"),
    ],
)
def test_a_fact_an_address_or_a_step_without_its_page_is_refused(change: dict, says: str) -> None:
    page = "https://example.org/page"
    toy = {
        "name": "toy", "title": "Toy", "page": page, "layout": "msd", "licence": {"says": "CC0", "stated_at": page},
        "files": [{"url": "https://example.org/a", "path": "a", "stated_at": page}],
    }  # fmt: skip
    assert Source.model_validate(toy).pages() == (page,)
    with pytest.raises(ValidationError, match=says):
        Source.model_validate({**toy, **change})


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'mslesseg'"):
        find_source("mslesegs")
