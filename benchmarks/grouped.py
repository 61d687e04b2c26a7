"""Whether trials of one shape would train faster together, as one grouped model in one process.

K models of the same shape and seed, on the same batches, each with a learning rate and a weight
decay of its own: one after another, and as one, with weights, statistics and momentum stacked and
`torch.func.vmap` over them. The sweep does no such thing; this measures what it would gain.
``--device cuda`` for a GPU.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchmarks.loop_task import TinyNet
from benchmarks.markdown import origin, table
from benchmarks.results import write_result
from benchmarks.spread import spread
from resnet_core import create_resnet
from resnet_core.random_streams import global_seed

_TORCH: Any = torch  # its operations on lists of tensors have no types
MOMENTUM, WARMUP_STEPS, SEED = 0.9, 2, 17
SAME_STEPS, SAME_BATCH = 50, 8
ASKED_TIMES, ASKED_APART = 2.0, 1e-5

_TEXT = """\
## Trials as one grouped model

How many times as many steps per second K trials of one shape make as one grouped model
(`torch.func.vmap`), against one after another, on {device}; median of {rounds} rounds in turns,
quartiles in parentheses. *apart* is the most that a loss of {steps} steps differs from that of the
lone twin, over the twin's, on batches of at most {same_batch}. Asked before a sweep should do it:
{asked:g} times with resnet_20 at batch 128 on a GPU, losses within {asked_apart:g}.

{table}

{origin}
"""


@dataclass(frozen=True)
class Case:
    """A model with its batch.

    Attributes:
        name: Of the model.
        image_size_px: Side.
        batch_size: Images of a step.
        most_on_cpu: Trials to try there, where they take long.
    """

    name: str
    image_size_px: int
    batch_size: int
    most_on_cpu: int = 16

    def model(self, device: torch.device) -> nn.Module:
        """With the seed's weights, in training mode."""
        with global_seed(SEED):
            model = (
                TinyNet(depth=1)
                if self.name == "tiny"
                else create_resnet(self.name, num_classes=10)
            )
        return model.to(device).train()

    def batches(self, count: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Images, float (N, 3, H, W), and labels; the same ones each time."""
        generator = torch.Generator().manual_seed(SEED)
        size = (self.batch_size, 3, self.image_size_px, self.image_size_px)
        return [
            (
                torch.randn(size, generator=generator).to(device),
                torch.randint(10, size[:1], generator=generator).to(device),
            )
            for _ in range(count)
        ]


CASES = {
    "tiny": Case("tiny", 8, 8),
    "small batch": Case("resnet_20", 32, 4),
    "resnet_20": Case("resnet_20", 32, 128, most_on_cpu=4),
}


class Lone:
    """One trial, as PyTorch has it."""

    def __init__(self, case: Case, rate: float, decay: float, device: torch.device) -> None:
        self._model = case.model(device)
        weights = self._model.parameters()
        self._optimizer = torch.optim.SGD(weights, rate, MOMENTUM, weight_decay=decay, fused=True)

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch; its loss before that."""
        self._optimizer.zero_grad()
        loss = F.cross_entropy(self._model(images), labels)
        loss.backward()
        self._optimizer.step()
        return loss.detach()


class Grouped:
    """Several trials as one model; what is stacked has them in its first dimension."""

    def __init__(
        self, case: Case, rates: list[float], decays: list[float], device: torch.device
    ) -> None:
        models = [case.model(device) for _ in rates]
        self._weights, self._buffers = stack_module_state(models)
        shell = case.model(device).to("meta")

        def loss(weights: Any, buffers: Any, images: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(shell, (weights, buffers), images), labels)

        self._losses = vmap(loss, in_dims=(0, 0, None, None))
        self._stacked = list(self._weights.values())
        self._momenta = [torch.zeros_like(weight) for weight in self._stacked]
        rate, decay = torch.tensor(rates, device=device), torch.tensor(decays, device=device)
        shapes = [(-1, *[1] * (weight.ndim - 1)) for weight in self._stacked]
        self._rates = [rate.reshape(shape) for shape in shapes]
        self._decays = [decay.reshape(shape) for shape in shapes]

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train all on a batch; their losses before that, (K,)."""
        losses = self._losses(self._weights, self._buffers, images, labels)
        slopes = list(torch.autograd.grad(losses.sum(), self._stacked))
        with torch.no_grad():
            _TORCH._foreach_add_(slopes, _TORCH._foreach_mul(self._stacked, self._decays))
            _TORCH._foreach_mul_(self._momenta, MOMENTUM)
            _TORCH._foreach_add_(self._momenta, slopes)
            _TORCH._foreach_sub_(self._stacked, _TORCH._foreach_mul(self._momenta, self._rates))
        return losses.detach()


def _values(count: int) -> tuple[list[float], list[float]]:
    """A learning rate and a weight decay for each trial."""
    return [0.01 * 1.3**index for index in range(count)], [1e-4 * (1 + i) for i in range(count)]


def most_apart(case: Case, count: int, device: torch.device) -> float:
    """Over `SAME_STEPS`, how far a loss is from its lone twin's, relative to that.

    On batches of at most `SAME_BATCH`, since that many steps take long on a CPU.
    """
    case = replace(case, batch_size=min(case.batch_size, SAME_BATCH))
    rates, decays = _values(count)
    grouped = Grouped(case, rates, decays, device)
    lone = [Lone(case, *each, device) for each in zip(rates, decays, strict=True)]
    apart = []
    for images, labels in case.batches(SAME_STEPS, device):
        expected = torch.stack([one.step(images, labels) for one in lone])
        found = grouped.step(images, labels)
        apart.append(((found - expected).abs() / expected).max())
    return torch.stack(apart).max().item()  # NaN if one is: Python's own max may lose it


def _seconds(
    step: Callable[[Tensor, Tensor], object], batches: list[tuple[Tensor, Tensor]]
) -> float:
    wait = torch.cuda.synchronize if batches[0][0].is_cuda else (lambda: None)
    for number, (images, labels) in enumerate(batches):
        if number == WARMUP_STEPS:
            wait()
            started = time.perf_counter()
        step(images, labels)
    wait()
    return time.perf_counter() - started  # pyright: ignore[reportPossiblyUnboundVariable]


def measure(
    names: list[str], counts: list[int], rounds: int, steps: int, device: torch.device
) -> dict[str, Any]:
    """Speed of grouped over lone trainings, round by round, and how far they are apart."""
    found: list[dict[str, Any]] = []
    for name in names:
        case = CASES[name]
        batches = case.batches(WARMUP_STEPS + steps, device)
        for count in counts:
            if device.type == "cpu" and count > case.most_on_cpu:
                continue
            rates, decays = _values(count)
            grouped = Grouped(case, rates, decays, device)
            lone = [Lone(case, *each, device) for each in zip(rates, decays, strict=True)]
            times = []
            for number in range(rounds + 1):
                alone = sum(_seconds(one.step, batches) for one in lone)
                together = _seconds(grouped.step, batches)
                if number:  # the first round pays for first calls
                    times.append(alone / together)
            apart = most_apart(case, count, device)
            found.append({"case": name, "trials": count, "times": times, "apart": apart})
    return {"device": _name(device), "rounds": rounds, "rows": found}


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} CPU thread"


def section(result: dict[str, Any]) -> str:
    """Its part of docs/performance.md."""
    rows = []
    for row in result["rows"]:
        case = CASES[row["case"]]
        what = f"{case.name}, {case.image_size_px} px, batch {case.batch_size}, K = {row['trials']}"
        rows.append([what, spread(row["times"]).text(2), f"{row['apart']:.1g}"])
    return _TEXT.format(
        device=result["device"],
        rounds=result["rounds"],
        steps=SAME_STEPS,
        same_batch=SAME_BATCH,
        asked=ASKED_TIMES,
        asked_apart=ASKED_APART,
        table=table(["model", "times as fast", "apart"], rows),
        origin=origin(result),
    )


def main() -> None:
    """Measure, print, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--trials", nargs="+", type=int, default=[2, 4, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4, help="of a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--into", type=Path, help="folder of the result")
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(args.device)
    found = measure(args.cases, args.trials, args.rounds, args.steps, device)
    print(section(write_result("grouped", found, versions={}, folder=args.into)))


if __name__ == "__main__":
    main()
