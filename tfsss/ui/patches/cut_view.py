"""The picture cut into patches, and one of them on its way to a token."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain import patches
from tfsss.explain.arrays import arrays_of
from tfsss.figures import patches as draw
from tfsss.figures.overlay import jpeg
from tfsss.figures.scales import top
from tfsss.ui import cache, state
from tfsss.ui.beside import beside
from tfsss.ui.canvas import canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t
from tfsss.ui.patches import pieces
from tfsss.ui.patches.setting import Setting, Taken

PATCH, HELD = "patches_patch", "_patches_held"
SIDE = (460, 400)  # greatest width and height of the picture, CSS pixels
FINEST = 5  # CSS pixels between lines, below which they would hide the picture
LINES = """patch = patches.one_patch(cut, loaded, {number})
tokens = patches.embed(cut, loaded)
print(f"patch {{patch.number}} at {{patch.place}}: {{patch.pixels.shape}} -> {{patch.channels_first.shape}}"
      f" -> {{patch.embedding.shape}}, {{patch.weights}} projection")
print(f"convolution against unfold and linear: largest difference {{tokens.largest_difference:.1e}}")
png = draw.numbered(cut.pixels, cut.boxes, chosen={number})
arrays = arrays_of(cut=cut, patch=patch, tokens=tokens)"""


def choose_patch(cut: patches.Cut) -> int:
    """The number field, which the canvas writes into."""
    _hold(cut)
    gy, gx = cut.grid
    number = state.number("patches", "patch", 0, gy * gx - 1, gy // 2 * gx + gx // 2,
                          help=t("patches.patch.help", last=gy * gx - 1))
    left, up, right, down = cut.boxes[number] / np.tile(cut.pixels.shape[1::-1], 2)
    st.session_state[HELD] = (_shape(cut), number, ((left + right) / 2, (up + down) / 2))
    return number


def show(setting: Setting, cut: patches.Cut, number: int) -> Taken:
    """The view."""
    patch = cache.computed(("patches_one", *setting.key, number),
                           lambda: patches.one_patch(cut, setting.loaded, number))
    difference = cache.computed(("patches_difference", *setting.key),
                                lambda: patches.embed(cut, setting.loaded).largest_difference)
    with beside("cut", 1, 1):
        _canvas(setting, cut, number)
        st.html(cache.computed(("patches_road", *setting.key, number, language()), lambda: _road(setting, patch)))
        st.html(_facts(setting, cut, difference))
    return Taken(png=lambda: draw.numbered(cut.pixels, cut.boxes, chosen=number), lines=LINES.format(number=number),
                 arrays=lambda: arrays_of(cut=cut, patch=patch, tokens=patches.embed(cut, setting.loaded)))


def _hold(cut: patches.Cut) -> None:
    """When the grid changes, the place in the picture stays; when the canvas lets go, the patch does."""
    if HELD not in st.session_state:
        return
    shape, number, middle = st.session_state[HELD]
    if shape != _shape(cut):
        middles = (cut.boxes[:, :2] + cut.boxes[:, 2:]) / 2 / cut.pixels.shape[1::-1]
        st.session_state[PATCH] = int(((middles - middle) ** 2).sum(axis=1).argmin())
    elif PATCH in st.session_state and st.session_state[PATCH] is None:
        st.session_state[PATCH] = number


def _shape(cut: patches.Cut) -> tuple:
    return cut.grid, cut.patch_size, cut.stride


def _canvas(setting: Setting, cut: patches.Cut, number: int) -> None:
    scene = cache.computed(("patches_scene", *setting.key),
                           lambda: pack_scene(grid=cut.grid, picture=jpeg(draw.unseen_hatched(cut.pixels, cut.boxes))))
    height, width = cut.pixels.shape[:2]
    size, stride = cut.patch_size, cut.stride
    words = canvas_text(language()) | {"hint_pinned": t("patches.hint")}
    shown = min(SIDE[0], round(SIDE[1] * width / height))
    patch_canvas(scene, key="patches_canvas", text=words, pinned=number, pin_key=PATCH, labels=True, width=shown,
                 grid=stride * shown / width >= FINEST,
                 boxes=None if size == stride else (size / width, size / height, stride / width, stride / height))


def _facts(setting: Setting, cut: patches.Cut, difference: float) -> str:
    """What the policy lost or added, how often a pixel is seen, and that the two ways to cut agree."""
    (height, width), source = cut.pixels.shape[:2], cut.source
    said = [t("patches.size_fact", original_width=setting.picture.width, original_height=setting.picture.height,
              source_width=source[1], source_height=source[0], width=width, height=height,
              stride=cut.stride, columns=cut.grid[1], rows=cut.grid[0], count=len(cut.boxes))]
    if cut.policy == "stretch":
        said.append(t("patches.stretched", across=f"{cut.scale[1]:.3f}", down=f"{cut.scale[0]:.3f}"))
    else:
        changed, whole = (cut.lost_pixels, source[0] * source[1]) if cut.policy == "crop" else \
            (cut.added_pixels, height * width)
        said.append(t(f"patches.{'lost' if cut.policy == 'crop' else 'added'}", pixels=f"{changed:,}",
                      percent=f"{100 * changed / whole:.1f}"))
    if cut.unseen_pixels:
        said.append(t("patches.unseen", pixels=f"{cut.unseen_pixels:,}",
                      percent=f"{100 * cut.unseen_pixels / (height * width):.1f}"))
    elif cut.stride < cut.patch_size:
        said.append(t("patches.cover", times=f"{cut.mean_cover:.2f}"))
    agree = t("patches.agree", count=len(cut.boxes), difference=f"{difference:.1e}")
    return pieces.note(agree) + pieces.note(*said)


def _road(setting: Setting, patch: patches.OnePatch) -> str:
    """Pixels, the two flat vectors, the embedding: one piece of HTML, so that all change at once."""
    row, column = patch.place
    left, up, right, down = patch.box
    size, width = setting.patch_size, len(patch.embedding)
    where = t("patches.where", number=patch.number, row=row, column=column, left=left, right=right - 1, top=up,
              bottom=down - 1)
    pixels = pieces.image(draw.patch_png(patch.pixels), t("patches.pixels_alt", number=patch.number, size=size),
                          name="tfsss-patch")
    end = top(patch.channels_first)
    parts = [f'<div class="tfsss-road">{pixels}<div>{pieces.bold(where)}{pieces.shapes(size, width)}</div></div>']
    marks = np.arange(3).repeat(size**2)
    for pattern, values, channels in (("c p q", patch.channels_first, marks),
                                      ("p q c", patch.channels_last, np.tile(np.arange(3), size**2))):
        read = t("patches.read" if pattern == patch.order else "patches.not_read")
        words = t(f"patches.order.{pattern.replace(' ', '')}")
        parts.append(f'<div class="tfsss-strip">{pieces.order(pattern)} {words} <em>{read}</em></div>')
        parts.append(pieces.image(draw.strip(values, columns=draw.line_length(size), vmax=end, channels=channels),
                                  t("patches.strip_alt", order=pattern, count=len(values), low=f"{values.min():.2f}",
                                    high=f"{values.max():.2f}"), name="tfsss-line"))
    parts += [pieces.bar(end, t("patches.unit.pixel")), _numbers(patch, size), _embedding(setting, patch)]
    return "".join(parts)


def _numbers(patch: patches.OnePatch, size: int) -> str:
    """The first few numbers of both orders, the first of the second channel, the last: which pixel's, and the value."""
    area = size**2
    shown = [0, 1, 2, area, 3 * area - 1]
    rows = []
    for pattern, values in (("c p q", patch.channels_first), ("p q c", patch.channels_last)):
        cells = [pieces.order(pattern)]
        for index in shown:
            channel, pixel = divmod(index, area) if pattern == "c p q" else divmod(index, 3)[::-1]
            name = f'<span class="tfsss-{pieces.CHANNEL[channel]}">{pieces.CHANNEL[channel]}</span>'
            cells.append(f"{name}<sub>{pixel // size},{pixel % size}</sub> {pieces.signed(values[index])}")
        rows.append(cells)
    return pieces.table([t("patches.index"), *map(str, shown)], rows)


def _embedding(setting: Setting, patch: patches.OnePatch) -> str:
    values, end = patch.embedding, top(patch.embedding)
    strongest = int(np.abs(values).argmax())
    columns = next(each for each in (96, 64, 48, len(values)) if len(values) % each == 0)
    words = t("patches.embedding", count=len(values), channel=strongest, value=pieces.signed(values[strongest], 3),
              norm=f"{np.linalg.norm(values):.2f}")
    picture = pieces.image(draw.strip(values, columns=columns, vmax=end, size=(768, 72)), words, name="tfsss-line")
    note = pieces.random_note(setting.patch_size, setting.own) if patch.weights == "random" else ""
    return (f'<div class="tfsss-strip">{words}</div><div class="tfsss-under">{picture}{note}</div>'
            f'{pieces.bar(end, t("patches.unit.embedding"))}')
