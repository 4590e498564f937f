"""Attention against PyTorch's two implementations, loops, and its own definition of a fully blocked row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from tests.models.references import randomise
from tfsss.layers.attention import Attention, attention_weights
from tfsss.probe import capture

B, M, N, D, H = 2, 5, 7, 12, 3


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def some_allowed(*shape: int) -> Tensor:
    """A random mask in which every query may attend to something."""
    allowed = normal(*shape, seed=5) > 0
    allowed[..., 0] = True
    return allowed


def random_attention(**options) -> Attention:
    return randomise(Attention(D, H, **options))


def as_multihead(ours: Attention) -> nn.MultiheadAttention:
    """PyTorch's module with our weights: its in_proj has the rows of our qkv, in the same order."""
    theirs = nn.MultiheadAttention(D, H, bias=ours.qkv.bias is not None, batch_first=True).eval()
    state = {"in_proj_weight": ours.qkv.weight, "out_proj.weight": ours.proj.weight}
    if ours.qkv.bias is not None:
        state |= {"in_proj_bias": ours.qkv.bias, "out_proj.bias": ours.proj.bias}
    theirs.load_state_dict(state, strict=True)
    return theirs


def test_one_head_by_loops():
    ours = randomise(Attention(4, 1))
    x = normal(1, 3, 4)
    with capture(ours, "weights") as seen:
        output = ours(x)
    q, k, v = (x[0] @ ours.qkv.weight.T + ours.qkv.bias).split(4, dim=1)
    for query in range(3):
        exponentials = [math.exp(float(q[query] @ k[key]) / 2) for key in range(3)]
        row = torch.tensor(exponentials) / sum(exponentials)
        assert_close(seen["weights"][0, 0, query], row, atol=1e-6, rtol=0)
        summed = sum(row[key] * v[key] for key in range(3))
        assert_close(output[0, query], ours.proj.weight @ summed + ours.proj.bias, atol=1e-5, rtol=0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_output_and_weights_are_multihead_attentions(bias, cross, masked):
    ours = random_attention(qkv_bias=bias, proj_bias=bias)
    x, context = normal(B, M, D), normal(B, N, D, seed=1) if cross else None
    source = x if context is None else context
    allowed = some_allowed(M, source.shape[1]) if masked else None
    expected, weights = as_multihead(ours)(x, source, source, attn_mask=None if allowed is None else ~allowed,
                                           average_attn_weights=False)
    with capture(ours, "weights") as seen:
        output = ours(x, context, allowed=allowed)
    assert_close(output, expected, atol=1e-5, rtol=0)
    assert_close(seen["weights"], weights, atol=1e-6, rtol=0)


def test_padding_is_multihead_attentions_key_padding_mask():
    ours, x = random_attention(), normal(B, N, D)
    padded = torch.tensor([[False] * 7, [False] * 4 + [True] * 3])
    expected, _ = as_multihead(ours)(x, x, x, key_padding_mask=padded)
    assert_close(ours(x, allowed=~padded[:, None, None]), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(M, N), (B, 1, M, N), (1, H, M, N), (B, H, M, N), (B, 1, 1, N)])
def test_masks_of_every_shape_are_scaled_dot_products(shape):
    q, k, v = normal(B, H, M, 4), normal(B, H, N, 4, seed=1), normal(B, H, N, 4, seed=2)
    allowed = some_allowed(*shape)
    scores = q @ k.transpose(-2, -1) / 2
    weights = attention_weights(scores, allowed)
    assert_close(weights @ v, F.scaled_dot_product_attention(q, k, v, attn_mask=allowed), atol=1e-5, rtol=0)
    assert_close(weights.sum(dim=-1), torch.ones(B, H, M))
    assert not weights.masked_select(~allowed.expand_as(weights)).any()  # exactly 0, not nearly


@pytest.mark.parametrize("head_dim", [None, 7])
def test_the_modules_steps_are_scaled_dot_products_with_a_bias(head_dim):
    ours, x, context = random_attention(head_dim=head_dim), normal(B, M, D), normal(B, N, D, seed=1)
    bias, allowed = normal(H, M, N, seed=2), some_allowed(B, 1, M, N)
    with capture(ours, "*") as seen:
        output = ours(x, context, allowed=allowed, bias=bias)
    q, k, v, scores, weights = (seen[name] for name in ("q", "k", "v", "scores", "weights"))
    width = head_dim or 4
    assert q.shape == (B, H, M, width) and k.shape == v.shape == (B, H, N, width)
    assert_close(scores, q @ k.transpose(-2, -1) / math.sqrt(width) + bias, atol=1e-5, rtol=0)
    assert torch.equal(weights, attention_weights(scores, allowed))
    additive = bias.masked_fill(~allowed, -torch.inf)  # SDPA takes a boolean mask or an additive one, not both
    heads = F.scaled_dot_product_attention(q, k, v, attn_mask=additive)
    assert_close(output, ours.proj(heads.transpose(1, 2).flatten(2)), atol=1e-5, rtol=0)


def test_cross_attention_to_itself_is_self_attention():
    for bias in (True, False):
        ours, x = random_attention(qkv_bias=bias), normal(B, M, D)
        assert_close(ours(x, x.clone()), ours(x), atol=1e-6, rtol=0)


def test_an_all_true_mask_changes_no_bit():
    scores = normal(B, H, M, N)
    assert torch.equal(attention_weights(scores, torch.ones(M, N, dtype=torch.bool)), attention_weights(scores))


def test_large_scores_do_not_overflow():
    weights = attention_weights(torch.tensor([[1e30, -1e30, 0.0]]), torch.tensor([[False, True, True]]))
    assert torch.equal(weights, torch.tensor([[0.0, 0.0, 1.0]]))


def test_a_fully_blocked_row_is_zeros_and_leaves_the_others_alone():
    ours, x = random_attention(), normal(B, M, D)
    allowed = some_allowed(B, 1, M, M)
    blocked = allowed.clone()
    blocked[0, :, 2] = False
    with capture(ours, "weights") as seen:
        output = ours(x, allowed=blocked)
    assert not seen["weights"][0, :, 2].any()
    assert torch.equal(output[0, 2], ours.proj.bias)  # a sum of nothing, then the output map
    kept = torch.ones(B, M, dtype=torch.bool)
    kept[0, 2] = False
    assert torch.equal(output[kept], ours(x, allowed=allowed)[kept])


@pytest.mark.parametrize("everything", [False, True])
def test_gradients_are_finite_through_blocked_rows(everything):
    ours, x = random_attention().requires_grad_(True), normal(B, M, D).requires_grad_(True)
    allowed = some_allowed(B, 1, M, M)
    allowed[0] = False
    if everything:
        allowed[:] = False
    ours(x, allowed=allowed).square().sum().backward()
    for name, gradient in [("x", x.grad), *((name, p.grad) for name, p in ours.named_parameters())]:
        assert gradient.isfinite().all(), name
    assert not x.grad[0].any()  # nothing flows where nothing is attended to
    assert bool(x.grad[1].any()) != everything


def test_gradients_beside_a_blocked_row_are_those_without_it():
    scores = normal(1, 1, 3, 4).requires_grad_(True)
    allowed = torch.ones(3, 4, dtype=torch.bool)
    allowed[1] = False
    value = normal(1, 1, 4, 2, seed=1)
    (gradient,) = torch.autograd.grad((attention_weights(scores, allowed) @ value).square().sum(), scores)
    (expected,) = torch.autograd.grad((attention_weights(scores)[..., [0, 2], :] @ value).square().sum(), scores)
    assert_close(gradient, expected)


def test_the_fused_path_agrees_at_a_real_size():
    """At a real size: 197 tokens, 12 heads of 64."""
    ours = randomise(Attention(768, 12))
    x = normal(1, 197, 768)
    with capture(ours, "[qkv]") as seen:
        output = ours(x)
    heads = F.scaled_dot_product_attention(seen["q"], seen["k"], seen["v"])
    assert_close(output, ours.proj(heads.transpose(1, 2).flatten(2)), atol=1e-4, rtol=0)
