"""Trainings of about a second, for tests that need a whole one."""

from typing import Any

from resnet_core import Recipe

FAKE = {"num_train": 56, "num_evaluation": 25, "image_size_px": 8}


def tiny_recipe(**changes: Any) -> Recipe:
    """ResNet-18 on 56 made-up images of 8x8 pixels: 3 epochs of 3 steps of 16 images.

    8 images are left over each epoch, and every image is shifted, so that order and augmentation
    both matter to whoever resumes. ``changes`` replace top-level keys.
    """
    rates = {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4}
    return Recipe.model_validate(
        {
            "model": {"name": "resnet18", "num_classes": 4},
            "optimizer": {"decoupled_sgdw": rates},
            "lr_schedulers": {"linear_warmup": "1ep", "cosine_decay": {"T_max": "2ep"}},
            "train_batch_size": 16,
            "max_duration": "3ep",
            "data": {"fake": {**FAKE, "max_shift_px": 1}},
            "methods": {"channels_last": True},
            **changes,
        }
    )


def plain_recipe(**changes: Any) -> Recipe:
    """One epoch of `tiny_recipe` as `train_by_hand` knows it.

    The decay is strong enough to count within 3 steps.
    """
    rates = {"learning_rate": 0.002, "momentum": 0.9, "weight_decay": 0.05}
    plain = {
        "optimizer": {"sgd": rates},
        "lr_schedulers": {},
        "max_duration": "1ep",
        "data": {"fake": FAKE},
    }
    return tiny_recipe(**{**plain, **changes})


def full_recipe(**changes: Any) -> Recipe:
    """Every method at once, as far as they go together: 3 epochs of 3 steps of ResNet-20.

    Images are augmented one by one, so they come from a loader; in this process, since starting
    others takes longer than the training.
    """
    return Recipe.model_validate(
        {
            "model": {"name": "resnet_20", "num_classes": 4},
            "optimizer": {"sgd": {"learning_rate": 0.02, "momentum": 0.9, "nesterov": True,
                                  "weight_decay": 5e-4, "decay_norms_and_biases": False}},
            "lr_schedulers": {"one_cycle": {"T_max": "9ba"}},
            "train_batch_size": 16,
            "micro_batch_size": 8,
            "activation_checkpointing": True,
            "max_duration": "3ep",
            "loader_processes": 0,
            "data": {"fake": {**FAKE, "image_size_px": 12, "max_shift_px": 1,
                              "horizontal_flip": True}},
            "methods": {
                "label_smoothing": {}, "mixup": {}, "cutmix": {},
                "ema": {"half_life": "2ba", "update_interval": "2ba"},
                "blurpool": {"min_channels": 16},
                "progressive_resizing": {"delay_ratio": 0.3, "finetune_ratio": 0.3},
                "resolution": {"train_px": 16, "evaluation_px": 16},
                "sam": {"interval": 2}, "stochastic_depth": {"mode": "sample"},
                "squeeze_excite": {}, "random_erasing": {"probability": 0.5},
                "trivial_augment": {}, "col_out": {}, "gradient_clipping": {"threshold": 1.0},
                "channels_last": True, "zero_init_residual": True,
            },
            **changes,
        }
    )  # fmt: skip
