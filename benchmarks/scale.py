"""What grows with trials and workers: driver, exchange and tracker, and which gives out first.

Nothing is trained but the tiniest of networks: this is the platform's own cost, on one machine.
Prints tables and writes docs/scale.md, the figure beside it, and the numbers as JSON.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.alone import REPOSITORY, run_alone, temporary_home
from benchmarks.machine import describe_machine, machine_line
from benchmarks.many_trials import measure as many_trials
from benchmarks.scale_tracker import EPOCHS

DOCS = REPOSITORY / "docs"


def run_module(name: str, *arguments: str) -> Any:
    """The JSON that a benchmark prints, run in a process and a home of its own."""
    with temporary_home() as home:
        return json.loads(run_alone(home, name, *arguments).output.splitlines()[-1])


def driver_costs(found: dict[str, Any]) -> list[dict[str, float]]:
    """CPU milliseconds of the driver for each trial, between one sample and the next."""
    rows, before = [], {"trials": 0, "cpu": 0.0, "seconds": 0.0}
    for sample in found["samples"]:
        cpu = sum(sample["cpu_seconds"].values())
        num = sample["trials"] - before["trials"]
        rows.append(
            {
                "trials": sample["trials"],
                "cpu_ms": 1000 * (cpu - before["cpu"]) / num,
                "per_second": num / (sample["seconds"] - before["seconds"]),
                "rss_mb": sample["resident_bytes"] / 1e6,
            }
        )
        before = {"trials": sample["trials"], "cpu": cpu, "seconds": sample["seconds"]}
    return rows[1:]  # the first one holds the driver's start


def measure(trials: int) -> dict[str, Any]:
    """All of it; about ten minutes."""
    return {
        "machine": describe_machine(),
        "driver": driver_costs(many_trials(trials)),
        "reports": run_module("benchmarks.scale_reports"),
        "tracker": run_module("benchmarks.scale_tracker"),
        "tracker_epochs": EPOCHS,
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="Also write the numbers here.")
    parser.add_argument("--docs", action="store_true", help="Write docs/scale.md and its figure.")
    args = parser.parse_args()
    found = measure(args.trials)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    from benchmarks.scale_page import page, picture

    text = page(found, machine_line(found["machine"]))
    print(text)
    if args.docs:
        (DOCS / "scale.md").write_text(text)
        picture(found, DOCS / "scale.png")


if __name__ == "__main__":
    main()
