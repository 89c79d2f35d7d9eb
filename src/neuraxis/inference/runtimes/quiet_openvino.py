"""OpenVINO without its telemetry, and without its converter of foreign models.

Importing `openvino` as it comes sends an event to Google Analytics and writes an identifier to `~/intel`. Nobody who
segments a scan was asked about that. Where the package `openvino_telemetry` cannot be imported, OpenVINO uses a stub
of its own that does nothing; so it is hidden before the first import. The converter (`openvino.tools.ovc`), which sends
the event and which bundles have no need of, takes two thirds of the time of the import; it is hidden while that lasts,
and can be imported by its name later.
"""

import sys
from functools import cache

_CONVERTER = "openvino.tools.ovc"
_LOADED_BEFORE = "openvino" in sys.modules  # by somebody who may want all of it

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
if not _LOADED_BEFORE:
    sys.modules[_CONVERTER] = None  # type: ignore[assignment]

import openvino  # noqa: E402

if not _LOADED_BEFORE:
    del sys.modules[_CONVERTER]


@cache
def engine() -> openvino.Core:
    """Return OpenVINO's engine, one for the life of the process.

    An engine gives the thread that makes it a stack for signals and takes it away when it goes. Where two go in the
    order in which they came, the second puts back the stack of the first, which is gone: the next signal, Ctrl-C say,
    ends the process with a segmentation fault (OpenVINO 2026.4).
    """
    return openvino.Core()


__all__ = ["engine", "openvino"]
