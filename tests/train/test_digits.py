"""The digits' recipe: what is done to a digit, that it learns, and the weights that ship."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from tests.data.test_digits import write_digits
from tfsss.train.digits import RECIPE, jostle, normalise
from tfsss.train.recipe import ASSETS, load_exported


def test_a_jostled_digit_is_still_on_its_paper():
    pixels = np.zeros((200, 28, 28), np.uint8)
    pixels[:, 10:18, 12:16] = 255
    images = normalise(pixels)
    made = jostle(images, torch.Generator().manual_seed(0))
    paper = images.min()
    assert made.shape == images.shape and torch.allclose(made[:, :, 0], paper.expand(200, 1, 28))  # corners stay paper
    ink = (made - paper).sum(dim=(1, 2, 3)) / (images - paper).sum(dim=(1, 2, 3))
    assert (0.7 < ink).all() and (ink < 1.4).all() and len(ink.unique()) > 150
    columns = torch.arange(28.0)
    middles = ((made - paper).sum(dim=(1, 2)) * columns).sum(-1) / (made - paper).sum(dim=(1, 2, 3))
    assert (middles - 13.5).abs().max() < 4 and middles.std() > 0.5
    assert torch.equal(jostle(images, torch.Generator().manual_seed(0)), made)


def test_it_learns_bars(tmp_path):
    config = dataclasses.replace(RECIPE.config, embed_dim=24, depth=1, num_heads=3)
    plan = dataclasses.replace(RECIPE.plan, steps=150, batch_size=40, lr=1e-2, warmup=10, ema=0.9)
    trainer = dataclasses.replace(RECIPE, config=config).trainer(str(write_digits(tmp_path)), plan, tmp_path / "run")
    assert trainer.run()
    figures = trainer.task.figures(trainer.average)
    assert figures["test_top1"] > 0.8
    assert figures["test_top1"] == pytest.approx(np.mean([figures[f"test_top1_{digit}"] for digit in range(10)]))


FILE = ASSETS / f"{RECIPE.weights_id}.safetensors"


@pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there")
def test_the_shipped_weights_are_small_and_the_recipes():
    assert FILE.stat().st_size < 1e6
    assert load_exported(RECIPE, FILE).config == RECIPE.config
    figures, page = json.loads(FILE.with_suffix(".json").read_text())["figures"], FILE.with_suffix(".md").read_text()
    assert figures.pop("test_top1") >= 0.985
    assert all(f"{100 * figure:.1f} %" in page for figure in figures.values())
