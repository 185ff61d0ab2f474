"""Servers that misbehave, and clients that want more than they may."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import mcp_world
import pytest
import world
from mcp_world import Client, fault, post, text

MASTER = {"authorization": "Bearer sk-master"}


@pytest.fixture
def fixture():
    fixture = mcp_world.Fixture()
    yield fixture
    fixture.stop()


def config(fixture, more=""):
    return f"""
master_key: sk-master
routing: {{ retries: 0 }}
tool_servers:
  fixture:
    url: "{fixture.url}/mcp"
    timeouts: {{ first_byte_ms: 1500, idle_ms: 1500, total_ms: 5000 }}
    limits: {{ message_bytes: 1048576 }}
{more}
"""


@pytest.fixture
def gate(fixture, own_gate):
    return own_gate(config=config(fixture))


def key(gate, **said) -> str:
    """A key that was just made."""
    return post(f"{gate.url}/api/v1/keys", said, MASTER)[1]["key"]


@pytest.mark.parametrize(
    ("mode", "expected", "side_effect"),
    [
        ("silent", "timeout", "possible"),
        ("foreign", "bad_upstream_response", "possible"),
        ("huge", "bad_upstream_response", "possible"),
        ("cut", "upstream_cut", "possible"),
        ("garbage", "bad_upstream_response", "possible"),
        ("html", "bad_upstream_response", "possible"),
        ("broken", "upstream_failed", "possible"),
    ],
)
def test_what_is_no_answer_is_told_apart_and_recorded(gate, fixture, mode, expected, side_effect):
    client = Client(gate, key="sk-master")
    client.begin()
    assert text(client.call("test_simple_text")).startswith("This is")
    fixture.control(mode=mode)
    answer = client.call("test_simple_text")
    assert (fault(answer)["class"], fault(answer)["side_effect"]) == (expected, side_effect), answer
    record = gate.closed(fault(answer)["call_id"])
    assert (record["outcome"], record["fault"]["class"]) == ("failed", expected)
    fixture.control()
    assert text(client.call("test_simple_text")).startswith("This is"), "and it goes on"


def test_a_hundred_megabytes_do_not_fill_the_gate(gate, fixture):
    client = Client(gate, key="sk-master")
    client.call("test_simple_text")
    fixture.control(mode="huge")
    status = pathlib.Path(f"/proc/{gate.process.pid}/status")

    def resident() -> int:
        return int(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmRSS")))

    before = resident()
    for _ in range(3):
        assert fault(client.call("test_simple_text"))["class"] == "bad_upstream_response"
    assert resident() - before < 30_000


def test_of_two_answers_the_first_counts_and_a_flood_ends_in_the_answer(gate, fixture):
    client = Client(gate, key="sk-master")
    client.begin()
    fixture.control(mode="twice")
    assert text(client.call("test_simple_text")) == "one"
    fixture.control(mode="flood")
    assert text(client.call("test_simple_text")) == "after the flood"


def test_nothing_slips_past_authorization(gate):
    limited = key(gate, tools=["fixture/test_simple_text"])
    client = Client(gate, key=limited)
    client.begin("2025-03-26")
    assert client.tools() == ["test_simple_text"]
    assert fault(client.call("test_error_handling"))["class"] == "forbidden"
    assert fault(client.ask("resources/read", {"uri": "test://static-text"}))["class"] == "tool_not_found"
    alone = Client(gate, "/fixture", key=limited)
    assert fault(alone.ask("resources/read", {"uri": "test://static-text"}))["class"] == "forbidden"
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "test_error_handling", "arguments": {}}}
    allowed = {**call, "id": 8, "params": {"name": "test_simple_text", "arguments": {}}}
    status, answers, _ = post(client.url, [call, allowed], client.headers)
    assert status == 200 and [answer["id"] for answer in answers] == [7, 8]
    assert fault(answers[0])["class"] == "forbidden" and text(answers[1]).startswith("This is")
    # The same member twice: two readers would see two tools.
    twice = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_simple_text","name":"test_error_handling"}}'
    for body, code in [(twice, -32600), (b"name=test_error_handling", -32700), (b"{}", -32600), (b"\xff", -32700)]:
        status, answer, _ = post(client.url, body, client.headers)
        assert (status, answer["error"]["code"]) == (400, code), answer
    status, _, _ = post(client.url, json.dumps(call).encode(), {**client.headers, "content-type": "text/plain"})
    assert status == 415
    refused = [record for record in gate.records() if record["outcome"] == "refused"]
    assert {record["fault"]["class"] for record in refused} == {"forbidden", "invalid_request", "tool_not_found", "unsupported_media_type"}
    assert any(record.get("tool", {}).get("name") == "test_error_handling" for record in refused)
    # A newer revision knows no batches.
    newer = Client(gate, key=limited)
    newer.begin()
    assert post(newer.url, [allowed], newer.headers)[0] == 400


def test_a_session_is_its_callers_own_and_of_one_address(gate):
    ann, bob = Client(gate, key=key(gate)), Client(gate, key=key(gate))
    ann.begin()
    session = ann.headers["mcp-session-id"]
    altered = session[:-4] + ("AAAA" if session[-4:] != "AAAA" else "BBBB")
    for client, headers in [
        (bob, {"mcp-session-id": session}),
        (ann, {"mcp-session-id": altered}),
        (ann, {"mcp-session-id": "x" * 20_000}),
    ]:
        client.headers.pop("mcp-session-id", None)
        answer = client.ask("tools/list", **headers)
        assert client.status == 404 and fault(answer)["class"] == "session_over"
    elsewhere = Client(gate, "/fixture")
    elsewhere.headers = {**ann.headers, "mcp-session-id": session}
    elsewhere.ask("tools/list")
    assert elsewhere.status == 404
    ann.headers["mcp-session-id"] = session
    assert ann.tools()
    request = http.client.HTTPConnection("127.0.0.1", gate.port)
    request.request("DELETE", "/mcp", headers=ann.headers)
    assert request.getresponse().status == 204
    ann.ask("tools/list")
    assert ann.status == 404, "what its client has ended is over"


def test_answers_that_nobody_asked_for_are_refused(gate):
    ann, bob = Client(gate, key=key(gate)), Client(gate, key=key(gate))
    ann.begin(capabilities={"sampling": {}})
    bob.begin()
    connection = http.client.HTTPConnection("127.0.0.1", gate.port)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_sampling", "arguments": {"prompt": "x"}}}
    headers = {**ann.headers, "content-type": "application/json", "accept": "application/json, text/event-stream"}
    connection.request("POST", "/mcp", json.dumps(body), headers)
    stream = connection.getresponse()
    while not (line := stream.readline()).startswith(b"data: "):
        pass
    asked = json.loads(line[6:])
    assert asked["method"] == "sampling/createMessage"
    said = {"jsonrpc": "2.0", "id": asked["id"], "result": {"role": "assistant", "model": "m", "content": {"type": "text", "text": "evil"}}}
    assert post(bob.url, said, bob.headers)[0] == 400, "somebody else's"
    assert post(ann.url, {**said, "id": "made-up"}, ann.headers)[0] == 400
    said["result"]["content"]["text"] = "good"
    assert post(ann.url, said, ann.headers)[0] == 202
    assert post(ann.url, said, ann.headers)[0] == 400, "twice"
    while not (line := stream.readline()).startswith(b"data: "):
        pass
    assert text(json.loads(line[6:])) == "LLM response: good"


def test_pages_elsewhere_are_not_served(gate):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for headers, status in [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": f"http://evil.example:{gate.port}", "host": f"evil.example:{gate.port}"}, 200),
        ({"origin": "null"}, 403),
        ({"origin": gate.url}, 200),
        ({}, 200),
    ]:
        # A page with the master key is no page of a stranger; without a master key the host must be this machine's, too.
        got = post(f"{gate.url}/mcp", hello, {**MASTER, **headers})[0]
        assert got == status, headers


def test_a_forged_trace_ties_nothing(gate):
    client = Client(gate, key="sk-master")
    forged = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    client.ask("tools/call", {"name": "test_simple_text", "arguments": {}}, traceparent=forged)
    record = gate.closed(client.answered["x-tollgate-call-id"])
    assert record["trace"]["trace_id"] == "0123456789abcdef0123456789abcdef"
    assert "cause" not in record["trace"], "a trace is the caller's word, a cause is not"
    assert record["tool"]["asked"] == "no"
    client.ask("tools/call", {"name": "test_simple_text", "arguments": {}}, traceparent="00-zz-1")
    assert client.status == 200


FORKS = textwrap.dedent(
    """
    import json, os, sys, time

    # Gets away from its parent, its group and its session, twice.
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "f", "version": "1"}}
        if asked["method"] == "tools/list":
            result = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
        if asked["method"] == "tools/call":
            result = {"content": [{"type": "text", "text": "ok"}]}
            for _ in range(asked["params"].get("arguments", {}).get("forks", 0)):
                if os.fork() == 0:
                    time.sleep(600)
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
    """
)


def left(marker: str) -> list[str]:
    """The processes whose command line holds `marker`."""
    found = subprocess.run(["pgrep", "-f", marker], capture_output=True, text=True).stdout.split()
    return [pid for pid in found if int(pid) != os.getpid()]


def gone(marker: str) -> bool:
    """Whether nothing is left within a few seconds."""
    deadline = time.monotonic() + 10
    while left(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left(marker)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_the_gate(own_gate, tmp_path, how):
    program = tmp_path / f"forks-{how.name}.py"
    program.write_text(FORKS)
    gate = own_gate(config=f"tool_servers: {{ forks: {{ command: [{sys.executable}, {program}] }} }}")
    assert text(Client(gate).call("t")) == "ok"
    assert len(left(str(program))) > 4, "the guard, the program and what it has started"
    gate.process.send_signal(how)
    gate.process.wait()
    assert gone(str(program)), left(str(program))


def test_a_program_that_forks_too_much_is_ended(own_gate, tmp_path):
    program = tmp_path / "bomb.py"
    program.write_text(FORKS)
    gate = own_gate(config=f"tool_servers: {{ forks: {{ command: [{sys.executable}, {program}], processes: 20, limits: {{ idle_ms: 600000 }} }} }}")
    client = Client(gate)
    assert text(client.call("t")) == "ok"
    before = set(left(str(program)))
    client.call("t", forks=30)
    deadline = time.monotonic() + 15
    while before & set(left(str(program))) and len(left(str(program))) > 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(left(str(program))) <= 20
    assert gate.logged("python3") or "more than 20" in gate.log.read_text()


def test_a_call_that_the_gates_death_cuts_off_is_unknown(own_gate, fixture, tmp_path):
    gate = own_gate(config=config(fixture).replace("total_ms: 5000", "total_ms: 60000").replace("first_byte_ms: 1500, idle_ms: 1500", "first_byte_ms: 60000"), folder=str(tmp_path))
    connection = http.client.HTTPConnection("127.0.0.1", gate.port)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "slow", "arguments": {"ms": 60000}}}
    connection.request("POST", "/mcp", json.dumps(body), {**MASTER, "content-type": "application/json"})
    world.wait_for(lambda: [r for r in gate.records("opened") if r.get("tool", {}).get("name") == "slow"], "the call", gate.process)
    opened = gate.records("opened")[-1]
    gate.process.kill()
    gate.process.wait()
    again = own_gate(config=config(fixture), folder=str(tmp_path))
    record = again.closed(opened["call_id"])
    assert (record["outcome"], record["fault"]["side_effect"], record["tool"]["name"]) == ("unknown", "possible", "slow")
