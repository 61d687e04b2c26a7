"""A trial's epochs as MLflow's metrics."""

from collections.abc import Iterable, Mapping
from typing import Any

METRICS = (
    "train_loss",
    "val_loss",
    "val_cross_entropy",
    "val_accuracy",
    "val_top5_accuracy",
    "raw_val_loss",
    "raw_val_accuracy",
    "raw_val_top5_accuracy",
    "learning_rate",
    "images_per_second",
    "data_wait_share",
    "epoch",
    "elapsed_seconds",
    "skipped_images",
)


def entities(points: list[dict[str, Any]], steps_before: int) -> list[Any]:
    """Metrics for `log_batch`, one per name and epoch.

    Args:
        points: Of the spool.
        steps_before: Optimizer steps of earlier, shorter schedules, so that curves do not overlap.
    """
    from mlflow.entities import Metric

    return [
        Metric(name, float(point[name]), round(point["time"] * 1000), steps_before + point["step"])
        for point in points
        for name in point
        if name in METRICS or name.startswith("system/")
    ]


def fresh(metrics: Iterable[Any], steps: Mapping[str, int]) -> tuple[list[Any], dict[str, int]]:
    """What goes beyond the steps that were sent: what a resumed trial repeats is dropped.

    Args:
        metrics: As `entities` gives them.
        steps: Name -> the highest step that was sent.

    Returns:
        The metrics to send, and the highest steps then.
    """
    found, highest = [], dict(steps)
    for metric in metrics:
        if metric.step > highest.get(metric.key, -1):
            highest[metric.key] = metric.step
            found.append(metric)
    return found, highest
