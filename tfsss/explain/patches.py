"""How a picture becomes a sequence: cutting, flattening, projecting, and what joins the patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from tfsss.errors import InputError
from tfsss.explain.arrays import read_only
from tfsss.explain.inputs import normalise
from tfsss.explain.position import learned
from tfsss.explain.position_beyond import Resized, resize
from tfsss.layers.patch import CHANNELS_FIRST, CHANNELS_LAST, PatchEmbed
from tfsss.layers.position import resize_table

if TYPE_CHECKING:
    from tfsss.weights import Entry, Loaded

MAX_TOKENS = 16_384
MAX_NUMBERS = 2**24  # in all flattened patches together: 64 MiB

Policy = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A picture made to fit the patches, and where each of them lies; patch i has sequence number i, rows outer."""

    pixels: np.ndarray  # (H, W, 3) uint8, what is cut
    patch_size: int
    stride: int
    policy: Policy
    source: tuple[int, int]  # height and width before the policy
    grid: tuple[int, int]  # (gy, gx)
    boxes: np.ndarray  # (n, 4) int32: left, top, right, bottom in `pixels`, right and bottom excluded
    lost_pixels: int  # cropped away
    added_pixels: int  # padded with the mean colour, 0 after normalisation
    scale: tuple[float, float]  # stretch of height and width; 1 unless the policy is "stretch"
    unseen_pixels: int  # between patches that lie farther apart than they are wide
    mean_cover: float  # how many patches a pixel of `pixels` lies in, on average


@dataclass(frozen=True, kw_only=True)
class OnePatch:
    """One patch on its way to a token."""

    number: int
    place: tuple[int, int]  # row and column on the grid
    box: tuple[int, int, int, int]  # left, top, right, bottom
    pixels: np.ndarray  # (p, q, 3) uint8
    channels_first: np.ndarray  # (c*p*q,) float32, normalised: all of red, then green, then blue
    channels_last: np.ndarray  # (p*q*c,) float32, normalised: red, green, blue of the first pixel, then of the next
    order: str  # which of the two the projection reads: "c p q" or "p q c"
    embedding: np.ndarray  # (d,) float32
    weights: Literal["trained", "random"]


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """All patches as tokens, computed in two ways."""

    by_convolution: np.ndarray  # (n, d) float32
    by_unfold: np.ndarray  # (n, d) float32, `unfold` then a matrix
    largest_difference: float
    weights: Literal["trained", "random"]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """The kernel of the projection as small pictures: what each channel of a token looks for."""

    pictures: np.ndarray  # (d, p, q, c) float32, each stretched from its own minimum to its own maximum: 0..1
    low: np.ndarray  # (d,) float32, those minima and maxima
    high: np.ndarray
    strength: np.ndarray  # (d,) float32, length of the kernel's row
    components: np.ndarray  # (k, p, q, c) float32 in 0..1, principal components of the d filters, strongest first
    explained: np.ndarray  # (k,) float32, share of the variance
    weights: str  # id


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """The tokens as they enter the first block: who stands where, and what the position adds."""

    kinds: tuple[str, ...]  # n times "class", "distillation", "register" or "patch"
    numbers: tuple[int, ...]  # index within the kind
    before: np.ndarray  # (n, d) float32
    positions: np.ndarray  # (n, d) float32; zeros for registers, which have none
    after: np.ndarray  # (n, d) float32, the sum
    norms: np.ndarray  # (3, n) float32, lengths of the three
    weights: Literal["trained", "random"]  # of the projection


def cut(pixels: np.ndarray, entry: Entry, patch_size: int, *, stride: int | None = None,
        policy: Policy = "crop") -> Cut:
    """Make a picture fit the patches and say where they lie.

    Args:    pixels: (H, W, 3) uint8; entry: of the weights, for their mean colour; stride: None = patch_size.
             policy: what to do with a rest that fills no patch. "crop" takes it off evenly on both sides, "pad"
             completes it at the bottom and the right (as timm's dynamic padding does), "stretch" resizes to the
             nearest size that fits.
    Raises:  InputError: a patch larger than the picture (unless padded), or too many patches.
    """
    stride = stride or patch_size
    if patch_size < 1 or stride < 1:
        raise InputError("patches.size", patch=patch_size, stride=stride)
    source = pixels.shape[:2]
    if policy == "crop" and min(source) < patch_size:
        raise InputError("patches.larger", patch=patch_size, height=source[0], width=source[1])
    rounding = {"crop": np.floor, "pad": np.ceil, "stretch": np.round}[policy]
    gy, gx = (1 + max(0, int(rounding((side - patch_size) / stride))) for side in source)
    _check_amount(gy * gx, patch_size, stride)
    height, width = (patch_size + stride * (count - 1) for count in (gy, gx))
    tops, lefts = np.arange(gy) * stride, np.arange(gx) * stride
    left, top = np.tile(lefts, gy), np.repeat(tops, gx)
    seen = [np.unique(starts[:, None] + np.arange(patch_size)).size for starts in (tops, lefts)]
    area, kept = height * width, min(height, source[0]) * min(width, source[1])
    return Cut(pixels=read_only(_fitted(pixels, height, width, policy, entry)), patch_size=patch_size, stride=stride,
               policy=policy, source=source, grid=(gy, gx),
               boxes=read_only(np.stack([left, top, left + patch_size, top + patch_size], axis=1).astype(np.int32)),
               lost_pixels=source[0] * source[1] - kept if policy == "crop" else 0,
               added_pixels=area - kept if policy == "pad" else 0,
               scale=(height / source[0], width / source[1]) if policy == "stretch" else (1.0, 1.0),
               unseen_pixels=area - seen[0] * seen[1], mean_cover=gy * gx * patch_size**2 / area)


def size_near(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of the same shape with as many pixels as a square of `side`, and so about as many patches."""
    factor = side / (height * width) ** 0.5
    return max(1, round(height * factor)), max(1, round(width * factor))


def projection(loaded: Loaded, patch_size: int, stride: int, *, seed: int = 0) -> tuple[PatchEmbed, str]:
    """The convolution that makes tokens, and whether it is "trained" or "random".

    A trained kernel has the size that it was trained with. For any other patch size there is none, and a random one of
    the same width is drawn with `seed`: its tokens show the shapes and nothing else.
    """
    model = loaded.model
    module = PatchEmbed(model.config.in_channels, model.config.embed_dim, patch_size, stride=stride)
    module.requires_grad_(False)
    if patch_size != model.config.patch_size:
        module.proj.weight.normal_(std=0.02, generator=torch.Generator().manual_seed(seed))
        module.proj.bias.zero_()
        return module, "random"
    module.proj.weight.copy_(kernel(loaded))
    module.proj.bias.copy_(model.patch_embed.proj.bias.detach())
    return module, "trained"


def kernel(loaded: Loaded) -> Tensor:
    """(d, c, p, q): the weights of the patch embedding as pictures, whichever way the model applies them.

    Raises:  InputError: the model normalises the flat patch first (vit-pytorch), so that no kernel does the same.
    """
    embed, config = loaded.model.patch_embed, loaded.model.config
    if config.patch_norms:
        raise InputError("patches.norms", weights=loaded.entry.id)
    if isinstance(embed, PatchEmbed):
        return embed.proj.weight.detach()
    p = config.patch_size
    return rearrange(embed.proj.weight.detach(), f"d ({config.patch_order}) -> d c p q", p=p, q=p, c=config.in_channels)


def one_patch(picture: Cut, loaded: Loaded, number: int, *, seed: int = 0) -> OnePatch:
    """Pixels, flattened vector and embedding of one patch.  Raises: InputError: there is no such patch."""
    if not 0 <= number < len(picture.boxes):
        raise InputError("patches.no_patch", patch=number, last=len(picture.boxes) - 1)
    left, top, right, bottom = (int(side) for side in picture.boxes[number])
    pixels = picture.pixels[top:bottom, left:right]
    patch = normalise(pixels, loaded.entry)  # 1 c p q
    module, weights = projection(loaded, picture.patch_size, picture.patch_size, seed=seed)
    config = loaded.model.config
    linear = weights == "trained" and config.patch_embed == "linear"
    return OnePatch(number=number, place=divmod(number, picture.grid[1]), box=(left, top, right, bottom),
                    pixels=read_only(pixels),
                    channels_first=read_only(rearrange(patch, f"1 c p q -> ({CHANNELS_FIRST})")),
                    channels_last=read_only(rearrange(patch, f"1 c p q -> ({CHANNELS_LAST})")),
                    order=config.patch_order if linear else CHANNELS_FIRST,
                    embedding=read_only(module(patch)[0, 0]), weights=weights)


def embed(picture: Cut, loaded: Loaded, *, seed: int = 0) -> Embedded:
    """Every patch as a token, by convolution and by unfold and a matrix; `seed` draws the projection if none fits."""
    images = normalise(picture.pixels, loaded.entry)
    module, weights = projection(loaded, picture.patch_size, picture.stride, seed=seed)
    convolved, unfolded = module(images)[0], module.by_unfold(images)[0]
    return Embedded(by_convolution=read_only(convolved), by_unfold=read_only(unfolded),
                    largest_difference=float((convolved - unfolded).abs().max()), weights=weights)


def filters(loaded: Loaded, components: int = 28) -> Filters:
    """The projection's filters and their principal components.

    Source:  Dosovitskiy et al. 2021, arXiv:2010.11929, fig. 7 left (the first 28 components).
    """
    rows = kernel(loaded)
    pictures = rearrange(rows, "d c p q -> d p q c").numpy()
    flat = pictures.reshape(len(pictures), -1)
    _, strengths, directions = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    directions = directions[:components]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    directions = directions * np.sign(largest)  # a component's sign means nothing; this one does not change
    return Filters(pictures=_stretched(pictures), low=read_only(flat.min(axis=1)), high=read_only(flat.max(axis=1)),
                   strength=read_only(np.linalg.norm(flat, axis=1)),
                   components=_stretched(directions.reshape(-1, *pictures.shape[1:])),
                   explained=read_only((strengths**2 / (strengths**2).sum())[:components]), weights=loaded.entry.id)


def sequence(picture: Cut, loaded: Loaded, *, seed: int = 0) -> Sequence:
    """The class token and registers in front, the positions added: `VisionTransformer.embed`, one part after the other.

    Works for any cut: the position table is resized to its grid, and `seed` draws the projection if none is trained.
    """
    model, config = loaded.model, loaded.model.config
    made = embed(picture, loaded, seed=seed)
    parts = {"class": model.cls_token, "distillation": model.dist_token, "register": model.reg_token,
             "patch": torch.tensor(made.by_convolution)[None]}
    parts = {kind: tokens[0] for kind, tokens in parts.items() if tokens is not None}
    kinds = [(kind, number) for kind, tokens in parts.items() for number in range(len(tokens))]
    before = torch.cat(list(parts.values()))  # n d
    patches = config.grid[0] * config.grid[1]
    prefix, table = model.pos_embed[0, :-patches], model.pos_embed[:, -patches:]
    positions = torch.zeros_like(before)
    positions[:len(prefix)] = prefix
    positions[config.num_prefix:] = resize_table(table, config.grid, picture.grid, antialias=config.pos_antialias)[0]
    tokens = [before, positions, before + positions]
    return Sequence(kinds=tuple(kind for kind, _ in kinds), numbers=tuple(number for _, number in kinds),
                    **{name: read_only(rows) for name, rows in zip(("before", "positions", "after"), tokens)},
                    norms=read_only(torch.stack(tokens).norm(dim=-1)), weights=made.weights)


def fitted_table(picture: Cut, loaded: Loaded) -> Resized:
    """The model's position table resized to the grid of this cut, as the model itself resizes it."""
    return resize(learned(loaded), picture.grid, antialias=loaded.model.config.pos_antialias)


def _fitted(pixels: np.ndarray, height: int, width: int, policy: Policy, entry: Entry) -> np.ndarray:
    """The picture cropped, padded or stretched to (height, width)."""
    if policy == "stretch":
        return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))
    if policy == "crop":
        top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
        return pixels[top:top + height, left:left + width]
    fitted = np.empty((height, width, 3), np.uint8)
    fitted[:] = np.round(np.array(entry.mean) * 255)
    fitted[:pixels.shape[0], :pixels.shape[1]] = pixels[:height, :width]
    return fitted


def _stretched(pictures: np.ndarray) -> np.ndarray:
    """Each of (k, p, q, c) from its minimum to its maximum on 0..1."""
    low, high = (bound(pictures, axis=(1, 2, 3), keepdims=True) for bound in (np.min, np.max))
    return read_only(((pictures - low) / np.where(high > low, high - low, 1)).astype(np.float32))


def _check_amount(tokens: int, patch_size: int, stride: int) -> None:
    numbers = tokens * 3 * patch_size**2
    if tokens > MAX_TOKENS:
        raise InputError("patches.too_many", patches=tokens, limit=MAX_TOKENS, stride=stride)
    if numbers > MAX_NUMBERS:
        raise InputError("patches.too_much", patches=tokens, numbers=numbers, limit=MAX_NUMBERS, stride=stride)
