"""Pixels or normalised pixels as the target, and three ways back to colour, one of which leaks the answer."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain.mae import Guess
from tfsss.explain.mae_targets import OneWay, WaysBack
from tfsss.figures.masked import enlarged, heat, named_sheet, signed_colours, small_jpeg, small_png
from tfsss.ui import lecture, state
from tfsss.ui.language import t
from tfsss.ui.mae.controls import ROOM, mask_controls
from tfsss.ui.mae.panels import bar, error, figure, figures, untrained_badge
from tfsss.ui.mae.subject import Subject, Taken
from tfsss.ui.mae.taking import TARGETS_IMPORTS, TARGETS_LINES, mask_lines

END = 2.5  # deviations: where the colours of normalised targets end
ZOOM = 8  # pixels a side of one patch in the maps


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls", horizontal=True, vertical_alignment="bottom"):
        chosen = mask_controls(subject)
        shown = state.choice(ROOM, "show", ("pasted", "raw"))
        perfect = state.switch(ROOM, "perfect", help=t("mae.perfect.help"))
    made, _ = subject.guess(chosen)
    back, forward_ms = subject.ways_back(chosen, perfect)
    with lecture.answer("mae.predict.targets"):
        st.html(figures([*target_panels(subject, back), *way_panels(subject, made, back, shown)], across=4, side=196))
        st.caption(t(f"mae.targets.by.{back.guessed_by.replace(', ', '_')}"))
    lines = mask_lines(chosen) + TARGETS_LINES.format(perfect=perfect, show=shown, end=END)
    return Taken(png=lambda: png(subject, back, shown), arrays=lambda: arrays(back), imports=TARGETS_IMPORTS,
                 lines=lines, forward_ms=forward_ms)


def target_panels(subject: Subject, back: WaysBack) -> list[str]:
    """The pixel target, the normalised target, and what normalising took away."""
    low, high = float(back.mean.min()), float(back.mean.max())
    words = {"low": f"{low:.2f}", "high": f"{high:.2f}", "deviation": f"{back.deviation.max():.2f}", "end": END}
    end = max(abs(low), abs(high)) or 1.0
    largest = float(back.deviation.max()) or 1.0
    maps = {
        "pixel": (small_jpeg(subject.pixels), ""),
        "normalised": (small_png(signed_colours(back.targets, vmax=END)), ""),
        "mean": (small_png(enlarged(heat(back.mean, vmax=end, scale="signed"), ZOOM)),
                 bar(f"−{end:.2f}", f"+{end:.2f}", "signed")),
        "deviation": (small_png(enlarged(heat(back.deviation, vmax=largest), ZOOM)), bar("0", f"{largest:.2f}")),
    }
    return [figure(data, t(f"mae.target.{name}"), t(f"mae.target.{name}.alt", **words),
                   note=scale or t(f"mae.target.{name}.note", **words), evidence=True)
            for name, (data, scale) in maps.items()]


def way_panels(subject: Subject, made: Guess, back: WaysBack, shown: str) -> list[str]:
    """The model's colours as they are, then the three ways back."""
    removed = int(made.mask.sum())

    def panel(name: str, pixels: np.ndarray, loss: float, badges: list[str]) -> str:
        words = t("mae.way.loss", loss=error(loss)) if removed else t("mae.number.none")
        return figure(small_jpeg(pixels), t(f"mae.way.{name}"), t(f"mae.way.{name}.alt", words=words), note=words,
                      badges=badges)

    guessed = untrained_badge(subject.untrained and back.guessed_by != "nobody")
    ways = [panel(one.way, picture(one, shown), one.loss_masked, [*leak_badge(one), *guessed])
            for one in sorted(back.ways, key=lambda one: one.leaks)]
    return [panel("direct", made.pasted if shown == "pasted" else made.raw, made.loss_masked,
                  untrained_badge(subject.untrained)), *ways]


def leak_badge(one: OneWay) -> list[str]:
    """The label of the way that used what the model was not shown."""
    return [t("mae.leaks")] if one.leaks else []


def picture(one: OneWay, shown: str) -> np.ndarray:
    """With the seen patches from the original, or as it came."""
    return one.pasted if shown == "pasted" else one.raw


def png(subject: Subject, back: WaysBack, shown: str) -> bytes:
    """The target above, the ways below."""
    ways = [(one.way + " LEAKS THE ANSWER" * one.leaks, picture(one, shown)) for one in back.ways]
    return named_sheet([[("pixel target", subject.pixels),
                         ("normalised target", signed_colours(back.targets, vmax=END))], ways],
                       untrained=subject.untrained and back.guessed_by != "nobody")


def arrays(back: WaysBack) -> dict[str, np.ndarray]:
    """Targets, statistics, and what each way gives."""
    found = {"targets": back.targets, "mean": back.mean, "deviation": back.deviation,
             "guessed_by": np.asarray(back.guessed_by)}
    for one in back.ways:
        found |= {f"{one.way}_{name}": np.asarray(getattr(one, name))
                  for name in ("leaks", "mean", "deviation", "raw", "pasted", "loss_masked")}
    return found
