"""The one error that a person is meant to read."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path

TEXT = Path(__file__).parent.parent / "assets" / "text"


@cache
def error_sentences(language: str, room: str) -> dict[str, str]:
    """Error name -> sentence with `{named}` numbers.  Args: language: "en" or "zh"; room: the id's first part."""
    return json.loads((TEXT / language / "errors" / f"{room}.json").read_text(encoding="utf-8"))


class InputError(ValueError):
    """Input that cannot be used: what happened, the numbers that disagree, and what to do instead.

    `InputError("image.too_large", megapixels=120, limit=40)` carries an id and its numbers; the sentence is `too_large`
    in `assets/text/<language>/errors/image.json`, so that the app can say it in the visitor's language.
    """

    def __init__(self, error_id: str, **numbers: object):
        self.error_id, self.numbers = error_id, numbers
        super().__init__(self.sentence("en"))

    def sentence(self, language: str) -> str:
        room, name = self.error_id.split(".", 1)
        return error_sentences(language, room)[name].format(**self.numbers)

    def __reduce__(self):  # or a child process could not hand it back: exceptions are copied with their message alone
        return partial(type(self), self.error_id, **self.numbers), ()
