"""Token grids as pictures: rolled, coloured by window or region, with what is padding or not reached hatched."""

from __future__ import annotations

import numpy as np

from tfsss.figures.color import HATCH, region
from tfsss.figures.masked import named_sheet
from tfsss.figures.scales import Scale, levels, lut

STRIPE = 8  # pixels from one dark stripe to the next
TINT = 0.5  # as strong as in the moving picture
QUERY = (0, 114, 178)  # "query" of `color.meaning`


def stripes(height: int, width: int, *, period: int = STRIPE) -> np.ndarray:
    """The hatch: (height, width, 3) uint8."""
    stripe = np.add.outer(np.arange(height), np.arange(width)) % period < period // 2
    return np.where(stripe[..., None], *np.array(HATCH, np.uint8))


def padded_picture(pixels: np.ndarray, cell: int, padded: tuple[int, int]) -> np.ndarray:
    """The picture with hatched padding at the right and at the bottom.

    Args:    pixels: (gy*cell, gx*cell, 3) uint8; cell: pixels a side of a token; padded: (gy, gx) with padding.
    """
    sheet = stripes(padded[0] * cell, padded[1] * cell)
    sheet[:pixels.shape[0], :pixels.shape[1]] = pixels
    return sheet


def arranged(pixels: np.ndarray, cell: int, order: np.ndarray) -> np.ndarray:
    """The picture's tokens in another order.

    Args:    pixels: (ty*cell, tx*cell, 3) uint8, tokens numbered row by row.
             order: (gy, gx), which token stands where; of any shape.
    """
    columns = pixels.shape[1] // cell
    tokens = pixels.reshape(-1, cell, columns, cell, 3).swapaxes(1, 2).reshape(-1, cell, cell, 3)
    rows = tokens[order].swapaxes(1, 2)  # gy cell gx cell c
    return rows.reshape(order.shape[0] * cell, order.shape[1] * cell, 3)


def tinted(pixels: np.ndarray, ids: np.ndarray, *, strength: float = TINT) -> np.ndarray:
    """The picture coloured by ids, with a line where the id changes.

    Args:    pixels: (H, W, 3) uint8; ids: (gy, gx) int, -1 = its own colours; the grid covers the whole picture.
    """
    colours = np.array([[int(region(number)[at:at + 2], 16) for at in (1, 3, 5)] for number in range(8)])
    large = _spread(ids, pixels.shape[:2])
    mixed = np.where((large < 0)[..., None], pixels, pixels * (1 - strength) + colours[large % 8] * strength)
    edge = np.zeros(large.shape, bool)
    edge[1:] |= large[1:] != large[:-1]
    edge[:, 1:] |= large[:, 1:] != large[:, :-1]
    mixed[edge] = 255
    return mixed.round().astype(np.uint8)


def reached(pixels: np.ndarray, known: np.ndarray, token: tuple[int, int] | None = None) -> np.ndarray:
    """The picture where a token was heard, hatch elsewhere, and the token's own frame.

    Args:    pixels: (H, W, 3) uint8; known: (gy, gx) boolean; token: row and column; None = no frame.
    """
    made = np.where(_spread(known, pixels.shape[:2])[..., None], pixels, stripes(*pixels.shape[:2]))
    if token is not None:
        height, width = (side / count for side, count in zip(pixels.shape[:2], known.shape))
        top, bottom = round(token[0] * height), round((token[0] + 1) * height)
        left, right = round(token[1] * width), round((token[1] + 1) * width)
        wide = max(2, round(height / 6))
        inner = made[top + wide:bottom - wide, left + wide:right - wide].copy()
        made[top:bottom, left:right] = QUERY
        made[top + wide:bottom - wide, left + wide:right - wide] = inner
    return made


def matrix(values: np.ndarray, *, vmax: float, allowed: np.ndarray | None = None, zoom: int = 4,
           scale: Scale = "viridis") -> np.ndarray:
    """A heat map as colours, blocked cells hatched: (rows * zoom, columns * zoom, 3) uint8.

    Args:    values: (rows, columns); allowed: boolean, the same shape, False = blocked; None = all.
    """
    colours = lut(scale)[levels(values, scale=scale, vmax=vmax, count=256)]
    large = colours.repeat(zoom, axis=0).repeat(zoom, axis=1)
    if allowed is None:
        return large
    open_cells = allowed.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return np.where(open_cells[..., None], large, stripes(*large.shape[:2], period=4))


def steps_sheet(pixels: np.ndarray, cell: int, *, windows: np.ndarray, rolled: np.ndarray, ids: np.ndarray,
                inside: np.ndarray, allowed: np.ndarray, before: np.ndarray, after: np.ndarray,
                untrained: bool) -> bytes:
    """The way through windows as stills: windows, rolled map with its regions, one window, its mask and attention.

    Args:    pixels: (gy*cell, gx*cell, 3) uint8; windows: (t,) of every token of the padded map; rolled, ids: (gy, gx)
             of that map after the roll; inside: (n,) tokens of the chosen window; the last three: (n, n).
    Returns: PNG bytes.
    """
    whole = padded_picture(pixels, cell, ids.shape)
    turned, side = arranged(whole, cell, rolled), int(len(inside) ** 0.5)
    zoom, end = max(1, 280 // len(inside)), float(max(before.max(), after.max()))
    return named_sheet([
        [("windows", tinted(whole, windows.reshape(ids.shape))), ("rolled", turned),
         ("region ids on the rolled map", tinted(turned, ids - 1))],
        [("one window", arranged(whole, cell, inside.reshape(side, side))),
         ("before the mask, query down, key across", matrix(before, vmax=end, zoom=zoom)),
         ("after the mask, blocked hatched", matrix(after, vmax=end, allowed=allowed, zoom=zoom))],
    ], side=280, untrained=untrained)


def log_bars(first: np.ndarray, second: np.ndarray, *, height: int = 300) -> np.ndarray:
    """Pairs of upright bars, as tall as the logarithm of what they stand for: (height, W, 3) uint8.

    Args:    first, second: (k,) above 0; orange and blue.
    """
    logs = np.log10(np.stack([first, second]).astype(float))
    tall = (logs - logs.min() + 0.3) / (np.ptp(logs) + 0.3) * (height - 4)
    sheet = np.full((height, 80 * len(first), 3), 255, np.uint8)
    for number, (left, right) in enumerate(tall.T.round().astype(int)):
        sheet[height - left:, 80 * number + 8:80 * number + 38] = (230, 159, 0)
        sheet[height - right:, 80 * number + 42:80 * number + 72] = QUERY
    return sheet


def _spread(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Every cell's value at each of its pixels."""
    rows, columns = (np.arange(side) * count // side for side, count in zip(size, cells.shape))
    return cells[rows][:, columns]
