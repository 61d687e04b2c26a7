"""The summary of a recipe's model, counted once for each shape; torch loads on first use."""

import json
from typing import TYPE_CHECKING

from resnet_core.recipe import Recipe

if TYPE_CHECKING:
    from resnet_core.recipe_summary import Summary

_NO_PART_OF_SHAPE = ("pretrained", "initializers")

_summaries: dict[str, "Summary"] = {}


def shape_key(recipe: Recipe) -> str:
    """Equal for recipes whose models cost the same for each image.

    What counts is the model, squeeze_excite, blurpool, the width of the numbers,
    activation_checkpointing and the size of the images.
    """
    data = recipe.to_dict()
    model = {key: value for key, value in data["model"].items() if key not in _NO_PART_OF_SHAPE}
    methods = {name: data["methods"][name] for name in ("squeeze_excite", "blurpool")}
    is_fp32 = recipe.precision == "fp32"
    parts = (model, methods, is_fp32, recipe.activation_checkpointing, recipe.image_size_px)
    return json.dumps(parts, sort_keys=True)


def cached_summary(recipe: Recipe) -> "Summary":
    """`resnet_core.summary`, remembered for recipes with an equal `shape_key`.

    Raises:
        ValueError: If a method does not go with the model.
    """
    key = shape_key(recipe)
    if key not in _summaries:
        from resnet_core import summary

        _summaries[key] = summary(recipe)
    return _summaries[key]
