"""HTML and SVG built from nested calls, so that text is escaped by construction.

>>> str(tag("p", "a < b ", tag("b", "& c"), class_="note"))
'<p class="note">a &lt; b <b>&amp; c</b></p>'
"""

from __future__ import annotations

import html
import re

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class Markup(str):
    """Text that is HTML already and is not escaped again; only this module and constant strings make it."""

    __slots__ = ()


Child = Markup | str | int | float | None


def escape(text: object) -> Markup:
    """Return text that means itself in HTML, in an element and in a quoted attribute.

    Control characters and broken surrogates (file names may hold both) become U+FFFD.

    >>> str(escape("<script>"))
    '&lt;script&gt;'
    """
    if isinstance(text, Markup):
        return text
    clean = str(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Markup(html.escape(_CONTROL.sub("\ufffd", clean), quote=True))


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """Return one element.

    Args:
        name: element name, such as "td".
        children: what stands inside; plain text is escaped, `Markup` is taken as it is, None is left out.
        attributes: a trailing underscore is dropped (`class_`), other underscores become hyphens (`aria_sort`);
            True writes the bare name, None and False write nothing, numbers are rounded to 2 decimals.

    Raises:
        ValueError: a name that HTML would read otherwise.
    """
    parts = [f"<{_checked(name)}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = _checked(key.rstrip("_").replace("_", "-"))
        parts.append(f" {key}" if value is True else f' {key}="{_attribute(value)}"')
    parts.append(">")
    if name not in _VOID:
        parts.extend(escape(child) for child in children if child is not None)
        parts.append(f"</{name}>")
    return Markup("".join(parts))


def join(*parts: Child) -> Markup:
    """Return the parts one after the other, plain text escaped."""
    return Markup("".join(escape(part) for part in parts if part is not None))


def short(value: float) -> str:
    """Return a number with at most 2 decimals and no trailing zeros, as coordinates need it.

    >>> short(3.0), short(-0.001), short(12.345)
    ('3', '0', '12.35')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _attribute(value: str | int | float) -> str:
    return short(value) if isinstance(value, float) else escape(value)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"'{name}' is no name of an element or attribute.")
    return name
