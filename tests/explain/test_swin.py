"""What the Swin page draws: places against loops over the definition, attention against the model's own."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tfsss.errors import InputError
from tfsss.explain import swin, swin_parts, swin_reach
from tfsss.explain.inputs import normalise
from tfsss.layers.windows import partition
from tfsss.models.swin import VARIANTS, PatchMerging, SwinTransformer, WindowAttention
from tfsss.probe import capture
from tfsss.weights import untrained

GRIDS = [(8, 8), (9, 6), (5, 14), (3, 3), (1, 1)]


@pytest.fixture(scope="module")
def loaded():
    """The "mini" Swin, windows of 4, with weights large enough that its attention is not flat."""
    made = untrained("swin", VARIANTS["mini"], input_size=64)
    generator = torch.Generator().manual_seed(5)
    for parameter in made.model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return made


def picture(height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("window", "shift"), [(4, 2), (3, 1), (4, 0), (2, 1), (5, 4)])
def test_every_token_is_where_the_definition_puts_it(grid, window, shift):
    made = swin.windows(grid, window, shift)
    gy, gx = made.padded
    assert all(side % window == 0 and side - window < small for side, small in zip(made.padded, grid))
    steps = {step.name: step for step in made.steps}
    assert list(steps) == ["grid", "pad", "partition", "shift", "ids", "mask", "attention", "reverse", "crop"]
    for token, (y, x) in enumerate(product(range(gy), range(gx))):
        real = y < grid[0] and x < grid[1]
        assert made.real[token] == real
        away = [(y - shift) % gy, (x - shift) % gx]
        assert steps["pad"].after[token].tolist() == [y, x] == steps["shift"].before[token].tolist()
        assert steps["grid"].after[token].tolist() == ([y, x] if real else [-1, -1])
        assert steps["crop"].after[token].tolist() == ([y, x] if real else [-1, -1])
        assert steps["shift"].after[token].tolist() == away == steps["reverse"].before[token].tolist()
        assert steps["reverse"].after[token].tolist() == [y, x]
        assert made.rolled[*away] == token
        assert made.ids[*away] == made.ids_at_home[y, x]
        assert steps["partition"].window[token] == y // window * (gx // window) + x // window
        assert steps["mask"].window[token] == away[0] // window * (gx // window) + away[1] // window
        assert token in made.tokens[steps["mask"].window[token]]
    assert steps["shift"].moved == (shift > 0) and not steps["ids"].moved
    assert steps["pad"].moved == steps["crop"].moved == (made.padded != grid)
    for before, after in zip(made.steps, made.steps[1:]):
        assert np.array_equal(before.after, after.before)


@pytest.mark.parametrize("mask_padding", [False, True])
def test_ids_of_one_region_differ_by_zero_and_that_is_the_mask(mask_padding):
    made = swin.windows((9, 6), 4, 2, mask_padding=mask_padding)
    by_id = made.ids_at_home.flatten()
    for number, tokens in enumerate(made.tokens):
        for (i, query), (j, key) in product(enumerate(tokens), enumerate(tokens)):
            assert made.differences[number, i, j] == by_id[query] - by_id[key]
            seen = by_id[query] == by_id[key] and (made.real[key] or not mask_padding)
            assert made.allowed[number, i, j] == seen


def test_the_usual_shift_is_the_models():
    assert swin.windows((8, 8), 4).shift == 2 and swin.windows((8, 4), 4).shift == 0
    chosen = swin.windows((8, 4), 4, 1)
    assert chosen.shift == 1 and chosen.usual_shift == 0


@pytest.mark.parametrize("size", [(64, 64), (70, 41)])
def test_attention_in_the_windows_is_what_the_model_has(loaded, size):
    pixels = picture(*size)
    with capture(loaded.model, "*.attn.*") as seen:
        loaded.model(normalise(pixels, loaded.entry))
    for stage, block in product(range(2), range(2)):
        made = swin.window_weights(pixels, loaded, stage=stage, block=block)
        assert made.own and not made.resized and made.weights == "random"
        prefix = f"layers.{stage}.blocks.{block}.attn"
        assert np.array_equal(made.after, seen[f"{prefix}.weights"])
        assert np.array_equal(made.scores, seen[f"{prefix}.scores"])
        np.testing.assert_allclose(made.before.sum(axis=-1), 1, atol=1e-5)
        forbidden = ~made.windows.allowed[:, None]
        assert not (made.after * forbidden).any()
        np.testing.assert_allclose(made.removed, (made.before * forbidden).sum(-1).mean(-1), atol=1e-6)
        assert (made.removed.sum() > 0) == (made.windows.shift > 0)


def test_another_window_takes_a_resized_table_and_the_same_maps(loaded):
    made = swin.window_weights(picture(), loaded, block=0, window=8, shift=0)
    own = swin.window_weights(picture(), loaded, block=0)
    assert made.resized and not made.own and made.after.shape == (4, 2, 64, 64)
    first = partition(torch.arange(64).view(1, 8, 8, 1), 4)[0, :, 0].numpy()  # places of the small window in the large
    without = made.scores[0] - made.bias
    np.testing.assert_allclose(without[:, first][:, :, first], own.scores[0] - own.bias, atol=1e-4)


def test_masked_padding_gets_nothing_and_is_not_what_the_model_does(loaded):
    made = swin.window_weights(picture(70, 41), loaded, block=0, mask_padding=True)
    on_padding = made.after * ~made.windows.real[made.windows.tokens][:, None, None, :]
    assert not on_padding.any() and not made.own and made.removed.max() > 0
    assert swin.window_weights(picture(), loaded, block=0, mask_padding=True).own  # nothing is padded


def test_a_small_number_masks_nothing_and_a_large_one_everything(loaded):
    made = swin.window_weights(picture(), loaded)
    left = swin.leak(made)
    bound = ~made.windows.allowed.all(axis=-1)
    before = np.where(made.windows.allowed[:, None], 0, made.before).sum(axis=-1).transpose(0, 2, 1)[bound].mean()
    assert left.share[0] == pytest.approx(before, rel=1e-5) and left.share[0] > 0.05
    assert (np.diff(left.share) < 0).all() or left.share[-2] == 0
    assert left.share[-1] == 0
    assert not swin.leak(swin.window_weights(picture(), loaded, block=0)).share.any()


@pytest.mark.parametrize(("grid", "window", "shift"), [
    ((12, 12), 4, None), ((12, 12), 4, 0), ((9, 7), 4, None), ((7, 10), 3, 2), ((3, 3), 4, None), ((6, 6), 2, 1)])
@pytest.mark.parametrize("mask_padding", [False, True])
def test_what_changes_is_what_the_masks_allow(grid, window, shift, mask_padding):
    for token in [(0, 0), (grid[0] // 2, grid[1] - 1)]:
        made = swin_reach.reach(grid, token, window=window, shift=shift, blocks=4, mask_padding=mask_padding)
        assert made.changed.shape == (4, *grid) and np.array_equal(made.changed, made.by_masks)
        assert np.array_equal(made.counts, made.changed.sum(axis=(1, 2))) and made.weights == "random"
        assert (made.changed[1:] >= made.changed[:-1]).all() and made.changed[0][token]
        assert ((made.amount > 0) == made.changed).all()
        if shift == 0:
            assert (made.changed == made.changed[0]).all()


def test_reach_grows_as_the_windows_of_the_paper_do():
    made = swin_reach.reach((16, 16), (5, 5), window=4, blocks=3)
    expected = np.zeros((3, 16, 16), bool)
    expected[0, 4:8, 4:8] = expected[1, 2:10, 2:10] = expected[2, 0:12, 0:12] = True
    assert made.shifts == (0, 2, 0) and np.array_equal(made.changed, expected)


def test_reach_in_the_models_own_blocks_and_through_its_mergings(loaded):
    pixels = picture(72, 60)
    one = swin_reach.reach_in_stage(pixels, loaded, (6, 3))
    through = swin_reach.reach_in_model(pixels, loaded, (6, 3))
    assert [each.grid for each in through] == [(18, 15), (9, 8)] and one.shifts == through[0].shifts == (0, 2)
    assert np.array_equal(one.by_masks, through[0].by_masks)
    for each in (one, *through):
        assert np.array_equal(each.changed, each.by_masks)
    start = through[0].by_masks[-1]
    merged = np.array([[start[2 * y:2 * y + 2, 2 * x:2 * x + 2].any() for x in range(8)] for y in range(9)])
    assert (through[1].by_masks[0] >= merged).all()
    second = swin_reach.reach_in_stage(pixels, loaded, (0, 0), stage=1)
    assert second.grid == (9, 8) and np.array_equal(second.changed, second.by_masks)


def test_trained_biases_have_a_picture_for_every_offset(loaded):
    biases = swin_parts.trained_biases(loaded)
    assert [(each.stage, each.block) for each in biases] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    attn = loaded.model.layers[1].blocks[0].attn
    bias = biases[2].bias
    assert bias.table.shape == (3, 7, 7) and bias.bias.shape == (3, 16, 16)
    assert biases[2].largest == pytest.approx(attn.relative_position_bias_table.abs().max().item())
    for query, key in [((0, 0), (3, 3)), ((2, 1), (2, 1)), ((3, 0), (0, 3))]:
        offset = query[0] - key[0] + 3, query[1] - key[1] + 3
        place = 4 * query[0] + query[1], 4 * key[0] + key[1]
        assert (bias.bias[:, *place] == bias.table[:, *offset]).all()
        assert bias.table[:, *offset].tolist() == attn.relative_position_bias_table[7 * offset[0] + offset[1]].tolist()


@pytest.mark.parametrize(("grid", "channels"), [((4, 4), 1), ((3, 5), 2)])
def test_merging_number_by_number(grid, channels):
    made = swin_parts.merging(grid, channels)
    assert sorted(made.tokens.flatten()) == list(range(1, made.tokens.size + 1))
    gy, gx = made.padded.shape[0] // 2, made.padded.shape[1] // 2
    assert made.fours.shape == (gy, gx, 4 * channels) and made.reduced.shape == (gy, gx, 2 * channels)
    for y, x in product(range(gy), range(gx)):
        for value, (row, column, channel) in zip(made.fours[y, x], made.origin, strict=True):
            assert value == made.padded[2 * y + row, 2 * x + column, channel]
        row = made.fours[y, x].astype(np.float64)
        normed = (row - row.mean()) / np.sqrt(row.var() + 1e-5)
        np.testing.assert_allclose(made.normed[y, x], normed, atol=1e-5)
        np.testing.assert_allclose(made.reduced[y, x], made.matrix @ normed, atol=1e-4)
    if channels == 1:  # down first, then across
        assert made.origin[:, :2].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]


def counted(run) -> int:
    """Multiplications of matrix products: the counter takes a multiplication and its addition as two."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        run()
    return counter.get_total_flops() // 2


def test_costs_are_the_papers_and_what_the_layer_takes():
    made = swin_parts.costs(sizes=(24, 56, 60), patch_size=4, channels=8, window=7)
    assert made.grids.tolist() == [6, 14, 15] and made.padded.tolist() == [7, 14, 21]
    for number, (side, padded) in enumerate(zip(made.grids, made.padded)):
        everyone = WindowAttention(8, 2, int(side), qkv_bias=True)
        assert counted(lambda: everyone(torch.zeros(1, side**2, 8), None)) == made.global_total[number]
        windowed = WindowAttention(8, 2, 7, qkv_bias=True)
        cut = torch.zeros((padded // 7) ** 2, 49, 8)
        assert counted(lambda: windowed(cut, None)) == made.window_total[number]
        assert made.window_weights[number] == len(cut) * 49**2 and made.global_weights[number] == side**4
    hw, c, m = 14**2, 8, 7
    assert made.global_total[1] == 4 * hw * c**2 + 2 * hw**2 * c
    assert made.window_total[1] == 4 * hw * c**2 + 2 * m**2 * hw * c


@pytest.mark.parametrize("size", [(64, 64), (72, 44)])
def test_the_costs_of_a_models_stages_add_up_to_what_it_takes(size):
    config = replace(VARIANTS["mini"], num_classes=0)
    model = SwinTransformer(config).eval()
    made = swin_parts.stage_costs(config, *size)
    entry = made.grids[0].prod() * 3 * config.patch_size**2 * config.embed_dim
    parts = (made.linear, made.pairs, made.mlp, made.merging)
    assert counted(lambda: model(torch.zeros(1, 3, *size))) == entry + sum(part.sum() for part in parts)
    merge = PatchMerging(config.embed_dim)
    assert counted(lambda: merge(torch.zeros(1, *made.grids[0], config.embed_dim))) == made.merging[0]
    assert made.merging[-1] == 0 and made.channels.tolist() == [12, 24]
    if size == (64, 64):
        assert made.mlp[0] == made.mlp[1] and made.mlp_if_four[1] == 4 * made.mlp[1]
        assert made.shifts == ((0, 2), (0, 2))


@pytest.mark.parametrize(("call", "name"), [
    (lambda model: swin.windows((0, 4)), "grid"), (lambda model: swin.windows((99, 99)), "grid"),
    (lambda model: swin.windows((8, 8), 0), "window"), (lambda model: swin.windows((8, 8), 4, 4), "shift"),
    (lambda model: swin.windows((1, 4096), 32), "too_many"), (lambda model: swin.windows((8, 8), 4, -1), "shift"),
    (lambda model: swin.window_weights(picture(), model, stage=2), "no_stage"),
    (lambda model: swin.window_weights(picture(), model, block=2), "no_block"),
    (lambda model: swin_reach.reach((4, 4), (4, 0)), "no_token"),
    (lambda model: swin_reach.reach((4, 4), (0, 0), blocks=9), "blocks"),
    (lambda model: swin_reach.reach_in_model(picture(), model, (0, 16)), "no_token"),
    (lambda model: swin_parts.merging((20, 20)), "merging"), (lambda model: swin_parts.merging((0, 2)), "merging"),
    (lambda model: swin_parts.costs(sizes=(2,)), "sizes"),
])
def test_nonsense_is_a_sentence(loaded, call, name):
    with pytest.raises(InputError) as raised:
        call(loaded)
    assert raised.value.error_id == f"swin.{name}"
    assert raised.value.sentence("en") and raised.value.sentence("zh")


def test_results_cannot_be_changed(loaded):
    for result in (swin.windows((8, 8), 4), swin.window_weights(picture(), loaded), swin_parts.merging(),
                   swin_reach.reach((8, 8), (0, 0), window=4), swin_parts.costs()):
        for value in vars(result).values():
            assert not isinstance(value, np.ndarray) or not value.flags.writeable
