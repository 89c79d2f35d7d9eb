"""What keeps float32 where the rest of a network computes in bfloat16: the way to its logits.

Rounded to the eight bits of bfloat16, logits tie in many voxels at a structure's edge, and what the last block hands on
to them matters as much. So the last convolution computes in float32, which has few channels and takes next to no time;
the block before it multiplies in bfloat16, but neither what its convolution gives nor what its normalisation gives is
rounded. That leaves a quarter to a third of the voxels that bfloat16 changes in a segmentation. It is done for windows
of small size alone: a large one would need a quarter GiB more.

OpenVINO reads the wish to keep a layer's precision from files of its own format alone, so it is read from a small one
and given to the layers. A layer hands float32 on where what is fused to it at its end bears the wish: a clamp without
bounds.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from typing import Any

from neuraxis.inference.runtimes.quiet_openvino import openvino

log = logging.getLogger(__name__)
SMALL_MB = 64
_CONVOLUTION, _NORM = "Convolution", "MVN"
_BETWEEN = {_NORM, "Multiply", "Add", "PRelu", "Relu", "Elu", "Gelu", "Mish", "Swish"}
_KEY = "DisablePrecisionConversion_0"
# OpenVINO's processor plug-in asks whether a layer may become float16, whichever half precision it then computes in
_WISH = (
    '<net name="wish" version="11"><layers>'
    '<layer id="0" name="in" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>'
    '<output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>'
    '<layer id="1" name="wish" type="ReLU" version="opset1">'
    '<rt_info><attribute name="DisablePrecisionConversion" version="0" value="dynamic:f16"/></rt_info>'
    '<input><port id="0" precision="FP32"><dim>1</dim></port></input>'
    '<output><port id="1" precision="FP32"><dim>1</dim></port></output></layer>'
    '<layer id="2" name="out" type="Result" version="opset1">'
    '<input><port id="0" precision="FP32"><dim>1</dim></port></input></layer></layers>'
    '<edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>'
    '<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/></edges></net>'
)


def keep_end_in_float32(core: Any, network: Any) -> None:
    """Let the end of a network that was read, but not compiled, keep float32; one without convolutions stays."""
    convolutions = [layer for layer in network.get_ordered_ops() if layer.get_type_name() == _CONVOLUTION]
    if not convolutions:
        return
    if (wish := _wish(core)) is None:
        return
    last = convolutions[-1]
    if not _is_small(last):
        return
    norms = [layer for layer in _last_block(last) if layer.get_type_name() == _NORM]
    kept = [last, *norms, *(_unrounded(layer) for layer in (last, *norms))]
    for layer in kept:
        layer.set_rt_info(wish, _KEY)


def _is_small(layer: Any) -> bool:
    """Tell whether float32 of what a layer takes in has room; one whose sides are open is not known to be small."""
    sides = [int(side.get_max_length()) for side in list(layer.get_input_partial_shape(0))[1:]]
    return min(sides) > 0 and 4 * math.prod(sides) <= SMALL_MB * 1e6


def _wish(core: Any) -> Any | None:
    """Return OpenVINO's own form of the wish; None from a version that does not know it."""
    try:
        layers = core.read_model(_WISH.encode(), b"").get_ops()
        return next(layer.get_rt_info()[_KEY] for layer in layers if layer.get_friendly_name() == "wish")
    except (KeyError, RuntimeError, StopIteration) as error:
        log.info("This version of OpenVINO keeps no layer in float32 (%s).", type(error).__name__)
        return None


def _last_block(last: Any) -> Iterator[Any]:
    """Return the layers between the last convolution and the one before it, the latest first."""
    layer = last.input_value(0).get_node()
    while layer.get_type_name() in _BETWEEN:
        yield layer
        shape = layer.get_output_partial_shape(0)
        layer = next(value.get_node() for value in layer.input_values() if value.get_partial_shape() == shape)


def _unrounded(layer: Any) -> Any:
    """Put a clamp without bounds before a layer, and return it."""
    clamp = openvino.opset13.clamp(layer.input_value(0), -math.inf, math.inf)
    layer.input(0).replace_source_output(clamp.output(0))
    return clamp
