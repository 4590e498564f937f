"""The recipe of the masked autoencoder, on a handful of made-up pictures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tfsss.data.photos import Photos
from tfsss.layers.masking import shuffle_by
from tfsss.models.mae import VARIANTS, MaskedAutoencoder
from tfsss.train.classify import normalise
from tfsss.train.engine import Trainer
from tfsss.train.mae import (
    RECIPE, SEAMS, VISIBLE, Guessing, lattice, measured, pixel_mask, raw, seam_error,
)
from tfsss.train.recipe import ASSETS, load_exported

CONFIG = VARIANTS["mini"]
FILE = ASSETS / f"{RECIPE.weights_id}.safetensors"


@pytest.fixture
def photos() -> Photos:
    """Twelve smooth pictures of one colour gradient each."""
    ends = np.random.default_rng(0).uniform(0, 255, (2, 12, 1, 1, 3))
    ramp = np.linspace(0, 1, 32)[None, :, None, None] + np.zeros((12, 32, 32, 3))
    pixels = (ends[0] * ramp + ends[1] * (1 - ramp)).astype(np.uint8)
    return Photos(pixels=pixels, targets=np.zeros(12, np.int64), sources=np.array(["a", "b", "b"] * 4), classes=("x",))


def test_a_short_run_learns_and_goes_on_from_its_checkpoint(photos, tmp_path):
    plan = replace(RECIPE.plan, steps=12, batch_size=6, warmup=2, evaluate_every=6, save_every=6)

    def trainer(folder):
        torch.manual_seed(0)
        return Trainer(MaskedAutoencoder(CONFIG), Guessing(photos, photos, plan, CONFIG), plan, tmp_path / folder)

    whole = trainer("whole")
    before = float(measured(whole.model, photos.pixels)["model"].mean())
    whole.run()
    assert whole.evaluate()["val_masked_mse"] < before
    broken = trainer("broken")
    for _ in range(6):
        broken.train_step()
    broken.save()
    again = trainer("broken")
    again.run()
    for name, value in whole.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name


def test_batches_are_flipped_pictures_and_fresh_noise(photos):
    task = Guessing(photos, photos, replace(RECIPE.plan, batch_size=12), CONFIG)
    images, noise = task.batch(0, torch.Generator().manual_seed(0))
    later = task.batch(1, torch.Generator().manual_seed(1))[1]
    assert noise.shape == (12, 16) and not torch.equal(noise, later)
    known = normalise(photos.pixels)
    assert all(any(torch.equal(image, one) or torch.equal(image.flip(-1), one) for one in known) for image in images)


@torch.no_grad()
def test_the_figures_by_hand(photos):
    torch.manual_seed(0)
    model = MaskedAutoencoder(CONFIG).eval()
    task = Guessing(photos, photos, RECIPE.plan, CONFIG)
    figures = task.figures(model)
    noise = torch.rand(12, 16, generator=torch.Generator().manual_seed(0))
    images, mask = normalise(photos.pixels), shuffle_by(noise, 4).mask
    removed = pixel_mask(mask, CONFIG)
    errors = {"model": [], "mean": []}
    for image, gone, row in zip(images, removed.expand_as(images), range(12), strict=True):
        kept = image[:, ~gone[0]].mean(dim=1)
        errors["mean"].append(float((kept[:, None] - image[:, gone[0]]).square().mean()))
        errors["model"].append(float(model(image[None], noise[row:row + 1]).loss))
    for name, values in errors.items():
        values = np.array(values)
        assert figures[f"{name}_all"] == pytest.approx(values.mean(), rel=1e-4)
        assert figures[f"{name}_a"] == pytest.approx(values[::3].mean(), rel=1e-4)
    assert figures["harmonic_all"] < figures["mean_all"]  # the pictures are smooth
    assert task.card()["pictures_measured"] == {"all": 12, "a": 4, "b": 8}


def test_a_lattice_is_seen():
    ramp = torch.arange(32.0).expand(1, 3, 32, 32)
    assert lattice(ramp + ramp.mT, 8).item() == pytest.approx(1)
    steps = (torch.arange(32) // 8 * 4.0).expand(1, 3, 32, 32)
    assert lattice(ramp + ramp.mT + steps + steps.mT, 8).item() == pytest.approx(5)


def test_the_seam_error_sees_steps_at_borders_and_nothing_else():
    targets = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert seam_error(targets + 5, targets, 8).item() == pytest.approx(0)  # as steep as it should be
    inside = targets.clone()
    inside[..., 3, 3] += 1
    assert seam_error(inside, targets, 8).item() == pytest.approx(0)
    tiles = (torch.arange(32) // 8 % 2 * 2.0).expand(2, 3, 32, 32)  # a step of 2 at each border between columns
    assert seam_error(targets + tiles, targets, 8).item() == pytest.approx(2.0)  # 4 there, 0 between rows


def test_the_loss_is_the_papers_and_its_two_parts(photos):
    torch.manual_seed(0)
    model = MaskedAutoencoder(CONFIG).eval()
    task = Guessing(photos, photos, RECIPE.plan, CONFIG)
    images, noise = normalise(photos.pixels), torch.rand(12, 16, generator=torch.Generator().manual_seed(2))
    made = model(images, noise)
    visible = made.errors[made.shuffle.mask == 0].mean()
    seams = seam_error(raw(made, CONFIG), images, CONFIG.patch_size)
    expected = made.loss + VISIBLE * visible + SEAMS * seams
    assert task.loss(model, images, noise).item() == pytest.approx(expected.item(), rel=1e-5)
    assert raw(made, CONFIG).shape == images.shape and visible > 0 and seams > 0


def test_the_recipe_is_the_one_of_the_card():
    model = MaskedAutoencoder(RECIPE.config)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_414_528
    assert (RECIPE.config.mask_ratio, RECIPE.config.norm_pix_loss, RECIPE.config.loss_on) == (0.75, False, "masked")


@pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not there")
def test_the_shipped_weights_have_a_card_that_says_what_was_measured():
    card = json.loads(FILE.with_suffix(".json").read_text(encoding="utf-8"))
    figures, page = card["figures"], FILE.with_suffix(".md").read_text(encoding="utf-8")
    assert load_exported(RECIPE, FILE).config == RECIPE.config
    assert figures["model_all"] <= 0.8 * figures["harmonic_all"] and figures["model_all"] <= 0.5 * figures["mean_all"]
    assert abs(figures["model_all"] - card["float32"]["model_all"]) < 1e-3  # half precision does not show
    for source, count in card["pictures_measured"].items():
        name = "**all**" if source == "all" else source
        errors = " | ".join(f"{figures[f'{kind}_{source}']:.3f}" for kind in ("model", "mean", "harmonic"))
        assert f"| {name} | {count:,} | {errors} |" in page
