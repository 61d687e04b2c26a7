"""The winner of a finished sweep as a registered model, one version for each winner.

A version carries the sweep's id, the trial's and the digest of its checkpoint: by these the next
driver finds it, so that a winner that is registered already is at most described anew.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

import resnet_core
from resnet_core.credentials import without_credentials
from sweeps.answer.results import SweepResult, TrialRow, read_result
from sweeps.failures import last_line
from sweeps.mirror import fetch
from sweeps.spec import Sweep
from sweeps.storage import SweepFolder
from sweeps.tracking.connect import QUIET, connect
from sweeps.tracking.mark import Mark
from sweeps.tracking.order import ALIAS, Order

_TIMEOUT_SECONDS = 900  # of loading, and of sending the weights


class NotRegistered(RuntimeError):
    """The process that registers has failed; says how."""


@dataclass(frozen=True)
class _Prepared:
    """What takes seconds, on its way: the process that registers, and what the model is made of."""

    registrar: subprocess.Popen[str]
    folder: Path
    weights: "ray.ObjectRef[str]"  # the name of the checkpoint's file, once it is packed


@contextmanager
def registering(
    sweep: Sweep, folder: SweepFolder, uri: str, *, ahead: bool
) -> Iterator[Callable[[], str | None]]:
    """Give a function that registers the winner under the sweep's name, as ``champion``.

    The model is the trial's own training, confirmed or not: the one that ``best`` names and the
    winner's run shows. That it was chosen made its measured accuracy flattering, not its weights
    worse, and what is claimed beside it rests on the trainings with fresh seeds. So a confirmation
    of the same trial changes the description and not the model that is served.

    Args:
        sweep: The sweep, Ray is connected. When the function is called, all of it is mirrored.
        folder: Its folder.
        uri: Of the tracking store, which is asked nothing before the function is called.
        ahead: Whether to pack the model, and to start the process that registers it, while the
            block does something else. Both import torch for seconds, in vain if the winner is
            registered already; without it they do so once it is known not to be.

    Yields:
        The function. It returns one line: what was registered, or why it could not be; the next
        driver then tries again. None if there was nothing to do.
    """
    with ExitStack() as stack:
        prepared = None
        if ahead:
            with suppress(RayError, OSError):  # which the function meets again, and tells
                winner = read_result(folder, sweep).winner
                if winner is not None:
                    checkpoint = _checkpoint_of(folder, winner)
                    prepared = stack.enter_context(_preparing(sweep, folder, checkpoint, uri))
        yield lambda: _register_or_tell(sweep, folder, uri, prepared)


def _register_or_tell(
    sweep: Sweep, folder: SweepFolder, uri: str, prepared: _Prepared | None
) -> str | None:
    from mlflow.exceptions import MlflowException

    try:
        return _register(sweep, folder, uri, prepared)
    except (MlflowException, RayError, subprocess.SubprocessError, OSError, NotRegistered) as error:
        why = last_line(str(error))
        told = f"the winner is not registered at {uri} ({why}); run the sweep again to try again"
        return without_credentials(told)


def _register(
    sweep: Sweep, folder: SweepFolder, uri: str, prepared: _Prepared | None
) -> str | None:
    result = read_result(folder, sweep)
    winner = result.winner
    mark = Mark.read(folder.trial_folder(winner.record)) if winner is not None else None
    if winner is None or mark is None:
        return None
    checkpoint = _checkpoint_of(folder, winner)
    manifest = (checkpoint / "manifest.json").read_bytes()
    tags = {
        "sweep.id": result.state.id,
        "sweep.name": result.name,
        "sweep.trial": winner.record.id,
        "checkpoint.sha256": hashlib.sha256(manifest).hexdigest(),
    }
    text = description(result, winner, mark.run_id)
    client = connect(uri)
    version = _version_with(client, result.name, tags)
    if version is not None:
        return _bring_up_to_date(client, version, text)
    with ExitStack() as stack:
        if prepared is None:
            prepared = stack.enter_context(_preparing(sweep, folder, checkpoint, uri))
        order = Order(
            name=result.name,
            run_id=mark.run_id,
            folder=str(prepared.folder),
            weights=str(checkpoint / ray.get(prepared.weights)),
            code=str(Path(resnet_core.__file__).parent),
            description=text,
            tags=tags,
        )
        made = _registered(prepared.registrar, order)
    return _said(result.name, made, winner.record.id)


def _checkpoint_of(folder: SweepFolder, winner: TrialRow) -> Path:
    """Of its last epoch, by which it is ranked; the files are on this machine."""
    checkpoint = folder.trial_folder(winner.record) / "checkpoints" / f"ep{winner.epochs:04d}"
    fetch(checkpoint, weights=True)
    return checkpoint


def description(result: SweepResult, winner: TrialRow, run_id: str) -> str:
    """What one should know before using the model: how good, how sure, what it cost, from where."""
    metric, record, unit = result.objective.metric, winner.record, result.cost_unit
    recipe = result.baseline
    own = f"{metric} {winner.value:.4f}"
    if recipe is not None and recipe is not winner:
        own += f" (recipe {recipe.value:.4f})"
    own += " on the validation split, one seed"
    if metric != "val_accuracy":
        own += f"; val_accuracy {winner.last['val_accuracy']:.4f}"
    lines = [f"{record.name}, the winner of the sweep {result.name}"]
    if result.verdict is not None:
        lines += [*result.verdict.lines, f"this training itself: {own}, which chose it"]
    else:
        lines += [f"not confirmed with fresh seeds, so without an interval: {own}, which chose it"]
    lines.append(
        f"cost: {result.cost:.3g} {unit} for the sweep ({result.confirm_cost:.3g} of it to "
        f"confirm), {record.worker_seconds * result.hours_per_worker_second:.3g} for this training"
    )
    return "\n".join([*lines, f"trial {record.id}, run {run_id}"])


def _version_with(client: Any, name: str, tags: dict[str, str]) -> Any | None:
    found = client.search_model_versions(f"name = '{name}'", max_results=1000)
    mine = [one for one in found if tags.items() <= one.tags.items()]
    return max(mine, key=lambda one: int(one.version), default=None)


def _bring_up_to_date(client: Any, version: Any, text: str) -> str | None:
    """Give a version that is there the words and the alias that it should have."""
    if version.description != text:
        client.update_model_version(version.name, version.version, text)
    aliases = client.get_registered_model(version.name).aliases
    if str(aliases.get(ALIAS)) == str(version.version):  # a database gives numbers, a server text
        return None
    client.set_registered_model_alias(version.name, ALIAS, version.version)
    return _said(version.name, version.version, version.tags["sweep.trial"])


def _said(name: str, version: str, trial: str) -> str:
    return f"registered {trial} as version {version} of {name}: models:/{name}@{ALIAS}"


@contextmanager
def _preparing(
    sweep: Sweep, folder: SweepFolder, checkpoint: Path, uri: str
) -> Iterator[_Prepared]:
    """Start the registrar, and `pack` where a worker would run, without a GPU."""
    resources = sweep.spec.resources
    scratch = folder.path / ".winner"
    shutil.rmtree(scratch, ignore_errors=True)  # of a driver that was killed
    scratch.mkdir()
    try:
        with _registrar(uri) as registrar:
            task = ray.remote(num_cpus=resources.cpus_per_worker)(pack)
            packed = task.remote(checkpoint, scratch, resources.torch_threads)
            try:
                yield _Prepared(registrar, scratch, packed)
            finally:
                ray.cancel(packed, force=True)  # unless it has ended by itself
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def pack(checkpoint: Path, folder: Path, threads: int | None) -> str:
    """`sweeps.tracking.packing.pack`, which needs torch; the driver has none."""
    from sweeps.tracking.packing import pack

    return pack(checkpoint, folder, threads)


@contextmanager
def _registrar(uri: str) -> Iterator[subprocess.Popen[str]]:
    """A process that registers what it is told to: it imports what that takes in the meantime."""
    environment = {
        **os.environ,
        **QUIET,
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",  # it would take in what lies in the current folder
        "CUDA_VISIBLE_DEVICES": "",  # the numbers to compare with are the CPU's
    }
    pipe = subprocess.PIPE
    # Closed when this process ends, however it does: the next driver registers then.
    theirs, own = os.pipe()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "sweeps.tracking.registration", str(theirs)], pass_fds=[theirs],
            env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()  # unless it has ended by itself
    finally:
        os.close(theirs)
        os.close(own)


def _registered(registrar: subprocess.Popen[str], order: Order) -> str:
    """The version that it has made."""
    output, errors = registrar.communicate(json.dumps(asdict(order)), _TIMEOUT_SECONDS)
    if registrar.returncode != 0:
        raise NotRegistered(last_line(errors))
    return last_line(output)
