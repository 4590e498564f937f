"""Our ConvNeXt beside transformers' and timm's: the same random weights, every block, also with pixels left over."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tests.models.references import randomise, renamed
from tfsss.errors import InputError
from tfsss.layers.norm import ChannelsFirstLayerNorm
from tfsss.models.convnext import VARIANTS, ConvNeXt, ConvNeXtConfig
from tfsss.probe import capture

SMALL = ConvNeXtConfig(num_classes=5, depths=(2, 1, 3, 1), widths=(6, 10, 16, 20), final_norm_eps=1e-12)
HUGGING_FACE = [
    (r"^convnext\.", ""), (r"^embeddings\.patch_embeddings", "downsample_layers.0.0"),
    (r"^embeddings\.layernorm", "downsample_layers.0.1"), (r"^encoder\.", ""),
    (r"^stages\.(\d+)\.downsampling_layer", r"downsample_layers.\1"), (r"\.layers\.", "."), (r"layernorm", "norm"),
    (r"layer_scale_parameter", "gamma"), (r"^classifier", "head"),
]
TIMM = [
    (r"^stem", "downsample_layers.0"), (r"^stages\.(\d+)\.downsample", r"downsample_layers.\1"), (r"\.blocks\.", "."),
    (r"conv_dw", "dwconv"), (r"mlp\.fc(\d)", r"pwconv\1"), (r"^head\.norm", "norm"), (r"^head\.fc", "head"),
]
SIZES = [(64, 64), (96, 32), (75, 109)]  # the last leaves pixels over at the stem and at every halving


def pictures(height: int, width: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def hugging_face(config: ConvNeXtConfig) -> nn.Module:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    return randomise(ConvNextForImageClassification(ConvNextConfig(
        patch_size=config.patch_size, num_stages=len(config.depths), hidden_sizes=list(config.widths),
        depths=list(config.depths), layer_scale_init_value=config.layer_scale or 0.0, num_labels=config.num_classes)))


def timm(config: ConvNeXtConfig) -> nn.Module:
    from timm.models.convnext import ConvNeXt as Timm

    return randomise(Timm(patch_size=config.patch_size, depths=config.depths, dims=config.widths,
                          ls_init_value=config.layer_scale, num_classes=config.num_classes))


def ours_like(reference: nn.Module, config: ConvNeXtConfig, rules: list[tuple[str, str]]) -> ConvNeXt:
    model = ConvNeXt(config)
    model.load_state_dict(renamed(reference, rules), strict=True)
    return model.eval()


@torch.no_grad()
def hooked(reference: nn.Module, modules: list[nn.Module], images: Tensor) -> list[Tensor]:
    """The stem's output, every block's, and the scores."""
    seen = []
    handles = [module.register_forward_hook(lambda _m, _i, output: seen.append(output)) for module in modules]
    result = reference(images)
    for handle in handles:
        handle.remove()
    return [*seen, getattr(result, "logits", result)]


def our_layers(model: ConvNeXt, images: Tensor) -> list[Tensor]:
    with capture(model, "embedded", "stages.*.output") as seen:
        result = model(images)
    return [*seen.values(), result]


def assert_same(ours: list[Tensor], theirs: list[Tensor], config: ConvNeXtConfig) -> None:
    assert len(ours) == len(theirs) == sum(config.depths) + 2
    for mine, other in zip(ours, theirs):
        assert_close(mine, other, atol=1e-4, rtol=0)
    assert (theirs[0] - theirs[1]).abs().max() > 0.1 and theirs[-1].std() > 0.1


def blocks_of_hugging_face(reference: nn.Module) -> list[nn.Module]:
    return [reference.convnext.embeddings, *(block for stage in reference.convnext.encoder.stages
                                             for block in stage.layers)]


@pytest.mark.parametrize("size", SIZES)
def test_every_block_agrees_with_transformers(size):
    reference = hugging_face(SMALL)
    theirs = hooked(reference, blocks_of_hugging_face(reference), pictures(*size))
    assert_same(our_layers(ours_like(reference, SMALL, HUGGING_FACE), pictures(*size)), theirs, SMALL)


@pytest.mark.parametrize("size", SIZES)
def test_every_stage_and_the_last_hidden_state_agree_with_transformers(size):
    reference = hugging_face(SMALL).convnext
    ours = ours_like(hugging_face(SMALL), SMALL, HUGGING_FACE)
    with torch.no_grad():
        theirs = reference(pictures(*size), output_hidden_states=True)
    with capture(ours, "embedded", *(f"stages.{s}.{depth - 1}.output" for s, depth in enumerate(SMALL.depths))) as seen:
        final = ours.forward_features(pictures(*size))
    assert final.shape == (2, 20, size[0] // 32, size[1] // 32)
    assert_close(final, theirs.last_hidden_state, atol=1e-4, rtol=0)
    assert_close(ours.norm(final.mean(dim=(2, 3))), theirs.pooler_output, atol=1e-4, rtol=0)
    assert len(seen) == len(theirs.hidden_states) == 5
    for mine, other in zip(seen.values(), theirs.hidden_states):
        assert_close(mine, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_every_block_and_the_features_agree_with_timm(size):
    config = replace(SMALL, final_norm_eps=1e-6)
    reference = timm(config)
    ours = ours_like(reference, config, TIMM)
    blocks = [reference.stem, *(block for stage in reference.stages for block in stage.blocks)]
    assert_same(our_layers(ours, pictures(*size)), hooked(reference, blocks, pictures(*size)), config)
    with torch.no_grad():
        assert_close(ours.forward_features(pictures(*size)), reference.forward_features(pictures(*size)),
                     atol=1e-4, rtol=0)


def test_the_papers_stages_agree_with_transformers():
    config = replace(VARIANTS["tiny"], num_classes=7, depths=(1, 1, 1, 1), final_norm_eps=1e-12)
    reference = hugging_face(config)
    theirs = hooked(reference, blocks_of_hugging_face(reference), pictures(64, 64, 1))
    assert_same(our_layers(ours_like(reference, config, HUGGING_FACE), pictures(64, 64, 1)), theirs, config)


def test_without_layer_scale_transformers_agrees():
    config = replace(SMALL, layer_scale=None, depths=(1, 1), widths=(6, 10))
    reference = hugging_face(config)
    assert not [name for name in reference.state_dict() if "layer_scale" in name]
    theirs = hooked(reference, blocks_of_hugging_face(reference), pictures(40, 40))
    assert_same(our_layers(ours_like(reference, config, HUGGING_FACE), pictures(40, 40)), theirs, config)


@pytest.mark.parametrize("pooled_scale", [1e-3, 1])
def test_the_last_norm_keeps_to_its_own_eps(pooled_scale):
    model = randomise(ConvNeXt(replace(VARIANTS["mini"], norm_eps=1e-6, final_norm_eps=1e-4)))
    for block in model.stages[1]:
        block.gamma.zero_()
    model.downsample_layers[1][1].weight *= pooled_scale
    model.downsample_layers[1][1].bias *= pooled_scale
    mean = model.forward_features(pictures(32, 32)).mean(dim=(2, 3))
    centred = mean - mean.mean(dim=1, keepdim=True)
    normed = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-4).sqrt()
    expected = (normed * model.norm.weight + model.norm.bias) @ model.head.weight.T + model.head.bias
    assert_close(model(pictures(32, 32)), expected, atol=1e-5, rtol=0)


def test_every_other_norm_keeps_to_the_other_eps():
    model = ConvNeXt(replace(SMALL, norm_eps=0.5, final_norm_eps=0.25))
    norms = {name: module.eps for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    assert norms.pop("norm") == 0.25
    assert set(norms.values()) == {0.5} and len(norms) == 4 + sum(SMALL.depths)


def test_channels_first_norm_is_over_the_channels_of_each_place():
    norm = randomise(ChannelsFirstLayerNorm(7, eps=1e-3))
    x = torch.randn(2, 7, 3, 5, generator=torch.Generator().manual_seed(2))
    normed = norm(x)
    assert normed.shape == x.shape
    for b, y, x_place in [(0, 0, 0), (1, 2, 4), (1, 0, 3)]:
        place = x[b, :, y, x_place]
        expected = (place - place.mean()) / (place.var(unbiased=False) + 1e-3).sqrt() * norm.weight + norm.bias
        assert_close(normed[b, :, y, x_place], expected)


def test_state_dict_keys_are_the_official_releases():
    names = ConvNeXt(VARIANTS["mini"]).state_dict()
    outside = {name for name in names if not name.startswith("stages.")}
    assert outside == {f"{name}.{kind}" for kind in ("weight", "bias") for name in (
        "norm", "head", *(f"downsample_layers.{stage}.{layer}" for stage in (0, 1) for layer in (0, 1)))}
    block = {name.removeprefix("stages.1.0.") for name in names if name.startswith("stages.1.0.")}
    assert block == {"gamma"} | {f"{name}.{kind}" for kind in ("weight", "bias")
                                 for name in ("dwconv", "norm", "pwconv1", "pwconv2")}


@pytest.mark.parametrize(("name", "millions"), [("tiny", 28.6), ("small", 50.2), ("base", 88.6), ("large", 197.8),
                                                 ("xlarge", 350.2)])
def test_variants_have_the_papers_number_of_parameters(name, millions):
    with torch.device("meta"):
        model = ConvNeXt(VARIANTS[name])
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


def test_a_block_is_its_probes_and_outputs_are_bit_equal_with_and_without_them():
    model = randomise(ConvNeXt(VARIANTS["mini"]))
    plain = model(pictures(40, 48))
    with capture(model, "*") as seen:
        assert model(pictures(40, 48)).equal(plain)
    assert seen["stages.0.0.mixed"].equal(model.stages[0][0].dwconv(seen["embedded"]))
    assert seen["stages.0.0.hidden"].shape == (2, 10, 12, 48)
    assert seen["stages.0.0.output"].equal(seen["embedded"] + seen["stages.0.0.update"])


def test_one_block_reaches_three_places_to_each_side():
    model = randomise(ConvNeXt(VARIANTS["mini"]))
    images = pictures(64, 64, 1)
    changed = images.clone()
    changed[..., 32:36, 20:24] += 1  # the place at 8, 5 of the 16 x 16
    with capture(model, "stages.0.*.output") as before:
        model(images)
    with capture(model, "stages.0.*.output") as after:
        model(changed)
    for block, reach in ((0, 3), (1, 6)):
        name = f"stages.0.{block}.output"
        moved = (before[name] - after[name]).abs().amax(dim=(0, 1)) > 0
        expected = torch.zeros(16, 16, dtype=torch.bool)
        expected[8 - reach:8 + reach + 1, max(5 - reach, 0):5 + reach + 1] = True
        assert moved.equal(expected)


@pytest.mark.parametrize("size", [(31, 64), (64, 31), (1, 1)])
def test_a_picture_that_leaves_nothing_for_the_last_stage_is_refused(size):
    with pytest.raises(InputError, match=f"{size[0]} x {size[1]} pixels, .* 32 x 32") as caught:
        ConvNeXt(SMALL)(pictures(*size))
    assert caught.value.error_id == "convnext.too_small"
    assert ConvNeXt(SMALL).eval()(pictures(32, 32)).shape == (2, 5)


def test_a_config_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="3 stages, but widths for 2"):
        ConvNeXtConfig(depths=(2, 2, 2), widths=(6, 12))
    assert ConvNeXtConfig(depths=[1], widths=[6]) == ConvNeXtConfig(depths=(1,), widths=(6,))


def test_drop_path_grows_over_all_stages_and_gradients_are_finite():
    model = ConvNeXt(replace(VARIANTS["mini"], drop_path=0.3, num_classes=0)).train()
    rates = [block.drop_path.rate for stage in model.stages for block in stage]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.3])
    out = model(pictures(36, 40))
    assert out.shape == (2, 24)
    out.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
