"""Who may look at whom in an encoder-decoder: padded batches, masks in each convention, and fully blocked rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tfsss.data import sequences
from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.layers import masks
from tfsss.layers.attention import attention_weights

MOST_STRINGS = 6
MOST_CHARACTERS = 24

Site = Literal["encoder", "decoder", "cross"]  # encoder to itself, decoder to itself, decoder to encoder
SITES: tuple[Site, ...] = ("encoder", "decoder", "cross")

Groups = tuple[tuple[str, ...], ...]  # rules: "and" within a group, "or" between groups; () = everyone may
RULES = {
    "causal": lambda queries, keys: masks.causal(queries.shape[1], keys.shape[1]),
    "key_padding": lambda queries, keys: masks.key_padding(keys),
    "query_padding": lambda queries, keys: masks.query_padding(queries),
    "cross": masks.cross,  # both paddings: an outer product
}
ORDINARY: Mapping[Site, Groups] = MappingProxyType({  # as in training
    "encoder": (("key_padding",),), "decoder": (("causal", "key_padding"),), "cross": (("key_padding",),)})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Strings of different lengths made into two rectangles of ids."""

    sources: tuple[str, ...]  # b
    targets: tuple[str, ...]
    source_ids: np.ndarray  # (b, n) int64: characters, end token, padding
    target_ids: np.ndarray  # (b, m) int64, what the decoder reads: start token, characters, (end token,) padding
    next_ids: np.ndarray  # (b, m) int64, what it should say at each place: the target one place further on
    source_tokens: np.ndarray  # (b, n) boolean, True = token, False = padding
    target_tokens: np.ndarray  # (b, m) boolean

    def sides(self, site: Site) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the queries' side (b, m) and of the keys' side (b, n)."""
        return {"encoder": (self.source_ids, self.source_ids), "decoder": (self.target_ids, self.target_ids),
                "cross": (self.target_ids, self.source_ids)}[site]


@dataclass(frozen=True, kw_only=True)
class Mask:
    """One mask of a batch."""

    site: Site
    groups: Groups
    shape: tuple[int, ...]  # as it is made, before it is broadcast over batch, heads and queries
    allowed: np.ndarray  # (b, m, n) boolean, query down, key across; True = may attend
    blocked_rows: np.ndarray  # (b, m) boolean: queries that may attend to nobody


class Conventions(NamedTuple):
    """The same mask in the four ways in which code writes it, each (b, m, n)."""

    allowed: np.ndarray  # boolean, True = may attend: F.scaled_dot_product_attention, tfsss
    blocked: np.ndarray  # boolean, True = blocked: nn.Transformer, nn.MultiheadAttention
    additive_inf: np.ndarray  # float32, 0 or minus infinity, added to the scores
    additive_finite: np.ndarray  # float32, 0 or -1e9


@dataclass(frozen=True, kw_only=True)
class BlockedRows:
    """What becomes of queries that may attend to nobody, by four ways of masking the same scores."""

    rows: np.ndarray  # (m,) boolean, the queries concerned
    plain: np.ndarray  # (m, n) weights: minus infinity, then softmax: 0/0 is NaN
    zeros: np.ndarray  # (m, n) weights: the same, and a blocked row set to zeros; what tfsss does
    finite: np.ndarray  # (m, n) weights: -1e9 added: an even spread over forbidden keys
    slip: np.ndarray  # (m, n) weights: -1e-9 added, the classic slip: nothing is blocked
    slipped: float  # largest share of its attention that a query gives to forbidden keys by the slip
    plain_output: np.ndarray  # (m, e): plain times values
    zeros_output: np.ndarray  # (m, e): zeros times values
    fused_output: np.ndarray  # (m, e): what this torch's F.scaled_dot_product_attention makes of the same mask
    next_output: np.ndarray  # (m, e): one layer on, where the blocked rows are forbidden keys: 0 times NaN is NaN


def batch(sources: tuple[str, ...], targets: tuple[str, ...] | None = None) -> Batch:
    """Pad sources and targets.

    Args:    sources: 1 to 6 strings of letters and digits; targets: as many; None = the right answers.
    Raises:  InputError: none, too many, too long, not as many targets as sources, or a character without an id.
    """
    if not 1 <= len(sources) <= MOST_STRINGS:
        raise InputError("masks.strings", count=len(sources), limit=MOST_STRINGS)
    if targets is not None and len(targets) != len(sources):
        raise InputError("masks.pairs", sources=len(sources), targets=len(targets))
    check_lengths((*sources, *(targets or ())))
    source_ids = sequences.sources(sources)
    targets = tuple(map(sequences.answer, sources)) if targets is None else targets
    whole = sequences.targets(targets)
    read = whole[:, :-1]
    tokens = (masks.real_tokens(ids, sequences.PADDING) for ids in (source_ids, read))
    source_tokens, target_tokens = map(read_only, tokens)
    return Batch(sources=sources, targets=targets, source_ids=read_only(source_ids), target_ids=read_only(read),
                 next_ids=read_only(whole[:, 1:]), source_tokens=source_tokens, target_tokens=target_tokens)


def check_lengths(strings: tuple[str, ...]) -> None:
    """Raises InputError when a string is longer than the page can draw."""
    for string in strings:
        if len(string) > MOST_CHARACTERS:
            raise InputError("masks.too_long", string=string, count=len(string), limit=MOST_CHARACTERS)


def symbols(ids: np.ndarray) -> tuple[str, ...]:
    """How ids (n,) are written: characters, and <pad>, <start>, <end>."""
    return tuple(sequences.SYMBOLS[number] for number in ids)


def combine(queries: Tensor, keys: Tensor, groups: Groups) -> Tensor:
    """The mask that `groups` describe: boolean, broadcastable to (b, h, m, n); True = may attend.

    Args:    queries: (b, m), keys: (b, n), both boolean, True = token, False = padding.
             groups: rules, "and" within a group and "or" between groups: (("causal", "key_padding"), ("cross",)) is
             (causal and key padding) or cross. () = everyone may.
    Raises:  InputError: a rule that does not exist.
    """
    for rule in (rule for group in groups for rule in group):
        if rule not in RULES:
            raise InputError("masks.no_rule", rule=rule, known=", ".join(RULES))
    made = [masks.all_of(*(RULES[rule](queries, keys) for rule in group)) for group in groups if group]
    return masks.any_of(*made) if made else torch.ones(1, 1, dtype=torch.bool)


def combined(pairs: Batch, site: Site, groups: Groups) -> Tensor:
    """The mask of one of the three attentions, as the model takes it.  Args, Returns and Raises: as `combine`."""
    queries, keys = (torch.from_numpy(ids != sequences.PADDING) for ids in pairs.sides(site))
    return combine(queries, keys, groups)


def mask(pairs: Batch, site: Site, groups: Groups) -> Mask:
    """Args and Raises: as `combine`."""
    (count, m), (_, n) = (ids.shape for ids in pairs.sides(site))
    return spread(combined(pairs, site, groups), site, groups, (count, m, n))


def spread(made: Tensor, site: Site, groups: Groups, shape: tuple[int, int, int]) -> Mask:
    """A mask with what the page says of it.  Args: made: from `combine`; shape: (b, m, n)."""
    count, m, n = shape
    allowed = made.expand(count, 1, m, n)[:, 0]
    return Mask(site=site, groups=groups, shape=tuple(made.shape), allowed=read_only(allowed),
                blocked_rows=read_only(~allowed.any(dim=-1)))


def conventions(made: Mask) -> Conventions:
    """The mask's tensor in each convention."""
    allowed = torch.tensor(made.allowed)
    return Conventions(*map(read_only, (allowed, masks.to_blocked(allowed), masks.to_additive_inf(allowed),
                                        masks.to_additive_finite(allowed))))


def blocked_rows(q: np.ndarray, k: np.ndarray, v: np.ndarray, allowed: np.ndarray) -> BlockedRows:
    """Mask the scores of one head in every way, and follow the NaN.

    Args:    q: (m, e), k and v: (n, e), of one head; allowed: (m, n) boolean, True = may attend.
    """
    query, key, value, may = map(torch.tensor, (q, k, v, allowed))
    scores = query @ key.T * query.shape[-1]**-0.5
    plain = (scores + masks.to_additive_inf(may)).softmax(dim=-1)
    zeros = attention_weights(scores, may)
    finite = (scores + masks.to_additive_finite(may)).softmax(dim=-1)
    slip = (scores + masks.to_additive_finite(may, lowest=-1e-9)).softmax(dim=-1)
    rows = ~may.any(dim=-1)
    fused = F.scaled_dot_product_attention(query[None, None], key[None, None], value[None, None], attn_mask=may)[0, 0]
    even = attention_weights(torch.zeros(len(query), len(query)), ~rows)  # blocked rows are no keys: weight exactly 0
    slipped = slip.masked_fill(may, 0).sum(dim=-1).max()
    return BlockedRows(rows=read_only(rows), plain=read_only(plain), zeros=read_only(zeros), finite=read_only(finite),
                       slip=read_only(slip), slipped=float(slipped), plain_output=read_only(plain @ value),
                       zeros_output=read_only(zeros @ value), fused_output=read_only(fused),
                       next_output=read_only(even @ (plain @ value)))
