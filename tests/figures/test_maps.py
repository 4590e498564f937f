"""Pictures are decoded again and compared with the numbers they were made from."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays
from PIL import Image

from tfsss.errors import InputError
from tfsss.figures import maps, overlay, scales
from tfsss.figures.bitmap import from_bitmap, to_bitmap
from tfsss.figures.color import HATCH


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


def test_one_value_one_pixel():
    values = np.array([[0.0, 0.5, 1.0], [0.25, 2.0, -1.0]])
    pixels = np.asarray(opened(maps.palette_png(values, vmax=1.0)).convert("RGB"))
    table = scales.sample("viridis", maps.LEVELS)
    expected = [[0, 126, 252], [63, 252, 0]]  # outside the range: the ends
    assert np.array_equal(pixels, table[expected])


def test_signed_is_symmetric_about_zero():
    values = np.array([[-3.0, 0.0, 3.0]])
    entries = np.asarray(opened(maps.palette_png(values, scale="signed")))
    assert entries.tolist() == [[0, 126, 252]]
    assert scales.lut("signed")[127].min() > 235


def test_blocked_is_not_zero():
    values, allowed = np.array([[0.0, 1.0]]), np.array([[True, False]])
    pixels = np.asarray(opened(maps.palette_png(values, allowed=allowed, zoom=4)).convert("RGB"))
    assert np.array_equal(pixels[0, 0], scales.lut("viridis")[0])
    assert {tuple(pixel) for pixel in pixels[:, 4:].reshape(-1, 3).tolist()} == set(HATCH)


def test_the_range_leaves_blocked_cells_out():
    assert scales.top(np.array([1.0, 9.0, -2.0]), np.array([True, False, True])) == 2
    assert scales.top(np.zeros(3)) == 1


def test_montage_is_the_maps_with_transparent_gaps():
    panels = np.random.default_rng(0).random((2, 3, 5, 7))
    sheet = opened(maps.montage(panels, gap=2))
    assert sheet.size == (3 * 7 + 2 * 2, 2 * 5 + 2)
    entries = np.asarray(sheet)
    for y in range(entries.shape[0]):
        for x in range(entries.shape[1]):
            cell = maps.montage_cell(y, x, rows=5, columns=7, gap=2)
            if cell is None:
                assert entries[y, x] == maps.GAP
            else:
                value = panels[cell][y % 7, x % 9]
                assert entries[y, x] == round(value / panels.max() * 252)
    assert np.asarray(sheet.convert("RGBA"))[0, 7, 3] == 0


def test_nan_counts_as_zero():
    assert scales.levels(np.array([np.nan]), scale="viridis", vmax=1, count=256) == 0
    assert scales.levels(np.array([np.nan]), scale="signed", vmax=1, count=253) == 126


def test_scale_bar_holds_every_step():
    assert np.asarray(opened(maps.scale_bar()))[0].tolist() == list(range(maps.LEVELS))


def test_overlay_shows_each_cell_over_its_part_of_the_picture():
    grey = np.full((60, 90, 3), 128, np.uint8)
    values = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    pixels = np.asarray(Image.open(BytesIO(overlay.overlay_jpeg(grey, values, strength=1))))
    table = scales.lut("viridis")
    assert np.abs(pixels[15, 45].astype(int) - table[255]).max() < 12
    assert np.abs(pixels[45, 45].astype(int) - table[0]).max() < 12
    untouched = np.asarray(Image.open(BytesIO(overlay.overlay_jpeg(grey, values, strength=0))))
    assert np.abs(untouched.astype(int) - 128).max() < 3


@pytest.mark.parametrize("shape", [(448, 448), (3000, 150), (1, 1)])
def test_jpeg_keeps_its_word(shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    kept = overlay.jpeg(noise, max_side=512, max_bytes=24_000)
    assert len(kept) <= 24_000
    assert max(Image.open(BytesIO(kept)).size) <= 512


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20)))
def test_bitmap_goes_there_and_back(cells):
    text = to_bitmap(cells)
    assert np.array_equal(from_bitmap(text, cells.shape), cells)
    assert len(text) <= cells.size / 6 + 2
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)


@given(some.text(min_size=1, max_size=40))
def test_a_mistyped_bitmap_is_a_sentence_or_a_set(text):
    try:
        assert from_bitmap(text, (14, 14)).shape == (14, 14)
    except InputError as error:
        assert "196" in str(error) and "196" in error.sentence("zh")
