"""Building blocks."""

import pytest
import torch

from neuraxis.networks.blocks import AveragePool3d, InstanceNorm2d, InstanceNorm3d, PointConv3d, convolution


def images(ndim, dtype=torch.float32):
    shape = (2, 5, 6, 4) if ndim == 4 else (2, 5, 6, 4, 3)
    layout = torch.channels_last if ndim == 4 else torch.channels_last_3d
    image = 3 + 2 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return image.to(dtype).contiguous(memory_format=layout).requires_grad_()


def norms(ndim):
    quick, plain = (
        (InstanceNorm2d(5, affine=True), torch.nn.InstanceNorm2d(5, affine=True))
        if ndim == 4
        else (InstanceNorm3d(5, affine=True), torch.nn.InstanceNorm3d(5, affine=True))
    )
    for norm in (quick, plain):
        torch.nn.init.uniform_(norm.weight, 0.5, 2)
        norm.load_state_dict({"weight": torch.arange(1.0, 6), "bias": torch.arange(5.0)})
    return quick, plain


@pytest.mark.parametrize("ndim", [4, 5])
def test_the_quick_norm_and_its_gradients_are_torchs_own(ndim):
    results = []
    for norm in norms(ndim):
        image = images(ndim)
        out = norm(image)
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
        results.append((out, image.grad, norm.weight.grad, norm.bias.grad))

    for quick, plain in zip(*results, strict=True):
        torch.testing.assert_close(quick, plain, atol=1e-4, rtol=1e-4)


def test_the_quick_way_is_taken_in_training_alone():
    quick, _ = norms(5)
    image = images(5)

    assert "ByBatchNorm" in quick(image).grad_fn.name()
    assert "ByBatchNorm" not in quick.eval()(image).grad_fn.name()


def test_half_precision_stays_half_precision():
    quick, plain = norms(5)
    image = images(5, torch.bfloat16)

    out = quick(image)

    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), plain(image.float()), atol=0.1, rtol=0.02)


@pytest.mark.parametrize(
    ("quick", "plain"),
    [
        (AveragePool3d((2, 2, 1)), torch.nn.AvgPool3d((2, 2, 1))),
        (AveragePool3d((1, 2, 3)), torch.nn.AvgPool3d((1, 2, 3))),
        (PointConv3d(5, 3, 1), torch.nn.Conv3d(5, 3, 1)),
        (PointConv3d(5, 3, 1, bias=False), torch.nn.Conv3d(5, 3, 1, bias=False)),
    ],
    ids=["pool 221", "pool 123", "point", "point without bias"],
)
def test_quick_layers_and_their_gradients_are_torchs_own_and_keep_memory_as_it_is(quick, plain):
    plain.load_state_dict(quick.state_dict())
    results = []
    for layer in (quick.train(), plain.train()):
        image = images(5)
        out = layer(image)
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
        results.append((out, image.grad, *(weight.grad for weight in layer.parameters())))

    for ours, torchs in zip(*results, strict=True):
        torch.testing.assert_close(ours, torchs, atol=1e-5, rtol=1e-4)
    assert results[0][0].is_contiguous(memory_format=torch.channels_last_3d)


def test_pooling_takes_half_precision_which_torchs_own_does_not():
    image = images(5, torch.bfloat16)

    pooled = AveragePool3d((2, 2, 1)).train()(image)

    assert pooled.dtype == torch.bfloat16
    expected = torch.nn.functional.avg_pool3d(image.float(), (2, 2, 1))
    torch.testing.assert_close(pooled.float(), expected, atol=0.05, rtol=0.02)


def test_convolutions_come_in_the_dimensions_of_their_kernel_and_keep_the_size():
    flat, solid = convolution(2, 3, (3, 1)), convolution(2, 3, (1, 3, 5), (1, 2, 1))

    assert flat(torch.zeros(1, 2, 6, 4)).shape == (1, 3, 6, 4)
    assert solid(torch.zeros(1, 2, 6, 4, 8)).shape == (1, 3, 6, 2, 8)
    assert isinstance(convolution(2, 3, (1, 1, 1)), PointConv3d)
    assert not isinstance(convolution(2, 3, (1, 1, 1), (2, 2, 2)), PointConv3d)
