"""Augmentation keeps what it should keep, and the figures count what they say they count."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tfsss.data.photos import Photos
from tfsss.train.classify import Augmentation, Classification, correct, crop_and_flip, jitter_colour, normalise
from tfsss.train.engine import Plan


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def coloured(count: int = 12, side: int = 16) -> Photos:
    """Every third picture red, green, blue; class = colour; two sources."""
    pixels = np.zeros((count, side, side, 3), np.uint8)
    targets = np.arange(count) % 3
    for picture, channel in zip(pixels, targets, strict=True):
        picture[..., channel] = 255
    sources = np.array(["odd" if row % 2 else "even" for row in range(count)])
    return Photos(pixels=pixels, targets=targets, sources=sources, classes=("red", "green", "blue"))


class BrightestChannel(nn.Module):
    """Scores = the mean of each channel; right for every picture of `coloured`."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(3))

    def forward(self, images):
        return images.mean(dim=(2, 3)) * self.factor


def test_normalise_is_imagenets():
    images = normalise(np.full((1, 2, 2, 3), 255, np.uint8))
    assert images.shape == (1, 3, 2, 2)
    assert torch.allclose(images[0, :, 0, 0], torch.tensor([2.2489, 2.4286, 2.6400]), atol=1e-4)


def test_a_crop_is_a_part_of_its_own_picture():
    ramp = torch.linspace(0, 1, 32).expand(64, 1, 32, 32)  # brightness = column
    crops = crop_and_flip(ramp, 0.25, generator())
    assert crops.shape == ramp.shape and crops.min() >= 0 and crops.max() <= 1
    assert (crops - crops[:, :, :1]).abs().max() < 1e-5  # rows alike, so nothing is turned
    slopes = crops[:, 0, 0, 16] - crops[:, 0, 0, 15]
    assert 16 < (slopes < 0).sum() < 48  # about half are mirrored
    assert (slopes.abs() <= 1.01 / 31).all() and (slopes.abs() > 0.4 / 31).all()  # enlarged, up to about twice
    assert len({round(row.mean().item(), 4) for row in crops}) > 50  # each its own


def test_crops_come_from_the_generator_alone():
    images = torch.rand(4, 3, 16, 16, generator=generator(1))
    assert torch.equal(crop_and_flip(images, 0.5, generator(2)), crop_and_flip(images, 0.5, generator(2)))
    assert not torch.equal(crop_and_flip(images, 0.5, generator(2)), crop_and_flip(images, 0.5, generator(3)))


def test_colour_jitter_keeps_shapes_in_place():
    images = torch.rand(8, 3, 16, 16, generator=generator())
    assert torch.allclose(jitter_colour(images, 0, generator()), images, atol=1e-6)
    changed = jitter_colour(images, 0.3, generator())
    for before, after in zip(images, changed, strict=True):
        grey = torch.stack([before.mean(dim=0).flatten(), after.mean(dim=0).flatten()])
        assert torch.corrcoef(grey)[0, 1] > 0.999  # contrast and brightness are the same everywhere
    assert (changed.mean(dim=(1, 2, 3)) - images.mean(dim=(1, 2, 3))).abs().max() <= 0.3


def test_pictures_grow_when_the_recipe_says():
    plan = Plan(steps=10, batch_size=4, lr=1, warmup=1)
    task = Classification(coloured(), coloured(), plan, Augmentation(sizes=((0, 8), (6, 16))))
    sides = [task.batch(step, generator())[0].shape[-1] for step in (0, 5, 6, 9)]
    assert sides == [8, 8, 16, 16]
    images, targets = task.batch(0, generator())
    assert (images.mean(dim=(2, 3)).argmax(dim=-1) == targets).all()  # a picture keeps its own label


def test_figures_are_shares_of_right_answers():
    photos = coloured()
    task = Classification(photos, photos, Plan(steps=1, batch_size=1, lr=1, warmup=1), Augmentation())
    model = BrightestChannel()
    assert correct(model, photos, batch_size=5).all() and task.evaluate(model) == {"val_top1": 1.0}
    photos.targets[1] = 0  # one of the six odd ones is now called wrong
    assert task.figures(model) == {"val_top1": 11 / 12, "val_top1_even": 1.0, "val_top1_odd": 5 / 6}
    assert task.card()["classes"] == ("red", "green", "blue") and task.card()["input_size"] == 16
