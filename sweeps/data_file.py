"""``data.json`` in a trial's folder: which data it was trained on, told by digests.

Workers write it, as they have the data in memory; the digest is computed once per process.
"""

import json
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
        text = _describe(config, recipe.model.num_classes, device)
        write_atomically(folder / DATA_FILE, text)


@lru_cache(maxsize=4)
def _describe(config_json: str, num_classes: int, device: torch.device) -> str:
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
    return json.dumps(description)
