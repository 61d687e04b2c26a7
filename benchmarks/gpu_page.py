"""The part of docs/performance.md on one GPU, from what `benchmarks.gpu` has measured."""

from typing import Any

from benchmarks.markdown import origin, table
from benchmarks.spread import spread

ASKED_SHARE = 0.97
CONVOLVED, ADDED = 11.11e6, 5.52e6
"""Numbers that ResNet-50's convolutions, and its sixteen additions, put out for an image of 224
pixels; `tests/benchmarks/test_gpu_page.py` counts them."""
PASSES = {"fused": (14, 2), "eager": (19, 5)}
"""How often a training step reads or writes each of them. Fused, of what is convolved: forward it
is written, read for the statistics, normalised (read and written) and read by what follows (5);
backward, batch norm reads it and the gradient twice and writes once (5), and the convolution reads
the gradient for both of its gradients, reads its input and writes that one's gradient (4). An
addition reads the shortcut, and its gradient is added. Eager, a ReLU is read and written once more
forward, and read twice and written once backward; an addition reads two and writes one."""
BYTES_PER_IMAGE = {
    kind: 2 * (convolved * CONVOLVED + added * ADDED) for kind, (convolved, added) in PASSES.items()
}
"""In bf16, two bytes a number."""

_TEXT = """\
## One GPU

{device}, {memory:.0f} GiB. Images per second, median of {rounds} rounds of {steps} steps in turns,
quartiles in parentheses. *bare*: a compiled bf16, channels_last step with fused SGD on a batch that
is on the device already. *of bare*: asked is at least {asked} of `fit`. {smoke}

{main}

### Memory bandwidth

{roofline}

### Ten largest kernels

Of {profiled}, by `torch.profiler`, share of the time on the device.

{kernels}

{origin}
"""


def section(result: dict[str, Any]) -> str:
    """Markdown."""
    first = result["cases"][0]
    return _TEXT.format(
        device=result["device"],
        memory=result["memory_gib"],
        rounds=len(first["sides"]["bare"]),
        steps=result["steps"],
        asked=ASKED_SHARE,
        smoke="**A try on tiny sizes: no figure means anything.**" if result["smoke"] else "",
        main=table(
            ["model, batch, side", "images/s", "of bare", "peak memory but for the images, GiB"],
            [row for case in result["cases"] for row in _rows(case)],
        ),
        roofline=_roofline(result),
        profiled=result["profile"]["of"],
        kernels=table(
            ["kernel", "calls", "share"],
            [[f"`{one['name'][:80]}`", str(one["calls"]), f"{100 * one['share']:.1f} %"]
             for one in result["profile"]["kernels"]],
        ),
        origin=origin(result),
    )  # fmt: skip


def _rows(case: dict[str, Any]) -> list[list[str]]:
    bare = spread(case["sides"]["bare"]).median
    return [
        [
            f"{case['model']}, {case['batch_size']}, {side}",
            spread(rates).text(),
            f"{spread(rates).median / bare:.3f}",
            f"{case['peak_gib'][side]:.1f}",
        ]
        for side, rates in case["sides"].items()
    ]


def _roofline(result: dict[str, Any]) -> str:
    bandwidth = result["bytes_per_second"]
    fused, eager = (bandwidth / BYTES_PER_IMAGE[kind] for kind in ("fused", "eager"))
    best = [
        (spread(case["sides"]["fit"]).median, case["batch_size"])
        for case in result["cases"]
        if case["model"] == "resnet50"
    ]
    if not best:
        return "Not measured: no case is ResNet-50."
    rate, batch_size = max(best)
    return (
        f"A copy on the device moves {bandwidth / 1e12:.2f} TB/s (bytes read and bytes written). A "
        f"step of ResNet-50 at 224 pixels moves about {BYTES_PER_IMAGE['fused'] / 1e6:.0f} MB per "
        "image where batch norm, ReLU and addition are fused, "
        f"{BYTES_PER_IMAGE['eager'] / 1e6:.0f} MB where they are not, so memory allows "
        f"{fused:,.0f} and {eager:,.0f} images/s. `fit` reaches {rate:,.0f} at batch {batch_size}, "
        f"{rate / fused:.2f} and {rate / eager:.2f} of that."
    )
