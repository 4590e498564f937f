"""BERT: an encoder alone, which reads a text in both directions and guesses the words that were masked.

Source: Devlin et al. 2019, arXiv:1810.04805.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.errors import InputError
from tfsss.layers.attention import Attention
from tfsss.layers.mlp import Mlp
from tfsss.probe import Probe


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """The shape of a BERT."""

    vocab_size: int = 30_522  # k; word pieces of the uncased English vocabulary
    max_length: int = 512  # rows of the position table
    num_segments: int = 2
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    hidden_dim: int = 3072  # width inside the feed-forward networks
    dropout: float = 0.0  # of every sub-layer's output and of the embedded tokens, in training; the paper: 0.1
    pooler: bool = True
    language_head: bool = True
    norm_eps: float = 1e-12

    def __post_init__(self):
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim {self.embed_dim} does not split into {self.num_heads} heads")


VARIANTS: dict[str, BertConfig] = {
    "base": BertConfig(dropout=0.1),  # sec. 3, BERT-Base
    "large": BertConfig(embed_dim=1024, depth=24, num_heads=16, hidden_dim=4096, dropout=0.1),  # sec. 3, BERT-Large
    "minilm_l6": BertConfig(embed_dim=384, depth=6, hidden_dim=1536, language_head=False),  # MiniLM, arXiv:2002.10957
    "mini": BertConfig(vocab_size=40, max_length=16, embed_dim=24, depth=2, num_heads=3, hidden_dim=48),  # for tests
}


class Embeddings(nn.Module):
    """What a word piece is, where it stands and to which sentence it belongs: three learned vectors, added, normed.

    Probes: `words`, `positions`, `segments`, before they are added.
    Source: Devlin et al. 2019, fig. 2; the norm as in the released code. State-dict keys as the release's, but `norm`.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.embed_dim)
        self.position_embeddings = nn.Embedding(config.max_length, config.embed_dim)
        self.token_type_embeddings = nn.Embedding(config.num_segments, config.embed_dim)
        self.norm = nn.LayerNorm(config.embed_dim, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.words, self.positions, self.segments = Probe(), Probe(), Probe()

    def forward(self, ids: Tensor, segments: Tensor) -> Tensor:  # b n, b n -> b n d
        places = torch.arange(ids.shape[1], device=ids.device)
        words = self.words(self.word_embeddings(ids))
        positions = self.positions(self.position_embeddings(places))  # n d
        return self.dropout(self.norm(words + positions + self.segments(self.token_type_embeddings(segments))))


class Block(nn.Module):
    """Post-norm encoder block: norm(x + attention(x)), then norm(x + mlp(x)).

    Probes: `output`, beside those of `attn`.
    Source: Vaswani et al. 2017, arXiv:1706.03762, sec. 3.1; GELU for ReLU, Devlin et al. 2019, appendix A.2. Differs:
            no dropout on the attention weights.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.attn = Attention(config.embed_dim, config.num_heads)
        self.norm1 = nn.LayerNorm(config.embed_dim, eps=config.norm_eps)
        self.mlp = Mlp(config.embed_dim, config.hidden_dim)
        self.norm2 = nn.LayerNorm(config.embed_dim, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.output = Probe()

    def forward(self, x: Tensor, allowed: Tensor | None) -> Tensor:  # b n d -> b n d
        x = self.norm1(x + self.dropout(self.attn(x, allowed=allowed)))
        return self.output(self.norm2(x + self.dropout(self.mlp(x))))


class MaskedLanguageHead(nn.Module):
    """One more layer, then the product with every word piece's own embedding.

    Source: Devlin et al. 2019, sec. 3.1, "Masked LM"; layer, norm and shared table as in the released code.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(config.embed_dim, config.embed_dim)
        self.norm = nn.LayerNorm(config.embed_dim, eps=config.norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x: Tensor, table: Tensor) -> Tensor:  # b n d, k d -> b n k
        return F.linear(self.norm(F.gelu(self.dense(x))), table, self.bias)


class Bert(nn.Module):
    """Word pieces to tokens, encoder blocks, then a pooler for the whole text and a head that guesses each word piece.

    Probes: `embeddings.{words,positions,segments}`, `embedded` (tokens entering the first block), `blocks.L.output`,
    `blocks.L.attn.{q,k,v,scores,weights}`.
    """

    def __init__(self, config: BertConfig):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.embedded = Probe()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.pooler = nn.Identity()
        if config.pooler:
            self.pooler = nn.Sequential(nn.Linear(config.embed_dim, config.embed_dim), nn.Tanh())
        self.language_head = MaskedLanguageHead(config) if config.language_head else None
        self.reset()

    def reset(self) -> None:
        """Fresh weights: truncated normal with deviation 0.02 for matrices and tables, biases 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def embed(self, ids: Tensor, segments: Tensor | None = None) -> Tensor:
        """Tokens as they enter the first block.

        Args:    ids: (b, n) word pieces; segments: (b, n), 0 = first sentence, 1 = second; None = all first.
        Returns: (b, n, d).
        Raises:  InputError: more word pieces than the position table has rows.
        Source:  Devlin et al. 2019, sec. 3, "Input/Output Representations".
        """
        if ids.shape[1] > self.config.max_length:
            raise InputError("bert.too_long", pieces=ids.shape[1], limit=self.config.max_length)
        segments = torch.zeros_like(ids) if segments is None else segments
        return self.embedded(self.embeddings(ids, segments))

    def forward_features(self, ids: Tensor, segments: Tensor | None = None, allowed: Tensor | None = None) -> Tensor:
        """Every token after the last block: what transformers calls the last hidden state.

        Args:    ids, segments: as `embed`.
                 allowed: boolean, broadcastable to (b, h, n, n), such as `layers.masks.key_padding` makes;
                 True = may attend. Padding is computed like any token; only nobody looks at it.
        Returns: (b, n, d), [CLS] first.
        """
        x = self.embed(ids, segments)
        for block in self.blocks:
            x = block(x, allowed)
        return x

    def pool(self, features: Tensor) -> Tensor:
        """(b, n, d) to (b, d): [CLS] through a linear map and tanh, or as it is where there is no pooler."""
        return self.pooler(features[:, 0])

    def forward(self, ids: Tensor, segments: Tensor | None = None, allowed: Tensor | None = None) -> Tensor:
        """Scores (b, n, k) of every word piece at every place, or without the head the features (b, n, d).

        Args:    as `forward_features`; a place whose word is to be guessed holds the id of [MASK].
        """
        features = self.forward_features(ids, segments, allowed)
        if self.language_head is None:
            return features
        return self.language_head(features, self.embeddings.word_embeddings.weight)
