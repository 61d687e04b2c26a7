"""Packed images on a GPU: the same pixels as on the CPU, copied while the batch before is used."""

from pathlib import Path

import pytest
import torch

from resnet_core.data.dataset import ImageData
from resnet_core.data.loader import TrainLoader
from resnet_core.data.section import DataConfig, PackedConfig
from resnet_core.data.sources import load_data
from resnet_core.methods.section import MethodsConfig
from tests.core.packed_images import make_packed

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def load(folder: Path, device: str) -> ImageData:
    config = DataConfig.model_validate({"packed": {"path": str(folder)}})
    return load_data(config, 2, torch.device(device))


@pytest.mark.parametrize("pixel_format", ["rgb", "yuv420"])
def test_batches_are_those_of_the_cpu(tmp_path, pixel_format):
    folder, _ = make_packed(tmp_path, pixel_format=pixel_format)
    found = {}
    for device in ("cpu", "cuda"):
        loader = TrainLoader(
            load(folder, device), batch_size=8, seed=0, rank=0, num_workers=1,
            settings=PackedConfig(path="-"), methods=MethodsConfig(), train_px=16,
            num_processes=0,
        )  # fmt: skip
        found[device] = list(loader.batches(0, 30))
    for ours, theirs in zip(found["cuda"], found["cpu"], strict=True):
        assert ours.images.device.type == "cuda"
        assert torch.equal(ours.labels.cpu(), theirs.labels)
        # Centres of the filter are divided on another processor, and may differ by the last bit.
        difference = (ours.images.cpu().int() - theirs.images.int()).abs()
        assert difference.max() <= 1
        assert (difference > 0).float().mean() < 0.01
