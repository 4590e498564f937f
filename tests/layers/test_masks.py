"""Masks against their definitions cell by cell, and each convention against what softmax makes of it."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch.testing import assert_close

from tfsss.layers import masks
from tfsss.layers.attention import attention_weights

IDS = torch.tensor([[5, 3, 9, 0, 0], [7, 0, 0, 0, 0], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0]])  # 0 = padding
TOKENS = masks.real_tokens(IDS, 0)


def cells(allowed: torch.Tensor, rows: int = 5, columns: int = 5) -> torch.Tensor:
    return allowed.expand(len(IDS), 1, rows, columns)[:, 0]


def test_causal_lets_nobody_look_ahead():
    for m, n in product(range(1, 6), range(1, 6)):
        allowed = masks.causal(m, n)
        assert allowed.shape == (m, n) and allowed.dtype == torch.bool
        assert all(allowed[i, j] == (j <= i) for i, j in product(range(m), range(n)))
    assert masks.causal(4).equal(torch.ones(4, 4).tril().bool())


def test_padding_masks_block_columns_rows_or_both():
    other = torch.tensor([[True, False], [True, True], [False, False], [True, True]])
    for b, i, j in product(range(4), range(5), range(5)):
        assert cells(masks.key_padding(TOKENS))[b, i, j] == (IDS[b, j] != 0)
        assert cells(masks.query_padding(TOKENS))[b, i, j] == (IDS[b, i] != 0)
    crossed = masks.cross(other, TOKENS)
    assert crossed.shape == (4, 1, 2, 5)
    for b, i, j in product(range(4), range(2), range(5)):
        assert crossed[b, 0, i, j] == (bool(other[b, i]) and IDS[b, j] != 0)


def test_and_or_broadcast_and_take_any_number():
    causal, keys, queries = masks.causal(5), masks.key_padding(TOKENS), masks.query_padding(TOKENS)
    every, some = masks.all_of(causal, keys, queries), masks.any_of(causal, keys, queries)
    assert every.shape == some.shape == (4, 1, 5, 5)
    for b, i, j in product(range(4), range(5), range(5)):
        three = [j <= i, bool(TOKENS[b, j]), bool(TOKENS[b, i])]
        assert every[b, 0, i, j] == all(three) and some[b, 0, i, j] == any(three)
    assert masks.all_of(causal).equal(causal) and masks.any_of(causal).equal(causal)
    assert masks.to_blocked(masks.all_of(causal, keys)).equal(masks.any_of(~causal, ~keys))  # De Morgan


def test_every_convention_blocks_the_same_cells():
    allowed = masks.all_of(masks.causal(5), masks.key_padding(TOKENS[:3]))  # every row has something allowed
    scores = torch.randn(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    ours = attention_weights(scores, allowed)
    assert_close((scores + masks.to_additive_inf(allowed)).softmax(-1), ours, atol=0, rtol=0)
    assert_close((scores + masks.to_additive_finite(allowed)).softmax(-1), ours, atol=0, rtol=0)
    assert_close(scores.masked_fill(masks.to_blocked(allowed), -torch.inf).softmax(-1), ours, atol=0, rtol=0)
    assert masks.to_blocked(allowed).dtype == torch.bool
    assert set(masks.to_additive_inf(allowed).unique().tolist()) == {0, -torch.inf}
    assert set(masks.to_additive_finite(allowed).unique().tolist()) == {0, -1e9}


def test_a_fully_blocked_row_is_nan_uniform_or_zero():
    allowed = torch.tensor([[False, False, False, False]])
    scores = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert (scores + masks.to_additive_inf(allowed)).softmax(-1).isnan().all()
    assert_close((scores + masks.to_additive_finite(allowed)).softmax(-1), torch.full((1, 4), 0.25))
    assert attention_weights(scores, allowed).equal(torch.zeros(1, 4))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_additive_inf_in_every_precision(dtype):
    additive = masks.to_additive_inf(masks.causal(3), dtype)
    assert additive.dtype == dtype and additive[0, 2] == -torch.inf and additive[2, 0] == 0


def test_encoder_decoder_masks_are_padding_and_the_future():
    target = torch.tensor([[True, True, False]] * 4)
    made = masks.encoder_decoder_masks(TOKENS, target)
    for b, i, j in product(range(4), range(3), range(5)):
        assert made.memory.expand(4, 1, 3, 5)[b, 0, i, j] == TOKENS[b, j] == cells(made.source)[b, i, j]
    for b, i, j in product(range(4), range(3), range(3)):
        assert made.target[b, 0, i, j] == (bool(target[b, j]) and j <= i)
