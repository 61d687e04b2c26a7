"""A sweep file that is in order, as it is loaded: defaults, possible points, digest, ``--set``."""

import copy
import random
import subprocess
import sys

import optuna
import pytest

from sweeps.loading import load_sweep
from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


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


def test_a_loss_is_minimized_without_being_told(load):
    assert load(DESIGN + "objective: {metric: val_loss}\n").spec.objective.mode == "min"


@pytest.mark.parametrize("address", ["s3://bucket/sweeps", "gs://bucket/team/sweeps"])
def test_a_storage_may_be_a_folder_in_an_object_store(load, address):
    assert load(sets=[f"storage.path={address}"]).spec.storage.path == address


def test_reading_a_sweep_imports_no_framework():
    code = (
        "import sys, sweeps.spec;"
        "print([m for m in ('torch', 'ray', 'mlflow', 'typer', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
