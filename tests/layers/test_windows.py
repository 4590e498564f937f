"""Windows on maps of numbered tokens; masks against the definition of shifted windows on the whole picture."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from tfsss.layers import windows

GRIDS = [(8, 8), (4, 12), (9, 7), (5, 14), (3, 3), (1, 6)]
SETTINGS = [(4, 2), (4, 1), (4, 3), (4, 0), (3, 1), (5, 2), (2, 1)]


def numbered(gy: int, gx: int, count: int = 2) -> torch.Tensor:
    """A map whose token says its place in the batch, its row and its column."""
    b, y, x = torch.meshgrid(torch.arange(count), torch.arange(gy), torch.arange(gx), indexing="ij")
    return torch.stack([b, y, x], dim=-1)


def padded_grid(grid: tuple[int, int], window: int) -> tuple[int, int]:
    return tuple(-(-side // window) * window for side in grid)


@pytest.mark.parametrize("grid", [(8, 12), (4, 4), (4, 16)])
def test_partition_cuts_and_reverse_mends(grid):
    x = numbered(*grid)
    cut = windows.partition(x, 4)
    assert cut.shape == (2 * grid[0] * grid[1] // 16, 16, 3)
    expected = [[[b, wy * 4 + p, wx * 4 + q] for p in range(4) for q in range(4)]
                for b in range(2) for wy in range(grid[0] // 4) for wx in range(grid[1] // 4)]
    assert cut.tolist() == expected
    assert windows.reverse(cut, 4, grid).equal(x)


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_the_shift_rolls_up_and_left_and_back(shift):
    x = numbered(6, 9)
    rolled = windows.cyclic_shift(x, shift)
    for y, column in product(range(6), range(9)):
        assert rolled[1, y, column].tolist() == [1, (y + shift) % 6, (column + shift) % 9]
    assert windows.cyclic_shift(rolled, -shift).equal(x)


def test_padding_is_zeros_at_the_right_and_at_the_bottom():
    x = numbered(5, 8) + 1
    padded = windows.pad_to_multiple(x, 4)
    assert padded.shape == (2, 8, 8, 3)
    assert padded[:, :5].equal(x) and not padded[:, 5:].any()
    assert windows.pad_to_multiple(x[:, :4], 4).equal(x[:, :4])


def test_region_ids_of_the_papers_figure():
    assert windows.region_ids((4, 4), 2, 1).tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [3, 3, 4, 5], [6, 6, 7, 8]]


def by_definition(padded: tuple[int, int], window: int, shift: int) -> torch.Tensor:
    """(N, N) boolean over the whole padded picture, without a roll: shifted windows cut it at shift, shift + window,
    ..., and tokens attend to those on the same side of every cut."""
    def window_of(place: int) -> tuple[int, int]:
        return (place // padded[1] - shift) // window, (place % padded[1] - shift) // window

    count = padded[0] * padded[1]
    return torch.tensor([[window_of(i) == window_of(j) for j in range(count)] for i in range(count)])


def over_the_picture(mask: torch.Tensor, padded: tuple[int, int], window: int, shift: int) -> torch.Tensor:
    """Our masks of the windows, put back into one (N, N) matrix over the picture."""
    places = torch.arange(padded[0] * padded[1]).reshape(1, *padded, 1)
    ids = windows.partition(windows.cyclic_shift(places, shift), window)[..., 0]  # w n
    whole = torch.zeros(places.numel(), places.numel(), dtype=torch.bool)
    for number, tokens in enumerate(ids):
        whole[tokens[:, None], tokens[None, :]] = mask[number]
    return whole


@pytest.mark.parametrize("window, shift", SETTINGS)
@pytest.mark.parametrize("grid", GRIDS)
def test_masks_agree_with_brute_force_over_the_whole_picture(grid, window, shift):
    padded = padded_grid(grid, window)
    expected = by_definition(padded, window, shift)
    mask = windows.window_mask(grid, window, shift)
    assert mask.dtype == torch.bool and mask.shape == (padded[0] * padded[1] // window**2, window**2, window**2)
    assert over_the_picture(mask, padded, window, shift).equal(expected)
    assert mask.diagonal(dim1=1, dim2=2).all()  # everyone sees itself
    real = torch.tensor([y < grid[0] and x < grid[1] for y in range(padded[0]) for x in range(padded[1])])
    without = windows.window_mask(grid, window, shift, mask_padding=True)
    assert over_the_picture(without, padded, window, shift).equal(expected & real[None, :])
