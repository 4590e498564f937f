"""Shuffles against loops, and masks that are not random."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tfsss.layers.masking import block_mask, count_kept, grid_noise, noise_from_mask, shuffle_by, take


@pytest.mark.parametrize("keep", [0, 1, 5, 12])
def test_a_shuffle_by_loops(keep):
    noise = torch.rand(2, 12, generator=torch.Generator().manual_seed(0))
    made = shuffle_by(noise, keep)
    for row in range(2):
        order = sorted(range(12), key=lambda patch: noise[row, patch].item())
        assert made.ids_shuffle[row].tolist() == order and made.ids_keep[row].tolist() == order[:keep]
        assert made.ids_restore[row].tolist() == [order.index(patch) for patch in range(12)]
        assert made.mask[row].tolist() == [float(patch not in order[:keep]) for patch in range(12)]


def test_shuffling_and_restoring_changes_nothing():
    made = shuffle_by(torch.rand(2, 12), 3)
    tokens = torch.randn(2, 12, 5)
    assert torch.equal(take(take(tokens, made.ids_shuffle), made.ids_restore), tokens)


@pytest.mark.parametrize(("ratio", "kept"), [(0, 196), (0.75, 49), (0.9, 19), (1, 0), (1 / 196, 195)])
def test_how_many_are_kept(ratio, kept):
    assert count_kept(196, ratio) == kept
    assert count_kept(10, 0.9) == 1


def test_the_grid_keeps_every_second_and_every_other():
    noise = grid_noise((14, 14))
    assert len(noise.unique()) == 196
    quarter = shuffle_by(noise[None], 49).mask.view(14, 14)
    assert not quarter[::2, ::2].any() and quarter.sum() == 147
    half = shuffle_by(noise[None], 98).mask.view(14, 14)
    rows, columns = torch.meshgrid(torch.arange(14), torch.arange(14), indexing="ij")
    assert torch.equal(half.bool(), (rows + columns) % 2 == 1)
    shifted = shuffle_by(grid_noise((14, 14), (1, 1))[None], 49).mask.view(14, 14)
    assert not shifted[1::2, 1::2].any()


@pytest.mark.parametrize("grid", [(14, 14), (2, 4), (1, 1), (3, 7)])
@pytest.mark.parametrize("ratio", [0, 0.3, 0.75, 0.97, 1])
def test_blocks_remove_exactly_the_ratio(grid, ratio):
    for seed in range(5):
        removed = block_mask(grid, ratio, torch.Generator().manual_seed(seed))
        assert len(removed) - removed.sum() == count_kept(len(removed), ratio)


def test_blocks_are_blocks():
    """Removed patches have more removed neighbours than random ones, and a seed gives the same mask again."""
    block = block_mask((14, 14), 0.5, torch.Generator().manual_seed(1))
    random = shuffle_by(torch.rand(1, 196, generator=torch.Generator().manual_seed(1)), 98).mask[0].bool()

    def neighbours(mask):
        square = mask.view(14, 14)
        return int((square[1:] & square[:-1]).sum() + (square[:, 1:] & square[:, :-1]).sum())

    assert neighbours(block) > 1.5 * neighbours(random)
    assert torch.equal(block, block_mask((14, 14), 0.5, torch.Generator().manual_seed(1)))


def test_a_given_mask_comes_back():
    mask = torch.rand(3, 196, generator=torch.Generator().manual_seed(0)) < 0.4
    for row in mask:
        made = shuffle_by(noise_from_mask(row)[None], int((~row).sum()))
        assert torch.equal(made.mask[0].bool(), row)
        assert made.ids_keep[0].tolist() == (~row).nonzero().flatten().tolist()
    assert_close(noise_from_mask(mask)[mask].min(), torch.tensor(0.5), atol=0.01, rtol=0)
