"""What the Patches page draws, against loops, the model's own forward, and torch's own counting."""

from __future__ import annotations

import json
import string
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tfsss.errors import TEXT, InputError
from tfsss.explain import patch_costs, patches
from tfsss.explain.inputs import normalise
from tfsss.models.vit import VisionTransformer, ViTConfig
from tfsss.probe import capture

TINY = ViTConfig(img_size=32, patch_size=8, num_classes=0, embed_dim=24, depth=2, num_heads=3, num_registers=2)


def load(config: ViTConfig) -> SimpleNamespace:
    torch.manual_seed(0)
    model = VisionTransformer(config).eval().requires_grad_(False)
    for parameter in (model.pos_embed, model.cls_token, model.reg_token, model.patch_embed.proj.bias):
        if parameter is not None:
            torch.nn.init.normal_(parameter)
    return SimpleNamespace(model=model, entry=SimpleNamespace(id="tiny", mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)))


@pytest.fixture(scope="module")
def loaded() -> SimpleNamespace:
    return load(TINY)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize("policy", ["crop", "pad", "stretch"])
@pytest.mark.parametrize(("patch_size", "stride"), [(8, 8), (8, 3), (5, 9), (16, 4), (37, 37)])
def test_boxes_tile_what_the_policy_leaves(pixels, loaded, policy, patch_size, stride):
    picture = patches.cut(pixels, loaded.entry, patch_size, stride=stride, policy=policy)
    height, width = picture.pixels.shape[:2]
    cover = np.zeros((height, width), int)
    for number, (left, top, right, bottom) in enumerate(picture.boxes):
        assert (right - left, bottom - top) == (patch_size, patch_size)
        assert (top, left) == tuple(stride * place for place in divmod(number, picture.grid[1]))
        cover[top:bottom, left:right] += 1
    assert len(picture.boxes) == picture.grid[0] * picture.grid[1]
    assert picture.boxes[:, 2:].max(axis=0).tolist() == [width, height]  # the last patch ends at the border
    assert picture.unseen_pixels == (cover == 0).sum() and picture.mean_cover == pytest.approx(cover.mean())
    if policy == "crop":
        assert picture.lost_pixels == 37 * 50 - height * width and picture.added_pixels == 0
        assert 37 - height < stride and 50 - width < stride
    if policy == "pad":
        assert picture.added_pixels == height * width - 37 * 50 and picture.lost_pixels == 0
        assert height - 37 < stride and width - 50 < stride
    if policy == "stretch":
        assert abs(height - 37) <= stride / 2 and picture.scale == (height / 37, width / 50)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (300, 451), (150, 3000), (1, 1), (1, 4000)])
def test_a_size_near_keeps_shape_and_area(height, width):
    near = patches.size_near(height, width, 224)
    assert min(near) >= 1 and near[0] * near[1] == pytest.approx(224**2, rel=0.15)
    assert near[1] / near[0] == pytest.approx(width / height, rel=0.15)


def test_crop_takes_the_middle_and_pad_keeps_everything(pixels, loaded):
    cropped = patches.cut(pixels, loaded.entry, 8, policy="crop").pixels
    np.testing.assert_array_equal(cropped, pixels[2:34, 1:49])
    padded = patches.cut(pixels, loaded.entry, 8, policy="pad").pixels
    np.testing.assert_array_equal(padded[:37, :50], pixels)
    assert abs(normalise(padded, loaded.entry)[..., 37:, :]).max() < 0.02  # nothing, as the model sees it
    smaller = patches.cut(pixels, loaded.entry, 64, policy="pad")
    assert smaller.grid == (1, 1) and smaller.added_pixels == 64 * 64 - 37 * 50


def test_one_patch_is_flattened_as_named(pixels, loaded):
    picture = patches.cut(pixels, loaded.entry, 8)
    patch = patches.one_patch(picture, loaded, 9)
    assert patch.place == (1, 3) and patch.box == (24, 8, 32, 16)
    np.testing.assert_array_equal(patch.pixels, picture.pixels[8:16, 24:32])
    colour = (patch.pixels[2, 5] / 255 - np.array(loaded.entry.mean)) / 0.2  # third row, sixth pixel
    np.testing.assert_allclose(patch.channels_first[[21, 64 + 21, 128 + 21]], colour, atol=1e-5)
    np.testing.assert_allclose(patch.channels_last[63:66], colour, atol=1e-5)
    np.testing.assert_allclose(patch.embedding, patches.embed(picture, loaded).by_convolution[9], atol=1e-5)
    assert (patch.weights, patch.order) == ("trained", "c p q")


def test_trained_tokens_are_the_models(pixels, loaded):
    picture = patches.cut(pixels, loaded.entry, 8)
    result = patches.embed(picture, loaded)
    tokens = loaded.model.patch_embed(normalise(picture.pixels, loaded.entry))[0].numpy()
    np.testing.assert_allclose(result.by_convolution, tokens, atol=1e-6)
    assert 0 < result.largest_difference < 1e-4
    assert result.largest_difference == np.abs(result.by_convolution - result.by_unfold).max()


def test_overlapping_tokens_are_still_trained_and_include_those_of_the_model(pixels, loaded):
    plain, dense = (patches.cut(pixels[:32, :48], loaded.entry, 8, stride=stride) for stride in (8, 4))
    tokens = patches.embed(dense, loaded)
    assert dense.grid == (7, 11) and tokens.weights == "trained"
    every_second = tokens.by_convolution.reshape(7, 11, -1)[::2, ::2].reshape(24, -1)
    np.testing.assert_allclose(every_second, patches.embed(plain, loaded).by_convolution, atol=1e-6)


def test_another_patch_size_has_no_trained_projection_and_says_so(pixels, loaded):
    picture = patches.cut(pixels, loaded.entry, 10)
    one, same, other = (patches.embed(picture, loaded, seed=seed) for seed in (1, 1, 2))
    assert one.weights == "random" == patches.one_patch(picture, loaded, 0).weights
    np.testing.assert_array_equal(one.by_convolution, same.by_convolution)
    assert np.abs(one.by_convolution - other.by_convolution).max() > 0.1 and one.largest_difference < 1e-4


@pytest.mark.parametrize("order", ["p q c", "c p q"])
def test_a_linear_projection_has_the_same_kernel_in_its_own_order(pixels, order):
    linear = load(replace(TINY, patch_embed="linear", patch_order=order))
    picture = patches.cut(pixels, linear.entry, 8)
    tokens = linear.model.patch_embed(normalise(picture.pixels, linear.entry))[0].numpy()
    np.testing.assert_allclose(patches.embed(picture, linear).by_convolution, tokens, atol=1e-5)
    patch = patches.one_patch(picture, linear, 3)
    vector = patch.channels_last if order == "p q c" else patch.channels_first
    assert patch.order == order
    by_hand = linear.model.patch_embed.proj.weight.numpy() @ vector + linear.model.patch_embed.proj.bias.numpy()
    np.testing.assert_allclose(patch.embedding, by_hand, atol=1e-5)


def test_filters_come_back_from_their_pictures(loaded):
    result = patches.filters(loaded, components=5)
    span = (result.high - result.low)[:, None, None, None]
    kernel = loaded.model.patch_embed.proj.weight.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(result.pictures * span + result.low[:, None, None, None], kernel, atol=1e-6)
    assert result.pictures.min(axis=(1, 2, 3)).max() == 0 and result.pictures.max(axis=(1, 2, 3)).min() == 1
    np.testing.assert_allclose(result.strength**2, (kernel**2).sum(axis=(1, 2, 3)), rtol=1e-5)
    covariance = np.cov(kernel.reshape(24, -1).T)
    shares = np.linalg.eigvalsh(covariance)[::-1] / np.trace(covariance)
    np.testing.assert_allclose(result.explained, shares[:5], atol=1e-5)
    assert result.components.shape == (5, 8, 8, 3)


@pytest.mark.parametrize("config", [TINY, replace(TINY, prefix_has_position=False), replace(TINY, num_registers=0),
                                    replace(TINY, distillation_token=True),
                                    replace(TINY, class_token=False, pool="mean")])
def test_sequence_is_what_enters_the_first_block(pixels, config):
    loaded = load(config)
    picture = patches.cut(pixels, loaded.entry, 8)
    result = patches.sequence(picture, loaded)
    entering = loaded.model.embed(normalise(picture.pixels, loaded.entry))[0].numpy()
    np.testing.assert_allclose(result.after, entering, atol=1e-5)
    np.testing.assert_allclose(result.before + result.positions, result.after, atol=1e-6)
    np.testing.assert_allclose(result.norms[2], np.linalg.norm(entering, axis=1), atol=1e-4)
    front = (["class"] * config.class_token + ["distillation"] * config.distillation_token
             + ["register"] * config.num_registers)
    assert result.kinds == (*front, *["patch"] * 24) and result.numbers[-24:] == tuple(range(24))
    registers = [index for index, kind in enumerate(result.kinds) if kind == "register"]
    assert (result.positions[registers] == 0).all()
    assert patches.fitted_table(picture, loaded).right.encoding.vectors.shape == (24, 24)


def test_sequence_of_overlapping_or_untrained_patches(pixels, loaded):
    overlapping = patches.sequence(patches.cut(pixels, loaded.entry, 8, stride=5), loaded)
    assert overlapping.weights == "trained" and len(overlapping.after) == 3 + 6 * 9
    untrained = patches.sequence(patches.cut(pixels, loaded.entry, 10), loaded)
    assert untrained.weights == "random" and len(untrained.after) == 3 + 3 * 5


@pytest.mark.parametrize("config", [TINY, replace(TINY, head_dim=16, mlp_ratio=3.5, qkv_bias=False, num_registers=0)])
def test_flops_are_those_that_torch_counts(config):
    model = VisionTransformer(config).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 40, 24))  # no head: `num_classes` is 0
    ours = patch_costs.flops(config, 15, 8)
    assert ours.total == counter.get_total_flops()
    by_module = counter.get_flop_counts()
    assert ours.patch_embed == sum(by_module["VisionTransformer.patch_embed"].values())
    assert ours.mlp == sum(sum(by_module[f"VisionTransformer.blocks.{i}.mlp"].values()) for i in range(2))
    attention = sum(sum(by_module[f"VisionTransformer.blocks.{i}.attn"].values()) for i in range(2))
    assert ours.attention_linear + ours.attention_pairs == attention


def test_costs_at_each_patch_size():
    result = patch_costs.costs(TINY, 50, 37)
    assert result.patch_sizes.tolist() == [4, 7, 8, 14, 16, 28, 32]  # 56 does not fit
    assert result.grids[2].tolist() == [6, 4] and result.tokens[2] == 24 + 3
    np.testing.assert_array_equal(
        result.total, result.patch_embed + result.attention_linear + result.attention_pairs + result.mlp)
    model = VisionTransformer(TINY).eval()
    with capture(model, "blocks.1.attn.weights") as seen:
        model.forward_features(torch.zeros(1, 3, 48, 32))
    assert result.attention_bytes[2] == seen["blocks.1.attn.weights"].nbytes and result.depth == 2
    assert patch_costs.costs(TINY, 224, 224).attention_bytes[0] == 3 * (56 * 56 + 3) ** 2 * 4


@pytest.mark.parametrize(("call", "sentence"), [
    (lambda pixels, loaded: patches.cut(pixels, loaded.entry, 0), "size"),
    (lambda pixels, loaded: patches.cut(pixels, loaded.entry, 40), "larger"),
    (lambda pixels, loaded: patches.cut(np.tile(pixels, (8, 8, 1)), loaded.entry, 4, stride=1), "too_many"),
    (lambda pixels, loaded: patches.cut(np.tile(pixels, (4, 4, 1)), loaded.entry, 56, stride=1), "too_much"),
    (lambda pixels, loaded: patches.one_patch(patches.cut(pixels, loaded.entry, 8), loaded, 24), "no_patch"),
    (lambda pixels, loaded: patches.filters(load(replace(TINY, patch_embed="linear", patch_norms=True))), "norms"),
    (lambda pixels, loaded: patch_costs.costs(TINY, 3, 99), "larger"),
])
def test_what_cannot_be_cut_is_said_in_both_languages(pixels, loaded, call, sentence):
    with pytest.raises(InputError) as caught:
        call(pixels, loaded)
    assert caught.value.error_id == f"patches.{sentence}"
    for language in ("en", "zh"):
        said = caught.value.sentence(language)
        assert all(str(number) in said for number in caught.value.numbers.values())


def test_both_languages_have_the_same_sentences_and_fields():
    english, chinese = (json.loads((TEXT / language / "errors" / "patches.json").read_text(encoding="utf-8"))
                        for language in ("en", "zh"))
    fields = [{name: {field for _, field, _, _ in string.Formatter().parse(sentence) if field}
               for name, sentence in sentences.items()} for sentences in (english, chinese)]
    assert fields[0] == fields[1]


def test_results_are_read_only(pixels, loaded):
    picture = patches.cut(pixels, loaded.entry, 8)
    results = (picture, patches.one_patch(picture, loaded, 0), patches.embed(picture, loaded), patches.filters(loaded),
               patches.sequence(picture, loaded), patch_costs.costs(TINY, 64, 64))
    for result in results:
        for value in vars(result).values():
            assert not isinstance(value, np.ndarray) or not value.flags.writeable
