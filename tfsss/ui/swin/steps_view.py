"""Step by step through windows: where tokens go, and what the step at hand makes of them."""

from __future__ import annotations

import numpy as np
import streamlit as st

from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin import Windows
from tfsss.figures.windows import steps_sheet
from tfsss.ui import cache, lecture
from tfsss.ui.beside import beside
from tfsss.ui.language import language, t
from tfsss.ui.motion import motion
from tfsss.ui.swin import step_panels
from tfsss.ui.swin.controls import cut_controls, steps_row
from tfsss.ui.swin.pieces import note
from tfsss.ui.swin.scene import STEPS, numbers, scene, stage_of
from tfsss.ui.swin.subject import Cut, Subject, Taken, cell_of

TALLEST, WIDEST = 430, 560  # CSS pixels of the stage
IMPORTS = """from tfsss.explain.arrays import arrays_of
from tfsss.explain.swin import leak, window_weights
from tfsss.figures.windows import steps_sheet"""
LINES = """made = window_weights(pixels, loaded, block={block}, window={window}, shift={shift},
                      mask_padding={mask_padding})
print(f"{{made.weights}} weights; the table was resized: {{made.resized}}; as the model does it: {{made.own}}")
print("share of attention on forbidden pairs, window by window and head by head:", made.removed.round(3), sep="\\n")
print("left on them when a number is added:", dict(zip(leak(made).added.tolist(), leak(made).share.tolist())))
shown = fit(picture, {height}, {width})  # the same part of the picture, finer
cut = made.windows
png = steps_sheet(shown, {cell}, windows=cut.steps[2].window, rolled=cut.rolled, ids=cut.ids,
                  inside=cut.tokens[{chosen}], allowed=cut.allowed[{chosen}], before=made.before[{chosen}, {head}],
                  after=made.after[{chosen}, {head}], untrained=made.weights == "random")
arrays = arrays_of(made=made, leak=leak(made))
"""


def show(subject: Subject) -> Taken:
    """The view."""
    with st.container(key="controls"), st.container(key="swin_cut", horizontal=True, vertical_alignment="bottom"):
        cut = cut_controls(subject)
    number = steps_row(STEPS)
    made = cut.windows()
    name = STEPS[number]
    question = f"swin.predict.steps.{name}"
    with lecture.answer(question), beside("steps", 4, 3):
        with st.container(key="swin_side"):
            looked = step_panels.controls(name, subject, made)
            step_panels.show(name, subject, cut, made, looked)
        chosen = looked.window
        st.html(note(step_words(subject, made, name, chosen)))
        packed = cache.computed(("swin_scene", subject.picture.digest, cut, chosen, language()),
                                lambda: scene(made, subject.shown(cut.grid), chosen))
        motion(packed, lecture.step_shown(number, question), key="swin_motion", width=width_of(made))
        if below := step_panels.under(name, subject, cut, made, looked):
            st.html(below)
    forward = subject.weights(cut) if name == "attention" else None
    return taken(subject, cut, chosen, looked.head, None if forward is None else forward[1])


def width_of(made: Windows) -> int:
    """So wide that the stage fits the first screen."""
    rows, columns = stage_of(made)
    return max(120, min(WIDEST, round(TALLEST * columns / rows)))


def step_words(subject: Subject, made: Windows, name: str, window: int) -> str:
    """What happens in this step, in these numbers."""
    step = next(step for step in made.steps if step.name == name)
    still = name in ("pad", "shift", "reverse", "crop") and not step.moved
    return t(f"swin.step.{name}.{'still' if still else 'words'}", block=subject.block, **numbers(made, window))


def taken(subject: Subject, cut: Cut, chosen: int, head: int, forward_ms: float | None) -> Taken:
    """The whole way as stills, and every array of it."""
    def png() -> bytes:
        made = subject.weights(cut)[0]
        steps = made.windows
        return steps_sheet(shown, cell, windows=steps.steps[2].window, rolled=steps.rolled, ids=steps.ids,
                           inside=steps.tokens[chosen], allowed=steps.allowed[chosen],
                           before=made.before[chosen, head], after=made.after[chosen, head],
                           untrained=subject.untrained)

    def arrays() -> dict[str, np.ndarray]:
        return arrays_of(made=subject.weights(cut)[0], leak=step_panels.left_over(subject, cut))

    cell, shown = cell_of(cut.grid), subject.shown(cut.grid)
    lines = LINES.format(block=subject.block, window=cut.window, shift=cut.shift, mask_padding=cut.mask_padding,
                         height=shown.shape[0], width=shown.shape[1], cell=cell, chosen=chosen, head=head)
    return Taken(png=png, arrays=arrays, imports=IMPORTS, lines=lines, grid=cut.grid,
                 forward_ms=forward_ms, ran=forward_ms is not None)
