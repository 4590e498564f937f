"""Checkpoints as transformers, timm and the papers' authors write them, beside their own outputs, to 1e-4."""

from __future__ import annotations

import argparse
import json
import re

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.models.references import randomise
from tests.weights.foreign import (
    DECODER, NO_MLP, SWIN, WIDTHS, hugging_face, last_hidden_state, pictures, reason, saved, timm_swin, timm_vit,
)
from tfsss.layers.masking import shuffle_by
from tfsss.layers.position import sincos_2d
from tfsss.models.mae import MAEConfig, MaskedAutoencoder
from tfsss.weights import load_checkpoint
from tfsss.weights.__main__ import SET_ASIDE, main

TRANSFORMERS = {
    "vit": ("ViTModel", WIDTHS), "vit_classes": ("ViTForImageClassification", WIDTHS | {"num_labels": 5}),
    "vit_no_bias": ("ViTForImageClassification", WIDTHS | {"qkv_bias": False, "layer_norm_eps": 0.1}),
    "deit": ("DeiTForImageClassificationWithTeacher", WIDTHS | {"num_labels": 5}),
    "deit_one_head": ("DeiTForImageClassification", WIDTHS), "deit_pooler": ("DeiTModel", WIDTHS),
    "dinov2": ("Dinov2Model", NO_MLP), "dinov2_classes": ("Dinov2ForImageClassification", NO_MLP),
    "registers": ("Dinov2WithRegistersModel", NO_MLP | {"num_register_tokens": 3}),
    "mae_encoder": ("ViTMAEModel", WIDTHS | {"mask_ratio": 0.0}),
    "swin": ("SwinModel", SWIN), "swin_classes": ("SwinForImageClassification", SWIN | {"num_labels": 5}),
}


@torch.no_grad()
@pytest.mark.parametrize("case", TRANSFORMERS)
@pytest.mark.parametrize("names", ["saved", "of_today", "no_config"])
def test_what_transformers_saves_gives_its_last_hidden_state(case, names, tmp_path):
    name, options = TRANSFORMERS[case]
    if names == "no_config":  # what habit has to guess is then as in every published model
        options = {key: value for key, value in options.items() if key != "layer_norm_eps"}
        options |= {"num_attention_heads": 1} if "hidden_size" in options else {}
    reference = hugging_face(name, **options)
    if case == "mae_encoder":  # its table is fixed
        reference.embeddings.position_embeddings[0] = torch.cat([torch.zeros(1, 64), sincos_2d((4, 4), 64)])
    reference.save_pretrained(tmp_path)
    if names == "no_config":
        (tmp_path / "config.json").unlink()
    if names == "of_today":  # the state dict itself, in a pickle beside the same config.json
        (tmp_path / "model.safetensors").unlink()
        saved(reference.state_dict(), tmp_path / "pytorch_model.bin")
    loaded = load_checkpoint(tmp_path)
    images = pictures(options["image_size"])
    noise = {"noise": torch.arange(16.0).expand(2, -1)} if case == "mae_encoder" else {}
    theirs = last_hidden_state(reference, images, **noise)
    assert_close(loaded.model.forward_features(images), theirs, atol=1e-4, rtol=0)
    assert theirs.std() > 0.1 and "transformers" in loaded.entry.facts["source"]
    assumed = set(loaded.entry.facts["assumed"]) - {"mean", "std"}
    assert assumed == set() if names != "no_config" else "exact_gelu" in assumed, "config.json told the rest"
    if case in ("vit_classes", "deit", "swin_classes"):
        assert_close(loaded.model(images), reference(images).logits, atol=1e-4, rtol=0)
        assert len(loaded.entry.classes) == 5
    if case == "mae_encoder":
        assert loaded.entry.facts["source"] == "transformers, ViTMAE" and loaded.entry.family == "vit"
        assert reason(tmp_path, "mae").error_id == "checkpoint.no_decoder"
    if case == "vit":
        assert_close(loaded.model(images), reference(images).pooler_output, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("case", ["vit", "deit", "dinov2", "registers"])
def test_position_tables_are_resized_as_the_source_does(case, tmp_path):
    name, options = TRANSFORMERS[case]
    reference = hugging_face(name, **options)
    reference.save_pretrained(tmp_path)
    asked = {} if case in ("dinov2", "registers") else {"interpolate_pos_encoding": True}
    theirs = last_hidden_state(reference, pictures(40, 56), **asked)
    assert_close(load_checkpoint(tmp_path).model.forward_features(pictures(40, 56)), theirs, atol=1e-4, rtol=0)


@torch.no_grad()
def test_position_tables_are_resized_as_timm_does(tmp_path):
    reference = timm_vit(dynamic_img_size=True)
    loaded = load_checkpoint(saved(reference.state_dict(), tmp_path / "vit.safetensors"))
    theirs = reference.forward_features(pictures(24, 56))
    assert_close(loaded.model.forward_features(pictures(24, 56)), theirs, atol=1e-4, rtol=0)


TIMM = {
    "plain": {}, "scaled": {"init_values": 0.3, "qkv_bias": False}, "mean": {"global_pool": "avg"},
    "no_class_token": {"class_token": False, "global_pool": "avg", "fc_norm": False},
    "registers": {"reg_tokens": 4, "no_embed_class": True}, "distilled": {"distilled": True},
    "bare": {"num_classes": 0},
}


@torch.no_grad()
@pytest.mark.parametrize("case", TIMM)
def test_what_timm_saves_gives_its_features_without_any_config(case, tmp_path):
    reference = timm_vit(**TIMM[case])
    loaded = load_checkpoint(saved(reference.state_dict(), tmp_path / "vit.safetensors"))
    assert_close(loaded.model.forward_features(pictures()), reference.forward_features(pictures()), atol=1e-4, rtol=0)
    assert_close(loaded.model.config.num_heads, 2)
    assert {"num_heads", "exact_gelu"} <= set(loaded.entry.facts["assumed"])
    assert loaded.entry.facts["source"].startswith("timm or DINO" if case == "bare" else "timm, ")
    if case != "bare":
        assert_close(loaded.model(pictures()), reference(pictures()), atol=1e-4, rtol=0)


@torch.no_grad()
def test_timms_own_config_tells_heads_pooling_and_colours(tmp_path):
    import timm

    reference = randomise(timm.create_model(
        "vit_tiny_patch16_224", num_classes=5, img_size=32, patch_size=8, embed_dim=96, depth=2, num_heads=4,
        global_pool="avg", fc_norm=False))
    timm.models.save_for_hf(reference, tmp_path, safe_serialization=True)
    loaded = load_checkpoint(tmp_path)
    assert_close(loaded.model.forward_features(pictures()), reference.forward_features(pictures()), atol=1e-4, rtol=0)
    assert_close(loaded.model(pictures()), reference(pictures()), atol=1e-4, rtol=0)
    assert loaded.entry.mean == (0.5,) * 3 and loaded.entry.facts["assumed"] == ("norm_eps",)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"architecture": "vit_base_patch16_siglip_gap_224"}))
    assert reason(tmp_path).error_id == "checkpoint.activation"


@torch.no_grad()
@pytest.mark.parametrize("release", [False, True])
def test_swin_of_timm_and_of_the_release(release, tmp_path):
    reference = timm_swin()
    state = dict(reference.state_dict())
    if release:  # merging at the end of a stage, buffers, another name for the head
        state = {name.replace("head.fc", "head").replace("layers.1.downsample", "layers.0.downsample"): tensor
                 for name, tensor in state.items()}
        state["layers.0.blocks.1.attn_mask"] = torch.zeros(16, 16, 16)
        state["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
    loaded = load_checkpoint(saved(state, tmp_path / "swin.pth", "model"))
    theirs = reference.forward_features(pictures(64)).flatten(1, 2)
    assert_close(loaded.model.forward_features(pictures(64)), theirs, atol=1e-4, rtol=0)
    assert_close(loaded.model(pictures(64)), reference(pictures(64)), atol=1e-4, rtol=0)
    facts = loaded.entry.facts
    assert facts["source"].startswith("Swin" if release else "timm") and len(facts["set_aside"]) == 2 * release
    assert loaded.entry.input_size == 32 and "img_size" in facts["assumed"]


@torch.no_grad()
@pytest.mark.parametrize("network", ["teacher", "student"])
def test_both_networks_of_dinos_release(network, tmp_path):
    reference, prefix = timm_vit(num_classes=0), "module." if network == "student" else ""
    state = {f"{prefix}backbone.{name}": tensor for name, tensor in reference.state_dict().items()}
    state |= {f"{prefix}head.mlp.0.weight": torch.ones(3, 128), f"{prefix}head.last_layer.weight_g": torch.ones(3, 1)}
    file = saved(state, tmp_path / "dino.pth", network, epoch=7, args=argparse.Namespace(arch="vit_small"))
    loaded = load_checkpoint(file)
    assert_close(loaded.model.forward_features(pictures()), reference.forward_features(pictures()), atol=1e-4, rtol=0)
    aside = loaded.entry.facts["set_aside"]
    assert network in loaded.entry.facts["source"] and {aside["epoch"], aside["args"]} == {"beside"}
    assert aside["head.mlp.0.weight"] == "projection"


@torch.no_grad()
def test_dinov2_as_its_authors_released_it(tmp_path):
    reference = timm_vit(init_values=1.0, num_classes=0, reg_tokens=2, class_token=True, no_embed_class=True)
    state = {name.replace("reg_token", "register_tokens"): tensor for name, tensor in reference.state_dict().items()}
    state["mask_token"] = torch.ones(1, 128)
    loaded = load_checkpoint(saved(state, tmp_path / "dinov2.pth"))
    assert_close(loaded.model.forward_features(pictures()), reference.forward_features(pictures()), atol=1e-4, rtol=0)
    assert loaded.entry.facts["source"].startswith("DINOv2") and loaded.model.config.num_registers == 2


@torch.no_grad()
@pytest.mark.parametrize("config", [True, False])
def test_vitmae_is_a_model_that_reconstructs_and_its_encoder_a_vit(config, tmp_path):
    options = WIDTHS | DECODER | {"norm_pix_loss": True, "mask_ratio": 0.5}
    reference = hugging_face("ViTMAEForPreTraining", **options if config else options | {"num_attention_heads": 1,
                             "decoder_num_attention_heads": 1})
    reference.save_pretrained(tmp_path)
    if not config:  # and the decoder's blocks named as in the files of the hub
        (tmp_path / "config.json").unlink()
        saved({re.sub(r"decoder\.decoder_\w+\.(layer\.)?(?=0\.)", "decoder.decoder_layers.", name): tensor
               for name, tensor in load_file(tmp_path / "model.safetensors").items()}, tmp_path / "model.safetensors")
        assert any(name.startswith("decoder.decoder_layers.0.") for name in load_file(tmp_path / "model.safetensors"))
    loaded, noise = load_checkpoint(tmp_path), torch.rand(2, 16, generator=torch.Generator().manual_seed(3))
    theirs = reference(pictures(), noise=noise)
    ours = loaded.model.decode(loaded.model.encode(pictures(), shuffle_by(noise, 8)), shuffle_by(noise, 8))
    assert_close(ours, theirs.logits, atol=1e-4, rtol=0)
    assumed = {"exact_gelu", "num_heads", "decoder_num_heads", "norm_pix_loss", "mask_ratio", "norm_eps", "mean", "std"}
    assert set(loaded.entry.facts["assumed"]) == ({"mean", "std"} if config else assumed)
    if config:
        assert_close(loaded.model(pictures(), noise).loss, theirs.loss, atol=1e-4, rtol=0)
    as_vit = load_checkpoint(tmp_path, "vit")
    features = loaded.model.forward_features(pictures())
    assert_close(as_vit.model.forward_features(pictures()), features, atol=1e-5, rtol=0)
    assert as_vit.entry.facts["set_aside"]["decoder.mask_token"] == "decoder" and as_vit.entry.family == "vit"


@torch.no_grad()
def test_maes_release_with_and_without_its_decoder(tmp_path):
    model = randomise(MaskedAutoencoder(MAEConfig(img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=1,
                                                  decoder_embed_dim=32, decoder_depth=1, decoder_num_heads=1)))
    model.pos_embed[0, 0], model.pos_embed[0, 1:] = 0, sincos_2d((4, 4), 64)
    state = model.state_dict()  # our names are those of the release
    whole = load_checkpoint(saved(state, tmp_path / "whole.pth", "model", optimizer={}, epoch=3))
    assert_close(whole.model.forward_features(pictures()), model.forward_features(pictures()), atol=1e-6, rtol=0)
    encoder = {name: tensor for name, tensor in state.items() if not name.startswith(("decoder", "mask"))}
    file = saved(encoder, tmp_path / "encoder.pth", "model")
    loaded = load_checkpoint(file)
    assert_close(loaded.model.forward_features(pictures()), model.forward_features(pictures()), atol=1e-4, rtol=0)
    assert "encoder only" in loaded.entry.facts["source"] and loaded.model.config.pos_embed == "sincos"
    refused = reason(file, "mae")
    assert refused.error_id == "checkpoint.no_decoder" and "Attention" in str(refused)
    del state["decoder_norm.bias"]
    refused = reason(saved(state, tmp_path / "part.pth", "model"))
    assert refused.error_id == "checkpoint.missing" and refused.numbers["names"] == "decoder_norm.bias"


@torch.no_grad()
def test_shards_half_precision_and_neighbours(tmp_path):
    reference = hugging_face("ViTForImageClassification", **WIDTHS | {"num_labels": 3, "id2label": {
        0: "cat", 1: "dog", 2: "newt"}}).half()
    reference.save_pretrained(tmp_path, max_shard_size="50KB")
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = dict(sorted(config["id2label"].items(), reverse=True))  # their order says nothing
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1], "size": {"height": 48, "width": 48}}))
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    loaded = load_checkpoint(tmp_path / "model.safetensors.index.json")
    assert_close(loaded.model.forward_features(pictures()), last_hidden_state(reference.float(), pictures()),
                 atol=1e-4, rtol=0)
    entry = loaded.entry
    assert entry.classes == ("cat", "dog", "newt") and entry.mean == (0.1, 0.2, 0.3) and entry.input_size == 48
    assert entry.facts["assumed"] == () and entry.facts["dtypes"] == ("float16",) and entry.kind == "file"
    next(tmp_path.glob("*.safetensors")).unlink()
    assert reason(tmp_path).error_id == "checkpoint.no_shard"


def test_a_file_has_the_same_id_wherever_it_lies(tmp_path):
    tensors = timm_vit().state_dict()
    (tmp_path / "other").mkdir()
    first, second = (load_checkpoint(saved(tensors, tmp_path / name)).entry
                     for name in ("a.safetensors", "other/b.safetensors"))
    assert first.id == second.id and first.path == tmp_path / "a.safetensors" and first.weights == "trained"
    tensors["norm.bias"] = tensors["norm.bias"] + 1
    assert load_checkpoint(saved(tensors, tmp_path / "c.safetensors")).entry.id != first.id
    assert load_file(first.path).keys() == tensors.keys()


def test_the_command_line_says_what_a_file_is(tmp_path, capsys):
    state = timm_vit(num_classes=0).state_dict() | {"mask_token": torch.ones(1, 128)}
    assert main(["check", str(saved(state, tmp_path / "dinov2.pth"))]) == 0
    said = capsys.readouterr().out
    for part in ("DINOv2, under its authors' names", "family      vit", "num_heads            2  (by habit",
                 "attention", "mask_token", SET_ASIDE["mask_token"], "128 x 128"):
        assert part in said, said
    assert main(["check", str(tmp_path / "absent.pth")]) == 1
    assert "There is no file" in capsys.readouterr().err
