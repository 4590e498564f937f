"""Colours keep their meaning for people with each of the three common colour blindnesses."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tfsss.figures.color import HATCH, MEANINGS, OKABE_ITO, region
from tfsss.figures.scales import lut

# Machado, Oliveira and Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# table 1, severity 1.0; on linear RGB.
BLINDNESS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
LEAST = 12  # CIE76 delta E; about 2.3 is just noticeable side by side
ROLES = ("query", "key", "value", "class_token")


def linear(rgb: np.ndarray) -> np.ndarray:
    unit = np.asarray(rgb, float) / 255
    return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)


def seen(rgb: np.ndarray, blindness: str) -> np.ndarray:
    """CIE L*a*b* (D65) of colours (..., 3) as this eye sees them."""
    light = (linear(rgb) @ np.array(BLINDNESS[blindness]).T).clip(0, 1)
    to_xyz = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                       [0.0193339, 0.1191920, 0.9503041]])
    xyz = light @ to_xyz.T / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def rgb(color: str) -> list[int]:
    return [int(color[at: at + 2], 16) for at in (1, 3, 5)]


def distances(colors: list, blindness: str) -> dict[tuple[int, int], float]:
    lab = seen(np.array(colors), blindness)
    return {(i, j): float(np.linalg.norm(lab[i] - lab[j])) for i, j in combinations(range(len(colors)), 2)}


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("theme", MEANINGS)
def test_roles_stay_apart(theme, blindness):
    apart = distances([rgb(MEANINGS[theme][role]) for role in ROLES], blindness)
    assert min(apart.values()) > LEAST, apart


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_region_ids_stay_apart(blindness):
    apart = distances([rgb(color) for color in OKABE_ITO], blindness)
    assert min(apart.values()) > LEAST, apart


def test_regions_repeat_in_order():
    assert [region(n) for n in range(8)] == list(OKABE_ITO) and region(8) == region(0)


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_lightness_alone_tells_the_order_of_weights(blindness):
    assert np.all(np.diff(seen(lut("viridis"), blindness)[::8, 0]) > 0)


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_signs_stay_apart_and_zero_is_lightest(blindness):
    lab = seen(lut("signed"), blindness)
    assert np.linalg.norm(lab[0] - lab[-1]) > 40
    assert lab[:, 0].argmax() in (127, 128)
    assert abs(lab[0, 0] - lab[-1, 0]) < 20


def test_blocked_is_on_no_scale():
    for scale in ("viridis", "signed"):
        away = np.linalg.norm(seen(lut(scale), "normal")[:, None] - seen(np.array(HATCH), "normal")[None], axis=-1)
        assert away.min() > 10


@pytest.mark.parametrize("theme", MEANINGS)
def test_text_is_readable(theme):
    page = {"light": "#FFFFFF", "dark": "#0E1117"}[theme]
    weights = np.array([0.2126, 0.7152, 0.0722])
    for name, least in (("text", 7), ("quiet", 4.5)):
        low, high = sorted(float(linear(rgb(color)) @ weights) for color in (MEANINGS[theme][name], page))
        assert (high + 0.05) / (low + 0.05) >= least
