"""What tells one data set from another: a digest of a split, cheap enough for every training."""

import hashlib

from resnet_core.data.dataset import Split, StreamedSplit
from resnet_core.data.folder import FolderImages
from resnet_core.data.packed.images import PackedImages


def split_digest(split: Split | StreamedSplit, description: str) -> str:
    """sha256, in hex, of a split.

    In memory it is of every pixel and label. Of a folder it is of the files' names, classes and
    sizes, as no file is read; of packed images it is of their files' digests. What a user's own
    source gives is known by its description and its number of images alone.

    Args:
        split: Of a data set.
        description: Of a user's source, how it is made; others do without.
    """
    digest = hashlib.sha256()
    match split:
        case Split(images, labels):
            digest.update(f"{tuple(images.shape)}".encode())
            digest.update(images.cpu().contiguous().numpy().data)
            digest.update(labels.cpu().numpy().data)
        case StreamedSplit(FolderImages() | PackedImages() as images):
            for part in images.fingerprint():
                digest.update(part)
        case StreamedSplit(images):
            digest.update(f"{description} {len(images)}".encode())
    return digest.hexdigest()
