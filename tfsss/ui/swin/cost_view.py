"""Windowed against global attention: how the multiplications grow with the picture."""

from __future__ import annotations

from html import escape

import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin_parts import SIZES, Costs, costs
from tfsss.figures.costs import cost_svg
from tfsss.figures.masked import named_sheet
from tfsss.figures.windows import log_bars
from tfsss.ui import cache, frame, lecture, state
from tfsss.ui.language import t
from tfsss.ui.swin.pieces import address, note, table
from tfsss.ui.swin.subject import ROOM, Subject, Taken

SIDE, WINDOW, WIDTH, PATCH = 224, 7, 96, 4  # Swin-T's first stage
MOST_WINDOW = 16
IMPORTS = """from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin_parts import costs
from tfsss.figures.masked import named_sheet
from tfsss.figures.windows import log_bars"""
LINES = """made = costs(patch_size={patch}, channels={channels}, window={window})
for size, everyone, windowed in zip(made.sizes, made.global_total, made.window_total):
    print(f"{{size}} pixels: global {{everyone:,}}, windowed {{windowed:,}}, {{everyone / windowed:.2f}} times")
names = f"{{made.sizes[0]}} to {{made.sizes[-1]}} pixels, multiplications, log scale"
png = named_sheet([[("global (orange) and windowed (blue), " + names, log_bars(made.global_total, made.window_total))]],
                  side=560)
arrays = arrays_of(made=made)
"""


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls"), st.container(key="swin_cut", horizontal=True, vertical_alignment="bottom"):
        side = state.among(ROOM, "side", SIZES, SIDE)
        window = state.slide(ROOM, "cost_window", 1, MOST_WINDOW, WINDOW)
        channels = int(state.choice(ROOM, "width", ["32", "64", "96", "128"], default=str(WIDTH), show=str))
        patch = int(state.choice(ROOM, "patch", ["2", "4", "8", "16"], default=str(PATCH), show=str))
    made = cache.computed(("swin_costs", window, channels, patch),
                          lambda: costs(patch_size=patch, channels=channels, window=window))
    at = SIZES.index(side)
    with lecture.answer("swin.predict.cost"):
        left, right = st.columns([5, 4], gap="medium")
        with left:
            alt = t("swin.cost.alt", side=side, everyone=millions(made.global_total[at]),
                    windowed=millions(made.window_total[at]))
            picture = address(drawing(made, at).encode())
            st.html(f"<div class=\"swin-plot\"><img alt=\"{escape(alt)}\" src=\"{picture}\"></div>")
        with right:
            st.markdown(t("swin.cost.formulas"))
            st.html(numbers_table(made, at) + note(sentence(made, at)))
    lines = LINES.format(patch=patch, channels=channels, window=window)
    return Taken(png=lambda: sheet(made), arrays=lambda: arrays_of(made=made), imports=IMPORTS, lines=lines, ran=False)


def drawing(made: Costs, at: int) -> str:
    """Both costs on logarithmic axes, with the parts that differ; the setting as diamonds."""
    series = {t("swin.cost.global"): made.global_total, t("swin.cost.windowed"): made.window_total,
              t("swin.cost.pairs"): made.global_pairs, t("swin.cost.window_pairs"): made.window_pairs}
    shown = {name: values / 1e9 for name, values in series.items()}
    return cost_svg(made.sizes, shown, here=(int(made.sizes[at]), {name: values[at] for name, values in shown.items()}),
                    here_name=t("swin.cost.here"), x_title=t("swin.cost.x"), y_title=t("swin.cost.y"),
                    theme=frame.theme(), size=(540, 400))


def numbers_table(made: Costs, at: int) -> str:
    """The terms of both formulas at this setting."""
    hw, padded, m, c = made.grids[at], made.padded[at], made.window, made.channels
    rows = [
        (t("swin.cost.linear"), millions(made.linear[at]), millions(made.window_linear[at])),
        (t("swin.cost.among"), millions(made.global_pairs[at]), millions(made.window_pairs[at])),
        (f"<b>{t('swin.cost.sum')}</b>", f"<b>{millions(made.global_total[at])}</b>",
         f"<b>{millions(made.window_total[at])}</b>"),
        (t("swin.cost.weights"), millions(made.global_weights[at]), millions(made.window_weights[at])),
    ]
    head = (f"h = w = {hw}, C = {c}, M = {m}", t("swin.cost.head.global"), t("swin.cost.head.windowed"))
    padding = note(t("swin.cost.padded", side=hw, padded=padded, m=m)) if padded > hw else ""
    return table(rows, head=head) + padding


def sentence(made: Costs, at: int) -> str:
    """How many times as much, here and on a picture of twice the side."""
    ratio = made.global_total / made.window_total
    words = {"side": int(made.sizes[at]), "times": f"{ratio[at]:.2f}"}
    if at + 1 == len(SIZES):
        return t("swin.cost.sentence.last", **words)
    return t("swin.cost.sentence", double=int(made.sizes[at + 1]), then=f"{ratio[at + 1]:.1f}",
             everyone=f"{made.global_total[at + 1] / made.global_total[at]:.1f}",
             windowed=f"{made.window_total[at + 1] / made.window_total[at]:.1f}", **words)


def millions(value: int) -> str:
    """Multiplications in millions."""
    return f"{value / 1e6:,.2f}" if value < 1e7 else f"{value / 1e6:,.0f}"


def sheet(made: Costs) -> bytes:
    """Bars, because the curves live in the browser."""
    names = f"{made.sizes[0]} to {made.sizes[-1]} pixels, multiplications, log scale"
    return named_sheet([[("global (orange) and windowed (blue), " + names,
                          log_bars(made.global_total, made.window_total))]], side=560)
