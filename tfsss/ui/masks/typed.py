"""What a visitor types and chooses on the Masks page: a sentence, a batch of strings, and the rules of each mask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from tfsss import weights
from tfsss.explain import masks, strings
from tfsss.explain.masks import ORDINARY, RULES, Batch, Groups, Site
from tfsss.explain.sentence import words_of
from tfsss.ui import cache, state
from tfsss.ui.language import LANGUAGES, sentences, t
from tfsss.weights import Loaded

ROOM = "masks"
SOURCES = "ab1 zebra9 q"
NOTHING = "none"  # a group without rules, in the address


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """A batch, the masks in force, and the model that reads both."""

    loaded: Loaded
    batch: Batch
    groups: Mapping[Site, Groups]
    pair: int

    @property
    def key(self) -> tuple:
        """Everything that a forward depends on."""
        return (self.loaded.entry.id, self.batch.sources, self.batch.targets, *self.groups.items())

    def run(self) -> strings.Run:
        return self._timed()[0]

    def run_ms(self) -> float:
        return self._timed()[1]

    def _timed(self) -> tuple[strings.Run, float]:
        return cache.computed_timed(("masks_run", *self.key),
                                    lambda: strings.run(self.loaded, self.batch, self.groups))


def sentence() -> tuple[str, ...]:
    """The sentence's words."""
    return words_of(text())


def text() -> str:
    """The sentence, typed here or on Home; until one is typed, an example in the visitor's language."""
    default = t("masks.sentence.default")
    examples = {sentences(language, ROOM)["sentence.default"] for language in LANGUAGES}
    for kept in (st.session_state, st.session_state.get(state.KEPT, {})):
        if kept.get("masks_sentence") in examples:
            kept["masks_sentence"] = default
    return state.words(ROOM, "sentence", default, max_chars=120, help=t("masks.sentence.help"))


def batch(place_for_more: bool = False) -> tuple[Batch, DeltaGenerator | None]:
    """Sources and targets: strings with spaces or commas between them; and the row's last place, if asked for."""
    widths = [4.5, 4.5, 3, 2.7] if place_for_more else [5, 5, 3]
    left, right, last, *more = st.columns(widths, vertical_alignment="bottom")
    with left:
        sources = split(state.words(ROOM, "sources", SOURCES, help=t("masks.sources.help")))
    with right:
        targets = split(state.words(ROOM, "targets", help=t("masks.targets.help")))
    with last:
        place = st.container()
    made = masks.batch(sources, targets or None)
    with place:
        state.choice(ROOM, "pair", [str(number) for number in range(len(made.sources))], kind="select",
                     show=lambda number: _pair_name(made, int(number)))
    return made, *(more or [None])


def split(text: str) -> tuple[str, ...]:
    """Strings between spaces, commas or lines."""
    return tuple(re.findall(r"[^\s,;，、；]+", text))


def site() -> Site:
    """Which attention of the encoder-decoder."""
    return state.choice(ROOM, "site", masks.SITES, hide_label=True)


def rules(chosen: Site) -> Mapping[Site, Groups]:
    """The rules of the chosen site's mask as two groups; those of the other sites are as they were left."""
    groups = {each: _kept(each) for each in masks.SITES}
    ordinary = ORDINARY[chosen][0]
    with st.container(horizontal=True, vertical_alignment="center", key="masks_rules", gap="small"):
        st.markdown(t("masks.all"), width="content")
        first = _group(chosen, "all", ordinary)
        other = _kept_group(chosen, "or", ())
        named = t("masks.or.one", rules=t("masks.and").join(t(f"masks.rule.{rule}") for rule in other))
        with st.popover(named if other else t("masks.or.more"), help=t("masks.or.help")):
            second = _group(chosen, "or", ())
        st.button(t("masks.ordinary"), key="masks_reset", on_click=_reset, args=(chosen,), type="tertiary",
                  icon=":material/restart_alt:", disabled=(first, second) == (ordinary, ()))
    state.note("masks_rules", t("masks.all"), said(_groups(first, second)))
    return groups | {chosen: _groups(first, second)}


def given(made: Batch, groups: Mapping[Site, Groups] = ORDINARY) -> Given:
    """The batch for the trained encoder-decoder."""
    return Given(loaded=cache.model(weights.best("transformer")), batch=made, groups=groups,
                 pair=int(st.session_state["masks_pair"]))


def said(groups: Groups) -> str:
    """The rules in words: (causal and key padding) or cross."""
    if not groups:
        return t("masks.everyone")
    parts = [t("masks.and").join(t(f"masks.rule.{rule}") for rule in group) for group in groups]
    return parts[0] if len(parts) == 1 else t("masks.or_between").join(f"({part})" for part in parts)


def _pair_name(made: Batch, number: int) -> str:
    return f"{number}: {made.sources[number]} → {made.targets[number]}"


def _names(chosen: Site, part: str) -> tuple[str, str]:
    return f"masks_{chosen}_{part}", f"{chosen}_{part}"


def _parse(text: str) -> list[str]:
    parts = [] if text == NOTHING else text.split(".")
    if any(part not in RULES for part in parts):
        raise ValueError(text)
    return parts


def _group(chosen: Site, part: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """One group of rules: pills of which any number may be on."""
    key, name = _names(chosen, part)
    state.settle(key, name, list(default), _parse)
    picked = st.pills(t(f"masks.{part}"), list(RULES), selection_mode="multi", key=key, label_visibility="collapsed",
                      format_func=lambda rule: t(f"masks.rule.{rule}"))
    value = tuple(rule for rule in RULES if rule in picked)
    state.record(key, name, list(value), None if value == default else ".".join(value) or NOTHING)
    return value


def _groups(first: tuple[str, ...], second: tuple[str, ...]) -> Groups:
    return tuple(group for group in (first, second) if group)


def _kept(each: Site) -> Groups:
    """Rules chosen earlier, or in the address, for a site whose pills are not on the page now."""
    return _groups(_kept_group(each, "all", ORDINARY[each][0]), _kept_group(each, "or", ()))


def _kept_group(each: Site, part: str, default: tuple[str, ...]) -> tuple[str, ...]:
    key, name = _names(each, part)
    state.settle(key, name, list(default), _parse, drawn=False)
    value = tuple(rule for rule in RULES if rule in st.session_state[key])
    state.record(key, name, list(value), None if value == default else ".".join(value) or NOTHING)
    return value


def _reset(chosen: Site) -> None:
    for part, default in (("all", ORDINARY[chosen][0]), ("or", ())):
        st.session_state[_names(chosen, part)[0]] = list(default)
