import pytest
from pydantic import ValidationError

from sweeps.early_stopping import DEFAULT, AshaConfig, EarlyStoppingConfig
from sweeps.loading import load_sweep
from tests.sweeps.simulation import RECIPE, SPACE, write_sweep

RULES = ("asha", "hyperband", "median", "pbt", "pb2")


def read(**data) -> EarlyStoppingConfig:
    return EarlyStoppingConfig.model_validate(data)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_with_nothing_below_it_is_the_rule_with_its_defaults(rule):
    assert read(**{rule: None}) == read(**{rule: {}})
    assert read(**{rule: None}).rule_name == rule


def test_an_empty_rule_may_stand_beside_a_fidelity():
    assert read(fidelity="truncate", asha=None).rule == AshaConfig()


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ({}, "none"),
        ({"fidelity": "stretch"}, "none"),
        ({"asha": {}, "median": {}}, "asha and median"),
        ({"asha": None, "median": None}, "none"),
    ],
)
def test_exactly_one_rule_is_chosen(data, got):
    with pytest.raises(ValidationError, match=f"got {got}"):
        read(**data)


@pytest.mark.parametrize("rule", RULES)
def test_schedules_are_stretched_where_the_rule_can(rule):
    assert read(**{rule: {}}).stretches is (rule in ("asha", "hyperband"))


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_look_at_trials_on_their_way(rule):
    assert not read(fidelity="truncate", **{rule: {}}).stretches


@pytest.mark.parametrize("rule", ["median", "pbt", "pb2"])
def test_rules_that_watch_one_schedule_do_not_go_with_complete_short_ones(rule):
    with pytest.raises(ValidationError, match=f"{rule} watches one schedule on its way"):
        read(fidelity="stretch", **{rule: {}})


@pytest.mark.parametrize(
    ("num_epochs", "expected"), [(1, 1), (9, 1), (10, 2), (18, 2), (27, 3), (90, 10)]
)
def test_the_first_rung_lies_at_a_ninth_of_the_recipe_rounded_up(num_epochs, expected):
    assert AshaConfig().grace_epochs(num_epochs) == expected


def test_the_first_rung_lies_where_the_file_says():
    assert AshaConfig.model_validate({"grace_period": "4ep"}).grace_epochs(90) == 4


@pytest.mark.parametrize("grace", ["0ep", "1.5ep", "100ba", "0.1dur", "5min"])
def test_a_rung_lies_at_a_whole_epoch(grace):
    with pytest.raises(ValidationError, match="a rung lies at a whole epoch"):
        read(asha={"grace_period": grace})


@pytest.mark.parametrize(
    ("config", "num_epochs", "recipe_epochs", "expected"),
    [
        ({"asha": {}}, 9, 9, (1, 3)),
        ({"asha": {"max_rungs": 1}}, 9, 9, (1,)),
        ({"asha": {}}, 27, 9, (1, 3, 9)),
        ({"asha": {}}, 10, 9, (1, 3)),
        ({"fidelity": "truncate", "asha": {}}, 10, 9, (1, 3, 9)),
        ({"fidelity": "truncate", "asha": {"max_rungs": 2}}, 10, 9, (1, 3)),
        ({"hyperband": {}}, 9, 9, (1, 3)),
        ({"asha": {"reduction_factor": 2}}, 18, 18, (2, 4, 8)),
        ({"median": {}}, 9, 9, ()),
        ({"pbt": {}}, 9, 9, ()),
    ],
)  # fmt: skip
def test_rungs_lie_a_factor_apart_below_the_trial_s_own_length(
    config, num_epochs, recipe_epochs, expected
):
    # Complete schedules leave out a rung that saves too little: r * r * factor > n * n.
    assert read(**config).rungs(num_epochs, recipe_epochs) == expected


@pytest.mark.parametrize(
    "text",
    [
        "early_stopping: {asha: }\n",
        "early_stopping: {fidelity: truncate, hyperband: {grace_period: 2ep}}\n",
        "early_stopping: {median: {min_trials: 3}}\n",
        "early_stopping: null\n",
        "constraints: [parameters <= 30M, flops <= 5e9]\n",
        "objective: {metric: val_loss, against: [parameters, training_seconds]}\n",
        "budget: {cpu_hours: 2.5, wall_clock: 30min, target: 0.98, no_improvement: 20}\n",
        "confirm: {top_k: 1, seeds: 4}\n",
        "resources: {workers_per_trial: 2, gpus_per_worker: 0.5, max_concurrent_trials: auto}\n",
        "early_stopping: {pbt: {perturbation_interval: 2ep, factors: [0.5, 2]}}\n",
    ],
)
def test_a_resolved_sweep_is_a_sweep_file_that_resolves_to_itself(tmp_path, text):
    sweep = write_sweep(tmp_path, f"search: {{trials: 12, seed: 4}}\n{text}", stopping="")
    (tmp_path / "resolved.yaml").write_text(sweep.resolved_yaml())
    again = load_sweep(tmp_path / "resolved.yaml")
    assert again.resolved() == sweep.resolved()
    assert again.digest() == sweep.digest()
    assert again.changes_from(sweep.resolved_yaml()) == ""


def test_a_space_of_every_kind_of_key_survives_resolving(tmp_path):
    space = (
        f"{SPACE}"
        "  train_batch_size: {quniform: [32, 128, 32]}\n"
        "  methods.label_smoothing: {choice: [null, {smoothing: 0.1}]}\n"
        "  optimizer.decoupled_sgdw.weight_decay: {loguniform: [1e-5, 1e-3], when: "
        "{lr_scaling: linear}}\n"
        "  optimizer.decoupled_sgdw.momentum: {value: 0.8}\n"
        "  lr_reference_batch_size: {derive: train_batch_size}\n"
        "  seed: {logint: [1, 100]}\n"
        "  lr_scaling: {grid: [none, linear]}\n"
    )
    sweep = write_sweep(tmp_path, "search: {trials: 12}\n", space=space)
    (tmp_path / "resolved.yaml").write_text(sweep.resolved_yaml())
    again = load_sweep(tmp_path / "resolved.yaml")
    assert again.resolved() == sweep.resolved()
    assert again.space == sweep.space


# ---- the default rule ----------------------------------------------------------------------------


def default(tmp_path, text="", **options) -> EarlyStoppingConfig | None:
    search = "" if "search:" in text else "search: {trials: 32}\n"
    return write_sweep(tmp_path, search + text, stopping="", **options).spec.early_stopping


def test_a_file_that_does_not_speak_of_early_stopping_gets_asha_on_complete_schedules(tmp_path):
    found = default(tmp_path)
    assert found is not None
    assert found == DEFAULT
    assert (found.rule_name, found.stretches) == ("asha", True)


@pytest.mark.parametrize("algorithm", ["random", "tpe", "cmaes", "qmc"])
def test_algorithms_that_learn_from_rungs_or_from_nothing_get_it(tmp_path, algorithm):
    assert default(tmp_path, f"search: {{algorithm: {algorithm}, trials: 32}}\n") is not None


@pytest.mark.parametrize("algorithm", ["gp", "nsga2"])
def test_algorithms_that_learn_from_whole_schedules_only_get_none(tmp_path, algorithm):
    assert default(tmp_path, f"search: {{algorithm: {algorithm}, trials: 32}}\n") is None


def test_a_grid_gets_none(tmp_path):
    space = "space:\n  seed: {grid: [1, 2]}\n"
    assert default(tmp_path, "search: {algorithm: grid}\n", space=space) is None


def test_fewer_trials_than_it_was_measured_with_get_none(tmp_path):
    assert default(tmp_path, "search: {trials: 31}\n") is None
    assert default(tmp_path, "budget: {cpu_hours: 1}\nsearch: {algorithm: tpe}\n") is not None


def test_several_objectives_get_none(tmp_path):
    assert default(tmp_path, "objective: {against: [parameters]}\n") is None


@pytest.mark.parametrize(
    ("length", "stops"), [("1ep", False), ("2ep", True), ("9ep", True), ("400ba", False)]
)
def test_schedules_that_are_too_short_or_counted_in_batches_get_none(tmp_path, length, stops):
    # A rung of 1 epoch before 2 saves enough: 1 * 1 * 3 <= 2 * 2.
    recipe = RECIPE.replace("9ep", length)
    assert (default(tmp_path, recipe=recipe) is not None) is stops


def test_one_length_in_batches_among_the_trials_is_enough_for_none(tmp_path):
    space = "space:\n  max_duration: {choice: [9ep, 400ba]}\n"
    assert default(tmp_path, space=space) is None


def test_a_rule_that_is_written_down_stays_whatever_the_algorithm(tmp_path):
    text = "search: {algorithm: gp, trials: 32}\nearly_stopping: {asha: }\n"
    assert default(tmp_path, text) is not None
