"""The one error that a person reads: its id, its numbers, and a sentence in each language for every raise."""

from __future__ import annotations

import ast
import json
import pickle
import string
from pathlib import Path

import pytest

from tfsss.errors import InputError, error_sentences

ROOT = Path(__file__).parent.parent
SENTENCES = sorted(path.stem for path in (ROOT / "assets/text/en/errors").glob("*.json"))


def raised() -> list[tuple[str, str, set[str] | None]]:
    """Every `InputError("room.name", ...)` in the code: where, the id, and the numbers' names (None = not literal)."""
    found = []
    for path in sorted((ROOT / "tfsss").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "InputError"
            if named and node.args and isinstance(node.args[0], ast.Constant):
                names = [keyword.arg for keyword in node.keywords]
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node.args[0].value,
                              None if None in names else set(names)))
    return found


def fields(sentence: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(sentence) if field is not None}


def test_an_error_carries_its_id_its_numbers_and_a_sentence():
    error = InputError("shape.not_divisible", height=224, width=225, patch=16)
    assert isinstance(error, ValueError)
    assert error.error_id == "shape.not_divisible" and error.numbers == {"height": 224, "width": 225, "patch": 16}
    assert str(error) == error.sentence("en")
    for language in ("en", "zh"):
        assert all(number in error.sentence(language) for number in ("224", "225", "16"))
    assert error.sentence("en") != error.sentence("zh")


@pytest.mark.parametrize("call", [
    lambda: InputError("shape.no_such_error"), lambda: InputError("no_such_room.name"),
    lambda: InputError("without_a_room"), lambda: InputError("shape.not_divisible", height=1),
])
def test_an_error_without_a_sentence_or_a_number_is_a_bug_and_shows_at_once(call):
    with pytest.raises((KeyError, FileNotFoundError, ValueError)) as caught:
        call()
    assert not isinstance(caught.value, InputError)


def test_every_error_that_the_code_raises_has_both_sentences_and_all_their_numbers():
    assert len(places := raised()) > 20
    faults = []
    for where, error_id, given in places:
        room, name = error_id.split(".", 1)
        for language in ("en", "zh"):
            sentence = error_sentences(language, room).get(name) if room in SENTENCES else None
            if sentence is None:
                faults.append(f"{where} {error_id}: no sentence in {language}")
            elif given is not None and not fields(sentence) <= given:
                faults.append(f"{where} {error_id}: {language} needs {fields(sentence) - given}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("room", SENTENCES)
def test_sentences_end_as_sentences_and_say_every_number_in_both_languages(room):
    english, chinese = (json.loads((ROOT / f"assets/text/{language}/errors/{room}.json").read_text(encoding="utf-8"))
                        for language in ("en", "zh"))
    for name in english:
        assert english[name].endswith("."), name
        assert chinese[name].endswith("。"), name
        assert fields(english[name]) == fields(chinese[name]), name


def test_an_error_survives_the_way_out_of_a_child_process():
    error = InputError("shape.not_divisible", height=224, width=225, patch=16)
    copy = pickle.loads(pickle.dumps(error))
    assert copy.error_id == error.error_id and copy.numbers == error.numbers and str(copy) == str(error)
