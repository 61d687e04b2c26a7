"""How busy a worker's machine and GPU are, under the names that MLflow's dashboard groups.

The CPU's counter gives its mean since the last look by itself. A GPU tells the last second only, so
a thread looks at it every few seconds. Nothing is done per step.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
import torch

PREFIX = "system/"
LOOK_SECONDS = 5.0
_MEGABYTE = 1e6  # as MLflow counts them

Reading = dict[str, float]


class SystemMetrics:
    """Means between one `read` and the next, of the machine and of the device that trains.

    Args:
        look_at_gpu: Tells how busy the GPU is; None without one.
    """

    def __init__(self, look_at_gpu: Callable[[], Reading] | None) -> None:
        self._look_at_gpu = look_at_gpu
        self._seen: dict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()
        psutil.cpu_percent()  # begins the interval that the first `read` is about
        if look_at_gpu is not None:
            threading.Thread(target=self._run, name="system metrics", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        assert self._look_at_gpu is not None
        found = self._look_at_gpu()
        with self._lock:
            for name, value in found.items():
                self._seen[name].append(value)

    def read(self) -> Reading:
        """The means since the last call, by MLflow's name for them; always call it from one thread.

        Memory is as it is now.
        """
        memory = psutil.virtual_memory()
        values = {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system_memory_usage_percentage": memory.used / memory.total * 100,
        }
        if self._look_at_gpu is not None:
            if not self._seen:
                self._look()  # the epoch was shorter than the time between two looks
            with self._lock:
                seen, self._seen = self._seen, defaultdict(list)
            values |= {name: sum(many) / len(many) for name, many in seen.items()}
        return {f"{PREFIX}{name}": round(value, 1) for name, value in values.items()}


def system_metrics(device: torch.device) -> SystemMetrics:
    """Of this machine, and of the device if it is a GPU that its driver can be asked about."""
    return SystemMetrics(_gpu_reader(device) if device.type == "cuda" else None)


def _gpu_reader(device: torch.device) -> Callable[[], Reading] | None:
    # Ray brings NVIDIA's library along; torch asks for the same one, but does not.
    from ray._private.thirdparty import pynvml

    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError:  # no NVIDIA driver, or a slice of a GPU, which has no such counters
        return None

    def look() -> Reading:
        found: Reading = {}
        with suppress(pynvml.NVMLError):
            memory: Any = pynvml.nvmlDeviceGetMemoryInfo(handle)
            found["gpu_0_memory_usage_percentage"] = memory.used / memory.total * 100
            found["gpu_0_memory_usage_megabytes"] = memory.used / _MEGABYTE
        with suppress(pynvml.NVMLError):
            rates: Any = pynvml.nvmlDeviceGetUtilizationRates(handle)
            found["gpu_0_utilization_percentage"] = rates.gpu
        with suppress(pynvml.NVMLError):
            found["gpu_0_power_usage_watts"] = pynvml.nvmlDeviceGetPowerUsage(handle) / 1000
        return found

    return look
