import threading

import pytest
import torch
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor

from sweeps import system_metrics
from sweeps.system_metrics import SystemMetrics


def test_the_names_are_mlflows_own_so_that_its_dashboard_groups_them():
    monitor = CPUMonitor()
    monitor.collect_metrics()
    values = system_metrics.system_metrics(torch.device("cpu")).read()
    assert values.keys() == {f"system/{name}" for name in monitor.metrics}
    assert 0 < values["system/system_memory_usage_percentage"] < 100


def test_a_gpu_is_told_by_the_mean_of_what_was_seen_since_the_last_epoch(monkeypatch):
    monkeypatch.setattr(system_metrics, "LOOK_SECONDS", 0.001)
    seen = iter([10.0, 30.0])
    both_seen = threading.Event()

    def look():
        value = next(seen, None)
        if value is None:
            both_seen.set()
            return {}
        return {"gpu_0_utilization_percentage": value}

    metrics = SystemMetrics(look)
    assert both_seen.wait(30)
    assert metrics.read()["system/gpu_0_utilization_percentage"] == pytest.approx(20.0)
    assert "system/gpu_0_utilization_percentage" not in metrics.read()


def test_an_epoch_shorter_than_the_time_between_two_looks_has_one_of_its_own():
    metrics = SystemMetrics(lambda: {"gpu_0_utilization_percentage": 70.0})
    assert metrics.read()["system/gpu_0_utilization_percentage"] == 70.0
