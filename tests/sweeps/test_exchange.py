"""The exchange without Ray: its calls awaited directly, in one event loop."""

import asyncio
from typing import Any

from sweeps.exchange import MAX_DELIVERIES, Exchange

COMMAND = {"folder": "trials/t0000"}


def epoch_item(epoch: int) -> dict[str, Any]:
    return {"kind": "epoch", "metrics": {"epoch": epoch}}


async def next_item(exchange: Exchange, after_epoch: int) -> dict[str, Any] | None:
    return await exchange.next_item("g", after_epoch=after_epoch, timeout_seconds=5)


def test_a_worker_trains_on_only_after_the_trainable_has_asked_for_the_next_epoch():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", COMMAND)
        report = asyncio.create_task(exchange.report("g", number, 1, epoch_item(1), last=False))
        assert await next_item(exchange, 0) == epoch_item(1)
        assert not report.done()
        asking = asyncio.create_task(next_item(exchange, 1))
        assert await report is True
        asking.cancel()

    asyncio.run(scenario())


def test_what_a_worker_wants_known_goes_with_the_next_item_alone():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", COMMAND)
        await exchange.note("g", "ep0002 is damaged")
        first = asyncio.create_task(exchange.report("g", number, 1, epoch_item(1), last=False))
        assert await next_item(exchange, 0) == epoch_item(1) | {"notes": ["ep0002 is damaged"]}
        second = asyncio.create_task(exchange.report("g", number, 2, epoch_item(2), last=False))
        assert await next_item(exchange, 1) == epoch_item(2)
        first.cancel()
        second.cancel()

    asyncio.run(scenario())


def test_a_new_command_tells_the_ranks_of_the_old_one_to_stop():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", COMMAND)
        ranks = [
            asyncio.create_task(exchange.report("g", number, 1, item, last=False))
            for item in (epoch_item(1), None)
        ]
        await next_item(exchange, 0)
        await exchange.start_trial("g", COMMAND)
        assert await asyncio.gather(*ranks) == [False, False]

    asyncio.run(scenario())


def test_every_rank_reads_the_same_verdict_however_late_it_asks():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", COMMAND)
        first = asyncio.create_task(exchange.report("g", number, 1, epoch_item(1), last=False))
        await next_item(exchange, 0)
        asking = asyncio.create_task(next_item(exchange, 1))
        assert await first is True
        assert await exchange.report("g", number, 1, None, last=False) is True
        asking.cancel()

    asyncio.run(scenario())


def test_a_restarted_gang_gets_the_same_command_and_its_epochs_are_handed_on_once():
    async def scenario() -> None:
        exchange = Exchange()
        await exchange.start_trial("g", COMMAND)
        command = await exchange.next_command("g", after=0)
        assert command == {**COMMAND, "number": 1}
        first = asyncio.create_task(exchange.report("g", 1, 1, epoch_item(1), last=False))
        assert await next_item(exchange, 0) == epoch_item(1)
        asking = asyncio.create_task(next_item(exchange, 1))
        await first
        assert await exchange.next_command("g", after=0) == command  # the workers died here
        assert await exchange.report("g", 1, 1, epoch_item(1), last=False) is True
        await exchange.report("g", 1, 2, epoch_item(2), last=True)
        assert await asking == epoch_item(2)

    asyncio.run(scenario())


def test_a_command_that_kills_its_workers_each_time_fails_and_the_next_one_is_served():
    async def scenario() -> None:
        exchange = Exchange()
        await exchange.start_trial("g", COMMAND)
        for _ in range(MAX_DELIVERIES):
            assert await exchange.next_command("g", after=0) is not None
        waiting = asyncio.create_task(exchange.next_command("g", after=0))
        item = await next_item(exchange, 0)
        assert item is not None
        assert (item["kind"], item["reason"]) == ("failed", "worker")
        await exchange.start_trial("g", {"folder": "trials/t0001"})
        assert await waiting == {"folder": "trials/t0001", "number": 2}

    asyncio.run(scenario())


def test_the_other_ranks_follow_only_what_the_present_rank_0_took():
    async def scenario() -> None:
        exchange = Exchange()
        await exchange.start_trial("g", COMMAND)
        await exchange.attach("g", None)
        await exchange.take("g", {"number": 1, "checkpoint": "ep0001"})
        await exchange.attach("g", None)  # restarted
        following = asyncio.create_task(exchange.follow("g", after=0))
        await exchange.take("g", {"number": 1, "checkpoint": "ep0002"})
        assert await following == {"number": 1, "checkpoint": "ep0002"}

    asyncio.run(scenario())


def test_a_failure_ends_the_command_and_later_reports_of_other_ranks_add_nothing():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", COMMAND)
        failure = {"kind": "failed", "reason": "nan", "error": ""}
        await exchange.fail("g", number, failure)
        await exchange.fail("g", number, {"kind": "failed", "reason": "error", "error": ""})
        assert await next_item(exchange, 0) == failure
        assert await exchange.next_item("g", after_epoch=0, timeout_seconds=0) is None

    asyncio.run(scenario())


def test_a_go_that_one_rank_has_read_holds_for_the_others_after_the_gang_was_closed():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", COMMAND)
        first = asyncio.create_task(exchange.report("g", number, 1, epoch_item(1), last=False))
        await next_item(exchange, 0)
        asking = asyncio.create_task(next_item(exchange, 1))
        assert await first is True
        await exchange.close("g")
        assert await exchange.report("g", number, 1, None, last=False) is True
        assert await exchange.report("g", number, 2, None, last=False) is False
        asking.cancel()

    asyncio.run(scenario())


def test_a_rank_0_that_died_while_it_waited_takes_no_command_from_its_successor():
    async def scenario() -> None:
        exchange = Exchange()
        waiting = []
        for _ in range(MAX_DELIVERIES + 1):
            await exchange.attach("g", None)
            waiting.append(asyncio.create_task(exchange.next_command("g", after=0)))
            await asyncio.sleep(0)
        number = await exchange.start_trial("g", COMMAND)
        *stale, own = await asyncio.gather(*waiting)
        assert stale == [None] * MAX_DELIVERIES
        assert own == {**COMMAND, "number": number}

    asyncio.run(scenario())


def test_closing_sends_every_rank_home():
    async def scenario() -> None:
        exchange = Exchange()
        ranks = [
            asyncio.create_task(exchange.next_command("g", after=0)),
            asyncio.create_task(exchange.follow("g", after=0)),
        ]
        await asyncio.sleep(0)
        await exchange.close("g")
        assert await asyncio.gather(*ranks) == [None, None]

    asyncio.run(scenario())


def test_an_interrupt_wakes_a_waiting_trainable():
    async def scenario() -> None:
        exchange = Exchange()
        await exchange.start_trial("g", COMMAND)
        waiting = asyncio.create_task(next_item(exchange, 0))
        await asyncio.sleep(0)
        await exchange.interrupt()
        assert await waiting == {"kind": "interrupted"}

    asyncio.run(scenario())


def test_epochs_that_the_trainable_knows_are_gone_on_from_without_being_told_again():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", {**COMMAND, "after_epoch": 2})
        assert await exchange.report("g", number, 2, epoch_item(2), last=False) is True
        report = asyncio.create_task(exchange.report("g", number, 3, epoch_item(3), last=False))
        assert await next_item(exchange, 2) == epoch_item(3)
        assert not report.done()
        report.cancel()

    asyncio.run(scenario())


def test_an_interrupted_trainable_lets_no_worker_train_on():
    async def scenario() -> None:
        exchange = Exchange()
        number = await exchange.start_trial("g", COMMAND)
        report = asyncio.create_task(exchange.report("g", number, 1, epoch_item(1), last=False))
        await next_item(exchange, 0)
        await exchange.interrupt()
        assert await next_item(exchange, 1) == {"kind": "interrupted"}
        await exchange.close("g")
        assert await report is False

    asyncio.run(scenario())


def test_only_gangs_with_a_placement_group_are_waited_for_and_returned_if_they_do_not_leave():
    async def scenario() -> None:
        exchange = Exchange()
        await exchange.start_trial("alone", COMMAND)  # killed with its trainable: says nothing
        for name in ("leaves", "stays"):
            await exchange.attach(name, f"group of {name}")
        await exchange.leave("leaves")
        assert await exchange.abandoned(timeout_seconds=0.1) == ["group of stays"]
        await exchange.leave("stays")
        assert await exchange.abandoned(timeout_seconds=1e9) == []

    asyncio.run(scenario())
