"""Two encodings on the same axes, and one encoding past the length that training knew."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain import position, position_beyond
from tfsss.explain.arrays import arrays_of
from tfsss.explain.position import Comparison
from tfsss.explain.position_beyond import Extrapolation
from tfsss.figures.lines import Curve
from tfsss.figures.maps import montage
from tfsss.ui.language import t
from tfsss.ui.position.chosen import Chosen
from tfsss.ui.position.encodings import distance_curves, matrix, matrix_code, matrix_png
from tfsss.ui.position.show import Drawn, curves, number, say
from tfsss.ui.position.sources import code, kept, pairs_code, pairs_of, script, source


def draw_compare(chosen: Chosen) -> Drawn:
    """Both similarity matrices, and both curves over one distance axis."""
    kinds = (chosen.kind, chosen.other)
    names = [t(f"position.kind.{kind}") for kind in kinds]
    first, second = (pairs_of(chosen, kind) for kind in kinds)
    both: Comparison = kept(chosen, "compare", lambda: position.compare(first, second))
    shared = None if both.value_range is None else max(abs(end) for end in both.value_range)
    places = st.columns([1, 1, 1.25], gap="medium")
    for order in range(2):
        with places[order]:
            say(f"**{names[order]}**")
            own = 1.0 if both.pairs[order].measure == "cosine" else None
            note = matrix(f"compare{order}", both.pairs[order], size=300, vmax=own or shared)
    with places[2]:
        if shared is None:
            for name, curve, pairs in zip(names, both.curves, both.pairs):
                say(f"**{name}**")
                distance_curves([(name, curve)], pairs, height=170, width=420)
        else:
            distance_curves(list(zip(names, both.curves)), both.pairs[0], height=320, width=420)
        words = [f"{name}: " + t("position.spread.short", spread=number(float(curve.spread.max())),
                                 distance=number(float(curve.distances[curve.spread.argmax()])))
                 for name, curve in zip(names, both.curves)]
        apart = "" if shared is None else difference(both)
        unlike = "" if shared is not None else t("position.unlike")
        say("<br>".join([f"{apart} {unlike} {note}", *words]))
    return Drawn(
        png=lambda: montage(np.nan_to_num(np.stack([pairs.matrix for pairs in both.pairs])[None]), scale="signed",
                            zoom=max(1, 500 // len(both.pairs[0].matrix)), gap=16),
        arrays=lambda: arrays_of(comparison=both),
        script=script(chosen, f"first = {code(chosen)}", f"second = {code(chosen, chosen.other)}",
                      f"both = position.compare({pairs_code(chosen, 'first')},",
                      f"                        {pairs_code(chosen, 'second', chosen.other)})",
                      'print("largest spreads:", *(curve.spread.max() for curve in both.curves))',
                      "maps = np.nan_to_num(np.stack([pairs.matrix for pairs in both.pairs])[None])",
                      'Path("position.png").write_bytes(montage(maps, scale="signed", zoom=4, gap=16))'))


def difference(both: Comparison) -> str:
    """How far the two matrices lie apart."""
    apart = np.abs(both.pairs[0].matrix - both.pairs[1].matrix)
    return t("position.apart", largest=number(float(np.nanmax(apart))), mean=number(float(np.nanmean(apart))))


def draw_beyond(chosen: Chosen) -> Drawn:
    """The similarity matrix with the trained length marked, and what is unseen or undefined past it."""
    made = source(chosen, past=True)
    trained = chosen.positions
    length = trained + (chosen.past_rows * chosen.grid[1] if chosen.grid else chosen.past)
    options = {"trained": trained, "length": length, "head": chosen.head, "measure": chosen.measure}
    result: Extrapolation = kept(chosen, "beyond", lambda: position_beyond.extrapolation(made, **options))
    left, right = st.columns([1, 1.25], gap="medium")
    with left:
        note = matrix("beyond", result.pairs, size=400, trained=trained,
                      blocked=t("position.nothing" if chosen.kind == "learned" else "position.blocked"))
    with right:
        named = [(t("position.beyond.all"), result.beyond), (t("position.beyond.within"), result.within)]
        distance_curves(named, result.pairs, height=230)
        unseen_curve(result, trained)
        say(f"{defined_words(chosen, result)} {note}", defined=int(result.defined.sum()))
    return Drawn(png=lambda: matrix_png(result.pairs), arrays=lambda: arrays_of(extrapolation=result),
                 script=script(chosen, f"made = {code(chosen, past=True)}",
                               f"result = position_beyond.extrapolation(made, trained={trained}, length={length}, "
                               f'head={chosen.head}, measure="{chosen.measure}")',
                               f'print(result.defined.sum(), "of {length} positions are defined")',
                               *matrix_code("result.pairs")))


def unseen_curve(result: Extrapolation, trained: int) -> None:
    """What training never saw, over the positions."""
    x = np.arange(len(result.unseen), dtype=np.float32)
    last = result.unseen[np.isfinite(result.unseen)][-1]

    def words(index: int) -> str:
        share = result.unseen[index]
        unseen = t("position.nothing") if np.isnan(share) else f"{share:.0%}"
        return f"{t('position.position')} {index}: {unseen}"

    curves([Curve(name="", x=x, y=100 * result.unseen)], x_title=t("position.position"), y_title=t("position.unseen"),
           y_range=(-4, 104), x_range=(0, max(1, len(x) - 1)), size=(600, 150), mark=trained, say=words,
           alt=t("position.unseen.alt", trained=trained, last=f"{last:.0%}"))


def defined_words(chosen: Chosen, result: Extrapolation) -> str:
    """What there is past the trained length."""
    length, known = len(result.defined), int(result.defined.sum())
    if known < length:
        return t("position.beyond.ends", known=known, missing=length - known, length=length)
    unit = "channels" if chosen.kind in ("interleaved", "concatenated", "sincos_2d") else "keys"
    return t(f"position.beyond.{unit}", length=length, trained=result.trained, share=f"{result.unseen[-1]:.0%}")
