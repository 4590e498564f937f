"""Positions against independent implementations and against loops written from the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from tfsss.layers.attention import attention_weights
from tfsss.layers.position import (
    RelativePositionBias, alibi_bias, alibi_slopes, frequencies, gather_relative_bias, relative_position_steps,
    resize_table, rotate, sincos_1d, sincos_2d,
)


def by_definition(position: float, dim: int, base: float = 10_000.0) -> tuple[list[float], list[float]]:
    """Sines and cosines of one position, in Python floats."""
    angles = [position / base ** (2 * pair / dim) for pair in range(dim // 2)]
    return [math.sin(a) for a in angles], [math.cos(a) for a in angles]


@pytest.mark.parametrize("base", [100.0, 10_000.0])
def test_sincos_1d_is_the_papers_formula(base):
    positions = torch.tensor([0.0, 1.0, 2.5, 77.0])
    interleaved = sincos_1d(positions, 10, base=base)
    concatenated = sincos_1d(positions, 10, base=base, interleaved=False)
    for row, position in enumerate(positions.tolist()):
        sines, cosines = by_definition(position, 10, base)
        assert_close(interleaved[row, 0::2].tolist(), sines, atol=1e-6, rtol=0)
        assert_close(interleaved[row, 1::2].tolist(), cosines, atol=1e-6, rtol=0)
        assert_close(concatenated[row].tolist(), sines + cosines, atol=1e-6, rtol=0)


def test_sincos_1d_stays_exact_far_out():
    sines, cosines = by_definition(1_000_001, 8)
    assert_close(sincos_1d(torch.tensor([1_000_001]), 8, interleaved=False)[0].tolist(), sines + cosines,
                 atol=1e-6, rtol=0)


def test_sincos_2d_agrees_with_transformers():
    from transformers import ViTMAEConfig
    from transformers.models.vit_mae import modeling_vit_mae as theirs

    for grid in ((5, 5), (3, 7)):
        y_first = theirs.build_2d_sinusoidal_position_embedding(*grid, embed_dim=24).reshape(-1, 24)
        assert_close(sincos_2d(grid, 24, x_first=False), y_first, atol=1e-5, rtol=0)
    embeddings = theirs.ViTMAEEmbeddings(ViTMAEConfig(hidden_size=24, image_size=40, patch_size=8))
    embeddings.initialize_weights()
    assert_close(sincos_2d((5, 5), 24), embeddings.position_embeddings[0, 1:].detach(), atol=1e-5, rtol=0)


def test_sincos_2d_in_each_convention_on_a_grid_that_is_not_square():
    for interleaved in (False, True):
        for x_first in (False, True):
            table = sincos_2d((3, 5), 16, interleaved=interleaved, x_first=x_first)
            assert table.shape == (15, 16)
            x = sincos_1d(torch.tensor([4]), 8, interleaved=interleaved)[0]
            y = sincos_1d(torch.tensor([2]), 8, interleaved=interleaved)[0]
            assert_close(table[2 * 5 + 4], torch.cat([x, y] if x_first else [y, x]))


def test_resize_keeps_rows_and_columns_apart():
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 6), torch.linspace(0, 10, 4), indexing="ij")
    table = torch.stack([rows.flatten(), columns.flatten()], dim=-1)[None]  # 1 24 2
    resized = resize_table(table, (6, 4), (3, 8), antialias=True)[0].unflatten(0, (3, 8))
    assert resized[..., 0].diff(dim=1).abs().max() < 1e-5  # the first channel still depends on y only
    assert resized[..., 1].diff(dim=0).abs().max() < 1e-4
    assert (resized[..., 0].diff(dim=0) > 0.2).all() and (resized[..., 1].diff(dim=1) > 0).all()
    assert resize_table(table, (6, 4), (6, 4), antialias=True) is table


@pytest.mark.parametrize("pairing", ["interleaved", "halves"])
def test_rotary_agrees_with_transformers(pairing):
    from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb as gptj
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as llama

    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 2, 3, 9, 16, generator=generator).unbind(0)  # b h n e
    positions = torch.arange(9) + 4
    angles = torch.outer(positions.double(), frequencies(16)).float()
    if pairing == "halves":
        cos, sin = (torch.cat([wave, wave], dim=-1)[None] for wave in (angles.cos(), angles.sin()))
        theirs = llama(q, k, cos, sin)
    else:
        theirs = [gptj(x.transpose(1, 2), angles.sin()[None], angles.cos()[None]).transpose(1, 2) for x in (q, k)]
    for ours, reference in zip((q, k), theirs, strict=True):
        assert_close(rotate(ours, positions, pairing=pairing), reference, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pairing", ["interleaved", "halves"])
def test_rotary_score_is_that_of_complex_numbers_and_knows_only_the_distance(pairing):
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 8, generator=generator).unbind(0)
    pairs = [(2 * f, 2 * f + 1) if pairing == "interleaved" else (f, f + 4) for f in range(4)]
    for shift in (0, 11):
        turned_q = rotate(q[None], torch.tensor([7 + shift]), pairing=pairing)
        turned_k = rotate(k[None], torch.tensor([2 + shift]), pairing=pairing)
        score = 0.0
        for f, (one, two) in enumerate(pairs):
            a, c = complex(q[one], q[two]), complex(k[one], k[two])
            score += (a * c.conjugate() * np.exp(1j * 5 / 10_000 ** (2 * f / 8))).real
        assert (turned_q @ turned_k.T).item() == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("num_heads", [1, 2, 6, 8, 12, 16, 20])
def test_alibi_agrees_with_bloom(num_heads):
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    theirs = build_alibi_tensor(torch.ones(1, 7, dtype=torch.long), num_heads, torch.float32)  # h 1 n
    assert_close(alibi_slopes(num_heads), theirs[:, 0, 1], atol=1e-7, rtol=1e-6)
    scores = torch.randn(num_heads, 7, 7, generator=torch.Generator().manual_seed(0))
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    assert_close(attention_weights(scores + alibi_bias(num_heads, 7), causal),
                 attention_weights(scores + theirs, causal), atol=1e-6, rtol=0)


def test_alibi_is_slope_times_distance():
    slopes = [2.0 ** -(head + 1) for head in range(8)]
    causal, symmetric = alibi_bias(8, 5), alibi_bias(8, 5, symmetric=True)
    for head, slope in enumerate(slopes):
        for query in range(5):
            for key in range(5):
                assert symmetric[head, query, key] == -slope * abs(query - key)
                assert causal[head, query, key] == slope * (key - query)


@pytest.mark.parametrize("window", [(2, 2), (7, 7), (3, 5), (1, 4)])
def test_relative_index_by_brute_force(window):
    height, width = window
    steps = relative_position_steps(window)
    places = [(y, x) for y in range(height) for x in range(width)]
    rows: dict[tuple[int, int], int] = {}
    for query, (qy, qx) in enumerate(places):
        for key, (ky, kx) in enumerate(places):
            offset = (qy - ky, qx - kx)
            assert tuple(steps.offsets[query, key].tolist()) == offset
            assert rows.setdefault(offset, steps.index[query, key].item()) == steps.index[query, key]
    assert sorted(rows.values()) == list(range((2 * height - 1) * (2 * width - 1)))  # each offset its own row, no gaps
    assert [rows[key] for key in sorted(rows)] == sorted(rows.values())  # y outer, x inner


@pytest.mark.parametrize("window", [(7, 7), (4, 6)])
def test_relative_bias_agrees_with_transformers_swin(window):
    from transformers.models.swin.modeling_swin import SwinRelativePositionBias

    theirs = SwinRelativePositionBias(3, window)
    ours = RelativePositionBias(window, 3)
    torch.nn.init.normal_(theirs.relative_position_bias_table)
    ours.load_state_dict({"relative_position_bias_table": theirs.relative_position_bias_table.detach()})
    assert torch.equal(ours.relative_position_index.flatten(), theirs.relative_position_index.flatten())
    assert torch.equal(ours(), theirs()[0])


def test_relative_bias_is_the_same_for_the_same_offset_and_is_learned():
    ours = RelativePositionBias((2, 3), 2)
    assert list(ours.state_dict()) == ["relative_position_bias_table"]
    bias = gather_relative_bias(torch.arange(30.0).reshape(15, 2), ours.relative_position_index)
    assert bias[1, 0, 4] == bias[1, 1, 5] and bias[1, 0, 4] != bias[1, 4, 0]  # one down, one right; and back
    ours().sum().backward()
    assert ours.relative_position_bias_table.grad.sum() == 2 * 6 * 6
