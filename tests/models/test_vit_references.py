"""Our Vision Transformer beside transformers, timm and vit-pytorch: the same random weights, every layer, to 1e-4."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.models.references import (
    TRANSFORMERS, VIT_PYTORCH, Layers, assert_same, hooked, layers_of, ours_with, randomise, renamed,
)
from tfsss.models.vit import VARIANTS, ViTConfig

SMALL = ViTConfig(img_size=32, patch_size=8, num_classes=7, embed_dim=48, depth=3, num_heads=4)


def pictures(height: int = 32, width: int = 32, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def hugging_face(family: str, head: str, config: ViTConfig, **options):
    """A randomised model of transformers, shaped like our `config`."""
    import transformers

    made = getattr(transformers, f"{family}Config")(
        image_size=config.img_size, patch_size=config.patch_size, hidden_size=config.embed_dim,
        num_hidden_layers=config.depth, num_attention_heads=config.num_heads, layer_norm_eps=config.norm_eps,
        qkv_bias=config.qkv_bias, num_labels=config.num_classes, attn_implementation="eager", **options)
    return randomise(getattr(transformers, family + head)(made))


@torch.no_grad()
def hugging_face_layers(model, images: Tensor, result: str = "last_hidden_state", **options) -> Layers:
    output = model(images, output_hidden_states=True, output_attentions=True, **options)
    return Layers(output.hidden_states[0], list(output.hidden_states[1:]), list(output.attentions), output[result])


def timm_vit(config: ViTConfig, distilled: bool = False, **options):
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.vision_transformer import VisionTransformer

    model = (VisionTransformerDistilled if distilled else VisionTransformer)(
        img_size=config.img_size, patch_size=config.patch_size, embed_dim=config.embed_dim, depth=config.depth,
        num_heads=config.num_heads, num_classes=config.num_classes, qkv_bias=config.qkv_bias,
        class_token=config.class_token, init_values=config.layer_scale, **options)
    return randomise(model)


def timm_layers(model, images: Tensor) -> Layers:
    for block in model.blocks:
        block.attn.fused_attn = False  # or its weights cannot be read
    return hooked(model, images, list(model.blocks), [block.attn.attn_drop for block in model.blocks])


def vit_pytorch(config: ViTConfig, pool: str = "cls"):
    from vit_pytorch import ViT

    return randomise(ViT(
        image_size=config.img_size, patch_size=config.patch_size, num_classes=config.num_classes,
        dim=config.embed_dim, depth=config.depth, heads=config.num_heads, dim_head=config.head_dim,
        mlp_dim=int(config.embed_dim * config.mlp_ratio), pool=pool))


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_every_layer_agrees_with_transformers_vit(qkv_bias):
    config = replace(SMALL, qkv_bias=qkv_bias)
    reference = hugging_face("ViT", "ForImageClassification", config, intermediate_size=4 * config.embed_dim)
    ours = ours_with(config, renamed(reference, TRANSFORMERS))
    assert_same(layers_of(ours, pictures()), hugging_face_layers(reference, pictures(), "logits"))


def test_twelve_layers_and_197_tokens_agree_with_transformers_vit():
    config = VARIANTS["ti16"]
    reference = hugging_face("ViT", "ForImageClassification", config, intermediate_size=4 * config.embed_dim)
    ours = ours_with(config, renamed(reference, TRANSFORMERS))
    images = pictures(224, 224, count=1)
    assert_same(layers_of(ours, images), hugging_face_layers(reference, images, "logits"))


def test_the_tanh_layer_before_the_head_is_the_pooler_of_transformers():
    config = replace(SMALL, num_classes=0, representation_size=20)
    reference = hugging_face("ViT", "Model", config, intermediate_size=4 * config.embed_dim, pooler_output_size=20)
    ours = ours_with(config, renamed(reference, TRANSFORMERS))
    theirs = hugging_face_layers(reference, pictures(), "pooler_output")
    assert theirs.result.shape == (2, 20)
    assert_same(layers_of(ours, pictures()), theirs)


@pytest.mark.parametrize("size", [(32, 56), (16, 24), (56, 32)])
def test_transformers_resizes_the_position_table_without_antialias(size):
    config, images = replace(SMALL, pos_antialias=False), pictures(*size)
    reference = hugging_face("ViT", "ForImageClassification", config, intermediate_size=4 * config.embed_dim)
    ours = ours_with(config, renamed(reference, TRANSFORMERS))
    assert_same(layers_of(ours, images),
                hugging_face_layers(reference, images, "logits", interpolate_pos_encoding=True))


@pytest.mark.parametrize("size", [(32, 32), (56, 24)])
def test_deit_of_transformers_averages_its_two_heads(size):
    config, images = replace(SMALL, distillation_token=True, norm_eps=1e-12, pos_antialias=False), pictures(*size)
    reference = hugging_face("DeiT", "ForImageClassificationWithTeacher", config, intermediate_size=192)
    ours = ours_with(config, renamed(reference, TRANSFORMERS))
    theirs = hugging_face_layers(reference, images, "logits", interpolate_pos_encoding=True)
    assert_same(layers_of(ours, images), theirs)
    pooled = ours.pool(ours.forward_features(images))
    assert (ours.head(pooled[:, 0]) - ours.head_dist(pooled[:, 1])).abs().max() > 0.1  # so the mean is neither


@pytest.mark.parametrize("size", [(32, 32), (40, 24), (16, 16)])
@pytest.mark.parametrize("registers", [0, 3])
def test_dinov2_with_and_without_registers(size, registers):
    config = replace(SMALL, num_classes=0, layer_scale=1.0, num_registers=registers, pos_antialias=registers > 0)
    family, options = ("Dinov2WithRegisters", {"num_register_tokens": registers}) if registers else ("Dinov2", {})
    reference = hugging_face(family, "Model", config, **options)
    state = renamed(reference, TRANSFORMERS)
    del state["mask_token"]
    ours, images = ours_with(config, state), pictures(*size)
    assert_same(layers_of(ours, images, features=True), hugging_face_layers(reference, images))


@pytest.mark.parametrize(("fields", "options"), [
    ({}, {}),
    ({"layer_scale": 0.3, "qkv_bias": False}, {}),
    ({"pool": "mean", "norm_after_pool": True}, {"global_pool": "avg"}),
    ({"pool": "mean", "class_token": False}, {"global_pool": "avg", "fc_norm": False}),
    ({"num_registers": 4, "prefix_has_position": False}, {"reg_tokens": 4, "no_embed_class": True}),
    ({"num_registers": 4, "prefix_has_position": False, "pool": "mean", "norm_after_pool": True},
     {"reg_tokens": 4, "no_embed_class": True, "global_pool": "avg"}),
], ids=["plain", "layer_scale", "norm_after_pool", "no_class_token", "registers", "registers_mean"])
def test_timm_under_its_own_names(fields, options):
    config = replace(SMALL, **fields)
    reference = timm_vit(config, **options)
    assert_same(layers_of(ours_with(config, reference.state_dict()), pictures()), timm_layers(reference, pictures()))


def test_timms_distilled_deit():
    config = replace(SMALL, distillation_token=True)
    reference = timm_vit(config, distilled=True)
    assert_same(layers_of(ours_with(config, reference.state_dict()), pictures()), timm_layers(reference, pictures()))


@pytest.mark.parametrize("size", [(32, 56), (16, 24), (56, 32)])
def test_timm_resizes_the_position_table_with_antialias(size):
    reference, images = timm_vit(SMALL, dynamic_img_size=True), pictures(*size)
    ours = ours_with(SMALL, reference.state_dict())
    assert_same(layers_of(ours, images), timm_layers(reference, images))
    without = ours_with(replace(SMALL, pos_antialias=False), reference.state_dict())
    # Not only where the table shrinks: PyTorch's cubic coefficient is -0.5 with antialias and -0.75 without.
    assert (without.embed(images) - ours.embed(images)).abs().max() > 0.01


@pytest.mark.parametrize(("head_dim", "mlp_ratio"), [(12, 4.0), (20, 1.5)], ids=["narrow", "head_dim_of_its_own"])
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_every_layer_agrees_with_vit_pytorch(pool, head_dim, mlp_ratio):
    config = replace(SMALL, head_dim=head_dim, mlp_ratio=mlp_ratio, qkv_bias=False, patch_embed="linear",
                     patch_norms=True, norm_eps=1e-5, class_token=pool == "cls",
                     pool="token" if pool == "cls" else "mean")
    reference = vit_pytorch(config, pool)
    state = renamed(reference, VIT_PYTORCH)
    state["pos_embed"] = state["pos_embed"][None]
    class_token = state.pop("cls_token")[None]
    if config.class_token:
        state["cls_token"] = class_token
    attentions, feeds = zip(*reference.transformer.layers)
    theirs = hooked(reference, pictures(), list(feeds), [each.attend for each in attentions], residual=True)
    # What a hook sees first is the input of the first feed-forward; the tokens before it enter the attention.
    entered = []
    attentions[0].register_forward_hook(lambda _module, inputs, _output: entered.append(inputs[0]))
    reference(pictures())
    theirs = replace(theirs, embedded=entered[0])
    assert_same(layers_of(ours_with(config, state), pictures()), theirs)


def test_a_wrong_weight_is_noticed():
    reference = timm_vit(SMALL)
    state = dict(reference.state_dict())
    for name in ("blocks.1.norm2.bias", "blocks.2.attn.proj.bias", "head.bias", "cls_token"):
        ours = ours_with(SMALL, state | {name: state[name] + 0.01})
        with pytest.raises(AssertionError):
            assert_same(layers_of(ours, pictures()), timm_layers(reference, pictures()))
