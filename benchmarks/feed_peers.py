# pyright: reportMissingImports=false
"""Other libraries' ways from a folder of photographs to a batch, each where it is installed.

OpenCV and DALI come with `benchmarks/requirements.lock`. FFCV has no wheels; with the headers of
the distribution (``apt-get install g++ pkg-config libopencv-dev libturbojpeg0-dev``) it builds:
``.venv-bench/bin/pip install ffcv``. Each crops at random, resizes and mirrors as torchvision's
reference does, with one thread.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

Deliver = Callable[[], None]
PACKAGES = {
    "opencv-python-headless": "cv2", "nvidia-dali-cuda120": "nvidia.dali", "ffcv": "ffcv",
}  # fmt: skip
"""Distribution -> what it is imported as."""
AREA, ASPECT = [0.08, 1.0], [3 / 4, 4 / 3]


def peers(source: Path, scratch: Path, *, batch: int, px: int) -> dict[str, Deliver]:
    """Those that are installed; each delivers every image of ``source/train`` once.

    Args:
        source: A folder as ImageNet's.
        scratch: For what a peer packs.
        batch: Images of a batch; divides their number.
        px: Side of the square they are resized to.
    """
    found: dict[str, Deliver] = {}
    if _has("cv2"):
        found["OpenCV"] = _opencv(source, batch, px)
    if _has("nvidia") and _has("nvidia.dali"):
        found["DALI on the CPU"] = _dali(source, batch, px)
    if _has("ffcv"):
        found["FFCV, JPEG"] = _ffcv(source, scratch, "jpg", batch, px)
        found["FFCV, raw"] = _ffcv(source, scratch, "raw", batch, px)
    return found


def _has(module: str) -> bool:
    return find_spec(module) is not None


def _files(source: Path) -> list[Path]:
    return sorted(source.glob("train/*/*.jpg"))


def _opencv(source: Path, batch: int, px: int) -> Deliver:
    import cv2

    cv2.setNumThreads(1)
    files = _files(source)

    def deliver() -> None:
        for first in range(0, len(files), batch):
            images = []
            for file in files[first : first + batch]:
                pixels = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR_RGB)
                shape: Any = torch.empty(3, *pixels.shape[:2], device="meta")
                top, left, height, width = transforms.RandomResizedCrop.get_params(
                    shape, AREA, ASPECT
                )
                part = pixels[top : top + height, left : left + width]
                resized = cv2.resize(part, (px, px), interpolation=cv2.INTER_AREA)
                if torch.rand(1) < 0.5:
                    resized = resized[:, ::-1]
                images.append(torch.from_numpy(resized.transpose(2, 0, 1).copy()))
            torch.stack(images)

    return deliver


def _dali(source: Path, batch: int, px: int) -> Deliver:
    from nvidia.dali import fn, pipeline_def, types

    # No batches ahead, which would be decoded on the account of the way that comes next.
    @pipeline_def(
        batch_size=batch, num_threads=1, device_id=None, prefetch_queue_depth=1,
        exec_async=False, exec_pipelined=False,
    )  # fmt: skip
    def pipeline() -> Any:
        encoded, labels = fn.readers.file(file_root=str(source / "train"), random_shuffle=True)
        images = fn.decoders.image_random_crop(
            encoded, device="cpu", output_type=types.RGB, random_area=AREA,
            random_aspect_ratio=ASPECT,
        )  # fmt: skip
        images = fn.resize(
            images, resize_x=px, resize_y=px, interp_type=types.INTERP_LINEAR, antialias=True
        )
        return fn.flip(images, horizontal=fn.random.coin_flip()), labels

    built = pipeline()
    built.build()
    steps = len(_files(source)) // batch

    def deliver() -> None:
        for _ in range(steps):
            built.run()

    return deliver


def _ffcv(source: Path, scratch: Path, mode: str, batch: int, px: int) -> Deliver:
    from ffcv.fields import IntField, RGBImageField
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip, ToTensor
    from ffcv.writer import DatasetWriter

    class Images:
        def __init__(self) -> None:
            self.files = _files(source)

        def __len__(self) -> int:
            return len(self.files)

        def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
            return np.array(Image.open(self.files[index]).convert("RGB")), 0

    packed = scratch / f"{mode}.beton"
    # The records of its published ImageNet recipe: 256 pixels raw, the files' own size as JPEG.
    field = RGBImageField(
        write_mode=mode, max_resolution=256 if mode == "raw" else None, jpeg_quality=90
    )
    writer = DatasetWriter(str(packed), {"image": field, "label": IntField()}, num_workers=1)
    writer.from_indexed_dataset(Images())
    cut = RandomResizedCropRGBImageDecoder((px, px), tuple(AREA), tuple(ASPECT))
    loader = Loader(
        str(packed), batch_size=batch, num_workers=1, order=OrderOption.RANDOM, os_cache=True,
        pipelines={"image": [cut, RandomHorizontalFlip(), ToTensor()]},
    )  # fmt: skip

    def deliver() -> None:
        for _ in loader:
            pass

    return deliver
