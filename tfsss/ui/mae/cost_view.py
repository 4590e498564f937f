"""What the encoder saves by not seeing: tokens and operations counted, milliseconds measured."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain.mae_shuffle import Savings, Times, savings, times
from tfsss.figures.lines import Curve, line_figure
from tfsss.figures.masked import named_sheet
from tfsss.models.mae import VARIANTS
from tfsss.ui import cache, frame, lecture, state
from tfsss.ui.language import t, weights_name
from tfsss.ui.mae.controls import ROOM, ratio_control
from tfsss.ui.mae.panels import note, pairs_table
from tfsss.ui.mae.subject import Chosen, Subject, Taken
from tfsss.ui.mae.taking import COST_IMPORTS, COST_LINES
from tfsss.ui.mae.waiting import one_by_one

RATIOS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
THIS, SHAPES = "this", ("b16", "l16", "h14")
REPEATS = 5


def show(subject: Subject) -> Taken | None:
    """The view."""
    with st.container(key="controls", horizontal=True, vertical_alignment="bottom"):
        shape = state.choice(ROOM, "shape", (THIS, *SHAPES), help=t("mae.shape.help"))
        ratio = ratio_control()
        st.button(t("mae.again"), key="mae_again", icon=":material/timer:", on_click=_again)
    config = subject.loaded.model.config if shape == THIS else VARIANTS[shape]
    saved, here = savings(config, RATIOS), savings(config, (0.0, ratio))
    with lecture.answer("mae.predict.cost"):
        st.markdown(sentence(here))
        counted, measured = st.columns(2, gap="medium")
        with counted:
            st.markdown(f"**{t('mae.cost.counted')}**")
            st.plotly_chart(operations_figure(saved), key="mae_operations", config={"displayModeBar": False})
            st.html(counts_table(here))
        with measured:
            st.markdown(f"**{t('mae.cost.measured', model=weights_name(subject.loaded.entry))}**")
            timed = measure(subject)
            if timed is None:
                return None
            st.plotly_chart(times_figure(timed), key="mae_times", config={"displayModeBar": False})
            st.html(times_table(timed))
    source = "loaded.model.config" if shape == THIS else f'VARIANTS["{shape}"]'
    return Taken(png=lambda: png(saved, timed), arrays=lambda: arrays(saved, timed), imports=COST_IMPORTS,
                 lines=COST_LINES.format(config=source, ratios=RATIOS))


def _again() -> None:
    st.session_state["_mae_run"] = st.session_state.get("_mae_run", 0) + 1


def measure(subject: Subject) -> list[Times] | None:
    """One ratio after another; None when the visitor stopped it."""
    key = ("mae_times", *subject.key, st.session_state.get("_mae_run", 0))
    return one_by_one(RATIOS, lambda ratio: cache.computed(
        (*key, ratio), lambda: times(subject.pixels, subject.loaded, (ratio,), repeats=REPEATS)),
        key=key, words="mae.cost")


def sentence(here: Savings) -> str:
    """What this ratio saves."""
    whole, part = int(here.encoder[0]), int(here.encoder[1])
    return t("mae.cost.sentence", tokens=int(here.encoder_tokens[1]), all=int(here.encoder_tokens[0]),
             times=f"{whole / part:.1f}", both=f"{(whole + here.decoder) / (part + here.decoder):.1f}")


def operations_figure(saved: Savings):
    """Operations against ratio: the encoder, the decoder, and the encoder if it were shown mask tokens."""
    percent, giga = saved.ratios * 100, 1e9
    curves = [Curve(name=t("mae.cost.encoder"), x=percent, y=saved.encoder / giga, color="#CC79A7"),
              Curve(name=t("mae.cost.decoder"), x=percent, y=np.full(len(percent), saved.decoder / giga),
                    color="#56B4E9"),
              Curve(name=t("mae.cost.mask_tokens"), x=percent, y=saved.mask_tokens / giga, color="#D55E00")]
    return line_figure(curves, x_title=t("mae.cost.x"), y_title=t("mae.cost.operations"), theme=frame.theme(),
                       x_range=(-3, 103), y_range=(0, _above(*(curve.y for curve in curves))), height=255, markers=True)


def times_figure(made: list[Times]):
    """Milliseconds against ratio."""
    percent = np.array(RATIOS) * 100
    parts = {name: np.array([getattr(one, name)[0] for one in made]) for name in ("encoder", "decoder")}
    curves = [Curve(name=t("mae.cost.encoder"), x=percent, y=parts["encoder"], color="#CC79A7"),
              Curve(name=t("mae.cost.decoder"), x=percent, y=parts["decoder"], color="#56B4E9")]
    return line_figure(curves, x_title=t("mae.cost.x"), y_title=t("mae.cost.ms"), theme=frame.theme(),
                       x_range=(-3, 103), y_range=(0, _above(*parts.values())), height=255, markers=True)


def _above(*values: np.ndarray) -> float:
    return float(max(part.max() for part in values)) * 1.08


def counts_table(here: Savings) -> str:
    """Operations at this ratio."""
    def giga(value: float) -> str:
        return f"{value / 1e9:.3g} G"

    return pairs_table([
        (t("mae.cost.seeing_all"), giga(int(here.encoder[0]))),
        (t("mae.cost.seeing_part", ratio=f"{here.ratios[1]:.0%}"), giga(int(here.encoder[1]))),
        (t("mae.cost.decoder"), giga(here.decoder)),
        (t("mae.cost.pairs"), f"{int(here.encoder_tokens[1]) ** 2:,} / {int(here.encoder_tokens[0]) ** 2:,}"),
    ])


def times_table(made: list[Times]) -> str:
    """The measured numbers."""
    rows = [(t("mae.cost.at", ratio=f"{ratio:.0%}"), f"{one.encoder[0]:.1f} + {one.decoder[0]:.1f}")
            for ratio, one in zip(RATIOS, made)]
    chosen = RATIOS.index(Chosen.ratio)
    return pairs_table(rows, marked=[chosen]) + note(t("mae.cost.note", repeats=REPEATS))


def png(saved: Savings, made: list[Times]) -> bytes:
    """Bars, because the curves live in the browser: operations of the encoder, then its milliseconds."""
    bars = []
    for values in (saved.encoder, np.array([one.encoder[0] for one in made])):
        sheet = np.full((200, 40 * len(values), 3), 255, np.uint8)
        for place, value in enumerate(values / values.max()):
            sheet[200 - max(1, round(196 * value)):, 40 * place + 4:40 * place + 36] = (0xCC, 0x79, 0xA7)
        bars.append(sheet)
    ratios = " ".join(f"{ratio:.0%}" for ratio in RATIOS)
    return named_sheet([[(f"encoder, operations, {ratios}", bars[0]), (f"encoder, ms, {ratios}", bars[1])]], side=420)


def arrays(saved: Savings, made: list[Times]) -> dict[str, np.ndarray]:
    """Counts and times."""
    return {"ratios": saved.ratios, "kept": saved.kept, "encoder_tokens": saved.encoder_tokens,
            "encoder_operations": saved.encoder, "decoder_operations": np.asarray(saved.decoder),
            "mask_tokens_operations": saved.mask_tokens,
            "encoder_ms": np.array([one.encoder[0] for one in made]),
            "decoder_ms": np.array([one.decoder[0] for one in made])}
