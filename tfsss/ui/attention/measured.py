"""Deletion and insertion: how faithful each map is on this picture, measured when asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from tfsss.explain.faithfulness import Curves, Faithfulness, faithfulness
from tfsss.explain.inputs import FILLS
from tfsss.explain.methods import METHODS, Comparison
from tfsss.figures.color import meaning
from tfsss.figures.lines import Curve, line_figure
from tfsss.ui import frame, lecture, state, waiting
from tfsss.ui.attention import methods
from tfsss.ui.attention.subject import Subject, relevant, rolled
from tfsss.ui.downloads import Taken
from tfsss.ui.attention.taking import MEASURED_LINES, METHODS_IMPORTS
from tfsss.ui.language import t

STEPS, ORDERS, SEED = 10, 5, 0
KEPT = 8  # results that a session remembers


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="stage"):
        with st.container(key="controls", horizontal=True, vertical_alignment="bottom"):
            fill = state.choice("attention", "fill", FILLS, help=t("attention.fill.help"))
            with st.popover(t("attention.options"), icon=":material/tune:"):
                options = methods.controls(subject)
            key = (*subject.key, options, fill)
            results = st.session_state.setdefault("_attention_measured", {})
            asked = st.button(t("attention.measure"), key="attention_measure", type="primary",
                              icon=":material/play_arrow:", disabled=key in results)
        compared = methods.comparison(subject, options)
        if asked:
            waiting.ask(key, partial(measure, subject, options, compared, fill, key), "attention.measure")
        if stopped := waiting.was_stopped(key):
            waiting.say_stopped(stopped, "attention.measure")
        with lecture.answer("attention.predict.faithfulness"):
            if key in results:
                draw(results[key])
            else:
                st.markdown(t("attention.measure.why", steps=STEPS, orders=ORDERS))
                methods.draw(subject, options, "attention.predict.faithfulness")
                st.caption(methods.range_words(subject, compared))
    return taken(subject, options, compared, results.get(key))


def measure(subject: Subject, options: methods.Options, compared: Comparison, fill: str, key: tuple,
            progress: waiting.Progress) -> None:
    """Both curves of every method and of chance, kept in the session."""
    measured = faithfulness(subject.loaded.model, subject.images, dict(zip(METHODS, compared.shares)), fill=fill,
                            steps=STEPS, random_orders=ORDERS, generator=np.random.default_rng(SEED),
                            class_index=options.class_index, progress=progress)
    results = st.session_state["_attention_measured"]
    results[key] = measured
    while len(results) > KEPT:
        results.pop(next(iter(results)))


def draw(measured: Faithfulness) -> None:
    """Two figures, deletion and insertion, and the areas under their curves."""
    score = t(f"attention.score.{measured.target}")
    ends = [curves for part in (measured.curves, measured.chance) for curves in (part.deletion, part.insertion)]
    low, high = min(map(np.min, ends)), max(map(np.max, ends))
    y_range = (min(0.0, float(low)), float(high) * 1.04)
    for column, name in zip(st.columns(2), ("deletion", "insertion")):
        with column:
            st.markdown(f"**{t(f'attention.{name}')}**")
            figure = line_figure(curves_of(measured, name), x_title=t(f"attention.{name}.part"), y_title=score,
                                 theme=frame.theme(), x_range=(-1, 101), y_range=y_range, height=290)
            st.plotly_chart(figure, key=f"attention_{name}_figure", config={"displayModeBar": False})
    st.markdown(areas(measured))
    said = t("attention.measured.caption", pictures=measured.pictures, orders=len(measured.chance.deletion),
             seed=SEED, fill=t(f"attention.fill.{measured.fill}"), empty=f"{measured.curves.deletion[0, -1]:.2f}")
    st.caption(said + "  \n" + t("attention.measured.end"))


def curves_of(measured: Faithfulness, name: str) -> list[Curve]:
    """A curve a method, and chance with its spread."""
    percent = measured.parts * 100
    curves = [Curve(name=t(f"attention.short.{method}"), x=percent, y=y)
              for method, y in zip(measured.methods, getattr(measured.curves, name))]
    chance = getattr(measured.chance, name)
    return [*curves, Curve(name=t("attention.chance"), x=percent, y=chance.mean(axis=0), spread=chance.std(axis=0),
                           color=meaning("quiet", frame.theme()))]


def areas(measured: Faithfulness) -> str:
    """The table of areas; what beats every random order is bold."""
    head = [t("attention.areas"), *(t(f"attention.short.{method}") for method in measured.methods),
            t("attention.chance")]
    rows = []
    for name in ("deletion", "insertion"):
        values, chance = area(measured.curves, name), area(measured.chance, name)
        better = values < chance.min() if name == "deletion" else values > chance.max()
        cells = [f"**{value:.3f}**" if wins else f"{value:.3f}" for value, wins in zip(values, better)]
        rows.append([t(f"attention.{name}.area"), *cells, f"{chance.mean():.3f} ± {chance.std():.3f}"])
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def area(curves: Curves, name: str) -> np.ndarray:
    """(o,): the areas under the curves of "deletion" or "insertion"."""
    return getattr(curves, f"{name}_area")


def taken(subject: Subject, options: methods.Options, compared: Comparison, measured: Faithfulness | None) -> Taken:
    """The compared maps, with the curves once they are measured."""
    base = methods.taken(subject, options, compared, rolled(subject, options.of_rollout),
                         relevant(subject, options.class_index))
    if measured is None:
        return base

    def arrays() -> dict[str, np.ndarray]:
        curves = {f"{kind}_{name}": getattr(getattr(measured, kind), name) for kind in ("curves", "chance")
                  for name in ("deletion", "insertion", "deletion_area", "insertion_area")}
        return dict(base.arrays()) | curves | {"parts": measured.parts}

    lines = MEASURED_LINES.format(fill=measured.fill, seed=SEED, class_index=options.class_index)
    return replace(base, arrays=arrays, lines=base.lines + lines,
                   imports=METHODS_IMPORTS + "\nfrom tfsss.explain.faithfulness import faithfulness")
