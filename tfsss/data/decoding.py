"""Bytes of any picture file -> upright 8-bit RGB of a wanted size, in bounded time and memory, or one sentence."""

from __future__ import annotations

import codecs
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

import numpy as np
import pillow_heif
from PIL import Image

from tfsss.errors import InputError

# Megapixels that decode within 400 MB, and 2 s on two cores. A one-scan JPEG is decoded at reduced scale, row by row;
# the decoders of WebP and AVIF hold a picture two or three times over, libtiff one strip, which may be all of it.
LIMITS = {"JPEG": 120, "MPO": 120, "PNG": 40, "GIF": 40, "BMP": 40, "HEIF": 50, "TIFF": 32, "AVIF": 24, "WEBP": 20}
PROGRESSIVE_LIMIT = 40  # megapixels; every coefficient of a JPEG in several scans is held at once
SCAN_MEGAPIXELS = 1000  # each scan is a pass over the whole picture; encoders write about ten
SCAN_START = re.compile(rb"\xff\xda\x00[\x08\x0a\x0c\x0e][\x01-\x04]")  # compressed data never holds ff da
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "TIFF", "BMP")  # MPO comes through JPEG's door
SIGNATURES = ((0, b"\xff\xd8\xff", "JPEG"), (0, b"\x89PNG", "PNG"), (0, b"GIF8", "GIF"), (8, b"WEBP", "WebP"),
              (4, b"ftypavi", "AVIF"), (4, b"ftyphe", "HEIC"), (4, b"ftypmif1", "HEIC"), (4, b"ftypmsf1", "HEIC"),
              (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"), (0, b"II+\0", "TIFF"), (0, b"MM\0+", "TIFF"),
              (0, b"BM", "BMP"))
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F"}  # and "I;16" in any order
UPRIGHT = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
           8: Image.Transpose.ROTATE_90}
ORIENTATION = 0x0112  # the EXIF tag: 1 = upright, 5 to 8 also exchange width and height

# Once, at import, never while another thread decodes. Pillow warns above its limit and refuses at twice it.
Image.init()
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=2)
Image.MAX_IMAGE_PIXELS = max(LIMITS.values()) * 1_000_000
_decoders = threading.BoundedSemaphore(2)  # a class that uploads at once must not take 400 MB thirty times


class Decoded(NamedTuple):
    pixels: np.ndarray  # (H, W, 3) uint8
    source_size: tuple[int, int]  # (W, H), upright, before any reduction
    notes: tuple[str, ...]


def decode(data: bytes, max_side: int) -> Decoded:
    """First frame, EXIF rotation applied, alpha on white, at most `max_side` on the longer side.

    Args:    data: the whole file; max_side: in pixels.
    Returns: the pixels, the upright size in the file, and the ids of what a visitor should be told.
    Raises:  InputError("image.*"): not a picture, damaged, or too large (said from the header, before decoding).
    """
    name = _format_name(data)
    with _decoders, _said_plainly(name, data):
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _check_header(image, data, name)
            several = image.format not in ("MPO", "HEIF") and getattr(image, "is_animated", False)
            header_size = image.size
            target = _target(header_size, max_side)
            image.draft(None, target)  # JPEG only: the largest of 1/8, 1/4, 1/2 that is no smaller than the target
            image.load()
            orientation = _orientation(image)
            pixels = _shrink(image, target)
    if orientation in UPRIGHT:
        pixels = pixels.transpose(UPRIGHT[orientation])
    source_size = header_size[::-1] if orientation >= 5 else header_size
    notes = {"first_frame": several, "stretched": image.mode in ("I", "F"), "reduced": pixels.size != source_size}
    return Decoded(np.array(pixels), source_size, tuple(note for note, true in notes.items() if true))


@contextmanager
def _said_plainly(name: str | None, data: bytes) -> Iterator[None]:
    """Whatever a broken file leads a decoder to raise becomes one sentence.

    Pillow and its plugins raise OSError, SyntaxError, struct.error, zlib.error, EOFError, MemoryError and more,
    according to which byte is wrong: nothing narrower than Exception holds them all.
    """
    kilobytes = -(-len(data) // 1000)
    try:
        yield
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError("image.bomb", kilobytes=kilobytes, limit=max(LIMITS.values())) from error
    except Exception as error:
        if kind := _words(data):
            raise InputError(f"image.{kind}", kilobytes=kilobytes) from error
        if name is None:
            raise InputError("image.unknown", kilobytes=kilobytes) from error
        raise InputError("image.damaged", format=name, kilobytes=kilobytes) from error


def _check_header(image: Image.Image, data: bytes, name: str | None) -> None:
    """Everything that can be refused before a pixel is decoded."""
    megapixels = round(image.width * image.height / 1e6)
    shown = {"format": name or image.format, "width": image.width, "height": image.height, "megapixels": megapixels}
    if megapixels > (limit := LIMITS[image.format]):
        raise InputError("image.too_large", limit=limit, jpeg_limit=LIMITS["JPEG"], **shown)
    if image.format in ("JPEG", "MPO") and not _one_scan(data):
        if megapixels > PROGRESSIVE_LIMIT:
            raise InputError("image.progressive", limit=PROGRESSIVE_LIMIT, **shown)
        if (scans := len(SCAN_START.findall(data))) > (limit := SCAN_MEGAPIXELS // max(1, megapixels)):
            raise InputError("image.scans", scans=scans, limit=limit, **shown)
    if image.mode not in MODES and not image.mode.startswith("I;16"):
        raise InputError("image.colours", mode=image.mode, **shown)


def _one_scan(data: bytes) -> bool:
    """True for a sequential JPEG whose first scan holds all components: it can be decoded row by row."""
    at, components = 2, 0
    while data[at:at + 1] == b"\xff":
        marker = data[at + 1]
        if marker in (0xC0, 0xC1):
            components = data[at + 9]
        elif marker == 0xDA:
            return components > 0 and data[at + 4] == components
        at += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", data, at + 2)[0]
    return False


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; a picture whose EXIF block is broken is taken as upright."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # the block is written by anyone and parsed by hand: any error means that it says nothing
        return 1


def _target(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _shrink(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """8-bit RGB of the wanted size: whole-number averaging in bands of rows, then antialiased bicubic.

    Only a band at a time is converted, so a 40-megapixel picture is never held twice.
    """
    by_x, by_y = (max(1, side // (2 * wanted)) for side, wanted in zip(image.size, target, strict=True))
    span = _span(image)
    small = Image.new("RGB", (-(-image.width // by_x), -(-image.height // by_y)))
    for top, band in _bands(image, by_y):
        small.paste(_rgb(band, span).reduce((by_x, by_y)), (0, top // by_y))
    box = (0, 0, image.width / by_x, image.height / by_y)
    return small if small.size == target else small.resize(target, Image.Resampling.BICUBIC, box)


def _bands(image: Image.Image, multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """(first row, band) of about a megapixel each; every band but the last is a multiple of `multiple` rows."""
    rows = max(1, 1_000_000 // (image.width * multiple)) * multiple
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _span(image: Image.Image) -> tuple[float, float] | None:
    """The values that become black and white; None where the file is 8-bit already.

    16-bit grey keeps its full range. 32-bit integers and floats have none of their own: the least and greatest finite
    value are taken.
    """
    if image.mode not in ("I", "F"):
        return (0.0, 65_535.0) if image.mode.startswith("I;16") else None
    low, high = np.inf, -np.inf
    for _, band in _bands(image, 1):
        values = np.asarray(band, np.float64)
        values = values[np.isfinite(values)]
        low, high = min(low, values.min(initial=np.inf)), max(high, values.max(initial=-np.inf))
    return (low, high) if low <= high else (0.0, 1.0)


def _rgb(band: Image.Image, span: tuple[float, float] | None) -> Image.Image:
    """8-bit RGB of any mode, composited on white."""
    if span is not None:
        low, high = span
        values = (np.asarray(band, np.float64) - low) / (high - low if high > low else 1.0)
        values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
        band = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    if band.has_transparency_data:
        band = band.convert("RGBA")
        paper = Image.new("RGB", band.size, "white")
        paper.paste(band, mask=band)  # a fifth of the time of Image.alpha_composite
        return paper
    return band.convert("RGB")


def _format_name(data: bytes) -> str | None:
    """What the first bytes say the file is, whatever its name says."""
    return next((name for at, mark, name in SIGNATURES if data.startswith(mark, at)), None)


def _words(data: bytes) -> str | None:
    """"svg" or "text" for a file of letters, None for any other."""
    head = data[:4096]
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head).lower()  # a letter cut off at the end is no error
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    return "svg" if "<svg" in text and "<html" not in text else "text"
