"""What the Position page draws, against loops and facts that do not come from the code under test."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tfsss.errors import TEXT, InputError
from tfsss.explain import position, position_beyond
from tfsss.layers.position import RelativePositionBias, resize_table, sincos_2d
from tfsss.models.vit import VisionTransformer, ViTConfig


@pytest.fixture(scope="module")
def loaded() -> SimpleNamespace:
    """A ViT with a 5 x 5 grid whose position table mixes place and noise, as a trained one does."""
    torch.manual_seed(0)
    model = VisionTransformer(ViTConfig(img_size=40, patch_size=8, embed_dim=24, depth=1, num_heads=3)).eval()
    model.pos_embed.data[0, 1:] = sincos_2d((5, 5), 24) + 0.1 * torch.randn(25, 24)
    return SimpleNamespace(model=model.requires_grad_(False), entry=SimpleNamespace(id="tiny"))


def arrays(value: object):
    """Every array in a result, however deep."""
    if isinstance(value, np.ndarray):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from arrays(item)


def test_every_result_is_read_only(loaded):
    encoding = position.learned(loaded)
    pairs = position.similarity(encoding)
    results = (encoding, pairs, position.by_distance(pairs), position.waves(encoding, (0, 3)), position.tiles(pairs),
               position.compare(pairs, pairs), position.alibi(4, 6), position.relative_steps((2, 3)),
               position.relative_bias((2, 3)), position.sinusoidal(5, 4), position.around(pairs, 3),
               position_beyond.resize(encoding, (4, 7), antialias=True),
               position_beyond.extrapolation(encoding, trained=25, length=30))
    for result in results:
        for array in arrays(result):
            assert not array.flags.writeable, type(result)


def test_wavelengths_are_those_of_the_channels():
    for encoding in (position.sinusoidal(600, 12, base=50), position.sinusoidal(600, 12, base=50, interleaved=False),
                     position.rotary(600, 12, base=50), position.rotary(600, 12, base=50, pairing="halves")):
        for channel in range(12):
            values, wavelength = encoding.vectors[:, channel], float(encoding.wavelengths[channel])
            turns = (np.diff(np.signbit(values)).sum() / 2) * wavelength / 600  # two zero crossings a turn
            assert turns == pytest.approx(1, abs=1.1 * wavelength / 600), (encoding.kind, channel)


def test_channels_of_the_grid_change_along_their_axis_only():
    for x_first in (True, False):
        encoding = position.sincos_grid((3, 5), 16, x_first=x_first)
        picture = encoding.vectors.reshape(3, 5, 16)
        for channel, axis in enumerate(encoding.axes):
            along, across = (1, 0) if axis == "x" else (0, 1)
            values = picture[..., channel]
            assert np.ptp(values, axis=across).max() == 0 < np.ptp(values, axis=along).min()


def test_similarity_of_sinusoids_is_the_mean_cosine_of_the_distance():
    pairs = position.similarity(position.sinusoidal(20, 8))
    for query, key in ((0, 0), (3, 11), (19, 2)):
        expected = sum(math.cos((query - key) / 10_000 ** (2 * i / 8)) for i in range(4)) / 4
        assert pairs.matrix[query, key] == pytest.approx(expected, abs=1e-6)
    assert position.similarity(position.sinusoidal(20, 8), "dot").matrix[4, 4] == pytest.approx(4)
    rotary = position.similarity(position.rotary(20, 8, pairing="halves"))
    np.testing.assert_allclose(rotary.matrix, pairs.matrix, atol=1e-6)


def test_learned_reads_the_patches_and_leaves_the_class_token_out(loaded):
    encoding = position.learned(loaded)
    table = loaded.model.pos_embed[0].numpy()
    np.testing.assert_array_equal(encoding.vectors, table[1:])
    np.testing.assert_array_equal(encoding.prefix, table[:1])
    assert (encoding.grid, encoding.weights, encoding.kind) == ((5, 5), "tiny", "learned")
    one, two = table[1 + 7], table[1 + 13]
    cosine = one @ two / math.sqrt((one @ one) * (two @ two))
    pairs = position.similarity(encoding)
    assert position.around(pairs, 7)[2, 3] == pytest.approx(cosine, abs=1e-6)  # patch 13 = row 2, column 3
    assert position.tiles(pairs)[1, 2, 2, 3] == pytest.approx(cosine, abs=1e-6)
    np.testing.assert_array_equal(position.waves(encoding, (5, 2)).values[1], table[1:, 2])


def test_learned_on_another_grid_is_what_the_model_adds(loaded):
    added = loaded.model.embed(torch.zeros(1, 3, 48, 32))[0]
    encoding = position.learned(loaded, (6, 4))
    assert encoding.grid == (6, 4)
    np.testing.assert_allclose(encoding.vectors, added[1:].numpy() - bias_of(loaded), atol=1e-6)


def bias_of(loaded) -> np.ndarray:
    """What the patch embedding makes of a black picture."""
    return loaded.model.patch_embed.proj.bias.numpy()


@pytest.mark.parametrize("grid", [(3, 5), None])
def test_by_distance_by_brute_force(grid):
    matrix = np.random.default_rng(0).normal(size=(15, 15)).astype(np.float32)
    matrix[2, 9] = np.nan
    groups: dict[float, list[float]] = {}
    for query in range(15):
        for key in range(15):
            (ay, ax), (by, bx) = divmod(query, 5), divmod(key, 5)
            distance = math.hypot(ay - by, ax - bx) if grid else abs(query - key)
            if (query, key) != (2, 9):
                groups.setdefault(round(distance, 6), []).append(float(matrix[query, key]))
    curve = position.by_distance(position.pairwise(matrix, "dot", grid))
    assert curve.distances.round(6).tolist() == pytest.approx(sorted(groups), abs=1e-5)
    for distance, mean, spread, count in zip(curve.distances, curve.mean, curve.spread, curve.counts, strict=True):
        values = groups[min(groups, key=lambda known: abs(known - distance))]
        assert (mean, spread, count) == (pytest.approx(np.mean(values), abs=1e-5),
                                         pytest.approx(np.std(values), abs=1e-5), len(values))


def test_only_the_distance_counts_for_formulas_and_not_for_a_learned_table(loaded):
    for encoding in (position.sinusoidal(30, 16), position.rotary(30, 16)):
        assert position.by_distance(position.similarity(encoding)).spread.max() < 1e-3
    assert position.by_distance(position.similarity(position.learned(loaded))).spread.max() > 0.01


def test_alibi_blocks_what_is_ahead():
    bias = position.alibi(4, 6).bias
    assert np.isnan(bias[:, 1, 2]).all() and bias[0, 5, 2] == -3 * 2**-2
    curve = position.by_distance(position.head_bias(position.alibi(4, 6), 1))
    np.testing.assert_allclose(curve.mean, -np.arange(6) * 2.0**-4)
    assert curve.counts.tolist() == [6, 5, 4, 3, 2, 1]
    assert np.isfinite(position.alibi(4, 6, symmetric=True).bias).all()


def test_relative_steps_lead_to_the_index():
    steps = position.relative_steps((2, 3))
    assert steps.coordinates.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert steps.offsets[0, 5].tolist() == [-1, -2] and steps.shifted[0, 5].tolist() == [0, 0]
    assert steps.shifted[5, 0].tolist() == [2, 4] and steps.scaled[5, 0].tolist() == [10, 4] and steps.index[5, 0] == 14


def test_relative_bias_of_a_trained_table_is_what_the_layer_adds():
    layer = RelativePositionBias((3, 4), 2)
    torch.nn.init.normal_(layer.relative_position_bias_table)
    result = position.relative_bias((3, 4), table=layer.relative_position_bias_table, weights="tiny")
    np.testing.assert_array_equal(result.bias, layer().detach().numpy())
    assert result.weights == "tiny" and position.relative_bias((3, 4)).weights == "random"
    assert result.table[1, 2, 3] == result.bias[1, 0, 0]  # offset (0, 0) lies in the middle of the table
    assert result.table[1, 3, 1] == result.bias[1, 4, 2]  # one row down, two columns left


def test_comparison_shares_a_range_only_between_equal_measures():
    one, two = (position.similarity(position.sinusoidal(n, 8)) for n in (10, 30))
    both = position.compare(one, two)
    assert both.value_range == (min(one.low, two.low), max(one.high, two.high)) and both.longest == 29
    assert position.compare(one, position.head_bias(position.alibi(4, 10), 0)).value_range is None


@pytest.mark.parametrize("new_grid", [(4, 7), (5, 5), (9, 3)])
def test_resized_the_right_way_is_what_the_model_adds(loaded, new_grid):
    result = position_beyond.resize(position.learned(loaded), new_grid, antialias=True)
    images = torch.zeros(1, 3, 8 * new_grid[0], 8 * new_grid[1])
    added = loaded.model.embed(images)[0, 1:]
    np.testing.assert_allclose(result.right.encoding.vectors, added.numpy(), atol=1e-6)
    assert result.right.colours.shape == (*new_grid, 3) and result.right.agreement.min() > 0.999


def test_the_mistakes_raise_no_error_and_put_patches_elsewhere(loaded):
    encoding = position.learned(loaded)
    result = position_beyond.resize(encoding, (4, 7), antialias=True)
    mirrored = encoding.vectors.reshape(5, 5, 24).transpose(1, 0, 2).reshape(1, 25, 24)
    expected = resize_table(torch.tensor(mirrored), (5, 5), (4, 7), antialias=True)[0]
    np.testing.assert_allclose(result.transposed.encoding.vectors, expected.numpy(), atol=1e-6)
    assert max(result.transposed.agreement.mean(), result.swapped.agreement.mean()) < 0.92
    square = position_beyond.resize(encoding, (3, 3), antialias=True)
    assert square.swapped.agreement.min() > 0.999 and square.transposed.agreement.mean() < 0.9
    assert square.right.believed.tolist() == list(range(9))
    assert square.transposed.believed.tolist() == [0, 3, 6, 1, 4, 7, 2, 5, 8]  # row and column have changed places


def test_slicing_never_complains_and_adding_does_only_when_the_table_has_ended(loaded):
    encoding = position.learned(loaded)
    smaller = position_beyond.resize(encoding, (4, 4), antialias=False)
    assert (smaller.rows_sliced, smaller.rows_wanted, smaller.refusal) == (16, 16, None)
    np.testing.assert_array_equal(smaller.sliced.encoding.vectors[4], encoding.vectors[4])  # not (1, 0)
    assert smaller.sliced.agreement.mean() < 0.9
    larger = position_beyond.resize(encoding, (6, 6), antialias=False)
    assert (larger.rows_sliced, larger.rows_wanted) == (25, 36) and "25" in larger.refusal and "36" in larger.refusal
    assert np.isnan(larger.sliced.encoding.vectors[25:]).all() and np.isfinite(larger.sliced.agreement[:25]).all()
    assert np.isnan(larger.sliced.agreement[25:]).all() and (larger.sliced.believed[25:] == -1).all()


def test_past_the_trained_length_formulas_go_on_and_a_table_ends(loaded):
    table = position_beyond.extrapolation(position.learned(loaded), trained=25, length=40)
    assert table.defined.sum() == 25 and np.isnan(table.pairs.matrix[30]).all() and np.isnan(table.unseen[25:]).all()
    assert table.beyond.distances[-1] == pytest.approx(math.hypot(4, 4)) and table.pairs.grid == (8, 5)
    rest = position_beyond.extrapolation(position.learned(loaded), trained=25, length=41)  # no whole rows
    assert rest.beyond.distances[-1] == 24 and rest.pairs.grid is None
    waves = position_beyond.extrapolation(position.sinusoidal(40, 16), trained=25, length=40)
    assert waves.defined.all() and waves.beyond.distances[-1] == 39 and waves.within.distances[-1] == 24
    assert (waves.unseen[:25] == 0).all() and waves.unseen[39] > 0.2  # the slow sines reach values never seen
    alibi = position_beyond.extrapolation(position.alibi(2, 40), trained=25, length=40, head=1)
    assert alibi.unseen[24] == 0 and alibi.unseen[39] == pytest.approx(15 / 40)  # 15 of 40 keys, 25 to 39 behind
    turned = position_beyond.extrapolation(position.rotary(40, 8), trained=25, length=40)
    assert turned.unseen[39] == pytest.approx(15 / 40) and turned.unseen[20] == 0


@pytest.mark.parametrize(("call", "sentence"), [
    (lambda: position.sinusoidal(4097, 8), "length"), (lambda: position.sinusoidal(0, 8), "length"),
    (lambda: position.sincos_grid((65, 64), 8), "length"), (lambda: position.sinusoidal(8, 7), "width"),
    (lambda: position.sincos_grid((4, 4), 6), "width"), (lambda: position.rotary(8, 1026), "width"),
    (lambda: position.sinusoidal(8, 8, base=1.0), "base"), (lambda: position.alibi(16, 2048), "bias"),
    (lambda: position.alibi(0, 8), "bias"),
    (lambda: position.relative_bias((3, 3), table=np.zeros((24, 2))), "table_rows"),
    (lambda: position.head_bias(position.alibi(2, 4), 2), "no_head"),
    (lambda: position.around(position.similarity(position.sinusoidal(4, 8)), 4), "no_patch"),
    (lambda: position.tiles(position.similarity(position.sinusoidal(4, 8))), "no_grid"),
    (lambda: position.waves(position.sinusoidal(4, 8), (8,)), "no_channel"),
    (lambda: position_beyond.resize(position.sinusoidal(4, 8), (2, 2), antialias=True), "no_grid"),
    (lambda: position_beyond.resize(position.sincos_grid((2, 2), 8), (0, 2), antialias=True), "length"),
    (lambda: position_beyond.extrapolation(position.sinusoidal(4, 8), trained=5, length=4), "trained"),
])
def test_what_cannot_be_drawn_is_said_in_both_languages(call, sentence):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.error_id == f"position.{sentence}"
    english, chinese = (caught.value.sentence(language) for language in ("en", "zh"))
    assert english != chinese and all(str(number) in english and str(number) in chinese
                                      for number in caught.value.numbers.values() if number != 0)


def test_both_languages_have_the_same_sentences():
    english, chinese = (json.loads((TEXT / language / "errors" / "position.json").read_text(encoding="utf-8"))
                        for language in ("en", "zh"))
    assert english.keys() == chinese.keys()
