"""The running binary from outside: connections, limits, signals, files."""

import base64
import http.server
import json
import os
import pathlib
import re
import resource
import signal
import socket
import ssl
import subprocess
import threading
import time

import prometheus_client.openmetrics.parser as openmetrics
import pytest
import world

SIM = "models: { sim: [{ provider: simulator }] }\n"
CHAT = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}


def raw(gate, text: bytes, wait: float = 10) -> bytes:
    """Everything that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", gate.port), timeout=wait) as s:
        s.sendall(text)
        answer = b""
        while True:
            try:
                piece = s.recv(65536)
            except (TimeoutError, ConnectionResetError):
                return answer
            if not piece:
                return answer
            answer += piece


def prompt(text: str, stream: bool = False) -> dict:
    return {"model": "sim", "stream": stream, "messages": [{"role": "user", "content": text}]}


class Upstream:
    """An upstream that counts connections and says when a client of its has left."""

    def __init__(self):
        upstream = self
        self.left = threading.Event()
        self.headers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                upstream.headers.append(dict(self.headers))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                try:
                    while True:
                        self.wfile.write(b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n')
                        self.wfile.flush()
                        upstream.left.wait(0.01)
                except OSError:
                    upstream.left.set()
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_a_client_that_leaves_cancels_the_upstream(own_gate):
    upstream = Upstream()
    gate = own_gate(config=f"models: {{ m: [{{ provider: openai_compatible, base_url: '{upstream.url}' }}] }}\n")
    body = json.dumps({**CHAT, "model": "m", "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", gate.port)) as s:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        s.sendall(head.encode() + body)
        assert b"200 OK" in s.recv(1000)
    assert upstream.left.wait(10), "the upstream still sends"
    closed = world.wait_for(lambda: gate.records(), "the record", gate.process)
    assert (closed[0]["outcome"], closed[0]["usage"]["source"]) == ("client_gone", "estimated")


def test_smuggling_and_malformed_heads_are_refused(gate):
    body = json.dumps(CHAT).encode()
    start = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    bad = [
        start + b"content-length: 5\r\ncontent-length: 6\r\n\r\n" + body,
        start + b"content-length: +5\r\n\r\n" + body,
        start + b"transfer-encoding: chunked, identity\r\n\r\n" + body,
        start + b"transfer-encoding: xchunked\r\n\r\n" + body,
        start + b"content-length : 5\r\n\r\n" + body,
        start + b"x\r\n y: folded\r\ncontent-length: 0\r\n\r\n",
        start + b"transfer-encoding: chunked\r\n\r\nZZ\r\n" + body,
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        start + b"".join(b"x-%d: y\r\n" % n for n in range(200)) + b"\r\n",
        start + b"x-large: " + b"y" * 100_000 + b"\r\n\r\n",
    ]
    calls = len(gate.records())
    for text in bad:
        answer = raw(gate, text, wait=2)
        assert answer == b"" or answer.split(b" ")[1][:1] == b"4", (text[:200], answer[:200])
        assert b"chatcmpl" not in answer and b"sim-" not in answer
    # Both lengths given: the chunked one counts and the connection is not used again (RFC 9112 §6.3).
    both = start + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n" % (len(body), body)
    assert raw(gate, both, wait=2).count(b"HTTP/1.1 ") <= 1
    assert [r for r in gate.records()[calls:] if r["outcome"] == "ok"][1:] == []


def test_limits_on_bodies_hold_before_they_are_read(own_gate):
    gate = own_gate(config=SIM + "limits: { request_body_bytes: 1000 }\ntimeouts: { request_ms: 300 }\n")
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    assert b" 413 " in raw(gate, head + b"content-length: 100000000000\r\n\r\n")
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    assert b" 413 " in raw(gate, head + b"transfer-encoding: chunked\r\n\r\n" + chunk)
    assert b" 408 " in raw(gate, head + b"content-length: 100\r\n\r\n{")


def test_tls_and_http2(own_gate, tmp_path):
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*made, *names, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    gate = own_gate(config=SIM + f"tls: {{ certificate: {tmp_path}/cert.pem, key: {tmp_path}/key.pem }}\n")
    assert gate.url.startswith("https://")
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", gate.port)) as s, context.wrap_socket(s, server_hostname="localhost") as tls:
        assert tls.selected_alpn_protocol() == "h2"
    curl = ["curl", "-sS", "--cacert", tmp_path / "cert.pem", "-w", " %{http_version} %{http_code}", "-H", "content-type: application/json"]
    for flag, version in [("--http1.1", "1.1"), ("--http2", "2")]:
        done = subprocess.run([*curl, flag, "-d", json.dumps(CHAT), f"https://localhost:{gate.port}/v1/chat/completions"], capture_output=True, text=True, check=True)
        assert done.stdout.endswith(f" {version} 200") and "hello" in done.stdout
    plain = subprocess.run([*curl[:2], "--http2-prior-knowledge", "-k", f"https://localhost:{gate.port}/livez"], capture_output=True, text=True, check=True)
    assert plain.stdout == "ok\n"


def test_a_changed_file_is_reloaded_and_a_bad_one_changes_nothing(own_gate):
    gate = own_gate(config=SIM)
    models = lambda: [m["id"] for m in json.loads(world.get(f"{gate.url}/v1/models")[1])["data"]]  # noqa: E731
    assert models() == ["sim"]
    gate.config.write_text(SIM.replace("sim:", "renamed:"))
    world.wait_for(lambda: models() == ["renamed"], "the reload", gate.process)
    gate.config.write_text("models: { m: [{ provider: simulator, wieght: 1 }] }\n")
    refused = world.wait_for(lambda: gate.logged("the configuration was not reloaded"), "the refusal", gate.process)
    assert "did you mean `weight`" in refused["message"] and models() == ["renamed"]
    # As an editor or Kubernetes does: another file in its place.
    other = gate.config.with_suffix(".new")
    other.write_text(SIM.replace("sim:", "replaced:"))
    other.rename(gate.config)
    world.wait_for(lambda: models() == ["replaced"], "the reload", gate.process)
    before = len([e for e in gate.records("event") if e["event"] == "reload"])
    gate.process.send_signal(signal.SIGHUP)
    world.wait_for(lambda: len([e for e in gate.records("event") if e["event"] == "reload"]) > before, "SIGHUP", gate.process)
    assert gate.stop() == 0
    assert [e["event"] for e in gate.records("event")][:1] == ["start"] and gate.records("event")[-1]["event"] == "stop"


def test_sigterm_lets_calls_end_and_takes_no_new_ones(own_gate):
    gate = own_gate(config=SIM)
    answers = []
    body = prompt("hello\nsimulate: drip 50", stream=True)
    call = threading.Thread(target=lambda: answers.append(world.post(f"{gate.url}/v1/chat/completions", body)))
    call.start()
    world.wait_for(lambda: gate.records("opened"), "the call", gate.process)
    assert gate.stop() == 0
    call.join()
    assert answers[0][0] == 200 and answers[0][2].endswith(b"data: [DONE]\n\n")
    assert gate.records()[0]["outcome"] == "ok"


def test_a_call_that_outlives_the_drain_still_leaves_its_record(own_gate):
    gate = own_gate(config=SIM + "timeouts: { drain_ms: 200 }\n")
    call = threading.Thread(target=lambda: pytest.raises(Exception, world.post, f"{gate.url}/v1/chat/completions", prompt("hello\nsimulate: hang")))
    call.start()
    world.wait_for(lambda: gate.records("opened"), "the call", gate.process)
    assert gate.stop() == 0
    call.join()
    assert [(r["outcome"], r["fault"]["class"]) for r in gate.records()] == [("failed", "draining")]


def test_a_second_signal_ends_calls_at_once(own_gate):
    gate = own_gate(config=SIM)
    call = threading.Thread(target=lambda: pytest.raises(Exception, world.post, f"{gate.url}/v1/chat/completions", prompt("hello\nsimulate: hang")))
    call.start()
    world.wait_for(lambda: gate.records("opened"), "the call", gate.process)
    gate.process.send_signal(signal.SIGINT)
    world.wait_for(lambda: gate.logged("stopping"), "the log", gate.process)
    assert gate.logged("stopping")["open_calls"] == 1
    started = time.monotonic()
    assert gate.stop() == 0 and time.monotonic() - started < 10
    call.join()
    assert [(r["outcome"], r["fault"]["class"]) for r in gate.records()] == [("failed", "draining")]


def test_running_out_of_connections_for_a_moment_changes_nothing_after_it(own_gate):
    gate = own_gate(config=SIM)
    descriptors = len(os.listdir(f"/proc/{gate.process.pid}/fd"))
    _, hard = resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (descriptors + 2, hard))
    held = [socket.create_connection(("127.0.0.1", gate.port)) for _ in range(6)]
    world.wait_for(lambda: gate.logged("a connection could not be accepted"), "the failure", gate.process)
    for s in held:
        s.close()
    resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    body = json.dumps(prompt("hello\nsimulate: hang", stream=True)).encode()
    with socket.create_connection(("127.0.0.1", gate.port)) as s:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        s.sendall(head.encode() + body)
        assert b"200 OK" in s.recv(1000)
    closed = world.wait_for(lambda: gate.records(), "the record", gate.process)
    assert (closed[0]["outcome"], closed[0]["fault"]["class"]) == ("client_gone", "client_gone")


def test_metrics_are_read_by_the_official_parser(gate):
    world.post(f"{gate.url}/v1/chat/completions", CHAT)
    text = world.get(f"{gate.url}/metrics")[1].decode()
    samples = {s.name: s for family in openmetrics.text_string_to_metric_families(text) for s in family.samples if s.labels.get("model", "sim") == "sim"}
    assert samples["tollgate_calls_total"].value >= 1 and "tollgate_call_duration_seconds_bucket" in samples


def test_two_gates_do_not_share_a_folder(gate):
    command = [world.binary(), "--model", "simulator/x", "--port", "0", "--data-dir", gate.folder / "data"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1 and "another gate" in done.stderr


def test_a_gate_that_is_its_own_upstream_says_so(own_gate):
    port = world.free_port()
    own = ["--model", "openai/gpt-4o", "--port", str(port)]
    gate = own_gate(*own, env={"OPENAI_API_KEY": "x", "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"})
    started = time.monotonic()
    status, _, body = world.post(f"http://127.0.0.1:{port}/v1/chat/completions", {**CHAT, "model": "gpt-4o"})
    assert status == 508 or b"loop" in body, body
    assert time.monotonic() - started < 10 and len(gate.records()) < 20


def test_the_commands_say_what_is_wrong(tmp_path):
    run = lambda *a: subprocess.run([world.binary(), *map(str, a)], capture_output=True, text=True, timeout=20, check=False, env={"HOME": str(tmp_path)})  # noqa: E731
    assert run("--port", "x").returncode == 2
    nothing = run()
    assert nothing.returncode == 1 and "--config FILE or --model" in nothing.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text("models: { m: [{ provider: simulatr }] }\n")
    checked = run("check", bad)
    assert checked.returncode == 1 and "did you mean `simulator`" in checked.stderr and checked.stdout == ""
    good = tmp_path / "good.yaml"
    good.write_text(SIM)
    checked = run("check", good)
    assert checked.returncode == 0 and checked.stdout.endswith("good.yaml: ok\n")
    assert json.loads(run("check", "--json", good).stdout)["models"]["sim"][0]["id"] == "simulator/sim"
    useless = tmp_path / "useless.yaml"
    useless.write_text("model_list: [{ model_name: m, litellm_params: { model: groq/x } }]\n")
    checked = run("check", useless)
    assert checked.returncode == 1 and "nothing can be served" in checked.stderr and "1 of 1" in checked.stdout
    no_key = run("--model", "openai/gpt-4o")
    assert no_key.returncode == 1 and no_key.stderr.startswith("tollgate: --model openai/gpt-4o: no `api_key`"), no_key.stderr
    open_to_all = run("--config", good, "--host", "0.0.0.0", "--port", "0")
    assert open_to_all.returncode == 1 and "no master key" in open_to_all.stderr


def test_the_demo_runs_once_without_a_terminal(tmp_path):
    done = subprocess.run([world.binary(), "demo", "--port", "0", "--data-dir", tmp_path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "it wants get_weather" in done.stdout and str(tmp_path / "journal") in done.stdout
    closed = [line for line in world.journal(tmp_path).splitlines() if '"closed"' in line]
    assert len([line for line in closed if '"surface":"mcp"' not in line]) == 9
    for step in ["it is offered delete_note, who_is, write_note", "waits for somebody's approval", "approved, and called again", "took back", "it is not offered any more", "approved, and it is offered again", "because   it executes who_is, chosen in 1"]:
        assert step in done.stdout, done.stdout
    assert "call 3: 429, budget_exceeded: the budget `day` of key `demo-" in done.stdout
    assert re.search(r"of 0\.0005 USD today, (0\.0004\d+) are spent.*spent: \1 of 0\.0005 USD", done.stdout, re.S), done.stdout


def post_text() -> str | None:
    path = world.ROOT.parent / "shared" / "posts" / "litellm-and-agentgateway.txt"
    if not path.exists():
        if os.environ.get("REQUIRE_SHARED"):
            pytest.fail("the post is absent")
        pytest.skip("../shared/posts/litellm-and-agentgateway.txt is absent")
    return path.read_text()


def test_the_posts_first_demo(own_gate, aimock):
    model, port = re.search(r"litellm (--model \S+) (--port \d+)", post_text()).groups()
    env = {"GEMINI_API_KEY": "mock", "GOOGLE_GEMINI_BASE_URL": aimock.url}
    # The post's own port may be taken here; everything else is as it is there.
    gate = own_gate(*model.split(), port.split()[0], str(world.free_port()), env=env)
    name = model.split()[1]
    for model in [name, name.removeprefix("gemini/")]:
        status, headers, body = world.post(f"{gate.url}/v1/chat/completions", {**CHAT, "model": model})
        assert status == 200 and b"Hello" in body, body
        assert headers["x-tollgate-deployment"].split("@")[0] == "gemini/gemini-2.5-flash-preview-04-17"


def test_the_posts_file_and_curls(own_gate, aimock, tmp_path):
    text = post_text()
    config = text.split("Create litellm_config.yaml:\n", 1)[1].split("\nA few things", 1)[0]
    pictures = text.split("generation model to your litellm_config.yaml:\n", 1)[1].split("\nCreate a Docker", 1)[0]
    general = config.index("general_settings:")
    config = config[:general].rstrip() + "\n" + pictures + "\n" + config[general:]
    command = re.search(r"^curl http://localhost:4000.*?'$", text, re.M | re.S)[0]
    assert '"model": "gemini"' in command and "Bearer sk-xxxx" in command
    env = {f"{name}_API_KEY": "mock" for name in ["OPENAI", "ANTHROPIC", "GEMINI"]}
    env |= {"OPENAI_BASE_URL": f"{aimock.url}/v1", "ANTHROPIC_BASE_URL": aimock.url, "GOOGLE_GEMINI_BASE_URL": aimock.url}
    gate = own_gate(config=config, env=env)
    command = command.replace(":4000/", f":{gate.port}/") + " -sS -w '\\n%{http_code}'"
    for model in ["gemini", "gpt-4o", "claude"]:
        done = subprocess.run(["bash", "-c", command.replace("gemini", model)], capture_output=True, text=True, check=True, cwd=tmp_path)
        body, status = done.stdout.rsplit("\n", 1)
        assert status == "200", body
        assert "Hello! How can I help you" in json.loads(body)["choices"][0]["message"]["content"]
    key = {"authorization": "Bearer sk-xxxx"}
    picture = {"model": "dall-e-3", "prompt": "a red gate", "size": "1024x1024"}
    status, headers, body = world.post(f"{gate.url}/v1/images/generations", picture, key)
    assert status == 200 and json.loads(body)["data"][0]["b64_json"] == "iVBORw0KGgo=", body
    closed = gate.closed(headers["x-tollgate-call-id"])
    assert closed["usage"]["images"] == 1 and closed["cost_nano_usd"] == "unknown", closed
    assert world.post(f"{gate.url}/v1/chat/completions", CHAT)[0] == 401


class Pictures:
    """A host of pictures, some of them traps."""

    def __init__(self):
        pixel = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
        self.asked = []
        pictures = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                pictures.asked.append((self.path, dict(self.headers)))
                redirects = {"/moved.png": "/pixel.png", "/away.png": "http://127.0.0.2/pixel.png", "/loop.png": "/loop.png"}
                if self.path in redirects:
                    self.send_response(302)
                    self.send_header("location", redirects[self.path])
                    self.end_headers()
                    return
                kind = "text/html" if self.path == "/page.png" else "image/png"
                body = pixel * 100_000 if self.path == "/huge.png" else pixel
                self.send_response(200)
                self.send_header("content-type", kind)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.mark.parametrize("surface", ["/v1/chat/completions", "/v1/messages"])
def test_images_are_fetched_where_only_bytes_are_taken(own_gate, aimock, surface):
    pictures = Pictures()
    models = f"models: {{ m: [{{ provider: openai_compatible, model: local, base_url: '{aimock.url}/v1', image_urls: false }}] }}\n"
    gate = own_gate(config=models + "egress: { image_hosts: [127.0.0.1], private_addresses: true, image_bytes: 100000 }\n")

    def ask(url: str):
        image = {"type": "image_url", "image_url": {"url": url}} if "chat" in surface else {"type": "image", "source": {"type": "url", "url": url}}
        content = [image, {"type": "text", "text": "what is in this picture"}]
        status, _, body = world.post(f"{gate.url}{surface}", {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": content}]})
        return status, body.decode()

    for path in ["/pixel.png", "/moved.png"]:
        status, body = ask(f"{pictures.url}{path}")
        assert status == 200 and "1 image" in body, body
        assert "data:image/png;base64,iVBOR" in json.dumps(aimock.journal()[-1])
    refused = {
        f"{pictures.url}/huge.png": "larger than 100000 bytes",
        f"{pictures.url}/page.png": "no image but",
        f"{pictures.url}/away.png": "another host",
        f"{pictures.url}/loop.png": "redirects too often",
        f"http://localhost:{pictures.server.server_port}/pixel.png": "not in `egress.image_hosts`",
        "file:///etc/passwd": "does not parse",
        "ftp://127.0.0.1/pixel.png": "only http and https",
        "http://127.0.0.1:1/pixel.png": "cannot be reached",
    }
    for url, why in refused.items():
        status, body = ask(url)
        assert status == 400 and why in body, (url, body)
    events = [e["detail"] for e in gate.records("event") if e["event"] == "egress"]
    assert len(events) == 2 + len(refused) and events[0] == {"host": "127.0.0.1", "bytes": 70}
    # Nothing of the client's request goes there.
    assert all(set(headers) <= {"host", "accept-encoding", "user-agent"} for _, headers in pictures.asked), pictures.asked[0]


def test_images_inside_the_network_are_not_fetched(own_gate, aimock):
    pictures = Pictures()
    models = f"models: {{ m: [{{ provider: openai_compatible, model: local, base_url: '{aimock.url}/v1', image_urls: false }}] }}\n"
    gate = own_gate(config=models + "egress: { image_hosts: [127.0.0.1, localhost] }\n")
    for host in ["127.0.0.1", "localhost"]:
        image = {"type": "image_url", "image_url": {"url": f"http://{host}:{pictures.server.server_port}/pixel.png"}}
        status, _, body = world.post(f"{gate.url}/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": [image]}]})
        assert status == 400 and b"not public" in body, body
    assert pictures.asked == []
