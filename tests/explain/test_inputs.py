"""Normalisation and fills against loops."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from tfsss.explain.inputs import FILLS, filled, normalise

ENTRY = SimpleNamespace(mean=(0.5, 0.25, 0.125), std=(0.5, 2.0, 0.25))


def test_normalise_is_channel_by_channel():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    images = normalise(pixels, ENTRY)
    assert images.shape == (1, 3, 3, 5) and images.dtype == torch.float32
    for y, x, channel in np.ndindex(3, 5, 3):
        expected = (int(pixels[y, x, channel]) / 255 - ENTRY.mean[channel]) / ENTRY.std[channel]
        assert_allclose(images[0, channel, y, x], expected, atol=1e-6)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_normalise_takes_pixels_only(pixels):
    with pytest.raises(ValueError, match="uint8"):
        normalise(pixels, ENTRY)


def test_mean_is_the_pictures_own_colour():
    images = torch.rand(2, 3, 4, 6, dtype=torch.float64)
    result = filled(images, "mean", 2)
    for b, channel in np.ndindex(2, 3):
        colour = sum(images[b, channel].flatten().tolist()) / 24
        assert_allclose(result[b, channel], np.full((4, 6), colour))


def test_blur_is_a_gaussian_one_patch_wide():
    images = torch.rand(2, 3, 7, 9, dtype=torch.float64)
    result = filled(images, "blur", 2)
    reach = range(-6, 7)
    weights = {(dy, dx): math.exp(-(dy * dy + dx * dx) / (2 * 2**2)) for dy in reach for dx in reach}
    for y, x in ((0, 0), (3, 4), (6, 8), (2, 8)):
        expected = sum(weight * images[1, 2, min(max(y + dy, 0), 6), min(max(x + dx, 0), 8)].item()
                       for (dy, dx), weight in weights.items()) / sum(weights.values())
        assert_allclose(result[1, 2, y, x], expected)


@pytest.mark.parametrize("fill", FILLS)
def test_fills_commute_with_normalisation(fill):
    images = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    assert_allclose(filled(images * 3 - 1, fill, 4), filled(images, fill, 4) * 3 - 1)
