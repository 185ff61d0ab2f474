"""Tool calls that their client groups into an operation, and what is reported of it at its end."""

import mcp_world
import pytest
from mcp_world import Client, fault, text

MASTER = {"authorization": "Bearer sk-master"}


@pytest.fixture
def gate(own_gate):
    fixture = mcp_world.Fixture()
    yield own_gate(config=f'{{ master_key: sk-master, tool_servers: {{ fixture: {{ url: "{fixture.url}/mcp", effects: {{ add: read, count: write }} }} }} }}')
    fixture.stop()


def client(gate, **headers) -> Client:
    client = Client(gate, "/fixture", key="sk-master")
    client.begin()
    client.headers |= headers
    return client


def call(client: Client, tool: str, operation: str | None = None, **arguments) -> dict:
    meta = {"_meta": {"tollgate/operation": operation}} if operation else {}
    return client.ask("tools/call", {"name": tool, "arguments": arguments, **meta})


def test_an_operation_is_reported_at_its_end(gate):
    one = client(gate)
    assert text(call(one, "add", "deploy-1", a=1, b=2)) == "3"
    done = one.ask("tollgate/operation/end", {"operation": "deploy-1"})["result"]
    assert (done["state"], [(each["server"], each["tool"], each["became"]) for each in done["calls"]]) == ("complete", [("fixture", "add", "done")])
    assert fault(one.ask("tollgate/operation/end", {"operation": "deploy-1"}))["class"] == "tool_not_found", "it has ended"
    call(one, "count", "deploy-2")
    call(one, "add", "deploy-2", a="x")
    call(one, "count")
    partial = one.ask("tollgate/operation/end", {"operation": "deploy-2"})["result"]
    assert (partial["state"], [each["became"] for each in partial["calls"]]) == ("partial", ["done", "not_done"])
    call(one, "test_error_handling", "deploy-3")
    assert one.ask("tollgate/operation/end", {"operation": "deploy-3"})["result"]["state"] == "unknown", "it says that it failed, and may have done something"
    events = [event["detail"] for event in gate.records("event") if event["event"] == "operation"]
    assert [(event["operation"], event["state"], event["whose"], event["ended_by"]) for event in events] == [
        ("deploy-1", "complete", "master/master", "client"),
        ("deploy-2", "partial", "master/master", "client"),
        ("deploy-3", "unknown", "master/master", "client"),
    ]
    assert {record["tool"].get("operation") for record in gate.records() if record["tool"].get("name") == "count"} == {"deploy-2", None}


def test_a_header_groups_all_calls_of_a_client_and_nobody_elses(gate):
    one, other = client(gate, **{"x-tollgate-operation": "run-7"}), client(gate)
    bob = Client(gate, "/fixture", key=mcp_world.post(f"{gate.url}/api/v1/keys", {"id": "bob"}, MASTER)[1]["key"])
    bob.headers["x-tollgate-operation"] = "run-7"
    for each in (one, one, other, bob):
        assert text(call(each, "add", a=1, b=1)) == "2"
    assert len(one.ask("tollgate/operation/end", {"operation": "run-7"})["result"]["calls"]) == 2
    refused = client(gate, **{"x-tollgate-operation": "two words"})
    assert fault(call(refused, "add", a=1, b=1))["class"] == "invalid_request"


def test_what_nobody_ends_ends_with_the_gate(gate):
    call(client(gate), "count", "left-open")
    assert gate.stop() == 0
    event = next(event["detail"] for event in gate.records("event") if event["event"] == "operation")
    assert (event["operation"], event["state"], event["ended_by"]) == ("left-open", "complete", "gate")
