"""How results leave this package: arrays that a cache can hand to every visitor."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np
from torch import Tensor


def read_only(values: Tensor | np.ndarray) -> np.ndarray:
    """A copy of the values that nobody can change."""
    array = np.array(values.detach().numpy() if isinstance(values, Tensor) else values)
    array.setflags(write=False)
    return array


def arrays_of(**results: object) -> dict[str, np.ndarray]:
    """Everything in results (dataclasses, within each other too) as named arrays, for a file of arrays.

    Args:    results: name=result; an array `boxes` of the result named `cut` becomes `cut_boxes`, of the third result
             in a tuple `cut_2_boxes`. None is left out.
    """
    found: dict[str, np.ndarray] = {}
    for name, result in results.items():
        if is_dataclass(result):
            found |= arrays_of(**{f"{name}_{field.name}": getattr(result, field.name) for field in fields(result)})
        elif isinstance(result, tuple) and any(is_dataclass(part) for part in result):
            found |= arrays_of(**{f"{name}_{number}": part for number, part in enumerate(result)})
        elif result is not None:
            found[name] = np.asarray(result)
    return found
