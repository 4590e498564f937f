"""Vision Transformer: a picture as a sequence of patches.

Source: Dosovitskiy et al. 2021, arXiv:2010.11929. With what later papers put into the same class: the distillation
token (Touvron et al. 2021, DeiT, arXiv:2012.12877), layer scale (DINOv2, arXiv:2304.07193) and registers
(Darcet et al. 2024, arXiv:2309.16588).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tfsss.layers.attention import Attention
from tfsss.layers.mlp import Mlp
from tfsss.layers.patch import CHANNELS_LAST, LinearPatchEmbed, PatchEmbed
from tfsss.layers.position import resize_table, sincos_2d
from tfsss.layers.residual import DropPath, LayerScale
from tfsss.probe import Probe


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """The shape of a ViT, and the choices in which implementations differ."""

    img_size: int = 224  # the position table is made for this; any other size resizes it
    patch_size: int = 16
    in_channels: int = 3
    num_classes: int = 1000  # 0 = no head
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    head_dim: int | None = None  # None = embed_dim / num_heads (timm); vit-pytorch: 64 whatever the width
    mlp_ratio: float = 4.0
    qkv_bias: bool = True  # vit-pytorch: False
    proj_bias: bool = True
    patch_embed: Literal["conv", "linear"] = "conv"  # vit-pytorch: linear
    patch_order: str = CHANNELS_LAST  # how "linear" flattens a patch
    patch_norms: bool = False  # LayerNorm before and after "linear" (vit-pytorch)
    class_token: bool = True
    distillation_token: bool = False  # DeiT
    num_registers: int = 0
    pos_embed: Literal["learned", "sincos"] = "learned"  # sincos: MAE
    prefix_has_position: bool = True  # class and distillation token have rows in the table; registers never have
    pos_antialias: bool = True  # timm and DINOv2 with registers; transformers' ViT and DINOv2: False
    layer_scale: float | None = None  # starting value; None = without
    drop_path: float = 0.0  # rate of the last block; it grows linearly from 0 at the first
    pool: Literal["token", "mean"] = "token"  # mean: of the patches, without prefix tokens
    norm_after_pool: bool = False  # the last LayerNorm stands behind the pooling (MAE fine-tuning, timm's fc_norm)
    representation_size: int | None = None  # width of the tanh layer before the head (the paper's pre-training)
    norm_eps: float = 1e-6  # vit-pytorch: 1e-5

    def __post_init__(self):
        if self.img_size % self.patch_size:
            raise ValueError(f"img_size {self.img_size} is no multiple of patch_size {self.patch_size}")
        if self.head_dim is None and self.embed_dim % self.num_heads:
            raise ValueError(f"embed_dim {self.embed_dim} does not split into {self.num_heads} heads")
        if self.pool == "token" and not self.class_token:
            raise ValueError('pool="token" needs class_token=True')
        if self.distillation_token and not self.class_token:
            raise ValueError("a distillation token stands beside a class token")
        if self.distillation_token and self.pool == "mean":
            raise ValueError('a distillation token is read by a head of its own, which pool="mean" would leave out')
        if self.patch_norms and self.patch_embed == "conv":
            raise ValueError('patch_norms stand around the linear map of patch_embed="linear"')
        if self.pos_embed == "sincos" and self.embed_dim % 4:
            raise ValueError(f"sincos positions need embed_dim divisible by 4, not {self.embed_dim}")

    @property
    def grid(self) -> tuple[int, int]:
        """(gy, gx) of the position table."""
        return (self.img_size // self.patch_size,) * 2

    @property
    def num_prefix(self) -> int:
        """How many tokens stand before the patches: class, distillation, registers, in this order."""
        return self.class_token + self.distillation_token + self.num_registers


VARIANTS: dict[str, ViTConfig] = {
    "b16": ViTConfig(),  # table 1, Base
    "l16": ViTConfig(embed_dim=1024, depth=24, num_heads=16),  # table 1, Large
    "h14": ViTConfig(patch_size=14, embed_dim=1280, depth=32, num_heads=16),  # table 1, Huge
    "s16": ViTConfig(embed_dim=384, num_heads=6),  # DeiT table 1, small
    "ti16": ViTConfig(embed_dim=192, num_heads=3),  # DeiT table 1, tiny
    "s14_dinov2": ViTConfig(img_size=518, patch_size=14, num_classes=0, embed_dim=384, num_heads=6, layer_scale=1.0,
                            pos_antialias=False),  # DINOv2 appendix, ViT-S
    "mini": ViTConfig(img_size=32, patch_size=8, num_classes=5, embed_dim=24, depth=2, num_heads=3),  # for tests
}


class Block(nn.Module):
    """Pre-norm encoder block: x + attention(norm(x)), then x + mlp(norm(x)).

    Probes: `output`, beside those of `attn`.
    Source: Dosovitskiy et al. 2021, eqs. 2 and 3.
    """

    def __init__(self, config: ViTConfig, drop_path: float):
        super().__init__()
        dim = config.embed_dim
        self.norm1 = nn.LayerNorm(dim, eps=config.norm_eps)
        self.attn = Attention(dim, config.num_heads, head_dim=config.head_dim, qkv_bias=config.qkv_bias,
                              proj_bias=config.proj_bias)
        self.norm2 = nn.LayerNorm(dim, eps=config.norm_eps)
        self.mlp = Mlp(dim, int(dim * config.mlp_ratio))
        scaled = config.layer_scale is not None
        self.ls1 = LayerScale(dim, config.layer_scale) if scaled else nn.Identity()
        self.ls2 = LayerScale(dim, config.layer_scale) if scaled else nn.Identity()
        self.drop_path = DropPath(drop_path)
        self.output = Probe()

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:  # b n d -> b n d
        x = x + self.drop_path(self.ls1(self.attn(self.norm1(x), allowed=allowed)))
        x = x + self.drop_path(self.ls2(self.mlp(self.norm2(x))))
        return self.output(x)


class VisionTransformer(nn.Module):
    """Patches to tokens, prefix tokens in front, positions added, encoder blocks, pooling, head.

    State-dict keys are timm's. Probes: `embedded` (tokens entering the first block), `blocks.L.output`,
    `blocks.L.attn.{q,k,v,scores,weights}`, `patch_embed.tokens`.
    """

    def __init__(self, config: ViTConfig):
        super().__init__()
        self.config = config
        dim, tables = config.embed_dim, config.class_token + config.distillation_token
        if config.patch_embed == "conv":
            self.patch_embed = PatchEmbed(config.in_channels, dim, config.patch_size)
        else:
            self.patch_embed = LinearPatchEmbed(config.in_channels, dim, config.patch_size, order=config.patch_order,
                                                norms=config.patch_norms)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if config.class_token else None
        self.dist_token = nn.Parameter(torch.zeros(1, 1, dim)) if config.distillation_token else None
        self.reg_token = nn.Parameter(torch.zeros(1, config.num_registers, dim)) if config.num_registers else None
        rows = config.grid[0] * config.grid[1] + tables * config.prefix_has_position
        self.pos_embed = nn.Parameter(torch.zeros(1, rows, dim), requires_grad=config.pos_embed == "learned")
        self.embedded = Probe()
        last = max(config.depth - 1, 1)
        self.blocks = nn.ModuleList(Block(config, config.drop_path * layer / last) for layer in range(config.depth))
        self.norm = nn.Identity() if config.norm_after_pool else nn.LayerNorm(dim, eps=config.norm_eps)
        self.fc_norm = nn.LayerNorm(dim, eps=config.norm_eps) if config.norm_after_pool else nn.Identity()
        self.pre_logits = nn.Identity()
        if config.representation_size:
            self.pre_logits = nn.Sequential(nn.Linear(dim, config.representation_size), nn.Tanh())
        width = config.representation_size or dim
        self.head = nn.Linear(width, config.num_classes) if config.num_classes else nn.Identity()
        if config.distillation_token:
            self.head_dist = nn.Linear(width, config.num_classes) if config.num_classes else nn.Identity()
        self.reset()

    def reset(self) -> None:
        """Fresh weights: truncated normal with deviation 0.02, biases 0 (the JAX release and timm)."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for token in (self.cls_token, self.dist_token, self.reg_token):
            if token is not None:
                nn.init.normal_(token, std=1e-6)
        if self.config.pos_embed == "learned":
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        else:
            patches = sincos_2d(self.config.grid, self.config.embed_dim)
            self.pos_embed.data[0, -len(patches):] = patches  # a class token's row stays 0, as in MAE

    def grid_of(self, images: Tensor) -> tuple[int, int]:
        """(gy, gx) of the patches of images (b, c, H, W)."""
        return images.shape[-2] // self.config.patch_size, images.shape[-1] // self.config.patch_size

    def embed(self, images: Tensor) -> Tensor:
        """Tokens as they enter the first block.

        Args:    images: (b, c, H, W) float32, normalised as the weights want.
        Returns: (b, num_prefix + gy*gx, d): class, distillation, registers, patches row by row.
        Raises:  InputError: H or W not divisible by patch_size.
        Source:  Dosovitskiy et al. 2021, eq. 1.
        """
        config = self.config
        patches = self.patch_embed(images)
        tokens = [t.expand(len(images), -1, -1) for t in (self.cls_token, self.dist_token) if t is not None]
        count = len(tokens) if config.prefix_has_position else 0
        prefix_positions, table = self.pos_embed.split([count, self.pos_embed.shape[1] - count], dim=1)
        table = resize_table(table, config.grid, self.grid_of(images), antialias=config.pos_antialias)
        prefix = torch.cat(tokens, dim=1) if tokens else patches[:, :0]
        if count:
            prefix = prefix + prefix_positions
        registers = patches[:, :0] if self.reg_token is None else self.reg_token.expand(len(images), -1, -1)
        return self.embedded(torch.cat([prefix, registers, patches + table], dim=1))

    def forward_features(self, images: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Every token after the last block and the last LayerNorm.

        Args:    images: (b, c, H, W); allowed: boolean, broadcastable to (b, h, n, n); True = may attend.
        Returns: (b, n, d), prefix tokens first.
        """
        x = self.embed(images)
        for block in self.blocks:
            x = block(x, allowed)
        return self.norm(x)

    def pool(self, features: Tensor) -> Tensor:
        """(b, n, d) to (b, d), or to (b, 2, d) with a distillation token: what the heads read."""
        if self.config.pool == "mean":
            pooled = features[:, self.config.num_prefix:].mean(dim=1)
        elif self.config.distillation_token:
            pooled = features[:, :2]
        else:
            pooled = features[:, 0]
        return self.pre_logits(self.fc_norm(pooled))

    def forward(self, images: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Class scores (b, k); with a distillation token the mean of its head's and the class token's (DeiT)."""
        pooled = self.pool(self.forward_features(images, allowed))
        if self.config.distillation_token:
            return (self.head(pooled[:, 0]) + self.head_dist(pooled[:, 1])) / 2
        return self.head(pooled)
