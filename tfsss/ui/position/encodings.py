"""Views of one encoding: its numbers, how alike its positions are, its channels as waves."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st

from tfsss.errors import InputError
from tfsss.explain import position
from tfsss.explain.arrays import arrays_of
from tfsss.explain.position import ByDistance, Encoding, Similarity, Waves
from tfsss.figures.lines import Curve, palette_color
from tfsss.figures.maps import montage, palette_png
from tfsss.figures.scales import top
from tfsss.ui import frame
from tfsss.ui.language import t
from tfsss.ui.position.chosen import Chosen
from tfsss.ui.position.show import MOST_CELLS, Axis, Drawn, curves, heat, number, say, thin_note, thinned
from tfsss.ui.position.sources import code, kept, pairs_code, pairs_of, script, source

MOST_WAVES = 8


def draw_map(chosen: Chosen) -> Drawn:
    """Heat map of position x dimension."""
    made: Encoding = source(chosen)
    count, width = made.vectors.shape
    rows = thinned(count, made.grid, MOST_CELLS // width)
    vmax, most = color_end(made), top(made.vectors)
    fixed = (chosen.kind, made.kind) == ("learned", "sincos_2d")  # an MAE's table, which training never changed
    heat("map", made.vectors[rows], down=Axis(name=t("position.position"), last=count - 1),
         across=Axis(name=t("position.dimension"), last=width - 1), size=(1040, 360), vmax=vmax,
         whole=len(rows) == count)
    lengths = np.linalg.norm(made.vectors, axis=1)
    low, high = number(float(lengths.min())), number(float(lengths.max()))
    st.caption(" ".join(filter(None, [
        t(f"position.formula.{'fixed' if fixed else chosen.kind}", base=f"{chosen.base:,}", width=width),
        thin_note(count, made.grid, rows),
        t("position.length_of_all" if low == high else "position.lengths", low=low, high=high),
        t("position.clipped", end=number(vmax), largest=number(most)) if number(vmax) != number(most) else ""])))
    zoom = max(1, 1000 // max(count, width))
    return Drawn(png=lambda: palette_png(made.vectors, scale="signed", vmax=vmax, zoom=zoom),
                 arrays=lambda: arrays_of(encoding=made),
                 script=script(chosen, f"encoding = {code(chosen)}",
                               "print(encoding.vectors.shape, encoding.vectors.min(), encoding.vectors.max())",
                               f'picture = palette_png(encoding.vectors, scale="signed", vmax={vmax}, zoom=4)',
                               'Path("position.png").write_bytes(picture)'))


def color_end(made: Encoding) -> float:
    """Where the colours of an encoding's numbers end: 1 for sines, else the number that one in a hundred exceeds."""
    if made.kind in ("sinusoidal", "sincos_2d") and made.weights is None:
        return 1.0
    return float(np.percentile(np.abs(made.vectors), 99)) or 1.0


def draw_similarity(chosen: Chosen) -> Drawn:
    """Matrix of all pairs, and its mean and spread at each distance."""
    pairs = pairs_of(chosen)
    curve: ByDistance = kept(chosen, "curve", lambda: position.by_distance(pairs))
    left, right = st.columns([1, 1.25], gap="medium")
    with left:
        note = matrix("similarity", pairs, size=400)
    with right:
        distance_curves([(t(f"position.kind.{chosen.kind}"), curve)], pairs)
        say(f"{spread_words(curve)} {note}", spread=f"{curve.spread.max():.4f}")
    return Drawn(png=lambda: matrix_png(pairs), arrays=lambda: arrays_of(pairs=pairs, curve=curve),
                 script=script(chosen, f"made = {code(chosen)}", f"pairs = {pairs_code(chosen, 'made')}",
                               "curve = position.by_distance(pairs)",
                               'print("largest spread at equal distance:", curve.spread.max())', *matrix_code("pairs")))


def matrix(name: str, pairs: Similarity, *, size: int, vmax: float | None = None,
           trained: int | None = None, blocked: str = "") -> str:
    """The matrix of all pairs as a heat map, dashed lines at `trained`.  Returns: a sentence if some are not drawn."""
    count = len(pairs.matrix)
    rows = thinned(count, pairs.grid, int(MOST_CELLS**0.5))
    mark = None if trained is None else float((rows < trained).mean())
    if vmax is None:
        vmax = 1.0 if pairs.measure == "cosine" else max(abs(pairs.low), abs(pairs.high))
    heat(name, pairs.matrix[np.ix_(rows, rows)], down=Axis(name=t("position.query.axis"), last=count - 1, mark=mark),
         across=Axis(name=t("position.key.axis"), last=count - 1, mark=mark), size=(size, size), vmax=vmax,
         unit=t(f"position.unit.{pairs.measure}"), blocked=blocked or t("position.blocked"), whole=len(rows) == count)
    return thin_note(count, pairs.grid, rows)


def matrix_png(pairs: Similarity) -> bytes:
    """The same as a file, one cell a square."""
    finite = np.isfinite(pairs.matrix)
    return palette_png(np.nan_to_num(pairs.matrix), scale="signed", vmax=1.0 if pairs.measure == "cosine" else None,
                       allowed=None if finite.all() else finite, zoom=max(1, 800 // len(finite)))


def matrix_code(name: str) -> list[str]:
    """The lines of a script that write `name.matrix`."""
    return [f"known = np.isfinite({name}.matrix)",
            f'picture = palette_png(np.nan_to_num({name}.matrix), scale="signed", allowed=known, zoom=4)',
            'Path("position.png").write_bytes(picture)']


def distance_curves(named: list[tuple[str, ByDistance]], pairs: Similarity, *, height: int = 330,
                    width: int = 600) -> None:
    """Mean and spread against distance.  named: (name, curve)."""
    unit = t(f"position.unit.{pairs.measure}")
    lines = [Curve(name=title, x=curve.distances, y=curve.mean, spread=curve.spread) for title, curve in named]
    longest = named[0][1]

    def words(index: int) -> str:
        return t("position.at_distance", distance=number(float(longest.distances[index])), unit=unit,
                 mean=number(float(longest.mean[index])), spread=number(float(longest.spread[index])),
                 count=int(longest.counts[index]))

    ends = [t("position.curve.end", name=title, distance=number(float(curve.distances[-1])),
              mean=number(float(curve.mean[-1]))) for title, curve in named]
    title = t("position.distance.axis.patches" if pairs.grid else "position.distance.axis.positions")
    curves(lines, x_title=title, y_title=unit, say=words, size=(width, height),
           alt=t("position.curve.alt", unit=unit, first=number(float(longest.mean[0]))) + " " + " ".join(ends))


def spread_words(curve: ByDistance) -> str:
    """Whether only the distance counts."""
    at = int(curve.spread.argmax())
    largest = float(curve.spread[at])
    kind = "none" if largest < 1e-3 else "some"
    return t(f"position.spread.{kind}", spread=f"{largest:.4f}" if kind == "none" else number(largest),
             distance=number(float(curve.distances[at])))


def draw_waves(chosen: Chosen) -> Drawn:
    """Single channels: curves of a sequence, small maps of a grid."""
    made: Encoding = source(chosen)
    result: Waves = position.waves(made, channels_of(chosen.channels, made))
    if made.grid is None:
        wave_curves(result)
    else:
        wave_maps(result)
    whole = made.grid or (1, len(made.vectors))
    return Drawn(
        png=lambda: montage(result.values.reshape(-1, 1, *whole) if made.grid is None else
                            result.values.reshape(1, -1, *whole), scale="signed", zoom=8, gap=8),
        arrays=lambda: arrays_of(waves=result),
        script=script(chosen, f"encoding = {code(chosen)}", f"waves = position.waves(encoding, {result.channels})",
                      'print("wavelengths:", waves.wavelengths)', f"maps = waves.values.reshape(1, -1, *{whole})",
                      'Path("position.png").write_bytes(montage(maps, scale="signed", zoom=8, gap=8))'))


def channels_of(text: str, made: Encoding) -> tuple[int, ...]:
    """The channels that were typed; when none were, some over the whole width, of a learned table those that vary most.

    Raises:  InputError: something else than numbers, or too many.
    """
    words = re.findall(r"[^\s,，、;；]+", text)
    if not words:
        width = made.vectors.shape[1]
        if np.isnan(made.wavelengths[0]):
            return tuple(sorted(np.argsort(-made.vectors.var(axis=0))[:4].tolist()))
        if made.grid is not None:
            halves = (0, width // 2)  # one changes along x, the other along y
            return tuple(dict.fromkeys(half + min(channel, width // 2 - 1) for half in halves for channel in (1, 3)))
        return tuple(dict.fromkeys((0, 1, width // 8, width // 4, width // 2, width - 1)))
    if not all(re.fullmatch(r"[0-9]{1,4}", word) for word in words):
        raise InputError("position.channels", text=text)
    if len(words) > MOST_WAVES:
        raise InputError("position.many_channels", given=len(words), limit=MOST_WAVES)
    return tuple(dict.fromkeys(int(word) for word in words))


def wave_curves(result: Waves) -> None:
    """Each channel in a strip of its own, under the same axis."""
    count = result.values.shape[1]
    x, theme = np.arange(count, dtype=np.float32), frame.theme()
    limit = max(1.0, float(np.abs(result.values).max())) * 1.08
    for side, column in enumerate(st.columns(2, gap="medium")):
        for order in range(side, len(result.channels), 2):
            with column:
                say(f"**{channel_name(result, order)}**")
                values = result.values[order]
                line = Curve(name="", x=x, y=values, color=palette_color(order, theme))
                curves([line], x_title=t("position.position"), y_title=t("position.value"), size=(560, 128),
                       x_range=(0, max(1, count - 1)), y_range=(-limit, limit),
                       alt=t("position.wave.alt", name=channel_name(result, order), low=number(float(values.min())),
                             high=number(float(values.max()))),
                       say=lambda i, values=values: f"{t('position.position')} {i}: {number(float(values[i]))}")


def wave_maps(result: Waves) -> None:
    """Each channel as a picture of the grid."""
    gy, gx = result.grid
    side = 230
    titles = [channel_name(result, order) for order in range(len(result.channels))]
    heat("waves", [row.reshape(gy, gx) for row in result.values], down=Axis(name=t("position.row"), last=gy - 1),
         across=Axis(name=t("position.column"), last=gx - 1), size=(side, max(40, min(2 * side, side * gy // gx))),
         titles=titles, columns=4)


def channel_name(result: Waves, order: int) -> str:
    """Its number, direction and wavelength."""
    channel, length, axis = result.channels[order], float(result.wavelengths[order]), result.axes[order]
    if np.isnan(length):
        return t("position.channel", channel=channel)
    direction = "" if result.grid is None else f"{axis}, "
    unit = t("position.distance.positions" if result.grid is None else "position.distance.patches")
    wavelength = f"{length:,.0f}" if length > 1000 else f"{length:.4g}"
    return t("position.channel.wave", channel=channel, direction=direction, wavelength=wavelength, unit=unit)
