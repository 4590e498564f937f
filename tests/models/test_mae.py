"""The masked autoencoder against transformers' ViTMAE, layer by layer, and what it does at the ends of the scale."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from einops import rearrange
from torch.testing import assert_close

from tfsss.errors import InputError
from tfsss.models.mae import VARIANTS, MAEConfig, MaskedAutoencoder, mean_error, patch_targets
from tfsss.probe import capture

# ours -> theirs, of one block
BLOCK = {"norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.o_proj", "mlp.fc1": "mlp.fc1",
         "mlp.fc2": "mlp.fc2"}
STACK = {"blocks": "vit.layers", "decoder_blocks": "decoder.decoder_layers"}
WHOLE = {"cls_token": "vit.embeddings.cls_token", "pos_embed": "vit.embeddings.position_embeddings",
         "mask_token": "decoder.mask_token", "decoder_pos_embed": "decoder.decoder_pos_embed"}
LAYERS = {"patch_embed.proj": "vit.embeddings.patch_embeddings.projection", "norm": "vit.layernorm",
          "decoder_embed": "decoder.decoder_embed", "decoder_norm": "decoder.decoder_norm",
          "decoder_pred": "decoder.decoder_pred"}


def their_name(key: str) -> str:
    """Where the released code's key is in transformers' ViTMAE (`qkv` apart, which is split there)."""
    module, leaf = key.rsplit(".", 1) if "." in key else ("", key)
    if not module:
        return WHOLE[key]
    if "blocks." not in module:
        return f"{LAYERS[module]}.{leaf}"
    home, number, part = module.split(".", 2)
    return f"{STACK[home]}.{number}.{BLOCK[part]}.{leaf}"


def pair(norm_pix: bool):
    """transformers' ViTMAE with random weights, biases too, and ours with the same numbers."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = replace(VARIANTS["mini"], norm_pix_loss=norm_pix)
    torch.manual_seed(1)
    theirs = ViTMAEForPreTraining(ViTMAEConfig(
        image_size=config.img_size, patch_size=config.patch_size, hidden_size=config.embed_dim,
        num_hidden_layers=config.depth, num_attention_heads=config.num_heads, intermediate_size=4 * config.embed_dim,
        decoder_num_hidden_layers=config.decoder_depth, decoder_hidden_size=config.decoder_embed_dim,
        decoder_num_attention_heads=config.decoder_num_heads, decoder_intermediate_size=4 * config.decoder_embed_dim,
        layer_norm_eps=config.norm_eps, norm_pix_loss=norm_pix)).eval()
    for parameter in theirs.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.25)
    given, ours = theirs.state_dict(), MaskedAutoencoder(config).eval()  # both by reference
    for key, value in ours.state_dict().items():
        if ".attn.qkv." in key:
            query = their_name(key.replace("attn.qkv", "attn.proj"))
            value.copy_(torch.cat([given.pop(query.replace("o_proj", f"{name}_proj")) for name in "qkv"]))
        elif key.endswith("pos_embed"):
            given.pop(their_name(key)).copy_(value)  # transformers 5.23 leaves it 0 in a fresh model
        else:
            value.copy_(given.pop(their_name(key)))
    assert not given  # nothing of theirs is left out
    return ours, theirs


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.rand(3, 16, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
@pytest.mark.parametrize("norm_pix", [False, True])
def test_it_agrees_with_transformers_layer_by_layer(images, noise, norm_pix):
    ours, theirs = pair(norm_pix)
    outputs: dict[str, torch.Tensor] = {}
    for name, module in theirs.named_modules():
        module.register_forward_hook(lambda _, __, out, name=name: outputs.__setitem__(
            name, out[0] if isinstance(out, tuple) else out))
    expected = theirs(images, noise=noise)
    with capture(ours, "*") as seen:
        made = ours(images, noise)
    assert_close(made.prediction, expected.logits, atol=1e-4, rtol=0)
    assert_close(made.loss, expected.loss, atol=1e-4, rtol=0)
    assert torch.equal(made.shuffle.mask, expected.mask)
    assert torch.equal(made.shuffle.ids_restore, expected.ids_restore)
    same = {"patch_embed.tokens": "vit.embeddings.patch_embeddings", "latent": "vit.layernorm",
            "embedded": "vit.embeddings", "decoded": "decoder.decoder_norm"}
    same |= {f"blocks.{n}.output": f"vit.layers.{n}" for n in range(2)}
    same |= {f"decoder_blocks.{n}.output": f"decoder.decoder_layers.{n}" for n in range(2)}
    for mine, yours in same.items():
        assert_close(seen[mine], outputs[yours], atol=1e-4, rtol=0)


@torch.no_grad()
def test_the_encoder_sees_the_kept_patches_and_nothing_else(images, noise):
    model = MaskedAutoencoder(VARIANTS["mini"]).eval()
    with capture(model, "embedded", "blocks.*.attn.weights") as seen:
        before = model(images, noise)
    assert seen["embedded"].shape == (3, 1 + 4, 24)
    assert seen["blocks.0.attn.weights"].shape == (3, 3, 5, 5)
    pixels = rearrange(before.shuffle.mask, "b (gy gx) -> b 1 gy 1 gx 1", gy=4).expand(3, 3, 4, 8, 4, 8)
    changed = images + 7 * rearrange(pixels, "b c gy p gx q -> b c (gy p) (gx q)")
    assert torch.equal(model(changed, noise).prediction, before.prediction)


@torch.no_grad()
def test_nothing_to_guess_and_nothing_to_see(images, noise):
    model = MaskedAutoencoder(VARIANTS["mini"]).eval()
    everything, nothing = model(images, noise, 16), model(images, noise, 0)
    assert everything.loss == 0 and not everything.shuffle.mask.any()
    assert nothing.shuffle.mask.all() and nothing.shuffle.ids_keep.shape == (3, 0)
    assert nothing.loss.isfinite() and nothing.prediction.isfinite().all()
    assert_close(nothing.prediction[0], nothing.prediction[1])  # the pictures cannot matter


@torch.no_grad()
def test_the_loss_can_be_on_all_patches(images, noise):
    torch.manual_seed(0)
    model = MaskedAutoencoder(replace(VARIANTS["mini"], loss_on="all")).eval()
    made = model(images, noise)
    assert_close(made.loss, (made.prediction - patch_targets(images, 8, normalised=False)).square().mean())
    assert_close(mean_error(made.errors, made.shuffle.mask), made.errors[made.shuffle.mask.bool()].mean())


def test_normalised_targets_by_hand(images):
    targets = patch_targets(images, 8, normalised=True)
    patch = images[1, :, 8:16, 16:24]  # row 1, column 2
    by_hand = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
    assert_close(targets[1, 4 + 2], by_hand.permute(1, 2, 0).flatten())


def test_another_size_is_refused_in_both_languages(noise):
    with pytest.raises(InputError) as raised:
        MaskedAutoencoder(VARIANTS["mini"])(torch.zeros(3, 3, 40, 32), noise)
    assert raised.value.error_id == "mae.size" and "40 x 32" in raised.value.sentence("zh")


@pytest.mark.parametrize("wrong", [{"patch_size": 15}, {"num_heads": 5}, {"decoder_embed_dim": 18}, {"mask_ratio": 1.5}])
def test_a_config_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError):
        MAEConfig(**wrong)
