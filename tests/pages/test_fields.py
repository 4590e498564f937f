"""Fields to type in: what does not fit is made to fit, with a sentence in the visitor's language."""

from __future__ import annotations

import pytest

from tfsss.ui.language import sentences


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_number_beyond_its_ends_goes_to_the_nearer_one(open_app, sound, language):
    app = open_app("swin", lang=language)
    app.number_input(key="swin_shift").set_value(50).run()
    sound(app)
    words = sentences(language, "app")["range"].format(label=sentences(language, "swin")["shift"], low=0, high=6,
                                                       given=50, value=6)
    assert [toast.value for toast in app.toast] == [words]
    assert app.session_state["swin_shift"] == app.number_input(key="swin_shift").value == 6
    assert app.query_params["shift"] == "6"


def test_a_number_that_another_control_puts_beyond_its_ends_goes_to_its_default(open_app, sound):
    app = open_app("swin", lang="en", shift="5")
    app.number_input(key="swin_window").set_value(4).run()
    sound(app)
    assert app.session_state["swin_shift"] == 2 and not app.toast and "shift" not in app.query_params


def test_an_emptied_field_shows_the_number_that_is_used(open_app, sound):
    app = open_app("swin", lang="en", rows="20")
    app.number_input(key="swin_rows").set_value(None).run()
    sound(app)
    assert app.number_input(key="swin_rows").value == 14 and "rows" not in app.query_params


def test_text_that_is_too_long_is_cut_with_a_sentence(open_app, sound):
    app = open_app("masks", lang="en")
    app.text_input(key="masks_sentence").set_value("a long sentence " * 10).run()
    sound(app)
    (toast,) = app.toast
    assert "120 characters" in toast.value and "of 160" in toast.value
    assert app.text_input(key="masks_sentence").value == ("a long sentence " * 10)[:120]


def test_a_number_in_the_address_beyond_the_ends_says_so_too(open_app, sound):
    app = open_app("mae", lang="en", seed="123456")
    sound(app)
    assert app.session_state["mae_seed"] == 9999 and "123456" in app.toast[0].value
