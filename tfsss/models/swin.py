"""Swin Transformer: attention inside windows, which shift from block to block.

Source: Liu et al. 2021, arXiv:2103.14030.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.layers.attention import Attention
from tfsss.layers.mlp import Mlp
from tfsss.layers.patch import PatchEmbed
from tfsss.layers.position import gather_relative_bias, relative_position_steps
from tfsss.layers.residual import DropPath
from tfsss.layers.windows import cyclic_shift, pad_to_multiple, partition, reverse, window_mask
from tfsss.probe import Probe


@dataclass(frozen=True, kw_only=True)
class SwinConfig:
    """The shape of a Swin; it takes pictures of any size."""

    patch_size: int = 4
    in_channels: int = 3
    num_classes: int = 1000  # 0 = no head
    embed_dim: int = 96  # width of the first stage; it doubles from stage to stage
    depths: tuple[int, ...] = (2, 2, 6, 2)  # blocks of each stage, unshifted and shifted in turn
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    window_size: int = 7
    mlp_ratio: float = 4.0
    qkv_bias: bool = True
    drop_path: float = 0.0  # rate of the last block; it grows linearly from 0 at the first

    def __post_init__(self):
        for name in ("depths", "num_heads"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has lists
        if len(self.depths) != len(self.num_heads):
            raise ValueError(f"{len(self.depths)} stages, but heads for {len(self.num_heads)}")
        for width, heads in zip(self.widths, self.num_heads):
            if width % heads:
                raise ValueError(f"a stage {width} wide does not split into {heads} heads")

    @property
    def widths(self) -> tuple[int, ...]:
        """d of each stage."""
        return tuple(self.embed_dim * 2**stage for stage in range(len(self.depths)))

    @property
    def drop_paths(self) -> tuple[tuple[float, ...], ...]:
        """The rate of every block, stage by stage."""
        last = max(sum(self.depths) - 1, 1)
        starts = [sum(self.depths[:stage]) for stage in range(len(self.depths))]
        return tuple(tuple(self.drop_path * (start + block) / last for block in range(depth))
                     for start, depth in zip(starts, self.depths))


VARIANTS: dict[str, SwinConfig] = {
    "tiny": SwinConfig(drop_path=0.2),  # sec. 3.3, Swin-T; drop path as in appendix A2.1
    "small": SwinConfig(depths=(2, 2, 18, 2), drop_path=0.3),  # Swin-S
    "base": SwinConfig(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), drop_path=0.5),  # Swin-B
    "large": SwinConfig(embed_dim=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48)),  # Swin-L
    "small_112": SwinConfig(num_classes=179, embed_dim=64, depths=(2, 2, 2), num_heads=(2, 4, 8)),  # trained here
    "mini": SwinConfig(num_classes=5, embed_dim=12, depths=(2, 2), num_heads=(2, 3), window_size=4),  # for tests
}


def shift_of(block: int, grid: tuple[int, int], window: int) -> int:
    """By how much this block shifts: every second one by half a window, if there is more than one window to each side.

    Source:  Liu et al. 2021, sec. 3.2; none on a grid that a window spans, as in the released code and transformers,
             where one such side is enough (timm decides for each side by itself). A grid smaller than a window is
             padded to one; transformers refuses it, and the released code is built with a smaller window.
    """
    return window // 2 if block % 2 and min(grid) > window else 0


class WindowAttention(Attention):
    """Attention among the tokens of a window, with a learned bias for every offset.

    Probes: `relative_bias` (h n n), beside those of `Attention`, where windows count as batch: (b*w h n n).
    Source: Liu et al. 2021, eq. 4. State-dict keys as the released code's, but for `relative_position_index`, which
            follows from the window: leave it out.
    """

    def __init__(self, embed_dim: int, num_heads: int, window: int, *, qkv_bias: bool):
        super().__init__(embed_dim, num_heads, qkv_bias=qkv_bias)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, num_heads))
        self.register_buffer("relative_position_index", relative_position_steps((window, window)).index,
                             persistent=False)
        self.relative_bias = Probe()

    def forward(self, windows: Tensor, allowed: Tensor | None) -> Tensor:
        """Args:    windows: (b*w, n, d); allowed: (w, n, n), True = may attend; None = everyone may.
        Returns: (b*w, n, d).
        """
        bias = self.relative_bias(gather_relative_bias(self.relative_position_bias_table, self.relative_position_index))
        if allowed is not None:
            allowed = repeat(allowed, "w m n -> (b w) 1 m n", b=len(windows) // len(allowed))
        return super().forward(windows, allowed=allowed, bias=bias)


class Block(nn.Module):
    """Pre-norm block whose attention stays inside windows.

    Probes: `rolled` (the padded map as the windows cut it), `output`, beside those of `attn`.
    Source: Liu et al. 2021, eq. 3. The map is padded behind the norm, with zeros that are keys (see `window_mask`).
    """

    def __init__(self, config: SwinConfig, dim: int, num_heads: int, drop_path: float):
        super().__init__()
        self.window = config.window_size
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, self.window, qkv_bias=config.qkv_bias)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * config.mlp_ratio))
        self.drop_path = DropPath(drop_path)
        self.rolled, self.output = Probe(), Probe()

    def forward(self, x: Tensor, shift: int, allowed: Tensor | None) -> Tensor:
        """Args:    x: (b, gy, gx, d); shift: by how much the map is rolled; allowed: (w, n, n), True = may attend.
        Returns: (b, gy, gx, d).
        """
        gy, gx = x.shape[1:3]
        rolled = self.rolled(cyclic_shift(pad_to_multiple(self.norm1(x), self.window), shift))
        windows = self.attn(partition(rolled, self.window), allowed)  # b*w n d
        attended = cyclic_shift(reverse(windows, self.window, rolled.shape[1:3]), -shift)
        x = x + self.drop_path(attended[:, :gy, :gx])
        return self.output(x + self.drop_path(self.mlp(self.norm2(x))))


class PatchMerging(nn.Module):
    """Four neighbours become one token, twice as wide.

    Source: Liu et al. 2021, sec. 3.1. The four stand in the released code's order: down first, then across; an odd map
            gets a row or column of zeros.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # b gy gx d -> b gy/2 gx/2 2d
        fours = rearrange(pad_to_multiple(x, 2), "b (gy p) (gx q) d -> b gy gx (q p d)", p=2, q=2)
        return self.reduction(self.norm(fours))


class Stage(nn.Module):
    """Blocks on one grid, then a merging that halves it (but not in the last stage).

    Probes: `output` (before the merging).
    """

    def __init__(self, config: SwinConfig, stage: int):
        super().__init__()
        dim, heads = config.widths[stage], config.num_heads[stage]
        self.window = config.window_size
        self.blocks = nn.ModuleList(Block(config, dim, heads, rate) for rate in config.drop_paths[stage])
        self.output = Probe()
        self.downsample = PatchMerging(dim) if stage < len(config.depths) - 1 else nn.Identity()

    def forward(self, x: Tensor, mask_padding: bool) -> Tensor:
        grid = x.shape[1], x.shape[2]
        padded = any(side % self.window for side in grid)
        for number, block in enumerate(self.blocks):
            shift = shift_of(number, grid, self.window)
            allowed = None
            if shift or (padded and mask_padding):
                allowed = window_mask(grid, self.window, shift, mask_padding=mask_padding).to(x.device)
            x = block(x, shift, allowed)
        return self.downsample(self.output(x))


class SwinPatchEmbed(PatchEmbed):
    """Patches of a picture of any size, with a LayerNorm behind: pixels are padded with zeros, as upstream."""

    def __init__(self, config: SwinConfig):
        super().__init__(config.in_channels, config.embed_dim, config.patch_size)
        self.norm = nn.LayerNorm(config.embed_dim)

    def forward(self, images: Tensor) -> Tensor:  # b c H W -> b gy gx d
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % self.patch_size, 0, -height % self.patch_size))
        tokens = self.norm(super().forward(images))
        return rearrange(tokens, "b (gy gx) d -> b gy gx d", gy=images.shape[-2] // self.patch_size)


class SwinTransformer(nn.Module):
    """Patches to tokens, stages of windowed attention, mean pooling, head.

    State-dict keys are those of the released code. Probes: `embedded`, `layers.S.output`, and in `layers.S.blocks.L`
    `rolled`, `output` and `attn.{q,k,v,scores,weights,relative_bias}`; maps are (b gy gx d).
    """

    def __init__(self, config: SwinConfig):
        super().__init__()
        self.config = config
        self.patch_embed = SwinPatchEmbed(config)
        self.embedded = Probe()
        self.layers = nn.ModuleList(Stage(config, stage) for stage in range(len(config.depths)))
        self.norm = nn.LayerNorm(config.widths[-1])
        self.head = nn.Linear(config.widths[-1], config.num_classes) if config.num_classes else nn.Identity()
        self.reset()

    def reset(self) -> None:
        """Fresh weights: truncated normal with deviation 0.02 for matrices and bias tables, biases 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, WindowAttention):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)

    def forward_features(self, images: Tensor, *, mask_padding: bool = False) -> Tensor:
        """Every token after the last stage and the last LayerNorm.

        Args:    images: (b, c, H, W), any size; mask_padding: as in `layers.windows.window_mask`.
        Returns: (b, n, d), row by row on a grid of H and W over patch_size * 2^(stages - 1), rounded up.
        """
        x = self.embedded(self.patch_embed(images))
        for stage in self.layers:
            x = stage(x, mask_padding)
        return self.norm(rearrange(x, "b gy gx d -> b (gy gx) d"))

    def forward(self, images: Tensor, *, mask_padding: bool = False) -> Tensor:
        """Class scores (b, k) of the tokens' mean.  Args: as `forward_features`."""
        return self.head(self.forward_features(images, mask_padding=mask_padding).mean(dim=1))
