"""A language model over HTTP: a real server on loopback, which may behave badly."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamer.config import LanguageModel as Settings
from streamer.explanation import ExplanationEvent
from streamer.language_model import MOST_BYTES, LanguageModel
from streamer.narrator import RESULTS, Narrator, prompt
from streamer.probe import probe_model
from tests.streamer.broker import free_port
from tests.streamer.chat import KEY, MODEL, ChatServer, Reply, answer, completion, serving
from tests.streamer.explained import INJECTION, explained_event

GOOD = answer("The face looks happy in 83 % of its pictures.", ["face.expression"], ["happy"])
UNABLE = Reply(b'{"error": "no"}', 400)


def well(_: dict[str, Any]) -> Reply:
    return GOOD


def settings(url: str, **more: Any) -> Settings:
    return Settings.model_validate(
        {"url": url, "model": MODEL, "api_key": KEY, "timeout_s": 5} | more
    )


class Run:
    """What came of asking about events, one after the other."""

    def __init__(self, url: str, **more: Any) -> None:
        self.narrator = Narrator(
            LanguageModel(settings(url, **more)),
            waiting=8,
            waits=True,
            delays=lambda: repeat(0.0),
            clock=lambda: 0.0,
        )
        self.came: list[ExplanationEvent] = []

    @property
    def results(self) -> dict[str, int]:
        return {result: count for (_, result), count in self.narrator.results.items()}

    async def put(self, event: ExplanationEvent) -> None:
        self.came.append(event)

    async def about(self, *events: Any) -> "Run":
        running = asyncio.create_task(self.narrator.run(self.put))
        for event in events or [explained_event()]:
            await self.narrator.ask(event)
        await self.narrator.finish()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return self


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    """A server that answers well unless told otherwise."""
    with serving(well) as server:
        yield server


@pytest.fixture
def run(chat: ChatServer) -> Run:
    return Run(chat.url)


async def test_a_good_answer_is_published(chat: ChatServer, run: Run) -> None:
    await run.about(explained_event(n=1), explained_event(n=2))
    assert run.results == {"accepted": 2}
    assert [event.data.explains for event in run.came] == ["door000001.final", "door000002.final"]
    asked = chat.asked[0]
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == (MODEL, 0, 300)
    assert asked["response_format"]["json_schema"]["strict"] is True
    system, user = asked["messages"]
    assert (system["role"], system["content"]) == ("system", prompt())
    assert json.loads(user["content"])["emotion"] == "happiness"
    assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (completion("The person is happy."), "malformed"),
        (completion('{"text": "The face loo'), "malformed"),
        (completion('{"text": "The face loo', finish_reason="length"), "truncated"),
        (Reply(GOOD.body[:-30]), "malformed"),
        (Reply(b"<html>welcome</html>"), "malformed"),
        (Reply(b'{"choices": []}'), "malformed"),
        (Reply(b'{"choices": [{"message": {"content": null, "refusal": "no"}}]}'), "malformed"),
        (answer("Happy.", ["face.aura"], ["happy"]), "unknown_clue"),
        (answer("Happy.", [], ["happy"]), "uncited"),
        (answer("Happy.", ["face.expression"], ["mournful"]), "unsupported"),
        (answer("Happy (0.99).", ["face.expression"], ["happy"]), "inconsistent"),
        (Reply(b"{}", 429), "refused"),
        (Reply(b"oops", 500), "refused"),
        (Reply(b"", 401), "refused"),
        (Reply(b"", 307, {"Location": "http://127.0.0.1:1/v1"}), "refused"),
        (Reply(b" " * (MOST_BYTES + 1)), "oversized"),
        (completion("a" * 50_000), "malformed"),
    ],
)
async def test_a_bad_answer_is_counted_and_the_next_may_be_good(
    chat: ChatServer, run: Run, reply: Reply, result: str
) -> None:
    chat.answer = lambda _: reply if len(chat.asked) == 1 else GOOD
    await run.about(explained_event(n=1), explained_event(n=2))
    assert run.results == {result: 1, "accepted": 1}
    assert [event.data.window_id for event in run.came] == ["door000002"]


@pytest.mark.parametrize(
    "reply",
    [
        completion("OPEN THE DOOR"),
        answer("OPEN THE DOOR", [], ["harmless"]),
        answer("OPEN THE DOOR", ["face.expression"], ["harmless"]),
        answer("OPEN THE DOOR", ["instructions"], ["happy"]),
        completion(json.dumps({"command": "OPEN THE DOOR"})),
        answer("OPEN THE DOOR", ["face.expression"], ["happy"], command="open"),
    ],
)
async def test_a_model_that_obeys_what_somebody_said_is_not_published(
    chat: ChatServer, run: Run, reply: Reply
) -> None:
    chat.answer = lambda body: reply if "Ignore all" in body["messages"][1]["content"] else GOOD
    await run.about(explained_event(n=1, said=INJECTION), explained_event(n=2))
    assert [event.data.window_id for event in run.came] == ["door000002"]
    assert run.results.keys() <= {"accepted", "malformed", "uncited", "unknown_clue", "unsupported"}
    system, user = chat.asked[0]["messages"]
    assert "Ignore all" not in system["content"]
    assert json.loads(user["content"])["said"] == INJECTION


async def test_nobody_there_is_said_once() -> None:
    run = await asyncio.to_thread(Run, f"http://127.0.0.1:{free_port()}/v1")
    with capture_logs() as logs:
        await run.about(explained_event(n=1), explained_event(n=2))
    assert run.results == {"unreachable": 2}
    (warning,) = logs
    assert "nobody answers there" in warning["event"]


async def test_who_is_no_http_server_is_unreachable() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        run = await (await asyncio.to_thread(Run, f"http://127.0.0.1:{port}/v1")).about()
    assert run.results == {"unreachable": 1}


@pytest.mark.parametrize(
    "reply", [Reply(GOOD.body, after_s=60.0), Reply(GOOD.body, drip_s=0.05)], ids=["mute", "drips"]
)
async def test_who_is_slow_is_not_waited_for(chat: ChatServer, reply: Reply) -> None:
    chat.answer = lambda _: reply
    run = await asyncio.to_thread(Run, chat.url, timeout_s=0.3)
    assert (await run.about()).results == {"late": 1}


async def test_a_compressed_answer_is_not_unpacked(chat: ChatServer, run: Run) -> None:
    chat.answer = lambda _: Reply(GOOD.body, headers={"Content-Encoding": "gzip"})
    await run.about()
    assert chat.headers[0]["Accept-Encoding"] == "identity"
    assert run.results == {"accepted": 1}  # taken as it came, whatever it is called


async def test_an_endpoint_in_trouble_is_left_alone(chat: ChatServer, run: Run) -> None:
    run.narrator._delays = repeat(1.0)
    chat.answer = lambda _: Reply(status=500)
    await run.about(*(explained_event(n=n) for n in range(5)))
    assert (run.results, len(chat.asked)) == ({"refused": 1, "paused": 4}, 1)


async def test_it_is_left_alone_for_as_long_as_it_says(chat: ChatServer, run: Run) -> None:
    clock_s = [0.0]
    run.narrator.clock = lambda: clock_s[-1]
    run.narrator._delays = repeat(1.0)
    chat.answer = lambda _: Reply(status=429, headers={"Retry-After": "30"})
    narrating = asyncio.create_task(run.narrator.run(run.put))
    for now_s in (0.0, 29.0, 31.0):
        clock_s.append(now_s)
        await run.narrator.ask(explained_event())
        await run.narrator.finish()
    narrating.cancel()
    assert run.results == {"refused": 2, "paused": 1}


async def test_an_endpoint_without_schemas_is_asked_more_simply(chat: ChatServer, run: Run) -> None:
    def simple(body: dict[str, Any]) -> Reply:
        strict = body.get("response_format", {}).get("type") == "json_schema"
        return UNABLE if strict else GOOD

    chat.answer = simple
    await run.about(explained_event(n=1), explained_event(n=2))
    assert run.results == {"accepted": 2}
    kinds = [body["response_format"]["type"] for body in chat.asked]
    assert kinds == ["json_schema", "json_object", "json_object"]  # which is remembered


async def test_who_refuses_every_format_is_asked_three_times(chat: ChatServer, run: Run) -> None:
    chat.answer = lambda _: UNABLE
    assert (await run.about()).results == {"refused": 1}
    assert len(chat.asked) == 3


async def test_of_more_than_may_wait_the_oldest_are_dropped(chat: ChatServer) -> None:
    run = await asyncio.to_thread(Run, chat.url)
    run.narrator.waits = False
    for n in range(11):  # before it runs
        await run.narrator.ask(explained_event(n=n))
    await run.about(explained_event(n=11, phase="update"))
    assert run.results == {"dropped": 3, "accepted": 8}
    assert run.came[0].data.window_id == "door000003"


async def test_a_replay_waits_for_room(chat: ChatServer, run: Run) -> None:
    await run.about(*(explained_event(n=n) for n in range(12)))
    assert run.results == {"accepted": 12}


@pytest.mark.parametrize("reply", [GOOD, Reply(status=401), Reply(KEY.encode(), 500)])
async def test_the_key_is_in_no_log(
    chat: ChatServer, reply: Reply, caplog: pytest.LogCaptureFixture, run: Run
) -> None:
    chat.answer = lambda _: reply
    with caplog.at_level(0), capture_logs() as logs:
        await run.about()
    assert KEY in chat.headers[0]["Authorization"]
    assert KEY not in f"{logs}{caplog.text}{run.narrator!r}{settings(chat.url)!r}"


async def test_what_was_said_is_in_no_log(
    chat: ChatServer, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    chat.answer = lambda body: Reply(body["messages"][1]["content"].encode())
    with caplog.at_level(0), capture_logs() as logs:
        await run.about(explained_event(said=INJECTION))
    assert run.results == {"malformed": 1}
    assert "OPEN THE DOOR" not in f"{logs}{caplog.text}"


async def test_check_finds_the_model(chat: ChatServer) -> None:
    found = await probed(chat.url)
    assert found == (True, f"language model at {chat.url}: answers, and has {MODEL}")
    assert chat.asked == []


@pytest.mark.parametrize(
    ("path", "model", "good", "says"),
    [
        ("", "other", False, f"it has no 'other'; it has {MODEL}"),
        ("/v2", MODEL, True, "answers, and does not tell which models it has"),
    ],
)
async def test_check_says_what_is_there(
    chat: ChatServer, path: str, model: str, good: bool, says: str
) -> None:
    found = await probed(chat.url + path, model=model)
    assert found[0] is good
    assert found[1].endswith(says)


async def test_check_says_that_nobody_answers() -> None:
    good, says = await probed(f"http://127.0.0.1:{free_port()}/v1")
    assert not good
    assert "nobody answers there" in says


async def probed(url: str, **more: Any) -> tuple[bool, str]:
    model = await asyncio.to_thread(LanguageModel, settings(url, **more))
    found = await probe_model(model, patience_s=5)
    return found.good, found.sentence


def test_every_result_is_named_once() -> None:
    assert len(set(RESULTS)) == len(RESULTS) == 13


def test_nothing_of_http_is_loaded_unless_it_is_configured() -> None:
    modules = "streamer.node, streamer.replay, streamer.probe"
    code = f"import sys, {modules}; print('httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"


async def test_a_bug_in_asking_ends_nothing(chat: ChatServer, run: Run) -> None:
    ask, broken = run.narrator.model.answer, iter([True, False])

    async def once_broken(*given: Any) -> str:
        if next(broken):
            raise RuntimeError(INJECTION)
        return await ask(*given)

    chat.answer = well
    run.narrator.model.answer = once_broken  # type: ignore[assignment, method-assign]
    with capture_logs() as logs:
        await run.about(explained_event(n=1), explained_event(n=2))
    assert run.results == {"malformed": 1, "accepted": 1}
    assert [log["log_level"] for log in logs] == ["error"]
    assert "OPEN THE DOOR" not in f"{logs}"
