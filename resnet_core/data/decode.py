"""Encoded images to RGB; whatever is wrong with one is told as a `BadImage`."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from resnet_core.data.dataset import BadImage

# Of 900,000 damaged JPEG, PNG, BMP, PPM, TIFF, WebP and GIF files, PIL 13 refused 650,000 with one
# of the first five; its readers raise the last two as well.
_PIL_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError, EOFError,
    struct.error,
)  # fmt: skip


_JPEG = b"\xff\xd8\xff"


def read_image(path: str) -> Tensor:
    """Decode a file.

    Returns:
        RGB, uint8 (3, H, W), interleaved in memory, which torch crops and resizes soonest.

    Raises:
        BadImage: If it is truncated, damaged, no image, of a mode that RGB cannot hold, or so
            large that it must be an attack.
        OSError: If the operating system cannot read it.
    """
    content = Path(path).read_bytes()
    pixels = _decode_jpeg(content)
    if pixels is None:
        pixels = np.array(to_rgb(_open(content, path), path))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def read_with_size(
    path: str, *, least_px: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """Decode a file that is to be made smaller.

    Args:
        path: Of the file.
        least_px: A JPEG may come at 1/2, 1/4 or 1/8 of its size, which libjpeg decodes in less
            time, as long as each side has so many pixels; None decodes it as it is.

    Returns:
        The image, in mode RGB, and width and height of what the file holds.

    Raises:
        BadImage: If it is truncated, damaged, no image, of a mode that RGB cannot hold, or so
            large that it must be an attack.
        OSError: If the operating system cannot read it.
    """
    content = Path(path).read_bytes()
    image = _open(content, path)
    size = image.size
    if least_px is not None:
        image.draft(None, (least_px, least_px))
    pixels = _decode_jpeg(content) if image.size == size else None
    return to_rgb(image, path) if pixels is None else Image.fromarray(pixels), size


def _open(content: bytes, path: str) -> Image.Image:
    try:
        return Image.open(BytesIO(content))
    except _PIL_ERRORS as error:
        raise _refused(path, error) from error


def _decode_jpeg(content: bytes) -> np.ndarray | None:
    """Pixels, uint8 (H, W, 3), of a whole, usual JPEG, to the bit PIL's, and sooner.

    Of everything else None: PIL knows more formats, and says what is wrong with one.
    """
    if not content.startswith(_JPEG):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        most = Image.MAX_IMAGE_PIXELS
        if colours != "YCbCr" or (most is not None and int(height) * int(width) > most):
            return None
        return simplejpeg.decode_jpeg(content)
    except ValueError:
        return None


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Decode an image that PIL has opened.

    Args:
        image: Perhaps not decoded yet.
        name: For the message.

    Returns:
        In mode RGB.

    Raises:
        BadImage: As `read_image`.
    """
    if image.mode.startswith("I") or image.mode == "F":
        # PIL would cut off at 255 instead of scaling, and give a white image.
        raise BadImage(
            f"{name}: has more than 8 bits per channel (PIL mode {image.mode}); convert it to 8, "
            "or set on_bad_image: skip",
            name,
        )
    try:
        image.load()
    except _PIL_ERRORS as error:
        raise _refused(name, error) from error
    return image.convert("RGB")


def is_decoding_error(error: Exception) -> bool:
    """Whether PIL says so of an image, not the operating system of a file."""
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, _PIL_ERRORS)


def _refused(name: str, error: Exception) -> Exception:
    if not is_decoding_error(error):
        return error
    # PIL's own words for it name a file object.
    unknown = isinstance(error, UnidentifiedImageError)
    why = "not an image, or of an unknown format" if unknown else error
    return BadImage(
        f"{name}: cannot be decoded ({why}); replace or remove it, or set on_bad_image: skip", name
    )
