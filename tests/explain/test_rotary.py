"""Rotary's pairs, against complex numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tfsss.errors import InputError
from tfsss.explain.rotary import rotary_pairs


@pytest.mark.parametrize("pairing", ["interleaved", "halves"])
def test_pairs_turn_like_complex_numbers(pairing):
    result = rotary_pairs(8, query_at=9, key_at=4, shift=100, length=12, base=50, pairing=pairing)
    query, key = (part[:, 0] + 1j * part[:, 1] for part in (result.query, result.key))
    turns = 50.0 ** (-np.arange(4) / 4)
    np.testing.assert_allclose(result.turns, turns, rtol=1e-6)
    turned = query * np.exp(9j * turns)
    np.testing.assert_allclose(result.query_turned[:, 0] + 1j * result.query_turned[:, 1], turned, atol=1e-6)
    parts = (query * np.conj(key) * np.exp(1j * (9 - 4) * turns)).real  # only the distance is left
    np.testing.assert_allclose(result.products, parts, atol=1e-5)
    assert result.score == pytest.approx(parts.sum(), abs=1e-5) == pytest.approx(result.scores[9, 4], abs=1e-5)
    assert result.shifted_score == pytest.approx(result.score, abs=1e-4)
    assert result.unequal < 1e-4 < np.ptp(result.scores)
    assert not result.scores.flags.writeable and not result.products.flags.writeable


def test_nothing_lies_before_the_start():
    with pytest.raises(InputError) as caught:
        rotary_pairs(8, query_at=3, key_at=0, shift=-1)
    assert caught.value.error_id == "position.before_start" and "-1" in str(caught.value)
