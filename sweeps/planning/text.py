"""A plan as lines for people; counts and bytes in powers of 1000."""

from collections.abc import Iterator

from sweeps.planning.plan import KEPT_CHECKPOINTS, Figure, Plan
from sweeps.planning.timing import Span

_WIDTH = 19
_UNITS = ("", "k", "M", "G", "T", "P")


def plan_lines(plan: Plan) -> list[str]:
    """The plan, one subject a line, its notes last."""
    lines = [f"{name:<{_WIDTH}} {text}" for name, text in _subjects(plan)]
    return [f"{plan.name}: nothing has been started", *lines, *(f"note: {n}" for n in plan.notes)]


def _subjects(plan: Plan) -> Iterator[tuple[str, str]]:
    trials = "as many as the budget allows"
    if plan.num_trials is not None:
        trials = f"{plan.num_trials}, the recipe included"
    confirmed = plan.confirmation_trainings
    more = f"; then {confirmed} trainings to confirm" if confirmed else ""
    yield "trials", f"{trials} ({plan.algorithm}){more}"
    yield "early stopping", _stopping(plan)
    yield "epochs", _epochs(plan)
    yield "training images", "not known" if plan.num_train is None else f"{plan.num_train:,}"
    yield "models", f"{plan.num_models} distinct"
    yield "parameters", _figure(plan.parameters)
    yield "FLOPs per image", f"forward {_figure(plan.forward_flops)}"
    yield "", f"training {_figure(plan.training_flops)}"
    if plan.violating_ratio is not None:
        yield "constraints", f"refuse about {plan.violating_ratio:.0%} of the space"
    yield "memory per worker", f"about {_figure(plan.memory_bytes, 'B')}, the process apart"
    parts = (f"{name} {short(size)}B" for name, size in plan.recipe_memory.items() if size)
    yield "", f"recipe: {', '.join(parts)}"
    yield "checkpoint", _figure(plan.checkpoint_bytes, "B")
    yield "disk", _disk(plan)
    limits = (
        f"{name} {value:g}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value in plan.budget.items()
    )
    yield "budget", ", ".join(limits) or "no limit but the trials"
    yield from _hours(plan)


def _stopping(plan: Plan) -> str:
    if plan.rule is None:
        return "none"
    if plan.rungs:
        others = "; further brackets begin later" if plan.rule == "hyperband" else ""
        at = "after complete schedules of" if plan.fidelity == "stretch" else "after"
        epochs = f"{_listed(plan.rungs)} epochs"
        return f"{plan.rule}, {plan.fidelity}: compared {at} {epochs}{others}"
    return f"{plan.rule}, {plan.fidelity}"


def _epochs(plan: Plan) -> str:
    if plan.recipe_epochs is None:
        return "not known: max_duration counts steps, and how many images there are is not known"
    own = f"{plan.recipe_epochs} of the recipe"
    if plan.epochs_expected is None or plan.epochs_at_most is None:
        return own
    total = f"{own}; all together about {plan.epochs_expected:,.0f}"
    if round(plan.epochs_at_most) == round(plan.epochs_expected):
        return total
    return f"{total}, at most {plan.epochs_at_most:,.0f} if nothing were stopped"


def _disk(plan: Plan) -> str:
    kept = f"a schedule keeps {KEPT_CHECKPOINTS} checkpoints"
    disk = plan.disk
    there = f"at {disk.path}"
    if disk.free_bytes is not None:
        there = f"{short(disk.free_bytes)}B free {there}"
    if disk.needed_bytes is None:
        return f"{kept}; {there}"
    return f"{kept}, the sweep up to about {short(disk.needed_bytes)}B; {there}"


def _hours(plan: Plan) -> Iterator[tuple[str, str]]:
    hours = plan.hours
    if hours is None:
        yield "hours", "not measured; --calibrate trains a few steps to tell"
        return
    yield "hours", f"recipe {_span(hours.recipe)}; mean trial {_span(hours.trial)} ({hours.device})"
    if hours.wall_clock is not None and hours.cost is not None:
        at_a_time = f"{hours.slots} trial{'s' if hours.slots > 1 else ''} at a time"
        yield "", f"sweep {_span(hours.wall_clock)}, {at_a_time}"
        yield "", f"{hours.cost_unit} of the sweep {_about(hours.cost)}"
    if hours.num_trials_in_budget is not None:
        allowed = hours.num_trials_in_budget
        if plan.num_trials is not None and allowed >= plan.num_trials:
            yield "", "the budget is enough for every trial"
        else:
            yield "", f"the budget is enough for about {allowed} trials"
    yield "", "timed alone; starting Ray, trials beside each other, and slow disks add to it"


def _figure(figure: Figure, unit: str = "") -> str:
    own = f"{short(figure.recipe)}{unit}"
    if figure.low == figure.high:
        return own
    return f"{own} ({short(figure.low)}{unit} to {short(figure.high)}{unit} over the space)"


def _span(hours: Span) -> str:
    """In the unit that suits the middle."""
    factor, unit = (
        (1, "h") if hours.mid >= 1 else (60, "min") if hours.mid >= 1 / 60 else (3600, "s")
    )
    return _about(hours * factor, f" {unit}")


def _about(span: Span, unit: str = "") -> str:
    return f"about {_digits(span.mid)}{unit} ({_digits(span.low)} to {_digits(span.high)})"


def _digits(number: float) -> str:
    """Two digits, more of them only before the point."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def short(number: float) -> str:
    """Three digits and a prefix: 11.2 M, 1.23 G."""
    power = 0
    while abs(number) >= 999.5 and power < len(_UNITS) - 1:
        number, power = number / 1000, power + 1
    digits = f"{number:.3g}" if power else f"{number:g}"
    return f"{digits} {_UNITS[power]}"


def _listed(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last
