"""One guess: original, masked, reconstruction, seen patches pasted, error, and what a fill without a model makes."""

from __future__ import annotations

from html import escape

import numpy as np
import streamlit as st

from tfsss.explain.mae import Fills, Guess
from tfsss.figures.maps import palette_png
from tfsss.figures.masked import hatched, heat, named_sheet, small_jpeg, small_png
from tfsss.ui import cache, lecture
from tfsss.ui.canvas import canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language, t, weights_name
from tfsss.ui.mae.controls import mask_controls
from tfsss.ui.mae.panels import bar, error, figure, head, note, pairs_table, untrained_badge
from tfsss.ui.mae.subject import Chosen, Subject, Taken
from tfsss.ui.mae.taking import GUESS_IMPORTS, GUESS_LINES, mask_lines

TOP = 0.98  # the part of the pixels below the end of the error's colours
PHONE = 360  # the widest a canvas becomes, on a phone; beside other pictures it is as wide as they are


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls", horizontal=True, vertical_alignment="bottom"):
        chosen = mask_controls(subject)
    made, forward_ms = subject.guess(chosen)
    filled = subject.fills(chosen, made.mask)
    with lecture.answer("mae.predict.guess"):
        draw(subject, chosen, made, filled)
    return taken(chosen, made, filled, forward_ms)


def draw(subject: Subject, chosen: Chosen, made: Guess, filled: Fills) -> None:
    """Six pictures of one size, with numbers beside; the masked one is painted on when the mask is the visitor's."""
    panels = cache.computed(("mae_panels", *subject.key, *chosen.key, language()),
                            lambda: panels_of(subject, made, filled))
    numbers = number_words(subject, made, filled)
    if chosen.pattern != "painted":
        st.html(f'<div class="mae-guess"><div class="mae-six">{"".join(panels)}</div><div>{numbers}</div></div>')
        return
    with st.container(key="mae_painted_panels"):
        st.html(panels[0])
        with st.container(key="mae_brush"):
            paint(subject, chosen)
        st.html(f'<div class="mae-numbers">{numbers}</div>')
        for panel in panels[2:]:
            st.html(panel)


def panels_of(subject: Subject, made: Guess, filled: Fills) -> list[str]:
    """The pictures as HTML, each with what it says."""
    removed, cells, end = int(made.mask.sum()), made.mask.size, error_end(made)
    words = {"removed": removed, "cells": cells, "masked": loss_words(made.loss_masked, removed),
             "visible": loss_words(made.loss_visible, cells - removed), "all": error(made.loss_all),
             "fill": loss_words(filled.loss_harmonic, removed), "clipped": f"{made.clipped:.1%}",
             "rows": made.mask.shape[0], "columns": made.mask.shape[1], "side": subject.pixels.shape[0]}

    def panel(name: str, data: bytes, under: str = "", badges: tuple[str, ...] = ()) -> str:
        return figure(data, t(f"mae.panel.{name}"), t(f"mae.panel.{name}.alt", **words),
                      note=under or t(f"mae.panel.{name}.note", **words), badges=badges,
                      evidence=name in ("original", "masked"))

    badges = tuple(untrained_badge(subject.untrained))
    return [
        panel("original", small_jpeg(made.original)),
        panel("masked", small_png(hatched(made.original, made.mask))),
        panel("raw", small_jpeg(made.raw), badges=badges),
        panel("pasted", small_jpeg(made.pasted), badges=badges),
        panel("error", palette_png(made.error_pixels, vmax=end), bar("0", f"≥ {end:.3g}"), badges),
        panel("harmonic", small_jpeg(filled.harmonic)),
    ]


def paint(subject: Subject, chosen: Chosen) -> None:
    """The visitor's brush."""
    scene = cache.computed(("mae_paint_scene", *subject.key),
                           lambda: pack_scene(grid=subject.grid, picture=small_jpeg(subject.pixels)))
    words = canvas_text(language()) | {"hint_paint": t("mae.hint_paint")}
    st.html(head(t("mae.panel.paint")))
    patch_canvas(scene, key="mae_canvas", text=words, paint=True, painted=chosen.painted,
                 paint_key="mae_painted", width=PHONE)


def number_words(subject: Subject, made: Guess, filled: Fills) -> str:
    """What is counted, and every error that is compared; the smallest on the removed patches is bold."""
    removed, cells = int(made.mask.sum()), made.mask.size
    kept = cells - removed
    counts = pairs_table([
        (t("mae.number.kept"), t("mae.number.of", part=kept, whole=cells)),
        (t("mae.number.removed"), f"{removed} ({removed / cells:.0%})"),
        (t("mae.number.encoder"), str(kept + 1)),
        (t("mae.number.decoder"), str(cells + 1)),
    ])
    compared = [made.loss_masked, filled.loss_harmonic, filled.loss_mean]
    losses = pairs_table([
        (t("mae.number.masked"), loss_words(made.loss_masked, removed)),
        (t("mae.number.harmonic"), loss_words(filled.loss_harmonic, removed)),
        (t("mae.number.mean"), loss_words(filled.loss_mean, removed)),
    ], marked=[int(np.argmin(compared))] if removed and kept else [])
    rest = pairs_table([
        (t("mae.number.visible"), loss_words(made.loss_visible, kept)),
        (t("mae.number.all"), error(made.loss_all)),
    ])
    return "".join([note(t("mae.number.weights", name=escape(weights_name(subject.loaded.entry)))), counts,
                    note(f"<b>{t('mae.number.title')}</b>"), losses, note(f"<b>{t('mae.number.rest')}</b>"), rest,
                    note(t("mae.number.unit"))])


def loss_words(value: float, patches: int) -> str:
    """A loss, or that there is no patch to have one."""
    return error(value) if patches else t("mae.number.none")


def error_end(made: Guess) -> float:
    """Where the error's colours end."""
    return float(np.quantile(made.error_pixels, TOP)) or 1.0


def taken(chosen: Chosen, made: Guess, filled: Fills, forward_ms: float) -> Taken:
    """The six pictures, and every array of the guess."""
    def png() -> bytes:
        return named_sheet([
            [("original", made.original), ("masked", hatched(made.original, made.mask)), ("reconstruction", made.raw)],
            [("seen patches pasted", made.pasted), ("error", heat(made.error_pixels, vmax=error_end(made))),
             ("Laplace fill, no model", filled.harmonic)]], untrained=made.weights == "random")

    def arrays() -> dict[str, np.ndarray]:
        names = ("original", "masked", "raw", "pasted", "prediction", "error_pixels", "error_patches", "mask", "noise",
                 "ids_shuffle", "ids_restore", "ids_keep", "loss_masked", "loss_visible", "loss_all", "weights")
        found = {name: np.asarray(getattr(made, name)) for name in names}
        return found | {"fill_mean": filled.mean, "fill_harmonic": filled.harmonic,
                        "loss_fill_mean": np.asarray(filled.loss_mean),
                        "loss_fill_harmonic": np.asarray(filled.loss_harmonic)}

    return Taken(png=png, arrays=arrays, imports=GUESS_IMPORTS, forward_ms=forward_ms,
                 lines=mask_lines(chosen) + GUESS_LINES.format(end=f"{error_end(made):.6g}"))
