"""Options of networks: what they refuse, and how they are planned."""

import pytest

from neuraxis.networks.catalog import OPTIONS
from neuraxis.networks.options import UNetOptions
from neuraxis.networks.topology import Topology

GOOD = {"features": (4, 8), "kernels": ((3, 3, 3),) * 2, "strides": ((1, 1, 1), (2, 2, 2))}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"features": (4,)}, "same number of stages, at least 2"),
        ({"strides": ((2, 2, 2), (2, 2, 2))}, "first stage keeps full resolution"),
        ({"strides": ((1, 1, 1), (2, 0, 2))}, "features and strides are positive"),
        ({"features": (0, 8)}, "features and strides are positive"),
        ({"kernels": ((3, 3, 3), (3, 2, 3))}, "kernel sizes are odd"),
        ({"flat_axis": 3}, "flat_axis is 0, 1, 2, or left out"),
        ({"convolutions": 0}, "convolutions are positive"),
        ({"depth": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_no_network_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        UNetOptions(**{**GOOD, **change})


@pytest.mark.parametrize("name", ["classic-unet", "residual-unet", "unet"])
def test_a_planned_network_has_the_topology_and_widths_that_double_up_to_the_most(name):
    topology = Topology(((1, 1, 1), (2, 1, 2), (2, 2, 2)), ((3, 1, 3), (3, 3, 3), (3, 3, 3)))

    options = OPTIONS.load(name).planned(topology, 16, 40, None)

    assert options.features == (16, 32, 40)
    assert (options.strides, options.kernels, options.flat_axis) == (topology.strides, topology.kernels, None)
    assert options.stride == topology.stride == (4, 2, 4)
