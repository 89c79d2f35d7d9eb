"""`neuraxis doctor`: what this machine offers, and what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuraxis.cli.options import SHOWN, Output
from neuraxis.cli.printing import columns, show, show_json

if TYPE_CHECKING:
    from neuraxis.pipelines.doctor import Machine


def doctor(*, output: Output = SHOWN) -> int:
    """Show devices, memory, cores, versions, and which extras are installed or how to install them.

    Exits with 0 where segmenting works, with 5 where a package it needs is
    missing or broken.

    For example:

        neuraxis doctor
        neuraxis doctor --json

    Args:
        output: how it is shown.
    """
    from neuraxis.pipelines.doctor import examine_machine

    machine = examine_machine()
    if output.json:
        show_json(machine)
    else:
        show(describe_machine(machine))
    return 5 if machine.problems else 0


def describe_machine(machine: Machine) -> str:
    """Return the examination in words."""
    facts = [
        ("neuraxis", machine.versions["neuraxis"]),
        ("python", f"{machine.versions['python']} on {machine.system}"),
        ("processor", f"{machine.cores} cores usable, {'computes' if machine.bf16 else 'does not compute'} in bf16"),
        ("memory", f"{machine.memory_gb:.1f} GiB free"),
        ("disk", f"{machine.disk_gb:.1f} GiB free here"),
        ("cache", f"{machine.cache} (may be deleted at any time)"),
        *((f"{runtime}", ", ".join(devices)) for runtime, devices in machine.devices.items()),
    ]
    extras = [
        (extra, "installed" if not missing else f"lacks {', '.join(missing)}: pip install 'neuraxis[{extra}]'")
        for extra, missing in machine.extras.items()
    ]
    packages = [(name, version) for name, version in machine.versions.items() if name not in ("neuraxis", "python")]
    parts = [columns(facts), "extras\n" + _indent(columns(extras)), "packages\n" + _indent(columns(packages))]
    parts += [f"problem: {problem}" for problem in machine.problems]
    parts.append("Segmenting does not work yet." if machine.problems else "Everything that segmenting needs is there.")
    return "\n\n".join(parts)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
