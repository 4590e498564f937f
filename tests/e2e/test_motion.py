"""The motion component in a real browser: every token is drawn where the step says."""

from __future__ import annotations

from pathlib import Path

import pytest

APP = Path(__file__).parent / "apps" / "motion_app.py"
PIXEL = """(canvas, [row, column]) => {
    const cell = canvas.width / 8;
    return [...canvas.getContext("2d").getImageData((column + 0.5) * cell, (row + 0.2) * cell, 1, 1).data].slice(0, 2);
}"""


def red_green(page, row: int, column: int) -> list[int]:
    return page.locator(".motion canvas").evaluate(PIXEL, [row, column])


@pytest.mark.parametrize("reduced", ["reduce", "no-preference"])
def test_a_roll_brings_each_patch_to_its_place(serve, open_page, wait_idle, reduced):
    page = open_page(serve(APP), reduced_motion=reduced)
    canvas = page.locator(".motion canvas")
    canvas.wait_for()
    page.locator(".motion canvas[aria-label='as it was']").wait_for()
    before = red_green(page, 2, 3)
    page.get_by_role("radio", name="1").or_(page.get_by_role("button", name="1")).first.click()
    page.locator(".motion canvas[data-step='1']").wait_for()
    wait_idle(page)
    page.wait_for_timeout(500 if reduced == "no-preference" else 50)
    assert canvas.get_attribute("aria-label") == "rolled"
    after = red_green(page, 0, 0)  # token (2, 3) went to the corner; a region's colour lies half over it
    tint = [0x00, 0x72] if (2 * 8 + 3) % 4 == 0 else {1: [0xE6, 0x9F], 2: [0x00, 0x9E], 3: [0xCC, 0x79]}[(2 * 8 + 3) % 4]
    expected = [(a + b) / 2 for a, b in zip(before, tint)]
    assert all(abs(a - b) <= 12 for a, b in zip(after, expected)), (before, after, expected)
