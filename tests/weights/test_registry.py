"""The registry, loading, the cache folder of each platform, and the command line."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tfsss.data.images import bundled, fit, load_image
from tfsss.errors import InputError
from tfsss.explain.inputs import normalise
from tfsss.models import swin, transformer
from tfsss.models.swin import SwinTransformer
from tfsss.models.transformer import Transformer
from tfsss.models.vit import VARIANTS, VisionTransformer
from tfsss.weights import REGISTRY, best, is_present, load, registry, untrained
from tfsss.weights.__main__ import main
from tfsss.weights.home import home


@pytest.fixture
def shipped(cache, tmp_path, monkeypatch):
    """A shelf of assets that holds one small trained model, in half precision, registered as the shipped one."""
    monkeypatch.setattr(registry, "ASSETS", tmp_path)
    model = VisionTransformer(VARIANTS["mini"])
    halves = {name: tensor.half() for name, tensor in model.state_dict().items()}
    save_file(halves, tmp_path / "vit_photos112.safetensors")
    config = {"img_size": 32, "patch_size": 8, "num_classes": 5, "embed_dim": 24, "depth": 2, "num_heads": 3}
    card = {"config": config, "classes": list("abcde"), "mean": [0.5] * 3, "std": [0.25] * 3, "input_size": 32,
            "steps": 7, "val_top1": 0.31}
    (tmp_path / "vit_photos112.json").write_text(json.dumps(card))
    monkeypatch.setitem(REGISTRY, "vit_photos112", registry.bundled_entry("vit_photos112"))
    return model


def test_a_shipped_entry_says_what_its_card_says(shipped):
    entry = REGISTRY["vit_photos112"]
    assert entry.kind == "bundled" and entry.config == VARIANTS["mini"] and entry.classes == tuple("abcde")
    assert (entry.mean, entry.std, entry.input_size) == ((0.5,) * 3, (0.25,) * 3, 32)
    assert entry.parameters == sum(p.numel() for p in shipped.parameters())
    assert entry.facts == {"steps": 7, "val_top1": 0.31}


def test_loading_gives_a_frozen_model_in_float32(shipped):
    loaded = load("vit_photos112")
    assert loaded.entry is REGISTRY["vit_photos112"] and not loaded.model.training
    for name, parameter in loaded.model.named_parameters():
        assert not parameter.requires_grad and parameter.dtype == torch.float32
        assert torch.equal(parameter, shipped.state_dict()[name].half().float())


@pytest.mark.parametrize("weights_id", ["vit_photos112", "swin_photos112", "convnext_photos112"])
def test_the_shipped_classifiers_take_the_dahlia_for_a_rose(weights_id):
    """There is no dahlia among their classes; a rose among 179 first five is no accident."""
    loaded = load(weights_id)
    flower = normalise(fit(load_image(bundled()["flower"]), 112, 112), loaded.entry)
    five = loaded.model(flower)[0].topk(5).indices.tolist()
    assert len(loaded.entry.classes) == 179 and "roses" in {loaded.entry.classes[one] for one in five}


def test_an_encoder_decoder_is_loaded_by_its_family(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "ASSETS", tmp_path)
    model = Transformer(transformer.VARIANTS["mini"])
    save_file({name: tensor.half() for name, tensor in model.state_dict().items()}, tmp_path / "strings.safetensors")
    card = {"config": dataclasses.asdict(model.config), "symbols": ["<pad>", "a"], "steps": 3}
    (tmp_path / "strings.json").write_text(json.dumps(card))
    monkeypatch.setitem(REGISTRY, "strings", registry.bundled_entry("strings"))
    loaded = load("strings")
    assert isinstance(loaded.model, Transformer) and loaded.entry.config == model.config
    assert torch.equal(loaded.model.head.weight, model.head.weight.half().float())
    assert best("transformer") == "strings" and loaded.entry.facts == {"symbols": ["<pad>", "a"], "steps": 3}
    assert loaded.entry.mean is None and loaded.entry.classes == () and "Vaswani" in loaded.entry.paper


def test_a_swin_is_loaded_by_its_family(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "ASSETS", tmp_path)
    model = SwinTransformer(swin.VARIANTS["mini"])
    save_file({name: tensor.half() for name, tensor in model.state_dict().items()},
              tmp_path / "swin_photos112.safetensors")
    card = {"config": dataclasses.asdict(model.config), "classes": list("abcde"), "mean": [0.5] * 3, "std": [0.25] * 3,
            "input_size": 32}
    (tmp_path / "swin_photos112.json").write_text(json.dumps(card))
    monkeypatch.setitem(REGISTRY, "swin_photos112", registry.bundled_entry("swin_photos112"))
    loaded = load("swin_photos112")
    assert isinstance(loaded.model, SwinTransformer) and loaded.entry.config == model.config  # lists became tuples
    assert best("swin") == "swin_photos112" and loaded.entry.weights == "trained" and loaded.entry.input_size == 32


def test_an_untrained_model_says_so_and_is_the_same_each_time():
    first, second = (untrained("swin", swin.VARIANTS["mini"], input_size=64) for _ in range(2))
    assert first.entry.weights == "random" and first.entry.input_size == 64
    assert torch.equal(first.model.head.weight, second.model.head.weight)
    assert not torch.equal(first.model.head.weight,
                           untrained("swin", swin.VARIANTS["mini"], input_size=64, seed=1).model.head.weight)
    assert not first.model.training and not any(p.requires_grad for p in first.model.parameters())


def test_the_best_is_the_real_one_once_it_is_here(shipped, monkeypatch):
    assert best("vit") == "vit_photos112"
    monkeypatch.setitem(REGISTRY, "vit_s14_dinov2", dataclasses.replace(REGISTRY["vit_s14_dinov2"], kind="bundled"))
    save_file({"x": torch.zeros(1)}, REGISTRY["vit_s14_dinov2"].path)
    assert best("vit") == "vit_s14_dinov2"


def test_without_any_weights_the_best_says_so(cache, monkeypatch):
    monkeypatch.delitem(REGISTRY, "vit_photos112", raising=False)
    with pytest.raises(InputError) as raised:
        best("vit")
    assert raised.value.error_id == "weights.none"


def test_weights_that_are_not_here_say_what_to_do(cache, monkeypatch):
    monkeypatch.delitem(REGISTRY, "vit_photos112", raising=False)
    reasons = {"vit_s14_dinov2": "not_fetched", "vit_photos112": "not_shipped", "resnet": "unknown"}
    for weights_id, name in reasons.items():
        assert not is_present(weights_id)
        with pytest.raises(InputError) as raised:
            load(weights_id)
        assert raised.value.error_id == f"weights.{name}" and raised.value.sentence("zh")


def test_dinov2_is_described_as_it_is():
    entry = REGISTRY["vit_s14_dinov2"]
    assert sum(p.numel() for p in VisionTransformer(entry.config).parameters()) == entry.parameters
    assert entry.input_size % entry.config.patch_size == 0


@pytest.mark.parametrize(("platform", "variables", "expected"), [
    ("linux", {}, "~/.cache/tfsss"),
    ("linux", {"XDG_CACHE_HOME": "/x/cache"}, "/x/cache/tfsss"),
    ("darwin", {}, "~/Library/Caches/tfsss"),
    ("win32", {"LOCALAPPDATA": "/x/Local"}, "/x/Local/tfsss"),
    ("win32", {}, "~/AppData/Local/tfsss"),
    ("linux", {"TFSSS_HOME": "/x/chosen"}, "/x/chosen"),
    ("darwin", {"TFSSS_HOME": "~/chosen"}, "~/chosen"),
])
def test_the_cache_folder_of_each_platform(monkeypatch, platform, variables, expected):
    for name in ("TFSSS_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert home() == Path(expected).expanduser().absolute()


def test_the_command_line_lists_gets_and_finds(small, capsys):
    assert main(["list"]) == 0
    assert "small" in capsys.readouterr().out
    assert main(["path", "small"]) == 1
    assert main(["get", "small"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(small.path)
    assert main(["path", "small"]) == 0
    assert capsys.readouterr().out.strip() == str(small.path)


def test_the_command_line_explains_in_both_languages(cache, capsys):
    assert main(["get", "resnet"]) == 1
    said = capsys.readouterr().err
    assert "There are no weights called resnet" in said and "没有名为 resnet 的权重" in said
