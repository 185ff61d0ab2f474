"""Models and credentials that an admin adds while the gate runs: used at once, followed by others, kept, and no secret seen."""

import contextlib
import http.server
import json
import pathlib
import signal
import threading
import time

import pytest
import servers
import world

KEY = {"authorization": "Bearer sk-master"}
SECRET = "sk-upstream-0123456789abcdefghijklmnop"
SECRETS_KEY = "0123456789abcdef0123456789abcdef"
CONFIG = """
master_key: sk-master
secrets_key: ${TOLLGATE_SECRETS_KEY}
egress: { private_hosts: ["%s"] }
routing: { retries: 0 }
journal: { sync: every }
%s
"""
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "upstream-model",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "from the upstream"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


class Upstream:
    """A server that speaks OpenAI's dialect, keeps who called it how, and may redirect elsewhere."""

    def __init__(self):
        upstream = self
        self.calls, self.redirect = [], None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                upstream.calls.append((self.path, dict(self.headers.items()), body))
                answer = b"" if upstream.redirect else json.dumps(ANSWER).encode()
                self.send_response(307 if upstream.redirect else 200)
                if upstream.redirect:
                    self.send_header("location", upstream.redirect)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        """Answers nobody any more."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """The line of the configuration that names a database, and its variable."""
    if request.param == "sqlite":
        yield None
        return
    server = servers.Postgres()
    server.start()
    yield server
    server.remove()


def api(gate, method: str, path: str, body=None) -> tuple[int, dict]:
    """What a gate's management API answers. It never shows the secret."""
    status, _, answer = world.send(method, f"{gate.url}/api/v1{path}", body, KEY)
    assert SECRET.encode()[:-4] not in answer, answer
    return status, json.loads(answer or b"{}")


def call(gate, model: str) -> tuple[int, str]:
    """A chat completion: its status, and the text or what is wrong."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    status, _, answer = world.post(f"{gate.url}/v1/chat/completions", body, KEY)
    answer = json.loads(answer)
    return status, answer["choices"][0]["message"]["content"] if status == 200 else answer["error"]["message"]


def add(gate, upstream, secret: str = SECRET):
    """A credential for the upstream, and a model that uses it."""
    status, made = api(gate, "POST", "/credentials", {"id": "local", "secret": secret, "hosts": [upstream.host]})
    assert status == 201, made
    deployment = {"provider": "openai_compatible", "model": "upstream-model", "base_url": f"http://{upstream.host}/v1", "credential": "local"}
    status, made = api(gate, "POST", "/models", {"name": "added", "deployments": [deployment]})
    assert (status, made.get("in_service")) == (201, True), made


def until(what, why: str, seconds: float = 3.0):
    """Waits until `what` is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def holds(folder: pathlib.Path, text: str) -> list[str]:
    """The files below a folder that hold a text."""
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and text.encode() in path.read_bytes():
                found.append(str(path))
    return found


def test_a_model_is_added_used_followed_kept_and_removed(own_gate, upstream, database):
    config = CONFIG % (upstream.host, "database_url: ${PG}" if database else "")
    env = {"TOLLGATE_SECRETS_KEY": SECRETS_KEY, **({"PG": database.url} if database else {})}
    gate = own_gate(config=config, env=env)
    other = own_gate(config=config, env=env) if database else None
    assert call(gate, "added")[0] == 404
    add(gate, upstream)
    assert call(gate, "added") == (200, "from the upstream"), "in force when the API has answered"
    path, headers, body = upstream.calls[-1]
    assert (path, headers["authorization"], body["model"]) == ("/v1/chat/completions", f"Bearer {SECRET}", "upstream-model")
    if other:
        until(lambda: call(other, "added")[0] == 200, "another instance serves it within a second or two")
        assert upstream.calls[-1][1]["authorization"] == f"Bearer {SECRET}"
    assert "added" in world.get(f"{gate.url}/v1/models", KEY)[1].decode()
    info = json.loads(world.get(f"{gate.url}/model/info", KEY)[1])["data"][0]
    assert (info["model_name"], info["model_info"]["db_model"]) == ("added", True)

    # A restart keeps it: after a kill, so that nothing was written at the end.
    gate.process.send_signal(signal.SIGKILL)
    gate.process.wait()
    gate = own_gate(config=config, env=env, folder=str(gate.folder))
    assert call(gate, "added") == (200, "from the upstream")

    # A new secret is in force at once, and only hosts that it was given for get it.
    assert api(gate, "PATCH", "/credentials/local", {"hosts": ["evil.example"]})[0] == 422
    assert api(gate, "PATCH", "/credentials/local", {"secret": SECRET[::-1]})[0] == 200
    assert call(gate, "added")[0] == 200
    assert upstream.calls[-1][1]["authorization"] == f"Bearer {SECRET[::-1]}"

    status, problem = api(gate, "DELETE", "/credentials/local")
    assert (status, problem["detail"]) == (409, "the credential `local` is used by the model `added`: change or remove that first")
    assert api(gate, "DELETE", "/models/added")[0] == 204
    assert call(gate, "added")[0] == 404
    if other:
        until(lambda: call(other, "added")[0] == 404, "another instance knows within a second or two")
    assert api(gate, "DELETE", "/credentials/local")[0] == 204

    changes = [entry["detail"] for entry in gate.records("event") if entry["event"] == "change"]
    assert [f"{change['action']} {change['addition']['kind']}" for change in changes] == [
        "create credential",
        "create model",
        "change credential",
        "remove model",
        "remove credential",
    ]
    assert changes[1]["after"]["deployments"][0]["credential"] == "local"
    folders = [gate.folder, *([other.folder, database.folder] if database else [])]
    assert holds(gate.folder, "upstream-model"), "the search finds what is there"
    for folder in folders:
        for secret in (SECRET, SECRET[::-1]):
            assert holds(folder, secret) == [], "the secret is in clear nowhere"


def test_only_hosts_inside_that_the_file_names_are_reached(own_gate, upstream):
    """A name that leads to this machine is refused when it is connected to, whatever it looks like."""
    gate = own_gate(config=CONFIG % ("127.0.0.1:9", ""), env={"TOLLGATE_SECRETS_KEY": SECRETS_KEY})
    port = upstream.server.server_port

    def added(name: str, base_url: str) -> tuple[int, dict]:
        return api(gate, "POST", "/models", {"name": name, "deployments": [{"provider": "openai_compatible", "base_url": base_url}]})

    for base_url in [f"http://127.0.0.1:{port}/v1", f"http://localhost:{port}", "http://169.254.169.254/latest", f"https://127.0.0.1:{port}"]:
        status, problem = added("inside", base_url)
        assert (status, problem["member"]) == (422, "deployments[0].base_url"), problem
    assert added("name", f"https://localhost:{port}/v1")[0] == 201
    status, why = call(gate, "name")
    assert status in (502, 503) and "which is not public (egress.private_hosts" in why, (status, why)
    assert upstream.calls == []


def test_a_redirect_takes_the_credential_nowhere(own_gate, upstream):
    gate = own_gate(config=CONFIG % (upstream.host, ""), env={"TOLLGATE_SECRETS_KEY": SECRETS_KEY})
    thief = Upstream()
    upstream.redirect = f"http://{thief.host}/v1/chat/completions"
    add(gate, upstream)
    assert call(gate, "added")[0] >= 400
    assert (len(upstream.calls), thief.calls) == (1, [])
    thief.stop()


def test_a_wrong_key_takes_the_model_out_of_service_and_the_gate_runs_on(own_gate, upstream):
    config = CONFIG % (upstream.host, "models: { sim: [{ provider: simulator }] }")
    gate = own_gate(config=config, env={"TOLLGATE_SECRETS_KEY": SECRETS_KEY})
    add(gate, upstream)
    assert gate.stop() == 0
    gate = own_gate(config=config, env={"TOLLGATE_SECRETS_KEY": SECRETS_KEY[::-1]}, folder=str(gate.folder))
    status, why = call(gate, "added")
    assert status == 503 and "encrypted with another `secrets_key`" in why, (status, why)
    assert call(gate, "sim")[0] == 200
    # A file that changes is put together with what was added: here with the key of before.
    gate.config.write_text(config + f"secrets_keys_before: ['{SECRETS_KEY}']\n")
    until(lambda: call(gate, "added")[0] == 200, "the key of before reads it", 6)
    gate.config.write_text("models: [")
    until(lambda: gate.logged("the configuration was not reloaded"), "it is refused", 6)
    assert call(gate, "added")[0] == 200, "a file that does not resolve changes nothing"


def test_the_commands(own_gate, upstream, tmp_path):
    gate = own_gate(config=CONFIG % (upstream.host, ""), env={"TOLLGATE_SECRETS_KEY": SECRETS_KEY})

    assert world.tollgate("check", str(gate.config), env={"TOLLGATE_SECRETS_KEY": SECRETS_KEY}).endswith(": ok\n"), "a file without models"
    (tmp_path / "empty.yaml").write_text("models: {}")
    assert "or set `secrets_key`" in world.tollgate("check", str(tmp_path / "empty.yaml"), status=1), "nothing can ever be served"

    def run(*arguments: str, status: int = 0, **env: str) -> str:
        said = world.tollgate(*arguments, gate=gate, env={"TOLLGATE_KEY": "sk-master", **env}, status=status)
        assert SECRET not in said, said
        return said

    assert run("credential", "list").strip() == "no credentials"
    assert "was added" in run("credential", "add", "local", "--host", upstream.host, "--secret-env", "UPSTREAM_KEY", UPSTREAM_KEY=SECRET)
    assert "UPSTREAM_KEY is not set" in run("credential", "add", "x", "--host", "a.example", "--secret-env", "UPSTREAM_KEY", status=1)
    deployments = tmp_path / "deployments.json"
    deployments.write_text(json.dumps([{"provider": "openai_compatible", "base_url": f"http://{upstream.host}", "credential": "local"}] * 2))
    run("model", "add", "two", "--deployments", str(deployments), "--note", "twice")
    run("model", "add", "openai/*", "--provider", "openai_compatible", "--model", "*", "--base-url", f"http://{upstream.host}/v1", "--credential", "local")
    assert "is not for api.openai.com" in run("model", "add", "m", "--provider", "openai", "--credential", "local", status=1)
    listed = run("model", "list").splitlines()
    assert listed[0].split("  ")[0] == "model" and len(listed) == 3 and max(map(len, listed)) <= 80, listed
    assert call(gate, "openai/gpt-x") == (200, "from the upstream")
    assert "twice" in run("model", "show", "two") and "in service" in run("model", "show", "openai/*")
    assert "…mnop" in run("credential", "list")
    assert "is used by the model" in run("credential", "delete", "local", status=1)
    run("model", "delete", "openai/*")
    run("model", "delete", "two")
    run("credential", "delete", "local")
    assert run("model", "list").strip() == "no models"
