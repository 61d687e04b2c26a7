"""Which recipe may go on from a checkpoint of another one: where only hyper-parameters differ.

What is taken over are weights, optimizer state, averages, step and epoch. So the model, the kind of
optimizer, the data and the number of steps must be the same; what a step does with them may differ.
Needs no torch.
"""

from resnet_core.recipe import Recipe

_SGD = ("learning_rate", "momentum", "nesterov", "weight_decay")

INHERITABLE = frozenset(
    [
        *(f"optimizer.{kind}.{name}" for kind in ("sgd", "decoupled_sgdw") for name in _SGD),
        *(
            f"optimizer.adamw.{name}"
            for name in ("learning_rate", "beta1", "beta2", "eps", "weight_decay")
        ),
        *(
            f"methods.{name}"
            for name in (
                "aug_mix.alpha",
                "aug_mix.depth",
                "aug_mix.severity",
                "aug_mix.width",
                "col_out.column_ratio",
                "col_out.row_ratio",
                "cutmix.alpha",
                "gradient_clipping.threshold",
                "label_smoothing.smoothing",
                "mixup.alpha",
                "rand_augment.magnitude",
                "rand_augment.num_ops",
                "random_erasing.max_area_ratio",
                "random_erasing.min_area_ratio",
                "random_erasing.probability",
                "sam.interval",
                "sam.rho",
                "stochastic_depth.drop_ratio",
            )
        ),
    ]
)
"""Recipe paths whose values leave the structure of model, optimizer and training alone."""


def structural_differences(recipe: Recipe, donor: Recipe) -> list[str]:
    """What keeps a recipe from going on with a donor's checkpoint; empty if nothing does.

    Returns:
        ``path: the donor's value (here: the recipe's)`` each.
    """
    different = [text for text in recipe.differences(donor) if not _is_inheritable(text)]
    (own, here), (other, there) = recipe.optimizer.chosen, donor.optimizer.chosen
    if own != other:
        different = [text for text in different if not text.startswith("optimizer.")]
        return [f"optimizer: {other} (here: {own})", *different]
    momentums = [getattr(settings, "momentum", None) for settings in (there, here)]
    if bool(momentums[0]) != bool(momentums[1]):
        different.append(
            f"optimizer.{own}.momentum: {momentums[0]:g} (here: {momentums[1]:g}), and without "
            "momentum the optimizer keeps no state"
        )
    return different


def _is_inheritable(difference: str) -> bool:
    return difference.partition(":")[0] in INHERITABLE
