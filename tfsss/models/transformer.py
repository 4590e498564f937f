"""The Transformer: an encoder reads the source, a decoder writes the target.

Source: Vaswani et al. 2017, arXiv:1706.03762; the norm before the sub-layers is Xiong et al. 2020, arXiv:2002.04745.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.layers.attention import Attention
from tfsss.layers.masks import Masks, causal, key_padding
from tfsss.layers.mlp import Mlp
from tfsss.layers.position import sincos_1d
from tfsss.probe import Probe

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The shape of an encoder-decoder, and the choices in which implementations differ."""

    source_vocab: int = 0  # k of the source; 0 = no embedding, the source is vectors already (nn.Transformer)
    target_vocab: int = 0  # k of the target; 0 = neither an embedding nor a head
    embed_dim: int = 512
    encoder_depth: int = 6
    decoder_depth: int = 6
    num_heads: int = 8
    hidden_dim: int = 2048  # width inside the feed-forward networks
    activation: Literal["relu", "gelu"] = "relu"  # between their two maps; the paper: relu
    norm_first: bool = False  # True = pre-norm; the paper and nn.Transformer's default are post-norm
    final_norm: bool = True  # one more LayerNorm behind each stack (nn.Transformer always; the paper has none)
    interleaved: bool = True  # sin, cos, sin, cos, ... (the paper); False = sines, then cosines (its code)
    dropout: float = 0.0  # of every sub-layer's output and of the embedded tokens, in training; the paper: 0.1
    norm_eps: float = 1e-5

    def __post_init__(self):
        if self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim {self.embed_dim} does not split into {self.num_heads} heads")
        if (self.source_vocab or self.target_vocab) and self.embed_dim % 2:
            raise ValueError(f"sinusoidal positions need an even embed_dim, not {self.embed_dim}")


VARIANTS: dict[str, TransformerConfig] = {
    "base": TransformerConfig(source_vocab=37_000, target_vocab=37_000, final_norm=False, dropout=0.1),  # table 3
    "big": TransformerConfig(source_vocab=37_000, target_vocab=37_000, final_norm=False, embed_dim=1024, num_heads=16,
                             hidden_dim=4096, dropout=0.3),  # table 3
    "strings": TransformerConfig(source_vocab=66, target_vocab=66, embed_dim=128, encoder_depth=2, decoder_depth=2,
                                 num_heads=4, hidden_dim=512, norm_first=True),  # trained here
    "mini": TransformerConfig(source_vocab=11, target_vocab=13, embed_dim=24, encoder_depth=2, decoder_depth=2,
                              num_heads=3, hidden_dim=48),  # for tests
}


class TokenEmbedding(nn.Module):
    """A learned vector for each token, times sqrt(d), plus the sinusoidal encoding of its place.

    Probes: `tokens` (before the positions), `positions`.
    Source: Vaswani et al. 2017, secs. 3.4 and 3.5. Differs: the tables of source, target and head are not shared.
    """

    def __init__(self, vocab_size: int, config: TransformerConfig):
        super().__init__()
        self.embed_dim, self.interleaved = config.embed_dim, config.interleaved
        self.table = nn.Embedding(vocab_size, config.embed_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.tokens, self.positions = Probe(), Probe()

    def forward(self, ids: Tensor) -> Tensor:  # b n -> b n d
        tokens = self.tokens(self.table(ids) * self.embed_dim**0.5)
        places = sincos_1d(torch.arange(ids.shape[1]), self.embed_dim, interleaved=self.interleaved)  # n d
        return self.dropout(tokens + self.positions(places.to(tokens)))


class Sublayer(nn.Module):
    """What stands around every attention and every feed-forward network: residual, norm, dropout.

    Source: Vaswani et al. 2017, sec. 3.1, norm(x + f(x)); `norm_first`: Xiong et al. 2020, x + f(norm(x)).
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.norm_first = config.norm_first
        self.norm = nn.LayerNorm(config.embed_dim, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:  # b n d -> b n d
        if self.norm_first:
            return x + self.dropout(function(self.norm(x)))
        return self.norm(x + self.dropout(function(x)))


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward network.

    Probes: `output`, beside those of `self_attn`.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.self_attn = Attention(config.embed_dim, config.num_heads)
        self.mlp = Mlp(config.embed_dim, config.hidden_dim, ACTIVATIONS[config.activation])
        self.around_attn, self.around_mlp = Sublayer(config), Sublayer(config)
        self.output = Probe()

    def forward(self, x: Tensor, allowed: Tensor | None) -> Tensor:  # b n d -> b n d
        x = self.around_attn(x, lambda x: self.self_attn(x, allowed=allowed))
        return self.output(self.around_mlp(x, self.mlp))


class DecoderLayer(nn.Module):
    """Self-attention, then attention to the encoder's output, then the feed-forward network.

    Probes: `output`, beside those of `self_attn` and `cross_attn`.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.self_attn = Attention(config.embed_dim, config.num_heads)
        self.cross_attn = Attention(config.embed_dim, config.num_heads)
        self.mlp = Mlp(config.embed_dim, config.hidden_dim, ACTIVATIONS[config.activation])
        self.around_attn, self.around_cross, self.around_mlp = (Sublayer(config) for _ in range(3))
        self.output = Probe()

    def forward(self, x: Tensor, memory: Tensor, allowed: Tensor | None, memory_allowed: Tensor | None) -> Tensor:
        x = self.around_attn(x, lambda x: self.self_attn(x, allowed=allowed))
        x = self.around_cross(x, lambda x: self.cross_attn(x, memory, allowed=memory_allowed))
        return self.output(self.around_mlp(x, self.mlp))  # b m d


class Transformer(nn.Module):
    """Encoder and decoder, with embeddings in front and a head behind when the config gives vocabularies.

    Probes: `embedded`, `encoder.L.output`, `encoder.L.self_attn.{q,k,v,scores,weights}`, `memory` (of the encoder),
    `target_embedded`, `decoder.L.output`, `decoder.L.{self_attn,cross_attn}.{q,k,v,scores,weights}`, `decoded`.
    """

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        dim = config.embed_dim
        self.source_embed = TokenEmbedding(config.source_vocab, config) if config.source_vocab else nn.Identity()
        self.target_embed = TokenEmbedding(config.target_vocab, config) if config.target_vocab else nn.Identity()
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_depth))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_depth))
        self.encoder_norm = nn.LayerNorm(dim, eps=config.norm_eps) if config.final_norm else nn.Identity()
        self.decoder_norm = nn.LayerNorm(dim, eps=config.norm_eps) if config.final_norm else nn.Identity()
        self.head = nn.Linear(dim, config.target_vocab) if config.target_vocab else nn.Identity()
        self.embedded, self.memory, self.target_embedded, self.decoded = Probe(), Probe(), Probe(), Probe()
        self.reset()

    def reset(self) -> None:
        """Fresh weights: Xavier's uniform for matrices, biases 0, embeddings normal with deviation 1/sqrt(d)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.embed_dim**-0.5)

    def encode(self, source: Tensor, allowed: Tensor | None = None) -> Tensor:
        """The source, every token knowing of every other that it may see.

        Args:    source: (b, n) ids, or (b, n, d) without an embedding.
                 allowed: boolean, broadcastable to (b, h, n, n); True = may attend.
        Returns: (b, n, d), the memory.
        Source:  Vaswani et al. 2017, sec. 3.1, "Encoder".
        """
        x = self.embedded(self.source_embed(source))
        for layer in self.encoder:
            x = layer(x, allowed)
        return self.memory(self.encoder_norm(x))

    def decode(self, target: Tensor, memory: Tensor, allowed: Tensor | None = None,
               memory_allowed: Tensor | None = None) -> Tensor:
        """The target, every token knowing what it may see of the target and of the memory.

        Args:    target: (b, m) ids, or (b, m, d) without an embedding; memory: (b, n, d).
                 allowed: boolean, broadcastable to (b, h, m, m); memory_allowed: to (b, h, m, n); True = may attend.
        Returns: (b, m, k) scores of the next token, or (b, m, d) without a head.
        Source:  Vaswani et al. 2017, sec. 3.1, "Decoder".
        """
        x = self.target_embedded(self.target_embed(target))
        for layer in self.decoder:
            x = layer(x, memory, allowed, memory_allowed)
        return self.head(self.decoded(self.decoder_norm(x)))

    def forward(self, source: Tensor, target: Tensor, masks: Masks | None = None) -> Tensor:
        """`decode` after `encode`.

        Args:    source: (b, n); target: (b, m), from the start sign on: what stands at i is to predict i + 1.
                 masks: what `layers.masks.encoder_decoder_masks` makes, or any three; None = everyone sees everyone.
        """
        source_allowed, target_allowed, memory_allowed = masks or (None, None, None)
        return self.decode(target, self.encode(source, source_allowed), target_allowed, memory_allowed)


@torch.no_grad()
def greedy_decode(model: Transformer, source: Tensor, source_tokens: Tensor, *, start: int, end: int, padding: int,
                  max_length: int) -> Tensor:
    """Write the target token by token, always the likeliest, until every row has ended.

    Args:    source: (b, n) ids; source_tokens: (b, n), True = token, False = padding.
             start, end, padding: their ids in the target's vocabulary; max_length: most tokens behind the start sign.
    Returns: (b, m) ids, the start sign first, padding behind a row's end sign.
    """
    source_allowed = key_padding(source_tokens)
    memory = model.encode(source, source_allowed)
    target = torch.full((len(source), 1), start, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    for length in range(1, max_length + 1):
        future_hidden = causal(length).to(source.device)
        scores = model.decode(target, memory, future_hidden, source_allowed)[:, -1]  # b k
        following = scores.argmax(dim=-1).masked_fill(ended, padding)
        target = torch.cat([target, following[:, None]], dim=1)
        ended = ended | (following == end)
        if ended.all():
            break
    return target
