import copy
import random
import subprocess
import sys

import optuna
import pytest

from sweeps.loading import load_sweep
from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


def place(problem):
    return problem.split(": ")[0]


def test_the_sweep_file_of_the_design_loads(load):
    sweep = load()
    assert list(sweep.space) == [
        "model.name", "model.groups", "model.width_per_group",
        "optimizer.decoupled_sgdw.learning_rate", "lr_schedulers",
    ]  # fmt: skip
    assert sweep.recipe.model.name == "resnet18"
    assert sweep.recipe_for({}) == sweep.recipe
    assert sweep.recipe_for({"model.name": "resnet50", "model.groups": 4}).model.groups == 4
    assert sweep.text == HEAD + DESIGN


def test_what_is_left_out_has_a_default(load):
    spec = load(sets=["search.trials=32"]).spec
    assert (spec.objective.metric, spec.objective.mode) == ("val_accuracy", "max")
    assert (spec.search.algorithm, spec.search.seed) == ("tpe", 0)
    assert spec.early_stopping is not None
    assert (spec.early_stopping.rule_name, spec.early_stopping.stretches) == ("asha", True)
    assert (spec.constraints, spec.confirm) == ((), None)
    assert (spec.resources.workers_per_trial, spec.resources.reuse_workers) == (1, True)
    assert (spec.tracking.uri, spec.experiment_name, spec.storage.path) == (None, "quick", None)


def test_no_point_of_a_conditional_space_is_impossible_in_10000_samples(load):
    sweep = load()
    rng = random.Random(0)
    for _ in range(10_000):
        overrides = sweep.space.assemble(lambda _, domain: rng.choice(domain.values_to_check())[1])
        model = sweep.recipe_for(overrides).model
        assert model.name == "resnet50" or (model.groups, model.width_per_group) == (1, 64)


EVERY_KIND = """\
  model.name: {choice: [resnet18, resnet34, resnet50]}
  model.groups: {choice: [1, 4], when: {model.name: [resnet50, resnet101]}}
  model.width_per_group: {choice: [16, 64], when: {model.groups: 4}}
  methods.stochastic_depth.drop_ratio: {quniform: [0, 0.5, 0.1], when: {model.width_per_group: 16}}
  optimizer.decoupled_sgdw.learning_rate: {derive: 0.5 * train_batch_size / 64}
  optimizer.decoupled_sgdw.weight_decay: {loguniform: [1e-5, 1e-3]}
  optimizer.decoupled_sgdw.momentum: {uniform: [0.5, 0.95]}
  train_batch_size: {grid: [64, 128, 256]}
  max_duration: {choice: [6ep, 8ep]}
  lr_schedulers.linear_warmup: {choice: [0ep, 1ep, 2ep]}
  lr_schedulers.cosine_decay.T_max: {derive: max_duration - lr_schedulers.linear_warmup}
  micro_batch_size: {derive: train_batch_size // 2, when: {train_batch_size: [128, 256]}}
  eval_batch_size: {logint: [32, 512]}
  seed: {int: [0, 999]}
  methods.label_smoothing: {value: {smoothing: 0.05}, when: {micro_batch_size: 128}}
  precision: bf16
"""


def test_no_point_of_a_space_of_every_kind_is_impossible_in_10000_samples(load):
    sweep = load(EVERY_KIND, recipe=RECIPE + "methods: {stochastic_depth: {}}\n")
    rng = random.Random(0)
    kinds = {domain.kind for domain in sweep.space.domains.values()}
    assert kinds >= {"choice", "grid", "uniform", "loguniform", "quniform", "int", "logint",
                     "value", "derive"}  # fmt: skip
    seen = set()
    for _ in range(10_000):
        overrides = sweep.space.assemble(lambda _, domain: domain.draw(rng))
        recipe = sweep.recipe_for(overrides)
        _, decay = recipe.lr_schedulers.decay
        length = recipe.lr_schedulers.linear_warmup.value + decay.T_max.value
        assert (length, recipe.max_duration.unit) == (recipe.max_duration.value, "ep")
        assert recipe.optimizer.settings.learning_rate == recipe.train_batch_size / 128
        assert recipe.model.name == "resnet50" or "model.groups" not in overrides
        seen |= set(overrides)
    assert seen == set(sweep.space)


def test_a_sweep_of_every_kind_reads_back_from_its_resolved_file(load, tmp_path):
    sweep = load(EVERY_KIND, recipe=RECIPE + "methods: {stochastic_depth: {}}\n")
    (tmp_path / "resolved.yaml").write_text(sweep.resolved_yaml())
    again = load_sweep(tmp_path / "resolved.yaml")
    assert again.digest() == sweep.digest()
    assert again.space.domains == sweep.space.domains


def test_what_optuna_suggests_is_possible(load):
    sweep = load()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(200):
        overrides = sweep.space.suggest(study.ask())
        assert sweep.recipe_for(overrides)


def test_the_resolved_sweep_needs_no_other_file_and_is_the_same_sweep(load, tmp_path):
    sweep = load(sets=["train_batch_size=64", "search.seed=5"])
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "resolved.yaml").write_text(sweep.resolved_yaml())
    again = load_sweep(tmp_path / "alone" / "resolved.yaml")
    assert again.resolved() == sweep.resolved()
    assert again.digest() == sweep.digest()
    assert again.recipe_for({"model.name": "resnet34"}) == sweep.recipe_for(
        {"model.name": "resnet34"}
    )


def test_the_digest_changes_with_a_default_of_the_recipe_and_not_with_the_writing(load):
    digest = load().digest()
    assert load(recipe=RECIPE.replace("5e-4", "0.0005")).digest() == digest
    assert load(recipe=RECIPE + "seed: 99\n").digest() != digest


def test_the_learning_rate_of_a_trial_belongs_to_the_batch_of_trial_0(load):
    recipe = load("  train_batch_size: {choice: [64, 128]}\n").recipe_for({"train_batch_size": 64})
    assert (recipe.train_batch_size, recipe.lr_reference_batch_size) == (64, 128)


def test_trials_leave_the_recipe_unchanged(load):
    sweep = load()
    before = copy.deepcopy(sweep.recipe_data)
    sweep.recipe_for({"model.name": "resnet50", "optimizer.decoupled_sgdw.learning_rate": 3.0})
    assert sweep.recipe_data == before


def test_set_reaches_the_sweep_and_the_recipe(load):
    sets = ["search.trials=3", "seed=5", "optimizer.decoupled_sgdw.momentum=0.5",
            "space.model.groups.choice=[1, 2]"]  # fmt: skip
    sweep = load(sets=sets)
    assert sweep.spec.search.trials == 3
    assert (sweep.recipe.seed, sweep.recipe.optimizer.decoupled_sgdw.momentum) == (5, 0.5)
    assert sweep.space.domains["model.groups"].choice == (1, 2)


def test_a_set_that_addresses_nothing_names_the_nearest(problems):
    assert problems(sets=["optimzer.sgd=1", "serch.trials=2"]) == [
        "--set optimzer.sgd=1: neither the sweep file nor the recipe has a key 'optimzer'; "
        "did you mean 'optimizer.sgd'?",
        "--set serch.trials=2: neither the sweep file nor the recipe has a key 'serch'; "
        "did you mean 'search'?",
    ]


def test_numbers_written_as_text_reach_a_choice_as_numbers(load):
    path = "optimizer.decoupled_sgdw.weight_decay"
    sweep = load(f"  {path}: {{choice: ['1e-4', 5e-4]}}\n")
    assert sweep.space.domains[path].choice == (0.0001, 0.0005)


def test_numbers_written_as_text_reach_every_kind_as_numbers(load):
    sweep = load(
        "  optimizer.decoupled_sgdw.weight_decay: {grid: ['1e-4', 5e-4]}\n"
        "  optimizer.decoupled_sgdw.momentum: '9e-1'\n"
        "  optimizer.decoupled_sgdw.learning_rate: {quniform: ['1e-1', '5e-1', '1e-1']}\n"
        "  seed: {value: '5', when: {optimizer.decoupled_sgdw.weight_decay: '1e-4'}}\n"
    )
    assert sweep.space.assemble(lambda _, domain: domain.nth_value(0)) == {
        "optimizer.decoupled_sgdw.weight_decay": 0.0001,
        "optimizer.decoupled_sgdw.momentum": 0.9,
        "optimizer.decoupled_sgdw.learning_rate": 0.1,
        "seed": 5,
    }


def test_trial_0_is_the_recipe_although_keys_are_fixed(load):
    sweep = load("  seed: 5\n  model.name: {choice: [resnet34]}\n")
    assert sweep.recipe_for({}).seed == sweep.recipe.seed == 0


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


def test_a_loss_is_minimized_without_being_told(load):
    assert load(DESIGN + "objective: {metric: val_loss}\n").spec.objective.mode == "min"


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


def test_reading_a_sweep_imports_no_framework():
    code = (
        "import sys, sweeps.spec;"
        "print([m for m in ('torch', 'ray', 'mlflow', 'typer', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("address", ["s3://bucket/sweeps", "gs://bucket/team/sweeps"])
def test_a_storage_may_be_a_folder_in_an_object_store(load, address):
    assert load(sets=[f"storage.path={address}"]).spec.storage.path == address


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
