"""The token map without a browser: what is packed can be read again, and every sentence is used."""

from __future__ import annotations

import json
import re

import numpy as np
from streamlit.testing.v1 import AppTest

from tfsss.figures.scales import lut
from tfsss.ui.token_map import HERE, TokenMap, map_text, pack


def unpack(data: bytes) -> tuple[dict, np.ndarray, np.ndarray, bytes]:
    """Header, values, blocked cells and colours, read by the format's description."""
    length = int.from_bytes(data[:4], "little")
    header, body = json.loads(data[4: 4 + length]), data[4 + length:]
    shape = len(header["rows"]), len(header["columns"])
    cells = shape[0] * shape[1]
    values = np.frombuffer(body[:4 * cells], "<f4").reshape(shape)
    return header, values, np.frombuffer(body[4 * cells:5 * cells], np.uint8).reshape(shape), body[5 * cells:]


def test_numbers_blocked_cells_and_colours_survive():
    values = np.random.default_rng(0).normal(size=(3, 5))[:, ::-1]  # not as it lies in memory
    allowed = values < 0.5
    shown = TokenMap(values=values, rows=list("abc"), columns=["[CLS]", "猫", "##s", "d", "e"],
                     row_ids=np.array([7, 8, 9]), allowed=allowed, scale="signed", vmax=2.0, first=1, splits=(2,))
    header, read, blocked, colours = unpack(pack(shown, "dark", pinned=2, seq=5))
    assert np.array_equal(read, values.astype(np.float32))
    assert np.array_equal(blocked == 1, ~allowed) and colours == lut("signed").tobytes() and len(colours) == 768
    assert header["columns"][1] == "猫" and header["ids"] == [7, 8, 9] and header["signed"] and header["splits"] == [2]
    assert (header["pinned"], header["seq"], header["first"], header["draw"]) == (2, 5, 1, "cells")


def test_nothing_is_blocked_unless_told():
    _, _, blocked, _ = unpack(pack(TokenMap(values=np.eye(2), rows="ab", columns="ab"), "light"))
    assert not blocked.any()


def test_a_map_of_48_tokens_is_small():
    names = ["antidisestablishment"] * 48
    shown = TokenMap(values=np.ones((48, 48)), rows=names, columns=names, row_ids=[30_000] * 48)
    assert len(pack(shown, "light", text=map_text("zh"))) < 20_000


def test_both_languages_fill_the_same_fields_and_every_sentence_is_used():
    english, chinese = map_text("en"), map_text("zh")
    assert english.keys() == chinese.keys()
    for name in english:
        assert set(re.findall(r"{\w+}", english[name])) == set(re.findall(r"{\w+}", chinese[name])), name
    source = "".join(path.read_text(encoding="utf-8") for path in (HERE / "js").glob("*.js"))
    assert set(re.findall(r"\btext\.(\w+)", source)) == set(english)
    assert "addEventListener" not in source


def page():
    import numpy as np
    import streamlit as st

    from tfsss.ui.token_map import TokenMap, map_text, token_map

    token_map(TokenMap(values=np.eye(2), rows="ab", columns="ab"), key="map", text=map_text("en"), unit="weight",
              badge="Untrained", on_pin=lambda token: st.session_state.update(told=token))
    st.text(f"{st.session_state.get('told')}")


def test_it_draws_in_an_app():
    app = AppTest.from_function(page).run()
    assert not app.exception and app.text[0].value == "None"
