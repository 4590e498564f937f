"""The command line from pixels to a file in assets/weights, and what comes back out of that file."""

from __future__ import annotations

import dataclasses
import json
import runpy
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.data.test_photos import BLUE, GREEN, GREY, RED, write_pack
from tfsss.models.vit import ViTConfig
from tfsss.train.__main__ import RECIPES, arguments, main
from tfsss.train.engine import Plan
from tfsss.train.recipe import ASSETS, load_exported

ROOT = Path(__file__).parents[2]
COLOURS = [(RED, "red", 0), (GREEN, "green", 1), (BLUE, "blue", 2), (GREY, "grey", 3)]


def plan_of(card) -> Plan:
    """The plan in a model card; fields that came later have the value with which they change nothing."""
    return Plan(**card["plan"] | {"betas": tuple(card["plan"]["betas"])})


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The ViT's recipe, with a model and a plan for four flat colours of 16 x 16 pixels."""
    write_pack(tmp_path, [(colour, label, number, "paint", split) for colour, label, number in COLOURS
                          for split in ("train", "train", "val")])
    module = import_module("tfsss.train.vit")
    augmentation = dataclasses.replace(module.RECIPE.task.keywords["augmentation"], sizes=((0, 8), (30, 16)))
    task = partial(module.RECIPE.task, augmentation=augmentation)
    recipe = dataclasses.replace(
        module.RECIPE, config=ViTConfig(img_size=16, patch_size=8, num_classes=4, embed_dim=12, depth=1, num_heads=3),
        plan=dataclasses.replace(module.RECIPE.plan, steps=60, batch_size=8, lr=0.01, warmup=5, ema=0.9), task=task)
    monkeypatch.setattr(module, "RECIPE", recipe)
    return recipe


def test_train_export_evaluate(tiny, tmp_path, capsys):
    where = ["--data", str(tmp_path), "--out", str(tmp_path / "run"), "--weights", str(tmp_path / "weights")]
    main(arguments(["vit", *where]))
    assert "complete" in capsys.readouterr().out
    main(arguments(["vit", "export", *where]))
    exported = capsys.readouterr().out
    main(arguments(["vit", "evaluate", *where]))
    assert capsys.readouterr().out == exported and "val_top1_paint" in exported

    file = tmp_path / "weights" / "vit_photos112.safetensors"
    card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["classes"] == ["red", "green", "blue", "grey"] and card["input_size"] == 16
    assert card["steps"] == 60 and card["examples_seen"] == 480 and card["figures"]["val_top1"] == 1.0

    average = tiny.trainer(str(tmp_path), tiny.plan, tmp_path / "run").average.state_dict()
    model = load_exported(tiny, file)
    for name, value in load_file(file).items():
        assert value.dtype == torch.float16 and torch.equal(value, average[name].half())
        assert torch.equal(model.state_dict()[name], value.float())
    assert not model.training and not any(value.requires_grad for value in model.parameters())


def test_a_run_can_begin_with_exported_weights(tiny, tmp_path):
    where = ["--data", str(tmp_path), "--weights", str(tmp_path / "weights")]
    main(arguments(["vit", *where, "--out", str(tmp_path / "run")]))
    main(arguments(["vit", "export", *where, "--out", str(tmp_path / "run")]))
    file = tmp_path / "weights" / "vit_photos112.safetensors"
    begun = tiny.trainer(str(tmp_path), tiny.plan, tmp_path / "more", start=file)
    random = tiny.trainer(str(tmp_path), tiny.plan, tmp_path / "random")
    assert begun.step == 0 and begun.task.evaluate(begun.average)["val_top1"] == 1.0
    exported = load_file(file)
    assert all(torch.equal(value, exported[name].float()) for name, value in begun.model.state_dict().items())
    assert not any(torch.equal(value, exported[name].float()) for name, value in random.model.state_dict().items()
                   if name.endswith("qkv.weight"))


def test_no_data_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("TFSSS_DATA", raising=False)
    monkeypatch.delitem(sys.modules, "tfsss.train.__main__")  # imported above; here it is run
    monkeypatch.setattr(sys, "argv", ["tfsss.train", "vit", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="^No data folder is given."):
        runpy.run_module("tfsss.train", run_name="__main__")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_hold_together(name):
    recipe = import_module(f"tfsss.train.{name}").RECIPE
    assert recipe.plan.warmup < recipe.plan.steps
    assert dataclasses.is_dataclass(recipe.config)
    if (ASSETS / f"{recipe.weights_id}.safetensors").exists():
        assert recipe.weights_id in (ROOT / "assets" / "NOTICE").read_text(encoding="utf-8")


def test_shipped_vit_is_the_recipes():
    recipe = import_module("tfsss.train.vit").RECIPE
    file = ASSETS / "vit_photos112.safetensors"
    card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["config"] == dataclasses.asdict(recipe.config) and len(card["classes"]) == recipe.config.num_classes
    assert plan_of(card) == recipe.plan
    assert card["steps"] == recipe.plan.steps and card["figures"]["val_top1"] >= 0.3
    assert abs(card["figures"]["val_top1"] - card["float32"]["val_top1"]) <= 0.001  # half precision does not show
    assert file.stat().st_size < 6e6
    load_exported(recipe, file)
    page = file.with_suffix(".md").read_text(encoding="utf-8")
    for figure in card["figures"].values():
        assert f"{100 * figure:.1f} %" in page
