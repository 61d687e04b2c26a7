"""What is wrong with a sweep although each of its parts is right: found before anything runs."""

import math
from typing import Any

from resnet_core.problems import CannotTrain, Problem
from resnet_core.recipe import Recipe
from resnet_core.yaml_source import YamlSource
from sweeps.early_stopping import (
    DEFAULT,
    AshaConfig,
    EarlyStoppingConfig,
    Grace,
    HyperbandConfig,
)
from sweeps.elastic import worker_counts
from sweeps.object_store import is_address
from sweeps.population.config import PopulationConfig
from sweeps.rules import rungs_below
from sweeps.sections import ResourcesConfig
from sweeps.space.domains import Domain
from sweeps.spec import SweepSpec

_FEWEST_TRIALS = 32


def untrainable(
    recipe: Recipe,
    resources: ResourcesConfig | None,
    batch_domain: Domain | None,
    source: YamlSource,
) -> list[Problem]:
    """Say why trial 0 cannot be trained: it names no data, or its batch does not split.

    Args:
        recipe: Trial 0.
        resources: None if that section is wrong itself.
        batch_domain: What the space makes of the batch size.
        source: The sweep file.
    """
    problems = []
    space = source.data.get("space")
    varied = space if isinstance(space, dict) else {}
    if recipe.data is None and not any(path.split(".")[0] == "data" for path in varied):
        at = ("extends",) if "extends" in source.data else ("recipe",)
        message = "the recipe names no data; add data: {digits: {}} or data: {fake: {}}"
        problems.append(source.problem(at, message))
    if resources is not None:
        try:
            worker_counts(recipe, resources, batch_domain)
        except CannotTrain as error:
            problems.append(source.problem(("resources", "workers_per_trial"), str(error)))
    return problems


def useless_stopping(
    early_stopping: EarlyStoppingConfig | None,
    recipe: Recipe,
    recipes: list[Recipe],
    source: YamlSource,
) -> list[Problem]:
    """Say that a rule can stop nothing: its first rung comes after every trial's end.

    Args:
        early_stopping: None stops nothing.
        recipe: Trial 0.
        recipes: Of every trial that can be.
        source: The sweep file.
    """
    if early_stopping is None:
        return []
    counted = [one for one in [*recipes, recipe] if one.max_duration.unit != "ep"]
    name, rule = early_stopping.rule_name, early_stopping.rule
    if counted:
        if not early_stopping.stretches:
            return []
        message = (
            f"a rung is a schedule of whole epochs, but max_duration is {counted[0].max_duration}; "
            "give it in ep, or choose fidelity: truncate"
        )
        return [source.problem(("early_stopping", name), message, of_key=True)]
    longest = max(map(whole_epochs, [*recipes, recipe]))
    first = first_comparison(rule, whole_epochs(recipe))
    needs_rungs = isinstance(rule, HyperbandConfig) or early_stopping.stretches
    if needs_rungs and isinstance(rule, AshaConfig | HyperbandConfig):
        if rungs_below(longest, grace_epochs=first, reduction_factor=rule.reduction_factor):
            return []
        last = math.isqrt(longest**2 // rule.reduction_factor)
        message = (
            f"no trial is longer than {longest}ep, before which a schedule of {first}ep saves too "
            f"little; {_allowed(last)}"
        )
        return [source.problem(("early_stopping", name, "grace_period"), message)]
    if first < longest:
        return []
    key = "grace_period" if isinstance(rule, Grace) else "perturbation_interval"
    allowed = _allowed(longest - 1)
    message = f"no trial is longer than {longest}ep, so nothing stops at {first}ep; {allowed}"
    return [source.problem(("early_stopping", name, key), message)]


def _allowed(last: int) -> str:
    choices = {0: "early_stopping: null", 1: "allowed: 1ep"}
    return choices.get(last, f"allowed: 1ep to {last}ep")


def default_stops(spec: SweepSpec, recipe: Recipe, recipes: list[Recipe]) -> bool:
    """Whether the rule that a file gets which does not speak of early stopping suits the sweep.

    It does not where every point is asked for (grid), where the searcher learns from whole
    schedules only (gp, nsga2), where cheap models count for more than their accuracy at a rung
    (objective.against), where trials are too short or not counted in epochs, and where there are
    fewer of them than it was measured with: it lost to random search then (docs/search.md).
    """
    if spec.given_trials is not None and spec.given_trials < _FEWEST_TRIALS:
        return False
    if spec.search.algorithm in ("grid", "gp", "nsga2") or spec.objective.against:
        return False
    if any(one.max_duration.unit != "ep" for one in [*recipes, recipe]):
        return False
    num_epochs = whole_epochs(recipe)
    return bool(DEFAULT.rungs(num_epochs, num_epochs))


def limits(spec: SweepSpec, source: YamlSource) -> list[Problem]:
    """Say what is wrong with sections together: no end or two of them, parts that do not fit."""
    problems = []
    budget, search = spec.budget, spec.search
    if search.trials is not None and budget.trials is not None:
        message = "search.trials says so already; keep one of them"
        problems.append(source.problem(("budget", "trials"), message, of_key=True))
    open_end = [
        name
        for name, value in budget.model_dump(exclude={"trials"}).items()
        if value is not None and name not in ("target", "no_improvement")
    ]
    if spec.given_trials is None and search.algorithm != "grid" and not open_end:
        message = (
            "the sweep has no end; say how many trials, or give a budget of hours or wall_clock"
        )
        at = ("search",) if "search" in source.data else ()
        problems.append(source.problem(at, f"trials: {message}", of_key=True))
    if search.algorithm == "cmaes" and spec.objective.against:
        message = "cmaes knows one objective only; for objective.against take nsga2, tpe or gp"
        problems.append(source.problem(("search", "algorithm"), message))
    gpus = spec.resources.gpus_per_worker
    if gpus > 1 and gpus != int(gpus):
        message = f"a share of a GPU is below 1, several are a whole number, got {gpus:g}"
        problems.append(source.problem(("resources", "gpus_per_worker"), message))
    if spec.resources.share_gpus and (gpus != 1 or spec.resources.max_workers > 1):
        message = "trials of one worker can share a GPU; write gpus_per_worker: 1, or leave it out"
        problems.append(source.problem(("resources", "share_gpus"), message, of_key=True))
    on_gpus = gpus > 0
    if budget.gpu_hours is not None and not on_gpus:
        message = "the workers have no GPU (resources.gpus_per_worker is 0); use cpu_hours"
        problems.append(source.problem(("budget", "gpu_hours"), message, of_key=True))
    if budget.cpu_hours is not None and on_gpus:
        message = "the workers train on GPUs; use gpu_hours"
        problems.append(source.problem(("budget", "cpu_hours"), message, of_key=True))
    rule = spec.early_stopping.rule_name if spec.early_stopping is not None else None
    if rule in ("pbt", "pb2") and spec.confirm is not None:
        message = (
            f"what {rule} finds is a course of changes, not a recipe that can be trained again; "
            "leave confirm out"
        )
        problems.append(source.problem(("confirm",), message, of_key=True))
    if rule in ("pbt", "pb2") and spec.given_trials is None:
        message = f"{rule} needs to know its population; say search.trials"
        problems.append(source.problem(("early_stopping", rule), message, of_key=True))
    if rule in ("pbt", "pb2") and is_address(spec.storage.path or ""):
        message = (
            f"with {rule} workers take over each other's checkpoints, which takes a file system; "
            "name a folder that every machine sees, or take another rule"
        )
        problems.append(source.problem(("storage", "path"), message))
    return problems


def whole_epochs(recipe: Recipe) -> int:
    """Epochs of a recipe's whole schedule; 0 where it is counted in steps."""
    if recipe.max_duration.unit != "ep":
        return 0
    return math.ceil(recipe.max_duration.value * recipe.exact_schedule_scale)


def first_comparison(rule: Any, num_epochs: int) -> int:
    """The epoch at which a rule looks at trials for the first time."""
    if isinstance(rule, PopulationConfig):
        return rule.interval_epochs
    return rule.grace_epochs(num_epochs)
