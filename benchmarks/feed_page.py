"""The part of docs/performance.md on feeding, from what `benchmarks.feed` has measured."""

from typing import Any

from benchmarks.feed_small import BATCH, OURS, PX
from benchmarks.markdown import origin, table
from benchmarks.spread import spread

REFERENCE = "PIL + torchvision"
SCRIPT = "PIL + torchvision, normalised"
FOLDER = "image_folder"
FOLDER_NORMALISED = "image_folder, normalised on CPU"
PACKED = ("packed rgb", "packed yuv420")
FFCV = "FFCV, raw"
ASKED_PACKED, ASKED_FFCV, ASKED_FOLDER, ASKED_SMALL = 100, 10, 2, 6
"""Times the reference; times FFCV's raw records; times the reference to its end, which normalises
on the CPU; times the fastest DataLoader that augments."""

_TEXT = """\
## Images to a batch

Images per second of CPU time, one thread, no loader processes: so many one core delivers. Median of
{rounds} rounds in turns, quartiles in parentheses; *of the clock* beside it, which waits for other
processes too.

### Photographs

{num_images} made-up JPEGs of {kilobytes:.0f} kB on average to {px} px in batches of {batch}, every
page in memory. *packed* is what a core does for packed images: boxes are drawn and records copied;
what is left to the device stands below, and on the lines *cut on CPU* the core does that too. Every
way ends with uint8 but for those *normalised*, with float32. DALI decodes no batch ahead, which
others would pay for.

{ways}

Asked: packed at least {asked_packed} times the reference; {packed_verdict}; and at least
{asked_ffcv} times FFCV's raw records; {ffcv_verdict}. The folder, which leaves the
normalisation to the device, at least {asked_folder} times torchvision's training reference, which
does it here (*normalised*); {folder_verdict}. Up to uint8 on both sides it is {to_uint8:.1f} times,
with both normalised here {to_float:.1f} times.

Cropping and resizing a batch of {batch} packed images on the device ({device}): {device_ms}.

### Small images

{small_px} px in batches of {small_batch}, shuffled, shifted, mirrored and normalised.

{small}

Asked: at least {asked_small} times the DataLoader; {small_verdict}.

{origin}
"""


def section(result: dict[str, Any]) -> str:
    """Markdown."""
    ways, small = result["ways"], result["small"]
    packed = min(times(ways, name, REFERENCE) for name in PACKED)
    folder = times(ways, FOLDER, SCRIPT)
    others = [name for name in small if name != OURS and "no augmentation" not in name]
    resident = min(times(small, OURS, name) for name in others)
    return _TEXT.format(
        rounds=len(ways[REFERENCE]["cpu"]),
        **{key: result[key] for key in ("num_images", "kilobytes", "px", "batch", "device")},
        ways=_table(ways, REFERENCE),
        asked_packed=ASKED_PACKED,
        packed_verdict=_verdict(packed, ASKED_PACKED),
        asked_ffcv=ASKED_FFCV,
        ffcv_verdict=_verdict(min(times(ways, name, FFCV) for name in PACKED), ASKED_FFCV)
        if FFCV in ways
        else "not measured, FFCV was not installed",
        asked_folder=ASKED_FOLDER,
        folder_verdict=_verdict(folder, ASKED_FOLDER),
        to_uint8=times(ways, FOLDER, REFERENCE),
        to_float=times(ways, FOLDER_NORMALISED, SCRIPT),
        device_ms=", ".join(
            f"{name} {spread(values).text(1)} ms" for name, values in result["device_ms"].items()
        ),
        small_px=PX,
        small_batch=BATCH,
        small=_table(small, others[0]),
        asked_small=ASKED_SMALL,
        small_verdict=_verdict(resident, ASKED_SMALL),
        origin=origin(result),
    )


def times(ways: dict[str, Any], name: str, other: str) -> float:
    """How many times as many images per second of CPU time as another way, by the medians."""
    ours, theirs = (spread(ways[way]["cpu"]).median for way in (name, other))
    return ours / theirs


def _verdict(found: float, asked: float) -> str:
    return f"{'met' if found >= asked else 'not met here'} ({found:.1f})"


def _table(ways: dict[str, Any], reference: str) -> str:
    rows = []
    for name, rates in ways.items():
        cpu, wall = spread(rates["cpu"]), spread(rates["wall"])
        text = f"{cpu.median:,.0f} ({cpu.low:,.0f} to {cpu.high:,.0f})"
        rows.append([name, text, f"{wall.median:,.0f}", f"{times(ways, name, reference):.1f}"])
    header = ["way", "images per CPU second", "of the clock", f"times {reference}"]
    return table(header, rows)
