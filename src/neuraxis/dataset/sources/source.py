"""What is known of a public dataset: what it holds, its terms, its addresses, and on which page each of them stands.

The table is `sources.json` beside this file. Nothing stands in it without a page that states it; what no page states is
left out, and is shown as not stated.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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


def _several(pages: object) -> object:
    return (pages,) if isinstance(pages, str) else pages


Address = Annotated[str, Field(max_length=2000), AfterValidator(_https)]
Pages = Annotated[tuple[Address, ...], BeforeValidator(_several), Field(min_length=1)]
Inside = Annotated[str, Field(max_length=300), AfterValidator(_inside)]
Text = Annotated[str, Field(max_length=2000)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fact(_Frozen):
    """What is said of a dataset.

    Attributes:
        says: in words.
        stated_at: the pages that state it; one is enough.
    """

    says: Annotated[str, Field(min_length=1, max_length=2000)]
    stated_at: Pages


class SourceFile(_Frozen):
    """One file of a dataset.

    Attributes:
        url: where it lies.
        path: where it goes in the dataset's folder; an archive is unpacked there and removed.
        stated_at: the pages that state the address, and the hash where there is one.
        size: in bytes; None where no page states it.
        sha256: in hex; empty where no page states it.
        md5: the same.
        unpack: "zip" or "tar" for an archive.
    """

    url: Address
    path: Inside
    stated_at: Pages
    size: Annotated[int, Field(gt=0)] | None = None
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    md5: Annotated[str, Field(pattern="^([0-9a-f]{32})?$")] = ""
    unpack: Literal["", "zip", "tar"] = ""


class Many(_Frozen):
    """Files whose addresses differ in a few words: every combination of them is one.

    Attributes:
        file: with a word in braces where they differ, in `url` and `path`; and `stated_at`.
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
        stated_at: the pages that state both.
    """

    bucket: Address
    prefix: Annotated[str, Field(pattern=r"^[\w.-]+/$", max_length=100)]
    stated_at: Pages


class Annex(_Frozen):
    """Where the files lie that a repository holds as pointers alone (git-annex); see `annex.py`.

    Attributes:
        address: the name of a file's content comes after it.
        stated_at: the pages that state it.
    """

    address: Address
    stated_at: Pages


class Pairs(_Frozen):
    """How images and label maps pair where the dataset is in no layout of ours; a dataset.json is written then.

    Attributes:
        images: patterns of the files, one for each channel, with `{case}` for what tells cases apart.
        channels: names of the channels.
        label: pattern of the label map.
        labels: name to number.
        ending: of all files.
        stated_at: the pages that state how the files and the labels are called.
    """

    images: tuple[str, ...]
    channels: tuple[str, ...]
    label: str
    labels: dict[str, int]
    stated_at: Pages
    ending: str = ".nii.gz"


class Source(_Frozen):
    """A public dataset. A fact that is None is stated on no page that is known.

    Attributes:
        name: what is typed to fetch it.
        title: its own name, as its page gives it.
        page: the dataset's own page.
        holds: what is in it.
        cases: how many.
        download: about how much comes over the net.
        licence: name of the licence.
        paper: what to cite.
        remark: what else must be known before it is used.
        otherwise: another way to get it.
        layout: the layout it is in once it is here.
        opens: empty where neuraxis opens it as it comes; else what must be done first.
        files: what is fetched.
        many: files in series, besides.
        listing: a bucket that lists the files.
        annex: where the files lie that an archive holds as pointers.
        top: folder within the archives that is the dataset.
        pairs: which images and label maps belong together.
        steps: what a person must do, where no program may fetch it.
        steps_stated_at: the pages that state the addresses and commands in them.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    title: Text
    page: Address
    holds: Fact | None = None
    cases: Fact | None = None
    download: Fact | None = None
    licence: Fact | None = None
    paper: Fact | None = None
    remark: Fact | None = None
    otherwise: Fact | None = None
    layout: Text
    opens: Text = ""
    files: tuple[SourceFile, ...] = ()
    many: tuple[Many, ...] = ()
    listing: Listing | None = None
    annex: Annex | None = None
    top: Annotated[str, Field(max_length=200)] = ""
    pairs: Pairs | None = None
    steps: tuple[Text, ...] = ()
    steps_stated_at: Annotated[tuple[Address, ...], BeforeValidator(_several)] = ()

    @model_validator(mode="after")
    def _can_be_had(self) -> Source:
        fetched = bool(self.files or self.many or self.listing)
        if bool(self.steps) == fetched:
            raise ValueError(f"{self.name} needs either steps or files")
        if fetched and self.licence is None:
            raise ValueError(f"{self.name} has no licence to be accepted")
        if self.steps and not self.steps_stated_at:
            raise ValueError(f"{self.name} has steps that no page states")
        return self

    def facts(self) -> dict[str, Fact | None]:
        """Return all that is said of the dataset, by name, in the order in which it is read."""
        return {
            "holds": self.holds,
            "cases": self.cases,
            "download": self.download,
            "licence": self.licence,
            "cite": self.paper,
            "remark": self.remark,
            "otherwise": self.otherwise,
        }

    def pages(self) -> tuple[str, ...]:
        """Return the pages that state addresses, hashes, names of files and steps, each once."""
        stated = [file.stated_at for file in self.every_file()]
        stated += [part.stated_at for part in (self.listing, self.annex, self.pairs) if part is not None]
        return tuple(dict.fromkeys(page for pages in (*stated, self.steps_stated_at) for page in pages))

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
