"""ONNX Runtime without its telemetry.

From version 1.29 on the official packages send events to Microsoft, about every session too, and write an identifier
to `~/.cache/Microsoft`. Nobody who segments a scan was asked about that. The library looks for a variable of
the environment as it starts; it is set here, before the first import, for this process alone and what it starts. On
Windows, where another mechanism serves, events are switched off by call.
"""

import os

os.putenv("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

onnxruntime.disable_telemetry_events()
onnxruntime.set_default_logger_severity(3)  # errors alone: what it warns of while it starts is of no use to a user

__all__ = ["onnxruntime"]
