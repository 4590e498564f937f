"""The two fills, against what they are defined by."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from tfsss.data.inpainting import harmonic_filled, mean_filled


def test_the_mean_is_that_of_the_visible_pixels():
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    removed = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    removed[0, :, 2:5] = True
    removed[1] = True
    filled = mean_filled(images, removed)
    kept = torch.cat([images[0, :, :2], images[0, :, 5:]], dim=1).flatten(1)
    assert_close(filled[0, :, 3, 3], kept.mean(dim=1))
    assert torch.equal(filled[0, :, :2], images[0, :, :2]) and not filled[1].any()


def test_a_ramp_is_harmonic():
    ramp = torch.linspace(0, 1, 16).expand(1, 3, 16, 16)
    removed = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    removed[..., 3:13, 2:14] = True
    assert_close(harmonic_filled(ramp, removed, tolerance=1e-6), ramp, atol=1e-4, rtol=0)


def test_every_removed_pixel_is_the_mean_of_its_neighbours():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 24, 24, generator=generator)
    removed = (torch.rand(2, 1, 3, 3, generator=generator) < 0.7).repeat_interleave(8, 2).repeat_interleave(8, 3)
    filled = harmonic_filled(images, removed, tolerance=1e-6)
    padded = torch.nn.functional.pad(filled, [1] * 4, mode="replicate")
    mean = (padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]) / 4
    where = removed.expand_as(images)
    assert_close(filled[where], mean[where], atol=1e-3, rtol=0)
    assert torch.equal(filled[~where], images[~where])


def test_nothing_left_to_start_from():
    images = torch.randn(1, 3, 8, 8)
    assert not harmonic_filled(images, torch.ones(1, 1, 8, 8, dtype=torch.bool)).any()
