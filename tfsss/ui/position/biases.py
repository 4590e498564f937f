"""Views of what is added to the scores: ALiBi's slopes, and Swin's relative bias from coordinates to index."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain import position
from tfsss.explain.arrays import arrays_of
from tfsss.explain.position import Bias, RelativeSteps
from tfsss.figures.color import meaning
from tfsss.figures.maps import montage, palette_png
from tfsss.ui import frame, state
from tfsss.ui.language import t, weights_name
from tfsss.ui.position.chosen import STEPS, Chosen
from tfsss.ui.position.encodings import matrix
from tfsss.ui.position.show import MOST_CELLS, Axis, Drawn, heat, number, say, thinned
from tfsss.ui.position.sources import code, kept, pairs_of, script, source
from tfsss.ui.swin.subject import current_model as current_swin

MOST_NUMBERS = 16  # tokens of a window whose matrix is written out in numbers


def draw_bias(chosen: Chosen) -> Drawn:
    """The bias of every head."""
    bias: Bias = source(chosen)
    (draw_slopes if bias.kind == "alibi" else draw_table)(chosen, bias)
    known = np.isfinite(bias.bias)[None]
    return Drawn(png=lambda: montage(np.nan_to_num(bias.bias)[None], scale="signed", allowed=known, gap=8,
                                     zoom=max(1, 200 // bias.bias.shape[1])),
                 arrays=lambda: arrays_of(bias=bias),
                 script=script(chosen, f"bias = {code(chosen)}", "known = np.isfinite(bias.bias)[None]",
                               "print(bias.slopes if bias.slopes.size else bias.table)",
                               "maps = np.nan_to_num(bias.bias)[None]",
                               'picture = montage(maps, scale="signed", allowed=known, zoom=4)',
                               'Path("position.png").write_bytes(picture)'))


def draw_slopes(chosen: Chosen, bias: Bias) -> None:
    """ALiBi: one matrix a head, on one scale."""
    heads, length = bias.bias.shape[:2]
    rows = thinned(length, None, int((MOST_CELLS / heads) ** 0.5))
    side = {1: 400, 2: 380, 3: 340, 4: 260}.get(heads, 150 if heads > 6 else 220)
    maps = [head[np.ix_(rows, rows)] for head in bias.bias]
    titles = [t("position.head.slope", head=head, slope=f"{slope:.4g}") for head, slope in enumerate(bias.slopes)]
    heat("slopes", maps, down=Axis(name=t("position.query.axis"), last=length - 1),
         across=Axis(name=t("position.key.axis"), last=length - 1), size=(side, side), titles=titles,
         columns=4 if heads <= 4 else 6, unit=t("position.unit.bias"), blocked=t("position.blocked"),
         whole=len(rows) == length)
    st.caption(t("position.slopes.symmetric" if chosen.symmetric else "position.slopes.causal",
                 first=f"{bias.slopes[0]:.4g}", last=f"{bias.slopes[-1]:.4g}", heads=heads))


def draw_table(chosen: Chosen, bias: Bias) -> None:
    """Swin: the table of every head by offset, and the matrix that one head adds."""
    rows, columns = bias.table.shape[1:]
    left, right = st.columns([1, 1], gap="medium")
    with left:
        say(f"**{t('position.table.title')}**")
        heat("table", list(bias.table), unit=t("position.unit.bias"), vmax=float(np.abs(bias.table).max()),
             down=Axis(name=t("position.offset.y"), first=-(rows // 2), last=rows // 2),
             across=Axis(name=t("position.offset.x"), first=-(columns // 2), last=columns // 2),
             size=(165 if len(bias.table) > 1 else 300,) * 2, columns=2 if len(bias.table) <= 4 else 3,
             titles=[t("position.head.name", head=head) for head in range(len(bias.table))])
    with right:
        say(f"**{t('position.matrix.title', head=chosen.head)}**")
        matrix("bias", pairs_of(chosen), size=340, vmax=float(np.abs(bias.table).max()))
        say(whose(chosen))


def whose(chosen: Chosen) -> str:
    """Where the bias table comes from."""
    if not chosen.swin:
        return t("position.random")
    stage, block = chosen.table_of.split(".")
    return t("position.trained", name=weights_name(current_swin().entry), stage=stage, block=block)


def draw_steps(chosen: Chosen) -> Drawn:
    """Swin's relative position index, from two coordinates a token to one number a pair."""
    steps: RelativeSteps = kept(chosen, "steps", lambda: position.relative_steps(chosen.grid))
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        step = state.choice("position", "step", STEPS, default="index", hide_label=True)
        say(t(f"position.step.say.{step}", **step_numbers(chosen)))
        if step == "coordinates":
            st.html(window_table(chosen, steps))
        elif len(steps.index) <= MOST_NUMBERS:
            st.html(pair_table(chosen, getattr(steps, step)))
        else:
            step_maps(step, getattr(steps, step))
    with right:
        say(t("position.step.one"), index=int(steps.index[chosen.query, chosen.key_token]))
        st.html(derivation(chosen, steps))
        say(t("position.step.row", query=chosen.query))
        st.html(row_table(chosen, steps))
    return Drawn(png=lambda: palette_png(steps.index, zoom=max(4, 400 // len(steps.index))),
                 arrays=lambda: arrays_of(steps=steps),
                 script=script(chosen, f"steps = position.relative_steps({chosen.grid})",
                               "print(steps.offsets[..., 0], steps.offsets[..., 1], steps.index, sep='\\n\\n')",
                               'Path("position.png").write_bytes(palette_png(steps.index, zoom=24))'))


def step_numbers(chosen: Chosen) -> dict[str, int]:
    """What the sentences about the steps need."""
    wy, wx = chosen.grid
    return {"wy": wy, "wx": wx, "up": wy - 1, "left": wx - 1, "row": 2 * wx - 1, "count": (2 * wy - 1) * (2 * wx - 1),
            "tokens": wy * wx, "last": (2 * wy - 1) * (2 * wx - 1) - 1}


def table(rows: list[str]) -> str:
    """An HTML table in the colours of query and key; of many rows, with less air."""
    theme = frame.theme()
    dense = " dense" if len(rows) > 12 else ""
    colors = f"--query:{meaning('query', theme)};--key:{meaning('key', theme)}"
    return (f'<div class="tfsss-numbers{dense}" style="{colors}"><table>'
            f'{"".join(f"<tr>{row}</tr>" for row in rows)}</table></div>')


def words(value: np.ndarray) -> str:
    """One number, or two with a comma."""
    return ", ".join(str(part) for part in np.atleast_1d(value).tolist()).replace("-", "−")


def marks(chosen: Chosen, token: int) -> str:
    """The classes of a token's cell."""
    return " ".join(name for name, at in (("query", chosen.query), ("key", chosen.key_token)) if at == token)


def window_table(chosen: Chosen, steps: RelativeSteps) -> str:
    """The window, each token with its number and its row and column."""
    wy, wx = steps.window
    rows = []
    for y in range(wy):
        cells = ((token, words(steps.coordinates[token])) for token in range(y * wx, (y + 1) * wx))
        rows.append("".join(f'<td class="{marks(chosen, token)}"><b>{token}</b><br>({place})</td>'
                            for token, place in cells))
    return table(rows)


def pair_table(chosen: Chosen, values: np.ndarray) -> str:
    """All pairs of tokens, every number visible; shaded by the index where there is one number."""
    count = len(values)
    top = values.max() if values.ndim == 2 else 0
    corner = f"<th>{t('position.query.axis')} ↓<br>{t('position.key.axis')} →</th>"
    heads = (f'<th class="{"key" if key == chosen.key_token else ""}">{key}</th>' for key in range(count))
    rows = [corner + "".join(heads)]
    for query in range(count):
        cells = [f'<th class="{"query" if query == chosen.query else ""}">{query}</th>']
        for key in range(count):
            here = "chosen" if (query, key) == (chosen.query, chosen.key_token) else ""
            shade = f'class="shade {here}" style="--share:{values[query, key] / top:.3f}"' if top else f'class="{here}"'
            cells.append(f"<td {shade}>{words(values[query, key])}</td>")
        rows.append("".join(cells))
    return table(rows)


def step_maps(step: str, values: np.ndarray) -> None:
    """A window too large for written numbers: maps that read their numbers to the pointer."""
    count = len(values)
    parts = [values] if values.ndim == 2 else [values[..., 0], values[..., 1]]
    side = 400 if len(parts) == 1 else 300
    down, across = (Axis(name=t(f"position.{role}.axis"), last=count - 1) for role in ("query", "key"))
    heat(f"step_{step}", [part.astype(np.float32) for part in parts], size=(side, side), columns=2, down=down,
         across=across, titles=[t("position.part.y"), t("position.part.x")] if len(parts) == 2 else [])


def derivation(chosen: Chosen, steps: RelativeSteps) -> str:
    """The five steps for the chosen pair."""
    at = chosen.query, chosen.key_token
    query, key = (words(steps.coordinates[token]) for token in at)
    (wy, wx), shifted, scaled = steps.window, steps.shifted[at], steps.scaled[at]
    offset = words(steps.offsets[at])
    lines = [
        ("coordinates", f'<span class="query">({query})</span> · <span class="key">({key})</span>'),
        ("offsets", f'<span class="query">({query})</span> − <span class="key">({key})</span> = ({offset})'),
        ("shifted", f"({offset}) + ({wy - 1}, {wx - 1}) = ({words(shifted)})"),
        ("scaled", f"({shifted[0]} × {2 * wx - 1}, {shifted[1]}) = ({words(scaled)})"),
        ("index", f"{scaled[0]} + {scaled[1]} = <b>{steps.index[at]}</b>"),
    ]
    bias: Bias = source(chosen)
    values = ", ".join(number(float(head[at])) for head in bias.bias[:3])
    rows = [(t(f"position.step.{name}"), line) for name, line in lines]
    rows.append((t("position.step.bias", heads=min(3, len(bias.bias))), values))
    return table([f'<td class="left">{name}</td><td class="left">{line}</td>' for name, line in rows])


def row_table(chosen: Chosen, steps: RelativeSteps) -> str:
    """The query's row of the index, laid out as the window."""
    row = steps.index[chosen.query].reshape(steps.window)
    return table(["".join(f'<td class="{marks(chosen, y * row.shape[1] + x)}">{value}</td>'
                          for x, value in enumerate(line)) for y, line in enumerate(row)])
