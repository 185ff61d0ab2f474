"""Starts what the tests need: the binary under test and an independent mock of the providers, on free ports."""

import http.server
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
NODE = HERE / "node_modules" / ".bin" / "node"

MODELS = """
models:
  sim: [{ provider: simulator, price: { input_usd_per_mtok: 1, output_usd_per_mtok: 2 } }]
  sim-openai: [{ provider: simulator, format: openai_chat }]
  sim-anthropic: [{ provider: simulator, format: anthropic_messages }]
  sim-gemini: [{ provider: simulator, format: gemini }]
  sim-responses: [{ provider: simulator, format: openai_responses }]
  openai: [{ provider: openai, model: gpt-4o, base_url: "${AIMOCK}/v1", api_key: mock }]
  anthropic: [{ provider: anthropic, model: claude-sonnet-4-5, base_url: "${AIMOCK}", api_key: mock }]
  gemini: [{ provider: gemini, model: gemini-2.5-flash, base_url: "${AIMOCK}", api_key: mock }]
  responses: [{ provider: openai, model: gpt-5, format: openai_responses, base_url: "${AIMOCK}/v1", api_key: mock }]
  azure: [{ provider: azure, model: gpt-4o, base_url: "${AIMOCK}", api_key: mock }]
  bedrock:
    - provider: bedrock
      model: anthropic.claude-sonnet-4-20250514-v1:0
      base_url: "${AIMOCK}"
      aws: { region: us-east-1, access_key_id: AKIDEXAMPLE, secret_access_key: mock }
  vertex:
    - { provider: vertex_ai, model: gemini-2.5-flash, base_url: "${AIMOCK}/v1/projects/p/locations/l", api_key: mock }
  cohere: [{ provider: cohere, model: command-a-03-2025, base_url: "${AIMOCK}", api_key: mock }]
  compatible: [{ provider: openai_compatible, model: local, base_url: "${AIMOCK}/v1" }]
routing: { retries: 0 }
"""


# Every model of `MODELS`.
ALL = sorted(line.split(":")[0].strip() for line in MODELS.splitlines() if line.startswith("  ") and line[2].isalpha())


def binary() -> str:
    """The binary under test."""
    return os.environ["TOLLGATE_BIN"]


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(ready, what: str, process: subprocess.Popen, seconds: float = 20.0):
    """Waits until `ready` returns something, and fails when the process ends or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode}")
        if found := ready():
            return found
        time.sleep(0.02)
    raise RuntimeError(f"{what} was not ready within {seconds} s")


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body at `url`; status 0 when there is no connection."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def post(url: str, body, headers: dict[str, str] | None = None):
    """Status, headers and body of a JSON request."""
    return send("POST", url, body, headers)


def send(method: str, url: str, body=None, headers: dict[str, str] | None = None):
    """The same with any method, and without a body where there is none."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers.items()), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers.items()), error.read()


def journal(data: pathlib.Path) -> str:
    """What stands in the segments of a journal that are not compressed."""
    return "".join(path.read_text() for path in sorted(data.glob("journal/*/[0-9]*.jsonl")))


class Aimock:
    """The independent mock: npm's @copilotkit/aimock."""

    def __init__(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        llmock = HERE / "node_modules" / ".bin" / "llmock"
        command = [NODE, llmock, "-p", str(port), "-f", HERE / "aimock" / "fixtures.json", "--log-level", "silent", "--strict"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: get(f"{self.url}/__aimock/journal")[0], "aimock", self.process)

    def journal(self) -> list:
        """Every request that it got."""
        read = json.loads(get(f"{self.url}/__aimock/journal")[1])
        return read if isinstance(read, list) else read["entries"]

    def stop(self):
        self.process.kill()
        self.process.wait()


class Received:
    """A server that keeps what it is sent, and answers with `status`."""

    def __init__(self, status: int = 200):
        received = self
        self.status, self.requests = status, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if received.status < 300:
                    received.requests.append((self.path, dict(self.headers), body))
                self.send_response(received.status)
                self.send_header("content-length", "0")
                self.end_headers()

            do_PUT = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def tollgate(*arguments: str, gate=None, env: dict[str, str] | None = None, status: int = 0) -> str:
    """What a command prints; it must end with `status`."""
    address = {"TOLLGATE_URL": gate.url} if gate else {}
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("TOLLGATE", "DATABASE"))}
    done = subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True, env={**clean, **address, **(env or {})}, timeout=60, check=False)
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    return done.stdout + done.stderr


class Gate:
    """A running binary. Its log is JSON, because nobody is at a terminal."""

    def __init__(self, *arguments: str, config: str | None = None, env: dict[str, str] | None = None, folder: str | None = None):
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="tollgate-test-"))
        self.log = self.folder / "log.jsonl"
        port = [] if "--port" in arguments else ["--port", "0"]
        command = [binary(), *port, "--data-dir", str(self.folder / "data"), *arguments]
        if config is not None:
            self.config = self.folder / "config.yaml"
            self.config.write_text(config)
            command += ["--config", str(self.config)]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI", "ANTHROPIC", "TOLLGATE", "GEMINI", "GOOGLE", "AWS", "AZURE"))}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**clean, **(env or {})})
        try:
            self.url = wait_for(lambda: self.logged("listening"), "tollgate", self.process)["address"]
        except RuntimeError as error:
            raise RuntimeError(f"{error}:\n{self.log.read_text()}") from error
        self.port = int(self.url.rsplit(":", 1)[1])

    def logged(self, message: str) -> dict | None:
        """The last log line with this message."""
        found = None
        for line in self.log.read_text().splitlines():
            if line.startswith("{") and json.loads(line).get("message", "").startswith(message):
                found = json.loads(line)
        return found

    def records(self, kind: str = "closed") -> list[dict]:
        """The entries of this kind."""
        return [entry for entry in map(json.loads, journal(self.folder / "data").splitlines()) if entry["entry"] == kind]

    def closed(self, call_id: str) -> dict:
        """The one closed entry of a call."""
        found = [entry for entry in self.records() if entry["call_id"] == call_id]
        assert len(found) == 1, found
        return found[0]

    def stop(self) -> int:
        """Stops it as an operator does."""
        self.process.terminate()
        return self.process.wait(timeout=40)
