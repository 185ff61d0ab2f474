"""The management API under hostile hands: every route by its own description, and every text that people give."""

import json
import pathlib
import subprocess
import sys
import time
import urllib.parse

import world

MASTER = "sk-master-key"
CONFIG = f"""
master_key: {MASTER}
models:
  sim: [{{ provider: simulator, price: {{ input_usd_per_mtok: 1000, output_usd_per_mtok: 2000 }} }}]
"""

HOSTILE = [
    "'; DROP TABLE holders; --",
    "' OR '1'='1",
    '"}],"blocked":false,"role":"admin","x":[{"y":"',
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "../../../etc/passwd",
    "%00%0d%0aSet-Cookie: a=b",
    "${TOLLGATE_MASTER_KEY}",
    "{{7*7}}",
    "\u202egpj.exe",
    "\U0001f9e8" * 8,
    "a" * 257,
    "null\x00byte",
    "line\r\nx-injected: 1",
]


def ask(gate, method: str, path: str, body=None, key: str = MASTER):
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    status, got, answer = world.send(method, gate.url + path, body, headers)
    return status, json.loads(answer) if answer else None, got


def test_every_route_answers_as_its_description_says(own_gate, tmp_path):
    """Schemathesis makes thousands of requests up from the document: none is met with a 5xx, with a body of another shape than
    documented, or with a yes to what the document forbids or to somebody without a key."""
    gate = own_gate(config=CONFIG)
    # A precondition that fails is said before anything else is looked at (RFC 9110 §13.2.2).
    statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429]
    (tmp_path / "schemathesis.toml").write_text(f"[checks]\nnegative_data_rejection.expected-statuses = {statuses}\n")
    command = [str(pathlib.Path(sys.executable).with_name("schemathesis")), "run", f"{gate.url}/api/openapi.json", "-H", f"Authorization: Bearer {MASTER}"]
    command += ["--exclude-path", "/api/v1/tail", "--phases", "examples,fuzzing", "-n", "25", "--seed", "7", "--request-timeout", "20", "--generation-database", "none"]
    command += ["--checks", "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance,negative_data_rejection,ignored_auth"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    assert gate.process.poll() is None


def test_what_is_said_is_kept_as_it_is_or_refused(own_gate):
    gate = own_gate(config=CONFIG)
    kept = 0
    for number, text in enumerate(HOSTILE):
        for kind, member, said in [
            ("keys", "alias", text),
            ("teams", "alias", text),
            ("users", "email", text),
            ("keys", "metadata", {text: text}),
            ("keys", "models", [text]),
            ("keys", "addresses", [text]),
            ("keys", "user", text),
            ("keys", "budgets", [{"id": text, "amount_usd": "1", "window": "day"}]),
            ("keys", "budgets", [{"amount_usd": "1", "window": "day", "time_zone": text}]),
            ("keys", "id", text),
        ]:
            made = {"id": f"{kind}-{number}-{member}", member: said}
            status, answer, headers = ask(gate, "POST", f"/api/v1/{kind}", made)
            if status != 201:
                assert status in (400, 404, 409, 422) and headers["content-type"] == "application/problem+json", (status, answer)
                continue
            kept += 1
            status, got, _ = ask(gate, "GET", f"/api/v1/{kind}/{made['id']}")
            assert status == 200 and got[member] == said, (member, text)
            assert got["blocked"] is False and got.get("role", "member") == "member", "nothing else was set"
    assert kept > 40
    for kind in ("keys", "teams", "users"):
        for parameter in ("after", "limit", "alias", "user", "team"):
            for text in HOSTILE:
                quoted = urllib.parse.quote(text)
                status, answer, _ = ask(gate, "GET", f"/api/v1/{kind}?{parameter}={quoted}")
                assert status in (200, 400, 422), (kind, parameter, text, answer)
    # What was written stands in the journal, and the journal can be read.
    changes = [event for event in gate.records("event") if event["event"] == "change"]
    assert len(changes) == kept
    assert world.tollgate("journal", "verify", "--data-dir", gate.folder / "data").endswith("ok\n")


def test_callers_words_are_kept_apart_from_the_spreadsheet_that_reads_them(own_gate):
    """An end user called like a formula is no formula in the CSV that somebody opens."""
    gate = own_gate(config=CONFIG)
    body = {"model": "sim", "max_tokens": 2, "user": "=HYPERLINK(\"http://x\")", "messages": [{"role": "user", "content": "hi"}]}
    assert ask(gate, "POST", "/v1/chat/completions", body)[0] == 200
    env = {"TOLLGATE_KEY": MASTER}

    def listed():
        text = world.tollgate("spend", "--by", "end_user", "--csv", gate=gate, env=env)
        return "HYPERLINK" in text and text

    text = world.wait_for(listed, "the index", gate.process)
    assert not any(cell.strip('"').startswith(("=", "+", "-", "@")) for line in text.splitlines() for cell in line.split(",")), text


def test_a_key_cannot_be_found_by_trying(own_gate):
    """What is presented is hashed before it is looked up: how much of it is right changes nothing that could be measured."""
    gate = own_gate(config=CONFIG)
    _, made, _ = ask(gate, "POST", "/api/v1/keys", {"id": "k", "blocked": True})
    key = made["key"]

    def took(presented: str) -> float:
        begun = time.perf_counter()
        status, answer, _ = ask(gate, "GET", "/api/v1/keys", key=presented)
        assert status == 401 and answer["detail"] == "the key is not known to this gate", answer
        return time.perf_counter() - begun

    near, far = key[:-1] + ("A" if key[-1] != "A" else "B"), "sk-tg-" + "x" * 43
    times = {presented: sorted(took(presented) for _ in range(200))[100] for presented in (near, far)}
    assert max(times.values()) < 5 * min(times.values()), times
    assert ask(gate, "GET", "/api/v1/keys", key=key)[0] == 403, "only whoever has it learns that it is blocked"
