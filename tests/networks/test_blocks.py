"""Building blocks."""

import pytest
import torch

from neuraxis.networks.blocks import InstanceNorm2d, InstanceNorm3d


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
