"""A trained model as one file, or as a folder of the same files.

`NAME.nxb` is a zip of `bundle.json` (the card), `SHA256SUMS`, and for each fold `fold-K.safetensors` (the weights) and
`fold-K.onnx` (the network for engines that know no torch; its weights are read from the safetensors file). The second
stage of a cascade holds the bundle of the first, `previous.nxb`; an ensemble of models that were planned differently
holds those of the others, `member-K.nxb`. There is no code inside. Everything is checked before anything is used:
names, sizes, hashes, the card, that weights are finite, and that a network reads only its own.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuraxis.bundle.card import Card, Metrics, input_names, parse_card, parse_raw
from neuraxis.bundle.members import (
    CARD,
    MAX_CARD,
    PREVIOUS,
    QUALITY,
    SUMS,
    check_hashes,
    check_names,
    format_sums,
    list_folder,
)
from neuraxis.bundle.network_file import check_network
from neuraxis.bundle.unpack import unpack
from neuraxis.bundle.weights import check_weights
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError, UsageError
from neuraxis.files import atomic_path, refuse_existing, sha256
from neuraxis.recipe.recipe import Recipe

SUFFIX = ".nxb"


@dataclass(frozen=True)
class FoldFiles:
    """The files of one fold.

    Attributes:
        index: number of the fold.
        weights: safetensors file.
        onnx: the network; it reads its weights from `weights`, which lies in the same folder.
        int8: the same, quantised; it holds its own weights.
    """

    index: int
    weights: Path
    onnx: Path | None = None
    int8: Path | None = None

    def by_name(self) -> dict[str, Path]:
        """Return the files that are there, by the names they have inside a bundle."""
        files = {"safetensors": self.weights, "onnx": self.onnx, "int8.onnx": self.int8}
        return {f"fold-{self.index}.{suffix}": path for suffix, path in files.items() if path is not None}


@dataclass(frozen=True)
class BundleParts:
    """What `write_bundle` joins: the card, its folds, and what not every bundle has.

    Attributes:
        quality: reference for the quality verdict.
        previous: file of the bundle of a cascade's first stage.
        members: files of the bundles of an ensemble's further models.
    """

    card: Card
    folds: tuple[FoldFiles, ...]
    quality: Path | None = None
    previous: Path | None = None
    members: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ModelBundle:
    """An opened bundle whose files were all checked.

    Attributes:
        path: what was opened: the file or the folder.
        folder: where the checked files lie.
        name: of the model.
        recipe: every decision, preparation and tiling included.
        labels: what the network's outputs mean.
        channels: names of the image's channels, in the network's order.
        modality: channel to what it is ("MRI", "CT", ...).
        card: the whole of `bundle.json`, as it stands in the file.
        folds: files of each fold, by rising index.
        hash: SHA-256 of `SHA256SUMS`: one for the same content, whether file or folder.
        quality: reference for the quality verdict, where there is one.
        previous_labels: which labels of the previous stage the network sees as further channels.
        previous: the previous stage, in the second of a cascade.
        members: further models of an ensemble, whose probabilities are averaged with this one's.
    """

    path: Path
    folder: Path
    name: str
    recipe: Recipe
    labels: Labels
    channels: tuple[str, ...]
    modality: dict[str, str]
    card: dict[str, Any]
    folds: tuple[FoldFiles, ...]
    hash: str
    quality: Path | None = None
    previous_labels: tuple[int, ...] = ()
    previous: ModelBundle | None = None
    members: tuple[ModelBundle, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the network's input channels are, in words (see `Card.inputs`)."""
        return input_names(self.channels, self.previous_labels)


def open_bundle(path: Path | str, cache: Path | None = None) -> ModelBundle:
    """Open a bundle, after checking every name, size and hash in it.

    A file is unpacked into the cache the first time; later only its hash is taken.

    Args:
        path: `NAME.nxb`, or a folder with its files.
        cache: folder of caches; None takes the user's.

    Raises:
        BundleError: it is missing, broken or refused; the message says why and what to do.
        ResourceError: the cache cannot be written to.
    """
    path = Path(path)
    try:
        if path.is_dir():
            check_folder(path, str(path), cache)
            return _load(path, path, cache)
        if not path.is_file():
            raise BundleError(f"{path}: no such bundle. Name a {SUFFIX} file, or the folder it was unpacked to.")
        return _load(unpack(path, cache, lambda folder: check_folder(folder, str(path), cache)), path, cache)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error}). Check its permissions.") from error


def check_folder(folder: Path, source: str, cache: Path | None = None) -> None:
    """Check every file of a bundle's folder: name, size, hash, and that the parts fit together.

    Args:
        folder: with the files.
        source: the bundle's name for messages.
        cache: folder of caches, into which the previous stage is unpacked; None takes the user's.

    Raises:
        BundleError: with the first thing that is wrong.
    """
    inner = folder / f"model{SUFFIX}"
    if inner.is_file() and not (folder / CARD).exists():
        raise BundleError(f"{source}: is no bundle, but the folder of a run. Its bundle is {inner}: name that.")
    sizes = list_folder(folder, source)
    if sizes.get(CARD, MAX_CARD + 1) <= MAX_CARD:
        parse_raw((folder / CARD).read_bytes(), source)
    check_names(sizes, source)
    check_hashes(folder, sizes, source)
    card, _ = parse_card((folder / CARD).read_bytes(), source)
    folds = tuple(_fold(folder, index) for index in card.folds)
    expected = {CARD, SUMS, QUALITY, *(name for fold in folds for name in fold.by_name())}
    expected |= {PREVIOUS} if card.previous_labels else set()
    expected |= {member_name(number) for number in range(1, card.members + 1)}
    spare = sorted(set(sizes) - expected)
    if spare:
        kinds = {PREVIOUS: "previous_labels", **{name: "such member" for name in spare if name.startswith("member")}}
        what = kinds.get(spare[0], "such fold")
        raise BundleError(f"{source}: holds {spare[0]}, but its card names no {what}. Fetch the bundle again.")
    for fold in folds:
        _check_fold(fold, card, source)
    _open_previous(folder / PREVIOUS, card, source, cache)
    _open_members(_member_files(folder, card), card, source, cache)


def write_bundle(parts: BundleParts, path: Path, overwrite: bool = False) -> Path:
    """Write a bundle file, whole or not at all.

    Args:
        parts: card and files; the folds are those that the card names.
        path: `NAME.nxb`.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: the name does not end in .nxb, or the file exists and `overwrite` is false.
        BundleError: the parts do not fit together, or weights are not finite.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: the name of a bundle ends in {SUFFIX}. Name it {path.stem}{SUFFIX}.")
    refuse_existing(path, overwrite)
    files = _files_of(parts)
    card = parts.card.to_json().encode()
    parse_card(card, str(path))
    for fold in parts.folds:
        _check_fold(fold, parts.card, str(path))
    if parts.previous is not None:
        _open_previous(parts.previous, parts.card, str(path), None)
    _open_members(parts.members, parts.card, str(path), None)
    hashes = {CARD: hashlib.sha256(card).hexdigest(), **{name: sha256(file) for name, file in files.items()}}
    with atomic_path(path, overwrite) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(CARD), card)
        archive.writestr(_member(SUMS), format_sums(hashes))
        for name in sorted(files):
            _store(archive, name, files[name])
    return path


def _files_of(parts: BundleParts) -> dict[str, Path]:
    """Return every file but the card and the hashes, by the name it bears inside the bundle."""
    if tuple(fold.index for fold in parts.folds) != parts.card.folds:
        raise ValueError(f"The card names folds {parts.card.folds}, given are {[fold.index for fold in parts.folds]}.")
    files = {name: file for fold in parts.folds for name, file in fold.by_name().items()}
    misnamed = [str(file) for name, file in files.items() if file.name != name]
    if misnamed:
        raise ValueError(
            f"{misnamed[0]} must have the name it bears inside the bundle, since networks refer to weights."
        )
    if bool(parts.card.previous_labels) != (parts.previous is not None):
        raise ValueError("A card with previous_labels and the bundle of the previous stage need each other.")
    if parts.card.members != len(parts.members):
        raise ValueError(f"The card speaks of {parts.card.members} further models, given are {len(parts.members)}.")
    files |= {member_name(number): file for number, file in enumerate(parts.members, start=1)}
    more = {QUALITY: parts.quality, PREVIOUS: parts.previous}
    return files | {name: file for name, file in more.items() if file is not None}


def parts_of(bundle: ModelBundle) -> BundleParts:
    """Return what an opened bundle was written from, so that it can be written again with changes."""
    previous = None if bundle.previous is None else bundle.folder / PREVIOUS
    card = Card.model_validate(bundle.card)
    return BundleParts(card, bundle.folds, bundle.quality, previous, _member_files(bundle.folder, card))


def with_metrics(bundle: ModelBundle, metrics: Metrics, path: Path, overwrite: bool = False) -> Path:
    """Write a bundle again with other metrics on its card; `path` may be the bundle's own file.

    Raises:
        UsageError: `path` exists and `overwrite` is false.
    """
    parts = parts_of(bundle)
    card = parts.card.model_copy(update={"metrics": metrics})
    return write_bundle(replace(parts, card=card), path, overwrite)


def _load(folder: Path, path: Path, cache: Path | None) -> ModelBundle:
    card, raw = parse_card((folder / CARD).read_bytes(), str(path))
    quality = folder / QUALITY
    return ModelBundle(
        path=path,
        folder=folder,
        name=card.name,
        recipe=card.recipe,
        labels=card.labels,
        channels=card.channels,
        modality=card.modality,
        card=raw,
        folds=tuple(_fold(folder, index) for index in card.folds),
        hash=sha256(folder / SUMS),
        quality=quality if quality.is_file() else None,
        previous_labels=card.previous_labels,
        previous=_open_previous(folder / PREVIOUS, card, str(path), cache),
        members=_open_members(_member_files(folder, card), card, str(path), cache),
    )


def member_name(number: int) -> str:
    """Return the name that the bundle of a further model has inside a bundle, counted from 1."""
    return f"member-{number}{SUFFIX}"


def _member_files(folder: Path, card: Card) -> tuple[Path, ...]:
    return tuple(folder / member_name(number) for number in range(1, card.members + 1))


def _open_members(files: Sequence[Path], card: Card, source: str, cache: Path | None) -> tuple[ModelBundle, ...]:
    """Open the bundles of an ensemble's further models, each checked as every other and for what joins it to `card`.

    Raises:
        BundleError: one is missing or refused, is itself of several stages or models, or differs in channels or labels.
    """
    places = [Path(source) / member_name(number) for number in range(1, len(files) + 1)]
    lacking = [place.name for place, file in zip(places, files, strict=True) if not file.is_file()]
    if lacking:
        raise BundleError(f"{source}: {lacking[0]} is missing, a model of this ensemble. Fetch the bundle again.")
    return tuple(_open_member(file, card, place, cache) for place, file in zip(places, files, strict=True))


def _open_member(file: Path, card: Card, inside: Path, cache: Path | None) -> ModelBundle:
    name = f"{inside.parent}: {inside.name}"

    def check(folder: Path) -> None:
        _refuse_compound(folder, name)
        check_folder(folder, name, cache)

    try:
        place = unpack(file, cache, check)
        _refuse_compound(place, name)  # one that was unpacked before was not checked again
        found = _load(place, inside, cache)
    except BundleError as error:
        raise BundleError(str(error).replace(str(file), name)) from error
    if found.channels != card.channels or found.labels != card.labels:
        odd = "channels" if found.channels != card.channels else "labels"
        raise BundleError(f"{name}: has other {odd} than the ensemble it belongs to. Fetch the bundle again.")
    if found.recipe.postprocessing.rules:
        raise BundleError(f"{name}: has rules of post-processing; an ensemble has its own. Fetch the bundle again.")
    return found


def _refuse_compound(folder: Path, name: str) -> None:
    if (folder / PREVIOUS).exists() or (folder / member_name(1)).exists():
        raise BundleError(f"{name}: is of several stages or models itself. It must be one. The bundle is refused.")


def _open_previous(file: Path, card: Card, source: str, cache: Path | None) -> ModelBundle | None:
    """Open the bundle of the previous stage, checked as every other and for what `card` needs of it; None without one.

    Raises:
        BundleError: it is missing or refused, is a cascade itself, or is not the one that the card describes.
    """
    if not card.previous_labels:
        return None
    name = f"{source}: {PREVIOUS}"
    if not file.is_file():
        raise BundleError(f"{source}: has no {PREVIOUS}, the first stage of its cascade. Fetch the bundle again.")

    def refuse_cascade(folder: Path) -> None:
        if (folder / PREVIOUS).exists():
            raise BundleError(f"{name}: is a cascade itself. Its model must be of one stage. The bundle is refused.")
        _refuse_compound(folder, name)

    def check(folder: Path) -> None:
        refuse_cascade(folder)
        check_folder(folder, name, cache)

    try:
        place = unpack(file, cache, check)
        refuse_cascade(place)  # one that was unpacked before was not checked again
        found = _load(place, Path(source) / PREVIOUS, cache)
    except BundleError as error:
        raise BundleError(str(error).replace(str(file), name)) from error
    lacking = sorted(set(card.previous_labels) - set(found.labels.names.values()))
    if found.channels != card.channels or lacking:
        odd = f"gives no label {lacking[0]}" if lacking else f"needs the channels {', '.join(found.channels)}"
        needed = f"channels {', '.join(card.channels)} and the labels {', '.join(map(str, card.previous_labels))}"
        raise BundleError(f"{name}: {odd}. Needed are the {needed}. Fetch the bundle again.")
    return found


def _fold(folder: Path, index: int) -> FoldFiles:
    onnx, int8 = folder / f"fold-{index}.onnx", folder / f"fold-{index}.int8.onnx"
    return FoldFiles(
        index=index,
        weights=folder / f"fold-{index}.safetensors",
        onnx=onnx if onnx.is_file() else None,
        int8=int8 if int8.is_file() else None,
    )


def _check_fold(fold: FoldFiles, card: Card, source: str) -> None:
    image = (len(card.inputs), *card.recipe.patches.shape)
    try:
        if not fold.weights.is_file():
            raise BundleError(f"fold {fold.index} has no weights ({fold.weights.name}). Fetch the bundle again.")
        check_weights(fold.weights)
        for network in (fold.onnx, fold.int8):
            if network is not None:
                check_network(network, fold.weights, image, len(card.labels.outputs))
    except BundleError as error:
        raise BundleError(f"{source}: {error}") from error


def _member(name: str) -> zipfile.ZipInfo:
    """Return a zip member of fixed date and rights, so that the same parts give the same bytes."""
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.external_attr = 0o100644 << 16
    member.compress_type = zipfile.ZIP_STORED
    return member


def _store(archive: zipfile.ZipFile, name: str, file: Path) -> None:
    member = _member(name)
    member.file_size = file.stat().st_size
    with file.open("rb") as source, archive.open(member, "w") as target:
        while chunk := source.read(2**20):
            target.write(chunk)
