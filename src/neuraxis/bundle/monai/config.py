"""A configuration of MONAI, read without running or importing anything that it names.

References ("@network_def", "@preprocessing#transforms") and macros of the same file ("%roi_size") are followed;
expressions ("$...") have a value as far as `value_of` understands them. A part with `_target_` is a `Component`, which
is asked for each of its arguments, so that what was never looked at is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from neuraxis.bundle.monai.expressions import Symbol, Unknown, value_of
from neuraxis.errors import BundleError

FILE = "configs/inference.json"
TARGET = "_target_"
DEEPEST, MOST = 50, 100_000  # references in a row, and values that are looked at in all
Number = int | float


@dataclass(frozen=True)
class Config:
    """The content of `inference.json`.

    Attributes:
        content: as JSON gives it.
        name: of the bundle, for messages.
    """

    content: dict[str, Any]
    name: str
    _seen: list[int] = field(default_factory=lambda: [0])

    def at(self, place: str, depth: int = 0) -> Any:
        """Return the value at a place such as "evaluator#inferer".

        Raises:
            BundleError: there is none, or it refers to itself.
        """
        found: Any = self.content
        for key in place.replace("::", "#").split("#"):
            found = self.value(found, depth + 1)
            if isinstance(found, list) and key.isascii() and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                raise BundleError(f"{self.name}: {FILE} has no '{place[:100]}', which it refers to. Fetch it again.")
        return self.value(found, depth + 1)

    def value(self, given: Any, depth: int = 0) -> Any:
        """Return what a value stands for: itself, what it refers to, or `Unknown`."""
        self._seen[0] += 1
        if depth > DEEPEST or self._seen[0] > MOST:
            raise BundleError(f"{self.name}: {FILE} refers to itself ({ascii(given)[:80]}). Fetch it again.")
        if not isinstance(given, str):
            return given
        text = given.strip()
        if text.startswith("$"):
            return value_of(text[1:], lambda place: self.at(place, depth + 1))
        if text.startswith(("@", "%")):
            plain = text[1:].replace("::", "#").replace("#", "")
            return self.at(text[1:], depth + 1) if plain.isidentifier() else Unknown(text)
        return given

    def plain(self, given: Any) -> Any:
        """Return a value with all that is inside of it resolved too."""
        found = self.value(given)
        if isinstance(found, list):
            return [self.plain(one) for one in found]
        if isinstance(found, dict):
            return {key: self.plain(one) for key, one in found.items()}
        return found

    def component(self, given: Any, place: str) -> Component:
        """Return a part with a `_target_`.

        Raises:
            BundleError: it is none.
        """
        found = self.value(given)
        if isinstance(found, dict) and isinstance(found.get(TARGET), str):
            return Component(self, place, found)
        if isinstance(found, Unknown):
            self.refuse(f"'{place}' is the expression {ascii(found.text)[:150]}, which is not run here")
        self.refuse(f"'{place}' is no object of MONAI that {FILE} describes")

    def parts(self, given: Any, place: str) -> Iterator[Component]:
        """Yield the parts of a `Compose`, or of a list, but those that are disabled."""
        found = self.value(given)
        if isinstance(found, dict) and str(found.get(TARGET)).rpartition(".")[2] == "Compose":
            whole = self.component(found, place)
            found = self.value(whole.raw("transforms"))
            for ignored in ("map_items", "lazy", "log_stats"):
                whole.expect(ignored, ignored == "map_items")
            whole.finish()
        if not isinstance(found, list):
            self.refuse(f"'{place}' is no list of transforms")
        for one in found:
            part = self.component(one, place)
            disabled = part.take("_disabled_", False)
            if isinstance(disabled, bool):
                if not disabled:
                    yield part
            else:
                part.refuse(f"has _disabled_ = {_shown(disabled)}")

    def refuse(self, what: str) -> NoReturn:
        """Raise the error of a bundle that would be run otherwise than any recipe can say."""
        raise BundleError(
            f"{self.name}: cannot be imported exactly, since {what} ({FILE}). It can be run with `python -m "
            "monai.bundle run`, and its predictions scored with `neuraxis evaluate`."
        )


@dataclass
class Component:
    """One `_target_` with its arguments; whoever translates it takes them one by one.

    Attributes:
        config: that it stands in.
        place: where, for messages.
        given: its content.
    """

    config: Config
    place: str
    given: dict[str, Any]
    _taken: set[str] = field(default_factory=lambda: {TARGET, "_desc_"})

    @property
    def kind(self) -> str:
        """Name of its class without the module; the whole name where that is not MONAI's."""
        module, _, name = str(self.given[TARGET]).rpartition(".")
        return name if module.split(".")[0] in ("", "monai") else str(self.given[TARGET])

    def take(self, key: str, default: Any = None) -> Any:
        """Return an argument, resolved; a name of numpy or torch ("$np.float32") becomes the text of its end."""
        self._taken.add(key)
        found = self.config.plain(self.given[key]) if key in self.given else default
        return found.name.rpartition(".")[2] if isinstance(found, Symbol) else found

    def raw(self, key: str) -> Any:
        """Return an argument as it stands, or None."""
        self._taken.add(key)
        return self.given.get(key)

    def ignore(self, *keys: str) -> None:
        """Pass over arguments that do not change a result."""
        self._taken.update(keys)

    def expect(self, key: str, *allowed: Any) -> Any:
        """Return an argument that must have one of some values, the first of which it has where it is left out."""
        found = self.take(key, allowed[0])
        if not any(found == one and isinstance(found, bool) == isinstance(one, bool) for one in allowed):
            self.refuse(f"has {key} = {_shown(found)}, known is {' or '.join(repr(one) for one in allowed)}")
        return found

    def number(self, key: str, default: Number | None = None) -> float:
        """Return an argument that must be a number."""
        found = self.take(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            self.refuse(f"has {key} = {_shown(found)}, needed is a number")
        return found

    def flag(self, key: str, default: bool = False) -> bool:
        """Return an argument that must be true or false; of a list with one element that one."""
        found = self.take(key, default)
        found = found[0] if isinstance(found, list) and len(found) == 1 else found
        if not isinstance(found, bool):
            self.refuse(f"has {key} = {_shown(found)}, needed is true or false")
        return found

    def counts(self, key: str, default: Any = None) -> tuple[int, ...]:
        """Return an argument that must be a list of whole numbers."""
        found = self.take(key, default)
        if not isinstance(found, list | tuple) or not all(type(one) is int for one in found):
            self.refuse(f"has {key} = {_shown(found)}, needed are whole numbers")
        return tuple(found)

    def finish(self) -> None:
        """Refuse the first argument that nobody took."""
        for key in self.given:
            if key not in self._taken:
                self.refuse(f"has {str(key)[:60]} = {_shown(self.config.value(self.given[key]))}")

    def refuse(self, what: str) -> NoReturn:
        """Raise the error of a part that no recipe can say."""
        self.config.refuse(f"its {self.kind[:80]} in '{self.place}' {what}")


def _shown(value: Any) -> str:
    return ascii(f"${value.text}" if isinstance(value, Unknown) else value)[:120]
