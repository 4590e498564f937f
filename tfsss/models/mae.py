"""Masked autoencoder: most patches are removed, and a small decoder guesses their pixels.

Source: He et al. 2022, arXiv:2111.06377.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from tfsss.errors import InputError
from tfsss.layers.masking import Shuffle, count_kept, shuffle_by, take
from tfsss.layers.patch import CHANNELS_LAST, PatchEmbed, patchify
from tfsss.layers.position import sincos_2d
from tfsss.models.vit import Block, ViTConfig
from tfsss.probe import Probe

LossOn = Literal["masked", "all"]


@dataclass(frozen=True, kw_only=True)
class MAEConfig:
    """The shape of encoder and decoder, and what is guessed."""

    img_size: int = 224
    patch_size: int = 16
    in_channels: int = 3
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    decoder_embed_dim: int = 512
    decoder_depth: int = 8
    decoder_num_heads: int = 16
    mlp_ratio: float = 4.0
    mask_ratio: float = 0.75  # when `forward` is not told how many patches to keep
    norm_pix_loss: bool = False  # targets with each patch's own mean 0 and deviation 1
    loss_on: LossOn = "masked"
    norm_eps: float = 1e-6  # transformers: 1e-12

    def __post_init__(self):
        if self.img_size % self.patch_size:
            raise ValueError(f"img_size {self.img_size} is no multiple of patch_size {self.patch_size}")
        for dim, heads in ((self.embed_dim, self.num_heads), (self.decoder_embed_dim, self.decoder_num_heads)):
            if dim % heads or dim % 4:
                raise ValueError(f"a width of {dim} must be divisible by 4 (positions) and by its {heads} heads")
        if not 0 <= self.mask_ratio <= 1:
            raise ValueError(f"mask_ratio {self.mask_ratio} is not between 0 and 1")

    @property
    def grid(self) -> tuple[int, int]:
        """(gy, gx)."""
        return (self.img_size // self.patch_size,) * 2

    @property
    def num_patches(self) -> int:
        return self.grid[0] * self.grid[1]

    @property
    def patch_dim(self) -> int:
        """p*q*c, the numbers guessed for each patch."""
        return self.patch_size**2 * self.in_channels

    @property
    def encoder(self) -> ViTConfig:
        """The encoder as a ViT."""
        return ViTConfig(img_size=self.img_size, patch_size=self.patch_size, in_channels=self.in_channels,
                         num_classes=0, embed_dim=self.embed_dim, depth=self.depth, num_heads=self.num_heads,
                         mlp_ratio=self.mlp_ratio, pos_embed="sincos", norm_eps=self.norm_eps)

    @property
    def decoder(self) -> ViTConfig:
        """The decoder's blocks as those of a ViT."""
        return ViTConfig(img_size=self.img_size, patch_size=self.patch_size, in_channels=self.in_channels,
                         num_classes=0, embed_dim=self.decoder_embed_dim, depth=self.decoder_depth,
                         num_heads=self.decoder_num_heads, mlp_ratio=self.mlp_ratio, pos_embed="sincos",
                         norm_eps=self.norm_eps)


VARIANTS: dict[str, MAEConfig] = {
    "b16": MAEConfig(),  # table 3 and appendix A.1, ViT-B with the default decoder (8 blocks, 512 wide)
    "l16": MAEConfig(embed_dim=1024, depth=24, num_heads=16),  # ViT-L
    "h14": MAEConfig(patch_size=14, embed_dim=1280, depth=32, num_heads=16),  # ViT-H
    "small_112": MAEConfig(img_size=112, patch_size=8, embed_dim=192, depth=6, num_heads=3, decoder_embed_dim=128,
                           decoder_depth=3, decoder_num_heads=4),  # trained by this project
    "mini": MAEConfig(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, decoder_embed_dim=16,
                      decoder_depth=2, decoder_num_heads=2),  # for tests
}


class Reconstruction(NamedTuple):
    """What one forward gives."""

    loss: Tensor  # (), on the patches that the config says
    prediction: Tensor  # (b, n, p*q*c), every patch, the visible ones too
    errors: Tensor  # (b, n), mean squared difference from the target in each patch
    shuffle: Shuffle


def patch_targets(images: Tensor, patch_size: int, *, normalised: bool) -> Tensor:
    """What the decoder should say.

    Args:    images: (b, c, H, W); normalised: each patch less its own mean, over its own deviation.
    Returns: (b, n, p*q*c), channels last.
    Source:  He et al. 2022, sec. 3, "Reconstruction target"; variance with n - 1 and 1e-6 added, as in its code.
    """
    patches = patchify(images, patch_size, CHANNELS_LAST)
    if not normalised:
        return patches
    return (patches - patches.mean(dim=-1, keepdim=True)) / (patches.var(dim=-1, keepdim=True) + 1e-6) ** 0.5


def mean_error(errors: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mean over the removed patches; over all without a mask; 0 if nothing is removed, as nothing is to guess.

    Args:    errors: (b, n); mask: (b, n), 1 = removed.
    """
    if mask is None:
        return errors.mean()
    return (errors * mask).sum() / mask.sum().clamp(min=1)


class MaskedAutoencoder(nn.Module):
    """An encoder for the visible patches only, mask tokens in the others' places, a decoder for all.

    State-dict keys are those of the released code. Probes: `patch_embed.tokens`, `visible` (the kept tokens with their
    positions), `embedded` (the class token in front), `blocks.L.output`, `blocks.L.attn.{q,k,v,scores,weights}`,
    `latent`, `appended` (mask tokens behind the kept ones), `restored` (every patch in its place again),
    `decoder_embedded`, `decoder_blocks.L...` as in the encoder, `decoded`.
    """

    def __init__(self, config: MAEConfig):
        super().__init__()
        self.config = config
        dim, decoder_dim, rows = config.embed_dim, config.decoder_embed_dim, config.num_patches + 1
        self.patch_embed = PatchEmbed(config.in_channels, dim, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, rows, dim), requires_grad=False)
        self.blocks = nn.ModuleList(Block(config.encoder, 0) for _ in range(config.depth))
        self.norm = nn.LayerNorm(dim, eps=config.norm_eps)
        self.decoder_embed = nn.Linear(dim, decoder_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dim))
        self.decoder_pos_embed = nn.Parameter(torch.zeros(1, rows, decoder_dim), requires_grad=False)
        self.decoder_blocks = nn.ModuleList(Block(config.decoder, 0) for _ in range(config.decoder_depth))
        self.decoder_norm = nn.LayerNorm(decoder_dim, eps=config.norm_eps)
        self.decoder_pred = nn.Linear(decoder_dim, config.patch_dim)
        self.visible, self.embedded, self.latent = Probe(), Probe(), Probe()
        self.appended, self.restored, self.decoder_embedded, self.decoded = Probe(), Probe(), Probe(), Probe()
        self.reset()

    def reset(self) -> None:
        """Fresh weights: Xavier's uniform for matrices (the kernel of the patches as one), tokens normal, biases 0."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.xavier_uniform_(module.weight.view(len(module.weight), -1))
                nn.init.zeros_(module.bias)
        for token in (self.cls_token, self.mask_token):
            nn.init.normal_(token, std=0.02)
        for table in (self.pos_embed, self.decoder_pos_embed):  # row 0, the class token's, stays 0
            table.data[0, 1:] = sincos_2d(self.config.grid, table.shape[-1])

    def check(self, images: Tensor) -> None:
        """Raises InputError when images (b, c, H, W) have not the size that the position tables are made for."""
        side, (height, width) = self.config.img_size, images.shape[-2:]
        if (height, width) != (side, side):
            raise InputError("mae.size", height=height, width=width, side=side)

    def encode(self, images: Tensor, shuffle: Shuffle) -> Tensor:
        """Tokens of the visible patches, which know nothing of the others.

        Args:    images: (b, c, H, W), normalised.
        Returns: (b, 1 + k, d), class token first, the patches in the order of `ids_keep`.
        Raises:  InputError: the images have another size than the model.
        """
        self.check(images)
        class_position, positions = self.pos_embed.split([1, self.config.num_patches], dim=1)
        patches = self.patch_embed(images) + positions
        visible = self.visible(take(patches, shuffle.ids_keep))  # b k d
        class_token = (self.cls_token + class_position).expand(len(images), -1, -1)
        x = self.embedded(torch.cat([class_token, visible], dim=1))  # b 1+k d
        for block in self.blocks:
            x = block(x)
        return self.latent(self.norm(x))

    def forward_features(self, images: Tensor) -> Tensor:
        """The encoder's tokens when nothing is removed: (b, 1 + n, d), class token first, patches row by row.

        Args:    images: (b, c, H, W), normalised.
        Raises:  InputError: the images have another size than the model.
        """
        in_order = torch.arange(self.config.num_patches, device=images.device).expand(len(images), -1)
        return self.encode(images, shuffle_by(in_order, self.config.num_patches))

    def decode(self, latent: Tensor, shuffle: Shuffle) -> Tensor:
        """A guess for every patch: one learned vector stands for each that is missing, and only positions differ.

        Args:    latent: (b, 1 + k, d).
        Returns: (b, n, p*q*c), the patches in the order of the picture.
        """
        class_token, kept = self.decoder_embed(latent).split([1, latent.shape[1] - 1], dim=1)
        num_removed = self.config.num_patches - kept.shape[1]
        appended = torch.cat([kept, self.mask_token.to(kept.dtype).expand(len(kept), num_removed, -1)], dim=1)
        restored = self.restored(take(self.appended(appended), shuffle.ids_restore))  # b n d
        x = self.decoder_embedded(torch.cat([class_token, restored], dim=1) + self.decoder_pos_embed)
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.decoded(self.decoder_norm(x)))[:, 1:]

    def forward(self, images: Tensor, noise: Tensor, num_keep: int | None = None) -> Reconstruction:
        """Remove patches, encode the rest, decode all, compare.

        Args:    images: (b, c, H, W), normalised.
                 noise: (b, n); the patches with the smallest are kept (see `tfsss.layers.masking`).
                 num_keep: k, from 0 to n; None = what the config's mask_ratio leaves.
        Raises:  InputError: the images have another size than the model.
        """
        config = self.config
        if num_keep is None:
            num_keep = count_kept(config.num_patches, config.mask_ratio)
        shuffle = shuffle_by(noise, num_keep)
        prediction = self.decode(self.encode(images, shuffle), shuffle).float()
        targets = patch_targets(images, config.patch_size, normalised=config.norm_pix_loss)
        errors = (prediction - targets).square().mean(dim=-1)  # b n
        loss = mean_error(errors, shuffle.mask if config.loss_on == "masked" else None)
        return Reconstruction(loss, prediction, errors, shuffle)
