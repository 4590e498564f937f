"""Our Swin beside transformers' and timm's: the same random weights, every block, also where the map needs padding."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from tests.models.references import randomise
from tfsss.layers.windows import partition
from tfsss.models.swin import VARIANTS, SwinConfig, SwinTransformer, shift_of
from tfsss.probe import capture

SMALL = SwinConfig(num_classes=5, embed_dim=12, depths=(2, 4, 2), num_heads=(2, 3, 4), window_size=4)
RULES = [
    (r"^swin\.", ""), (r"^embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"^embeddings\.norm", "patch_embed.norm"), (r"^encoder\.", ""), (r"\.attention\.o_proj", ".attn.proj"),
    (r"\.attention\.relative_position_bias\.", ".attn."), (r"\.attention\.", ".attn."),
    (r"layernorm_before", "norm1"), (r"layernorm_after", "norm2"), (r"^layernorm", "norm"), (r"^classifier", "head"),
]
SIZES = [
    (64, 64),  # 16 x 16, 8 x 8, 4 x 4: windows fit, the last stage has one
    (80, 48),  # not square: 20 x 12, 10 x 6, 5 x 3 would be below a window, so it is cut off below
    (72, 104),  # 18 x 26 padded to 20 x 28; 9 x 13 to 12 x 16; merging pads 9 x 13 to 10 x 14; 5 x 7 to 8 x 8
    (67, 90),  # pixels padded too
    (64, 112),  # the last stage, 4 x 7: as high as a window, so nothing shifts, but padded across
]


def pictures(height: int, width: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def hugging_face(config: SwinConfig):
    """Made afresh for each size: it rewrites its own windows on grids that are too small for them."""
    from transformers import SwinConfig as TheirConfig
    from transformers import SwinForImageClassification

    return randomise(SwinForImageClassification(TheirConfig(
        image_size=64, patch_size=config.patch_size, embed_dim=config.embed_dim, depths=list(config.depths),
        num_heads=list(config.num_heads), window_size=config.window_size, mlp_ratio=config.mlp_ratio,
        qkv_bias=config.qkv_bias, num_labels=config.num_classes, attn_implementation="eager")))


def ours_like(reference, config: SwinConfig) -> SwinTransformer:
    state = {}
    for name, tensor in reference.state_dict().items():
        for pattern, mine in RULES:
            name = re.sub(pattern, mine, name)
        state[name] = tensor
    for name in [name for name in state if ".q_proj." in name]:
        parts = [state.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        state[name.replace("q_proj", "qkv")] = torch.cat(parts)
    model = SwinTransformer(config)
    model.load_state_dict(state, strict=True)
    return model.eval()


@torch.no_grad()
def reference_layers(reference, images: Tensor) -> list[Tensor]:
    """Embedded tokens, then of every block its attention weights and output, then the logits."""
    seen = []
    handles = [reference.swin.embeddings.register_forward_hook(lambda _m, _i, output: seen.append(output[0]))]
    for layer in reference.swin.encoder.layers:
        for block in layer.blocks:
            handles.append(block.register_forward_hook(lambda _m, _i, output: seen.extend([output[1], output[0]])))
    result = reference(images)
    for handle in handles:
        handle.remove()
    return [*seen, result.logits]


def our_layers(model: SwinTransformer, images: Tensor, **options) -> list[Tensor]:
    with capture(model, "embedded", "*.attn.weights", "*.blocks.*.output") as seen:
        result = model(images, **options)
    flat = [value if name.endswith("weights") else value.flatten(1, 2) for name, value in seen.items()]
    return [*flat, result]


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        assert_close(mine, other, atol=1e-4, rtol=0)
    assert (theirs[2] - theirs[4]).abs().max() > 0.1


@pytest.mark.parametrize("size", SIZES)
def test_every_block_agrees_with_transformers(size):
    config = SMALL if size != (80, 48) else replace(SMALL, depths=(2, 4), num_heads=(2, 3))
    reference = hugging_face(config)
    theirs = reference_layers(reference, pictures(*size))
    assert len(theirs) == 2 + 2 * sum(config.depths)
    assert_same(our_layers(ours_like(reference, config), pictures(*size)), theirs)


def test_the_papers_shape_agrees_with_transformers():
    config = SwinConfig(embed_dim=24, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), num_classes=7, qkv_bias=False)
    reference = hugging_face(config)
    assert_same(our_layers(ours_like(reference, config), pictures(224, 224, 1)),
                reference_layers(reference, pictures(224, 224, 1)))


@pytest.mark.parametrize("size", [(64, 64), (72, 104)])
def test_every_stage_agrees_with_transformers(size):
    reference = hugging_face(SMALL)
    ours = ours_like(reference, SMALL)
    with torch.no_grad():
        theirs = reference.swin(pictures(*size), output_hidden_states=True)
    with capture(ours, "embedded", "layers.*.blocks.0.rolled", "layers.*.output") as seen:
        final = ours.forward_features(pictures(*size))
    assert_close(final, theirs.last_hidden_state, atol=1e-4, rtol=0)
    assert_close(seen["embedded"].flatten(1, 2), theirs.hidden_states[0], atol=1e-4, rtol=0)
    for stage in range(3):
        merged = ours.layers[stage].downsample(seen[f"layers.{stage}.output"])
        assert_close(merged.flatten(1, 2), theirs.hidden_states[stage + 1], atol=1e-4, rtol=0)


def test_timm_agrees():
    from timm.models.swin_transformer import SwinTransformer as Timm

    config = replace(SMALL, depths=(2, 2), num_heads=(2, 3))
    reference = randomise(Timm(img_size=64, patch_size=4, embed_dim=12, depths=(2, 2), num_heads=(2, 3), window_size=4,
                               num_classes=5))
    state = {name.replace("head.fc", "head").replace("layers.1.downsample", "layers.0.downsample"): tensor
             for name, tensor in reference.state_dict().items()}
    ours = SwinTransformer(config).eval()
    ours.load_state_dict(state, strict=True)
    with torch.no_grad():
        assert_close(ours(pictures(64, 64)), reference(pictures(64, 64)), atol=1e-4, rtol=0)


def test_shift_only_where_there_is_more_than_one_window():
    assert [shift_of(block, (8, 8), 4) for block in range(4)] == [0, 2, 0, 2]
    assert shift_of(1, (4, 12), 4) == shift_of(1, (3, 12), 4) == 0
    assert shift_of(1, (15, 15), 7) == 3


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 61), (30, 34)])
@pytest.mark.parametrize("mask_padding", [False, True])
def test_any_size_gives_finite_scores(size, mask_padding):
    model = randomise(SwinTransformer(VARIANTS["mini"]))
    images = pictures(*size)
    grid = [-(-side // 8) for side in size]
    features = model.forward_features(images, mask_padding=mask_padding)
    assert features.shape == (2, grid[0] * grid[1], 24) and features.isfinite().all()
    assert model(images, mask_padding=mask_padding).shape == (2, 5)


def test_masked_padding_gets_no_attention_and_unmasked_does():
    model = randomise(SwinTransformer(VARIANTS["mini"]))
    images = pictures(36, 40)  # 9 x 10 padded to 12 x 12
    places = torch.zeros(1, 12, 12, 1)
    places[:, :9, :10] = 1
    for block, shift in ((0, 0), (1, 2)):
        real = partition(places.roll((-shift, -shift), dims=(1, 2)), 4)[..., 0].bool()  # w n
        for masked in (False, True):
            with capture(model, f"layers.0.blocks.{block}.attn.weights") as seen:
                model(images, mask_padding=masked)
            (weights,) = seen.values()  # b*w h n n
            on_padding = weights[:len(real)].masked_fill(real[:, None, None, :], 0).sum()
            assert (on_padding == 0) == masked
    whole = pictures(32, 32)
    assert model(whole, mask_padding=True).equal(model(whole))


def test_without_shift_a_token_stays_in_its_window_and_with_it_moves_on():
    model = randomise(SwinTransformer(replace(VARIANTS["mini"], depths=(2,), num_heads=(2,))))
    images = pictures(64, 64, 1)
    changed = images.clone()
    changed[..., 20:24, 20:24] += 1  # the token at 5, 5 of the 16 x 16
    reached = []
    for each in (images, changed):
        with capture(model, "layers.0.blocks.*.output") as seen:
            model(each)
        reached.append(seen)
    moved = {name: (reached[0][name] - reached[1][name]).abs().amax(dim=(0, 3)) > 0 for name in reached[0]}
    first, second = moved.values()
    expected = torch.zeros(16, 16, dtype=torch.bool)
    expected[4:8, 4:8] = True
    assert first.equal(expected)
    expected[2:10, 2:10] = True
    assert second.equal(expected)


def test_a_config_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="3 stages, but heads for 2"):
        SwinConfig(depths=(2, 2, 2), num_heads=(3, 6))
    with pytest.raises(ValueError, match="5 heads"):
        SwinConfig(embed_dim=12, depths=(2,), num_heads=(5,))


def test_drop_path_grows_over_all_stages_and_gradients_are_finite():
    config = replace(VARIANTS["mini"], drop_path=0.3)
    assert [rate for stage in config.drop_paths for rate in stage] == pytest.approx([0, 0.1, 0.2, 0.3])
    model = SwinTransformer(config).train()
    model(pictures(36, 40), mask_padding=True).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
