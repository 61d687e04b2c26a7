"""Whether packed images still are what was packed: every byte, against the manifest's digests."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from resnet_core.data.packed.images import wrong_size
from resnet_core.data.packed.layout import (
    CorruptPack,
    PackManifest,
    Shard,
    read_pack_manifest,
    sizes_file,
)
from resnet_core.manifest import file_sha256


def verify_packed(
    folder: Path,
    *,
    num_threads: int = 1,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> PackManifest:
    """Read every file.

    Args:
        folder: Of packed images.
        num_threads: That read and add up, which hashlib lets them do at once.
        on_progress: Told after each file how many are done, of how many.

    Raises:
        FileNotFoundError: If there is no manifest.
        CorruptPack: If a file is missing or not what was written; names all such files.
    """
    manifest = read_pack_manifest(folder)
    shards = [shard for split in manifest.splits.values() for shard in split.shards]

    def wrong(shard: Shard) -> str | None:
        if found := wrong_size(folder, shard, manifest.layout):
            return found
        return _differs(folder / shard.file, shard.sha256)

    problems = [
        _differs(folder / sizes_file(name), split.sizes_sha256)
        for name, split in manifest.splits.items()
    ]
    with ThreadPoolExecutor(num_threads) as pool:
        for done, problem in enumerate(pool.map(wrong, shards), start=1):
            problems.append(problem)
            on_progress(done, len(shards))
    if told := [problem for problem in problems if problem is not None]:
        raise CorruptPack("\n".join([*told, f"remove {folder}, and pack {manifest.source} again"]))
    return manifest


def _differs(file: Path, sha256: str) -> str | None:
    try:
        found = file_sha256(file)
    except OSError as error:
        return f"{file}: {error.strerror}"
    return None if found == sha256 else f"{file}: its sha256 is not the manifest's"
