from itertools import combinations
from typing import Any

import pytest
from pydantic import ValidationError

from resnet_core.methods.section import MethodsConfig

SWITCHES = ["channels_last", "zero_init_residual"]
POLICIES = ["trivial_augment", "rand_augment", "aug_mix"]
METHODS = [
    "label_smoothing", "mixup", "cutmix", "ema", "blurpool", "progressive_resizing", "resolution",
    "sam", "stochastic_depth", "squeeze_excite", "random_erasing", *POLICIES, "col_out",
    "gradient_clipping",
]  # fmt: skip
NEEDED: dict[str, dict[str, Any]] = {
    "gradient_clipping": {"threshold": 1.0},
    "resolution": {"train_px": 176, "evaluation_px": 224},
}


def read(section: dict[str, Any]) -> MethodsConfig:
    return MethodsConfig.model_validate(section)


def test_the_methods_are_all_that_the_section_holds():
    assert {*METHODS, *SWITCHES} == MethodsConfig.model_fields.keys()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_off_by_default(name):
    assert getattr(read({}), name) is None


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_off_by_default(name):
    assert getattr(read({}), name) is False


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_null_is_off(name):
    assert read({name: None}) == read({})


@pytest.mark.parametrize("name", METHODS)
def test_a_named_method_is_on_and_the_others_stay_off(name):
    section = read({name: NEEDED.get(name, {})})
    assert [other for other in METHODS if getattr(section, other) is not None] == [name]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_no_yes_or_no_question(name):
    with pytest.raises(ValidationError, match=name):
        read({name: True})


@pytest.mark.parametrize("name", METHODS)
def test_an_unknown_key_of_a_method_is_refused(name):
    with pytest.raises(ValidationError, match=rf"{name}\.strength\n.*not permitted"):
        read({name: {**NEEDED.get(name, {}), "strength": 1}})


def test_gradient_clipping_needs_a_threshold():
    with pytest.raises(ValidationError, match=r"gradient_clipping\.threshold\n.*required"):
        read({"gradient_clipping": {}})


@pytest.mark.parametrize("pair", list(combinations(POLICIES, 2)), ids=" and ".join)
def test_two_augmentation_policies_are_refused(pair):
    with pytest.raises(ValidationError, match=f"choose one of .*, got {' and '.join(pair)}"):
        read({name: {} for name in pair})


@pytest.mark.parametrize("name", POLICIES)
def test_one_augmentation_policy_goes_with_everything_else(name):
    others = {other: NEEDED.get(other, {}) for other in METHODS if other not in POLICIES}
    section = read({**others, name: {}, "channels_last": True, "zero_init_residual": True})
    assert getattr(section, name) is not None


@pytest.mark.parametrize("name", METHODS)
def test_only_erasing_and_the_policies_change_single_images(name):
    section = read({name: NEEDED.get(name, {})})
    assert section.changes_single_images is (name in {"random_erasing", *POLICIES})


def test_an_empty_section_changes_no_single_image():
    assert read({}).changes_single_images is False


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("random_erasing", {"min_area_ratio": 0.5, "max_area_ratio": 0.4}, "is above max_area"),
        # A third by default.
        ("random_erasing", {"min_area_ratio": 0.4}, "is above max_area"),
        (
            "progressive_resizing",
            {"delay_ratio": 0.7, "finetune_ratio": 0.4},
            "more than the whole",
        ),
    ],
)
def test_shares_that_contradict_each_other_are_refused(name, settings, message):
    with pytest.raises(ValidationError, match=message):
        read({name: settings})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("random_erasing", {"min_area_ratio": 0.25, "max_area_ratio": 0.25}),
        ("progressive_resizing", {"delay_ratio": 0.9, "finetune_ratio": 0.1}),
        ("progressive_resizing", {"delay_ratio": 0.7, "finetune_ratio": 0.3}),
        ("progressive_resizing", {"initial_scale": 1.0}),
        ("resolution", {"train_px": 176, "evaluation_px": 224, "crop_ratio": 1.0}),
        ("stochastic_depth", {"drop_ratio": 0.0}),
        ("col_out", {"row_ratio": 0.0, "column_ratio": 0.0}),
        ("ema", {"half_life": "0.1dur", "update_interval": "1ep"}),
    ],
    ids=str,
)
def test_values_at_the_edge_are_allowed(name, settings):
    section = getattr(read({name: settings}), name)
    assert section.model_dump(mode="json", exclude_unset=True) == settings


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("label_smoothing", "smoothing", 0),
        ("label_smoothing", "smoothing", 1),
        ("mixup", "alpha", 0),
        ("cutmix", "alpha", 0),
        ("ema", "half_life", "0ba"),
        ("ema", "half_life", "30min"),
        ("ema", "half_life", 100),
        ("ema", "update_interval", "0ep"),
        ("ema", "update_interval", "90sec"),
        ("blurpool", "min_channels", 0),
        ("progressive_resizing", "initial_scale", 0),
        ("progressive_resizing", "initial_scale", 1.1),
        ("progressive_resizing", "delay_ratio", -0.1),
        ("progressive_resizing", "finetune_ratio", 1.1),
        ("progressive_resizing", "size_increment_px", 0),
        ("resolution", "train_px", 3),
        ("resolution", "evaluation_px", 4097),
        ("resolution", "crop_ratio", 0),
        ("resolution", "crop_ratio", 1.1),
        ("sam", "rho", 0),
        ("sam", "interval", 0),
        ("stochastic_depth", "drop_ratio", 1),
        ("stochastic_depth", "drop_ratio", -0.1),
        ("stochastic_depth", "mode", "batch"),
        ("stochastic_depth", "distribution", "cosine"),
        ("squeeze_excite", "reduction", 0),
        ("random_erasing", "probability", 1.1),
        ("random_erasing", "min_area_ratio", 0),
        ("random_erasing", "max_area_ratio", 1),
        ("rand_augment", "num_ops", 0),
        ("rand_augment", "magnitude", 31),
        ("aug_mix", "severity", 0),
        ("aug_mix", "severity", 11),
        ("aug_mix", "width", 0),
        ("aug_mix", "depth", -2),
        ("aug_mix", "alpha", 0),
        ("col_out", "row_ratio", 1),
        ("col_out", "column_ratio", -0.1),
        ("gradient_clipping", "threshold", 0),
        ("gradient_clipping", "kind", "length"),
    ],
)
def test_values_outside_their_range_are_refused(name, key, value):
    with pytest.raises(ValidationError, match=rf"^1 validation error.*\n{name}\.{key}\n"):
        read({name: {**NEEDED.get(name, {}), key: value}})
