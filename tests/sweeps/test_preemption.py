"""Leaving a trial in the middle of an epoch: who has to, after which step, and where it goes on."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from resnet_core import Recipe, fit
from resnet_core.manifest import read_manifest
from resnet_core.training import Training
from sweeps.exchange import Exchange
from sweeps.keeper import WITHIN_EPOCH, Keeper, Pace, leave, newest_of
from sweeps.preemption import Notice
from sweeps.sections import ObjectiveConfig

RECIPE = Recipe.model_validate(
    {
        "model": {"name": "resnet_20", "num_classes": 4, "initial_stem": "cifar"},
        "optimizer": {"sgd": {"learning_rate": 0.01}},
        "lr_schedulers": {},
        "train_batch_size": 8,
        "max_duration": "3ep",
        "data": {"fake": {"num_train": 32, "num_evaluation": 8, "image_size_px": 8}},
    }
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_worker_that_has_no_notice_never_leaves():
    notice = Notice()
    assert [notice.passed(1, step) for step in (1, 2, 3)] == [False] * 3


@pytest.mark.parametrize(
    ("first", "second", "stop"),
    [((1, 4), (1, 5), (1, 6)), ((1, 4), (1, 4), (1, 5)), ((1, 9), (2, 3), (2, 4))],
    ids=["a step apart", "at the same step", "one is at the next trial already"],
)
def test_all_workers_leave_after_the_furthest_step_that_one_has_promised(first, second, stop):
    steps = [(1, step) for step in range(1, 10)] + [(2, step) for step in range(1, 10)]
    notices = [Notice(), Notice()]
    for notice, at in zip(notices, (first, second), strict=True):
        for step in steps[: steps.index(at) + 1]:
            assert notice.passed(*step) is False
    furthest = max(notice.promise() for notice in notices)

    def train_on(notice: Notice, at: tuple[int, int]) -> tuple[int, int]:
        return next(step for step in steps[steps.index(at) + 1 :] if notice.passed(*step))

    with ThreadPoolExecutor() as pool:  # who has come to its promise waits to be told
        left = [pool.submit(train_on, *one) for one in zip(notices, (first, second), strict=True)]
        for notice in notices:
            notice.stop_at(furthest)
        assert [one.result(timeout=60) for one in left] == [stop, stop]


def test_only_gangs_with_a_worker_or_their_trainable_on_a_node_that_goes_have_to_leave():
    async def scenario() -> None:
        exchange = Exchange()
        for gang, node in (("worker", "stays"), ("trainable", "goes"), ("neither", "stays")):
            await exchange.start_trial(gang, {"node": node})
        notices = {
            gang: asyncio.create_task(exchange.notice(gang, node))
            for gang, node in (("worker", "goes"), ("trainable", "stays"), ("neither", "stays"))
        }
        await asyncio.sleep(0)
        await exchange.preempt(["goes"])
        assert await notices["worker"] is True
        assert await notices["trainable"] is True
        assert not notices["neither"].done()
        assert [await exchange.is_going(node) for node in ("goes", "stays")] == [True, False]
        await exchange.close("neither")
        assert await notices["neither"] is False

    asyncio.run(scenario())


def test_an_interrupt_makes_every_gang_leave_even_if_it_is_closed_at_once():
    async def scenario() -> None:
        exchange = Exchange()
        await exchange.start_trial("g", {"node": "a"})
        notice = asyncio.create_task(exchange.notice("g", "a"))
        await asyncio.sleep(0)
        await exchange.interrupt()
        await exchange.close("g")
        assert await notice is True

    asyncio.run(scenario())


def test_ranks_agree_on_the_furthest_promise_once_all_have_promised():
    async def scenario() -> None:
        exchange = Exchange()
        first = asyncio.create_task(exchange.agree("g", 0, 2, (1, 7)))
        await asyncio.sleep(0)
        assert not first.done()
        assert await exchange.agree("g", 1, 2, (1, 8)) == (1, 8)
        assert await first == (1, 8)

    asyncio.run(scenario())


def left_at(folder: Path, step: int) -> Keeper:
    """A trial of which the first epoch was written, and which was left after a later step."""
    keeper = Keeper(folder, ObjectiveConfig(), Pace(1))

    class Left(Exception):
        pass

    def after_step(training: Training) -> None:
        if training.step == step:
            leave(folder, training, keeper)
            raise Left

    with suppress(Left):
        for result in fit(RECIPE, after_step=after_step):
            keeper.keep(result, at_once=True)
    return keeper


def test_a_trial_goes_on_from_the_step_it_was_left_at_and_its_next_epoch_replaces_that(
    tmp_path: Path,
):
    keeper = left_at(tmp_path, step=6)
    newest = tmp_path / "checkpoints" / WITHIN_EPOCH
    assert newest_of(tmp_path) == newest
    assert (read_manifest(newest).epoch, read_manifest(newest).step) == (1, 6)
    taken: list[int] = []
    results = fit(RECIPE, resume_from=newest, after_step=lambda one: taken.append(one.step))
    keeper.write(next(results))
    assert taken == [7, 8]
    assert newest_of(tmp_path) == tmp_path / "checkpoints" / "ep0002"
    assert not newest.exists()


def test_an_older_step_than_the_newest_epoch_is_not_gone_back_to(tmp_path: Path):
    left_at(tmp_path, step=6)
    within = tmp_path / "checkpoints" / WITHIN_EPOCH
    kept = within.rename(tmp_path / "kept")
    for result in fit(RECIPE):
        Keeper(tmp_path, ObjectiveConfig(), Pace(1)).write(result)
    kept.rename(within)
    assert newest_of(tmp_path) == tmp_path / "checkpoints" / "ep0003"


def test_a_corrupt_checkpoint_of_a_step_is_set_aside_for_the_epoch_before_it(tmp_path: Path):
    left_at(tmp_path, step=6)
    weights = tmp_path / "checkpoints" / WITHIN_EPOCH / "model.pt"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="set aside as .*bad-within-epoch"):
        assert newest_of(tmp_path) == tmp_path / "checkpoints" / "ep0001"


def test_the_best_epoch_that_is_only_in_memory_is_written_when_a_trial_is_left(tmp_path: Path):
    # A share of nearly nothing: beyond the first, an epoch is written only when it must be.
    keeper = Keeper(tmp_path, ObjectiveConfig(metric="train_loss"), Pace(1e-9))
    training: list[Training] = []
    losses: dict[int, float] = {}
    for result in fit(RECIPE, after_step=training.append):
        keeper.keep(result, at_once=False)
        losses[result.epoch] = result.train_loss
    best = min(losses, key=lambda epoch: losses[epoch])
    assert best > 1  # which was written, as the first always is
    leave(tmp_path, training[-1], keeper)
    saved = tmp_path / "checkpoints" / f"ep{best:04d}"
    assert read_manifest(saved).metrics["train_loss"] == losses[best]
