"""What the MAE page draws, against loops and the definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tfsss.errors import InputError
from tfsss.explain.mae import PATTERNS, fills, guess, masking, ratio_grid
from tfsss.explain.mae_shuffle import MASK_TOKEN, savings, shuffle_steps, times
from tfsss.explain.mae_targets import WAYS, to_pixels, ways_back
from tfsss.explain.inputs import normalise
from tfsss.models.mae import VARIANTS
from tfsss.weights import untrained


@pytest.fixture
def loaded():
    """loaded(**changes): the "mini" masked autoencoder, seeded."""
    return lambda **changes: untrained("mae", replace(VARIANTS["mini"], **changes))


@pytest.fixture
def pixels() -> np.ndarray:
    """A smooth picture with some noise, 32 x 32."""
    y, x = np.mgrid[:32, :32] / 31
    picture = np.stack([x, y, (x + y) / 2], axis=-1) * 200 + np.random.default_rng(0).uniform(0, 40, (32, 32, 3))
    return picture.astype(np.uint8)


def patch(array: np.ndarray, row: int, column: int) -> np.ndarray:
    return array[8 * row:8 * row + 8, 8 * column:8 * column + 8]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_guess_patch_by_patch(loaded, pixels, pattern):
    model = loaded()
    painted = np.zeros((4, 4), bool)
    painted[1:3, 1:] = True
    made = guess(pixels, model, masking(model.model.config, pattern, 0.75, seed=1, painted=painted))
    assert made.weights == "random" and made.mask.sum() == (6 if pattern == "painted" else 12)
    errors = []
    for (row, column), removed in np.ndenumerate(made.mask):
        numbers = made.prediction[4 * row + column].reshape(8, 8, 3)
        colours = (numbers * model.entry.std + np.array(model.entry.mean)) * 255
        np.testing.assert_allclose(patch(made.raw, row, column), colours.clip(0, 255), atol=0.51)
        seen = patch(made.original, row, column)
        assert np.array_equal(patch(made.pasted, row, column), patch(made.raw, row, column) if removed else seen)
        assert np.array_equal(patch(made.masked, row, column), np.full((8, 8, 3), 127) if removed else seen)
        errors.append(np.mean((numbers - (seen / 255 - model.entry.mean) / model.entry.std) ** 2))
        np.testing.assert_allclose(made.error_patches[row, column], errors[-1], rtol=1e-4)
        np.testing.assert_allclose(patch(made.error_pixels, row, column).mean(), errors[-1], rtol=1e-4)
    flat = made.mask.flatten()
    expected = np.mean(np.array(errors)[flat]), np.mean(np.array(errors)[~flat]), np.mean(errors)
    np.testing.assert_allclose((made.loss_masked, made.loss_visible, made.loss_all), expected, rtol=1e-4)


def test_the_model_reports_the_same_losses(loaded, pixels):
    model = loaded()
    chosen = masking(model.model.config, "random", 0.6, seed=3)
    made = guess(pixels, model, chosen)
    with torch.no_grad():
        expected = model.model(normalise(pixels, model.entry), torch.tensor(chosen.noise)[None], chosen.num_keep)
    np.testing.assert_allclose(made.loss_masked, float(expected.loss), rtol=1e-4)


def test_a_painted_mask_is_used_as_it_is(loaded, pixels):
    painted = np.random.default_rng(1).random((4, 4)) < 0.4
    model = loaded()
    assert np.array_equal(guess(pixels, model, masking(model.model.config, "painted", painted=painted)).mask, painted)


@pytest.mark.parametrize("pattern", ["random", "block", "grid"])
@pytest.mark.parametrize("norm_pix", [False, True])
def test_the_ends_of_the_scale(loaded, pixels, pattern, norm_pix):
    model = loaded(norm_pix_loss=norm_pix)
    nothing_to_guess = guess(pixels, model, masking(model.model.config, pattern, 0.0))
    assert nothing_to_guess.loss_masked == 0 and np.array_equal(nothing_to_guess.pasted, pixels)
    for way in WAYS:
        nothing_to_see = guess(pixels, model, masking(model.model.config, pattern, 1.0), way=way)
        assert nothing_to_see.mask.all() and np.isfinite(nothing_to_see.loss_masked)
        assert nothing_to_see.loss_visible == 0 and np.array_equal(nothing_to_see.pasted, nothing_to_see.raw)


def test_what_cannot_be_is_said(loaded):
    config = loaded().model.config
    for arguments, name in [({"ratio": 1.2}, "ratio"), ({"pattern": "painted"}, "painted"),
                            ({"pattern": "painted", "painted": np.ones((3, 3), bool)}, "painted")]:
        with pytest.raises(InputError) as raised:
            masking(config, **({"pattern": "random"} | arguments))
        assert raised.value.error_id == f"mae.{name}" and raised.value.sentence("zh")
    for arguments, name in [({"grid": (9, 9)}, "shuffle"), ({"num_keep": 9}, "keep")]:
        with pytest.raises(InputError) as raised:
            shuffle_steps(**arguments)
        assert raised.value.error_id == f"mae.{name}" and raised.value.sentence("zh")


def test_the_fills_keep_what_is_seen(loaded, pixels):
    mask = np.zeros((4, 4), bool)
    mask[1, 1] = mask[2, 3] = True
    made = fills(pixels, loaded(), mask)
    for (row, column), removed in np.ndenumerate(mask):
        if not removed:
            assert np.array_equal(patch(made.harmonic, row, column), patch(pixels, row, column))
            assert np.array_equal(patch(made.mean, row, column), patch(pixels, row, column))
    assert 0 < made.loss_harmonic < made.loss_mean  # the picture is smooth


def test_one_cell_of_the_grid_is_one_guess(loaded, pixels):
    model = loaded()
    grid = ratio_grid(pixels, model, (0.25, 0.75), (0, 5), pattern="block")
    assert grid.raw.shape == (2, 2, 32, 32, 3) and grid.masks.shape == (2, 2, 4, 4) and grid.weights == "random"
    for row, ratio in enumerate(grid.ratios):
        for column, seed in enumerate(grid.seeds):
            one = guess(pixels, model, masking(model.model.config, "block", ratio, seed=seed))
            assert np.array_equal(grid.masks[row, column], one.mask)
            assert np.abs(grid.pasted[row, column].astype(int) - one.pasted).max() <= 1
            assert np.array_equal(grid.masked[row, column], one.masked)
            np.testing.assert_allclose(grid.loss_masked[row, column], one.loss_masked, rtol=1e-4)


def test_pixels_come_back(pixels, loaded):
    back, outside = to_pixels(normalise(pixels, loaded().entry), loaded().entry)
    assert np.array_equal(back[0], pixels) and outside == 0


def test_only_the_answer_brings_a_perfect_guess_back(loaded, pixels):
    model = loaded()
    made = ways_back(pixels, model, masking(model.model.config, "random", seed=2), perfect=True)
    answer, visible, neighbours = made.ways
    assert (answer.leaks, visible.leaks, neighbours.leaks) == (True, False, False)
    assert answer.loss_masked < 1e-9 and np.array_equal(answer.raw, pixels)
    assert visible.loss_masked > neighbours.loss_masked > 0.01  # the picture is smooth
    assert made.guessed_by == "nobody"
    values = (pixels[8:16, :8] / 255 - model.entry.mean) / model.entry.std
    np.testing.assert_allclose([made.mean[1, 0], made.deviation[1, 0]], [values.mean(), values.std(ddof=1)], rtol=1e-4)


@pytest.mark.parametrize("norm_pix", [False, True])
def test_ways_that_do_not_leak_see_no_removed_pixel(loaded, pixels, norm_pix):
    model = loaded(norm_pix_loss=norm_pix)
    chosen = masking(model.model.config, "random", seed=2)
    made = ways_back(pixels, model, chosen)
    assert made.guessed_by == ("model" if norm_pix else "model, normalised")
    removed = guess(pixels, model, chosen).mask.repeat(8, 0).repeat(8, 1)[..., None]
    changed = ways_back(np.where(removed, 255 - pixels, pixels), model, chosen)
    for before, after in zip(made.ways, changed.ways, strict=True):
        assert np.array_equal(before.raw, after.raw) != before.leaks


def test_every_step_of_the_shuffle_by_loops():
    made = shuffle_steps((2, 4), 3, seed=4)
    order = sorted(range(8), key=lambda number: made.noise[number])
    assert made.ids_shuffle.tolist() == order and made.kept.tolist() == order[:3]
    assert made.shuffled_noise.tolist() == sorted(made.noise.tolist())
    assert made.appended.tolist() == order[:3] + [MASK_TOKEN] * 5
    assert made.restored.tolist() == [number if number in order[:3] else MASK_TOKEN for number in range(8)]
    assert made.round_trip.tolist() == list(range(8)) and made.mask.sum() == 5
    assert made.wrong.tolist() == [made.appended[place] for place in order]


def test_savings_agree_with_torchs_own_count():
    from torch.utils.flop_counter import FlopCounterMode

    from tfsss.models.mae import MaskedAutoencoder

    config, ratios = VARIANTS["mini"], (0.0, 0.5, 0.75)
    model, made = MaskedAutoencoder(config).eval(), savings(VARIANTS["mini"], (0.0, 0.5, 0.75))
    for column, ratio in enumerate(ratios):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, 32, 32), torch.rand(1, 16), int(made.kept[column]))
        assert counter.get_total_flops() == made.encoder[column] + made.decoder
    assert made.encoder_tokens.tolist() == [17, 9, 5] and made.decoder_tokens == 17
    assert (made.mask_tokens == made.encoder[0]).all()


def test_times_are_taken(loaded, pixels):
    made = times(pixels, loaded(), (0.0, 0.75), repeats=2)
    assert made.encoder.shape == (2,) and (made.encoder > 0).all() and (made.decoder > 0).all()


def test_results_cannot_be_changed(loaded, pixels):
    model = loaded()
    made = guess(pixels, model, masking(model.model.config, "random"))
    arrays = [value for value in vars(made).values() if isinstance(value, np.ndarray)]
    assert len(arrays) == 12 and not any(array.flags.writeable for array in arrays)
