"""From a name in a registry to a file that is whole, checked and ready to use."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from neuraxis.bundle.bundle import SUFFIX, open_bundle
from neuraxis.bundle.registry import ModelEntry, read_registry
from neuraxis.errors import BundleError, UsageError
from neuraxis.files import refuse_existing, sha256
from neuraxis.net.download import FetchOptions, fetch_file
from neuraxis.net.web import Patience
from neuraxis.progress import Progress
from neuraxis.registry import need

ZIP = ".zip"


@dataclass(frozen=True)
class PullOptions:
    """How a model is fetched.

    Attributes:
        registry: a JSON file or an https address; None takes the table that ships.
        offline: open no connection; what is there already is used.
        overwrite: whether another file of that name may be replaced.
        patience: how long servers are waited for.
    """

    registry: Path | str | None = None
    offline: bool = False
    overwrite: bool = False
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class PullResult:
    """What was fetched.

    Attributes:
        name: in the registry.
        path: a bundle, or nnU-Net's zip where that was asked for.
        sha256: of what was published, in hex.
        fetched: whether it came over the net; False where it was there already.
        licence: of the weights.
        page: where the model is published.
        next: the command that is to be typed next; empty where the bundle is ready.
    """

    name: str
    path: Path
    sha256: str
    fetched: bool
    licence: str
    page: str
    next: str = ""


def pull_bundle(
    name: str,
    into: Path | str | None = None,
    registry: Path | str | None = None,
    offline: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> PullResult:
    """Fetch a model of a registry, check it, and make a bundle of it where it is nnU-Net's.

    Args:
        name: in the registry.
        into: the file to write; None takes `NAME.nxb` in the current folder.
        registry: a JSON file or an https address; None takes the table that ships.
        offline: open no connection; what is there already is used.
        overwrite: whether another file of that name may be replaced.
        progress: who shows how far it is.

    Raises:
        BundleError: it cannot be fetched, or what came is refused.
        UnknownName: the registry does not list it.
        UsageError: the file exists and is another one.
        ResourceError: the disk is full.
        MissingExtra: a model of nnU-Net needs torch, which is not installed.
    """
    return pull(name, Path(into) if into else None, PullOptions(registry, offline, overwrite), progress)


def pull(
    name: str, into: Path | None = None, options: PullOptions | None = None, progress: Progress | None = None
) -> PullResult:
    """Fetch a model of a registry.

    A bundle is opened once, with all its checks, before it gets its name. What nnU-Net exported is imported, and its
    zip removed; with `into` ending in .zip it is only fetched.

    Args:
        name: in the registry.
        into: the file to write; None takes NAME.nxb in the current folder.
        options: registry, offline, overwrite, patience.
        progress: who shows how far it is.

    Raises:
        BundleError: it cannot be fetched, or what came is refused; nothing of it is left behind then.
        UnknownName: the registry does not list it.
        UsageError: the file exists and is another one, or has a wrong suffix.
        ResourceError: the disk is full, or another process is fetching it.
        MissingExtra: importing needs torch, which is not installed.
    """
    options = options or PullOptions()
    entry = read_registry(options.registry, options.offline).find(name)
    into = Path(f"{name}{SUFFIX}") if into is None else into
    suffixes = (SUFFIX,) if entry.kind == "neuraxis" else (SUFFIX, ZIP)
    if into.suffix not in suffixes:
        raise UsageError(f"{into}: {name} becomes a file that ends in {' or '.join(suffixes)}. Name one with --into.")
    if entry.kind == "nnunet" and into.suffix == SUFFIX:
        return _pull_and_import(entry, into, options, progress)
    check = open_bundle if entry.kind == "neuraxis" else None
    fetching = FetchOptions(options.offline, options.overwrite, check, options.patience)
    fetched = fetch_file(entry.remote, into, fetching, progress)
    return _result(entry, into, into, fetched, _import_command(entry, into) if entry.kind == "nnunet" else "")


def _pull_and_import(entry: ModelEntry, into: Path, options: PullOptions, progress: Progress | None) -> PullResult:
    need("torch", "train")
    from neuraxis.bundle.nnunet.importing import ImportOptions, import_nnunet

    refuse_existing(into, options.overwrite)
    archive = into.with_suffix(ZIP)
    fetching = FetchOptions(offline=options.offline, patience=options.patience)
    fetched = fetch_file(entry.remote, archive, fetching, progress)
    try:
        import_nnunet(archive, into, ImportOptions(entry.configuration or None, overwrite=options.overwrite))
    except UsageError as error:
        raise UsageError(f"{error} The zip is kept: {_import_command(entry, archive)}") from error
    except BundleError:
        if fetched:
            archive.unlink(missing_ok=True)
        raise
    result = _result(entry, into, archive, fetched)
    if fetched:
        archive.unlink(missing_ok=True)
    return result


def _result(entry: ModelEntry, path: Path, published: Path, fetched: bool, following: str = "") -> PullResult:
    found = entry.sha256 or sha256(published)
    return PullResult(entry.name, path, found, fetched, entry.licence, entry.page, following)


def _import_command(entry: ModelEntry, archive: Path) -> str:
    configuration = f" --configuration {entry.configuration}" if entry.configuration else ""
    source, into = shlex.quote(str(archive)), shlex.quote(str(archive.with_suffix(SUFFIX)))
    return f"neuraxis bundle import {source}{configuration} --into {into}"
