"""The expressions in a configuration of MONAI, as far as they can be understood without running them.

MONAI hands what begins with "$" to Python. Here it is parsed and never run: constants, lists, references, the choice
between two of them, sums of texts and calls that leave a network as it is have a value; all else is `Unknown`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

LONGEST = 2000
_REFERENCE = re.compile(r"@(\w+(?:(?:#|::)\w+)*)")
_HARMLESS = {"to", "eval", "cuda", "cpu", "float"}  # calls on a network after which it computes the same
_FAILURES = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Unknown:
    """What an expression gives is not known without running it."""

    text: str


@dataclass(frozen=True)
class Symbol:
    """A dotted name, such as "numpy.float32"."""

    name: str


def value_of(expression: str, look_up: Callable[[str], Any]) -> Any:
    """Return the value of an expression without running it, or `Unknown`.

    Args:
        expression: without its "$".
        look_up: gives the value that a reference, without its "@", stands for.
    """
    parsed = _parse(expression)
    if parsed is None:
        return Unknown(expression)
    tree, names = parsed
    try:
        return _value(tree, names, look_up)
    except (_Unclear, *_FAILURES):
        return Unknown(expression)


def is_harmless_command(expression: str) -> bool:
    """Tell whether a command, without its "$", runs the evaluator or sets seeds and backends, and nothing else."""
    parsed = _parse(expression)
    if parsed is None:
        return False
    call, names = parsed
    if not isinstance(call, ast.Call):
        return False
    target = _dotted(call.func)
    if target == "setattr":
        return bool(call.args) and _dotted(call.args[0]).startswith("torch.backends.")
    if any(isinstance(part, ast.Call) for given in (*call.args, *call.keywords) for part in ast.walk(given)):
        return False
    owner, _, method = target.partition(".")
    return target.endswith("utils.set_determinism") or (owner in names and method in ("", "run"))


def is_selection(expression: str, sign: type[ast.cmpop]) -> bool:
    """Tell whether an expression is a function of one argument that compares it with 0."""
    parsed = _parse(expression)
    body = _body(parsed[0]) if parsed else None
    if body is None:
        return False
    argument, tested = body
    return _compared(tested, (sign,)) == argument


def painted(expression: str) -> tuple[tuple[int, int], ...] | None:
    """Return what a function paints of masks: (channel, number), the one that covers all others first.

    Understood is `lambda x: torch.where(x[[a]] > 0, p, torch.where(x[[b]] > 0, q, 0))`, as deep as it may go.

    Returns:
        None for any other expression.
    """
    parsed = _parse(expression)
    body = _body(parsed[0]) if parsed else None
    if body is None:
        return None
    argument, node = body
    found = []
    while isinstance(node, ast.Call):
        if _dotted(node.func) not in ("torch.where", "np.where", "numpy.where") or len(node.args) != 3 or node.keywords:
            return None
        channel, number = _masked(node.args[0], argument), node.args[1]
        if channel is None or not isinstance(number, ast.Constant) or type(number.value) is not int:
            return None
        found.append((channel, number.value))
        node = node.args[2]
    ends = isinstance(node, ast.Constant) and type(node.value) is int and node.value == 0
    return tuple(found) if ends and found else None


class _Unclear(Exception):
    pass


def _parse(expression: str) -> tuple[ast.expr, dict[str, str]] | None:
    """Return the tree of an expression, and which name in it stands for which reference."""
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        names[f"reference_{len(names)}"] = found[1]
        return f"reference_{len(names) - 1}"

    if len(expression) > LONGEST:
        return None
    try:
        return ast.parse(_REFERENCE.sub(name, expression.strip()), mode="eval").body, names
    except _FAILURES:
        return None


def _value(node: ast.expr, names: dict[str, str], look_up: Callable[[str], Any]) -> Any:
    def inner(part: ast.expr) -> Any:
        return _value(part, names, look_up)

    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [inner(part) for part in node.elts]
    if isinstance(node, ast.Name) and node.id in names:
        return look_up(names[node.id])
    if isinstance(node, ast.Attribute) and _dotted(node):
        return Symbol(_dotted(node))
    return _computed(node, inner)


def _computed(node: ast.expr, inner: Callable[[ast.expr], Any]) -> Any:
    """Return the value of a choice, a negative number, a sum of texts, or a network that was put somewhere."""
    if isinstance(node, ast.IfExp) and isinstance(chosen := inner(node.test), bool):
        return inner(node.body if chosen else node.orelse)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = inner(node.operand)
        if isinstance(number, int | float):
            return -number
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = inner(node.left), inner(node.right)
        if isinstance(left, str) and isinstance(right, str):
            return left + right
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _HARMLESS:
        owner = inner(node.func.value)
        if isinstance(owner, dict | Unknown):
            return owner
    raise _Unclear


def _body(node: ast.expr) -> tuple[str, ast.expr] | None:
    """Return the one argument of a lambda, and what it gives."""
    if not isinstance(node, ast.Lambda):
        return None
    every = list(_arguments(node.args))
    return (every[0], node.body) if len(every) == 1 and not node.args.defaults else None


def _arguments(arguments: ast.arguments) -> Iterator[str]:
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        yield argument.arg
    for argument in filter(None, (arguments.vararg, arguments.kwarg)):
        yield argument.arg
        yield argument.arg  # it takes any number, not one


def _compared(node: ast.expr, signs: tuple[type[ast.cmpop], ...]) -> str | None:
    """Return the name that is compared with 0."""
    compared = _comparison(node, signs)
    return compared.id if isinstance(compared, ast.Name) else None


def _comparison(node: ast.expr, signs: tuple[type[ast.cmpop], ...]) -> ast.expr | None:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], signs):
        return None
    limit = node.comparators[0]
    return node.left if isinstance(limit, ast.Constant) and limit.value == 0 and limit.value is not False else None


def _masked(node: ast.expr, argument: str) -> int | None:
    """Return the channel of `argument[[channel]] > 0`."""
    taken = _comparison(node, (ast.Gt,))
    if not isinstance(taken, ast.Subscript) or not isinstance(taken.value, ast.Name) or taken.value.id != argument:
        return None
    if not isinstance(taken.slice, ast.List) or len(taken.slice.elts) != 1:
        return None
    channel = taken.slice.elts[0]
    number = channel.value if isinstance(channel, ast.Constant) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else None


def _dotted(node: ast.expr) -> str:
    """Return "a.b.c" for a chain of names, and "" for anything else."""
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return node.id if isinstance(node, ast.Name) else ""
