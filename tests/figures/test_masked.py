"""Hatched pictures, signed colours, and sheets that say what they show."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from tfsss.figures.color import HATCH
from tfsss.figures.masked import hatched, named_sheet, pair, signed_colours, small_png


def test_removed_patches_are_hatched_and_the_others_are_themselves():
    pixels = np.random.default_rng(0).integers(0, 100, (16, 24, 3), np.uint8)
    mask = np.array([[True, False, False], [False, False, True]])
    made = hatched(pixels, mask, zoom=2)
    assert made.shape == (32, 48, 3)
    assert {tuple(color) for color in made[:16, :16].reshape(-1, 3).tolist()} == set(HATCH)
    assert {tuple(color) for color in made[16:, 32:].reshape(-1, 3).tolist()} == set(HATCH)
    np.testing.assert_array_equal(made[16:, :32:], pixels.repeat(2, 0).repeat(2, 1)[16:, :32])


def test_zero_is_middle_grey_and_the_ends_are_the_ends():
    assert signed_colours(np.array([-9.0, -2.0, 0.0, 2.0, 9.0]), vmax=2).tolist() == [0, 0, 128, 255, 255]


def test_a_sheet_has_a_place_for_every_picture_and_says_untrained():
    rows = [[("a", np.zeros((4, 4, 3), np.uint8)), ("b", np.full((4, 4, 3), 255, np.uint8))],
            [("c", np.zeros((2, 4, 3), np.uint8))]]
    plain, warned = (Image.open(BytesIO(named_sheet(rows, side=40, untrained=untrained))) for untrained in (False, True))
    assert plain.width == warned.width == 8 + 2 * 48 and warned.height == plain.height + 20
    first = np.asarray(plain)[4 + 20:4 + 20 + 40, 8:48]
    assert not first.any()
    reddish = np.asarray(warned).astype(int)
    assert (reddish[:24, :, 0] - reddish[:24, :, 1] > 100).any()


def test_a_pair_stands_side_by_side():
    left, right = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 200, np.uint8)
    made = np.asarray(Image.open(BytesIO(pair(left, right, gap=8, ground="#FFFFFF"))))
    assert made.shape == (32, 72, 3)
    assert made[:, :28].max() < 20 and abs(int(made[16, 60, 0]) - 200) < 5
    labelled = np.asarray(Image.open(BytesIO(pair(left, right, gap=8, ground="#FFFFFF", label="untrained"))))
    assert (labelled != made).any() and labelled[:, :28].max() < 20


def test_small_pictures_are_kept_exactly():
    pixels = np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(small_png(pixels)))), pixels)
