"""Clients that say one thing in headers and another in the body, come from elsewhere, or keep what they were once given."""

import collections
import concurrent.futures

import mcp_world
import pytest
import world
from mcp_world import Client, fault, post, text

MASTER = {"authorization": "Bearer sk-master"}
VERSION = "2026-07-28"
META = "io.modelcontextprotocol/"


@pytest.fixture
def fixture():
    fixture = mcp_world.Fixture()
    yield fixture
    fixture.stop()


@pytest.fixture
def gate(fixture, own_gate):
    servers = f'fixture: {{ url: "{fixture.url}/mcp" }}\n  stateless: {{ url: "{fixture.url}/mcp", revision: "{VERSION}" }}'
    return own_gate(config=f"master_key: sk-master\nrouting: {{ retries: 0 }}\ntool_servers:\n  {servers}\n")


def key(gate, **said) -> dict:
    """A key that was just made."""
    return post(f"{gate.url}/api/v1/keys", said, MASTER)[1]


def stateless(gate, key: str, body: dict, **headers):
    """Status and answer of a stateless call at the fixture; `headers` are what the client says besides, or instead."""
    meta = {f"{META}protocolVersion": VERSION, f"{META}clientCapabilities": {}, f"{META}clientInfo": {"name": "t", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**body, "_meta": meta}}
    said = {"mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": body["name"]}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    status, answer, _ = post(f"{gate.url}/mcp/fixture", message, {"authorization": f"Bearer {key}", **{name: value for name, value in said.items() if value}})
    return status, answer


def test_headers_that_are_not_what_the_body_says_open_nothing(gate):
    limited = key(gate, tools=["fixture/test_simple_text"])["key"]
    allowed, hidden = {"name": "test_simple_text", "arguments": {}}, {"name": "test_error_handling", "arguments": {}}
    status, answer = stateless(gate, limited, allowed)
    assert status == 200 and text(answer).startswith("This is")
    assert fault(stateless(gate, limited, hidden)[1])["class"] == "forbidden"
    for body, headers in [
        (hidden, {"mcp_name": "test_simple_text"}),
        (allowed, {"mcp_name": "test_error_handling"}),
        (allowed, {"mcp_name": ""}),
        (allowed, {"mcp_method": "tools/list"}),
        (allowed, {"mcp_method": ""}),
        (allowed, {"mcp_protocol_version": "2025-11-25"}),
    ]:
        status, answer = stateless(gate, limited, body, **headers)
        assert (status, answer["error"]["code"]) == (400, -32020), (body, headers, answer)
    ran = collections.Counter(record["tool"]["name"] for record in gate.records() if record["outcome"] == "ok")
    assert ran == {"test_simple_text": 1}


def test_a_page_that_has_rebound_a_name_is_not_served_where_nobody_needs_a_key(own_gate, fixture):
    gate = own_gate(config=f'tool_servers: {{ fixture: {{ url: "{fixture.url}/mcp" }} }}')
    hello = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for headers, status in [
        ({"host": f"evil.example:{gate.port}"}, 403),
        ({"host": f"evil.example:{gate.port}", "origin": f"http://evil.example:{gate.port}"}, 403),
        ({"host": f"127.0.0.1.evil.example:{gate.port}"}, 403),
        ({"origin": f"http://localhost.evil.example:{gate.port}"}, 403),
        ({"host": f"localhost:{gate.port}"}, 200),
        ({"host": f"localhost:{gate.port}", "origin": f"http://localhost:{gate.port}"}, 200),
    ]:
        assert post(f"{gate.url}/mcp", hello, headers)[0] == status, headers


def test_a_session_ends_with_its_key(gate):
    made = key(gate)
    one = Client(gate, "/fixture", key=made["key"])
    one.begin()
    assert "add" in one.tools()
    assert world.send("DELETE", f"{gate.url}/api/v1/keys/{made['id']}", headers=MASTER)[0] in (200, 204)
    one.ask("tools/list")
    assert one.status == 401, "what the key was good for is over"


def test_a_session_outlives_the_gate(own_gate, fixture):
    config = f'master_key: sk-master\nsecrets_key: "{"0123456789abcdef" * 2}"\ntool_servers: {{ fixture: {{ url: "{fixture.url}/mcp" }} }}'
    gate = own_gate(config=config)
    one = Client(gate, key=key(gate)["key"])
    one.begin()
    assert text(one.call("test_simple_text")).startswith("This is")
    gate.process.kill()
    gate.process.wait()
    again = own_gate(config=config, folder=str(gate.folder))
    one.url = f"{again.url}/mcp"
    listed = one.ask("tools/list")
    assert one.status == 200, listed
    assert "add" in one.tools(), "the id holds what the gate must know"


def test_lists_that_never_stop_changing_stop_nobody(gate, fixture):
    one = Client(gate, "/fixture", key="sk-master")
    one.begin()
    assert "add" in one.tools()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        changes = [pool.submit(fixture.control) for _ in range(500)]
        calls = [pool.submit(Client(gate, "/fixture", key="sk-master").call, "add", a=at, b=1) for at in range(50)]
        assert [text(call.result()) for call in calls] == [str(at + 1) for at in range(50)]
        concurrent.futures.wait(changes)
    assert "add" in one.tools()


@pytest.mark.parametrize(("mode", "expected"), [("twice", "one"), ("flood", "after the flood")])
def test_a_stateless_server_that_says_too_much(gate, fixture, mode, expected):
    one = Client(gate, "/stateless", key="sk-master")
    one.begin()
    fixture.control(mode=mode)
    assert text(one.call("test_simple_text")) == expected
    fixture.control()
    assert text(one.call("test_simple_text")).startswith("This is")
