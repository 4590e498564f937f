"""ConvNeXt: a convolutional network built with what transformers had shown to work.

Source: Liu et al. 2022, arXiv:2201.03545.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.errors import InputError
from tfsss.layers.norm import ChannelsFirstLayerNorm
from tfsss.layers.residual import DropPath
from tfsss.probe import Probe


@dataclass(frozen=True, kw_only=True)
class ConvNeXtConfig:
    """The shape of a ConvNeXt; it takes pictures of any size that leaves something for the last stage."""

    patch_size: int = 4  # of the stem
    in_channels: int = 3
    num_classes: int = 1000  # 0 = no head
    depths: tuple[int, ...] = (3, 3, 9, 3)  # blocks of each stage
    widths: tuple[int, ...] = (96, 192, 384, 768)  # d of each stage
    layer_scale: float | None = 1e-6  # starting value; None = without
    drop_path: float = 0.0  # rate of the last block; it grows linearly from 0 at the first
    norm_eps: float = 1e-6
    final_norm_eps: float = 1e-6  # of the norm behind the pooling; the official release and timm; transformers: 1e-12

    def __post_init__(self):
        for name in ("depths", "widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON has lists
        if len(self.depths) != len(self.widths):
            raise ValueError(f"{len(self.depths)} stages, but widths for {len(self.widths)}")

    @property
    def reduction(self) -> int:
        """Pixels to a side that become one place of the last map; what is left over at the border falls away."""
        return self.patch_size * 2 ** (len(self.depths) - 1)


VARIANTS: dict[str, ConvNeXtConfig] = {  # sec. 3; drop path as in table 5
    "tiny": ConvNeXtConfig(drop_path=0.1),  # ConvNeXt-T
    "small": ConvNeXtConfig(depths=(3, 3, 27, 3), drop_path=0.4),  # ConvNeXt-S
    "base": ConvNeXtConfig(depths=(3, 3, 27, 3), widths=(128, 256, 512, 1024), drop_path=0.5),  # ConvNeXt-B
    "large": ConvNeXtConfig(depths=(3, 3, 27, 3), widths=(192, 384, 768, 1536), drop_path=0.5),  # ConvNeXt-L
    "xlarge": ConvNeXtConfig(depths=(3, 3, 27, 3), widths=(256, 512, 1024, 2048), drop_path=0.2),  # XL, ImageNet-22K
    "small_112": ConvNeXtConfig(num_classes=179, depths=(2, 2, 4), widths=(64, 128, 256), layer_scale=None),
    "mini": ConvNeXtConfig(num_classes=5, depths=(2, 2), widths=(12, 24)),  # for tests
}


class Block(nn.Module):
    """Mix along the grid, each channel by itself; then mix the channels, each place by itself.

    Probes: `mixed` (b d gy gx, after the depthwise convolution), `hidden` (b gy gx 4d, after GELU), `update`
    (b d gy gx, what is added to the input), `output`.
    Source: Liu et al. 2022, fig. 4; layer scale as in appendix A.1.
    """

    def __init__(self, config: ConvNeXtConfig, dim: int, drop_path: float):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.pwconv1 = nn.Linear(dim, 4 * dim)  # a 1 x 1 convolution, written as a map of every place
        self.pwconv2 = nn.Linear(4 * dim, dim)
        scaled = config.layer_scale is not None
        self.gamma = nn.Parameter(torch.full((dim,), config.layer_scale)) if scaled else None
        self.drop_path = DropPath(drop_path)
        self.mixed, self.hidden, self.update, self.output = Probe(), Probe(), Probe(), Probe()

    def forward(self, x: Tensor) -> Tensor:  # b d gy gx -> b d gy gx
        places = rearrange(self.mixed(self.dwconv(x)), "b d gy gx -> b gy gx d")
        places = self.pwconv2(self.hidden(F.gelu(self.pwconv1(self.norm(places)))))
        if self.gamma is not None:
            places = places * self.gamma
        update = self.update(rearrange(places, "b gy gx d -> b d gy gx"))
        return self.output(x + self.drop_path(update))


class ConvNeXt(nn.Module):
    """A stem of patches, stages of blocks with the grid halved between them, mean pooling, LayerNorm, head.

    State-dict keys are the official release's. Probes: `embedded` (what the stem gives), and in `stages.S.M` `mixed`,
    `hidden`, `update` and `output`; what leaves a stage is the output of its last block.
    """

    def __init__(self, config: ConvNeXtConfig):
        super().__init__()
        self.config = config
        widths, eps = config.widths, config.norm_eps
        stem = nn.Sequential(nn.Conv2d(config.in_channels, widths[0], config.patch_size, stride=config.patch_size),
                             ChannelsFirstLayerNorm(widths[0], eps=eps))
        halvings = [nn.Sequential(ChannelsFirstLayerNorm(narrow, eps=eps), nn.Conv2d(narrow, wide, 2, stride=2))
                    for narrow, wide in zip(widths, widths[1:])]
        self.downsample_layers = nn.ModuleList([stem, *halvings])  # one before each stage
        self.embedded = Probe()
        last = max(sum(config.depths) - 1, 1)
        rates = (config.drop_path * block / last for block in range(sum(config.depths)))  # over all stages
        self.stages = nn.ModuleList(nn.Sequential(*(Block(config, width, next(rates)) for _ in range(depth)))
                                    for width, depth in zip(widths, config.depths))
        self.norm = nn.LayerNorm(widths[-1], eps=config.final_norm_eps)
        self.head = nn.Linear(widths[-1], config.num_classes) if config.num_classes else nn.Identity()
        self.reset()

    def reset(self) -> None:
        """Fresh weights: truncated normal with deviation 0.02, biases 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward_features(self, images: Tensor) -> Tensor:
        """The map that leaves the last block, without a norm: what transformers calls the last hidden state.

        Args:    images: (b, c, H, W) float32, normalised as the weights want.
        Returns: (b, d, gy, gx), on a grid of H and W over `config.reduction`, rounded down.
        Raises:  InputError: H or W below `config.reduction`.
        """
        height, width = images.shape[-2:]
        if min(height, width) < self.config.reduction:
            raise InputError("convnext.too_small", height=height, width=width, limit=self.config.reduction)
        x = self.embedded(self.downsample_layers[0](images))
        x = self.stages[0](x)
        for halve, stage in zip(self.downsample_layers[1:], self.stages[1:]):
            x = stage(halve(x))
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (b, k): the head reads the norm of the map's mean.  Args: as `forward_features`."""
        return self.head(self.norm(self.forward_features(images).mean(dim=(2, 3))))
