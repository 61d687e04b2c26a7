"""``data.json`` in a trial's folder: the data that it was trained on, by digests, and the device.

Workers write it, as they have the data in memory; the digest is computed once per process.
"""

import json
import platform
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from resnet_core import Recipe
from resnet_core.data.digest import split_digest
from resnet_core.data.section import DataConfig
from resnet_core.data.sources import load_data
from resnet_core.evaluate import named_data
from sweeps.storage import DATA_FILE, write_atomically


def write_data_file(folder: Path, recipe: Recipe, device: torch.device) -> None:
    """Write it, unless it is there; call it once the data is loaded, which then is not repeated.

    Raises:
        OSError: If it cannot be written.
    """
    if not (folder / DATA_FILE).exists():
        config = named_data(recipe).model_dump_json()
        described = _describe(config, recipe.model.num_classes, device)
        text = json.dumps({**described, "device": _device_name(device)})
        write_atomically(folder / DATA_FILE, text)


def _device_name(device: torch.device) -> str:
    """Of the GPU or of the processor, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpus = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.+)$", cpus.read_text(), re.M) if cpus.exists() else []
    return names[0] if names else platform.machine()


@lru_cache(maxsize=4)
def _describe(config_json: str, num_classes: int, device: torch.device) -> dict[str, Any]:
    config = DataConfig.model_validate_json(config_json)
    data = load_data(config, num_classes, device)
    name, settings = config.chosen
    description: dict[str, Any] = {
        "source": name,
        "settings": settings.model_dump(mode="json"),
        "num_classes": num_classes,
        "splits": {},
    }
    for split_name in ("train", "validation"):
        split = data.split(split_name)
        description["splits"][split_name] = {
            "digest": split_digest(split, config_json),
            "num_images": len(split),
        }
    return description
