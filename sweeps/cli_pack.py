"""The command that makes data ready for training: pack."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sweeps.cli_options import (
    INTERRUPTED,
    INVALID,
    NOT_FOUND,
    REFUSED,
    Output,
    OutputOption,
    as_json,
    errors_to_status,
    leave,
)

if TYPE_CHECKING:
    from resnet_core.data.packed.layout import PackManifest

app = typer.Typer()

_SECONDS_BETWEEN_LINES = 10.0


@app.command()
def pack(
    source: Annotated[
        Path | None, typer.Argument(metavar="SOURCE", help="A folder as ImageNet's.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DEST", help="Where to: an empty folder, or a new one.")
    ] = None,
    size: Annotated[int, typer.Option(help="Each image becomes a square of this side, px.")] = 256,
    pixel_format: Annotated[
        Literal["rgb", "yuv420"],
        typer.Option("--format", help="yuv420: half the bytes, colours at half the resolution."),
    ] = "rgb",
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Leave out what cannot be decoded; list it.")
    ] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, help="That decode; default: one for each CPU.")
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(metavar="DEST", help="Pack nothing; compare every byte with its digest."),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Decode a folder of images once, for training at memory's speed; run again, it goes on."""
    if (verify is None) == (source is None or folder is None) or (verify and source):
        leave(INVALID, "name SOURCE and DEST, or --verify DEST")
    num_processes = processes or _usable_cpus()
    if verify is not None:
        _verify(verify, num_processes, output)
        return
    assert source is not None
    assert folder is not None
    from resnet_core.data.dataset import BadImage
    from resnet_core.data.packed.layout import CorruptPack, Layout
    from resnet_core.data.packed.pack import CannotPack, pack

    told = _Told("images")
    with errors_to_status():
        try:
            manifest = pack(
                source.expanduser(),
                folder.expanduser(),
                Layout(size, pixel_format),
                skip_bad_images=skip_bad_images,
                num_processes=num_processes,
                on_progress=lambda progress: told.say(progress.num_done, progress.num_images),
            )
        except CannotPack as error:
            leave(REFUSED, str(error))
        except BadImage as error:
            leave(INVALID, f"{error} (here: --skip-bad-images); run it again to go on")
        except (CorruptPack, FileNotFoundError, ValueError) as error:
            leave(INVALID, str(error))
        except OSError as error:
            leave(REFUSED, f"{error}; run it again to go on")
        except KeyboardInterrupt:
            leave(INTERRUPTED, f"interrupted; to go on: sweeps pack {source} {folder} ...")
    _print(folder, manifest, output)


def _usable_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _verify(folder: Path, num_threads: int, output: Output) -> None:
    from resnet_core.data.packed.layout import CorruptPack
    from resnet_core.data.packed.verify import verify_packed

    told = _Told("files")
    try:
        manifest = verify_packed(folder.expanduser(), num_threads=num_threads, on_progress=told.say)
    except FileNotFoundError as error:
        leave(NOT_FOUND, str(error))
    except CorruptPack as error:
        leave(INVALID, str(error))
    _print(folder, manifest, output)


class _Told:
    """Lines on stderr of how far it is, not more often than every so many seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._last = time.monotonic()

    def say(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        seconds = max(now - self._began, 1e-3)
        left = seconds / done * (total - done)
        rest = f"; about {left / 60:.0f} min to go" if left >= 60 else ""
        typer.echo(
            f"{done:,} of {total:,} {self._what}, {done / seconds:,.0f} a second{rest}", err=True
        )


def _print(folder: Path, manifest: "PackManifest", output: Output) -> None:
    layout = manifest.layout
    num_images = sum(split.num_images for split in manifest.splits.values())
    if output is Output.JSON:
        as_json(
            {
                "folder": str(folder),
                "source": manifest.source,
                "size_px": layout.size_px,
                "format": layout.pixel_format,
                "bytes": num_images * layout.record_bytes,
                "num_classes": len(manifest.class_names),
                "splits": {
                    name: {"num_images": split.num_images, "skipped": list(split.skipped)}
                    for name, split in manifest.splits.items()
                },
            }
        )
        return
    counts = ", ".join(f"{name} {split.num_images:,}" for name, split in manifest.splits.items())
    typer.echo(
        f"{folder}: {counts} images of {len(manifest.class_names):,} classes, "
        f"{layout.size_px} px {layout.pixel_format}, "
        f"{num_images * layout.record_bytes / 1e9:.2f} GB"
    )
    for name, split in manifest.splits.items():
        for skipped in split.skipped:
            typer.echo(f"skipped in {name}: {skipped}", err=True)
    typer.echo(f"to train on them: --set data={{packed: {{path: {folder}}}}}", err=True)
