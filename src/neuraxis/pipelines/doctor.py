"""What this machine offers: devices, memory, versions, extras."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from neuraxis import _version
from neuraxis.errors import ResourceError
from neuraxis.files import cache_folder
from neuraxis.hardware import available_memory_gb, processor_has_bf16, usable_cores

_NAME = re.compile(r"^[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_NOT_FOR_USERS = ("dev",)


@dataclass(frozen=True)
class Machine:
    """What was found.

    Attributes:
        versions: neuraxis, python, and every package of the core and of the extras that is installed.
        system: operating system and processor architecture.
        cores: processor cores that this process may use.
        memory_gb: memory that a new process could take, in GiB.
        disk_gb: free space of the current folder's disk, in GiB.
        bf16: whether the processor multiplies bfloat16 in hardware.
        cache: folder of caches.
        devices: runtime to the devices that it finds.
        extras: extra to the packages that it lacks.
        problems: what keeps segmenting from working, each with what to do.
    """

    versions: Mapping[str, str]
    system: str
    cores: int
    memory_gb: float
    disk_gb: float
    bf16: bool
    cache: str
    devices: Mapping[str, tuple[str, ...]]
    extras: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...]


def examine_machine(needed: Mapping[str, tuple[str, ...]] | None = None) -> Machine:
    """Look at processor, memory, devices and installed packages.

    Args:
        needed: extra to the packages it asks for, "" for the core; None reads neuraxis's own metadata.
    """
    needed = packages_of_extras() if needed is None else needed
    problems = [
        f"'{package}' is not installed. Type: pip install neuraxis"
        for package in needed.get("", ())
        if _version_of(package) is None
    ]
    devices: dict[str, tuple[str, ...]] = {}
    for runtime, probe in (("openvino", _openvino_devices), ("torch", _torch_devices)):
        if _version_of(runtime) is None:
            continue
        try:
            devices[runtime] = probe()
        except Exception as error:
            problems.append(f"'{runtime}' is installed but does not start ({_line(error)}). Install it again.")
    try:
        cache = str(cache_folder())
    except ResourceError as error:
        cache = "none"
        problems.append(str(error))
    return Machine(
        versions=_versions(needed),
        system=f"{platform.system()} {platform.machine()}",
        cores=usable_cores(),
        memory_gb=round(available_memory_gb(), 1),
        disk_gb=round(shutil.disk_usage(Path.cwd()).free / 2**30, 1),
        bf16=processor_has_bf16(),
        cache=cache,
        devices=devices,
        extras=_lacking(needed),
        problems=tuple(problems),
    )


def packages_of_extras(requirements: list[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Return the packages that each extra asks for, and under "" those of the core.

    Args:
        requirements: lines such as `torch>=2.6; extra == "train"`; None reads neuraxis's own.
    """
    if requirements is None:
        requirements = importlib.metadata.requires("neuraxis") or []
    found: dict[str, list[str]] = {}
    for line in requirements:
        name, extra = _NAME.match(line.strip()), _EXTRA.search(line)
        if name and name.group() != "neuraxis":
            found.setdefault(extra.group(1) if extra else "", []).append(name.group())
    return {extra: tuple(names) for extra, names in found.items() if extra not in _NOT_FOR_USERS}


def _lacking(needed: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {
        extra: tuple(name for name in names if _version_of(name) is None)
        for extra, names in sorted(needed.items())
        if extra
    }


def _versions(needed: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    versions = {"neuraxis": _version.__version__, "python": platform.python_version()}
    for name in sorted({name for names in needed.values() for name in names}, key=str.lower):
        version = _version_of(name)
        if version is not None:
            versions[name] = version
    return versions


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _openvino_devices() -> tuple[str, ...]:
    core = importlib.import_module("neuraxis.inference.runtimes.quiet_openvino").engine()
    return tuple(f"{name} ({core.get_property(name, 'FULL_DEVICE_NAME').strip()})" for name in core.available_devices)


def _torch_devices() -> tuple[str, ...]:
    torch = importlib.import_module("torch")
    cuda: Callable[[int], str] = torch.cuda.get_device_name
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ("cpu", *(f"cuda:{index} ({cuda(index)})" for index in range(count)))


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
