"""What is wrong in the space of a sweep file, as it is told: entries, formulas, grids."""

import pytest

from tests.sweeps.sweep_file import HEAD

LIST = ", ".join(map(str, range(1, 101)))
GRID = HEAD.replace("trials: 12", "algorithm: grid")


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("", ["sweep.yaml:5:7: space: must be a mapping of keys to values, got null"]),
        ("  [seed]\n",
         ['sweep.yaml:6:3: space: must be a mapping of keys to values, got ["seed"]']),
        ("  seed: {choice: []}\n",
         ["sweep.yaml:6:18: space.seed.choice: is empty; it needs at least one entry"]),
        ("  seed: {int: [128, 64]}\n",
         ["sweep.yaml:6:15: space.seed.int: the bounds are inverted; write [64, 128]"]),
        ("  schedule_scale: {quniform: [2, 1, 0.1]}\n",
         ["sweep.yaml:6:30: space.schedule_scale.quniform: the bounds are inverted; "
          "write [1, 2, 0.1]"]),
        ("  schedule_scale: {loguniform: [0, 1]}\n",
         ["sweep.yaml:6:32: space.schedule_scale.loguniform: a logarithm needs a lower bound above "
          "0, got 0"]),
        ("  eval_batch_size: {logint: [0, 9]}\n",
         ["sweep.yaml:6:29: space.eval_batch_size.logint: a logarithm needs a lower bound of at "
          "least 1, got 0"]),
        ("  seed: {uniform: [1, 2]}\n",
         ["sweep.yaml:6:10: space.seed.uniform: seed is a whole number; use {int: [low, high]} or "
          "{choice: [...]}"]),
        ("  seed: {quniform: [0, 2, 0.5]}\n",
         ["sweep.yaml:6:10: space.seed.quniform: seed is a whole number; use {int: [low, high]} or "
          "{choice: [...]}"]),
        ("  max_duration: {choice: [6, 8ep]}\n",
         ["sweep.yaml:6:27: space.max_duration.choice[0]: 6 has no unit; write 8ep (epochs), 100ba "
          "(batches) or 0.1dur (a share of the whole training)"]),
        ("  max_duration: 6\n",
         ["sweep.yaml:6:17: space.max_duration: 6 has no unit; write 8ep (epochs), 100ba (batches) "
          "or 0.1dur (a share of the whole training)"]),
        ("  seed: {int: [1, 9], when: {precision: fp64, model.groups: [2]}}\n",
         ["sweep.yaml:6:41: space.seed.when.precision: never true: precision is 'fp32' in every "
          "trial",
          "sweep.yaml:6:61: space.seed.when.model.groups: never true: model.groups is 1 in every "
          "trial"]),
        ("  seed: {int: [1, 9], when: {train_batch_size: 96}}\n  train_batch_size: 64\n",
         ["sweep.yaml:6:48: space.seed.when.train_batch_size: never true: train_batch_size takes "
          "64"]),
        ("  seed: {int: [1, 9], when: {schedule_scale: 1}}\n  schedule_scale: {uniform: [1, 2]}\n",
         ["sweep.yaml:6:30: space.seed.when.schedule_scale: schedule_scale varies over a range; a "
          "condition needs a choice to look at"]),
        ("  seed: {int: [1, 9], when: {eval_batch_size: 1}}\n"
         "  eval_batch_size: {derive: round(schedule_scale)}\n"
         "  schedule_scale: {uniform: [1, 2]}\n",
         ["sweep.yaml:6:30: space.seed.when.eval_batch_size: eval_batch_size varies over a range; "
          "a condition needs a choice to look at"]),
        ("  model.groups: {choice: [3, 4]}\n  model.name: {choice: [resnet50, resnet101]}\n",
         ["sweep.yaml:6:27: space.model.groups.choice[0]: groups must divide the stages' widths "
          "64, 128, 256 and 512, got 3; the nearest that do: 2 and 4"]),
        ("  model.groups: 4\n",
         ["sweep.yaml:6:17: space.model.groups: resnet18 has basic blocks, which take groups 1 "
          "only, got 4; members with bottleneck blocks: resnet50, resnet101, resnet152"]),
        ("  model.groups: {value: 4}\n  model.name: {choice: [resnet34, resnet50]}\n",
         ["sweep.yaml:6:3: space.model.groups: 4 cannot go with model.name = 'resnet34' "
          "(model.groups: resnet34 has basic blocks, which take groups 1 only, got 4; members "
          "with bottleneck blocks: resnet50, resnet101, resnet152); "
          "add when: {model.name: [resnet50]}"]),
        ("  train_batch_size: 99999\n  seed: {int: [1, 9]}\n",
         ["sweep.yaml:6:21: space.train_batch_size: no trial of this recipe can have it "
          "(train_batch_size 99999 is more than the 1204 training images of data.digits)"]),
        ("  optimizer.decoupled_sgdw.weight_decay: {choice: [1e-4, '0.0001']}\n",
         ["sweep.yaml:6:51: space.optimizer.decoupled_sgdw.weight_decay.choice: 0.0001 stands "
          "there twice"]),
        ("  seed: 5\n  tf32: false\n",
         ["sweep.yaml:5:1: space: nothing varies: every key is fixed or derived, so that there is "
          "one trial besides the recipe; write search: {trials: 2}"]),
    ],
    ids=[
        "space null", "space a list", "choice empty", "int inverted", "quniform inverted",
        "log of zero", "integer log of zero", "fraction for int", "step for int", "no unit",
        "fixed without unit", "condition on absent values", "condition on a fixed key",
        "condition on a range", "condition on a formula of a range", "impossible groups",
        "impossible fixed groups", "groups in combination", "batch of all images",
        "equal once read", "nothing varies",
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_is_told_with_its_place_and_the_way_out(problems, space, expected):
    assert problems(space) == expected


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ("  train_batch_size: {derive: 64 / sed}\n",
         "sweep.yaml:6:30: space.train_batch_size.derive: sed: the recipe has no such field; did "
         "you mean 'seed'?"),
        ("  train_batch_size: {derive: 64 * }\n",
         "sweep.yaml:6:30: space.train_batch_size.derive: cannot read '64 *': ends too early "
         "(character 5)"),
        ("  train_batch_size: {derive: 64 / seed}\n  seed: {choice: [0, 2]}\n",
         "sweep.yaml:6:30: space.train_batch_size.derive: divides by 0 (64 / 0), with seed = 0; "
         "add when: {seed: [2]}"),
        ("  train_batch_size: {derive: 64 / seed}\n  seed: {choice: [2, 10]}\n",
         "sweep.yaml:6:30: space.train_batch_size.derive: gives 6.4, train_batch_size is a whole "
         "number; use round(...), with seed = 10; add when: {seed: [2]}"),
        ("  train_batch_size: {derive: 64 * schedule_scale}\n  schedule_scale: {uniform: [1, 2]}\n",
         "use round(...), with schedule_scale = "),
        ("  max_duration: {derive: lr_schedulers.linear_warmup + 5}\n  seed: {int: [0, 1]}\n",
         "sweep.yaml:6:26: space.max_duration.derive: + of 1ep and 5: ep and a number without a "
         "unit do not go together"),
        ("  max_duration: {derive: train_batch_size - 122}\n  seed: {int: [0, 1]}\n",
         "sweep.yaml:6:26: space.max_duration.derive: 6 has no unit; write 8ep (epochs), 100ba "
         "(batches) or 0.1dur (a share of the whole training)"),
        ("  seed: {derive: model.name * 2}\n  eval_batch_size: {int: [1, 2]}\n",
         "sweep.yaml:6:18: space.seed.derive: model.name is 'resnet18', neither a number nor a "
         "length"),
        ("  tf32: {derive: seed}\n  seed: {int: [0, 1]}\n",
         "sweep.yaml:6:10: space.tf32.derive: tf32 is neither a number nor a length, which is what "
         "a formula gives"),
        ("  optimizer.decoupled_sgdw.learning_rate: {derive: 1 - seed}\n  seed: {choice: [0, 1]}\n",
         "sweep.yaml:6:52: space.optimizer.decoupled_sgdw.learning_rate.derive: must be above 0, "
         "got 0, with seed = 1; add when: {seed: [0]}"),
        ("  train_batch_size: {derive: 999 * seed}\n  seed: {choice: [1, 2]}\n",
         "sweep.yaml:6:30: space.train_batch_size.derive: train_batch_size 1998 is more than the "
         "1204 training images of data.digits, with seed = 2; add when: {seed: [1]}"),
        ("  seed: {derive: eval_batch_size}\n  eval_batch_size: {derive: seed + 1}\n",
         "sweep.yaml:6:3: space.seed: conditions depend on each other: seed, eval_batch_size"),
    ],
    ids=[
        "unknown path", "no formula", "divides by 0", "not whole", "not whole between the ends",
        "units mixed", "no length", "not a number", "no numeric field", "refused by the field",
        "refused by the recipe", "circle",
    ],
)  # fmt: skip
def test_a_formula_that_cannot_be_is_told_with_the_values_that_it_fails_for(
    problems, space, expected
):
    (found,) = problems(space)
    assert expected in found


def test_a_grid_of_a_million_points_is_counted_and_refused(problems):
    space = (
        f"  seed: {{choice: [{LIST}]}}\n"
        "  eval_batch_size: {int: [1, 100]}\n"
        "  schedule_scale: {quniform: [0.01, 1, 0.01]}\n"
    )
    assert problems(space + "early_stopping: null\n", head=GRID) == [
        "sweep.yaml:4:21: search.algorithm: the grid has 1,000,000 points, and at most 10,000 are "
        "run; shorten the lists or take algorithm: random"
    ]


def test_grid_keys_of_a_million_points_are_refused_with_every_algorithm(problems):
    paths = ["seed", "eval_batch_size", "lr_reference_batch_size"]
    (found,) = problems("".join(f"  {path}: {{grid: [{LIST}]}}\n" for path in paths))
    assert found == (
        "sweep.yaml:6:16: space.seed.grid: the grid has 1,000,000 points, and at most 10,000 are "
        "run; shorten the lists or take choice instead of grid"
    )


def test_a_grid_names_every_key_without_a_list(problems):
    space = "  seed: {int: [1, 3]}\n  schedule_scale: {uniform: [1, 2]}\n"
    assert problems(space, head=GRID) == [
        "sweep.yaml:7:20: space.schedule_scale.uniform: algorithm: grid needs list values, and "
        "schedule_scale varies over a range; write {grid: [...]} or "
        "{quniform: [low, high, step]}"
    ]


def test_a_grid_of_more_points_than_trials_says_how_many_it_needs(load, problems):
    space = "  seed: {int: [1, 3]}\n  eval_batch_size: {choice: [8, 16], when: {seed: [1, 2]}}\n"
    head = HEAD.replace("trials: 12", "algorithm: grid, trials: 5")
    assert problems(space, head=head) == [
        "sweep.yaml:4:35: search.trials: the grid has 5 points, which with trial 0, the recipe, "
        "makes 6 trials, got 5; leave trials out to run them all, or take algorithm: random"
    ]
    assert load(space, head=head.replace("trials: 5", "trials: 6"))
    assert load(space, head=GRID)


def test_a_grid_key_cannot_hang_on_what_the_algorithm_chooses(problems):
    space = "  model.groups: {grid: [1, 2], when: {model.name: resnet50}}\n"
    (found,) = problems(space + "  model.name: {choice: [resnet18, resnet50]}\n")
    assert found == (
        "sweep.yaml:6:32: space.model.groups.when: with algorithm: tpe a grid cannot depend on "
        "model.name, which the algorithm chooses; make that a grid too, or this a choice"
    )
