"""What tests of MCP need: the fixture server, the official servers, and a client that says no more than it is told to."""

import contextlib
import itertools
import json
import queue
import subprocess
import threading
import time
import urllib.error
import urllib.request

import world

FIXTURE = world.HERE / "mcp_fixture" / "server.mjs"
BINARIES = world.HERE / "node_modules" / ".bin"


class Fixture:
    """Our own MCP server, which can be told to misbehave."""

    def __init__(self):
        self.process = subprocess.Popen([world.NODE, FIXTURE], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def control(self, **what) -> dict:
        """Tells it how to be from now on."""
        return post(f"{self.url}/control", what)[1]

    def stop(self):
        """Ends it."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def post(url: str, body, headers: dict[str, str] | None = None, accept: str = "application/json, text/event-stream"):
    """Status, body and headers of the answer to `body`; of a stream the last message."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", "accept": accept, **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=headers, method="POST")
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read().decode()
    if answer.headers.get("content-type") == "text/event-stream":
        text = [line[6:] for line in text.splitlines() if line.startswith("data: ")][-1]
    return answer.status, json.loads(text) if text.strip() else None, answer.headers


class Client:
    """A client of one address of a gate."""

    def __init__(self, gate: world.Gate, address: str = "", key: str | None = None):
        self.url = f"{gate.url}/mcp{address}"
        self.headers = {"authorization": f"Bearer {key}"} if key else {}
        self.ids = itertools.count(1)

    def ask(self, method: str, params: dict | None = None, **headers) -> dict:
        """The whole answer to `method`."""
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method}
        if params is not None:
            message["params"] = params
        status, body, answered = post(self.url, message, {**self.headers, **headers})
        self.status, self.answered = status, answered
        return body

    def begin(self, revision: str = "2025-11-25", capabilities: dict | None = None) -> dict:
        """Begins a session."""
        said = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = self.ask("initialize", said)
        self.headers["mcp-session-id"] = self.answered["mcp-session-id"]
        return answer["result"]

    def call(self, tool: str, **arguments) -> dict:
        """The whole answer to a call of `tool`."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def tools(self) -> list[str]:
        """The names of all tools."""
        return [tool["name"] for tool in self.ask("tools/list")["result"]["tools"]]


def without_session(method: str, name: str | None = None) -> dict[str, str]:
    """The headers of a request of a client without a session."""
    return {"mcp-protocol-version": "2026-07-28", "mcp-method": method} | ({"mcp-name": name} if name else {})


def who(**capabilities) -> dict:
    """What a client without a session says of itself in each request."""
    said = {"protocolVersion": "2026-07-28", "clientInfo": {"name": "t", "version": "1"}, "clientCapabilities": capabilities}
    return {f"io.modelcontextprotocol/{name}": value for name, value in said.items()}


class Heard:
    """What comes on a stream, as it comes; `None` at its end."""

    def __init__(self, url: str, headers: dict[str, str], body: dict | None = None):
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
        data = json.dumps(body).encode() if body else None
        self.stream = urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=30)
        self.said = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in self.stream:
                if line.startswith(b"data: {"):
                    self.said.put(json.loads(line[6:]))
        self.said.put(None)

    def next(self, method: str) -> dict:
        """The next message of this method."""
        while (message := self.said.get(timeout=15)).get("method") != method:
            pass
        return message

    def close(self):
        self.stream.close()


def until(found, seconds: float = 10):
    """Waits until there is something, and returns it."""
    deadline = time.monotonic() + seconds
    while not (what := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return what


def fault(answer: dict) -> dict:
    """The fault in an answer, wherever it stands."""
    if "error" in answer:
        return answer["error"]["data"]["tollgate/fault"]
    return answer["result"]["_meta"]["tollgate/fault"]


def text(answer: dict) -> str:
    """The first text of a result."""
    return answer["result"]["content"][0]["text"]


def cli(gate: world.Gate, *arguments: str, status: int = 0, key: str = "sk-master") -> str:
    """What the command says, in both of its outputs."""
    env = {"TOLLGATE_URL": gate.url, "TOLLGATE_KEY": key, "PATH": "/usr/bin:/bin"}
    done = subprocess.run([world.binary(), *arguments], capture_output=True, text=True, env=env, timeout=30)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr
