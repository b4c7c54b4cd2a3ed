"""A language model's endpoint on loopback that speaks OpenAI's protocol, well or badly."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-hunter2-opensesame"
MODEL = "tiny-chat"


@dataclass(frozen=True)
class Reply:
    """What is sent back, bytes as they are."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 0.0
    drip_s: float = 0.0
    """Between single bytes."""


def completion(content: str, finish_reason: str = "stop") -> Reply:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    said = {"id": "chat-1", "object": "chat.completion", "model": MODEL, "choices": [choice]}
    return Reply(json.dumps(said).encode())


def answer(text: str, cited: object, labels: object, **more: object) -> Reply:
    return completion(json.dumps({"text": text, "cited": cited, "labels": labels} | more))


Answer = Callable[[dict[str, Any]], Reply]


class ChatServer:
    """Answers each question by ``answer``, and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self._leaving = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._leaving.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        chat = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                chat.headers.append(dict(self.headers))
                models = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
                there = self.path == "/v1/models"
                self._send(Reply(json.dumps(models).encode()) if there else Reply(status=404))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                chat.headers.append(dict(self.headers))
                chat.asked.append(body)
                there = self.path == "/v1/chat/completions"
                self._send(chat.answer(body) if there else Reply(status=404))

            def _send(self, reply: Reply) -> None:
                chat._leaving.wait(reply.after_s)
                with suppress(OSError):  # whoever asked may have gone
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self._write(reply)

            def _write(self, reply: Reply) -> None:
                if not reply.drip_s:
                    self.wfile.write(reply.body)
                    return
                for byte in reply.body:
                    if chat._leaving.is_set():
                        return
                    self.wfile.write(bytes([byte]))
                    time.sleep(reply.drip_s)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving(answer: Answer) -> Iterator[ChatServer]:
    server = ChatServer(answer)
    try:
        yield server
    finally:
        server.close()


def as_measured(body: dict[str, Any]) -> Reply:
    """Answer any question well."""
    asked = json.loads(body["messages"][1]["content"])
    return answer("It is as was measured.", [asked["clues"][0]["id"]], asked["labels"][:1])
