"""Tables of numbers: what a cell says, what is hatched, and the sheet that they are drawn on."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tfsss.figures.color import HATCH
from tfsss.figures.numbers import CELL, GAP, NAN_GROUND, Numbers, ink, numbers_png, written
from tfsss.figures.scales import lut


@pytest.mark.parametrize(("value", "text"), [
    (0.126, "0.13"), (-0.5, "−0.50"), (-0.001, "0.00"), (float("nan"), "NaN"), (float("-inf"), "−∞"),
    (float("inf"), "∞"), (-1e9, "−1e9"), (-100, "−100"), ("T", "T"), (True, "True")])
def test_a_number_is_written_with_a_real_minus_sign(value, text):
    assert written(value) == text


def test_ink_can_be_read_on_every_colour():
    def light(colour: str) -> float:
        parts = np.array([int(colour[place:place + 2], 16) for place in (1, 3, 5)]) / 255
        return float(parts**2.2 @ [0.2126, 0.7152, 0.0722])
    for colour in lut("viridis").tolist() + lut("signed").tolist():
        ground = "#%02x%02x%02x" % tuple(colour)
        lighter, darker = sorted((light(ground), light(ink(ground))), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.4


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_blocked_is_hatched_and_zero_is_the_dark_end(theme):
    values = np.array([[0.0, 1.0], [0.0, np.nan]])
    allowed = np.array([[True, True], [False, False]])
    picture = Image.open(BytesIO(numbers_png([[Numbers(title="", values=values, allowed=allowed, scale="viridis")]],
                                             theme=theme))).convert("RGB")
    width, height = CELL
    assert picture.size == (2 * width + 3 * GAP - GAP, 2 * height + 2 * GAP)

    def seen(row: int, column: int) -> set[tuple[int, int, int]]:
        left, upper = GAP + column * width, GAP + row * height
        inside = picture.crop((left + 2, upper + 2, left + width - 4, upper + height - 4))
        return {colour for _, colour in inside.getcolors()}
    assert tuple(lut("viridis")[0].tolist()) in seen(0, 0) and tuple(lut("viridis")[-1].tolist()) in seen(0, 1)
    assert set(HATCH) <= seen(1, 0) and not set(HATCH) & seen(0, 0)
    assert tuple(bytes.fromhex(NAN_GROUND[1:])) in seen(1, 1)
