"""How near `resnet_core.fit` brings one GPU to its limit, beside a bare compiled step and scripts.

ResNet-50 at 224 pixels and the CIFAR models, bf16, channels_last, compiled, fused SGD: images per
second, peak memory, the share of what memory bandwidth allows, the ten largest kernels. ``make
bench-gpu``; ``--smoke`` goes through all of it on tiny sizes, on the CPU too.
"""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_page import section
from benchmarks.gpu_sides import SIDES, Case, with_fit
from benchmarks.results import write_result

ROUNDS, STEPS, WARMUP_STEPS, KERNELS = 3, 40, 10, 10
CASES = [
    ("resnet50", 224, 1000, (256, 512, 1024)),
    ("resnet_20", 32, 10, (512, 1024)),
    ("resnet18", 32, 10, (512, 1024)),
]
"""Model, side in pixels, classes, batches."""
GIB = 2**30


def measure(cases: list[Case], rounds: int, *, smoke: bool) -> dict[str, Any]:
    """Every side of every case in turns, then the bandwidth and a profile."""
    device = cases[0].device
    on_gpu = device == "cuda"
    properties = torch.cuda.get_device_properties(0) if on_gpu else None
    return {
        "smoke": smoke,
        "steps": cases[0].steps,
        "device": properties.name if properties else "CPU",
        "memory_gib": properties.total_memory / GIB if properties else 0.0,
        "cases": [_measure_case(case, rounds) for case in cases],
        "bytes_per_second": copy_bandwidth(device, 2**20 if smoke else 2**30),
        "profile": _profile(replace(cases[0], steps=4, warmup_steps=2)),
    }


def _measure_case(case: Case, rounds: int) -> dict[str, Any]:
    sides: dict[str, list[float]] = {name: [] for name in SIDES}
    peak_gib = dict.fromkeys(SIDES, 0.0)
    for _ in range(rounds):
        for name, side in SIDES.items():
            rate, gib = _alone(side, case)
            if name == "fit" and case.device == "cuda":
                gib -= case.image_bytes / GIB  # of all its steps; the others hold a batch
            sides[name].append(rate)
            peak_gib[name] = max(peak_gib[name], gib)
    return {
        "model": case.model, "batch_size": case.batch_size, "sides": sides, "peak_gib": peak_gib
    }  # fmt: skip


def _alone(side: Callable[[Case], float], case: Case) -> tuple[float, float]:
    """Images per second and peak memory, with nothing left of the sides before."""
    torch.compiler.reset()
    if case.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with contextlib.redirect_stdout(io.StringIO()):  # lines of the scripts
        rate = side(case)
    return rate, torch.cuda.max_memory_allocated() / GIB if case.device == "cuda" else 0.0


def copy_bandwidth(device: str, num_bytes: int, repeats: int = 20) -> float:
    """Bytes read and written per second by copies of so many bytes on the device."""
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    target.copy_(source)
    wait()
    started = time.perf_counter()
    for _ in range(repeats):
        target.copy_(source)
    wait()
    return 2 * num_bytes * repeats / (time.perf_counter() - started)


def _profile(case: Case) -> dict[str, Any]:
    on_gpu = case.device == "cuda"
    torch.compiler.reset()
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        with_fit(case)
    clock = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = sorted(seen.key_averages(), key=lambda event: getattr(event, clock), reverse=True)
    total = sum(getattr(event, clock) for event in events) or 1.0
    return {
        "of": f"`fit`, {case.model}, batch {case.batch_size}",
        "kernels": [
            {"name": event.key, "calls": event.count, "share": getattr(event, clock) / total}
            for event in events[:KERNELS]
        ],
    }


def cases_of(device: str, steps: int, warmup_steps: int) -> list[Case]:
    """All of them."""
    return [
        Case(model, size_px, num_classes, batch_size, device, steps, warmup_steps)
        for model, size_px, num_classes, batch_sizes in CASES
        for batch_size in batch_sizes
    ]


def smoke_cases(device: str) -> list[Case]:
    """A tiny one, not compiled, to see that everything runs."""
    return [Case("resnet_20", 16, 10, 4, device, steps=2, warmup_steps=1, compiled=False)]


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=STEPS, help="timed steps of each training")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on the CPU too")
    parser.add_argument("--into", type=Path, help="folder of the result")
    args = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    if not has_gpu and not args.smoke:
        sys.exit("bench-gpu needs a CUDA GPU, and torch sees none; --smoke tries it on the CPU")
    device = "cuda" if has_gpu else "cpu"
    cases = smoke_cases(device) if args.smoke else cases_of(device, args.steps, WARMUP_STEPS)
    found = measure(cases, 1 if args.smoke else args.rounds, smoke=args.smoke)
    peers = {name: version(name) for name in ("torchvision", "timm")}
    name = "gpu_smoke" if args.smoke else "gpu"  # a try replaces no figure
    print(section(write_result(name, found, versions=peers, folder=args.into)))


if __name__ == "__main__":
    main()
