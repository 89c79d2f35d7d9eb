"""`neuraxis dataset`: phantoms to try everything on, and public datasets at their source."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Output
from neuraxis.cli.printing import columns, complain, show, show_json

if TYPE_CHECKING:
    from neuraxis.dataset.sources.source import Fact, Source

dataset = App(name="dataset", help="Make phantoms, and fetch public datasets from their source.")


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """How many phantoms, of how many scanners, how fine."""

    cases: Annotated[int, Parameter(help="Number of subjects.")] = 6
    sites: Annotated[int, Parameter(help="Number of scanners that they come from, in turn.")] = 1
    seed: Annotated[int, Parameter(help="Of every random draw; the same seed makes the same files.")] = 0
    size: Annotated[
        Literal["small", "medium", "large"], Parameter(help="How fine the voxels are: small suits tests.")
    ] = "medium"
    tilt: Annotated[float, Parameter(help="Gantry tilt of CT series, in degrees.")] = 0.0


WANTED = Wanted()
_SHOWN = 3
_ALWAYS = ("cases", "download", "licence")


@dataset.command(name="make")
def make(
    kind: Annotated[str, Parameter(name="KIND")],
    /,
    *,
    into: Annotated[Path, Parameter(help="The folder to make.")],
    wanted: Wanted = WANTED,
    output: Output = SHOWN,
) -> int:
    """Make synthetic scans with exact answers, laid out as a project of that kind keeps its own.

    The kinds: neuraxis catalog phantoms.

    For example:

        neuraxis dataset make cord-epi --into cord/ --cases 8 --sites 4
        neuraxis dataset make ms-followup --into ms/ --size small --seed 7

    Args:
        kind: of phantom.
        into: where they go.
        wanted: how many, of how many sites, of which seed and size.
        output: how it is shown.
    """
    from neuraxis.dataset.phantoms.kind import MakeOptions
    from neuraxis.dataset.phantoms.make import make_phantoms

    options = MakeOptions(wanted.cases, wanted.sites, wanted.seed, wanted.size, wanted.tilt)
    with display(output) as progress:
        made = make_phantoms(kind, into, options, progress)
    if output.json:
        show_json(made)
    else:
        show(f"{made.path}: {made.cases} subjects, layout {made.layout}\nnext  neuraxis check {into}")
    return 0


@dataset.command(name="list")
def list_datasets(*, output: Output = SHOWN) -> int:
    """List the public datasets that are known, with size and licence, as far as a page states them.

    For example:

        neuraxis dataset list

    Args:
        output: how it is shown.
    """
    from neuraxis.dataset.sources.source import list_sources

    sources = list_sources()
    if output.json:
        show_json(sources)
    else:
        rows = [
            (s.name, _says(s.cases), _says(s.download), _says(s.licence), "by hand" if s.steps else "fetch")
            for s in sources
        ]
        show(columns(rows, ("name", "cases", "download", "licence", "how")))
    return 0


@dataset.command(name="info")
def describe_dataset(name: Annotated[str, Parameter(name="NAME")], /, *, output: Output = SHOWN) -> int:
    """Show what a public dataset holds, its licence, what to cite, and where its files lie.

    A number in brackets after each of them leads to the page that states it.

    For example:

        neuraxis dataset info mslesseg

    Args:
        name: of the dataset, as `neuraxis dataset list` shows it.
        output: how it is shown.
    """
    from neuraxis.dataset.sources.source import find_source

    source = find_source(name)
    if output.json:
        show_json(source)
    else:
        show(_described(source))
    return 0


@dataset.command(name="fetch")
def fetch(
    name: Annotated[str, Parameter(name="NAME")],
    /,
    *,
    into: Annotated[
        Path | None, Parameter(help="The folder to make. [default: the dataset's name]", show_default=False)
    ] = None,
    accept_licence: Annotated[
        bool, Parameter(help="The licence was read and is accepted.", show_default=False)
    ] = False,
    output: Output = SHOWN,
) -> int:
    """Fetch a public dataset from its source, once its licence is accepted.

    A download that was cut goes on with the same command. Every file is checked
    against the hash that is published; where none is, the first download is
    noted in FOLDER.lock.json, and a later one that differs is refused. Where a
    login stands before the data, the steps are shown instead, and the exit code
    is 4. Where NEURAXIS_OFFLINE is set, no connection is opened.

    For example:

        neuraxis dataset fetch msd-hippocampus --into hippocampus/ --accept-licence

    Args:
        name: of the dataset, as `neuraxis dataset list` shows it.
        into: where it goes.
        accept_licence: its licence was read and is accepted.
        output: how it is shown.
    """
    from neuraxis.dataset.sources.fetch import SourceOptions, fetch_dataset

    may_ask = not accept_licence and sys.stdin.isatty() and not output.json
    options = SourceOptions(accept_licence, _ask if may_ask else None, _offline())
    with display(output) as progress:
        fetched = fetch_dataset(name, into, options, progress)
    if output.json:
        show_json(fetched)
    elif fetched.path is None:
        show("\n".join(f"{number}. {step}" for number, step in enumerate(fetched.steps, 1)))
    else:
        counted = "1 file has" if fetched.on_trust == 1 else f"{fetched.on_trust} files have"
        trust = f"{counted} no published hash: {fetched.lock} tells what came first"
        rows = [("hashes", trust)] if fetched.on_trust else []
        rows.append(("next", f"neuraxis check {into or name}"))
        show(f"{fetched.path}{'' if fetched.fetched else ' (was there already)'}\n{columns(rows)}")
    if fetched.path is None:
        complain(f"{name}: no program may fetch it; a person must take the steps above.")
        return 4
    return 0


def _ask(source: Source) -> bool:
    """Show a licence on the terminal and ask whether it is accepted."""
    page = f": {source.licence.stated_at[0]}" if source.licence else ""
    complain(f"{source.title} is under {_says(source.licence)}{page}\nCite: {_says(source.paper)}")
    print("Do you accept the licence? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _says(fact: Fact | None) -> str:
    return fact.says if fact else "not stated"


def _described(source: Source) -> str:
    pages = list(dict.fromkeys([page for fact in source.facts().values() if fact for page in fact.stated_at]))
    pages += [page for page in source.pages() if page not in pages]

    def cited(stated_at: tuple[str, ...]) -> str:
        return "".join(f" [{number}]" for number in sorted(pages.index(page) + 1 for page in stated_at))

    files = source.every_file()
    rows = [
        ("name", source.name),
        ("title", source.title),
        ("page", source.page),
        *(
            (name, _says(fact) + cited(fact.stated_at if fact else ()))
            for name, fact in source.facts().items()
            if fact or name in _ALWAYS
        ),
        ("layout", source.layout),
        ("opens", source.opens or "directly: neuraxis check FOLDER"),
        ("hashes", _hashes(source)),
        *(("file", file.url + cited(file.stated_at)) for file in files[:_SHOWN]),
        ("", f"and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""),
    ]
    if source.listing:
        rows.append(("files", f"{source.listing.bucket}/{source.listing.prefix}{cited(source.listing.stated_at)}"))
    if source.annex:
        rows.append(("files", f"{source.annex.address}{cited(source.annex.stated_at)}"))
    if source.pairs:
        rows.append(("pairs", f"{', '.join(source.pairs.channels)}; {', '.join(source.pairs.labels)}"
                     f"{cited(source.pairs.stated_at)}"))  # fmt: skip
    rows += [(f"step {number}", step) for number, step in enumerate(source.steps, 1)]
    if source.steps:
        rows.append(("steps from", cited(source.steps_stated_at).strip()))
    rows += [(f"[{number}]", page) for number, page in enumerate(pages, 1)]
    return columns([(name, value) for name, value in rows if value])


def _hashes(source: Source) -> str:
    """Return in words which files have a published hash."""
    files = source.every_file()
    if source.listing:
        return "sizes and most hashes are told by the bucket that holds the files"
    if source.annex:
        return "every scan has one, in the repository; the list of files has none"
    hashed = sum(bool(file.sha256 or file.md5) for file in files)
    return f"{hashed} of {len(files)} files have a published hash" if files else ""


def _offline() -> bool:
    return os.environ.get("NEURAXIS_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")
