"""Elements beside each other, cheaply.

The browser renders every node of a page four times a click, about 0.1 ms each. `st.columns` takes one node for the row
and one for each column; a container whose grid stands in the style sheet is one in all.
"""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator


def beside(name: str, *parts: int) -> DeltaGenerator:
    """A container whose elements stand beside each other, below each other on a phone.

    Args:    name: of its key, unique on the page. parts: the columns' widths; style.css knows those that are in use.
    """
    return st.container(key=f"beside_{'_'.join(map(str, parts))}_{name}")
