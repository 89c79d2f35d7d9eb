"""Tables of models that can be fetched: where each lies, what its bytes hash to, and on which page that stands.

The table that ships is `registry.json` beside this file. Anybody may keep one like it, as a file or at an https
address; where one is named, it alone is read, so that no name can be taken over by another table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from neuraxis.bundle.bundle import SUFFIX, open_bundle
from neuraxis.bundle.members import CARD
from neuraxis.errors import BundleError, UnknownName, UsageError, suggest
from neuraxis.files import MAX_EXTRACTED_BYTES
from neuraxis.net.remote import RemoteFile
from neuraxis.net.web import check_address, fetch_text

MAX_REGISTRY = 4 * 2**20
EMPTY = "No models are listed yet. Name a registry of your own with --from (a JSON file or an https address)."
_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>{}\\,;]*[\w/]")
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def _one_line(text: str) -> str:
    """Return a text with its gaps as single spaces; control characters, which could steer a terminal, are refused."""
    text = " ".join(text.split())
    if not text.isprintable():
        raise ValueError("holds control characters")
    return text


def _https(url: str) -> str:
    check_address(url)
    return url


Text = Annotated[str, Field(max_length=5000), AfterValidator(_one_line)]
Address = Annotated[str, Field(max_length=2000), AfterValidator(_https)]


class Reference(BaseModel):
    """What to cite.

    Attributes:
        citation: in words, as it may stand in a list of references.
        doi: such as 10.1038/s41592-020-01008-z.
        authors: such as "Isensee, Fabian".
        title: of the work.
        journal: where it appeared.
        year: when.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    citation: Text = ""
    doi: Annotated[str, Field(pattern=r"^(10\.\d{4,9}/[!#-;=?-\[\]-z|~]+)?$", max_length=200)] = ""
    authors: tuple[Text, ...] = ()
    title: Text = ""
    journal: Text = ""
    year: int | None = Field(None, ge=1900, le=2200)

    def bibtex(self, key: str) -> str:
        """Return an entry for BibTeX; empty where no DOI is known.

        >>> print(Reference(citation="Doe 2020", doi="10.1000/1").bibtex("doe"))
        @misc{doe,
          note = {Doe 2020},
          doi = {10.1000/1},
          url = {https://doi.org/10.1000/1}
        }
        """
        if not self.doi:
            return ""
        fields = {
            "author": " and ".join(map(_tex, self.authors)),
            "title": f"{{{_tex(self.title)}}}" if self.title else "",
            "journal": _tex(self.journal),
            "year": str(self.year or ""),
            "note": "" if self.title else _tex(self.citation),
            "doi": self.doi,
            "url": f"https://doi.org/{self.doi}",
        }
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        kind = "article" if self.title and self.journal else "misc"
        key = re.sub(r"[^A-Za-z0-9]+", "-", key).strip("-") or "model"
        return f"@{kind}{{{key},\n{lines}\n}}"


class ModelEntry(Reference):
    """One model of a registry.

    Attributes:
        name: what is typed to fetch it: small letters, digits, dots and hyphens.
        summary: what it segments, on which images.
        kind: "neuraxis" for a bundle (.nxb), "nnunet" for the zip that nnU-Net 2 exports.
        urls: where it lies: the source, then its mirrors.
        size: in bytes.
        sha256: of the file, in hex.
        md5: of the file, in hex, where its publisher states nothing better.
        licence: of the weights.
        page: where addresses and hash were read.
        configuration: for "nnunet": which one to import where the zip holds several.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=80)]
    summary: Text = ""
    kind: Literal["neuraxis", "nnunet"]
    urls: tuple[Address, ...] = Field(min_length=1)
    size: int = Field(gt=0, le=MAX_EXTRACTED_BYTES)
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    md5: Annotated[str, Field(pattern="^([0-9a-f]{32})?$")] = ""
    licence: Annotated[Text, Field(min_length=1)]
    page: Address
    configuration: Annotated[str, Field(pattern=r"^\w*$", max_length=80)] = ""

    @field_validator("sha256", "md5", mode="before")
    @classmethod
    def _small_letters(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_checkable(self) -> ModelEntry:
        if not (self.sha256 or self.md5):
            raise ValueError("needs a sha256 (or an md5, where nothing better is published)")
        return self

    @property
    def remote(self) -> RemoteFile:
        """The file to fetch."""
        return RemoteFile(self.name, self.urls, self.size, self.sha256, self.md5)


class Registry(BaseModel):
    """A table of models.

    Attributes:
        schema_version: 1.
        models: the entries, each name once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1]
    models: tuple[ModelEntry, ...]

    @model_validator(mode="after")
    def _names_once(self) -> Registry:
        names = [entry.name for entry in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"lists '{twice[0]}' twice")
        return self

    def find(self, name: str) -> ModelEntry:
        """Return the entry of a name.

        Raises:
            UnknownName: it is not listed; the message offers the nearest.
            UsageError: nothing is listed.
        """
        for entry in self.models:
            if entry.name == name:
                return entry
        if not self.models:
            raise UsageError(f"No model is called {name!a}. {EMPTY}")
        raise UnknownName("model", name, (entry.name for entry in self.models))


class Citation(BaseModel):
    """How to name a model in a paper, and on what terms it may be used.

    Attributes:
        name: of the model.
        licence: of the weights.
        citation: in words; empty where none is stated.
        bibtex: an entry for each DOI that is known.
        page: where the model was published; empty where that is not stated.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    licence: str
    citation: str
    bibtex: tuple[str, ...]
    page: str = ""


def read_registry(source: Path | str | None = None, offline: bool = False) -> Registry:
    """Read a registry.

    Args:
        source: a JSON file or an https address; None takes the one that ships.
        offline: open no connection.

    Raises:
        BundleError: it cannot be read, or an entry is wrong.
    """
    if source is None:
        return _parse(resources.files("neuraxis.bundle").joinpath("registry.json").read_text("utf-8"), "registry.json")
    if "://" in str(source):
        return _parse(fetch_text(str(source), MAX_REGISTRY, offline), str(source))
    path = Path(source)
    try:
        if path.stat().st_size > MAX_REGISTRY:
            raise BundleError(f"{path}: is larger than any registry ({MAX_REGISTRY} bytes). Name a JSON file.")
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}). Name a registry's JSON file.") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{path}: is no text. Name a registry's JSON file.") from error


def list_bundles(registry: Path | str | None = None, offline: bool = False) -> tuple[ModelEntry, ...]:
    """Return the models that can be fetched by name.

    Args:
        registry: a JSON file or an https address; None takes the table that ships.
        offline: open no connection.

    Raises:
        BundleError: the registry cannot be read, or an entry is wrong.
    """
    return read_registry(registry, offline).models


def cite_bundle(name: Path | str, registry: Path | str | None = None, offline: bool = False) -> Citation:
    """Say how to cite a model, and on what terms it may be used.

    Args:
        name: name in the registry, or a bundle's file or folder.
        registry: a JSON file or an https address; None takes the table that ships.
        offline: open no connection.

    Raises:
        BundleError: the bundle or the registry is refused.
        UnknownName: it is not listed.
    """
    name = str(name)
    if name.endswith(SUFFIX) or "/" in name or (Path(name) / CARD).is_file():
        card = open_bundle(name).card
        text, licence = str(card.get("citation", "")), str(card.get("licence", "not stated"))
        title = str(card["name"])
        return Citation(name=title, licence=licence, citation=text, bibtex=tuple(_entries(text, title)))
    entry = read_registry(registry, offline).find(name)
    named = tuple(filter(None, [entry.bibtex(entry.name)])) or tuple(_entries(entry.citation, entry.name))
    return Citation(name=entry.name, licence=entry.licence, citation=entry.citation, bibtex=named, page=entry.page)


def _entries(text: str, name: str) -> Iterable[str]:
    """Yield an entry for each DOI in a citation; works are parted by semicolons."""
    for number, work in enumerate(piece for piece in text.split(";") if _DOI.search(piece)):
        found = _DOI.search(work)
        if found:
            reference = Reference(citation=" ".join(work.split()), doi=found[0])
            yield reference.bibtex(f"{name}-{number + 1}" if number else name)


def _parse(text: str, source: str) -> Registry:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{source}: is not valid JSON ({error}). Mend it, or name another registry.") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > 1:
        raise BundleError(
            f"{source}: is a registry of schema {str(version)[:20]}, this neuraxis reads schema 1. Type: pip install "
            "-U neuraxis"
        )
    try:
        return Registry.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    place = [str(key) for key in first["loc"]]
    if first["type"] == "extra_forbidden":
        known = ModelEntry.model_fields if "models" in place else Registry.model_fields
        advice = f"is no key of a registry. {suggest(place[-1], known)}"
    else:
        advice = f"{first['msg'].removeprefix('Value error, ')} (found {ascii(first['input'])[:60]})."
    where = ascii(".".join(_name(content, place)))[1:-1][:120]
    raise BundleError(f"{source}: {where or 'the whole'}: {advice} Mend it, or name another registry.")


def _name(content: Any, place: list[str]) -> list[str]:
    """Return a place with the model's name where it has one, which says more than its number."""
    if len(place) > 1 and place[0] == "models" and place[1].isdecimal():
        entry = content["models"][int(place[1])]
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            return [entry["name"], *place[2:]]
    return place


def _tex(text: str) -> str:
    return "".join(_TEX.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in text)
