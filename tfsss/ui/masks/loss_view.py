"""Cross-entropy token by token: what padding does to it, and what label smoothing asks for."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.data.sequences import PADDING
from tfsss.explain import masks, strings
from tfsss.explain.arrays import arrays_of
from tfsss.figures.numbers import Numbers
from tfsss.ui import lecture, state
from tfsss.ui.language import t
from tfsss.ui.masks import show, typed
from tfsss.ui.masks.batch_view import start
from tfsss.ui.masks.head_tables import short
from tfsss.ui.masks.show import Taken, say
from tfsss.ui.masks.typed import Given

LINES = """done = strings.run(loaded, pairs, groups)
loss = strings.token_loss(done, ignore_padding={ignore}, smoothing={smoothing})
print("mean loss", loss.mean, "over", int(loss.counted.sum()), "places; logits", *loss.shapes)
tables = [[Numbers(title="loss", values=loss.losses, allowed=loss.counted, scale="viridis")]]
arrays = arrays_of(loss=loss)"""


def view() -> tuple[Given, Taken]:
    """Every place of the target: what it should say, what the model says, what that costs."""
    with st.container(key="controls", gap="xsmall"):
        batch, _ = typed.batch()
        with st.container(horizontal=True, vertical_alignment="center", key="masks_where", gap="medium"):
            ignore = state.switch("masks", "ignore", True, help=t("masks.ignore.help"))
            smoothing = state.slide("masks", "smoothing", 0.0, 0.5, 0.0, step=0.05, help=t("masks.smoothing.help"))
    given = typed.given(batch)
    done = given.run()
    loss = strings.token_loss(done, ignore_padding=ignore, smoothing=smoothing)
    other = strings.token_loss(done, ignore_padding=not ignore, smoothing=smoothing)
    places, losses = _one(given, done, loss), _all(given, loss)
    total, counted = float(loss.losses.sum()), int(loss.counted.sum())
    sentences = say(t("masks.loss.mean", total=f"{total:.2f}", counted=counted, mean=f"{loss.mean:.3f}"),
                    mean=f"{loss.mean:.6f}")
    sentences += say(t("masks.loss.without" if ignore else "masks.loss.with", other=f"{other.mean:.3f}",
                       padded=int((done.batch.next_ids == PADDING).sum())))
    sentences += say(t("masks.loss.smoothing", right=f"{loss.right_share:.3f}", share=f"{loss.other_share:.4f}",
                       classes=done.logits.shape[-1], logits=loss.shapes[0], wanted=loss.shapes[1]))
    if loss.losses[loss.counted].max() < 0.01:
        sentences += say(t("masks.loss.hint"))
    with lecture.answer("masks.predict.loss"):
        st.html(show.room(f'<div class="across"><div>{show.table(places, wide=True)}</div></div>',
                          f'<div class="across"><div>{show.table(losses, wide=True)}</div></div>',
                          show.bar(losses, t("masks.loss.unit"), "masks.not_counted"), sentences))
    lines = start(given) + LINES.format(ignore=ignore, smoothing=smoothing)
    return given, Taken(tables=[[places], [losses]], arrays=lambda: arrays_of(loss=loss), lines=lines)


def _one(given: Given, done: strings.Run, loss: strings.TokenLoss) -> Numbers:
    """The chosen pair, place by place."""
    pair = given.pair
    lines = [map(short, masks.symbols(given.batch.target_ids[pair])),
             map(short, masks.symbols(done.batch.next_ids[pair])), loss.labels[pair].tolist(),
             map(short, masks.symbols(done.predicted[pair])), loss.probabilities[pair].tolist(),
             loss.losses[pair].tolist()]
    values = np.array([[show.written(value, 3) for value in line] for line in lines])
    names = ("reads", "should", "label", "says", "probability", "loss")
    return Numbers(title=t("masks.loss.one", pair=pair), values=values,
                   rows=[t(f"masks.loss.{name}") for name in names],
                   columns=[str(number) for number in range(values.shape[1])],
                   allowed=np.broadcast_to(loss.counted[pair], values.shape))


def _all(given: Given, loss: strings.TokenLoss) -> Numbers:
    """The losses of the whole batch."""
    return Numbers(title=t("masks.loss.all"), values=loss.losses, allowed=loss.counted, scale="viridis",
                   vmax=max(1.0, float(loss.losses.max())),
                   rows=[f"{number}: {target}" for number, target in enumerate(given.batch.targets)], row=given.pair,
                   columns=[str(number) for number in range(loss.losses.shape[1])],
                   shape=f"(b, m) = {loss.losses.shape}")
