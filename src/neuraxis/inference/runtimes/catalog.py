"""The runtimes by name. A new one is one file here and one line below."""

from neuraxis.registry import Catalog, Entry

RUNTIMES = Catalog(
    "runtime",
    {
        "openvino": Entry("neuraxis.inference.runtimes.openvino:OpenVinoRuntime", "processors; the default there"),
        "onnx": Entry("neuraxis.inference.runtimes.onnx:OnnxRuntime", "processors, NVIDIA GPUs without torch", "onnx"),
        "torch": Entry("neuraxis.inference.runtimes.torch:TorchRuntime", "GPUs, Apple silicon, reference", "train"),
    },
)
