"""A server of chat completions that says what a test wants, in a thread."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional


@dataclass
class Reply:
    """What the stub does with a request.

    content (Optional[str]): The answer.
    status (int): The status.
    delay (float): Seconds before it answers.
    retry_after (str): When the client may come back.
    body (Optional[bytes]): A body of another form.
    usage (bool): Whether it tells the usage.
    drop (bool): Whether it closes the connection without an answer.
    """

    content: Optional[str] = "It is a name.\nyes"
    status: int = 200
    delay: float = 0.0
    retry_after: str = ""
    body: Optional[bytes] = None
    usage: bool = True
    drop: bool = False


class StubServer:
    """A server on a free port. To be used in a `with` statement.

    behave (Callable[[str, int], Reply]): Gets the last line of a question, without the
        mark in front, and how many requests came before; gives the reply.
    """

    PROMPT, COMPLETION = 100, 10

    def __init__(self, behave: Callable[[str, int], Reply]) -> None:
        self.behave = behave
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.answered: Counter[str] = Counter()
        self.active = self.most_active = 0
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                stub.handle(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self) -> "StubServer":
        threading.Thread(
            target=self.server.serve_forever, args=(0.01,), daemon=True
        ).start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.server.shutdown()
        self.server.server_close()

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        size = int(handler.headers["Content-Length"])
        request = json.loads(handler.rfile.read(size))
        question = request["messages"][-1]["content"].removeprefix("Text: ")
        with self.lock:
            count = len(self.requests)
            self.requests.append(request)
            self.active += 1
            self.most_active = max(self.most_active, self.active)
        reply = self.behave(question, count)
        time.sleep(reply.delay)
        with self.lock:
            self.active -= 1
            if reply.status == 200 and not reply.drop:
                self.answered[question] += 1
        if reply.drop:
            handler.close_connection = True
            return
        body = reply.body
        if body is None:
            body = json.dumps(self.completion(reply)).encode()
        handler.send_response(reply.status)
        if reply.retry_after:
            handler.send_header("Retry-After", reply.retry_after)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def completion(self, reply: Reply) -> dict[str, Any]:
        """Write the body of a reply."""
        if reply.status != 200:
            return {"error": {"message": f"status {reply.status}"}}
        message = {"role": "assistant", "content": reply.content}
        body: dict[str, Any] = {"choices": [{"index": 0, "message": message}]}
        if reply.usage:
            body["usage"] = {
                "prompt_tokens": self.PROMPT,
                "completion_tokens": self.COMPLETION,
                "total_tokens": self.PROMPT + self.COMPLETION,
            }
        return body
