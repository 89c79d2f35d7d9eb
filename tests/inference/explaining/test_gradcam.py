"""Grad-CAM++ against answers written out, and the checks that an honest map must pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from neuraxis.errors import UsageError
from neuraxis.inference.explaining import gradcam
from neuraxis.inference.explaining.gradcam import GradCam
from neuraxis.inference.explaining.layers import Layer, Tap, layer_named, layers_of
from neuraxis.inference.explaining.tiles import Tiles
from neuraxis.networks.catalog import NETWORKS
from neuraxis.networks.options import UNetOptions
from neuraxis.patches.merge import gaussian_weight

HEAD = ((0.0, 0.0, 0.0), (2.0, 1.0, 0.0))  # of the outputs background and lesion, for each of three features


class Pointwise(nn.Module):
    """Three features of each voxel by itself, x, 3 - x and 5 x, and two outputs that mix them."""

    stride = (1, 1, 1)

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = nn.Conv3d(1, 3, 1), nn.Conv3d(3, 2, 1, bias=False)
        self.act = nn.ReLU()
        with torch.no_grad():
            self.features.weight.copy_(torch.tensor([1.0, -1.0, 5.0]).reshape(3, 1, 1, 1, 1))
            self.features.bias.copy_(torch.tensor([0.0, 3.0, 0.0]))
            self.head.weight.copy_(torch.tensor(HEAD).reshape(2, 3, 1, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.features(image)))


def tiles_of(image: np.ndarray, window: tuple[int, int, int], starts: tuple[tuple[int, int, int], ...]) -> Tiles:
    return Tiles(image, (0, 0, 0), image.shape[1:], starts, window, gaussian_weight(window))


def mapped(network: nn.Module, layer: str, tiles: Tiles, mask: np.ndarray, output: int = 1) -> np.ndarray:
    """Return the map of one output (X, Y, Z)."""
    found = layer_named(layer, layers_of(network, tiles.image.shape[0], tiles.window))
    slabs = GradCam(Tap(network, found), tiles, mask[None], [output]).slabs()
    return np.concatenate([slab.copy() for slab in slabs], axis=1)[0]


def whole(image: np.ndarray) -> Tiles:
    return tiles_of(image, image.shape[1:], ((0, 0, 0),))


def test_the_map_of_a_linear_network_is_what_the_paper_writes() -> None:
    image = np.arange(24, dtype=np.float32).reshape(1, 4, 3, 2) / 8
    mask = image[0] > 2

    found = mapped(Pointwise(), "act", whole(image), mask)

    # the logit against the other output rises by 2 and 1 for each feature, shared by the voxels of the label
    features = [np.maximum(image[0], 0), np.maximum(3 - image[0], 0)]
    slopes = [slope / mask.sum() for slope in (2.0, 1.0)]
    weights = [
        mask.sum() * slope / (2 + slope * feature.sum()) for slope, feature in zip(slopes, features, strict=True)
    ]
    expected = sum(weight * feature for weight, feature in zip(weights, features, strict=True))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_feature_that_may_be_negative_counts_as_the_two_that_it_is_the_difference_of() -> None:
    network, image = Pointwise(), np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 4, 3, 2)
    with torch.no_grad():
        network.features.bias.zero_()
        network.head.weight.copy_(torch.tensor(((0.0, 0.0, 0.0), (-2.0, 0.0, 0.0))).reshape(2, 3, 1, 1, 1))
    network.act = nn.Identity()
    mask = np.ones(image.shape[1:], bool)

    found = mapped(network, "features", whole(image), mask)

    negative = np.maximum(-image[0], 0)  # the lesion is where the first feature is below 0
    weight = 2 / (2 + 2 / mask.sum() * negative.sum())
    np.testing.assert_allclose(found, weight * negative, rtol=1e-5)


def test_a_feature_that_the_network_ignores_leaves_no_trace() -> None:
    image = np.random.default_rng(0).random((1, 4, 4, 4)).astype(np.float32)
    mask = image[0] > 0.5
    before = mapped(Pointwise(), "act", whole(image), mask)
    louder = Pointwise()
    with torch.no_grad():
        louder.features.weight[2] *= 100

    assert np.array_equal(before, mapped(louder, "act", whole(image), mask))
    with torch.no_grad():
        louder.head.weight.zero_()
    assert not mapped(louder, "act", whole(image), mask).any()


def test_windows_meet_without_a_seam() -> None:
    image = np.random.default_rng(1).random((1, 12, 10, 6)).astype(np.float32)
    mask = image[0] > 0.7
    starts = tuple((x, y, 0) for x in (0, 3, 6) for y in (0, 4))

    tiled = mapped(Pointwise(), "act", tiles_of(image, (6, 6, 6), starts), mask)

    np.testing.assert_allclose(tiled, mapped(Pointwise(), "act", whole(image), mask), rtol=1e-4)


def test_in_the_middle_of_a_window_its_edges_do_not_matter() -> None:
    network = small_unet(norm=False)
    image = np.random.default_rng(2).normal(size=(1, 32, 16, 16)).astype(np.float32)
    mask = np.zeros(image.shape[1:], bool)
    mask[14:18, 6:10, 6:10] = True
    starts = tuple((x, 0, 0) for x in (0, 4, 8))

    tiled = mapped(network, "decoder.0", tiles_of(image, (24, 16, 16), starts), mask)
    once = mapped(network, "decoder.0", whole(image), mask)

    middle = (slice(13, 19),)
    assert np.corrcoef(tiled[middle].ravel(), once[middle].ravel())[0, 1] > 0.99
    np.testing.assert_allclose(tiled[middle], once[middle], rtol=0.1, atol=0.02 * once.max())


def test_maps_do_not_depend_on_what_is_kept_in_memory_nor_on_how_many_windows_run_at_once(monkeypatch) -> None:
    network, image = small_unet(), np.random.default_rng(3).normal(size=(1, 24, 24, 8)).astype(np.float32)
    mask, starts = image[0] > 1, tuple((x, y, 0) for x in (0, 8) for y in (0, 8))
    tiles = tiles_of(image, (16, 16, 8), starts)
    kept = mapped(network, "encoder.1", tiles, mask)
    ran: list[int] = []
    monkeypatch.setattr(
        Tap, "before", lambda self, windows, run=Tap.before: ran.append(len(windows)) or run(self, windows)
    )

    monkeypatch.setattr(gradcam, "KEPT_BYTES", 0)
    again = mapped(network, "encoder.1", tiles, mask)
    count = len(ran)
    together = Tiles(image, (0, 0, 0), image.shape[1:], starts, (16, 16, 8), tiles.weight, batch=4)

    assert count == 2 * len(starts)
    assert np.array_equal(kept, again)
    np.testing.assert_allclose(mapped(network, "encoder.1", together, mask), kept, rtol=1e-4, atol=1e-6)
    assert max(ran) == 2  # of one plane


def test_a_label_that_is_nowhere_has_a_map_of_zeros() -> None:
    image = np.random.default_rng(0).random((1, 8, 8, 8)).astype(np.float32)

    assert not mapped(small_unet(), "", whole(image), np.zeros(image.shape[1:], bool)).any()


@pytest.mark.parametrize("axis", [2, None])
def test_a_flat_network_explains_slice_by_slice(axis) -> None:
    network = small_unet(flat=True, axis=axis)
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    mask = image[0] > 0.5
    mask[..., 2] = False
    tiles = tiles_of(image, (16, 16, 1), tuple((0, 0, z) for z in range(3)))

    found = mapped(network, "", tiles, mask)

    assert found.shape == (16, 16, 3)
    assert found.any(axis=(0, 1)).all()  # one set of weights explains all slices, those without the label too


def test_drawing_the_weights_anew_from_the_output_inwards_changes_the_map_more_and_more() -> None:
    """Adebayo et al. 2018, Sanity checks for saliency maps."""
    network, image, mask = trained()
    before = mapped(network, "decoder.0", whole(image), mask)
    alike = []
    torch.manual_seed(7)
    for part in (network.heads, network.decoder, network.upsample, network.encoder):
        for weight in part.parameters():
            with torch.no_grad():
                weight.copy_(torch.randn_like(weight) * 0.2)
        after = mapped(network, "decoder.0", whole(image), mask)
        alike.append(float(np.nan_to_num(np.corrcoef(before.ravel(), after.ravel())[0, 1])))

    assert alike[0] < 0.95
    assert alike[-1] < 0.6


def test_the_map_of_a_bright_lesion_is_higher_in_it_than_elsewhere() -> None:
    network, image, mask = trained()

    for layer in ("decoder.0", ""):
        found = mapped(network, layer, whole(image), mask)
        inside, outside = found[mask].mean(), found[~mask].mean()
        assert inside > (3 if layer else 1.2) * outside, layer


def test_the_score_of_a_softmax_is_its_logit_against_all_others() -> None:
    logits = torch.tensor([[1.0, 2.0, 4.0]]).reshape(1, 3, 1, 1, 1)
    probability = logits.softmax(dim=1)

    score = gradcam.logit_of(logits, 2, "softmax")

    torch.testing.assert_close(score.sigmoid(), probability[:, 2])
    assert float(gradcam.logit_of(logits, 1, "sigmoid")) == 2.0


def small_unet(norm: bool = True, flat: bool = False, axis: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    kernel, stride = ((3, 3, 1), (2, 2, 1)) if flat else ((3, 3, 3), (2, 2, 2))
    options = UNetOptions(features=(6, 12), kernels=(kernel,) * 2, strides=((1, 1, 1), stride), flat_axis=axis)
    network = NETWORKS.load("unet")(options, 1, 2).eval()
    if not norm:
        for module in network.modules():
            if isinstance(module, nn.InstanceNorm3d):
                module.forward = lambda image: image  # its statistics are those of a window
    return network


def lesion(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (1, 16, 16, 16) of noise with a bright cube, and the cube."""
    draws = np.random.default_rng(seed)
    x, y, z = draws.integers(1, 11, 3)
    mask = np.zeros((16, 16, 16), bool)
    mask[x : x + 4, y : y + 4, z : z + 4] = True
    return (draws.normal(0, 0.5, mask.shape) + 3 * mask).astype(np.float32)[None], mask


_TRAINED: list[tuple[nn.Module, dict[str, torch.Tensor]]] = []


def trained() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """Return a network that learned to find a bright cube, an image that it did not see, and its cube."""
    if not _TRAINED:
        network = small_unet().train()
        steps = torch.optim.Adam(network.parameters(), 5e-3)
        for step in range(60):
            pairs = [lesion(2 * step + place) for place in range(2)]
            images = torch.from_numpy(np.stack([image for image, _ in pairs]))
            masks = torch.from_numpy(np.stack([mask for _, mask in pairs])).long()
            loss = F.cross_entropy(network(images)[0], masks, weight=torch.tensor([1.0, 10.0]))
            steps.zero_grad()
            loss.backward()
            steps.step()
        _TRAINED.append((network.eval(), {name: weight.clone() for name, weight in network.state_dict().items()}))
    network, weights = _TRAINED[0]
    network.load_state_dict(weights)
    image, mask = lesion(1000)
    with torch.no_grad():
        found = network(torch.from_numpy(image)[None]).argmax(dim=1)[0].numpy() == 1
    assert 2 * (found & mask).sum() / (found.sum() + mask.sum()) > 0.8
    return network, image, mask


def test_an_unknown_layer_is_answered_with_the_nearest() -> None:
    layers = layers_of(small_unet(), 1, (16, 16, 16))

    with pytest.raises(UsageError, match=r"Did you mean .encoder\.1"):
        layer_named("encoder.l", layers)
    assert isinstance(layer_named("", layers), Layer)
