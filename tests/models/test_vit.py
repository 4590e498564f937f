"""The Vision Transformer on its own: sizes as published, its two patch embeddings, pooling, masks, refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from tests.models.references import randomise
from tfsss.errors import InputError
from tfsss.layers.position import sincos_2d
from tfsss.models.vit import VARIANTS, ViTConfig, VisionTransformer
from tfsss.probe import capture

MINI = VARIANTS["mini"]


def pictures(height: int = 32, width: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def random_vit(**fields) -> VisionTransformer:
    return randomise(VisionTransformer(replace(MINI, **fields)))


@pytest.mark.parametrize(("name", "millions", "published"), [
    ("b16", 86.57, 86), ("l16", 304.33, 307), ("h14", 632.05, 632), ("s16", 22.05, 22), ("ti16", 5.72, 5),
    ("s14_dinov2", 22.06, 21),
])
def test_variants_have_the_published_number_of_parameters(name, millions, published):
    """With 1000 classes; the papers count roughly, some without the head: `published` is what their tables print."""
    with torch.device("meta"):
        model = VisionTransformer(VARIANTS[name])
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.005)
    assert count == pytest.approx(published, abs=max(1.1, 0.01 * published))


def test_b16_counted_by_hand():
    with torch.device("meta"):
        model = VisionTransformer(VARIANTS["b16"])
    block = (768 * 3 * 768 + 3 * 768) + (768 * 768 + 768) + (768 * 3072 + 3072) + (3072 * 768 + 768) + 4 * 768
    embedding = 768 * 3 * 16 * 16 + 768 + 768 + 197 * 768
    assert sum(p.numel() for p in model.parameters()) == embedding + 12 * block + 2 * 768 + 768 * 1000 + 1000


@pytest.mark.parametrize("order", ["c p q", "p q c"])
def test_convolution_unfold_and_linear_embedding_are_one_model(order):
    convolution = random_vit()
    kernel = convolution.patch_embed.proj.weight
    assert_close(convolution.patch_embed(pictures()), convolution.patch_embed.by_unfold(pictures()), atol=1e-5, rtol=0)
    linear = VisionTransformer(replace(MINI, patch_embed="linear", patch_order=order)).eval()
    flat = kernel.flatten(1) if order == "c p q" else kernel.permute(0, 2, 3, 1).flatten(1)
    linear.load_state_dict(convolution.state_dict() | {"patch_embed.proj.weight": flat}, strict=True)
    assert_close(linear(pictures()), convolution(pictures()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(32, 32), (8, 72), (40, 16)])
def test_tokens_stand_in_order_with_their_positions(size):
    model = random_vit(distillation_token=True, num_registers=3)
    tokens = model.embed(pictures(*size))
    cells = size[0] // 8 * (size[1] // 8)
    assert tokens.shape == (2, 2 + 3 + cells, 24)
    assert_close(tokens[:, 0], (model.cls_token[:, 0] + model.pos_embed[:, 0]).expand(2, -1))
    assert_close(tokens[:, 1], (model.dist_token[:, 0] + model.pos_embed[:, 1]).expand(2, -1))
    assert_close(tokens[:, 2:5], model.reg_token.expand(2, -1, -1))  # registers have no position
    if size == (32, 32):
        assert_close(tokens[:, 5:], model.patch_embed(pictures()) + model.pos_embed[:, 2:])


@pytest.mark.parametrize("fields", [
    {}, {"class_token": False}, {"distillation_token": True, "pool": "token"}, {"num_registers": 4},
    {"num_registers": 2, "prefix_has_position": False},
])
def test_mean_pooling_takes_the_patches_alone(fields):
    model = random_vit(**({"pool": "mean"} | fields))
    features = model.forward_features(pictures())
    assert features.shape[1] == model.config.num_prefix + 16
    expected = features[:, -16:].mean(dim=1) if model.config.pool == "mean" else features[:, :2]
    assert_close(model.pool(features), expected)


@pytest.mark.parametrize("pool", ["mean", "token"])
def test_norm_after_pool_by_hand(pool):
    model = random_vit(pool=pool, norm_after_pool=True)
    with capture(model, "blocks.1.output") as seen:
        scores = model(pictures())
    last = seen["blocks.1.output"]
    pooled = last[:, 1:].mean(dim=1) if pool == "mean" else last[:, 0]
    centred = pooled - pooled.mean(dim=-1, keepdim=True)
    normed = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    expected = (normed * model.fc_norm.weight + model.fc_norm.bias) @ model.head.weight.T + model.head.bias
    assert_close(scores, expected, atol=1e-5, rtol=0)


def test_pre_logits_by_hand_with_two_heads():
    model = random_vit(representation_size=10, distillation_token=True)
    features, linear = model.forward_features(pictures()), model.pre_logits[0]
    two = torch.tanh(features[:, :2] @ linear.weight.T + linear.bias)
    assert model.head.weight.shape == model.head_dist.weight.shape == (5, 10)
    assert_close(model(pictures()), (model.head(two[:, 0]) + model.head_dist(two[:, 1])) / 2, atol=1e-5, rtol=0)


def test_head_width_is_independent_of_the_models():
    model = random_vit(head_dim=10)
    assert model.blocks[0].attn.qkv.weight.shape == (90, 24) and model.blocks[0].attn.proj.weight.shape == (24, 30)
    with capture(model, "blocks.0.attn.[qkv]") as seen:
        model(pictures())
    assert {tuple(value.shape) for value in seen.values()} == {(2, 3, 17, 10)}


def test_no_classes_gives_the_pooled_token():
    model = random_vit(num_classes=0)
    assert torch.equal(model(pictures()), model.forward_features(pictures())[:, 0])


def test_sincos_positions_are_fixed_and_a_class_tokens_row_is_zero():
    model = VisionTransformer(replace(MINI, pos_embed="sincos"))
    assert not model.pos_embed.requires_grad
    assert torch.equal(model.pos_embed[0, 1:], sincos_2d((4, 4), 24).float())
    assert not model.pos_embed[0, 0].any()


def test_a_forbidden_patch_reaches_nobody_else():
    model, images = random_vit(), pictures()
    changed = images.clone()
    changed[:, :, 24:, 24:] += 1.0  # the last of the 16 patches, token 16
    allowed = torch.ones(17, 17, dtype=torch.bool)
    allowed[:16, 16] = False
    before, after = model.forward_features(images, allowed), model.forward_features(changed, allowed)
    assert torch.equal(before[:, :16], after[:, :16]) and not torch.equal(before[:, 16], after[:, 16])
    assert (model.forward_features(images) - model.forward_features(changed))[:, :16].abs().max() > 1e-3
    everyone = torch.ones(17, 17, dtype=torch.bool)
    assert torch.equal(model(images, everyone), model(images))


def test_drop_path_grows_with_depth_and_only_trains():
    model = random_vit(depth=3, drop_path=0.4)
    assert [block.drop_path.rate for block in model.blocks] == pytest.approx([0, 0.2, 0.4])
    assert torch.equal(model(pictures()), model(pictures()))
    model.train()
    torch.manual_seed(0)
    assert any(not torch.equal(model(pictures()), model(pictures())) for _ in range(10))


def test_fresh_weights_start_small_with_biases_zero():
    torch.manual_seed(0)
    model = VisionTransformer(replace(MINI, embed_dim=192, layer_scale=1e-5))
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight") or "norm1.weight" in name or "norm2.weight" in name:
            assert (parameter == 1).all(), name
        elif name.endswith("bias"):
            assert not parameter.any(), name
        elif name.endswith("gamma"):
            assert (parameter == 1e-5).all(), name
        elif name != "cls_token":
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1) and parameter.abs().max() <= 2, name


def test_a_picture_that_patches_do_not_tile_is_refused_with_its_numbers():
    with pytest.raises(InputError) as caught:
        random_vit()(pictures(32, 36))
    assert caught.value.error_id == "shape.not_divisible"
    assert caught.value.numbers == {"height": 32, "width": 36, "patch": 8}


@pytest.mark.parametrize(("fields", "words"), [
    ({"img_size": 30}, "img_size 30"), ({"num_heads": 5}, "embed_dim 24"), ({"class_token": False}, "class_token"),
    ({"class_token": False, "pool": "mean", "distillation_token": True}, "distillation"),
    ({"distillation_token": True, "pool": "mean"}, "distillation"), ({"patch_norms": True}, "patch_norms"),
    ({"pos_embed": "sincos", "embed_dim": 30}, "sincos"),
])
def test_configs_that_contradict_themselves_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        replace(MINI, **fields)


def test_configs_are_frozen_and_named():
    with pytest.raises(AttributeError):
        MINI.depth = 3
    with pytest.raises(TypeError):
        ViTConfig(224)
