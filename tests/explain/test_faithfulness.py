"""Deletion and insertion against loops, and on a model that is known to look at one patch only."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn

from tfsss.errors import InputError
from tfsss.explain.faithfulness import faithfulness
from tfsss.explain.inputs import FILLS, filled

LOOKED_AT = 5  # of the 4 x 4 patches


class OnePatch(nn.Module):
    """Class 1's logit is ten times the mean of patch 5; nothing else counts. Keeps the size of every batch."""

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(num_classes=2, patch_size=2)
        self.batches = []

    def grid_of(self, images: Tensor) -> tuple[int, int]:
        return images.shape[-2] // 2, images.shape[-1] // 2

    def forward(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        bright = images[:, :, 2:4, 2:4].mean(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(bright), 10 * bright], dim=-1)


@pytest.fixture
def spot() -> Tensor:
    """Dark, but for patch 5."""
    images = torch.zeros(1, 3, 8, 8)
    images[:, :, 2:4, 2:4] = 1
    return images


def first_and_last() -> dict[str, np.ndarray]:
    """An order that takes the patch first, and one that takes it last."""
    right = np.zeros((4, 4))
    right.flat[LOOKED_AT] = 1
    return {"right": right, "wrong": -right}


def probability(brightness: float) -> float:
    return 1 / (1 + math.exp(-10 * brightness))


def test_on_a_model_that_looks_at_one_patch_the_right_order_wins(spot):
    result = faithfulness(OnePatch(), spot, first_and_last(), generator=np.random.default_rng(0), class_index=1)
    present, absent = probability(1), probability(1 / 16)  # 1/16: the picture's mean
    assert_allclose(result.curves.deletion, [[present] + [absent] * 10, [present] * 10 + [absent]], atol=1e-6)
    assert_allclose(result.curves.insertion, [[absent] + [present] * 10, [absent] * 10 + [present]], atol=1e-6)
    right, wrong = result.curves.deletion_area
    assert right < result.chance.deletion_area.mean() < wrong
    right, wrong = result.curves.insertion_area
    assert right > result.chance.insertion_area.mean() > wrong
    assert result.methods == ("right", "wrong") and result.target == "class" and result.class_index == 1


def test_the_areas_are_under_the_curves(spot):
    result = faithfulness(OnePatch(), spot, first_and_last(), generator=np.random.default_rng(0), steps=7)
    assert_allclose(result.parts, [round(i * 16 / 7) / 16 for i in range(8)])
    for curves in (result.curves, result.chance):
        for scores, areas in ((curves.deletion, curves.deletion_area), (curves.insertion, curves.insertion_area)):
            for row, area in zip(scores.tolist(), areas, strict=True):
                by_hand = sum((row[i] + row[i + 1]) / 2 * (result.parts[i + 1] - result.parts[i]) for i in range(7))
                assert_allclose(area, by_hand, rtol=1e-5)


def in_loops(model, images: Tensor, order: list[int], taken: int, fill: str, class_index: int | None) -> float:
    """The score with the first `taken` patches of the order replaced, pixel by pixel."""
    side, (_, gx) = model.config.patch_size, model.grid_of(images)
    changed, replacement = images.clone(), filled(images, fill, side)
    for patch in order[:taken]:
        for y in range(patch // gx * side, patch // gx * side + side):
            for x in range(patch % gx * side, patch % gx * side + side):
                changed[0, :, y, x] = replacement[0, :, y, x]
    output = model(changed)[0].double()
    if class_index is not None:
        return (output.exp() / output.exp().sum())[class_index].item()
    original = model(images)[0].double()
    return (output @ original / (output.norm() * original.norm())).item()


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("classes", [5, 0])
def test_every_point_is_a_forward_of_a_changed_picture(mini, picture, fill, classes):
    model, images = mini(num_classes=classes), picture(24, 16)  # 3 x 2 patches
    values = np.array([[0.1, 0.9], [0.5, 0.9], [0.0, 0.3]])
    order = [1, 3, 2, 5, 0, 4]  # equal values row by row
    result = faithfulness(model, images, {"map": values}, fill=fill, steps=3, random_orders=2,
                          generator=np.random.default_rng(1))
    index = int(model(images).argmax()) if classes else None
    assert result.class_index == index and result.target == ("class" if classes else "cosine")
    assert_allclose(result.curves.deletion[0], [in_loops(model, images, order, taken, fill, index)
                                                for taken in (0, 2, 4, 6)], atol=1e-5)
    assert_allclose(result.curves.insertion[0], [in_loops(model, images, order[::-1], hidden, fill, index)
                                                 for hidden in (6, 4, 2, 0)], atol=1e-5)
    generator = np.random.default_rng(1)
    for row in range(2):
        random = generator.permutation(6).tolist()
        assert_allclose(result.chance.deletion[row], [in_loops(model, images, random, taken, fill, index)
                                                      for taken in (0, 2, 4, 6)], atol=1e-5)
        assert_array_equal(result.chance.insertion[row], result.chance.deletion[row, ::-1])


def test_no_picture_is_computed_twice(mini, picture):
    rng = np.random.default_rng(0)
    maps = {"a": rng.random(16), "b": rng.random(16)}
    done = []
    result = faithfulness(mini(), picture(), maps, steps=4, random_orders=3, generator=rng, batch=5,
                          progress=lambda now, total: done.append((now, total)))
    assert result.pictures == 2 + (2 * 2 + 3) * 3  # the two ends once; inside, chance serves both curves
    assert done == [(5, 23), (10, 23), (15, 23), (20, 23), (23, 23)]
    twice = faithfulness(mini(), picture(), {"a": maps["a"], "again": maps["a"]}, steps=4, random_orders=0,
                         generator=rng)
    assert twice.pictures == 2 + 2 * 3 and twice.chance.deletion.shape == (0, 5)
    assert_array_equal(twice.curves.deletion[0], twice.curves.deletion[1])


def test_the_batch_does_not_show_and_the_seed_decides(mini, picture):
    def run(batch, seed):
        return faithfulness(mini(), picture(), {"a": np.arange(16)}, generator=np.random.default_rng(seed), batch=batch)
    one, many, other = run(1, 0), run(64, 0), run(64, 1)
    assert_allclose(one.curves.deletion, many.curves.deletion, atol=1e-6)
    assert_allclose(one.chance.insertion, many.chance.insertion, atol=1e-6)
    assert_array_equal(many.curves.insertion, other.curves.insertion)
    assert np.abs(many.chance.deletion - other.chance.deletion).max() > 1e-3


def test_it_stops_when_told(spot):
    model = OnePatch()
    result = faithfulness(model, spot, first_and_last(), generator=np.random.default_rng(0), batch=2,
                          should_stop=lambda: len(model.batches) == 3)
    assert result is None and model.batches == [2, 2, 2]


def test_a_map_of_another_grid_is_refused(spot):
    with pytest.raises(ValueError, match="reshape"):
        faithfulness(OnePatch(), spot, {"map": np.zeros((3, 3))}, generator=np.random.default_rng(0))


@pytest.mark.parametrize("steps", [0, 17])
def test_steps_that_cannot_be_taken_are_said(spot, steps):
    with pytest.raises(InputError, match=f"16 patches .* {steps} steps"):
        faithfulness(OnePatch(), spot, {}, generator=np.random.default_rng(0), steps=steps)


def test_a_class_that_is_not_there_is_said(spot):
    with pytest.raises(InputError, match="no class 2"):
        faithfulness(OnePatch(), spot, {}, generator=np.random.default_rng(0), class_index=2)


def test_a_picture_that_patches_do_not_tile_is_said(spot):
    with pytest.raises(InputError, match="do not tile"):
        faithfulness(OnePatch(), spot[..., :7], {}, generator=np.random.default_rng(0))
