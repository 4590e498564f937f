"""Does a mask hold? Change one token, and see which outputs move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tfsss.data import sequences
from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.masks import ORDINARY, SITES, Batch, Groups, Site, combined, mask, symbols
from tfsss.layers.masks import Masks

if TYPE_CHECKING:
    from tfsss.models.transformer import Transformer
    from tfsss.weights import Loaded

NOTICEABLE = 1e-5  # a change below this is rounding


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """Change of output i, down, when token j, across, is another one; all with the masks of the site's own side."""

    site: Site
    outputs: tuple[str, ...]  # m symbols
    changed: tuple[str, ...]  # n symbols
    replacements: tuple[str, ...]  # n symbols that they were changed to
    change: np.ndarray  # (m, n) float32, largest difference of output i's numbers
    moved: np.ndarray  # (m, n) boolean: change beyond rounding
    applied: np.ndarray  # (m, n) boolean, the mask in force: True = may attend
    reachable: np.ndarray  # (m, n) boolean: what the masks in force let through all layers
    rightful: np.ndarray  # (m, n) boolean: what the ordinary masks would let through
    leaked: np.ndarray  # (m, n) boolean: moved though it should not


def leaks(loaded: Loaded, pairs: Batch, site: Site, pair: int, groups: Mapping[Site, Groups] = ORDINARY) -> Leaks:
    """Replace each token in turn by another, leaving the masks as they are.

    Args:    site: "encoder": source tokens, seen in the encoder's output; "decoder": target tokens, seen in the scores
             of the next tokens; "cross": source tokens, seen in those scores.
             pair: number from 0; groups: the masks in force, as `masks.combined`.
    Raises:  InputError: no such pair, or a rule that does not exist.
    """
    if not 0 <= pair < len(pairs.sources):
        raise InputError("masks.no_pair", number=pair, last=len(pairs.sources) - 1)
    queries, keys = (torch.tensor(ids[pair]) for ids in pairs.sides(site))
    source, target = torch.tensor(pairs.source_ids[pair]), torch.tensor(pairs.target_ids[pair])
    other = _others(keys)
    copies = keys.repeat(len(keys) + 1, 1)  # the first stays as it is
    copies[1:].diagonal().copy_(other)
    sources = source.expand(len(copies), -1) if site == "decoder" else copies
    targets = copies if site == "decoder" else target.expand(len(copies), -1)
    given = Masks(*(_of_pair(combined(pairs, each, groups[each]), pair) for each in SITES))
    outputs = _outputs(loaded.model, sources, targets, given, site)  # 1+n m d
    change = (outputs[1:] - outputs[0]).abs().amax(dim=-1).T
    moved = read_only(change > NOTICEABLE)
    rightful = _reach(loaded.model, pairs, site, pair, ORDINARY)
    return Leaks(site=site, outputs=symbols(queries), changed=symbols(keys), replacements=symbols(other),
                 change=read_only(change), moved=moved, applied=mask(pairs, site, groups[site]).allowed[pair],
                 reachable=_reach(loaded.model, pairs, site, pair, groups), rightful=rightful,
                 leaked=read_only(moved & ~rightful))


def _others(ids: Tensor) -> Tensor:
    """For every id another one that is a character."""
    first, count = sequences.IDS[sequences.CHARACTERS[0]], len(sequences.CHARACTERS)
    return first + (ids - first + count // 2) % count


def _of_pair(allowed: Tensor, pair: int) -> Tensor:
    """The mask of one pair, broadcastable to all copies of it."""
    return allowed[pair:pair + 1] if allowed.ndim == 4 and len(allowed) > 1 else allowed


@torch.no_grad()
def _outputs(model: Transformer, source: Tensor, target: Tensor, given: Masks, site: Site) -> Tensor:
    if site == "encoder":
        return model.encode(source, given.source)
    return model(source, target, given)


def _reach(model: Transformer, pairs: Batch, site: Site, pair: int, groups: Mapping[Site, Groups]) -> np.ndarray:
    """Which outputs a token can get to, step by step: through attention where it is allowed, or straight on.

    Returns: (m, n) boolean.
    """
    encoder, decoder, cross = (mask(pairs, each, groups[each]).allowed[pair].astype(int) for each in SITES)
    memory = np.linalg.matrix_power(np.eye(len(encoder), dtype=int) + encoder, len(model.encoder)) > 0
    if site == "encoder":
        return read_only(memory)
    onward = np.eye(len(decoder), dtype=int) + decoder
    if site == "decoder":
        return read_only(np.linalg.matrix_power(onward, len(model.decoder)) > 0)
    reached = np.zeros(cross.shape, dtype=int)
    for _ in model.decoder:
        reached = ((onward @ reached + cross @ memory) > 0).astype(int)
    return read_only(reached > 0)
