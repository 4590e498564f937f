"""Who may look at whom: masks as booleans, True = may attend, and the other conventions they are converted to."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor


def real_tokens(ids: Tensor, padding_id: int) -> Tensor:
    """Which places hold a token and not padding.  Args: ids: (b, n).  Returns: (b, n) boolean; True = token."""
    return ids != padding_id


def causal(num_queries: int, num_keys: int | None = None) -> Tensor:
    """Nobody looks ahead: query i may attend to the keys 0 to i.

    Args:    num_queries: m; num_keys: n, m unless told.
    Returns: (m, n) boolean, the lower triangle with its diagonal.
    Source:  Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2.3.
    """
    queries, keys = torch.arange(num_queries), torch.arange(num_queries if num_keys is None else num_keys)
    return keys[None, :] <= queries[:, None]


def key_padding(tokens: Tensor) -> Tensor:
    """Nobody looks at padding.  Args: tokens: (b, n), True = token.  Returns: (b, 1, 1, n), for all queries."""
    return tokens[:, None, None, :]


def query_padding(tokens: Tensor) -> Tensor:
    """Padding looks at nobody: its rows are fully blocked.  Args: tokens: (b, m).  Returns: (b, 1, m, 1)."""
    return tokens[:, None, :, None]


def cross(query_tokens: Tensor, key_tokens: Tensor) -> Tensor:
    """Tokens of one sequence look at tokens of the other.

    Args:    query_tokens: (b, m), True = token; key_tokens: (b, n).
    Returns: (b, 1, m, n) boolean; rows of padded queries are fully blocked.
    """
    return query_padding(query_tokens) & key_padding(key_tokens)


def all_of(*masks: Tensor) -> Tensor:
    """Allowed where every mask allows; the shapes broadcast."""
    return reduce(torch.logical_and, masks)


def any_of(*masks: Tensor) -> Tensor:
    """Allowed where at least one mask allows; the shapes broadcast."""
    return reduce(torch.logical_or, masks)


def to_blocked(allowed: Tensor) -> Tensor:
    """True = blocked: `nn.MultiheadAttention`, `nn.Transformer` and their key padding masks."""
    return ~allowed


def to_additive_inf(allowed: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """0 = allowed, -inf = blocked, added to the scores.  Softmax of a fully blocked row is then 0/0, NaN."""
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill(~allowed, -torch.inf)


def to_additive_finite(allowed: Tensor, lowest: float = -1e9) -> Tensor:
    """0 = allowed, -1e9 = blocked, added to float32 scores: BERT's and the notebooks' way.

    A fully blocked row is no NaN, but nonsense all the same: -1e9 swallows the scores, so softmax spreads evenly over
    keys that are all forbidden. In float16, where -1e9 overflows, it is the -inf convention again.
    """
    return torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, lowest)


class Masks(NamedTuple):
    """The three masks of an encoder-decoder, boolean, True = may attend."""

    source: Tensor  # (b, 1, 1, n): the encoder's attention to itself
    target: Tensor  # (b, 1, m, m): the decoder's
    memory: Tensor  # (b, 1, 1, n): the decoder's to the encoder's output


def encoder_decoder_masks(source_tokens: Tensor, target_tokens: Tensor) -> Masks:
    """What training and decoding use: nobody sees padding, and the target does not see its future.

    Args:    source_tokens: (b, n), True = token; target_tokens: (b, m).
    Source:  Vaswani et al. 2017, sec. 3.2.3. Padded queries are left alone: what they compute, nobody reads.
    """
    future_hidden = causal(target_tokens.shape[1]).to(target_tokens.device)
    return Masks(key_padding(source_tokens), key_padding(target_tokens) & future_hidden, key_padding(source_tokens))
