"""The page's downloads: its tables as a picture, and a script that computes and draws them without a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfsss.explain.strings import OneHead
from tfsss.figures.masked import UNTRAINED
from tfsss.figures.numbers import Numbers, numbers_png
from tfsss.ui import downloads, frame
from tfsss.ui.text.subject import ROOM, WEIGHTS, Subject, Taken

SCRIPT = '''"""The Text page of tfsss without a browser: its numbers and picture.  Run it in the project's folder."""

from pathlib import Path

import numpy as np

from tfsss import weights
from tfsss.data.wordpieces import pieces
from tfsss.explain.arrays import arrays_of
{imports}
from tfsss.figures.numbers import Numbers, numbers_png

loaded = {loaded}
untrained = "  UNTRAINED WEIGHTS" * (loaded.entry.weights == "random")
{lines}Path("tfsss-text.png").write_bytes(numbers_png(tables))
np.savez_compressed("tfsss-text.npz", **arrays)
'''

HEAD = '''print(" ".join(head.queries))
np.set_printoptions(precision=2, suppress=True)
print(head.weights)
tables = [[Numbers(title="layer {layer}, head {head}" + untrained, values=head.weights, rows=head.queries, vmax=1.0,
                   columns=head.keys, allowed=head.allowed, scale="viridis", roles=("query", "key"))]]
'''

ATTENTION_LINES = '''reading = text.read(loaded, (pieces({text!r}),))
head = text.one_head(reading, {layer}, {head})
''' + HEAD + '''arrays = reading.arrays() | arrays_of(head=head)
'''

PAIR_LINES = '''made = text_vectors.pair(loaded, pieces({first!r}, {second!r}))
head = text.one_head(made.reading, {layer}, {head})
print("from each text to the first, the second, and the marks:", made.shares[{layer}, {head}], sep="\\n")
''' + HEAD + '''arrays = made.reading.arrays() | arrays_of(head=head, shares=made.shares, moved=made.moved)
'''

PADDING_LINES = '''made = text_vectors.padding(loaded, pieces({first!r}), pieces({second!r}), extra={extra})
print("largest change of its vectors, masked and not:", made.moved_masked.max(), made.moved_unmasked.max())
print("attention that goes to padding without a mask, layer by layer:", made.lost)
names = made.masked.pieces[made.row]
tables = [[Numbers(title="layer {layer}, head {head}, " + name + untrained, rows=names[:made.count], columns=names,
                   values=reading.weights[{layer}, made.row, {head}, :made.count], vmax=1.0, scale="viridis",
                   roles=("query", "key"), allowed=reading.mask.allowed[made.row, :made.count])]
          for name, reading in (("masked", made.masked), ("unmasked", made.unmasked))]
arrays = made.masked.arrays() | {{"unmasked": made.unmasked.weights}} | arrays_of(
    moved_masked=made.moved_masked, moved_unmasked=made.moved_unmasked, cosine_unmasked=made.cosine_unmasked,
    lost=made.lost)
'''

COMPARE_LINES = '''made = text_vectors.compare(loaded, pieces({first!r}), pieces({second!r}))
print("cosine of the two texts, before the first block and after each:", made.by_layer)
rows, columns = (names[:count] for names, count in zip(made.reading.pieces, made.reading.tokens.sum(axis=1)))
tables = [[Numbers(title="cosines after block {after}" + untrained, values=made.between[{after}], rows=rows,
                   columns=columns, scale="signed", vmax=1.0)]]
arrays = made.reading.arrays() | arrays_of(sentences=made.sentences, by_layer=made.by_layer, first=made.first,
                                           between=made.between)
'''


def named(title: str, untrained: bool) -> str:
    """A table's name, with a word of warning where nobody trained what made it."""
    return f"{title}  {UNTRAINED}" if untrained else title


def head_table(one: OneHead, layer: int, head: int, untrained: bool) -> Numbers:
    """One head's weights."""
    return Numbers(title=named(f"layer {layer}, head {head}", untrained), values=one.weights, rows=one.queries,
                   columns=one.keys, allowed=one.allowed, scale="viridis", vmax=1.0, roles=("query", "key"))


def picture(tables: Callable[[], Sequence[Sequence[Numbers]]]) -> Callable[[], bytes]:
    """The tables as the visitor's theme has them."""
    theme = frame.theme()
    return lambda: numbers_png(tables(), theme=theme)


def offered(subject: Subject, taken: Taken) -> list[downloads.Download]:
    """The four downloads of a view."""
    imports, loaded = taken.imports, f'weights.load("{WEIGHTS}")'
    if subject.untrained:
        loaded = f'weights.untrained("bert", VARIANTS["{WEIGHTS}"])'
        imports += "\nfrom tfsss.models.bert import VARIANTS"
    return downloads.downloads(ROOM, png=taken.png, arrays=taken.arrays,
                               script=SCRIPT.format(imports=imports, loaded=loaded, lines=taken.lines))
