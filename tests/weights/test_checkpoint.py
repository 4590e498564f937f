"""Checkpoints as transformers, timm and the papers' authors write them, beside their own outputs, to 1e-4."""

from __future__ import annotations

import argparse
import json
import os
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.testing import assert_close

from tests.models.references import randomise
from tfsss.errors import InputError
from tfsss.layers.masking import shuffle_by
from tfsss.layers.position import sincos_2d
from tfsss.models.mae import MAEConfig, MaskedAutoencoder
from tfsss.weights import load_checkpoint
from tfsss.weights.__main__ import SET_ASIDE, main

WIDTHS = {"image_size": 32, "patch_size": 8, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 96}
DECODER = {"decoder_hidden_size": 32, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2,
           "decoder_intermediate_size": 48}
NO_MLP = {key: value for key, value in WIDTHS.items() if key != "intermediate_size"}  # DINOv2 has a ratio instead
SWIN = {"image_size": 64, "patch_size": 4, "embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": 4}


def pictures(side: int = 32, across: int | None = None) -> Tensor:
    return torch.randn(2, 3, side, across or side, generator=torch.Generator().manual_seed(1))


def hugging_face(name: str, **options):
    """A randomised model of transformers."""
    import transformers

    config = name.removesuffix("WithTeacher").removesuffix("ForImageClassification").removesuffix("ForPreTraining")
    made = getattr(transformers, f"{config.removesuffix('Model')}Config")(**options)
    return randomise(getattr(transformers, name)(made))


def timm_vit(distilled: bool = False, width: int = 128, **options):
    from timm.models.deit import VisionTransformerDistilled
    from timm.models.vision_transformer import VisionTransformer

    made = {"img_size": 32, "patch_size": 8, "embed_dim": width, "depth": 2, "num_heads": 2, "num_classes": 5}
    return randomise((VisionTransformerDistilled if distilled else VisionTransformer)(**made | options))


def timm_swin():
    from timm.models.swin_transformer import SwinTransformer

    return randomise(SwinTransformer(img_size=64, patch_size=4, embed_dim=12, depths=(2, 2), num_heads=(2, 3),
                                     window_size=4, num_classes=5))


def saved(tensors: dict[str, Tensor], path, wrapped_in: str | None = None, **beside):
    """A file as torch.save or safetensors write it, by the path's ending."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save({wrapped_in: tensors, **beside} if wrapped_in else tensors, path)
    return path


def reason(*arguments, **options) -> InputError:
    """The error that a file is refused with; it has its sentence in both languages."""
    with pytest.raises(InputError) as raised:
        load_checkpoint(*arguments, **options)
    assert raised.value.sentence("zh") and raised.value.error_id.startswith("checkpoint.")
    return raised.value


def last_hidden_state(model, images: Tensor, **options) -> Tensor:
    inner = getattr(model, model.base_model_prefix, model)
    return inner(images, **options).last_hidden_state


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
@pytest.mark.parametrize("names", ["saved", "of_today"])
def test_what_transformers_saves_gives_its_last_hidden_state(case, names, tmp_path):
    name, options = TRANSFORMERS[case]
    reference = hugging_face(name, **options)
    reference.save_pretrained(tmp_path)
    if names == "of_today":  # the state dict itself, in a pickle beside the same config.json
        (tmp_path / "model.safetensors").unlink()
        saved(reference.state_dict(), tmp_path / "pytorch_model.bin")
    loaded = load_checkpoint(tmp_path)
    images = pictures(options["image_size"])
    noise = {"noise": torch.arange(16.0).expand(2, -1)} if case == "mae_encoder" else {}
    theirs = last_hidden_state(reference, images, **noise)
    assert_close(loaded.model.forward_features(images), theirs, atol=1e-4, rtol=0)
    assert theirs.std() > 0.1 and "transformers" in loaded.entry.facts["source"]
    assert set(loaded.entry.facts["assumed"]) <= {"mean", "std"}, "config.json told the rest"
    if case in ("vit_classes", "deit", "swin_classes"):
        assert_close(loaded.model(images), reference(images).logits, atol=1e-4, rtol=0)
        assert len(loaded.entry.classes) == 5
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
    assert "num_heads" in loaded.entry.facts["assumed"] and loaded.entry.facts["source"].startswith("timm")
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
    assumed = {"num_heads", "decoder_num_heads", "norm_pix_loss", "mask_ratio", "norm_eps", "mean", "std"}
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


class Wicked:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_wants_more_than_tensors_is_refused_and_does_nothing(legacy, tmp_path):
    state = timm_vit().state_dict() | {"extra": Wicked(tmp_path / "trace")}
    torch.save(state, tmp_path / "wicked.pth", _use_new_zipfile_serialization=not legacy)
    refused = reason(tmp_path / "wicked.pth")
    assert refused.error_id == "checkpoint.refused" and "mkdir" in refused.numbers["wanted"]
    assert not (tmp_path / "trace").exists()


def test_what_is_missing_or_left_over_or_misshapen_is_named(tmp_path):
    state = dict(timm_vit().state_dict())
    without = {name: tensor for name, tensor in state.items() if name != "blocks.1.norm2.bias"}
    changes = {
        "not_finite": state | {"norm.weight": torch.full((128,), torch.nan)},
        "twice": state | {"register_tokens": torch.ones(1, 2, 128), "reg_token": torch.ones(1, 2, 128)},
        "missing": without, "left_over": state | {"norm_pre.weight": torch.ones(128)},
        "both": without | {"blocks.1.attn.q_norm.weight": torch.ones(64)},
        "shape": state | {"blocks.1.mlp.fc1.bias": torch.ones(7)},
    }
    for number, (name, tensors) in enumerate(changes.items()):
        refused = reason(saved(tensors, tmp_path / f"{number}.pth"))
        assert refused.error_id == f"checkpoint.{name}"
        named = {"missing": "blocks.1.norm2.bias", "left_over": "norm_pre.weight",
                 "both": "blocks.1.attn.q_norm.weight", "shape": "blocks.1.mlp.fc1.bias", "not_finite": "norm.weight",
                 "twice": "register_tokens"}[name]
        assert named in str(refused) and named in refused.sentence("zh")


def test_files_that_cannot_be_read_say_why(tmp_path):
    good = saved(timm_vit().state_dict(), tmp_path / "good.safetensors")
    old = saved(timm_vit().state_dict(), tmp_path / "good.pth")
    for name, source in (("cut.safetensors", good), ("cut.pth", old)):
        (tmp_path / name).write_bytes(source.read_bytes()[:20_000])
        assert reason(tmp_path / name).error_id == "checkpoint.damaged"
    (tmp_path / "empty.bin").write_bytes(b"")
    (tmp_path / "words.pth").write_text("These are no weights at all.")
    assert {reason(tmp_path / name).error_id for name in ("empty.bin", "words.pth")} == {"checkpoint.damaged"}
    (tmp_path / "folder").mkdir()
    assert reason(tmp_path / "folder").error_id == "checkpoint.empty_folder"
    assert reason(tmp_path / "nothing.pth").error_id == "checkpoint.not_found"
    (tmp_path / "weights.h5").write_bytes(b"x")
    assert reason(tmp_path / "weights.h5").error_id == "checkpoint.other_kind"
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    assert {reason(tmp_path / f"{name}.pth").error_id for name in ("list", "numbers")} == {"checkpoint.no_tensors"}
    assert reason(saved({"conv1.weight": torch.ones(3, 3)}, tmp_path / "resnet.pth")).error_id == "checkpoint.unknown"
    (tmp_path / "config.json").write_text("{")
    assert reason(good).error_id == "checkpoint.no_json"


@pytest.mark.parametrize(("changed", "name"), [
    ({"hidden_act": "quick_gelu"}, "setting"), ({"model_type": "beit"}, "other_model"),
    ({"hidden_size": 80}, "other_settings"), ({"num_attention_heads": 5}, "heads"),
    ({"num_attention_heads": "many"}, "no_value"), ({"layer_norm_eps": None}, "no_value"),
    ({"image_size": "big"}, "no_value"), ({"num_hidden_layers": 3}, "missing"),
    ({"num_hidden_layers": 10**6}, "other_settings"), ({"num_hidden_layers": 1}, "left_over"),
])
def test_a_config_that_wants_something_else_is_not_overlooked(changed, name, tmp_path):
    hugging_face("ViTModel", **WIDTHS).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changed))
    assert reason(tmp_path).error_id == f"checkpoint.{name}"


def test_other_shapes_than_ours_are_named(tmp_path):
    state = dict(timm_vit(width=96).state_dict())
    assert reason(saved(state, tmp_path / "narrow.pth")).error_id == "checkpoint.heads"
    assert load_checkpoint(tmp_path / "narrow.pth", num_heads=2).model.config.num_heads == 2
    assert reason(tmp_path / "narrow.pth", "swin", num_heads=2).error_id == "checkpoint.other_family"
    table = state | {"pos_embed": torch.ones(1, 13, 96)}
    assert reason(saved(table, tmp_path / "table.pth"), num_heads=2).error_id == "checkpoint.positions"
    grey = state | {"patch_embed.proj.weight": torch.ones(96, 1, 8, 8)}
    assert reason(saved(grey, tmp_path / "grey.pth"), num_heads=2).error_id == "checkpoint.patches"


@torch.no_grad()
def test_shards_half_precision_and_neighbours(tmp_path):
    reference = hugging_face("ViTForImageClassification", **WIDTHS | {"num_labels": 3, "id2label": {
        0: "cat", 1: "dog", 2: "newt"}}).half()
    reference.save_pretrained(tmp_path, max_shard_size="50KB")
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
