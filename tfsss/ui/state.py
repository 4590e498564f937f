"""Controls that live in the address bar, so that a page is a link.

Streamlit's own binding writes an option's shown text into the address, which a translation would break. So each
control here has an id, its value is written under that id, and what stands in the address is checked before it is used.
The address wins where a visitor comes to a page, and on a step back or forward in the browser's history; otherwise the
session remembers, from page to page. (In between an address can be older than the session: that of a second click that
was made before the first one's was written.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from tfsss.ui.catalog import CATALOG
from tfsss.ui.language import t

WRITTEN, KEPT = "_written", "_kept"  # of each control: what the address last said, None = its default; the value
RECORDED = "_recorded"  # what is to be written into the address when this run ends: key -> (name, text)
PAGE, ARRIVED = "_page", "_arrived"  # the page that was drawn last; whether this run is a visitor's first on a page
DEFAULTS = "_defaults"  # of controls whose default depends on the model
DRAWN = "_drawn"  # keys of the controls that the last run of the page's stage drew, and of those drawn since it began
NOTES = "_notes"  # what the controls of the page's stage are set to, in words


def begin(page_id: str) -> None:
    """Before a run of the whole script draws a page."""
    st.session_state[ARRIVED] = st.session_state.get(PAGE) != page_id
    st.session_state[PAGE] = page_id


def settle(key: str, name: str, default: object, parse: Callable[[str], object], *, drawn: bool = True) -> None:
    """Set `st.session_state[key]` before its widget is made: from the address, or the session, or the default.

    Args:    key: of the widget, unique in the app. name: in the address.
             parse: the address's text to a value; raises ValueError for what is no value.
             drawn: whether the control follows.
    """
    written = st.session_state.setdefault(WRITTEN, {})
    kept = st.session_state.setdefault(KEPT, {})
    text = st.query_params.get(name)
    if _address_wins(key, text):
        written[key] = text
        try:
            st.session_state[key] = default if text is None else parse(text)
        except ValueError:
            st.session_state[key] = kept.get(key, default)
    elif key not in st.session_state:
        st.session_state[key] = kept.get(key, default)
    if drawn:
        resend(key)


def _address_wins(key: str, text: str | None) -> bool:
    """Whether a control's value is to be taken from the address, from what it says or from its silence."""
    written = st.session_state[WRITTEN]
    if text == written.get(key):
        return False
    if text is None:  # what all pages share stays as it is
        return _steps_in_history() and key.partition("_")[0] in {listed.id for listed in CATALOG}
    return key not in written or st.session_state.get(ARRIVED, False) or _steps_in_history()


def _steps_in_history() -> bool:
    """Whether this run follows the browser's buttons Back or Forward."""
    return get_script_run_ctx().is_history_navigation


def assign(key: str, value: object) -> None:
    """Before the widget `key` is made: what it is to show, if that is something else.

    The browser draws a widget that was assigned to twice, which takes it 2 to 3 ms, even where nothing changes.
    """
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def resend(key: str) -> None:
    """Before the widget `key` is made: one that comes back is assigned the value that Streamlit still has of it.

    Of a widget in a fragment inside another Streamlit keeps the value when the widget goes, and the browser forgets it.
    Only what was assigned is sent.
    """
    before, now = st.session_state.setdefault(DRAWN, (set(), set()))
    if key in st.session_state and key not in before:
        st.session_state[key] = st.session_state[key]
    now.add(key)


def begin_stage() -> None:
    """Before a run of the page's stage draws controls."""
    _, last = st.session_state.get(DRAWN, (set(), set()))
    st.session_state[DRAWN] = (last, set())


def record(key: str, name: str, value: object, text: str | None) -> None:
    """Remember a value past this page, and for the address; text None = the default, which is left out."""
    st.session_state[KEPT][key] = value
    st.session_state.setdefault(RECORDED, {})[key] = (name, text)


def write_address() -> None:
    """Put what was recorded into the address: when a run ends and all at once, for each change is a step of history.

    A step back or forward writes nothing, or no further step would lead on.
    """
    recorded = st.session_state.pop(RECORDED, {})
    st.session_state[ARRIVED] = False
    if _steps_in_history():
        return
    before = st.query_params.to_dict()
    texts = dict(recorded.values())
    st.session_state[WRITTEN] |= {key: text for key, (_, text) in recorded.items()}
    after = {name: text for name, text in (before | texts).items() if text is not None}
    if after != before:
        st.query_params.from_dict(after)


def follow(room: str, name: str, default: object) -> None:
    """Before a control whose default depends on the model: a value that stood on the last default goes to this one."""
    key, defaults = f"{room}_{name}", st.session_state.setdefault(DEFAULTS, {})
    last = defaults.get(key, default)
    for values in (st.session_state, st.session_state.setdefault(KEPT, {})):
        if last != default and key in values and values[key] == last:
            values[key] = default
    defaults[key] = default


def note(key: str, label: str, shown: str) -> None:
    """What a control is set to, for the caption of a picture that is taken away."""
    st.session_state.setdefault(NOTES, {})[key] = t("app.setting", label=label, value=shown) if shown else label


def choice(room: str, name: str, options: Sequence[str], *, default: str | None = None,
           show: Callable[[str], str] | None = None, kind: str = "segments", help: str | None = None,
           hide_label: bool = False) -> str:
    """One of several options, by id.

    Args:    room: of the texts: the label is `<room>.<name>`, an option's text `<room>.<name>.<option>`.
             show: option -> text instead. kind: "segments" beside each other, or "select", a list.
    """
    key, default = f"{room}_{name}", default or options[0]
    settle(key, name, default, _one_of(options))
    if st.session_state[key] not in options:
        st.session_state[key] = default
    shown = {option: show(option) if show else t(f"{room}.{name}.{option}") for option in options}
    visible = "collapsed" if hide_label else "visible"
    if kind == "segments":
        value = st.segmented_control(t(f"{room}.{name}"), options, format_func=shown.get, key=key, required=True,
                                     help=help, label_visibility=visible)
    else:
        value = _select(t(f"{room}.{name}"), options, shown, key, help=help, label_visibility=visible)
    record(key, name, value, None if value == default else value)
    note(key, t(f"{room}.{name}"), shown[value])
    return value


def _select(label: str, options: Sequence[str], shown: dict[str, str], key: str, **more: str | None) -> str:
    """A list. The browser keeps the text of what was chosen, so options that are renamed need a widget of their own."""
    widget = f"{key}_{crc32(repr(shown).encode()):08x}"
    assign(widget, st.session_state[key])
    resend(widget)

    def take() -> None:
        st.session_state[key] = st.session_state[widget]

    return st.selectbox(label, options, format_func=shown.get, key=widget, on_change=take, **more)


def slide(room: str, name: str, low: float, high: float, default: float, *, step: float = 1,
          help: str | None = None, format: str | None = None) -> float:
    """A number between two ends: a slider. Whole numbers when `step` is whole."""
    key, kind = f"{room}_{name}", type(step)
    settle(key, name, kind(default), kind)
    assign(key, min(max(kind(st.session_state[key]), kind(low)), kind(high)))
    if low >= high:  # a slider needs two ends
        return kind(low)
    value = st.slider(t(f"{room}.{name}"), kind(low), kind(high), step=step, key=key, help=help, format=format)
    record(key, name, value, None if value == default else f"{value:g}")
    note(key, t(f"{room}.{name}"), f"{value:g}")
    return value


def among(room: str, name: str, options: Sequence[int], default: int, *, help: str | None = None,
          show: Callable[[int], str] = str) -> int:
    """One of a few numbers, on a slider."""
    key = f"{room}_{name}"
    settle(key, name, default, int)
    if st.session_state[key] not in options:
        st.session_state[key] = default if default in options else options[0]
    if len(options) == 1:
        return options[0]
    value = st.select_slider(t(f"{room}.{name}"), options, key=key, help=help, format_func=show)
    record(key, name, value, None if value == default else str(value))
    note(key, t(f"{room}.{name}"), show(value))
    return value


def switch(room: str, name: str, default: bool = False, *, help: str | None = None) -> bool:
    """On or off: 1 or 0 in the address."""
    key = f"{room}_{name}"
    settle(key, name, default, lambda text: bool(int(text)))
    value = st.toggle(t(f"{room}.{name}"), key=key, help=help)
    record(key, name, value, None if value == default else str(int(value)))
    if value:
        note(key, t(f"{room}.{name}"), "")
    return value


def number(room: str, name: str, low: int, high: int, default: int | None, *, help: str | None = None) -> int | None:
    """A whole number to type; empty only if the default is None (nothing chosen).

    One beyond the ends goes to the nearer one, with a sentence (the browser's own is English); one that another
    control has put beyond them goes to the default.
    """
    key = f"{room}_{name}"
    settle(key, name, default, int)
    given = st.session_state[key]
    if given is None:
        assign(key, default)
    elif not low <= given <= high:
        nearest = min(max(given, low), high)
        if given == st.session_state[KEPT].get(key):
            nearest = default
        else:
            st.toast(t("app.range", label=t(f"{room}.{name}"), low=low, high=high, given=given, value=nearest))
        assign(key, nearest)
    value = st.number_input(t(f"{room}.{name}"), value=None, step=1, key=key, help=help)
    record(key, name, value, None if value == default else str(value))
    if value is not None:
        note(key, t(f"{room}.{name}"), str(value))
    return value


def words(room: str, name: str, default: str = "", *, max_chars: int = 200, help: str | None = None) -> str:
    """A line of text to type; what is longer is cut, with a sentence (the browser would refuse it in silence)."""
    key = f"{room}_{name}"
    settle(key, name, default, str)
    if (given := len(st.session_state[key])) > max_chars:
        assign(key, st.session_state[key][:max_chars])
        st.toast(t("app.too_long", label=t(f"{room}.{name}"), limit=max_chars, given=given))
    value = st.text_input(t(f"{room}.{name}"), key=key, help=help)
    record(key, name, value, None if value == default else value)
    if value:
        note(key, t(f"{room}.{name}"), value)
    return value


def _one_of(options: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text
    return parse
