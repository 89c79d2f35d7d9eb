"""A toy dataset on a web server of this machine, and how it is fetched."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from neuraxis.dataset.sources.fetch import FetchedDataset, SourceOptions, fetch_source
from neuraxis.dataset.sources.source import Source
from neuraxis.progress import Silent

spec = importlib.util.spec_from_file_location("web_server", Path(__file__).parents[2] / "net" / "web_server.py")
web_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web_server)
server = web_server.server
PAGE = "https://example.org/page"


@pytest.fixture
def web() -> ModuleType:
    """The web server's ways to answer."""
    return web_server


@pytest.fixture
def source() -> Callable[..., Source]:
    """Makes a dataset of one zip without a published hash, on a given server, with given changes."""

    def make(at, **changes: object) -> Source:
        given: dict[str, object] = {
            "name": "toy", "title": "Toy", "page": PAGE, "layout": "msd", "top": "Task",
            "licence": {"says": "CC0", "stated_at": PAGE},
            "files": [{"url": at.url("/toy.zip"), "path": "toy.zip", "stated_at": PAGE, "unpack": "zip"}],
        }  # fmt: skip
        return Source.model_validate({**given, **changes})

    return make


@pytest.fixture
def fetch() -> Callable[..., FetchedDataset]:
    """Fetches a dataset whose licence is accepted, from a server that is not waited for long."""

    def run(wanted: Source, into: Path, **options: object) -> FetchedDataset:
        chosen = {"accept_licence": True, "patience": web_server.QUICK, **options}
        return fetch_source(wanted, into, SourceOptions(**chosen), Silent())

    return run
