"""Token grids as pictures: cells go where they are told, hatch and colour lie where they belong."""

from __future__ import annotations

import numpy as np

from tfsss.figures.color import HATCH
from tfsss.figures.windows import arranged, matrix, padded_picture, reached, tinted

GREYS = {tuple(grey) for grey in HATCH}
CELL = 8


def picture(rows: int = 2, columns: int = 3) -> np.ndarray:
    """Every cell of one colour: its number."""
    numbers = np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)
    return np.repeat(numbers.repeat(CELL, 0).repeat(CELL, 1)[..., None], 3, axis=2)


def hatched(pixels: np.ndarray) -> bool:
    return {tuple(pixel) for pixel in pixels.reshape(-1, 3).tolist()} == GREYS


def test_padding_is_hatched_and_the_picture_untouched():
    made = padded_picture(picture(), CELL, (4, 4))
    assert made.shape == (32, 32, 3) and (made[:16, :24] == picture()).all()
    assert hatched(made[16:]) and hatched(made[:, 24:])


def test_cells_stand_in_the_order_given():
    order = np.array([[5, 0], [2, 2], [4, 1]])
    made = arranged(picture(), CELL, order)
    assert (made[::CELL, ::CELL, 0] == order).all() and (made[CELL - 1::CELL, CELL - 1::CELL, 0] == order).all()


def test_ids_colour_their_cells_and_a_line_parts_them():
    made = tinted(picture(), np.array([[-1, 0, 0], [-1, 0, 1]]))
    assert (made[1:8, 1:8] == picture()[1:8, 1:8]).all()
    np.testing.assert_allclose(made[4, [12, 20]], [[0.5, 57.5, 89.5], [1, 58, 90]], atol=0.5)  # half of #0072B2
    assert (made[:, 8] == 255).all() and (made[8, 16:] == 255).all() and not (made[4, 16] == 255).all()


def test_what_was_not_reached_is_hatched_and_the_token_framed():
    known = np.array([[True, False, True], [False, False, True]])
    made = reached(picture(), known, (0, 2))
    assert hatched(made[8:, :16]) and (made[:8, :8] == 0).all()
    assert made[0, 16].tolist() == [0, 114, 178] and made[4, 20].tolist() == [2, 2, 2]


def test_blocked_cells_are_hatched_whatever_their_value():
    allowed = np.array([[True, False], [True, True]])
    made = matrix(np.array([[0.0, 9.0], [1.0, 0.5]]), vmax=1.0, allowed=allowed)
    assert hatched(made[:4, 4:]) and made[0, 0].tolist() == [68, 1, 84] and made[4, 0].tolist() == [253, 231, 37]
