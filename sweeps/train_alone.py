"""`sweeps train`: one recipe in this process, with checkpoints if asked for."""

import json
import warnings
from pathlib import Path

import typer

from resnet_core import Recipe, fit
from resnet_core.manifest import newest_checkpoint


def train_alone(
    recipe_file: Path, sets: list[str], checkpoints: Path | None, *, as_json: bool
) -> None:
    """Train the recipe and print a line (or a JSON object) per epoch on stdout.

    Args:
        recipe_file: The recipe.
        sets: ``a.b=v`` changes to it.
        checkpoints: Folder for one checkpoint per epoch; training goes on from the newest in it.
        as_json: One JSON object per line instead of text.

    Raises:
        InvalidFile: If the recipe is wrong.
        CannotTrain: If it names no data, or the checkpoints belong to another recipe.
        NonFiniteLoss: If its loss becomes NaN or infinite.
    """
    warnings.showwarning = lambda message, *_, **__: typer.echo(f"warning: {message}", err=True)
    recipe = Recipe.from_yaml(recipe_file, sets)
    newest = newest_checkpoint(checkpoints) if checkpoints is not None else None
    if newest is not None:
        typer.echo(f"going on from {newest}", err=True)
    for result in fit(recipe, resume_from=newest):
        if checkpoints is not None:
            result.save_checkpoint(checkpoints / f"ep{result.epoch:04d}")
        if as_json:
            typer.echo(json.dumps(result.metrics()))
        else:
            typer.echo(
                f"epoch {result.epoch}/{result.num_epochs} "
                f"train_loss {result.train_loss:.4f} val_loss {result.val_loss:.4f} "
                f"val_accuracy {result.val_accuracy:.4f} "
                f"learning_rate {result.learning_rate:.4g} "
                f"{result.images_per_second:.0f} images/s"
            )
