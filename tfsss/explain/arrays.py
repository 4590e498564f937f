"""How results leave this package: arrays that a cache can hand to every visitor."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def read_only(values: Tensor | np.ndarray) -> np.ndarray:
    """A copy of the values that nobody can change."""
    array = np.array(values.detach().numpy() if isinstance(values, Tensor) else values)
    array.setflags(write=False)
    return array
