"""The sandbox: padded ids, a mask in every convention, and what it does to one head; then rows that are all blocked."""

from __future__ import annotations

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss import weights
from tfsss.data.sequences import PADDING
from tfsss.explain import masks, strings
from tfsss.explain.arrays import arrays_of
from tfsss.figures.numbers import Numbers
from tfsss.ui import cache, lecture, state
from tfsss.ui.language import t
from tfsss.ui.masks import minilm_view, show, typed
from tfsss.ui.masks.head_tables import attention, conventions, layer_head, short, weights_map
from tfsss.ui.masks.show import Taken, say
from tfsss.ui.masks.together import together
from tfsss.ui.masks.typed import Given

MODELS = ("strings", "minilm")
STAGES = ("attention", "mask", "ids")
FULLY_BLOCKED = {"encoder": (("cross",),), "decoder": (("causal", "cross"),), "cross": (("cross",),)}
WAYS = ("plain", "finite", "slip", "zeros")

START = """loaded = weights.load("{id}")
pairs = masks.batch({sources!r}, {targets!r})
groups = {groups!r}
"""
ATTENTION = """done = strings.run(loaded, pairs, groups)
head = strings.one_head(done, "{site}", {layer}, {head}, {pair})
made = masks.mask(pairs, "{site}", groups["{site}"])
np.set_printoptions(precision=2, suppress=True)
print(made.shape, "blocked rows:", int(made.blocked_rows.sum()))
print(head.weights)
tables = [[Numbers(title="weights", values=head.weights, rows=head.queries, columns=head.keys, allowed=head.allowed,
                   scale="viridis", vmax=1.0)]]
arrays = arrays_of(mask=made, **masks.conventions(made)._asdict(), head=head)"""
BLOCKED = """done = strings.run(loaded, pairs)
head = strings.one_head(done, "{site}", {layer}, {head}, {pair})
allowed = masks.mask(pairs, "{site}", {rules!r}).allowed[{pair}]
rows = masks.blocked_rows(head.q, head.k, head.v, allowed)
print("blocked rows", rows.rows, "the slip gives forbidden keys up to", rows.slipped)
print("NaN one layer on:", int(np.isnan(rows.next_output).any(axis=-1).sum()), "of", len(rows.next_output), "rows")
tables = [[Numbers(title=name, values=getattr(rows, name), rows=head.queries, columns=head.keys, allowed=allowed,
                   scale="viridis", vmax=1.0) for name in ("plain", "zeros", "finite", "slip")]]
arrays = arrays_of(blocked=rows)"""


def start(given: Given) -> str:
    """The script's first lines: weights, batch, rules."""
    return START.format(id=given.loaded.entry.id, sources=given.batch.sources, targets=given.batch.targets,
                        groups=dict(given.groups))


def sandbox() -> tuple[Given | minilm_view.Given | None, Taken | None]:
    """A batch, a mask that the visitor puts together, and one of three things to see of it."""
    with st.container(key="controls", gap="xsmall"):
        above = st.container()
        with st.container(horizontal=True, vertical_alignment="center", key="masks_where", gap="small"):
            model = state.choice("masks", "model", MODELS, hide_label=True)
            stage = state.choice("masks", "stage", STAGES, hide_label=True)
            site = typed.site() if model == "strings" else "encoder"
        below = st.container()
    return _strings(above, below, stage, site) if model == "strings" else minilm_view.sandbox(above, below, stage)


def _strings(above: DeltaGenerator, below: DeltaGenerator, stage: str, site: masks.Site) -> tuple[Given, Taken]:
    """The trained encoder-decoder on strings.  Args: above, below: places for the batch and for the rules."""
    with above:
        batch, place = typed.batch(place_for_more=True)
        layer, head = _layer_head(place)
    with below:
        groups = typed.rules(site)
    given = typed.given(batch, groups)
    made = masks.mask(batch, site, groups[site])
    one = strings.one_head(given.run(), site, layer, head, given.pair)
    html, tables = {"ids": lambda: _ids(given), "attention": lambda: attention(made, one),
                    "mask": lambda: conventions(made, given.pair, (one.queries, one.keys))}[stage]()
    with lecture.answer("masks.predict.masks"):
        st.html(show.room(html, _answers(given) if stage == "attention" else ""))
    lines = start(given) + ATTENTION.format(site=site, layer=layer, head=head, pair=given.pair)
    return given, Taken(tables=tables, lines=lines, arrays=lambda: arrays_of(
        mask=made, **masks.conventions(made)._asdict(), head=one))


def blocked() -> tuple[Given, Taken]:
    """Queries that may look at nobody: four ways of masking, and what the next layer makes of it."""
    with st.container(key="controls", gap="xsmall"):
        batch, place = typed.batch(place_for_more=True)
        site = typed.site()
        layer, head = _layer_head(place)
    given = typed.given(batch)
    allowed = masks.mask(batch, site, FULLY_BLOCKED[site]).allowed[given.pair]
    one = strings.one_head(given.run(), site, layer, head, given.pair)
    rows = cache.computed(("masks_blocked", *given.key, site, layer, head, given.pair),
                          lambda: masks.blocked_rows(one.q, one.k, one.v, allowed))
    tables = [weights_map(t(f"masks.way.{way}"), getattr(rows, way), one, allowed) for way in WAYS]
    forbidden = np.where(allowed | rows.rows[:, None], 0, rows.slip).sum(axis=-1).max()
    html = say(t("masks.blocked.says" if rows.rows.any() else "masks.blocked.nobody", count=int(rows.rows.sum()),
                 total=len(rows.rows), mask=typed.said(FULLY_BLOCKED[site]), slipped=f"{100 * forbidden:.0f}"),
               count=int(rows.rows.sum()))
    html += together(*tables) + show.bar(tables[1], t("masks.weights"))
    if rows.rows.any():
        html += show.table(_outcome(rows), wide=True) + say(t("masks.blocked.remedy"))
    with lecture.answer("masks.predict.blocked"):
        st.html(show.room(html))
    lines = start(given) + BLOCKED.format(site=site, layer=layer, head=head, pair=given.pair, rules=FULLY_BLOCKED[site])
    return given, Taken(tables=[tables[:2], tables[2:]], lines=lines, arrays=lambda: arrays_of(blocked=rows))


def _outcome(rows: masks.BlockedRows) -> Numbers:
    """A blocked row's output by each way, and how many rows are NaN one layer on."""
    row = int(np.flatnonzero(rows.rows)[0])
    shown = [rows.plain_output[row], rows.zeros_output[row], rows.fused_output[row]]
    lost = np.isnan(rows.next_output).any(axis=-1)
    values = np.array([[show.written(float(value)) for value in line[:4]] for line in shown]
                      + [[show.written(float(value)) for value in rows.next_output[0, :4]]])
    return Numbers(title=t("masks.outcome", row=row, lost=int(lost.sum()), total=len(lost)), values=values,
                   rows=[t("masks.output.plain"), t("masks.output.zeros"), "F.scaled_dot_product_attention",
                         t("masks.output.next")], columns=[f"[{place}]" for place in range(values.shape[1])])


def _layer_head(place: DeltaGenerator) -> tuple[int, int]:
    """Layer and head of the encoder-decoder."""
    config = cache.model(weights.best("transformer")).entry.config
    return layer_head(place, min(config.encoder_depth, config.decoder_depth), config.num_heads)


def _ids(given: Given) -> tuple[str, list]:
    """Both rectangles of ids, with the characters that they stand for."""
    batch, parts = given.batch, []
    for name, ids in (("sources", batch.source_ids), ("reads", batch.target_ids), ("says", batch.next_ids)):
        values = np.array([[f"{symbol} {number}" if len(symbol) == 1 else f"{short(symbol)} {number}"
                            for symbol, number in zip(masks.symbols(line), line, strict=True)] for line in ids])
        real = ids != PADDING
        parts.append(Numbers(title=t(f"masks.ids.{name}"), values=values, allowed=real, row=given.pair,
                             rows=[str(number) for number in range(len(ids))],
                             columns=[str(number) for number in range(ids.shape[1])],
                             shape=f"(b, {'n' if name == 'sources' else 'm'}) = {ids.shape}"))
    html = "".join(f'<div class="across"><div>{show.table(part, wide=True)}</div></div>' for part in parts)
    return say(t("masks.ids.says_so", count=len(batch.sources), sources=batch.source_ids.shape[1],
                 targets=batch.target_ids.shape[1])) + html, [[part] for part in parts]


def _answers(given: Given) -> str:
    """What the model says at every place, under these masks."""
    done, pair = given.run(), given.pair
    real = given.batch.next_ids[pair] != PADDING
    wanted = masks.symbols(given.batch.next_ids[pair][real])
    said = masks.symbols(done.predicted[pair][real])
    right = sum(a == b for a, b in zip(wanted, said, strict=True))
    return say(t("masks.answers", wanted=" ".join(map(short, wanted)), said=" ".join(map(short, said)), right=right,
                 total=len(wanted)), right=right)
