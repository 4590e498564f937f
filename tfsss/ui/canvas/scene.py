"""What the patch canvas draws, packed into bytes: everything heavy, and nothing that a click or a slider changes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

import numpy as np
from PIL import Image

from tfsss.figures.scales import Scale, lut


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One picture of the canvas, with numbers laid over it. t = prefix tokens + patches, patches row-major.

    values:  (t, t): a matrix, of which the canvas shows the row of the query; or (t,) or (patches,): the same whatever
             the query is.
    allowed: boolean, of the shape of `values` or (t,); False = hatched. None = every cell.
    """

    values: np.ndarray
    allowed: np.ndarray | None = None


def pack_scene(*, grid: tuple[int, int], picture: bytes | None = None, shape: tuple[int, int] | None = None,
               panels: tuple[Panel, ...] = (), prefix: int = 0, scale: Scale = "viridis",
               vmax: float | None = None) -> bytes:
    """One canvas as bytes: a header in JSON, its length before it (4 bytes, little-endian), and the arrays behind it.

    Patches' numbers travel as uint8 scaled by their row's maximum, which travels too; prefix tokens' as float32, so
    that a class token that takes nine tenths of the weight leaves the patches their two figures.

    Args:    grid: (gy, gx). prefix: how many tokens (class, registers) come before the patches.
             picture: JPEG or PNG, drawn under every panel; `figures.overlay.jpeg` keeps it small. None = no picture.
             shape: width to height of a panel without a picture; None = square cells.
             panels: on one shared colour range. None of them: the picture and its grid alone.
             vmax: end of the colour range; None = the largest among the panels' shown rows: another for each query.
    Returns: the scene; about t * t bytes a matrix.
    """
    gy, gx = grid
    width, height = Image.open(BytesIO(picture)).size if picture else shape or (gx, gy)
    blobs = [lut(scale).tobytes(), picture or b""]
    for panel in panels:
        blobs += pack_panel(panel, cells=gy * gx, prefix=prefix, signed=scale == "signed")
    ends = np.cumsum([0, *map(len, blobs)]).tolist()
    header = json.dumps({
        "grid": grid, "prefix": prefix, "signed": scale == "signed", "vmax": vmax, "size": (width, height),
        "picture": sha256(picture).hexdigest()[:16] if picture else "", "ends": ends,
        "rows": [len(np.atleast_2d(panel.values)) for panel in panels],
    }).encode()
    return len(header).to_bytes(4, "little") + header + b"".join(blobs)


def pack_panel(panel: Panel, *, cells: int, prefix: int, signed: bool) -> list[bytes]:
    """Four arrays: the rows' maxima, the prefix tokens' numbers, the patches' codes, a bit for each blocked patch."""
    values = np.atleast_2d(np.asarray(panel.values, np.float32))
    if values.shape[1] == cells and prefix:  # a map of patches alone says nothing about prefix tokens
        values = np.pad(values, ((0, 0), (prefix, 0)), constant_values=np.nan)
    if values.shape[1] != prefix + cells or len(values) not in (1, prefix + cells):
        raise ValueError(f"values {panel.values.shape} fit no grid of {cells} patches with {prefix} tokens before them")
    patches, blocked = values[:, prefix:], b""
    if panel.allowed is not None:
        allowed = np.broadcast_to(np.atleast_2d(panel.allowed)[:, -cells:], patches.shape)
        patches = np.where(allowed, patches, 0)
        blocked = np.packbits(~allowed, axis=1).tobytes()
    patches = np.nan_to_num(patches)
    maxima = np.abs(patches).max(axis=1)
    unit = patches / np.where(maxima, maxima, 1)[:, None]
    codes = np.round(unit * 127 + 128 if signed else unit * 255).clip(0, 255).astype(np.uint8)
    return [maxima.tobytes(), values[:, :prefix].tobytes(), codes.tobytes(), blocked]
