"""Encoded images to RGB; whatever is wrong with one is told as a `BadImage`."""

import struct
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from resnet_core.data.dataset import BadImage

# Of 900,000 damaged JPEG, PNG, BMP, PPM, TIFF, WebP and GIF files, PIL 13 refused 650,000 with one
# of the first five; its readers raise the last two as well.
_PIL_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError, EOFError,
    struct.error,
)  # fmt: skip


def read_image(path: str) -> Image.Image:
    """Decode a file.

    Returns:
        In mode RGB.

    Raises:
        BadImage: If it is truncated, damaged, no image, of a mode that RGB cannot hold, or so
            large that it must be an attack.
        OSError: If the operating system cannot read it.
    """
    return read_with_size(path)[0]


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
    with Path(path).open("rb") as file:
        try:
            image = Image.open(file)
        except _PIL_ERRORS as error:
            raise _refused(path, error) from error
        size = image.size
        if least_px is not None:
            image.draft(None, (least_px, least_px))
        return to_rgb(image, path), size


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
