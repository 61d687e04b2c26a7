import pytest

from resnet_core import Recipe
from resnet_core.dotted_paths import get_path
from resnet_core.yaml_source import read_yaml
from sweeps.population.checks import population_problems
from sweeps.population.config import Pb2Config, PbtConfig
from sweeps.space.domains import read_domain

RECIPE = {
    "model": {"name": "resnet50", "num_classes": 4},
    "optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9, "weight_decay": 1e-4}},
    "train_batch_size": 16,
    "max_duration": "3ep",
    "methods": {"mixup": {}},
}
LR = "  optimizer.sgd.learning_rate: {loguniform: [1e-3, 1]}\n"


@pytest.fixture
def complaints(tmp_path):
    def complaints(space: str, config=None, **recipe) -> list[str]:
        file = tmp_path / "sweep.yaml"
        file.write_text(f"space:\n{space}")
        source = read_yaml(file)
        domains = {
            path: read_domain(entry) for path, entry in get_path(source.data, "space").items()
        }
        model = Recipe.model_validate({**RECIPE, **recipe})
        found = population_problems(domains, config or PbtConfig(), model, source)
        return [str(one).replace(f"{file}:", "") for one in found]

    return complaints


def test_rates_momenta_decay_and_strengths_of_methods_may_change(complaints):
    space = (
        f"{LR}  optimizer.sgd.momentum: {{choice: [0.8, 0.9]}}\n"
        "  optimizer.sgd.weight_decay: {loguniform: [1e-5, 1e-3]}\n"
        "  methods.mixup.alpha: {uniform: [0.1, 1]}\n"
        "  methods.rand_augment.magnitude: {int: [1, 14]}\n"
        "  methods.label_smoothing.smoothing: {value: 0.1}\n"
    )
    assert complaints(space) == []


@pytest.mark.parametrize(
    "key",
    [
        "model.groups: {choice: [1, 4]}",
        "lr_schedulers: {choice: [{}, {linear_warmup: 1ep}]}",
        "train_batch_size: {int: [8, 16]}",
        "max_duration: {choice: [1ep, 2ep]}",
        "data: {choice: [{digits: {}}]}",
        "optimizer: {choice: [{sgd: {learning_rate: 0.1}}]}",
        "optimizer.sgd.nesterov: {choice: [true, false]}",
        "seed: {int: [0, 9]}",
        "methods.squeeze_excite.reduction: {int: [4, 16]}",
    ],
)
def test_what_decides_about_weights_or_steps_is_refused_at_its_place(complaints, key):
    (found,) = complaints(f"{LR}  {key}\n")
    path = key.partition(":")[0]
    assert found.startswith(f"3:3: space.{path}: pbt trains trials on with each other's weights")


def test_the_nearest_key_that_can_vary_is_named(complaints):
    (found,) = complaints(f"{LR}  methods.mixup: {{choice: [{{alpha: 0.1}}]}}\n")
    assert found.endswith("what can vary: methods.mixup.alpha")


def test_a_key_with_conditions_is_refused(complaints):
    key = "methods.mixup.alpha: {uniform: [0.1, 1], when: {optimizer.sgd.nesterov: [false]}}"
    (found,) = complaints(f"{LR}  {key}\n")
    assert "pbt changes every key at any time, so a key has no conditions" in found


def test_a_derived_key_is_refused(complaints):
    key = "optimizer.sgd.weight_decay: {derive: 0.001 * optimizer.sgd.learning_rate}"
    (found,) = complaints(f"{LR}  {key}\n")
    assert "none is derived from another; give it a range" in found


def test_a_choice_of_something_else_than_numbers_is_refused(complaints):
    (found,) = complaints("  methods.label_smoothing.smoothing: {choice: [0.1, null]}\n")
    assert "pbt moves from a number to its neighbour; None is no number" in found


@pytest.mark.parametrize("kind", ["choice: [0.1, 0.2]", "quniform: [0.1, 0.3, 0.1]"])
def test_pb2_takes_continuous_ranges_only(complaints, kind):
    (found,) = complaints(f"  methods.mixup.alpha: {{{kind}}}\n", Pb2Config())
    assert "pb2 needs continuous ranges" in found


def test_momentum_cannot_come_and_go(complaints):
    space = "  optimizer.sgd.momentum: {choice: [0.5, 0.9]}\n"
    assert complaints(space) == []
    assert "stay above 0" in complaints(space.replace("0.5", "0"))[0]
    without = {"optimizer": {"sgd": {"learning_rate": 0.1}}}
    assert "stay above 0" in complaints(space, **without)[0]


def test_a_space_in_which_nothing_changes_is_refused(complaints):
    (found,) = complaints("  methods.mixup.alpha: 0.3\n")
    assert found.endswith("nothing in the space can change while a trial trains; add a range")


@pytest.mark.parametrize("interval", ["10ba", "0.5ep", "0ep", "0.1dur"])
def test_trials_are_compared_at_whole_epochs(interval):
    with pytest.raises(ValueError, match="trials are compared at whole epochs"):
        PbtConfig.model_validate({"perturbation_interval": interval})
    assert PbtConfig.model_validate({"perturbation_interval": "2ep"}).interval_epochs == 2


def test_a_factor_multiplies():
    with pytest.raises(ValueError, match="factors multiply and must be above 0, got 0"):
        PbtConfig(factors=(0, 2))
