"""Swin's recipe: what half-size pictures do to its maps, and the weights that ship."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from tests.train.test_recipe import plan_of
from tfsss.probe import capture
from tfsss.train.recipe import ASSETS, load_exported
from tfsss.train.swin import RECIPE

FILE = ASSETS / f"{RECIPE.weights_id}.safetensors"


@pytest.mark.parametrize(("side", "maps"), [(56, (14, 7, 4)), (112, (28, 14, 7))])
def test_maps_at_both_sizes(side, maps):
    model = RECIPE.model(RECIPE.config).eval()
    with capture(model, "layers.*.output", "layers.*.blocks.1.rolled", "layers.*.blocks.1.attn.weights") as seen:
        assert model(torch.zeros(1, 3, side, side)).shape == (1, 179)
    assert tuple(seen[f"layers.{stage}.output"].shape[1] for stage in range(3)) == maps
    for stage, grid in enumerate(maps):
        assert seen[f"layers.{stage}.blocks.1.rolled"].shape[1] == max(7, grid)  # a map of 4 is padded to one window
        assert len(seen[f"layers.{stage}.blocks.1.attn.weights"]) == max(1, grid // 7) ** 2


def test_half_size_teaches_the_last_stage_only_some_offsets():
    model = RECIPE.model(RECIPE.config)
    images = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    torch.nn.functional.cross_entropy(model(images), torch.tensor([3, 5])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    tables = [model.layers[stage].blocks[0].attn.relative_position_bias_table.grad for stage in range(3)]
    untouched = [int((table == 0).all(dim=1).sum()) for table in tables]
    assert untouched[:2] == [0, 0] and untouched[2] > 0  # the last stage's 4 x 4 never look 4 rows back


@pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there")
def test_the_shipped_weights_are_the_recipes():
    card = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["config"] == json.loads(json.dumps(dataclasses.asdict(RECIPE.config)))
    assert plan_of(card) == RECIPE.plan
    assert len(card["classes"]) == RECIPE.config.num_classes and card["figures"]["val_top1"] >= 0.3
    assert abs(card["figures"]["val_top1"] - card["float32"]["val_top1"]) <= 0.002  # half precision does not show
    assert load_exported(RECIPE, FILE).config == RECIPE.config
    page = FILE.with_suffix(".md").read_text(encoding="utf-8")
    for figure in card["figures"].values():
        assert f"{100 * figure:.1f} %" in page
