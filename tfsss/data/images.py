"""Pictures: one safe loader for any file a person has, the fit to a model's input, and the bundled photographs."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from tfsss.data.decoding import decode
from tfsss.errors import InputError

IMAGES = Path(__file__).parents[2] / "assets" / "images"
BUNDLED = ("cat", "coffee", "astronaut", "temple", "flower", "coins", "bricks", "page")  # the first is the default
MEGABYTE = 2**20
MAX_MEGABYTES = 15


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A decoded picture: upright, 8-bit RGB, never written to."""

    pixels: np.ndarray = field(repr=False, compare=False)  # (H, W, 3) uint8, read-only
    digest: str  # of the source bytes: equal digests and sizes are equal pictures
    width: int
    height: int
    source_size: tuple[int, int]  # (W, H), upright, before any reduction
    notes: tuple[str, ...]  # first_frame, reduced, stretched: sentences in assets/text/*/images.json


def load_image(source: bytes | Path, *, max_side: int = 1536) -> Picture:
    """Any picture a person has, as upright 8-bit RGB, within 2 seconds and 400 MB.

    EXIF rotation is applied, alpha composited on white, 16-bit grey scaled, float stretched from its smallest to its
    largest value; of an animation the first frame. JPEG, PNG, GIF, WebP, AVIF, HEIC, TIFF and BMP, by content not name.

    Args:    source: the file's bytes, or its path.
             max_side: a longer side is reduced to this (a large JPEG is never decoded at full size).
    Returns: the picture, and the ids of what the visitor should be told about it.
    Raises:  InputError("image.*"): every file that is no usable picture, whatever is wrong with it.
    """
    data = _read(source)
    pixels, source_size, notes = decode(data, max_side)
    pixels.setflags(write=False)
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(data).hexdigest()[:16]
    return Picture(pixels=pixels, digest=digest, width=width, height=height, source_size=source_size, notes=notes)


def _read(source: bytes | Path) -> bytes:
    """The whole file, if there is one and it is small enough."""
    try:
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        if size > MAX_MEGABYTES * MEGABYTE:
            megabytes = math.ceil(size / MEGABYTE * 10) / 10
            raise InputError("image.too_heavy", megabytes=megabytes, limit=MAX_MEGABYTES)
        data = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise InputError("image.missing", name=source.name) from error
    if not data:
        raise InputError("image.empty")
    return data


def fit(picture: Picture, height: int, width: int, policy: Literal["crop", "pad", "stretch"] = "crop") -> np.ndarray:
    """The picture at exactly a model's input size, by antialiased bicubic resampling.

    Args:    height, width: in pixels.
             policy: "crop" fills the frame and cuts the longer side equally at both ends; "pad" shows everything and
             fills the rest with the picture's mean colour, the faintest edge that a model could attend to; "stretch"
             changes the aspect ratio.
    Returns: (height, width, 3) uint8.
    """
    image = Image.fromarray(picture.pixels)
    scales = height / picture.height, width / picture.width
    if policy == "pad":
        inner = max(1, round(picture.width * min(scales))), max(1, round(picture.height * min(scales)))
        mean = tuple(int(channel) for channel in np.rint(picture.pixels.mean(axis=(0, 1))))
        frame = Image.new("RGB", (width, height), mean)
        corner = (width - inner[0]) // 2, (height - inner[1]) // 2
        frame.paste(image.resize(inner, Image.Resampling.BICUBIC), corner)
        return np.array(frame)
    if policy not in ("crop", "stretch"):
        raise ValueError(f'policy is "crop", "pad" or "stretch", not {policy!r}')
    kept = (width / max(scales), height / max(scales)) if policy == "crop" else image.size
    left, top = (picture.width - kept[0]) / 2, (picture.height - kept[1]) / 2
    box = (max(0.0, left), max(0.0, top), min(picture.width, left + kept[0]), min(picture.height, top + kept[1]))
    return np.array(image.resize((width, height), Image.Resampling.BICUBIC, box))


def bundled() -> dict[str, Path]:
    """The photographs that ship with the app, id -> file, the default first.  Source: assets/NOTICE."""
    return {name: IMAGES / f"{name}.jpg" for name in BUNDLED}
