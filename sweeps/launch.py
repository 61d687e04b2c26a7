"""Running a sweep: from a validated file to ended trials, test results and a closed parent run.

The driver keeps no state that matters: what is known stands in the sweep's folder. Running the
same sweep again therefore means going on with it; Tune's own experiment state is not used (it
loses what came after its last snapshot, and cannot grow).
"""

import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

import ray
from ray import tune

from sweeps.display import Display
from sweeps.environment import describe_environment
from sweeps.gang import GangConfig, start_exchange
from sweeps.interrupts import Interrupts
from sweeps.recorder import Recorder
from sweeps.results import SweepResult, read_result
from sweeps.search import SweepSearch
from sweeps.spec import Sweep
from sweeps.stopping import AshaScheduler, build_rungs
from sweeps.storage import SweepFolder, SweepState, write_atomically
from sweeps.tracking import Tracker
from sweeps.trial import TrialTrainable
from sweeps.worker import test_checkpoints

TRIES_PER_TRIAL = 2
"""How often a trial is begun whose gang or trainable died; each goes on from its checkpoint."""

_RAY_ENVIRONMENT = {
    # Train's controller looks after its workers this often; 2 s by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # Workers and trainables stay in the folder the driver was started in.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no csv, json, TensorBoard files: `spool.py`
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `_Interrupts` wakes the trainables first
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's snapshot is not used
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


class Refused(RuntimeError):
    """The sweep cannot run here; says what is missing."""


def begin(folder: SweepFolder, sweep: Sweep) -> None:
    """Write down what is going to be run, once; call it with the folder locked."""
    if folder.exists:
        return
    folder.trials_path.mkdir(parents=True, exist_ok=True)
    write_atomically(folder.path / "sweep.yaml", sweep.text)
    write_atomically(folder.sweep_file, sweep.resolved_yaml())
    write_atomically(folder.path / "environment.json", describe_environment())
    folder.write_state(SweepState(id=uuid.uuid4().hex, started_at=time.time()))


def run(sweep: Sweep, folder: SweepFolder, display: Display) -> SweepResult:
    """Run the sweep to its end, or go on with it; call it with the folder locked.

    Args:
        sweep: What to run; its trials that have ended already are not run again.
        folder: Its folder, `begin` was called on it.
        display: Told of every event.

    Returns:
        The rows; ``state.status`` is ``finished`` or ``interrupted``.

    Raises:
        Refused: If not even one trial fits into the cluster.
    """
    with Interrupts() as interrupts, _ray():
        interrupts.install()
        slots = _fitting_trials(sweep, display)
        return _run(sweep, folder, display, slots, interrupts)


def _run(
    sweep: Sweep, folder: SweepFolder, display: Display, slots: int, interrupts: Interrupts
) -> SweepResult:
    started = time.monotonic()
    before = folder.read_state()
    folder.write_state(replace(before, status="running"))
    _put_back_to_pending(folder)
    tracker = Tracker(sweep, folder)
    tracker.start()
    status: Literal["finished", "interrupted"] = "interrupted"
    test = before.test
    try:
        with display.following(folder, sweep):
            _tune(sweep, folder, display, slots, interrupts)
            if not interrupts.seen:
                test = test or _test(sweep, folder)
                status = "finished"
    finally:
        _put_back_to_pending(folder)
        wall_seconds = before.wall_seconds + time.monotonic() - started
        folder.write_state(replace(before, status=status, wall_seconds=wall_seconds, test=test))
        if not tracker.finish():
            display.line(
                f"not everything has reached {tracker.uri}; run the sweep again to send it"
            )
    return read_result(folder, sweep)


def _put_back_to_pending(folder: SweepFolder) -> None:
    for record in folder.read_records():
        if not record.ended:
            folder.write_record(replace(record, status="pending"))


@contextmanager
def _ray() -> Iterator[None]:
    """Connect to ``$RAY_ADDRESS``, or run a private Ray that leaves nothing behind."""
    os.environ.update(_TUNE_ENVIRONMENT)
    level = logging.INFO if logging.getLogger().isEnabledFor(logging.INFO) else logging.ERROR
    for name in ("ray", "ray.tune"):
        logging.getLogger(name).setLevel(level)
    address = os.environ.get("RAY_ADDRESS")
    if address:
        # Ray's job submission does not pass the address on; without it Train's helpers of the
        # workers may find another Ray instance of the host.
        env_vars = {**_RAY_ENVIRONMENT, "RAY_ADDRESS": address}
        try:
            ray.init(
                address=address,
                runtime_env={"env_vars": env_vars},
                log_to_driver=False,
                logging_level=level,
            )
        except ConnectionError as error:
            raise Refused(f"no Ray answers at RAY_ADDRESS={address}: {error}") from error
        try:
            yield
        finally:
            ray.shutdown()
        return
    os.environ.update(_RAY_ENVIRONMENT)
    folder = tempfile.mkdtemp(prefix="sweeps-")
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=level,
            _temp_dir=folder,
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _fitting_trials(sweep: Sweep, display: Display) -> int:
    """How many trials run at a time: as many as asked for, or as fit into the cluster now."""
    resources = sweep.spec.resources
    per_worker, workers = resources.per_worker, resources.workers_per_trial
    # A worker lives on one node, so what counts is how many fit into each.
    there = sum(
        min(int(node["Resources"].get(name, 0.0) / amount) for name, amount in per_worker.items())
        for node in ray.nodes()
        if node["Alive"]
    )
    fitting = min(resources.max_concurrent_trials, there // workers)
    if fitting == 0:
        asked = " and ".join(f"{amount:g} {name}" for name, amount in per_worker.items())
        raise Refused(
            f"a trial needs {workers} workers of {asked} each, this Ray cluster has room for "
            f"{there}; change resources, or set RAY_ADDRESS to a larger cluster"
        )
    if fitting < resources.max_concurrent_trials:
        display.line(
            f"{fitting} of {resources.max_concurrent_trials} trials at a time: more do not fit"
        )
    return fitting


def _tune(
    sweep: Sweep, folder: SweepFolder, display: Display, slots: int, interrupts: Interrupts
) -> None:
    spec = sweep.spec
    search = SweepSearch(sweep, folder)
    if search.num_left == 0:
        return
    exchange = start_exchange()
    scratch = folder.path / ".ray"  # Ray wants a place on shared storage; nothing in it is kept
    gang = GangConfig(exchange, spec.resources, spec.objective, scratch)
    scheduler = None
    if spec.early_stopping is not None:
        histories = {r.index: folder.history(r) for r in folder.read_records()}
        rungs = build_rungs(spec.early_stopping.asha, spec.objective, histories)
        scheduler = AshaScheduler(rungs, spec.objective.metric)
    tuner = tune.Tuner(
        # Next to no resources for the trainable itself: the gang needs them.
        tune.with_resources(tune.with_parameters(TrialTrainable, gang=gang), {"memory": 1}),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=scheduler,
            num_samples=search.num_left,
            max_concurrent_trials=slots,
            reuse_actors=spec.resources.reuse_workers,
            trial_name_creator=lambda trial: f"t{trial.config['index']:04d}",
            trial_dirname_creator=lambda trial: f"t{trial.config['index']:04d}-{trial.trial_id}",
        ),
        run_config=tune.RunConfig(
            name=f"tune-{uuid.uuid4().hex[:8]}",
            storage_path=str(scratch),
            callbacks=[Recorder(sweep, folder, search, display)],
            failure_config=tune.FailureConfig(max_failures=TRIES_PER_TRIAL - 1),
            # Checkpoints are the workers' business; Tune has none to keep.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        interrupts.exchange = exchange
        tuner.fit()
    finally:
        interrupts.exchange = None
        shutil.rmtree(scratch, ignore_errors=True)


def _test(sweep: Sweep, folder: SweepFolder) -> dict[str, dict[str, float]]:
    """Loss and accuracy on the test split, of the recipe and of the best trial, in one task."""
    result = read_result(folder, sweep)
    rows = {row.record.id: row for row in (result.baseline, result.best) if row is not None}
    if not rows:
        return {}
    checkpoints = [
        folder.trial_folder(row.record) / "checkpoints" / f"ep{row.epochs:04d}"
        for row in rows.values()
    ]
    resources = sweep.spec.resources
    task = ray.remote(num_cpus=resources.cpus_per_worker, num_gpus=resources.gpus_per_worker)(
        test_checkpoints
    )
    metrics = ray.get(task.remote(checkpoints, resources.torch_threads))
    return dict(zip(rows, metrics, strict=True))
