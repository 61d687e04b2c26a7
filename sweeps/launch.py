"""Running a sweep: from a validated file to ended trials, test results and a closed parent run.

The driver keeps no state that matters: what is known stands in the sweep's folder. Running the
same sweep again therefore means going on with it; Tune's own experiment state is not used (it
loses what came after its last snapshot, and cannot grow).
"""

import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import ray
from ray import tune

from resnet_core.credentials import without_credentials
from sweeps import gpu_sharing, mirror
from sweeps.agenda import Agenda
from sweeps.answer.results import SweepResult, read_result
from sweeps.cancel import put_back_to_pending, watching
from sweeps.changes import retry_failed
from sweeps.cluster import Refused, connected, fitting_trials, placement_of
from sweeps.display import Display
from sweeps.elastic import worker_counts
from sweeps.environment import describe_environment, git_diff
from sweeps.failures import OF_THE_MACHINE
from sweeps.figures.found import read_found
from sweeps.forecast import Forecast
from sweeps.gang import remove_abandoned_gangs, start_exchange
from sweeps.gang_config import GangConfig
from sweeps.gpu_sharing import COUNTS, Rates
from sweeps.interrupts import Interrupts
from sweeps.memory import Memory
from sweeps.page.pictures import NoBrowser, write_pictures
from sweeps.page.report import write_report
from sweeps.preemption import watching_nodes
from sweeps.record import SweepState
from sweeps.recorder import Recorder
from sweeps.retention import prune
from sweeps.search import SweepSearch
from sweeps.sharing_probe import CannotMeasure, measure
from sweeps.spec import Sweep
from sweeps.stopping import build_rules
from sweeps.storage import SweepFolder, write_atomically
from sweeps.test_split import test_what_won
from sweeps.tracking.tracker import Tracker
from sweeps.tracking.winner import registering
from sweeps.trial import TrialTrainable, resources_of, tries_of
from sweeps.tuning import build_tuning


def begin(folder: SweepFolder, sweep: Sweep) -> None:
    """Write down what is going to be run, once; call it with the folder locked."""
    if folder.exists:
        return
    folder.trials_path.mkdir(parents=True, exist_ok=True)
    write_atomically(folder.path / "sweep.yaml", without_credentials(sweep.text))
    write_atomically(folder.sweep_file, sweep.resolved_yaml())
    write_atomically(folder.path / "environment.json", describe_environment())
    if diff := git_diff():
        write_atomically(folder.path / "git.diff", diff)
    folder.write_state(SweepState(id=uuid.uuid4().hex, started_at=time.time()))


def undo_begin(folder: SweepFolder) -> None:
    """Remove what `begin` made, and nothing else, if no trial was written down since."""
    if folder.read_records():
        return
    # `state.json` first: without it there is no sweep, whatever else is still there.
    names = ("state.json", "sweep.yaml", "resolved.yaml", "environment.json", "git.diff", "ray.log")
    for name in (*names, gpu_sharing.FILE_NAME):
        mirror.remove(folder.path / name)
    for path in (folder.trials_path, folder.path):
        with suppress(OSError):  # it holds something else
            path.rmdir()


def measure_sharing(sweep: Sweep) -> Rates:
    """Train the recipe several times at once on a GPU of the cluster: `gpu_sharing`.

    Raises:
        Refused: If no node has a GPU, or the recipe cannot be trained on it.
    """
    resources = sweep.spec.resources
    with connected():
        fitting_trials(resources)
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cpus = max(node["CPU"] / node["GPU"] for node in nodes if node.get("GPU"))
        counts = [count for count in COUNTS if count * resources.cpus_per_worker <= cpus] or [1]
        task = ray.remote(num_cpus=resources.cpus_per_worker, num_gpus=1)(measure)
        try:
            return ray.get(task.remote(sweep.recipe.to_yaml(), counts, "cuda"))
        except CannotMeasure as error:
            raise Refused(f"resources.share_gpus: {error}") from error


def run(sweep: Sweep, folder: SweepFolder, display: Display) -> SweepResult:
    """Run the sweep to its end, or go on with it; call it with the folder locked.

    Args:
        sweep: What to run; its trials that have ended already are not run again.
        folder: Its folder, `begin` was called on it.
        display: Told of every event.

    Returns:
        The rows; ``state.status`` is finished, interrupted, cancelled or stopped.

    Raises:
        Refused: If not even one trial fits into the cluster.
    """
    with Interrupts() as interrupts, connected():
        interrupts.install()
        slots = fitting_trials(sweep.spec.resources, _worker_counts(sweep))
        asked = sweep.spec.resources.max_concurrent_trials
        if asked != "auto" and slots < asked:
            display.line(f"{slots} of {asked} trials at a time: more do not fit")
        return _run(sweep, folder, display, slots, interrupts)


def _worker_counts(sweep: Sweep) -> tuple[int, ...]:
    batch_domain = sweep.space.domains.get("train_batch_size")
    return worker_counts(sweep.recipe, sweep.spec.resources, batch_domain)


def _run(
    sweep: Sweep, folder: SweepFolder, display: Display, slots: int, interrupts: Interrupts
) -> SweepResult:
    started = time.monotonic()
    before = folder.read_state()
    folder.write_state(replace(before, status="running", reason=None))
    put_back_to_pending(folder)
    retry_failed(folder, OF_THE_MACHINE)  # they had stopped the sweep, which goes on now
    tracker = Tracker(sweep, folder)
    tracker.start()
    status: Literal["finished", "interrupted", "cancelled", "stopped"] = "interrupted"
    reason, test = None, before.test

    def wall_seconds() -> float:
        return before.wall_seconds + time.monotonic() - started

    try:
        with display.following(folder, sweep), watching(folder, interrupts):
            reason = _tune(sweep, folder, display, slots, interrupts, wall_seconds)
            folder.refresh()
            if interrupts.reason is not None:
                status, reason = "stopped", interrupts.reason
            elif interrupts.cancelled:
                status = "cancelled"
            elif not interrupts.seen:
                test = {**test, **test_what_won(sweep, folder)}
                status = "finished"
    finally:
        if interrupts.cancelled:  # it may have come outside Tune's loop
            status = "cancelled"
        put_back_to_pending(folder)
        now = folder.read_state()  # the agenda writes to it, too
        folder.write_state(
            replace(now, status=status, reason=reason, wall_seconds=wall_seconds(), test=test)
        )
        if status == "finished":
            prune(sweep, folder, Memory(sweep, folder), is_over=True)
        is_over = status == "finished"
        registers = is_over and sweep.spec.tracking.register_winner
        ahead = registers and before.status != "finished"  # else it is there already, as a rule
        with registering(sweep, folder, tracker.uri, ahead=ahead) as register:
            _report(sweep, folder, display, is_over=is_over)
            if _arrived(tracker, display) and registers and (line := register()) is not None:
                display.line(line)
    result = read_result(folder, sweep)
    display.line(f"checkpoints take {result.checkpoint_bytes / 1e6:.1f} MB ({folder.place})")
    return result


def _arrived(tracker: Tracker, display: Display) -> bool:
    """Mirror the rest; whether everything is there. What goes wrong must not cost the answer."""
    try:
        arrived = tracker.finish()
    except Exception as error:  # noqa: BLE001  nor must what nobody has thought of
        arrived = False
        display.line(f"tracking has failed: {error!r}")
    if not arrived:
        where = without_credentials(tracker.uri)
        display.line(f"not everything has reached {where}; run the sweep again to send it")
    return arrived


def _report(sweep: Sweep, folder: SweepFolder, display: Display, *, is_over: bool) -> None:
    """Write the page, and once the sweep is over its figures, which take a browser seconds."""
    again = f"`sweeps report {folder.name}` tries again"
    try:
        write_report(folder, sweep)
        if is_over and sweep.spec.tracking.figures:
            write_pictures(read_found(folder, sweep))
    except NoBrowser as error:
        display.line(f"{error}; {again}")
    except Exception as error:  # noqa: BLE001  a page less must not cost the answer
        display.line(f"no report, {again}: {error!r}")


def _tune(
    sweep: Sweep,
    folder: SweepFolder,
    display: Display,
    slots: int,
    interrupts: Interrupts,
    wall_seconds: Callable[[], float],
) -> str:
    """Train until nothing is left, or until it is interrupted; returns why no new trial came."""
    spec = sweep.spec
    memory = Memory(sweep, folder)
    rules = build_rules(sweep, memory)
    agenda = Agenda(
        sweep,
        folder,
        memory,
        promotions=rules.promotions,
        slots=slots,
        wall_seconds=wall_seconds,
    )
    display.forecast = Forecast(
        sweep,
        memory,
        epochs_to_come=lambda: agenda.epochs_to_come,
        slots=slots,
        wall_seconds=wall_seconds,
    )
    if not agenda.has_more:
        return agenda.closed or "all trials"
    exchange = start_exchange()
    search = SweepSearch(agenda)
    searcher, scheduler, concurrent = build_tuning(sweep, folder, search, agenda, rules, slots)
    scratch = folder.path / ".ray"  # Ray wants a place on shared storage; nothing in it is kept
    mirror.try_to_remove(scratch)  # of a driver that was killed
    stopping = spec.early_stopping
    gang = GangConfig(
        exchange=exchange,
        resources=spec.resources,
        worker_counts=_worker_counts(sweep),
        placement=placement_of(spec.resources),
        objective=spec.objective,
        storage=mirror.place_of(scratch),
        checkpoint_share=spec.storage.checkpoint_share,
        # A rule that watches trials on their way ends or takes them over at any epoch.
        writes_every_epoch=stopping is not None and not stopping.stretches,
    )
    recorder = Recorder(
        sweep,
        memory,
        agenda,
        search,
        display,
        interrupts.stop,
        prune=lambda: prune(sweep, folder, memory, is_over=False),
    )

    def name(trial: Any) -> str:
        rung = trial.config["rung"]
        return f"t{trial.config['index']:04d}" + (f"-ep{rung:04d}" if rung else "")

    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(TrialTrainable, gang=gang), resources_of(spec.resources)
        ),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # the agenda knows when it is enough
            max_concurrent_trials=concurrent,
            reuse_actors=spec.resources.reuse_workers,
            trial_name_creator=name,
            trial_dirname_creator=lambda trial: f"{name(trial)}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name=f"tune-{uuid.uuid4().hex[:8]}",
            storage_path=mirror.place_of(scratch),
            callbacks=[recorder],
            failure_config=tune.FailureConfig(max_failures=tries_of(spec.resources) - 1),
            # Checkpoints are the workers' business; Tune has none to keep.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        interrupts.exchange = exchange
        with watching_nodes(exchange):
            tuner.fit()
    finally:
        interrupts.exchange = None
        remove_abandoned_gangs(exchange)
        mirror.try_to_remove(scratch)
    if recorder.error is not None:
        raise recorder.error
    return agenda.closed or "all trials"
