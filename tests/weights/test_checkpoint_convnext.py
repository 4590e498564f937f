"""ConvNeXt as transformers, timm and its authors write it: the last map to 1e-4, or a sentence that says why not."""

from __future__ import annotations

import argparse
import json

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from tests.models.references import randomise
from tests.weights.foreign import hugging_face, last_hidden_state, pictures, reason, saved
from tfsss.models.convnext import ConvNeXt, ConvNeXtConfig
from tfsss.weights import load_checkpoint
from tfsss.weights.__main__ import SET_ASIDE, main

STAGES = {"depths": [1, 2, 3, 1], "hidden_sizes": [6, 10, 16, 20]}
SIZE = 75, 109  # pixels are left over at the stem and at every halving


def timm_convnext(**options) -> nn.Module:
    from timm.models.convnext import ConvNeXt as Timm

    return randomise(Timm(**{"depths": (1, 2, 3, 1), "dims": (6, 10, 16, 20), "num_classes": 5} | options))


def timm_named(architecture: str, folder, **options) -> nn.Module:
    """One of timm's own, made small, in a folder with its config.json."""
    import timm

    reference = randomise(timm.create_model(architecture, **{"depths": (1, 1, 1, 1), "dims": (8, 12, 16, 20),
                                                             "num_classes": 3} | options))
    timm.models.save_for_hf(reference, folder, safe_serialization=True)
    return reference


def released(**options) -> ConvNeXt:
    """Our names are those of the release."""
    return randomise(ConvNeXt(ConvNeXtConfig(num_classes=5, depths=(1, 2, 1), widths=(6, 10, 16), **options)))


def assert_same_map(model: nn.Module, theirs: Tensor) -> None:
    assert_close(model.forward_features(pictures(*SIZE)), theirs, atol=1e-4, rtol=0)
    assert theirs.ndim == 4 and theirs.std() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("kind", ["safetensors", "bin", "no_config"])
@pytest.mark.parametrize(("name", "options"), [
    ("ConvNextModel", {}), ("ConvNextForImageClassification", {"num_labels": 4}),
    ("ConvNextModel", {"layer_scale_init_value": 0.0, "patch_size": 8, "layer_norm_eps": 0.1}),
])
def test_what_transformers_saves_gives_its_last_hidden_state(kind, name, options, tmp_path):
    reference = hugging_face(name, **STAGES, image_size=64, **options)
    reference.save_pretrained(tmp_path)
    if kind == "bin":
        (tmp_path / "model.safetensors").unlink()
        saved(reference.state_dict(), tmp_path / "pytorch_model.bin")
    elif kind == "no_config":
        (tmp_path / "config.json").unlink()
    loaded = load_checkpoint(tmp_path)
    assert_same_map(loaded.model, last_hidden_state(reference, pictures(*SIZE)))
    guessed = {"exact_gelu", "final_norm_eps", "img_size"} if kind == "no_config" else set()
    assert set(loaded.entry.facts["assumed"]) == guessed | {"mean", "std"}
    assert loaded.entry.family == "convnext" and loaded.entry.facts["source"] == "transformers, ConvNeXt"
    assert loaded.entry.input_size == (224 if kind == "no_config" else 64)
    if "num_labels" in options:
        assert_close(loaded.model(pictures(*SIZE)), reference(pictures(*SIZE)).logits, atol=1e-4, rtol=0)
        assert len(loaded.entry.classes) == 4
    elif kind != "no_config" or "layer_norm_eps" not in options:
        assert_close(loaded.model(pictures(*SIZE)), reference(pictures(*SIZE)).pooler_output, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"conv_mlp": True}, {"ls_init_value": None}, {"num_classes": 0}])
def test_what_timm_saves_gives_its_features_without_any_config(options, tmp_path):
    reference = timm_convnext(**options)
    loaded = load_checkpoint(saved(reference.state_dict(), tmp_path / "convnext.pth"))
    assert_same_map(loaded.model, reference.forward_features(pictures(*SIZE)))
    assert_close(loaded.model(pictures(*SIZE)), reference.forward_head(reference.forward_features(pictures(*SIZE))).reshape(
        2, -1), atol=1e-4, rtol=0)
    assert loaded.entry.facts["source"] == "timm, ConvNeXt" and loaded.model.config.num_classes == options.get(
        "num_classes", 5)
    assert {"norm_eps", "final_norm_eps", "exact_gelu"} <= set(loaded.entry.facts["assumed"])


@torch.no_grad()
@pytest.mark.parametrize(("architecture", "eps"), [
    ("convnext_tiny", 1e-6), ("convnext_atto", 1e-6), ("convnext_xxlarge", 1e-5)])
def test_timms_own_config_tells_eps_and_colours(architecture, eps, tmp_path):
    reference = timm_named(architecture, tmp_path)
    loaded = load_checkpoint(tmp_path)
    assert_same_map(loaded.model, reference.forward_features(pictures(*SIZE)))
    assert_close(loaded.model(pictures(*SIZE)), reference(pictures(*SIZE)), atol=1e-4, rtol=0)
    assert loaded.model.config.norm_eps == loaded.model.config.final_norm_eps == eps == reference.stem[1].eps
    assert loaded.entry.facts["assumed"] == () and loaded.entry.facts["source"] == f"timm, {architecture}"


@torch.no_grad()
def test_a_head_with_a_layer_inside_is_set_aside_by_name(tmp_path, capsys):
    reference = timm_named("convnext_large_mlp", tmp_path, head_hidden_size=7)
    loaded = load_checkpoint(tmp_path)
    assert_same_map(loaded.model, reference.forward_features(pictures(*SIZE)))
    assert loaded.entry.facts["set_aside"] == {f"head.{layer}fc.{kind}": "hidden_layer" for layer in ("pre_logits.", "")
                                               for kind in ("bias", "weight")}
    assert loaded.entry.classes == () and main(["check", str(tmp_path)]) == 0
    assert SET_ASIDE["hidden_layer"] in capsys.readouterr().out


@torch.no_grad()
@pytest.mark.parametrize("layer_scale", [1e-6, None])
def test_the_authors_release(layer_scale, tmp_path, capsys):
    reference = released(layer_scale=layer_scale)
    file = saved(reference.state_dict(), tmp_path / "convnext_tiny_1k_224.pth", "model", epoch=3, optimizer={},
                 args=argparse.Namespace(model="convnext_tiny"))
    loaded = load_checkpoint(file)
    assert_same_map(loaded.model, reference.forward_features(pictures(*SIZE)))
    assert_close(loaded.model(pictures(*SIZE)), reference(pictures(*SIZE)), atol=1e-6, rtol=0)
    assert set(loaded.entry.facts["set_aside"]) == {"epoch", "optimizer", "args"}
    assert loaded.entry.facts["assumed"] == ("mean", "std", "img_size") and loaded.entry.facts["uses"] == ()
    assert main(["check", str(file)]) == 0
    said = capsys.readouterr().out
    for part in ("ConvNeXt, under its authors' names", "arXiv:2201.03545", "none shows models of this family yet",
                 "depths               (1, 2, 1)", "224 x 224"):
        assert part in said, said


@pytest.mark.parametrize(("options", "error"), [
    ({"use_grn": True, "ls_init_value": None}, "response_norm"), ({"stem_type": "overlap"}, "overlapping_stem"),
    ({"stem_type": "overlap_act"}, "overlapping_stem"), ({"head_norm_first": True}, "norm_before_pooling"),
    ({"norm_layer": "rmsnorm2d", "conv_mlp": True}, "norms_without_bias"), ({"patch_size": 8}, "dilated"),
])
def test_timms_other_convnexts_are_refused_by_what_is_different(options, error, tmp_path):
    refused = reason(saved(timm_convnext(**options).state_dict(), tmp_path / "other.pth"))
    assert refused.error_id == f"variant.{error}"
    assert error == "dilated" or refused.numbers["name"] in timm_convnext(**options).state_dict()


def test_convnext_v2_of_transformers_and_of_its_authors_is_refused_by_its_norm(tmp_path):
    hugging_face("ConvNextV2Model", **STAGES).save_pretrained(tmp_path)
    assert reason(tmp_path).error_id == "variant.response_norm" and "V2" in str(reason(tmp_path))
    state = released(layer_scale=None).state_dict() | {"stages.0.0.grn.gamma": torch.ones(1, 1, 1, 24)}
    assert reason(saved(state, tmp_path / "v2.pth", "model")).error_id == "variant.response_norm"


@pytest.mark.parametrize(("architecture", "changed", "error"), [
    ("convnext_tiny", {"model_args": {"output_stride": 16}}, "variant.dilated"),
    ("convnext_tiny", {"model_args": {"act_layer": "relu"}}, "checkpoint.setting"),
    ("convnext_tiny", {"global_pool": "max"}, "checkpoint.setting"), ("test_convnext", {}, "checkpoint.activation"),
])
def test_what_only_timms_config_tells_is_not_overlooked(architecture, changed, error, tmp_path):
    timm_named(architecture, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changed))
    assert reason(tmp_path).error_id == error


@pytest.mark.parametrize(("changed", "error"), [
    ({"hidden_act": "relu"}, "setting"), ({"model_type": "resnet"}, "other_model"),
    ({"hidden_sizes": [6, 10, 16, 24]}, "other_settings"), ({"hidden_sizes": 6}, "no_value"),
    ({"depths": [1, 2, 3, 2]}, "missing"), ({"depths": [1, 2, 2, 1]}, "left_over"),
    ({"depths": [1, 2, 3, 10**6]}, "other_settings"), ({"depths": [1, 2, 3]}, "other_settings"),
])
def test_a_config_that_wants_something_else_is_not_overlooked(changed, error, tmp_path):
    hugging_face("ConvNextModel", **STAGES).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changed))
    assert reason(tmp_path).error_id == f"checkpoint.{error}"


def test_what_is_missing_or_left_over_or_misshapen_is_named(tmp_path):
    state = dict(timm_convnext().state_dict())
    without_stage = {name: tensor for name, tensor in state.items() if not name.startswith("stages.2.blocks.")}
    for file, tensors, error, named in [
        ("gamma", state.keys() - {"stages.1.blocks.0.gamma"}, "missing", "stages.1.0.gamma"),
        ("stage", without_stage, "missing", "stages.2.0.dwconv.weight"),
        ("halving", state.keys() - {"stages.1.downsample.1.weight"}, "lacks", "downsample_layers.1.1.weight"),
        ("more", state | {"stages.0.downsample.0.weight": torch.ones(6)}, "left_over", "stages.0.downsample.0.weight"),
        ("kernel", timm_convnext(kernel_sizes=5).state_dict(), "shape", "stages.0.blocks.0.conv_dw.weight"),
        ("grey", timm_convnext(in_chans=1).state_dict(), "patches", "1 channels"),
    ]:
        tensors = {name: state[name] for name in tensors} if isinstance(tensors, set) else tensors
        refused = reason(saved(tensors, tmp_path / f"{file}.pth"))
        assert refused.error_id == f"checkpoint.{error}" and named in str(refused), file
    assert reason(saved(state, tmp_path / "whole.pth"), "vit").error_id == "checkpoint.other_family"


def test_a_picture_too_small_for_the_last_stage_is_never_proposed(tmp_path):
    hugging_face("ConvNextModel", **STAGES, image_size=16).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"shortest_edge": 24}}))
    assert load_checkpoint(tmp_path).entry.input_size == 224
