"""From numbers to colours: one perceptually even scale for weights, one diverging scale for signed values."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from typing import Literal

import numpy as np

Scale = Literal["viridis", "signed"]

# 256 x RGB, bytes. Viridis by S. van der Walt and N. Smith, public domain (CC0), github.com/BIDS/colormap, option D.
VIRIDIS = b64decode(
    "RAFURAJWRQRXRQVZRgdaRghcRgpdRgteRw1gRw5hRxBjRxFkRxNlSBRnSBZoSBdpSBhqSBpsSBttSBxuSB1vSB9wSCBxSCFzSCN0SCR1SCV2SC"
    "Z3SCh4SCl5Ryp6Ryx6Ry17Ry58Ry99RjB+RjJ+RjN/RjSARTWBRTeBRTiCRDmDRDqDRDuEQz2EQz6FQj+FQkCGQkGGQUKHQUSHQEWIQEaIP0eI"
    "P0iJPkmJPkqJPkyKPU2KPU6KPE+KPFCLO1GLO1KLOlOLOlSMOVWMOVaMOFiMOFmMN1qMN1uNNlyNNl2NNV6NNV+NNGCNNGGNM2KNM2ONMmSOMm"
    "WOMWaOMWeOMWiOMGmOMGqOL2uOL2yOLm2OLm6OLm+OLXCOLXGOLHGOLHKOLHOOK3SOK3WOKnaOKneOKniOKXmOKXqOKXuOKHyOKH2OJ36OJ3+O"
    "J4COJoGOJoKOJoKOJYOOJYSOJYWOJIaOJIeOI4iOI4mOI4qNIouNIoyNIo2NIY6NIY+NIZCNIZGMIJKMIJKMIJOMH5SMH5WLH5aLH5eLH5iLH5"
    "mKH5qKHpuKHpyJHp2JH56JH5+IH6CIH6GIH6GHH6KHIKOGIKSGIaWFIaaFIqeFIqiEI6mDJKqDJauCJayCJq2BJ62BKK6AKa9/KrB/LLF+LbJ9"
    "LrN8L7R8MbV7MrZ6NLZ5Nbd5N7h4OLl3Orp2O7t1Pbx0P7xzQL1yQr5xRL9wRsBvSMFuSsFtTMJsTsNrUMRqUsVpVMVoVsZnWMdlWshkXMhjXs"
    "liYMpgY8tfZcteZ8xcac1bbM1abs5YcM9Xc9BWddBUd9FTetFRfNJQf9NOgdNNhNRLhtVJidVIi9ZGjtZFkNdDk9dBldhAmNg+m9k8ndk7oNo5"
    "oto3pds2qNs0qtwyrdwwsN0vst0ttd4ruN4put4ovd8mwN8lwt8jxeAhyOAgyuEfzeEd0OEc0uIb1eIa2OIZ2uMZ3eMY3+MY4uQY5eQZ5+QZ6u"
    "Ua7OUb7+Uc8eUd9OYe9uYg+OYh++cj/ecl"
)

# The diverging scale: blue, near-white, red, in OKLab (L, a, b), so that equal steps in value look equal on both arms.
SIGNED_ENDS = ((0.43, -0.035, -0.165), (0.97, 0.0, 0.0), (0.43, 0.160, 0.075))

# OKLab to linear sRGB. Source: Ottosson 2020, "A perceptual color space for image processing" (public domain).
OKLAB_TO_LMS = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
                         [1, -0.0894841775, -1.2914855480]])
LMS_TO_LINEAR = np.array([[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
                          [-0.0041960863, -0.7034186147, 1.7076147010]])


@cache
def lut(scale: Scale) -> np.ndarray:
    """The scale's 256 colours, from its lowest to its highest value.

    Returns: (256, 3) uint8, read-only. "viridis" runs from 0 to the maximum, "signed" from -maximum to +maximum.
    """
    colours = np.frombuffer(VIRIDIS, np.uint8).reshape(256, 3) if scale == "viridis" else signed_lut()
    colours.flags.writeable = False
    return colours


def signed_lut() -> np.ndarray:
    """(256, 3) uint8; the two middle entries are the near-white of 0."""
    low, middle, high = (np.array(end) for end in SIGNED_ENDS)
    along = np.linspace(0, 1, 128)[:, None]
    oklab = np.concatenate([low + along * (middle - low), middle + along * (high - middle)])
    linear = ((oklab @ OKLAB_TO_LMS.T) ** 3 @ LMS_TO_LINEAR.T).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


def sample(scale: Scale, levels: int) -> np.ndarray:
    """`levels` colours evenly along the scale, both ends included: (levels, 3) uint8."""
    return lut(scale)[np.linspace(0, 255, levels).round().astype(int)]


def top(values: np.ndarray, allowed: np.ndarray | None = None) -> float:
    """The maximum that a scale bar prints: the largest magnitude among the allowed cells; 1.0 if nothing is above 0.

    Args:    values: any shape. allowed: boolean, broadcastable to it; True = counts.
    """
    magnitudes = np.abs(values) if allowed is None else np.abs(values)[np.broadcast_to(allowed, values.shape)]
    return float(magnitudes.max(initial=0)) or 1.0


def levels(values: np.ndarray, *, scale: Scale, vmax: float, count: int) -> np.ndarray:
    """Which of `count` steps of the scale each value falls on; what lies outside the range takes the end's colour.

    Args:    values: any shape, float. NaN counts as 0.
             vmax: the scale runs over 0..vmax, or -vmax..vmax if signed.
    Returns: the same shape, uint8 in 0..count-1.
    """
    low, span = (-vmax, 2 * vmax) if scale == "signed" else (0.0, vmax)
    steps = np.subtract(values, low, dtype=np.float32)
    steps *= (count - 1) / span
    steps += 0.5
    np.nan_to_num(steps, copy=False, nan=0.5 - low * (count - 1) / span, posinf=count - 1, neginf=0)
    return steps.clip(0, count - 1, out=steps).astype(np.uint8)
