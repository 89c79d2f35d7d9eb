"""NNCF without its telemetry, its messages and its progress bars.

As it comes, NNCF sends an event to Google Analytics at every call, through the package that OpenVINO uses for that;
where that package cannot be imported, it does without. ONNX Runtime, with which it runs networks, has telemetry of its
own. The two modules below hide both, so they come first. NNCF also changes the class of every logger that is made after
its import, and prints on stdout, where only results belong.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

from neuraxis.inference.runtimes.quiet_onnx import onnxruntime
from neuraxis.inference.runtimes.quiet_openvino import openvino

_loggers = logging.getLoggerClass()

import nncf  # noqa: E402

logging.setLoggerClass(_loggers)
logging.getLogger("nncf").handlers[:] = [logging.NullHandler()]

VERSIONS = {
    "nncf": nncf.__version__,
    "onnxruntime": onnxruntime.__version__,
    "openvino": openvino.__version__.split("-")[0],
}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what is printed off stdout, and warnings of libraries to themselves."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


__all__ = ["VERSIONS", "nncf", "quiet"]
