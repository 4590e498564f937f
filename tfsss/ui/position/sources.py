"""From the settings to encodings and biases, computed once and kept; and the Python that makes the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tfsss.explain import position, swin_parts
from tfsss.explain.position import Bias, Encoding, Similarity
from tfsss.ui import cache, chooser
from tfsss.ui.position.chosen import Chosen
from tfsss.ui.swin.subject import current_model as current_swin
from tfsss.weights import Loaded

Grid = tuple[int, int] | None
IMPORTS = (  # what a script may name, and the line that brings it
    ("replace(", "from dataclasses import replace"),
    ("Path(", "from pathlib import Path"),
    ("np.", "import numpy as np"),
    ("Image.", "from PIL import Image"),
    ("weights.", "from tfsss import weights"),
    ("position.", "from tfsss.explain import position"),
    ("position_beyond.", "from tfsss.explain import position_beyond"),
    ("swin_parts.", "from tfsss.explain import swin_parts"),
    ("rotary_pairs(", "from tfsss.explain.rotary import rotary_pairs"),
    ("montage(", "from tfsss.figures.maps import montage"),
    ("palette_png(", "from tfsss.figures.maps import palette_png"),
    ("similarity_tiles(", "from tfsss.figures.tiles import similarity_tiles"),
)


def kept(chosen: Chosen, name: str, compute: Callable[[], Any]) -> Any:
    """A result of these settings."""
    return cache.computed(("position", name, *chosen.key), compute)


def source(chosen: Chosen, kind: str | None = None, *, past: bool = False) -> Encoding | Bias:
    """The encoding, or the bias, of a kind over the chosen places; `past`: also those beyond the trained ones."""
    kind = kind or chosen.kind
    grid, count = chosen.grid, chosen.positions
    if past and grid and kind != "learned":
        grid = (grid[0] + chosen.past_rows, grid[1])
        count = grid[0] * grid[1]
    elif past and not grid:
        count += chosen.past
    loaded = None  # before the computation: caches do not nest
    if kind == "learned" or kind == "relative" and chosen.swin:
        loaded = chooser.current_vit() if kind == "learned" else current_swin()
    return kept(chosen, f"source {kind} {past}", lambda: _make(chosen, kind, grid, count, loaded))


def _make(chosen: Chosen, kind: str, grid: Grid, count: int, loaded: Loaded | None) -> Encoding | Bias:
    c = chosen
    if kind == "learned":
        return position.learned(loaded, grid)
    if kind == "sincos_2d":
        return position.sincos_grid(grid, c.width, base=c.base, interleaved=c.layout == "interleaved",
                                    x_first=c.order == "xy")
    if kind == "relative" and c.swin:
        return next(one.bias for one in swin_parts.trained_biases(loaded) if f"{one.stage}.{one.block}" == c.table_of)
    if kind == "relative":
        return position.relative_bias(grid, num_heads=c.heads, seed=c.seed)
    if kind == "alibi":
        return replace(position.alibi(c.heads, count, symmetric=c.symmetric), grid=grid)
    if kind == "rotary":
        return replace(position.rotary(count, c.width, base=c.base, pairing=c.pairing), grid=grid)
    made = position.sinusoidal(count, c.width, base=c.base, interleaved=kind == "interleaved")
    return replace(made, grid=grid)


def pairs_of(chosen: Chosen, kind: str | None = None) -> Similarity:
    """How alike the positions are: of vectors by the chosen measure, of a bias by the chosen head."""
    made = source(chosen, kind)
    return kept(chosen, f"pairs {kind or chosen.kind}", lambda: (
        position.head_bias(made, chosen.head) if isinstance(made, Bias) else position.similarity(made, chosen.measure)))


def code(chosen: Chosen, kind: str | None = None, *, past: bool = False) -> str:
    """The Python expression for `source`."""
    c, kind = chosen, kind or chosen.kind
    grid, count = c.grid, c.positions
    if past and grid and kind != "learned":
        grid = (grid[0] + c.past_rows, grid[1])
    elif past and not grid:
        count += c.past
    if kind == "relative" and c.swin:
        loaded, (stage, block) = current_swin(), map(int, c.table_of.split("."))
        place = sum(loaded.entry.config.depths[:stage]) + block
        return f"swin_parts.trained_biases({chooser.code(loaded.entry)})[{place}].bias"
    plain = {
        "learned": f"position.learned({chooser.code(chooser.current_vit().entry) if c.weights else None}, {grid})",
        "sincos_2d": f"position.sincos_grid({grid}, {c.width}, base={c.base}, "
                     f'interleaved={c.layout == "interleaved"}, x_first={c.order == "xy"})',
        "relative": f"position.relative_bias({grid}, num_heads={c.heads}, seed={c.seed})",
        "alibi": f"position.alibi({c.heads}, {count}, symmetric={c.symmetric})",
        "rotary": f'position.rotary({count}, {c.width}, base={c.base}, pairing="{c.pairing}")',
    }.get(kind, f'position.sinusoidal({count}, {c.width}, base={c.base}, interleaved={kind == "interleaved"})')
    laid = grid is not None and kind not in ("learned", "sincos_2d", "relative")
    return f"replace({plain}, grid={grid})" if laid else plain


def pairs_code(chosen: Chosen, made: str, kind: str | None = None) -> str:
    """The Python expression for `pairs_of`, where `made` names the source."""
    biased = (kind or chosen.kind) in ("alibi", "relative")
    if biased:
        return f"position.head_bias({made}, {chosen.head})"
    return f'position.similarity({made}, "{chosen.measure}")'


def script(chosen: Chosen, *lines: str) -> str:
    """A whole program: what it needs, then the lines; it writes `position.png` beside itself."""
    body = "\n".join(lines)
    imports = [line for name, line in IMPORTS if re.search(rf"(?<![\w.]){re.escape(name)}", body)]
    return "\n".join([f'"""Position page of tfsss: {chosen.kind}, {chosen.view}. Run it in the folder of tfsss."""', "",
                      *imports, "", body, ""])
