"""What a window knows about distance: the bias tables of the weights, and how a pair of places finds its row."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.position import RelativeSteps, relative_steps
from tfsss.explain.swin_parts import BlockBias, trained_biases
from tfsss.figures.color import meaning
from tfsss.figures.maps import palette_png
from tfsss.figures.masked import named_sheet
from tfsss.figures.windows import matrix
from tfsss.ui import cache, frame, lecture, state
from tfsss.ui.language import t
from tfsss.ui.swin.pieces import address, bar, note, signed, table
from tfsss.ui.swin.subject import ROOM, Subject, Taken

IMPORTS = """from tfsss.explain.arrays import arrays_of
from tfsss.explain.position import relative_steps
from tfsss.explain.swin_parts import trained_biases
from tfsss.figures.masked import named_sheet
from tfsss.figures.windows import matrix"""
LINES = """biases = trained_biases(loaded)
end = max(one.largest for one in biases)
steps = relative_steps(({small}, {small}))
print("index of query {query}, key {key}:", steps.index[{query}, {key}], "of", (2 * {small} - 1) ** 2, "rows")
print(steps.index)
png = named_sheet([[(f"stage {{one.stage}} block {{one.block}} head {{head}}", matrix(table, vmax=end, scale="signed"))
                    for head, table in enumerate(one.bias.table)] for one in biases],
                  side=150, untrained=loaded.entry.weights == "random")
arrays = arrays_of(biases=biases, steps=steps)
"""
SMALL = ("2", "3", "4")  # windows whose index can be written out


def show(subject: Subject) -> Taken:
    """The view."""
    biases = cache.computed(("swin_biases", subject.loaded.entry.id), lambda: trained_biases(subject.loaded))
    blocks = {f"{one.stage}.{one.block}": one for one in biases}
    with st.container(key="controls"), st.container(key="swin_cut", horizontal=True, vertical_alignment="bottom"):
        block = blocks[state.choice(ROOM, "block", list(blocks), kind="select",
                                    show=lambda name: t("swin.bias.block", stage=name[0], block=name[2:]))]
        head = state.number(ROOM, "head", 0, len(block.bias.table) - 1, 0)
        small = int(state.choice(ROOM, "small", SMALL, default="3", show=lambda side: f"{side} × {side}",
                                 help=t("swin.small.help")))
        state.follow(ROOM, "from", small**2 - 1)
        query = state.number(ROOM, "from", 0, small**2 - 1, small**2 - 1)
        key = state.number(ROOM, "to", 0, small**2 - 1, 1)
    steps = relative_steps((small, small))
    with lecture.answer("swin.predict.bias"):
        left, right = st.columns([6, 5], gap="medium")
        with left:
            st.html(note(t("swin.bias.tables")) + tables(subject, biases, block, head))
        with right:
            st.html(note(t("swin.bias.derive", m=small)) + derivation(steps, query, key, block, head)
                    + index_table(steps, query, key))
    lines = LINES.format(small=small, query=query, key=key)
    return Taken(png=lambda: sheet(subject, biases), arrays=lambda: arrays_of(biases=biases, steps=steps),
                 imports=IMPORTS, lines=lines)


def tables(subject: Subject, biases: tuple[BlockBias, ...], block: BlockBias, head: int) -> str:
    """Every head of every block on one scale, by offset; the chosen one framed."""
    end = max(one.largest for one in biases)
    drawn = cache.computed(("swin_bias_tables", subject.loaded.entry.id), lambda: [
        [palette_png(one, scale="signed", vmax=end, zoom=3) for one in each.bias.table] for each in biases])
    rows = []
    for each, pictures in zip(biases, drawn):
        made = []
        for number, picture in enumerate(pictures):
            values, middle = each.bias.table[number], each.bias.table.shape[1] // 2
            alt = t("swin.bias.alt", stage=each.stage, block=each.block, head=number, low=signed(values.min()),
                    high=signed(values.max()), here=signed(values[middle, middle]))
            here = "here" if each is block and number == head else ""
            made.append(f'<img class="{here}" alt="{escape(alt)}" title="{escape(alt)}" src="{address(picture)}">')
        rows.append(f'<div>{escape(t("swin.bias.block", stage=each.stage, block=each.block))}</div>'
                    f'<div class="heads">{"".join(made)}</div>')
    badge = f'<span class="swin-badge">{escape(t("swin.untrained"))}</span>' if subject.untrained else ""
    side = block.bias.table.shape[1] // 2
    return (f'{badge}<div class="swin-biases">{"".join(rows)}</div>'
            + bar(signed(-end), f"+{end:.3g}", t("swin.bias.unit"), scale="signed")
            + note(t("swin.bias.axes", reach=side)))


def derivation(steps: RelativeSteps, query: int, key: int, block: BlockBias, head: int) -> str:
    """From two pairs of coordinates to one number, and what the weights say for this offset."""
    m = steps.window[0]
    offset, shifted, scaled = (getattr(steps, name)[query, key] for name in ("offsets", "shifted", "scaled"))
    half = block.bias.table.shape[1] // 2
    rows = [
        (t("swin.bias.places"), f"{pair(steps.coordinates[query])}, {pair(steps.coordinates[key])}"),
        (t("swin.bias.offset"), pair(offset)),
        (t("swin.bias.shifted", add=m - 1), pair(shifted)),
        (t("swin.bias.scaled", row=2 * m - 1), pair(scaled)),
        (f"<b>{t('swin.bias.index')}</b>", f"<b>{scaled[0]} + {scaled[1]} = {steps.index[query, key]}</b>"),
    ]
    if max(abs(offset)) <= half:
        value = float(block.bias.table[head, half + offset[0], half + offset[1]])
        rows.append((t("swin.bias.value", stage=block.stage, block=block.block, head=head), signed(value, "+.4f")))
    return table(rows)


def pair(values: np.ndarray) -> str:
    """(y, x)."""
    return "(" + ", ".join(signed(value, "d") for value in values.tolist()) + ")"


def index_table(steps: RelativeSteps, query: int, key: int) -> str:
    """The whole index, query down and key across."""
    theme = frame.theme()
    count = len(steps.index)
    top = "".join(f'<th class="{"key" if column == key else ""}">{column}</th>' for column in range(count))
    rows = [f"<tr><th></th>{top}</tr>"]
    for number, line in enumerate(steps.index.tolist()):
        cells = "".join(f'<td class="{"here" if (number, column) == (query, key) else ""}">{value}</td>'
                        for column, value in enumerate(line))
        rows.append(f'<tr><th class="{"query" if number == query else ""}">{number}</th>{cells}</tr>')
    colours = f'--swin-query:{meaning("query", theme)};--swin-key:{meaning("key", theme)}'
    return (f'<div class="swin-scroll" style="{colours}"><table class="swin-table numbers tight">{"".join(rows)}'
            "</table></div>" + note(t("swin.bias.matrix")))


def sheet(subject: Subject, biases: tuple[BlockBias, ...]) -> bytes:
    """Every table."""
    end = max(one.largest for one in biases)
    return named_sheet([[(f"stage {one.stage} block {one.block} head {head}", matrix(table, vmax=end, scale="signed"))
                         for head, table in enumerate(one.bias.table)] for one in biases],
                       side=150, untrained=subject.untrained)
