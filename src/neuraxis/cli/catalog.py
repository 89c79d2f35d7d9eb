"""`neuraxis catalog`: what there is to choose from."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.options import SHOWN, Output
from neuraxis.cli.printing import columns, show, show_json


def catalog(
    kind: Annotated[str, Parameter(name="KIND", show_default=False)] = "",
    /,
    *,
    output: Output = SHOWN,
) -> int:
    """List the networks, losses, layouts, recipes, metrics and runtimes by name.

    For example:

        neuraxis catalog recipes

    Args:
        kind: networks, losses, layouts, recipes, metrics or runtimes; all of
            them where left out.
        output: how it is shown.
    """
    from neuraxis.pipelines.verbs import list_choices

    content = list_choices(kind)
    if output.json:
        show_json(content)
    else:
        show("\n\n".join(_describe(name, entries) for name, entries in content.items()))
    return 0


def _describe(name: str, entries: dict[str, str]) -> str:
    return f"{name}\n" + "\n".join(f"  {line}" for line in columns(list(entries.items())).splitlines())
