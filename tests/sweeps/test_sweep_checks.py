import pytest

from tests.sweeps.sweep_file import DESIGN, HEAD, RECIPE


def found(problems, text: str, *, trials: int | None = 12, space=DESIGN, **options) -> list[str]:
    """The problems of the design's sweep with these sections, after the place in the file."""
    search = "" if "search:" in text else f"search: {{trials: {trials}}}\n"
    head = HEAD.replace("search: {trials: 12}\n", "" if trials is None else search)
    return [one.split(": ", 1)[1] for one in problems(space + text, head=head, **options)]


# ---- the recipe ----------------------------------------------------------------------------------


def test_a_recipe_without_data_is_refused(problems):
    assert problems(recipe=RECIPE.replace("data: {digits: {}}\n", "")) == [
        "sweep.yaml:3:10: extends: the recipe names no data; add data: {digits: {}} or "
        "data: {fake: {}}"
    ]


def test_a_recipe_without_data_is_none_where_the_space_brings_it(load):
    space = "  data: {choice: [{digits: {}}, {fake: {}}]}\n"
    assert load(space, recipe=RECIPE.replace("data: {digits: {}}\n", "")).recipe.data is None


def test_a_batch_that_does_not_split_over_the_workers_is_refused(problems):
    (one,) = problems(DESIGN + "resources: {workers_per_trial: 3}\n")
    assert one == (
        "sweep.yaml:14:32: resources.workers_per_trial: train_batch_size 128 does not split over "
        "3 workers; the nearest that does: 126 and 129"
    )


# ---- early stopping ------------------------------------------------------------------------------


def test_a_rung_that_never_comes_is_refused(problems):
    asha = "early_stopping: {fidelity: truncate, asha: {grace_period: 6ep}}\n"
    assert problems(DESIGN + asha) == [
        "sweep.yaml:14:59: early_stopping.asha.grace_period: no trial is longer than 6ep, "
        "so nothing stops at 6ep; allowed: 1ep to 5ep"
    ]


@pytest.mark.parametrize("rule", ["asha", "hyperband"])
@pytest.mark.parametrize(("grace", "refused"), [(3, False), (4, True), (6, True)])
def test_a_complete_schedule_that_saves_too_little_is_refused(problems, load, rule, grace, refused):
    # Before one of 6 epochs: 3 * 3 * 3 <= 6 * 6 < 4 * 4 * 3.
    text = f"early_stopping: {{{rule}: {{grace_period: {grace}ep}}}}\n"
    if not refused:
        assert load(DESIGN + text).spec.early_stopping is not None
        return
    assert found(problems, text) == [
        f"early_stopping.{rule}.grace_period: no trial is longer than 6ep, before which a schedule "
        f"of {grace}ep saves too little; allowed: 1ep to 3ep"
    ]


def test_a_rung_before_the_end_of_some_trials_is_one(load):
    space = "  max_duration: {choice: [6ep, 12ep]}\n"
    asha = "early_stopping: {fidelity: truncate, asha: {grace_period: 7ep}}\n"
    assert load(space + asha).spec.early_stopping is not None


@pytest.mark.parametrize(
    ("length", "allowed"), [("1ep", "early_stopping: null"), ("2ep", "allowed: 1ep")]
)
def test_of_short_trials_it_is_said_what_is_left(problems, length, allowed):
    recipe = RECIPE.replace("max_duration: 6ep", f"max_duration: {length}")
    text = "early_stopping: {median: {grace_period: 2ep}}\n"
    (one,) = found(problems, text, recipe=recipe)
    assert one.endswith(f"nothing stops at 2ep; {allowed}")


def test_a_population_that_is_compared_after_the_end_is_refused(problems):
    space = "  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.2, 8]}\n"
    text = "early_stopping: {pbt: {perturbation_interval: 6ep}}\n"
    assert found(problems, text, space=space) == [
        "early_stopping.pbt.perturbation_interval: no trial is longer than 6ep, so nothing stops "
        "at 6ep; allowed: 1ep to 5ep"
    ]


def test_schedules_counted_in_batches_cannot_be_stretched(problems, load):
    recipe = RECIPE.replace("max_duration: 6ep", "max_duration: 60ba")
    assert found(problems, "early_stopping: {asha: }\n", recipe=recipe) == [
        "early_stopping.asha: a rung is a schedule of whole epochs, but max_duration is 60ba; give "
        "it in ep, or choose fidelity: truncate"
    ]
    truncated = "early_stopping: {fidelity: truncate, asha: }\n"
    assert load(DESIGN + truncated, recipe=recipe).spec.early_stopping is not None


# ---- sections together ---------------------------------------------------------------------------


def test_trials_are_said_once(problems):
    assert found(problems, "budget: {trials: 12}\n") == [
        "budget.trials: search.trials says so already; keep one of them"
    ]


@pytest.mark.parametrize("budget", ["", "budget: {target: 0.9}\n", "budget: {no_improvement: 3}\n"])
def test_a_sweep_without_an_end_is_refused(problems, budget):
    (one,) = found(problems, budget, trials=None)
    assert "the sweep has no end" in one


@pytest.mark.parametrize(
    "budget", ["trials: 3", "cpu_hours: 1", "wall_clock: 1h"], ids=["trials", "hours", "clock"]
)
def test_trials_hours_or_a_wall_clock_are_an_end(load, budget):
    head = HEAD.replace("search: {trials: 12}\n", "")
    assert load(f"{DESIGN}budget: {{{budget}}}\n", head=head).num_trials in (3, None)


def test_a_grid_has_an_end_of_its_own(load):
    head = HEAD.replace("{trials: 12}", "{algorithm: grid}")
    assert load("  seed: {grid: [1, 2, 3]}\n", head=head).num_trials == 4


@pytest.mark.parametrize(
    ("gpus", "budget", "message"),
    [
        (0, "gpu_hours", "the workers have no GPU (resources.gpus_per_worker is 0); use cpu_hours"),
        (1, "cpu_hours", "the workers train on GPUs; use gpu_hours"),
    ],
)
def test_hours_are_those_of_what_the_workers_train_on(problems, gpus, budget, message):
    text = f"resources: {{gpus_per_worker: {gpus}}}\nbudget: {{{budget}: 1}}\n"
    assert found(problems, text) == [f"budget.{budget}: {message}"]


@pytest.mark.parametrize("gpus", [0.25, 1, 2])
def test_a_share_of_a_gpu_or_whole_ones_are_possible(load, gpus):
    text = f"{DESIGN}resources: {{gpus_per_worker: {gpus}}}\n"
    assert load(text).spec.resources.gpus_per_worker == gpus


def test_one_and_a_half_gpus_are_not(problems):
    assert found(problems, "resources: {gpus_per_worker: 1.5}\n") == [
        "resources.gpus_per_worker: a share of a GPU is below 1, several are a whole number, "
        "got 1.5"
    ]


def test_cmaes_has_one_objective(problems):
    text = "search: {algorithm: cmaes, trials: 12}\nobjective: {against: [flops]}\n"
    assert found(problems, text, trials=None) == [
        "search.algorithm: cmaes knows one objective only; for objective.against take nsga2, tpe "
        "or gp"
    ]


@pytest.mark.parametrize("rule", ["pbt", "pb2"])
def test_a_population_is_not_confirmed_and_knows_its_size(problems, rule):
    space = "  optimizer.decoupled_sgdw.learning_rate: {loguniform: [0.2, 8]}\n"
    text = f"early_stopping: {{{rule}: }}\nconfirm: {{top_k: 1}}\nbudget: {{cpu_hours: 1}}\n"
    population, confirm = found(problems, text, trials=None, space=space)
    assert confirm.startswith(f"confirm: what {rule} finds is a course of changes, not a recipe")
    assert population == (
        f"early_stopping.{rule}: {rule} needs to know its population; say search.trials"
    )
