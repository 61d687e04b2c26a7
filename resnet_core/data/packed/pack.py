"""Packing a folder of images, once: every image decoded, by all processors; resumable after a kill.

The manifest is written last, so a folder without one is not packed to the end. Shards that are
there are kept if their digests say that they are what was written, of files that are still the
same.
"""

import fcntl
import io
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from resnet_core.data.dataset import IMAGENET_MEAN, IMAGENET_STD
from resnet_core.data.folder import FolderImages, list_splits
from resnet_core.data.packed.layout import (
    MANIFEST,
    SIZES,
    Layout,
    PackedSplit,
    PackManifest,
    read_pack_manifest,
    sizes_file,
)
from resnet_core.data.packed.shard import NOTES, PackedShard, ShardJob, pack_shard
from resnet_core.durable import make_folder, write_durably


class CannotPack(ValueError):
    """The folder to pack into is not free for it; says what is there and what to do."""


@dataclass(frozen=True)
class Progress:
    """How far packing is: images that are done, packed now or found packed, and of how many."""

    num_done: int
    num_images: int


def pack(
    source: Path,
    folder: Path,
    layout: Layout,
    *,
    skip_bad_images: bool = False,
    num_processes: int = 1,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> PackManifest:
    """Pack a folder of images, or go on with it.

    Args:
        source: As the source ``image_folder`` understands it: train/CLASS/* and val/CLASS/* or
            test/CLASS/*, or all three.
        folder: Where to; made if it is not there.
        layout: Of the records.
        skip_bad_images: Leave a file that cannot be decoded out, and list it in the manifest,
            instead of ending with an error that names it.
        num_processes: That decode.
        on_progress: Told after each shard.

    Returns:
        The manifest, which was there already if these very images are packed.

    Raises:
        FileNotFoundError: If the source, or a split of it, is not there.
        BadImage: If a file cannot be decoded and is not to be skipped.
        CannotPack: If the folder holds something else, or another process packs there.
        CannotTrain: If the splits of the source have other classes than train/.
        OSError: If the operating system cannot read or write a file.
    """
    names = ["train", *(name for name in ("val", "test") if (source / name).is_dir())]
    class_names, found = list_splits(source, names if len(names) > 1 else ["train", "val"])
    _check_free(folder)
    make_folder(folder)
    with _locked(folder):
        if (folder / MANIFEST).exists():
            return _packed_already(folder, found, layout)
        make_folder(folder / NOTES)
        for leftover in (*folder.glob(".*.records.*"), *(folder / NOTES).glob(".*.json.*")):
            leftover.unlink()  # of a process that was killed
        jobs = list(_jobs(folder, found, layout, skip_bad_images))
        packed = _packed(jobs, num_processes, on_progress)
        splits = {name: _finish_split(folder, name, packed, found[name]) for name in found}
        manifest = PackManifest(
            source=str(source.resolve()),
            layout=layout,
            class_names=tuple(class_names),
            splits=splits,
            mean=_of_255(IMAGENET_MEAN),
            std=_of_255(IMAGENET_STD),
        )
        _remove_unnamed(folder, manifest)
        write_durably(folder / MANIFEST, manifest.to_json().encode())
        shutil.rmtree(folder / NOTES)
    return manifest


def _check_free(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CannotPack(f"{folder} is a file; name a folder")
    is_ours = (folder / NOTES).is_dir() or (folder / MANIFEST).exists()
    if folder.is_dir() and not is_ours and any(folder.iterdir()):
        raise CannotPack(
            f"{folder} holds other files; name a folder that is empty or not there, or remove it"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)  # of the folder itself, so that no file is left
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotPack(f"another process packs into {folder}; wait for it") from error
    else:
        yield
    finally:
        os.close(handle)  # which the end of the process does too, however it comes


def _packed_already(folder: Path, found: dict[str, FolderImages], layout: Layout) -> PackManifest:
    manifest = read_pack_manifest(folder)
    there = {name: split.source_sha256 for name, split in manifest.splits.items()}
    asked = {name: _listing_sha256(images) for name, images in found.items()}
    if manifest.layout != layout or there != asked:
        what = "other images" if there != asked else (
            f"the same at {manifest.layout.size_px} px as {manifest.layout.pixel_format}"
        )  # fmt: skip
        raise CannotPack(
            f"{folder} holds {what}, packed from {manifest.source}; name another folder, or remove "
            "it"
        )
    shutil.rmtree(folder / NOTES, ignore_errors=True)  # of one killed at the very end
    return manifest


def _jobs(
    folder: Path, found: dict[str, FolderImages], layout: Layout, skip_bad_images: bool
) -> Iterator[ShardJob]:
    step = layout.images_per_shard
    for name, images in found.items():
        for number, begin in enumerate(range(0, len(images), step)):
            part = images.part(slice(begin, begin + step))
            yield ShardJob(folder, name, number, part, layout, skip_bad_images)


def _packed(
    jobs: list[ShardJob], num_processes: int, on_progress: Callable[[Progress], object]
) -> dict[str, list[PackedShard]]:
    """Every shard of each split, in order."""
    num_images = sum(len(job.images) for job in jobs)
    done = 0
    # Not forked: whoever calls may have threads, whose locks a child would wait for for ever.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([pack_shard.__module__])  # once, not by each
    pool = ProcessPoolExecutor(
        min(num_processes, len(jobs)), mp_context=context, initializer=_end_with_parent
    )
    try:
        futures: dict[Future[PackedShard], ShardJob] = {
            pool.submit(pack_shard, job): job for job in jobs
        }
        for future in as_completed(futures):
            future.result()
            done += len(futures[future].images)
            on_progress(Progress(done, num_images))
    finally:
        pool.shutdown(cancel_futures=True)
    packed: dict[str, list[PackedShard]] = {}
    for future, job in futures.items():
        packed.setdefault(job.split, []).append(future.result())
    return packed


def _end_with_parent() -> None:
    """A process of the pool waits for work for ever if the one that gives it is killed.

    Ctrl-C is left to that one, which lets the shards under way come to their end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _finish_split(
    folder: Path, name: str, packed: dict[str, list[PackedShard]], images: FolderImages
) -> PackedSplit:
    shards = packed[name]
    table = np.array([tuple(row) for one in shards for row in one.sizes], dtype=SIZES)
    if not len(table):
        raise CannotPack(f"no image of {name} can be decoded, of {len(images)}")
    content = io.BytesIO()
    np.save(content, table, allow_pickle=False)
    write_durably(folder / sizes_file(name), content.getvalue())
    return PackedSplit(
        shards=tuple(one.shard for one in shards if one.shard.num_images),
        sizes_sha256=sha256(content.getvalue()).hexdigest(),
        source_sha256=_listing_sha256(images),
        skipped=tuple(skipped for one in shards for skipped in one.skipped),
    )


def _remove_unnamed(folder: Path, manifest: PackManifest) -> None:
    """Shards of an earlier attempt at another size, or at more images."""
    named = {shard.file for split in manifest.splits.values() for shard in split.shards}
    for file in folder.glob("*.records"):
        if file.name not in named:
            file.unlink()


def _listing_sha256(images: FolderImages) -> str:
    digest = sha256()
    for part in images.listing():
        digest.update(part)
    return digest.hexdigest()


def _of_255(ratios: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (255 * ratio for ratio in ratios)
    return red, green, blue
