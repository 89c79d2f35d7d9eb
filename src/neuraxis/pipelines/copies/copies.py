"""`prepare --copies N`: augmented copies in a store, beside the cases that they were made from.

A copy is called after its case, `sub-01~1`. It trains where its case trains; in a fold that holds the case out, the
copies are left out as well, so that nothing of a held-out patient is learned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from neuraxis.dataset.splits import Fold
from neuraxis.errors import UsageError
from neuraxis.files import read_json
from neuraxis.preparation.prepared import Prepared
from neuraxis.preparation.store import Store
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.recipe import Recipe
from neuraxis.registry import need

MOST = 100


@dataclass(frozen=True)
class StoreOptions:
    """How a store is written.

    Attributes:
        overwrite: whether a store of other data or decisions is replaced.
        copies: augmented copies of each case that trains.
    """

    overwrite: bool = False
    copies: int = 0


PLAIN_STORE = StoreOptions()


def copy_ids(case: str, copies: int) -> tuple[str, ...]:
    """Return the names of a case's copies.

    >>> copy_ids("sub-01", 2)
    ('sub-01~1', 'sub-01~2')
    """
    return tuple(f"{case}~{number}" for number in range(1, copies + 1))


def all_copies(cases: Iterable[str], copies: int) -> list[str]:
    """Return the names of the copies of several cases."""
    return [id for case in cases for id in copy_ids(case, copies)]


def without_copies(ids: Sequence[str], copies: int) -> tuple[str, ...]:
    """Return the ids that are no copies of others.

    >>> without_copies(["a", "a~1", "b~1"], 1)
    ('a', 'b~1')
    """
    made = {each for id in ids for each in copy_ids(id, copies)}
    return tuple(id for id in ids if id not in made)


def with_copies(fold: Fold, copies: int) -> Fold:
    """Return a fold whose training cases have their copies beside them."""
    if not copies:
        return fold
    every = (each for id in fold.training for each in (id, *copy_ids(id, copies)))
    return replace(fold, training=tuple(every))


def copied_cases(folds: Iterable[Fold]) -> tuple[str, ...]:
    """Return the cases that train in any fold."""
    return tuple(sorted({id for fold in folds for id in fold.training}))


def refuse_copies(recipe: Recipe, cases: Collection[str], copies: int) -> None:
    """Refuse copies that cannot be made, before anything is written.

    Args:
        recipe: what they would be made by.
        cases: ids of all cases.
        copies: how many of each are asked for.

    Raises:
        UsageError: their number is odd, they would be plain copies, or a case has the name of a copy.
        MissingExtra: torch is not installed.
    """
    if not 0 <= copies <= MOST:
        raise UsageError(f"--copies {copies}: needed is a number from 0 to {MOST}.")
    if not copies:
        return
    need("torch", "train")
    happens = [value for name, value in recipe.augmentation if name.endswith("_probability") and value]
    if not happens and not recipe.augmentation.mirror_axes:
        raise UsageError("--copies: the recipe augments nothing, so every copy would be the case itself. Set a preset.")
    for id in cases:
        if taken := set(cases).intersection(copy_ids(id, copies)):
            raise UsageError(f"--copies: a case is called '{min(taken)}', as a copy of '{id}' would be. Rename it.")


def make_copies(
    store: Store, recipe: Recipe, cases: Sequence[str], copies: int, progress: Progress | None = None
) -> None:
    """Make the copies of prepared cases; those that are there already, of the same case and recipe, are kept.

    Raises:
        ResourceError: the disk is full.
    """
    if not copies:
        return
    from neuraxis.patches.augment.copies import augmented_copy

    with (progress or Silent()).stage("make augmented copies", len(cases) * copies) as stage:
        for case in cases:
            original: Prepared | None = None
            for number, id in enumerate(copy_ids(case, copies), start=1):
                key = _key(store, case, recipe, number)
                if not store.holds(id, key):
                    original = original or _read(store, case)
                    store.put(id, augmented_copy(original, recipe, case, number), key)
                stage.advance(note=id)
        store.settle(all_copies(cases, copies))


def _read(store: Store, case: str) -> Prepared:
    image, target = store.read(case)
    return Prepared(image, store.way_back(case), target)


def _key(store: Store, case: str, recipe: Recipe, number: int) -> str:
    """Return what a copy depends on, as a hash: its case as prepared, the augmentation, the seed and its number."""
    whole = read_json(store.folder / case / "case.json")["key"]
    flat = recipe.network.options.get("flat_axis")
    decisions = f"{whole}|{recipe.augmentation.model_dump_json()}|{recipe.seed}|{flat}|{number}"
    return hashlib.sha256(decisions.encode()).hexdigest()
