"""What a node can be told while it runs, on its own machine or by its broker."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from streamer.control import Claim, serve
from streamer.ensemble import Panel
from streamer.sinks.mqtt import MqttSink
from streamer.swap import Answer, Swapper, Wanted, Wire


class Command(Wire):
    """A command on the node's own machine."""

    swap: Wanted


async def take_commands(
    panel: Panel,
    control: Claim | None,
    mqtt: MqttSink | None,
    swap_from: Path | None,
    swapped: Callable[[], None] = lambda: None,
) -> None:
    """Do what a node is told, until cancelled; by a broker only with a folder to swap from.

    ``swapped`` is called when others may judge.
    """

    def tell(answer: Answer) -> None:
        swapped()
        if mqtt:
            mqtt.answer(answer.model_dump_json().encode(), "engines", "swapped")

    swapper = Swapper(panel, tell)

    async def by_line(line: bytes) -> bytes:
        answer = await swapper.swap(lambda: Command.parse(line).swap)
        return answer.model_dump_json().encode()

    async def by_broker(mqtt: MqttSink, folder: Path) -> None:
        asked = mqtt.commands("engines", "swap")
        while True:
            payload = await asked.get()
            await swapper.swap(partial(_named, payload, folder))

    try:
        async with asyncio.TaskGroup() as group:
            if control:
                group.create_task(serve(control.listener, by_line), name="control")
            if mqtt and swap_from:
                group.create_task(by_broker(mqtt, swap_from), name="swaps")
    finally:
        swapper.close()


def _named(payload: bytes, folder: Path) -> Wanted:
    return Wanted.parse(payload).within(folder)
