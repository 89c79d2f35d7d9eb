"""Mixtures of experts: what the gate chooses, that routed and dense forms are one, losses, and what is counted."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from neuraxis.networks import experts
from neuraxis.networks.experts import ExpertFeedForward, ExpertProjection, Router, counted_use, own_loss
from neuraxis.networks.segformer3d_moe import SegFormer3DMoE
from neuraxis.networks.transformer_options import SegFormer3DMoEOptions
from neuraxis.training.task import add_own_loss

SMALL = SegFormer3DMoEOptions(
    features=(8, 16),
    heads=(1, 2),
    depths=(1, 2),
    kernels=((3, 3, 3),) * 2,
    strides=((2, 2, 2),) * 2,
    reductions=((2, 2, 2), (1, 1, 1)),
    experts=(4, 6),
    chosen=(2, 3),
    decoder_width=12,
    dropout=0.0,
)


def small() -> SegFormer3DMoE:
    torch.manual_seed(0)
    network = SegFormer3DMoE(SMALL, 2, 3)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.3)
    return network


def test_the_published_experts_are_the_defaults():
    options = SegFormer3DMoEOptions()

    assert (options.experts, options.chosen) == ((4, 4, 6, 8), (2, 2, 3, 4))
    assert (options.decoder_experts, options.decoder_chosen) == (4, 2)


def test_a_gate_without_bias_chooses_the_most_probable_experts_and_weighs_them_to_one():
    router = Router(3, 3, 2, "here")
    assert router.gate.bias is None
    with torch.no_grad():
        router.gate.weight.copy_(torch.eye(3))

    routes = router(torch.tensor([[0.0, 2.0, 1.0]]))

    assert routes.experts.tolist() == [[1, 2]]
    e = torch.tensor(1.0).exp()
    torch.testing.assert_close(routes.weights, torch.tensor([[e / (1 + e), 1 / (1 + e)]]))
    torch.testing.assert_close(routes.dense(), torch.tensor([[0.0, e / (1 + e), 1 / (1 + e)]]))


@pytest.mark.parametrize("shape", [(2, 3, 2, 4, 8), (1, 1, 1, 1, 8)])
def test_experts_that_are_chosen_compute_what_all_experts_with_weights_compute(shape, monkeypatch):
    layer, tokens = ExpertFeedForward(8, 16, Router(8, 4, 2, ""), 3, 0.0), torch.randn(shape)
    for weight in layer.parameters():
        nn.init.normal_(weight, std=0.5)
    twin = copy.deepcopy(layer)

    routed = layer(tokens)
    routed.square().sum().backward()
    monkeypatch.setattr(experts, "computes_all", lambda: True)
    dense = twin(tokens)
    dense.square().sum().backward()

    torch.testing.assert_close(routed, dense, atol=1e-4, rtol=1e-4)
    for ours, theirs in zip(layer.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-3, rtol=1e-3)


def test_an_expert_is_two_linear_layers_of_its_own():
    layer = ExpertFeedForward(4, 6, Router(4, 2, 1, ""), 3, 0.0)
    for weight in layer.parameters():
        nn.init.normal_(weight)
    nn.init.zeros_(layer.depthwise.weight)
    nn.init.zeros_(layer.depthwise.bias)
    tokens = torch.randn(1, 3, 1, 1, 4)

    found = layer(tokens)[0, :, 0, 0]

    for token, given in zip(tokens[0, :, 0, 0], found, strict=True):
        expert = int(layer.router.gate(token).argmax())
        hidden = nn.functional.gelu(layer.widen[expert] @ token + layer.widen_bias[expert])
        torch.testing.assert_close(given, layer.narrow[expert] @ hidden + layer.narrow_bias[expert])


def test_projections_of_a_token_are_the_weighed_mean_of_its_experts():
    layer, mix = ExpertProjection(4, 5, Router(4, 3, 2, "")), torch.randn(6, 5)
    for weight in layer.parameters():
        nn.init.normal_(weight)
    tokens = torch.randn(1, 2, 1, 1, 4)

    found = layer(tokens, mix)[0, 0, 0, 0]

    token = tokens[0, 0, 0, 0]
    routes = layer.router(token[None])
    each = [layer.weight[number] @ token + layer.bias[number] for number in routes.experts[0]]
    torch.testing.assert_close(found, mix @ (routes.weights[0] @ torch.stack(each)))


def test_the_balance_loss_is_one_where_all_experts_are_alike_and_grows_where_one_takes_all():
    router = Router(4, 4, 1, "").train()
    even = 20 * torch.eye(4)
    with torch.no_grad():
        router.gate.weight.copy_(torch.eye(4))

    router(even)
    balanced, _ = router.losses
    router(even[:1].expand(4, -1))
    taken, _ = router.losses

    assert balanced.item() == pytest.approx(1, abs=1e-4)
    assert taken.item() == pytest.approx(4, abs=1e-4)


def test_the_loss_of_the_routers_is_their_squared_log_sum_too_and_is_told_once():
    router = Router(2, 2, 1, "").train()
    with torch.no_grad():
        router.gate.weight.copy_(torch.eye(2))
    router(torch.tensor([[3.0, 1.0]]))
    balance, logits = router.losses
    assert logits.item() == pytest.approx(torch.tensor([3.0, 1.0]).logsumexp(0).item() ** 2)

    assert own_loss(router, 2.0, 0.5).item() == pytest.approx((2 * balance + 0.5 * logits).item())
    assert own_loss(router, 2.0, 0.5) is None


def test_gates_learn_from_it_and_a_network_that_has_trained_can_be_copied():
    network = small().train()
    logits = network(torch.randn(2, 2, 8, 4, 12))

    add_own_loss(logits.sum() * 0, network, 1.0).backward()

    gates = [weight.grad for name, weight in network.named_parameters() if name.endswith("gate.weight")]
    assert len(gates) == 3 + 2
    assert all(gradient.abs().sum() > 0 for gradient in gates)
    copy.deepcopy(network)


def test_the_part_of_a_batch_that_a_rank_saw_counts_as_much():
    network = small().train()
    image = torch.randn(2, 2, 8, 4, 12)

    network(image)
    whole = add_own_loss(torch.zeros(()), network, 1.0)
    network(image)
    half = add_own_loss(torch.zeros(()), network, 0.5)

    torch.testing.assert_close(whole, 2 * half)
    assert float(add_own_loss(torch.ones(()), nn.Linear(1, 1), 1.0)) == 1


def test_use_is_counted_for_each_stage_and_projection_while_the_block_lasts():
    network = small().eval()

    with counted_use(network) as use:
        network(torch.randn(1, 2, 8, 4, 12))
        network(torch.randn(1, 2, 8, 4, 12))

    places = {name.rpartition("/")[0] for name in use}
    assert places == {"experts/stage 1", "experts/stage 2", "experts/decoder 1", "experts/decoder 2"}
    for place in places:
        shares = [share for name, share in use.items() if name.startswith(f"{place}/")]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert len([name for name in use if name.startswith("experts/stage 2/")]) == 6
    with counted_use(nn.Linear(1, 1)) as none:
        pass
    assert none == {}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"chosen": (2, 2, 3, 9)}, "of 8 experts 9 cannot be chosen"),
        ({"experts": (4, 4)}, "need a number for each stage"),
        ({"decoder_chosen": 5}, "of 4 experts 5 cannot be chosen"),
    ],
)
def test_what_cannot_be_chosen_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        SegFormer3DMoEOptions(**given)
