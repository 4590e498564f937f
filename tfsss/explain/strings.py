"""A trained encoder-decoder at work on a batch of strings: scores, masks, weights, what it writes, and its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from tfsss.data import sequences
from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.masks import (
    MOST_CHARACTERS, ORDINARY, SITES, Batch, Groups, Site, check_lengths, combined, mask, symbols,
)
from tfsss.layers.masks import Masks, real_tokens
from tfsss.models.transformer import greedy_decode
from tfsss.probe import capture

if TYPE_CHECKING:
    from tfsss.weights import Loaded

MODULES: Mapping[Site, str] = {"encoder": "encoder.{}.self_attn", "decoder": "decoder.{}.self_attn",
                               "cross": "decoder.{}.cross_attn"}
STEPS = ("q", "k", "v", "scores", "weights")
IGNORED = -100  # torch's default `ignore_index`


@dataclass(frozen=True, kw_only=True)
class Run:
    """One forward of a batch with every attention kept: the page's layers and heads are chosen from it."""

    batch: Batch
    allowed: Mapping[Site, np.ndarray]  # (b, m, n) boolean, the masks that were applied
    attention: Mapping[Site, Mapping[str, np.ndarray]]  # q k v (l, b, h, n, e); scores and weights (l, b, h, m, n)
    logits: np.ndarray  # (b, m, k) float32: scores of the next token
    predicted: np.ndarray  # (b, m) int64: the likeliest next token at each place, the target before it being given


@dataclass(frozen=True, kw_only=True)
class OneHead:
    """One head of one layer on one pair of strings, step by step."""

    site: Site
    queries: tuple[str, ...]  # m symbols
    keys: tuple[str, ...]  # n symbols
    q: np.ndarray  # (m, e) float32
    k: np.ndarray  # (n, e)
    v: np.ndarray  # (n, e)
    scores: np.ndarray  # (m, n): q times k / sqrt(e)
    allowed: np.ndarray  # (m, n) boolean
    masked: np.ndarray  # (m, n): minus infinity where blocked
    weights: np.ndarray  # (m, n): softmax over the keys; a fully blocked row is zeros
    sums: np.ndarray  # (m, e): weights times v


@dataclass(frozen=True, kw_only=True)
class TokenLoss:
    """Cross-entropy of every place of the target."""

    labels: np.ndarray  # (b, m) int64, what should be said; IGNORED = not counted
    counted: np.ndarray  # (b, m) boolean
    losses: np.ndarray  # (b, m) float32; 0 where not counted
    probabilities: np.ndarray  # (b, m) float32 that the model gives to what should be said, padding included
    mean: float  # over the counted places
    right_share: float  # of the smoothed target: what the right token should get
    other_share: float  # and each of the others
    shapes: tuple[tuple[int, ...], tuple[int, ...]]  # logits (b, m, k), and (b, k, m) as F.cross_entropy wants them


def run(loaded: Loaded, pairs: Batch, groups: Mapping[Site, Groups] = ORDINARY) -> Run:
    """Encode and decode the batch once.

    Args:    loaded: weights of the family "transformer"; groups: the masks of each site, as `masks.combined`.
    """
    model = loaded.model
    given = Masks(*(combined(pairs, site, groups[site]) for site in SITES))
    with capture(model, *(f"{MODULES[site].format('*')}.*" for site in SITES)) as seen:
        logits = model(torch.tensor(pairs.source_ids), torch.tensor(pairs.target_ids), given)
    depth = {"encoder": len(model.encoder), "decoder": len(model.decoder), "cross": len(model.decoder)}
    attention = {site: {step: read_only(torch.stack([seen[f"{MODULES[site].format(layer)}.{step}"]
                                                     for layer in range(depth[site])])) for step in STEPS}
                 for site in SITES}
    return Run(batch=pairs, allowed={site: mask(pairs, site, groups[site]).allowed for site in SITES},
               attention=attention, logits=read_only(logits), predicted=read_only(logits.argmax(dim=-1)))


def one_head(done: Run, site: Site, layer: int, head: int, pair: int) -> OneHead:
    """One head's steps.

    Args:    layer, head, pair: numbers from 0.
    Raises:  InputError: no such layer, head or pair.
    """
    check_numbers(done.attention[site]["weights"].shape[:3], layer, head, pair)
    queries, keys = (symbols(ids[pair]) for ids in done.batch.sides(site))
    return head_of(done.attention[site], layer, head, pair, site=site, queries=queries, keys=keys,
                   allowed=done.allowed[site][pair])


def check_numbers(shape: tuple[int, int, int], layer: int, head: int, pair: int) -> None:
    """Args:    shape: how many layers, pairs and heads there are.  Raises: InputError: there is no such one."""
    layers, pairs, heads = shape
    for name, number, count in (("layer", layer, layers), ("head", head, heads), ("pair", pair, pairs)):
        if not 0 <= number < count:
            raise InputError(f"masks.no_{name}", number=number, last=count - 1)


def head_of(attention: Mapping[str, np.ndarray], layer: int, head: int, pair: int, *, site: Site,
            queries: tuple[str, ...], keys: tuple[str, ...], allowed: np.ndarray) -> OneHead:
    """One head out of what all of a model's attentions of one kind saw.  Args: allowed: (m, n) boolean."""
    q, k, v, scores, weights = (attention[step][layer, pair, head] for step in STEPS)
    return OneHead(site=site, queries=queries, keys=keys, q=q, k=k, v=v, scores=scores, allowed=allowed,
                   masked=read_only(np.where(allowed, scores, -np.inf)), weights=weights, sums=read_only(weights @ v))


def written(loaded: Loaded, sources: tuple[str, ...]) -> tuple[str, ...]:
    """What the model writes for each string by itself, token by token, always the likeliest.

    Raises:  InputError: an empty string, one that is too long, or a character that the model has never seen.
    """
    check_lengths(sources)
    ids = sequences.sources(sources)
    result = greedy_decode(loaded.model, ids, real_tokens(ids, sequences.PADDING), start=sequences.START,
                           end=sequences.END, padding=sequences.PADDING, max_length=MOST_CHARACTERS + 1)
    return tuple(map(sequences.text, result))


def token_loss(done: Run, *, ignore_padding: bool = True, smoothing: float = 0.0) -> TokenLoss:
    """What training would make of this run.

    Args:    ignore_padding: padded places are labelled -100, torch's `ignore_index`, and neither counted nor learned;
             False = the padding is a class like the others, and the mean is diluted by it.
             smoothing: share of the target that is spread evenly over all k tokens, in [0, 1).
    Source:  Szegedy et al. 2016, arXiv:1512.00567, sec. 7; Vaswani et al. 2017 use 0.1 (sec. 5.4).
    """
    if not 0 <= smoothing < 1:
        raise InputError("masks.smoothing", smoothing=smoothing)
    logits, following = torch.tensor(done.logits), torch.tensor(done.batch.next_ids)
    padded = following == sequences.PADDING
    labels = following.masked_fill(padded, IGNORED) if ignore_padding else following
    by_class = logits.transpose(1, 2)  # b k m
    losses = F.cross_entropy(by_class, labels, ignore_index=IGNORED, label_smoothing=smoothing, reduction="none")
    mean = F.cross_entropy(by_class, labels, ignore_index=IGNORED, label_smoothing=smoothing)
    other = smoothing / logits.shape[-1]
    return TokenLoss(labels=read_only(labels), counted=read_only(labels != IGNORED), losses=read_only(losses),
                     probabilities=read_only(logits.softmax(dim=-1).gather(-1, following[..., None])[..., 0]),
                     mean=float(mean), right_share=1 - smoothing + other, other_share=other,
                     shapes=(tuple(logits.shape), tuple(by_class.shape)))
