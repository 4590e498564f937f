"""Views of encodings that lie on a grid: one patch against all, and the table brought to another grid."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO

import numpy as np
import streamlit as st
from PIL import Image

from tfsss.explain import position, position_beyond
from tfsss.explain.arrays import arrays_of
from tfsss.explain.position import Bias
from tfsss.explain.position_beyond import Placed, Resized
from tfsss.figures.maps import montage
from tfsss.figures.tiles import similarity_tiles
from tfsss.ui import frame
from tfsss.ui.canvas import Panel, canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t
from tfsss.ui.position.biases import whose
from tfsss.ui.position.chosen import Chosen
from tfsss.ui.position.show import Drawn, number, picture, say
from tfsss.ui.position.sources import code, kept, pairs_code, pairs_of, script, source

MOST_MATRIX = 350  # positions whose whole matrix travels to the browser
MOST_HEADS = 8  # panels beside each other
WAYS = ("right", "transposed", "swapped", "sliced")
CARD = 168  # pixels, the longer side of a card's picture


def draw_grid(chosen: Chosen) -> Drawn:
    """Point at a patch and see how alike all the others are; beside it, many patches' maps at their own places."""
    made = source(chosen)
    if isinstance(made, Bias):
        return draw_window(chosen, made)
    pairs = pairs_of(chosen)
    vmax = 1.0 if pairs.measure == "cosine" else max(abs(pairs.low), abs(pairs.high))
    whole = len(pairs.matrix) <= MOST_MATRIX
    pinned = chosen.patch if whole or chosen.patch is not None else middle(pairs.grid)
    panels = (Panel(values=pairs.matrix if whole else pairs.matrix[pinned]),)
    scene = pack_scene(grid=pairs.grid, panels=panels, scale="signed", vmax=vmax)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        patch_canvas(scene, key="position_grid", text=canvas_text(language()), unit=t(f"position.unit.{pairs.measure}"),
                     pinned=pinned, pin_key="position_patch", width=400)
        if not whole:
            st.caption(t("position.grid.server", positions=len(pairs.matrix)))
    tiles = position.tiles(pairs)
    most = 14 if whole else 9
    drawn = kept(chosen, "tiles", lambda: similarity_tiles(
        tiles / vmax, most=most, zoom=max(1, 500 // (most * max(pairs.grid)))))
    with right:
        (gy, gx), (rows, columns) = pairs.grid, (min(most, side) for side in pairs.grid)
        sides = {"rows": rows, "columns": columns, "gy": gy, "gx": gx}
        picture(drawn, width=400, alt=t("position.tiles.alt", low=number(pairs.low), high=number(pairs.high), **sides))
        st.html(frame.bar(number(-vmax), number(vmax), t(f"position.unit.{pairs.measure}"), scale="signed"))
        said = {"tiles": True, "tiles.thinned": (rows, columns) != (gy, gx),
                "tiles.known": (chosen.kind, made.kind) == ("learned", "learned")}
        st.caption(" ".join(t(f"position.{name}", **sides) for name, true in said.items() if true))
    return Drawn(png=lambda: drawn, arrays=lambda: arrays_of(pairs=pairs, tiles=tiles, patch=middle(pairs.grid)
                                                           if pinned is None else pinned),
                 script=script(chosen, f"made = {code(chosen)}", f"pairs = {pairs_code(chosen, 'made')}",
                               f"tiles = position.tiles(pairs) / {vmax}  # gy gx gy gx",
                               f'Path("position.png").write_bytes(similarity_tiles(tiles, most={most}, zoom=2))'))


def draw_window(chosen: Chosen, bias: Bias) -> Drawn:
    """What each head adds to the scores of one token of a window."""
    heads = bias.bias[:MOST_HEADS]
    scene = pack_scene(grid=bias.grid, panels=tuple(Panel(values=head) for head in heads), scale="signed",
                       vmax=float(np.abs(bias.bias).max()))
    patch_canvas(scene, key="position_window", text=canvas_text(language()), unit=t("position.unit.bias"),
                 pinned=chosen.patch, pin_key="position_patch", width=400 if len(heads) == 1 else 300,
                 columns=min(4, len(heads)),
                 titles=[t("position.head.name", head=head) for head in range(len(heads))])
    say(whose(chosen))
    token = middle(bias.grid) if chosen.patch is None else chosen.patch
    maps = bias.bias[:, token].reshape(1, -1, *bias.grid)
    return Drawn(png=lambda: montage(maps, scale="signed", zoom=24, gap=8), arrays=lambda: arrays_of(bias=bias),
                 script=script(chosen, f"bias = {code(chosen)}",
                               f"maps = bias.bias[:, {token}].reshape(1, -1, *bias.grid)",
                               'Path("position.png").write_bytes(montage(maps, scale="signed", zoom=24, gap=8))'))


def middle(grid: tuple[int, int]) -> int:
    """The patch in the middle."""
    return grid[0] // 2 * grid[1] + grid[1] // 2


def draw_resize(chosen: Chosen) -> Drawn:
    """One table on another grid: rightly, in the wrong order, and cut instead of resized."""
    made, new = source(chosen), (chosen.new_rows, chosen.new_columns)
    result: Resized = kept(chosen, "resize",
                           lambda: position_beyond.resize(made, new, antialias=chosen.antialias))
    old = f"{made.grid[0]} × {made.grid[1]}"
    cards = [card(result.old_colours, t("position.resize.old", grid=old), t("position.resize.old.say"))]
    cards += [card(getattr(result, way).colours, t(f"position.resize.{way}"), verdict(getattr(result, way)))
              for way in WAYS]
    st.html(f'<div class="tfsss-cards">{"".join(cards)}</div>')
    said = t("position.resize.cut", wanted=result.rows_wanted, given=result.rows_sliced)
    if result.refusal is None:
        said += " " + t("position.resize.silent")
    say(said, wanted=result.rows_wanted, given=result.rows_sliced)
    if result.refusal is not None:
        st.code(f"tokens + pos_embed[:, :{result.rows_wanted}]\nRuntimeError: {result.refusal}", language=None)
    return Drawn(png=lambda: strip(result), arrays=lambda: arrays_of(resized=result),
                 script=script(chosen, f"made = {code(chosen)}",
                               f"resized = position_beyond.resize(made, {new}, antialias={chosen.antialias})",
                               'for way in ("right", "transposed", "swapped", "sliced"):',
                               "    print(way, np.nanmean(getattr(resized, way).agreement))",
                               "colours = np.uint8(255 * resized.right.colours)",
                               'Image.fromarray(colours).resize((400, 400), 0).save("position.png")'))


def verdict(placed: Placed) -> str:
    """Agreement with the right table, and how many patches stand where they are."""
    known = np.isfinite(placed.agreement)
    at_home = float((placed.believed == np.arange(len(placed.believed)))[known].mean())
    return t("position.resize.say", mean=f"{placed.agreement[known].mean():.3f}",
             worst=f"{placed.agreement[known].min():.3f}".replace("-", "−"), home=f"{at_home:.0%}")


def card(colours: np.ndarray, title: str, words: str) -> str:
    """One table as colours on its grid, with what is to be said of it."""
    rows, columns = colours.shape[:2]
    cell = CARD / max(rows, columns)
    address = b64encode(rgb_png(colours)).decode()
    return (f'<figure><div class="box"><img style="width:{cell * columns:.0f}px;aspect-ratio:{columns}/{rows}" '
            f'alt="{escape(title)}: {rows} × {columns}. {escape(words)}" src="data:image/png;base64,{address}"></div>'
            f"<figcaption><b>{escape(title)}</b><br>{words}</figcaption></figure>")


def rgb_png(colours: np.ndarray) -> bytes:
    """Colours in 0..1 as PNG, a pixel a patch; what is not there becomes grey hatch."""
    known = np.isfinite(colours[..., :1])
    stripe = np.where(np.add.outer(*map(np.arange, colours.shape[:2])) % 2, 176, 132)[..., None]
    pixels = np.where(known, np.nan_to_num(colours) * 255, stripe).round().astype(np.uint8)
    saved = BytesIO()
    Image.fromarray(pixels).save(saved, "PNG")
    return saved.getvalue()


def strip(result: Resized) -> bytes:
    """All five pictures beside each other."""
    parts = [result.old_colours, *(getattr(result, way).colours for way in WAYS)]
    sheet = Image.new("RGB", (CARD * len(parts) + 16 * (len(parts) - 1), CARD), "white")
    for order, colours in enumerate(parts):
        tile = Image.open(BytesIO(rgb_png(colours)))
        cell = CARD / max(tile.size)
        size = (max(1, round(tile.width * cell)), max(1, round(tile.height * cell)))
        sheet.paste(tile.resize(size, Image.Resampling.NEAREST), (order * (CARD + 16), 0))
    saved = BytesIO()
    sheet.save(saved, "PNG")
    return saved.getvalue()
