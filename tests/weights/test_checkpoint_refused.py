"""What load_checkpoint refuses, and that it says why."""

from __future__ import annotations

import json
import os

import pytest
import torch

from tests.weights.foreign import NO_MLP, SWIN, WIDTHS, hugging_face, reason, saved, timm_vit
from tfsss.weights import load_checkpoint


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


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_program_is_refused_and_not_called_damaged(tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "program.pt")
    refused = reason(tmp_path / "program.pt")
    assert refused.error_id == "checkpoint.refused" and refused.numbers["wanted"] == "TorchScript"


def test_what_is_missing_or_left_over_or_misshapen_is_named(tmp_path):
    state = dict(timm_vit().state_dict())
    without = {name: tensor for name, tensor in state.items() if name != "blocks.1.norm2.bias"}
    changes = {
        "not_finite": state | {"norm.weight": torch.full((128,), torch.nan)},
        "twice": state | {"register_tokens": torch.ones(1, 2, 128), "reg_token": torch.ones(1, 2, 128)},
        "missing": without, "left_over": state | {"extra.weight": torch.ones(128)},
        "both": without | {"blocks.1.attn.q_norm.weight": torch.ones(64)},
        "shape": state | {"blocks.1.mlp.fc1.bias": torch.ones(7)},
    }
    for number, (name, tensors) in enumerate(changes.items()):
        refused = reason(saved(tensors, tmp_path / f"{number}.pth"))
        assert refused.error_id == f"checkpoint.{name}"
        named = {"missing": "blocks.1.norm2.bias", "left_over": "extra.weight",
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


@pytest.mark.parametrize(("options", "error"), [
    ({"mlp_layer": "SwiGLUPacked"}, "variant.gated"), ({"pre_norm": True}, "variant.norm_before_blocks"),
    ({"global_pool": "map"}, "checkpoint.left_over"), ({"qk_norm": True}, "checkpoint.left_over"),
    ({"pos_embed": "none"}, "checkpoint.lacks"), ({"final_norm": False}, "checkpoint.missing"),
])
def test_timms_other_vits_are_refused_by_what_is_different(options, error, tmp_path):
    from timm import layers

    options = {name: getattr(layers, value) if name == "mlp_layer" else value for name, value in options.items()}
    assert reason(saved(timm_vit(**options).state_dict(), tmp_path / "other.pth")).error_id == error


def test_a_hybrid_and_what_only_timms_config_tells_are_refused_by_what_is_different(tmp_path):
    state = dict(timm_vit().state_dict())
    hybrid = state | {"patch_embed.backbone.bn1.num_batches_tracked": torch.tensor(0)}
    assert reason(saved(hybrid, tmp_path / "hybrid.pth")).error_id == "variant.hybrid"
    counted = state | {"bn1.num_batches_tracked": torch.tensor(0)}
    assert "bn1.num_batches_tracked" in str(reason(saved(counted, tmp_path / "counted.pth")))
    for config, error in (({"architecture": "vit_base_patch16_rpn_224"}, "variant.norm_behind"),
                          ({"architecture": "vit_base_patch16_224", "global_pool": "max"}, "checkpoint.setting")):
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert reason(saved(state, tmp_path / "vit.pth")).error_id == error


@pytest.mark.parametrize("names", ["saved", "of_today"])
def test_dinov2s_gated_mlps_are_refused_by_name(names, tmp_path):
    reference = hugging_face("Dinov2Model", **NO_MLP, use_swiglu_ffn=True)
    reference.save_pretrained(tmp_path)
    if names == "of_today":
        saved(dict(reference.state_dict()), tmp_path / "model.safetensors")
    refused = reason(tmp_path)
    assert refused.error_id == "variant.gated" and refused.numbers["name"].startswith("encoder.layer.0.mlp.")


@pytest.mark.parametrize(("depths", "error"), [([2, 3], "missing"), ([2, 1], "left_over"), ([2, 2, 2], "lacks"),
                                               ([2, 99], "other_settings"), ("2, 2", "no_value")])
def test_a_swin_has_as_many_blocks_as_its_config_says(depths, error, tmp_path):
    hugging_face("SwinModel", **SWIN).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"depths": depths}))
    assert reason(tmp_path).error_id == f"checkpoint.{error}"
