"""What a sweep file may not say, with its recipe: paths, conditions, values, secrets, addresses."""

import pytest

from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


def place(problem):
    return problem.split(": ")[0]


def test_a_set_that_addresses_nothing_names_the_nearest(problems):
    assert problems(sets=["optimzer.sgd=1", "serch.trials=2"]) == [
        "--set optimzer.sgd=1: neither the sweep file nor the recipe has a key 'optimzer'; "
        "did you mean 'optimizer.sgd'?",
        "--set serch.trials=2: neither the sweep file nor the recipe has a key 'serch'; "
        "did you mean 'search'?",
    ]


def test_every_problem_of_both_files_is_told_at_once(problems):
    head = (
        "version: 2\n"
        "name: -x\n"
        "extends: recipe.yaml\n"
        "search: {trials: 0, sed: 1}\n"
        "objective: {metric: accuracy}\n"
        "resources: {cpus_per_worker: 0, workers_per_trial: true}\n"
        "early_stopping: {asha: {grace_period: 1.5ep, reduction_factor: 1}}\n"
        "budget: {trails: 4}\n"
        "space:\n"
    )
    space = "  model.name: {choice: []}\n  learning_rate: {uniform: [1, 2]}\n"
    recipe = RECIPE.replace("max_duration: 6ep", "max_duration: 6")
    found = problems(space, head=head, recipe=recipe)
    assert [place(one) for one in found] == [
        "recipe.yaml:8:15", "sweep.yaml:1:10", "sweep.yaml:2:7", "sweep.yaml:4:18",
        "sweep.yaml:4:21", "sweep.yaml:5:21", "sweep.yaml:6:30", "sweep.yaml:6:52",
        "sweep.yaml:7:39", "sweep.yaml:7:64", "sweep.yaml:8:10", "sweep.yaml:10:24",
        "sweep.yaml:11:3",
    ]  # fmt: skip
    assert "did you mean 'val_accuracy'" in found[5]
    assert "did you mean 'seed'" in found[4]
    assert not any("pydantic" in one or "Input" in one for one in found)


def test_groups_on_a_basic_block_are_refused_with_the_way_out(problems):
    space = "  model.name: {choice: [resnet34, resnet50]}\n  model.groups: {choice: [1, 4]}\n"
    (found,) = problems(space)
    assert place(found) == "sweep.yaml:7:3"
    assert found.startswith(
        "sweep.yaml:7:3: space.model.groups: 4 cannot go with model.name = 'resnet34' ("
    )
    assert found.endswith("; add when: {model.name: [resnet50]}")


def test_values_outside_a_field_are_refused_in_the_words_of_the_recipe(problems):
    space = (
        "  optimizer.decoupled_sgdw.learning_rate: {uniform: [-1, 2]}\n"
        "  model.name: {choice: [resnet18, resnet5O]}\n"
        "  lr_schedulers: {choice: [{linear_warmup: 1}, {linear_warmu: 1ep}]}\n"
        "  optimizer.decoupled_sgdw.momentum: {choice: [0.5, 2]}\n"
    )
    found = problems(space)
    assert [place(one) for one in found] == [
        "sweep.yaml:6:54", "sweep.yaml:7:35", "sweep.yaml:8:44", "sweep.yaml:8:49",
        "sweep.yaml:9:53",
    ]  # fmt: skip
    assert "did you mean 'resnet50'" in found[1]
    assert "1 has no unit" in found[2]
    assert "did you mean 'linear_warmup'" in found[3]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("model.nam: {choice: [a]}", "no such field; did you mean 'model.name'?"),
        ("weight_decay: {choice: [0]}", "did you mean optimizer."),
        ("optimizer.sgd.momentum: {choice: [0]}",
         "this recipe has no optimizer.sgd; its optimizer is decoupled_sgdw"),
        ("seed: {uniform: [1, 2]}", "seed is a whole number; use {int: [low, high]}"),
        ("max_duration: {int: [1, 2]}", "max_duration is not a number; list its values"),
        ("seed: {int: [1, 9], when: {model.nam: a}}", "did you mean 'model.name'?"),
        ("seed: {int: [1, 9], when: {model.name: resnet50}}",
         "never true: model.name is 'resnet18' in every trial"),
        ("seed: {int: [1, 9], when: {seed: 1}}", "conditions depend on each other: seed"),
    ],
    ids=["typo", "bare name", "not chosen", "float for int", "number for text",
         "unknown condition", "never true", "circle"],
)  # fmt: skip
def test_a_path_or_condition_that_cannot_be_is_refused(problems, entry, message):
    (found,) = problems(f"  {entry}\n")
    assert found.startswith("sweep.yaml:6:")
    assert message in found


def test_conditions_that_each_hold_but_never_together_are_refused(problems):
    space = (
        "  model.name: {choice: [resnet18, resnet50]}\n"
        "  precision: {choice: [fp32, bf16], when: {model.name: resnet50}}\n"
        "  seed: {int: [1, 2], when: {model.name: resnet18, precision: bf16}}\n"
    )
    assert problems(space, recipe=RECIPE + "precision: fp32\n") == [
        "sweep.yaml:8:3: space.seed: its conditions never hold together"
    ]


def test_a_condition_may_list_values_that_this_space_does_not_have_but_no_typos(load, problems):
    space = DESIGN.replace("resnet50, resnet101", "resnet50, resnet1O1")
    assert len(problems(space)) == 2
    assert "did you mean 'resnet101'" in problems(space)[0]


def test_a_loss_is_not_maximized(problems):
    (found,) = problems(DESIGN + "objective: {metric: val_loss, mode: max}\n")
    assert found.endswith("val_loss is better when it is smaller: mode: min")


def test_a_password_in_an_address_is_refused_and_not_repeated(problems):
    (found,) = problems(DESIGN + "tracking: {uri: 'https://me:secret@host'}\n")
    assert "MLFLOW_TRACKING_PASSWORD" in found
    assert "secret" not in found


CUSTOM = RECIPE.replace(
    "data: {digits: {}}", 'data: {custom: {entry: "a:B", options: {at: "http://host"}}}'
)


@pytest.mark.parametrize(
    ("space", "recipe", "expected"),
    [
        (DESIGN + "storage: {path: 'nfs://me:hidden@host/x'}\n", RECIPE,
         "sweep.yaml:14:17: storage.path: an address with a password"),
        ("  data.custom.options: {choice: [{at: 'http://me:hidden@host'}]}\n", CUSTOM,
         "sweep.yaml:6:33: space.data.custom.options.choice: an address with a password"),
        (DESIGN, CUSTOM.replace("http://", "http://me:hidden@"),
         "recipe.yaml:9:40: data.custom.options: an address with a password"),
        (DESIGN, CUSTOM.replace("at: ", "api_key: ").replace("http://host", "hidden"),
         "recipe.yaml:9:40: data.custom.options: api_key looks like a secret"),
    ],
    ids=["section", "space", "recipe", "option"],
)  # fmt: skip
def test_a_secret_anywhere_in_a_file_is_refused_and_not_repeated(problems, space, recipe, expected):
    found = problems(space, recipe=recipe)
    assert [one for one in found if one.startswith(expected)]
    assert "hidden" not in "".join(found)


def test_a_missing_recipe_is_told_where_it_is_named(problems):
    (found,) = problems(head=HEAD.replace("recipe.yaml", "recip.yaml"))
    assert (
        found == "sweep.yaml:3:10: extends: recip.yaml: no such file; did you mean 'recipe.yaml'?"
    )


def test_a_sweep_cannot_extend_a_sweep(problems, tmp_path):
    (tmp_path / "other.yaml").write_text(HEAD + DESIGN)
    (found,) = problems(head=HEAD.replace("recipe.yaml", "other.yaml"))
    assert found == "sweep.yaml:3:10: extends: other.yaml is a sweep file, not a recipe"


def test_an_empty_space_is_refused(problems):
    (found,) = problems("  {}\n")
    assert found == "sweep.yaml:6:3: space: is empty; it needs at least one entry"


def test_a_storage_at_another_kind_of_address_is_refused(problems):
    head = HEAD.replace("space:", "storage: {path: 'hdfs://host/sweeps'}\nspace:")
    (found,) = problems(DESIGN, head=head)
    assert found == (
        "sweep.yaml:5:17: storage.path: hdfs:// is no object store that is known; write s3:// or "
        "gs://"
    )


def test_a_population_needs_a_file_system(problems):
    lines = "early_stopping: {pbt: {}}\nstorage: {path: 's3://bucket/sweeps'}\nspace:"
    space = "  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.2, 8]}\n"
    (found,) = problems(space, head=HEAD.replace("space:", lines))
    assert found.startswith(
        "sweep.yaml:6:17: storage.path: with pbt workers take over each other's checkpoints"
    )
