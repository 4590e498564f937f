"""The page's downloads: its tables as a picture, and a script that computes and draws them."""

from __future__ import annotations

from collections.abc import Callable

from tfsss.figures.numbers import numbers_png
from tfsss.ui import frame
from tfsss.ui.masks.show import Taken

SENTENCE = "from tfsss.explain.sentence import sentence\n"
STRINGS = """from tfsss import weights
from tfsss.explain import masks, strings
from tfsss.explain.leaks import leaks
"""
SCRIPT = '''"""The Masks page of tfsss without a browser, its numbers and its picture.  Run it where tfsss is."""

from pathlib import Path

import numpy as np

{imports}from tfsss.explain.arrays import arrays_of
from tfsss.figures.numbers import Numbers, numbers_png

{lines}
Path("tfsss-masks.png").write_bytes(numbers_png(tables))
np.savez_compressed("tfsss-masks.npz", **arrays)
'''


def png(taken: Taken) -> Callable[[], bytes]:
    """The tables as the visitor's theme has them."""
    theme = frame.theme()
    return lambda: numbers_png(taken.tables, theme=theme)


def script(taken: Taken) -> str:
    """Python that makes the view's arrays again."""
    imports = SENTENCE if taken.lines.startswith("shown = sentence(") else STRINGS
    if taken.imports:
        return SCRIPT.format(imports=taken.imports, lines=taken.lines)
    if "leaks(" not in taken.lines:
        imports = imports.replace("from tfsss.explain.leaks import leaks\n", "")
    if "strings." not in taken.lines:
        imports = imports.replace("masks, strings", "masks")
    return SCRIPT.format(imports=imports, lines=taken.lines)
