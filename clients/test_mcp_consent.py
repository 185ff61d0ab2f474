"""Calls that whoever makes them may let pass themselves (`approver: caller`), and calls that are only rehearsed."""

import asyncio
import json

import fastmcp
import mcp_world
import pytest
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp_world import Client, cli, fault, text, who, without_session

CONFIG = """
master_key: sk-master
tool_servers:
  fixture: {{ url: "{url}/mcp", effects: {{ add: read, count: {{ effect: destructive, undo: {{ tool: add }} }} }} }}
tools: {{ approvals: {{ hold: [destructive], approver: {approver}, wait_ms: {wait} }} }}
"""
META = who(elicitation={"form": {}})
HEADERS = without_session("tools/call", "count")


@pytest.fixture
def gate(own_gate):
    """Makes a gate before the fixture."""
    made = []

    def make(approver: str = "caller", wait: int = 20_000):
        made.append(mcp_world.Fixture())
        return own_gate(config=CONFIG.format(url=made[-1].url, approver=approver, wait=wait))

    yield make
    for fixture in made:
        fixture.stop()


def session(gate, answer, mode: str = "legacy"):
    """Calls the tool as a client that answers so, and returns the result and what it was asked."""
    asked = []

    async def elicit(message, _type, _params, _context):
        asked.append(message)
        return answer

    async def run():
        transport = StreamableHttpTransport(f"{gate.url}/mcp/fixture", headers={"authorization": "Bearer sk-master"})
        async with fastmcp.Client(transport, elicitation_handler=elicit, mode=mode) as client:
            return await client.call_tool("count", {})

    try:
        return asyncio.run(run()), asked
    except ToolError as error:
        return error, asked


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_a_client_asks_whoever_sits_before_it(gate, mode):
    gate = gate()
    result, asked = session(gate, ElicitResult(action="accept", content={"allow": True}), mode)
    assert result.content[0].text == "1"
    assert asked == ["Allow `count` of `fixture`? It may lose something. Arguments: {}"]
    record = next(record for record in gate.records() if (record.get("tool") or {}).get("approval"))
    approval = json.loads(cli(gate, "approval", "show", record["tool"]["approval"], "--json"))
    assert (approval["state"], approval["decided_by"], approval["reason"]) == ("used", "master/master", "asked in the call")


@pytest.mark.parametrize("answer", [ElicitResult(action="accept", content={"allow": False}), ElicitResult(action="decline")])
def test_who_says_no_is_believed(gate, answer):
    gate = gate()
    result, _ = session(gate, answer)
    assert "has denied the call" in str(result)
    assert "has denied the call" in str(session(gate, ElicitResult(action="accept", content={"allow": True}))[0]), "and is not asked again"


def test_who_does_not_decide_leaves_it_to_others(gate):
    gate = gate(wait=1_000)
    result, asked = session(gate, ElicitResult(action="cancel"))
    assert len(asked) == 1 and "waits for somebody's approval" in str(result)
    assert "fixture/count" in cli(gate, "approval", "list")


def test_where_operators_decide_nobody_else_is_asked(gate):
    result, asked = session(gate("operator", wait=300), ElicitResult(action="accept", content={"allow": True}))
    assert asked == [] and "waits for somebody's approval" in str(result)


def test_a_client_without_sessions_is_asked_in_its_answer(gate):
    gate = gate()
    client = Client(gate, "/fixture", key="sk-master")
    params = {"name": "count", "arguments": {}, "_meta": META}
    first = client.ask("tools/call", params, **HEADERS)["result"]
    asking = client.answered["x-tollgate-call-id"]
    assert first["resultType"] == "input_required"
    question = first["inputRequests"]["allow"]
    assert question["method"] == "elicitation/create" and "Allow `count` of `fixture`?" in question["params"]["message"]
    record = gate.closed(asking)
    assert (record["outcome"], record["fault"]["class"], record["fault"]["side_effect"]) == ("refused", "approval_pending", "none")
    forged = {**params, "requestState": "tollgate.approval.0", "inputResponses": {"allow": {"action": "accept", "content": {"allow": True}}}}
    assert client.ask("tools/call", forged, **HEADERS)["result"]["resultType"] == "input_required", "that was asked of nobody"
    again = {**forged, "requestState": first["requestState"]}
    assert text(client.ask("tools/call", again, **HEADERS)) == "1"
    assert client.ask("tools/call", again, **HEADERS)["result"]["resultType"] == "input_required", "each call is asked about"


def test_a_rehearsal_says_what_would_be_and_does_nothing(gate):
    gate = gate("operator")
    client = Client(gate, "/fixture", key="sk-master")
    client.begin()
    assert text(client.call("add", a=1, b=1)) == "2"
    dry = client.ask("tools/call", {"name": "count", "arguments": {}, "_meta": {"tollgate/dry_run": True}})["result"]
    facts = dry["_meta"]["tollgate/dry_run"]
    assert (facts["server"], facts["tool"], facts["effect"], facts["undo"]) == ("fixture", "count", "destructive", "add")
    assert "tools.approvals.hold" in facts["held"] and "would wait for somebody's approval" in dry["content"][0]["text"]
    assert gate.closed(client.answered["x-tollgate-call-id"])["tool"]["dry_run"] is True
    assert json.loads(cli(gate, "approval", "list", "--json")) == [], "nobody was asked"
    for unclear in ("true", 1, None, {}):
        said = client.ask("tools/call", {"name": "add", "arguments": {"a": 1, "b": 1}, "_meta": {"tollgate/dry_run": unclear}})
        assert fault(said)["class"] == "invalid_request", "it would be made"
    refused = client.ask("tools/call", {"name": "add", "arguments": {"a": "x"}, "_meta": {"tollgate/dry_run": True}})
    assert fault(refused)["class"] == "invalid_arguments"
    said = cli(gate, "mcp", "call", "add", "a=1", "b=2", "--at", "fixture", "--dry-run")
    assert said.strip() == "Dry run, nothing was sent: `add` of `fixture` (read) would be called."
