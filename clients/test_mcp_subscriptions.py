"""Who is told of what: lists that change, resources that are watched, log messages; for clients and servers with sessions and
without."""

import json

import mcp_world
import pytest
import world
from mcp_world import Client, Heard, text, who, without_session

SESSIONS, NONE = "2025-11-25", "2026-07-28"
META = who()
URI = "test://watched-resource"
@pytest.fixture(scope="module")
def gate(fixture):
    program = json.dumps([str(world.NODE), str(mcp_world.FIXTURE), "--stdio"])
    gate = world.Gate(
        config=f"""
tool_servers:
  sessions: {{ url: "{fixture.url}/mcp", revision: "{SESSIONS}" }}
  none: {{ url: "{fixture.url}/mcp", revision: "{NONE}" }}
  program: {{ command: {program} }}
"""
    )
    yield gate
    assert gate.stop() == 0


def listen(gate, server: str, wants: dict) -> Heard:
    """A client without a session that wants to be told of this."""
    body = {"jsonrpc": "2.0", "id": "listen-1", "method": "subscriptions/listen", "params": {"_meta": META, "notifications": wants}}
    address = f"/{server}" if server else ""
    return Heard(f"{gate.url}/mcp{address}", without_session("subscriptions/listen"), body)


def touch(gate, server: str):
    """Changes the resource."""
    assert text(Client(gate, f"/{server}").call("test_touch_resource", uri=URI)) == "touched"


@pytest.mark.parametrize("server", ["sessions", "none", "program"])
def test_a_client_without_sessions_is_told_of_resources(gate, server):
    heard = listen(gate, server, {"resourceSubscriptions": [URI, "test://unknown/nowhere"], "toolsListChanged": True})
    acknowledged = heard.next("notifications/subscriptions/acknowledged")["params"]
    assert acknowledged["_meta"] == {"io.modelcontextprotocol/subscriptionId": "listen-1"}
    assert acknowledged["notifications"]["toolsListChanged"] is True and URI in acknowledged["notifications"]["resourceSubscriptions"]
    if server == "program":
        # One program is one principal's: without a session the touching client is the same.
        client = Client(gate, f"/{server}")
        params = {"name": "test_touch_resource", "arguments": {"uri": URI}, "_meta": META}
        client.ask("tools/call", params, **without_session("tools/call", "test_touch_resource"))
    else:
        touch(gate, server)
    told = heard.next("notifications/resources/updated")["params"]
    assert told == {"uri": URI, "_meta": {"io.modelcontextprotocol/subscriptionId": "listen-1"}}
    heard.close()


@pytest.mark.parametrize("server", ["sessions", "none"])
def test_a_client_with_a_session_subscribes_to_resources(gate, server):
    client = Client(gate, f"/{server}")
    client.begin()
    heard = Heard(client.url, client.headers)
    assert client.ask("resources/subscribe", {"uri": URI})["result"] == {}
    world.wait_for(lambda: text(client.call("add", a=1, b=1)) == "2", "the link", gate.process)
    touch(gate, server)
    assert heard.next("notifications/resources/updated")["params"]["uri"] == URI
    assert client.ask("resources/unsubscribe", {"uri": URI})["result"] == {}
    touch(gate, server)
    Client(gate, f"/{server}").call("test_trigger_tool_change")
    heard.next("notifications/tools/list_changed")
    assert heard.said.empty(), "nothing more is told of the resource"
    heard.close()


def test_only_what_was_asked_for_is_told_and_everything_names_the_request(gate):
    heard = listen(gate, "", {"promptsListChanged": True})
    assert heard.next("notifications/subscriptions/acknowledged")["params"]["notifications"] == {"promptsListChanged": True}
    Client(gate, "/sessions").call("test_trigger_tool_change")
    Client(gate, "/sessions").call("test_trigger_prompt_change")
    told = heard.said.get(timeout=15)
    assert (told["method"], told["params"]["_meta"]) == ("notifications/prompts/list_changed", {"io.modelcontextprotocol/subscriptionId": "listen-1"})
    heard.close()


def test_a_stream_that_is_no_stream_is_refused(gate):
    headers = without_session("subscriptions/listen") | {"accept": "application/json"}
    answer = Client(gate).ask("subscriptions/listen", {"_meta": META, "notifications": {}}, **headers)
    assert "text/event-stream" in answer["error"]["message"]
    old = Client(gate)
    old.begin()
    assert old.ask("subscriptions/listen", {"notifications": {}})["error"]["code"] == -32601


@pytest.mark.parametrize("server", ["sessions", "none"])
def test_a_client_with_a_session_says_once_what_it_wants_to_read(gate, server):
    client = Client(gate, f"/{server}")
    client.begin()
    assert client.ask("logging/setLevel", {"level": "info"})["result"] == {}
    body = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "test_tool_with_logging", "arguments": {}}}
    heard = Heard(client.url, client.headers, body)
    assert heard.next("notifications/message")["params"]["data"] == "Tool execution started"
    heard.close()


def test_when_the_gate_stops_the_stream_ends_in_order(own_gate, fixture):
    gate = own_gate(config=f'tool_servers: {{ none: {{ url: "{fixture.url}/mcp", revision: "{NONE}" }} }}')
    heard = listen(gate, "none", {"toolsListChanged": True})
    heard.next("notifications/subscriptions/acknowledged")
    gate.process.terminate()
    last = heard.said.get(timeout=15)
    assert last == {"jsonrpc": "2.0", "id": "listen-1", "result": {"resultType": "complete", "_meta": {"io.modelcontextprotocol/subscriptionId": "listen-1"}}}
    assert gate.process.wait(timeout=30) == 0
