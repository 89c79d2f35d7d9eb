"""Layers that keep float32 where the rest of a network computes in bfloat16: its first convolution, and its last.

The last one gives the logits: rounded to the eight bits of bfloat16, two structures tie in many voxels at their edge.
The first rounds the scan itself. Both have few channels on one side and take next to no time. OpenVINO takes such a wish
only from a file of its own format, so a convolution that carries it is read from a small one, and put into the network.
"""

from __future__ import annotations

from typing import Any

_CONVOLUTION = "Convolution"
# OpenVINO's processor plug-in asks whether a layer may become float16, whichever half precision it then computes in
_KEPT = '<attribute name="DisablePrecisionConversion" version="0" value="dynamic:f16"/>'


def keep_ends_in_float32(core: Any, network: Any) -> None:
    """Let the first and the last convolution of a network that was read, but not compiled, compute in float32."""
    found = [layer for layer in network.get_ordered_ops() if layer.get_type_name() == _CONVOLUTION]
    for layer in {id(layer): layer for layer in (*found[:1], *found[-1:])}.values():
        kept = _kept_convolution(core, layer)
        for place in range(2):
            kept.input(place).replace_source_output(layer.input_value(place))
        kept.set_friendly_name(layer.get_friendly_name())
        for target in layer.output(0).get_target_inputs():
            target.replace_source_output(kept.output(0))
    network.validate_nodes_and_infer_types()


def _kept_convolution(core: Any, layer: Any) -> Any:
    """Return a convolution as another one is, that keeps float32; its inputs are still to be put in."""
    content = _file(layer.get_attributes(), len(layer.input(0).get_partial_shape()))
    read = core.read_model(content.encode(), b"")
    return next(one for one in read.get_ordered_ops() if one.get_type_name() == _CONVOLUTION)


def _file(options: dict[str, Any], rank: int) -> str:
    """Return a network of one convolution in OpenVINO's format, of inputs of any shape."""
    sides = ("strides", "dilations", "pads_begin", "pads_end")
    words = " ".join(f'{side}="{",".join(map(str, options[side]))}"' for side in sides)
    shape, port = ",".join("?" * rank), f"{'<dim>-1</dim>' * rank}</port>"
    inputs = "".join(
        f'<layer id="{place}" name="input{place}" type="Parameter" version="opset1">'
        f'<data shape="{shape}" element_type="f32"/><output><port id="0" precision="FP32">{port}</output></layer>'
        for place in range(2)
    )
    return (
        f'<net name="convolution" version="11"><layers>{inputs}'
        f'<layer id="2" name="convolution" type="{_CONVOLUTION}" version="opset1">'
        f'<data {words} auto_pad="{options["auto_pad"]}"/><rt_info>{_KEPT}</rt_info>'
        f'<input><port id="0" precision="FP32">{port}<port id="1" precision="FP32">{port}</input>'
        f'<output><port id="2" precision="FP32">{port}</output></layer>'
        f'<layer id="3" name="result" type="Result" version="opset1">'
        f'<input><port id="0" precision="FP32">{port}</input></layer></layers>'
        '<edges><edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>'
        '<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>'
        '<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/></edges></net>'
    )
