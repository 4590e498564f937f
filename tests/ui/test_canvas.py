"""The canvas without a browser: what is packed can be read again, and the page's side of the conversation."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tfsss.figures.overlay import jpeg
from tfsss.ui.canvas import HERE, Panel, canvas_text, pack_scene


def unpack(scene: bytes) -> tuple[dict, list[bytes]]:
    """Header and arrays, read by the format's description."""
    length = int.from_bytes(scene[:4], "little")
    header, body = json.loads(scene[4: 4 + length]), scene[4 + length:]
    return header, [body[a:b] for a, b in zip(header["ends"], header["ends"][1:])]


def attention(tokens: int, heads: int = 1) -> np.ndarray:
    weights = np.exp(np.random.default_rng(0).normal(size=(heads, tokens, tokens)))
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("signed", [False, True])
def test_numbers_survive_to_half_a_step(signed):
    values = attention(1 + 3 * 5)[0] - (0.06 if signed else 0)
    header, blobs = unpack(pack_scene(grid=(3, 5), prefix=1, panels=(Panel(values=values),),
                                      scale="signed" if signed else "viridis"))
    maxima, before, codes, blocked = np.frombuffer(blobs[2], np.float32), blobs[3], blobs[4], blobs[5]
    levels = np.frombuffer(codes, np.uint8).reshape(16, 15).astype(float)
    back = ((levels - 128) / 127 if signed else levels / 255) * maxima[:, None]
    assert np.all(np.abs(back - values[:, 1:]).max(axis=1) <= maxima / (254 if signed else 510) * 1.001)
    assert np.array_equal(np.frombuffer(before, np.float32), values[:, 0].astype(np.float32))
    assert header["grid"] == [3, 5] and header["rows"] == [16] and not blocked


def test_blocked_patches_are_a_bit_each_and_do_not_set_the_maximum():
    values, allowed = np.array([[0.9, 0.1, 0.2]]).repeat(3, axis=0), np.tril(np.ones((3, 3), bool))[:, ::-1]
    _, blobs = unpack(pack_scene(grid=(1, 3), panels=(Panel(values=values, allowed=allowed),)))
    bits = np.unpackbits(np.frombuffer(blobs[5], np.uint8).reshape(3, 1), axis=1, count=3).astype(bool)
    assert np.array_equal(bits, ~allowed)
    assert np.frombuffer(blobs[2], np.float32) == pytest.approx([0.2, 0.2, 0.9])


def test_a_map_of_patches_alone_knows_no_prefix_token():
    _, blobs = unpack(pack_scene(grid=(2, 2), prefix=1, panels=(Panel(values=np.arange(4.0)),)))
    assert np.isnan(np.frombuffer(blobs[3], np.float32)).all()
    with pytest.raises(ValueError, match="no grid of 4 patches"):
        pack_scene(grid=(2, 2), prefix=1, panels=(Panel(values=np.arange(7.0)),))


@pytest.mark.parametrize(("heads", "limit"), [(1, 96_000), (6, 500_000)])
def test_size(heads, limit):
    noise = np.random.default_rng(0).integers(0, 256, (448, 448, 3), dtype=np.uint8)
    panels = tuple(Panel(values=head) for head in attention(257, heads))
    assert len(pack_scene(grid=(16, 16), prefix=1, picture=jpeg(noise), panels=panels)) < limit


def test_both_languages_fill_the_same_fields():
    english, chinese = canvas_text("en"), canvas_text("zh")
    assert english.keys() == chinese.keys()
    for name in english:
        assert set(re.findall(r"{\w+}", english[name])) == set(re.findall(r"{\w+}", chinese[name])), name


def test_every_sentence_is_used_and_none_is_in_the_script():
    source = "".join(path.read_text(encoding="utf-8") for path in (HERE / "js").glob("*.js"))
    assert set(re.findall(r"view\.text\.(\w+)", source)) == set(canvas_text("en"))
    assert "addEventListener" not in source


def page():
    import streamlit as st

    from tfsss.ui.canvas import canvas_text, pack_scene, patch_canvas

    pinned = st.number_input("token", 0, 5, value=None, key="pin")
    chosen = patch_canvas(pack_scene(grid=(2, 3)), key="canvas", text=canvas_text("en"), pinned=pinned, pin_key="pin")
    st.text(f"{chosen.pinned}")


def test_the_field_holds_the_pin():
    app = AppTest.from_function(page).run()
    assert not app.exception and app.text[0].value == "None"
    app.number_input[0].set_value(4).run()
    assert not app.exception and app.text[0].value == "4"
