"""Pictures of patches: every pixel lies where the numbers say."""

from __future__ import annotations

import math
import re
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tfsss.figures import patches as draw
from tfsss.figures.costs import cost_svg
from tfsss.figures.scales import lut


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGBA"))


def test_a_strip_reads_like_text_with_its_channels_marked():
    values = np.linspace(-1, 1, 12)
    picture = opened(draw.strip(values, columns=4, vmax=1.0, channels=np.arange(12) % 3, size=(40, 60)))
    rows = picture.reshape(3, picture.shape[0] // 3, 4, 10, 4)
    assert (rows[0, 10, 0, :, :3] == lut("signed")[0]).all() and (rows[2, 10, 3, :, :3] == lut("signed")[255]).all()
    assert rows[1, 0, 2, 0, :3].tolist() == list(draw.CHANNELS[6 % 3])
    assert (rows[:, -1, :, :, 3] == 0).all()
    short = opened(draw.strip(values[:10], columns=4, vmax=1.0, size=(40, 60)))
    assert (short[-5, 20:, 3] == 0).all()  # nothing where the vector has ended


@pytest.mark.parametrize("patch_size", range(1, 57))
def test_a_line_of_a_strip_holds_an_even_part_of_a_channel(patch_size):
    assert patch_size**2 % draw.line_length(patch_size) == 0 and draw.line_length(patch_size) <= 256


def test_tiles_keep_their_order_and_gaps_are_clear():
    pictures = np.random.default_rng(0).random((6, 4, 4, 3))
    picture = opened(draw.color_tiles(pictures, across=3, zoom=2, gap=1))
    assert picture.shape == (17, 26, 4)
    np.testing.assert_array_equal(picture[9:17:2, 9:17:2, :3], np.round(pictures[4] * 255))
    assert (picture[8, :, 3] == 0).all() and (picture[:, 8, 3] == 0).all()


def test_the_chosen_patch_is_outlined_where_it_is_even_if_patches_overlap():
    pixels = np.full((16, 24, 3), 90, np.uint8)
    boxes = np.array([[x, y, x + 8, y + 8] for y in (0, 4, 8) for x in range(0, 17, 4)])
    picture = opened(draw.numbered(pixels, boxes, chosen=6, side=480))
    blue = (picture[..., :3] == (0, 114, 178)).all(axis=-1)
    rows, columns = np.flatnonzero(blue.any(axis=1)), np.flatnonzero(blue.any(axis=0))
    assert [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] == (boxes[6] * 20).tolist()


def test_a_table_without_vectors_is_hatched_there():
    colours = np.full((2, 3, 3), 0.5)
    colours[1, 2] = np.nan
    picture = opened(draw.color_grid(colours, side=60))
    assert (picture[:20, :, :3] == 128).all() and len(np.unique(picture[20:, 40:, 0])) == 2


@pytest.mark.parametrize("patches", [5, 300])
def test_the_line_of_tokens_shows_the_first_and_the_last(patches):
    pixels = np.zeros((8, 8 * patches, 3), np.uint8)
    pixels[:, 8:16] = 200
    pixels[:, -8:] = (10, 250, 10)
    boxes = np.array([[8 * number, 0, 8 * number + 8, 8] for number in range(patches)])
    picture = opened(draw.token_line(pixels, boxes, ["cls"], side=30))[..., :3]
    assert (picture[5:25, 34 * 2 + 5:34 * 2 + 25] == 200).all()  # class token, patch 0, patch 1
    assert (picture == (10, 250, 10)).all(axis=-1).sum() == 900


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_costs_are_straight_on_two_logarithmic_axes(theme):
    sizes = np.array([4, 8, 16, 32])
    svg = cost_svg(sizes, {"a<b": sizes**-2.0, "c": sizes**-4.0}, here=(8, {"a<b": 0.1, "c": 1e-3}), here_name="here",
                   x_title="x", y_title="y", theme=theme)
    root = ElementTree.fromstring(svg)
    assert "a&lt;b" in svg
    drawn = [node.get("d") for node in root.iter("{http://www.w3.org/2000/svg}path")]
    first = next(path for path in drawn if path.count("L") == 3)
    points = np.array([[float(number) for number in point] for point in re.findall(r"([\d.]+) ([\d.]+)", first)])
    assert np.ptp(np.diff(points, axis=0), axis=0) == pytest.approx([0, 0], abs=0.21)
    assert not math.isnan(points.sum())
