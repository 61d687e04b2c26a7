"""A trial's own run in MLflow: begun with what it varies, closed with how it ended."""

from typing import Any

from sweeps.answer.results import varied_values
from sweeps.record import TrialRecord
from sweeps.spec import Sweep
from sweeps.tracking.asked_once import asked_once
from sweeps.tracking.store import param_key, param_value


def open_trial_run(
    client: Any,
    experiment_id: str,
    parent_run_id: str,
    sweep: Sweep,
    record: TrialRecord,
    *,
    sweep_id: str,
) -> str:
    """Create the trial's run, or find the one of a driver that died before it wrote that down.

    Args:
        client: An `MlflowClient`.
        experiment_id: Of the sweep's experiment.
        parent_run_id: The sweep's run.
        sweep: What is swept.
        record: The trial.
        sweep_id: Of the sweep, for good.

    Returns:
        The run's id.
    """
    from mlflow.entities import Param

    condition = f"tags.`sweep.id` = '{sweep_id}' and tags.`sweep.trial` = '{record.id}'"
    found = client.search_runs([experiment_id], condition, max_results=1)
    if found:
        run_id = found[0].info.run_id
    else:
        tags = {
            "mlflow.parentRunId": parent_run_id,
            "sweep.id": sweep_id,
            "sweep.name": sweep.spec.name,
            "sweep.role": "confirmation" if record.copy else "trial",
            "sweep.trial": record.id,
            "trial.status": "running",
        }
        with asked_once():
            run = client.create_run(
                experiment_id,
                start_time=_milliseconds(record.suggested_at),
                run_name=record.name,
                tags=tags,
            )
        run_id = run.info.run_id
    params = _params(sweep, record)
    client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])
    client.log_text(run_id, sweep.recipe_for(record.overrides).to_yaml(), "recipe.yaml")
    return run_id


def close_trial_run(client: Any, run_id: str, record: TrialRecord) -> None:
    """Tell how the trial has ended."""
    client.set_tag(run_id, "trial.status", record.status)
    for tag in ("reason", "twin", "origin"):
        if getattr(record, tag):
            client.set_tag(run_id, f"trial.{tag}", getattr(record, tag))
    if record.error:
        client.log_text(run_id, record.error, "error.txt")
    is_failure = record.was_trained and record.status in ("failed", "infeasible")
    status = "FAILED" if is_failure else "FINISHED"
    client.set_terminated(run_id, status, end_time=_milliseconds(record.ended_at))


def _params(sweep: Sweep, record: TrialRecord) -> dict[str, str]:
    """What varies in this sweep, as it stands in this trial, and the whole model section."""
    model = sweep.recipe_for(record.overrides).model.model_dump(mode="json")
    params = {f"model.{key}": value for key, value in model.items()}
    params |= varied_values(sweep, record.overrides)
    return {param_key(key): param_value(value) for key, value in params.items()}


def _milliseconds(unix_time: float | None) -> int | None:
    """As MLflow has it: the mirror may be late, and the run's own times are told."""
    return None if unix_time is None else round(unix_time * 1000)
