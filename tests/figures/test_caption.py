"""The words under a picture that is taken away."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tfsss.figures.caption import EDGE, LEAST_WIDTH, LINE, SIZE, captioned, lines_of
from tfsss.figures.numbers import GROUND, font

WORDS = "Text · Attention · MiniLM · Layer: 5 · Head: 11 · Text: The animal didn't cross the street because it was tired."
CHINESE = "文本 · 注意力 · 层：5 · 头：11 · 文本：那只动物没有过马路，因为它太累了，而不是因为马路太宽。" * 2


def png(pixels: np.ndarray) -> bytes:
    kept = BytesIO()
    Image.fromarray(pixels).save(kept, "PNG")
    return kept.getvalue()


@pytest.mark.parametrize("words", [WORDS, CHINESE, "x" * 300])
@pytest.mark.parametrize("width", [120, 600])
def test_no_line_is_too_wide_and_nothing_is_lost(words, width):
    letters = font(SIZE)
    lines = lines_of(words, width, letters)
    assert len(lines) > 1 and all(letters.getlength(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(words.split())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [200, 900])
def test_the_picture_stays_and_words_stand_under_it(width, theme):
    pixels = np.random.default_rng(0).integers(0, 256, (100, width, 3), np.uint8)
    pixels[-1, [0, -1]] = (200, 20, 20), (20, 20, 200)  # a photograph has no ground of its own
    made = np.asarray(Image.open(BytesIO(captioned(png(pixels), WORDS, theme=theme))))
    assert np.array_equal(made[:100, :width], pixels) and made.shape[1] == max(width, LEAST_WIDTH)
    lines = len(lines_of(WORDS, made.shape[1] - 2 * EDGE, font(SIZE)))
    assert made.shape[0] == 100 + lines * LINE + 2 * EDGE
    under = made[100:]
    assert "#%02X%02X%02X" % tuple(under[0, 0]) == GROUND[theme] and np.ptp(under) > 150


def test_the_ground_is_the_sheets_own():
    sheet = np.full((50, 600, 3), 20, np.uint8)
    made = np.asarray(Image.open(BytesIO(captioned(png(sheet), WORDS))))
    assert (made[-1] == 20).all() and made.max() > 200
