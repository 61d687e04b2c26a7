"""Which images of a split were classified correctly, small enough to stand in a JSON file.

One bit per image: 50,000 images are 12,500 characters.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pack_images(correct: ArrayLike) -> str:
    """Bits in hexadecimal, the first image's the highest of the first byte.

    Args:
        correct: Per image whether it was classified correctly (N,), on the CPU.
    """
    return np.packbits(np.asarray(correct, dtype=bool)).tobytes().hex()


def unpack_images(text: str, num_images: int) -> NDArray[np.bool_]:
    """What `pack_images` was given, bool (num_images,).

    Raises:
        ValueError: If the text is not that long.
    """
    packed = np.frombuffer(bytes.fromhex(text), dtype=np.uint8)
    if len(packed) != -(-num_images // 8):
        raise ValueError(f"{len(packed)} bytes are not the bits of {num_images} images")
    return np.unpackbits(packed, count=num_images).astype(bool)
