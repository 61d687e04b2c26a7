import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from resnet_core import Recipe
from resnet_core.yaml_source import InvalidFile
from tests.core.tiny_recipe import tiny_recipe

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "recipes").glob("*.yaml"))

# The ResNet model card of MosaicML Composer, byte for byte.
PUBLISHED = """\
model: {name: resnet50, num_classes: 1000, pretrained: false, groups: 1, width_per_group: 64,
        initializers: [kaiming_normal, bn_uniform], loss_name: soft_cross_entropy}
optimizer:
  sgd: {learning_rate: 2.048, momentum: 0.875, weight_decay: 5e-4}
lr_schedulers:
  linear_warmup: "8ep"
  cosine_decay: {T_max: "82ep", eta_min: 0, verbose: false, interval: step}
train_batch_size: 2048
max_duration: 90ep
"""


@pytest.fixture
def published(tmp_path) -> Recipe:
    return read(tmp_path, PUBLISHED)


def read(folder: Path, text: str) -> Recipe:
    file = folder / "recipe.yaml"
    file.write_text(text)
    return Recipe.from_yaml(file)


def test_the_published_block_loads_as_it_is(published):
    model = published.model
    assert (model.name, model.num_classes, model.pretrained) == ("resnet50", 1000, False)
    assert (model.groups, model.width_per_group) == (1, 64)
    assert model.initializers == ("kaiming_normal", "bn_uniform")
    assert model.loss_name == "soft_cross_entropy"
    sgd = published.optimizer.sgd
    assert sgd is not None
    assert (sgd.learning_rate, sgd.momentum, sgd.weight_decay) == (2.048, 0.875, 0.0005)
    schedules = published.lr_schedulers
    assert str(schedules.linear_warmup) == "8ep"
    assert schedules.cosine_decay is not None
    assert str(schedules.cosine_decay.T_max) == "82ep"
    assert (schedules.cosine_decay.eta_min, schedules.cosine_decay.interval) == (0, "step")
    assert (published.train_batch_size, str(published.max_duration)) == (2048, "90ep")


def test_the_published_block_trains_as_on_the_card_where_it_says_nothing(published):
    assert published.peak_learning_rate == 2.048
    assert published.precision == "fp32"
    assert published.data is None


def test_the_published_block_is_advised_to_name_its_decay_decoupled(published):
    (advice,) = published.advice()
    assert "decoupled_sgdw" in advice
    assert "3.05e-05" in advice


def test_pyyaml_reads_the_same_recipe(published):
    # To PyYAML 5e-4 is text.
    assert Recipe.model_validate(yaml.safe_load(PUBLISHED)) == published


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_recipe_loads_without_advice(file):
    assert Recipe.from_yaml(file).advice() == []


def test_recipes_are_shipped():
    assert {file.stem for file in SHIPPED} >= {"resnet18_digits", "resnet50_imagenet"}


@pytest.mark.parametrize("recipe", [Recipe.from_yaml(file) for file in SHIPPED] + [tiny_recipe()])
def test_a_recipe_written_and_read_is_the_same(tmp_path, recipe):
    again = read(tmp_path, recipe.to_yaml())
    assert again == recipe
    assert again.digest() == recipe.digest()
    assert Recipe.model_validate(recipe.to_dict()) == recipe


def test_the_digest_does_not_depend_on_how_it_was_written(tmp_path, published):
    lines = PUBLISHED.replace("5e-4", "0.0005").replace("8ep", "8.0ep").splitlines()
    reordered = "\n".join([*lines[-2:], "seed: 0", *lines[:-2]])
    assert read(tmp_path, reordered).digest() == published.digest()


@pytest.mark.parametrize("change", [{"seed": 1}, {"precision": "bf16"}, {"max_duration": "9ba"}])
def test_the_digest_changes_with_every_value(change):
    assert tiny_recipe(**change).digest() != tiny_recipe().digest()


@pytest.mark.parametrize(
    ("scaling", "expected"),
    # A quarter of the reference batch: 2.048 / 4 and 2.048 / 2.
    [("none", 2.048), ("linear", 0.512), ("sqrt", 1.024)],
)
def test_the_rate_follows_the_batch_size_as_asked(tmp_path, scaling, expected):
    text = PUBLISHED.replace("2048\n", "512\n")
    text += f"lr_reference_batch_size: 2048\nlr_scaling: {scaling}\n"
    assert read(tmp_path, text).peak_learning_rate == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("scaling", ["linear", "sqrt"])
def test_the_rate_belongs_to_the_recipes_own_batch_unless_another_is_named(tmp_path, scaling):
    assert read(tmp_path, PUBLISHED + f"lr_scaling: {scaling}\n").peak_learning_rate == 2.048


def test_a_wrong_number_of_classes_is_refused_with_the_right_one():
    message = "data.digits has 10 classes, model.num_classes is 4; write num_classes: 10"
    with pytest.raises(ValidationError, match=message):
        tiny_recipe(data={"digits": {}})


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValidationError, match="train_batch_size 57 is more than the 56 training"):
        tiny_recipe(train_batch_size=57)
    assert tiny_recipe(train_batch_size=56).train_batch_size == 56


@pytest.mark.parametrize(
    ("length", "message"),
    [("1dur", "give it in ep or ba"), ("0ep", "max_duration is 0"), ("0ba", "max_duration is 0")],
)
def test_a_training_has_a_length_of_its_own(length, message):
    with pytest.raises(ValidationError, match=message):
        tiny_recipe(max_duration=length)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, True])
def test_a_seed_is_a_whole_number_of_32_bits(seed):
    with pytest.raises(ValidationError, match="seed"):
        tiny_recipe(seed=seed)


def test_a_file_tells_all_that_is_wrong_and_where(tmp_path):
    text = PUBLISHED.replace("resnet50", "resnet5O").replace("groups: 1", "groups: 0")
    with pytest.raises(InvalidFile) as caught:
        read(tmp_path, text + "sead: 1\n")
    places = [(problem.path, problem.line) for problem in caught.value.problems]
    assert places == [("model.name", 1), ("model.groups", 1), ("sead", 10)]


def test_reading_a_recipe_imports_neither_torch_nor_numpy():
    program = (
        "import sys; from resnet_core import Recipe; Recipe.from_yaml(sys.argv[1]); "
        "print(sorted({'torch', 'torchvision', 'numpy', 'sklearn'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(SHIPPED[0])]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_a_batch_changed_from_outside_is_not_the_one_that_the_rate_belongs_to(tmp_path):
    (tmp_path / "recipe.yaml").write_text(PUBLISHED)
    recipe = Recipe.from_yaml(
        tmp_path / "recipe.yaml", ["lr_scaling=linear", "train_batch_size=512"]
    )
    assert recipe.peak_learning_rate == 2.048 / 4


@pytest.mark.parametrize(
    ("length", "said"),
    [
        ("20ep", "end at 90ep, the training at 20ep: the decay is cut off"),
        ("100ep", "end at 90ep, the training at 100ep: the rate stays at its floor"),
    ],
)
def test_a_decay_that_does_not_end_with_the_training_is_told(tmp_path, length, said):
    recipe = read(tmp_path, PUBLISHED.replace("max_duration: 90ep", f"max_duration: {length}"))
    assert any(said in sentence for sentence in recipe.advice())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr_schedulers": {"linear": {"T_max": "3ep", "eta_min": 1}}}, "not a ratio"),
        ({"compile": True, "activation_checkpointing": True}, "take one"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        tiny_recipe(**changes)


@pytest.mark.parametrize("method", ["mixup", "cutmix"])
def test_mixing_needs_whole_pairs_on_each_of_several_workers(method):
    recipe = tiny_recipe(train_batch_size=6, methods={method: {}})
    assert recipe.share_of_batch(1) == 6
    with pytest.raises(ValueError, match=r"in pairs, as mixing needs; the nearest .*: 4 and 8"):
        recipe.share_of_batch(2)


def test_recipes_differ_only_where_they_train_otherwise():
    recipe = tiny_recipe()
    assert recipe.differences(tiny_recipe(loader_processes=3, time_limit="1h")) == []
    assert recipe.differences(tiny_recipe(seed=7)) == ["seed: 7 (here: 0)"]
