"""From pixels to a sequence of patch vectors, and back."""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from tfsss.errors import InputError
from tfsss.probe import Probe

CHANNELS_FIRST = "c p q"  # a convolution's kernel, `F.unfold`
CHANNELS_LAST = "p q c"  # MAE's targets, vit-pytorch


def patchify(images: Tensor, patch_size: int, order: str = CHANNELS_FIRST) -> Tensor:
    """Cut images into patches that do not overlap, and flatten each.

    Args:    images: (b, c, H, W); patch_size: side of a patch in pixels.
             order: how a patch is flattened, "c p q" (unfold, convolution) or "p q c" (MAE's targets, vit-pytorch).
    Returns: (b, n, c*p*q); n = gy*gx, row-major, y outer.
    Raises:  InputError: H or W not divisible by patch_size.
    Source:  Dosovitskiy et al. 2021, arXiv:2010.11929, sec. 3.1.
    """
    check_divisible(images, patch_size)
    return rearrange(images, f"b c (gy p) (gx q) -> b (gy gx) ({order})", p=patch_size, q=patch_size)


def unpatchify(patches: Tensor, grid: tuple[int, int], patch_size: int, order: str = CHANNELS_FIRST) -> Tensor:
    """The inverse of `patchify`.

    Args:    patches: (b, gy*gx, c*p*q); grid: (gy, gx).
    Returns: (b, c, H, W).
    """
    pattern = f"b (gy gx) ({order}) -> b c (gy p) (gx q)"
    return rearrange(patches, pattern, gy=grid[0], gx=grid[1], p=patch_size, q=patch_size)


def check_divisible(images: Tensor, patch_size: int) -> None:
    """Raises InputError when a side of `images` (b, c, H, W) is no multiple of patch_size."""
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise InputError("shape.not_divisible", height=height, width=width, patch=patch_size)


def check_reached(images: Tensor, patch_size: int, stride: int) -> None:
    """Raises InputError when patches `stride` apart do not end exactly at the border of `images` (b, c, H, W)."""
    height, width = images.shape[-2:]
    if min(height, width) < patch_size or (height - patch_size) % stride or (width - patch_size) % stride:
        raise InputError("patches.not_reached", height=height, width=width, patch=patch_size, stride=stride)


class PatchEmbed(nn.Module):
    """Patches to tokens by a convolution whose kernel is the patch.

    Args:    in_channels: c; embed_dim: d; patch_size: p = q.
             stride: pixels from one patch to the next; None = patch_size, so that patches do not overlap.
    Returns: forward gives (b, n, d) from (b, c, H, W). Probe: `tokens`.
    Raises:  InputError: H or W not divisible by patch_size, or not reached by the last patch when a stride is given.
    Source:  Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 1; by convolution as timm and transformers do.
    """

    def __init__(self, in_channels: int, embed_dim: int, patch_size: int, *, stride: int | None = None):
        super().__init__()
        self.patch_size, self.stride = patch_size, stride or patch_size
        self.proj = nn.Conv2d(in_channels, embed_dim, kernel_size=patch_size, stride=self.stride)
        self.tokens = Probe()

    def forward(self, images: Tensor) -> Tensor:
        self.check(images)
        return self.tokens(rearrange(self.proj(images), "b d gy gx -> b (gy gx) d"))

    def by_unfold(self, images: Tensor) -> Tensor:
        """The same tokens by unfold and a matrix: the kernel, one flattened row per output channel, is the weight."""
        self.check(images)
        vectors = F.unfold(images, self.patch_size, stride=self.stride)  # b (c p q) n
        weight = rearrange(self.proj.weight, "d c p q -> d (c p q)")
        return F.linear(rearrange(vectors, "b v n -> b n v"), weight, self.proj.bias)

    def check(self, images: Tensor) -> None:
        if self.stride == self.patch_size:
            check_divisible(images, self.patch_size)
        else:
            check_reached(images, self.patch_size, self.stride)


class LinearPatchEmbed(nn.Module):
    """Patches to tokens by flattening and one linear map, with a LayerNorm before and after if asked.

    Args:    order: how a patch is flattened; norms: LayerNorm on the flat patch and on the token, as vit-pytorch has.
    Returns: forward gives (b, n, d) from (b, c, H, W). Probe: `tokens`.
    Raises:  InputError: H or W not divisible by patch_size.
    Source:  Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 1, as the formula is written (without the norms).
    """

    def __init__(self, in_channels: int, embed_dim: int, patch_size: int, *, order: str = CHANNELS_LAST,
                 norms: bool = False):
        super().__init__()
        self.patch_size, self.order = patch_size, order
        vector_dim = in_channels * patch_size**2
        self.norm_in = nn.LayerNorm(vector_dim) if norms else nn.Identity()
        self.proj = nn.Linear(vector_dim, embed_dim)
        self.norm_out = nn.LayerNorm(embed_dim) if norms else nn.Identity()
        self.tokens = Probe()

    def forward(self, images: Tensor) -> Tensor:
        vectors = patchify(images, self.patch_size, self.order)
        return self.tokens(self.norm_out(self.proj(self.norm_in(vectors))))
