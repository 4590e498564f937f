"""The picture that a class guesses from: under "predict first" it stands where the map is going to be."""

from __future__ import annotations

from tfsss.ui import cache
from tfsss.ui.attention.subject import Subject
from tfsss.ui.canvas import canvas_text, pack_scene, patch_canvas
from tfsss.ui.language import language


def picture_alone(subject: Subject, key: str, *, width: int, pinned: int | None = None,
                  pin_key: str | None = None) -> None:
    """No map. Where there is a query to choose, it is marked and stays to be chosen.

    Args:    as of the map's own canvas; pin_key: None = there is no query.
    """
    prefix = subject.traced.num_prefix if pin_key else 0
    scene = cache.computed(("attention_alone", *subject.key, prefix), lambda: pack_scene(
        grid=subject.traced.grid, picture=subject.jpeg, prefix=prefix))
    words = canvas_text(language()) | ({} if pin_key else {"hint_choose": "", "hint_pinned": ""})
    patch_canvas(scene, key=key, text=words, width=width, pinned=pinned, pin_key=pin_key, grid=bool(pin_key))
