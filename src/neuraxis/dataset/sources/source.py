"""What is known of a public dataset: its terms, its addresses, and on which page each of them stands.

The table is `sources.json` beside this file. No address and no hash stands in it without the page that states it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from neuraxis.errors import UnknownName
from neuraxis.files import plain_path
from neuraxis.net.web import check_address


def _https(url: str) -> str:
    check_address(url)
    return url


def _inside(path: str) -> str:
    if plain_path(path) is None:
        raise ValueError(f"{path!a} would leave the folder")
    return path


Address = Annotated[str, Field(max_length=2000), AfterValidator(_https)]
Inside = Annotated[str, Field(max_length=300), AfterValidator(_inside)]
Text = Annotated[str, Field(max_length=2000)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Frozen):
    """One file of a dataset.

    Attributes:
        url: where it lies.
        path: where it goes in the dataset's folder; an archive is unpacked there and removed.
        stated_at: the page that states the address, and the hash where there is one.
        size: in bytes; None where no page states it.
        sha256: in hex; empty where no page states it.
        md5: the same.
        unpack: "zip" or "tar" for an archive.
    """

    url: Address
    path: Inside
    stated_at: Address
    size: Annotated[int, Field(gt=0)] | None = None
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    md5: Annotated[str, Field(pattern="^([0-9a-f]{32})?$")] = ""
    unpack: Literal["", "zip", "tar"] = ""


class Many(_Frozen):
    """Files whose addresses differ in a few words: every combination of them is one.

    Attributes:
        file: with a word in braces where they differ, in `url` and `path`.
        words: each such word and what stands for it in turn.
    """

    file: dict[str, str]
    words: dict[str, tuple[str, ...]]

    def files(self) -> tuple[SourceFile, ...]:
        """Return the files."""
        made = [self.file]
        for word, values in self.words.items():
            made = [
                {key: text.replace(f"{{{word}}}", value) for key, text in file.items()}
                for file in made
                for value in values
            ]
        return tuple(SourceFile.model_validate(file) for file in made)


class Listing(_Frozen):
    """A bucket that lists its files itself, as Amazon's S3 does.

    Attributes:
        bucket: its address.
        prefix: what the keys of the dataset begin with; it ends in a slash.
        stated_at: the page that states both.
    """

    bucket: Address
    prefix: Annotated[str, Field(pattern=r"^[\w.-]+/$", max_length=100)]
    stated_at: Address


class Pairs(_Frozen):
    """How images and label maps pair where the dataset is in no layout of ours; a dataset.json is written then.

    Attributes:
        images: patterns of the files, one for each channel, with `{case}` for what tells cases apart.
        channels: names of the channels.
        label: pattern of the label map.
        labels: name to number.
        ending: of all files.
    """

    images: tuple[str, ...]
    channels: tuple[str, ...]
    label: str
    labels: dict[str, int]
    ending: str = ".nii.gz"


class Source(_Frozen):
    """A public dataset.

    Attributes:
        name: what is typed to fetch it.
        title: its own name.
        summary: what it holds.
        cases: how many, in words.
        download: about how much comes over the net, in words.
        licence: name of the licence.
        licence_page: where it stands.
        citation: what to cite.
        page: the dataset's own page.
        layout: the layout it is in once it is here.
        opens: empty where neuraxis opens it as it comes; else what must be done first.
        files: what is fetched.
        many: files in series, besides.
        listing: a bucket that lists the files.
        top: folder within the archives that is the dataset.
        pairs: which images and label maps belong together.
        steps: what a person must do, where no program may fetch it.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    title: Text
    summary: Text
    cases: Text
    download: Text
    licence: Text
    licence_page: Address
    citation: Text
    page: Address
    layout: Text
    opens: Text = ""
    files: tuple[SourceFile, ...] = ()
    many: tuple[Many, ...] = ()
    listing: Listing | None = None
    top: Annotated[str, Field(max_length=200)] = ""
    pairs: Pairs | None = None
    steps: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _can_be_had(self) -> Source:
        if bool(self.steps) == bool(self.files or self.many or self.listing):
            raise ValueError(f"{self.name} needs either steps or files")
        return self

    def every_file(self) -> tuple[SourceFile, ...]:
        """Return all files that the table names."""
        return (*self.files, *(file for series in self.many for file in series.files()))


@cache
def list_sources() -> tuple[Source, ...]:
    """Return every dataset that is known, sorted by name."""
    text = resources.files("neuraxis.dataset.sources").joinpath("sources.json").read_text("utf-8")
    return tuple(sorted((Source.model_validate(entry) for entry in json.loads(text)), key=lambda one: one.name))


def find_source(name: str) -> Source:
    """Return the dataset of a name.

    Raises:
        UnknownName: it is not known; the message offers the nearest.
    """
    for source in list_sources():
        if source.name == name:
            return source
    raise UnknownName("dataset", name, (source.name for source in list_sources()))
