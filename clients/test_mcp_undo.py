"""What tool calls of a trace have changed, and how it is taken back."""

import http.client
import json

import mcp_world
import pytest
import world
from mcp_world import BINARIES, Client, cli, text

MASTER = {"authorization": "Bearer sk-master"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}

MEMORY = """
master_key: sk-master
tool_servers:
  memory:
    command: {command}
    env: {{ MEMORY_FILE_PATH: "{file}" }}
    effects:
      read_graph: read
      create_entities: {{ effect: write, undo: {{ tool: delete_entities, arguments: {{ entityNames: ["{{{{arguments.entities.0.name}}}}"] }} }} }}
      add_observations: {{ effect: write, undo: {{ tool: delete_observations, arguments: {{ deletions: "{{{{result.structuredContent.results}}}}" }} }} }}
{more}
"""


@pytest.fixture
def memory(tmp_path):
    """Makes the configuration of a gate before the official memory server."""
    command = json.dumps([str(world.NODE), str(BINARIES / "mcp-server-memory")])
    return lambda more="": MEMORY.format(command=command, file=tmp_path / "memory.json", more=more)


def ann(client: Client) -> dict:
    """Makes something known of Ann."""
    made = client.ask("tools/call", {"name": "create_entities", "arguments": {"entities": [{"name": "Ann", "entityType": "person", "observations": []}]}}, **PARENT)
    assert text(made)
    return made


def graph(client: Client) -> dict:
    """Everything that the server knows."""
    return json.loads(text(client.ask("tools/call", {"name": "read_graph", "arguments": {}}, **PARENT)))


def indexed(gate, calls: int):
    """Waits until so many calls of the trace are in the index."""

    def there():
        status, body = world.get(f"{gate.url}/api/v1/traces/{TRACE}", MASTER)
        closed = [call for call in json.loads(body)["calls"] if call["entries"][-1]["entry"] == "closed"] if status == 200 else []
        return len(closed) >= calls

    world.wait_for(there, "the trace", gate.process)


def test_what_was_done_is_shown_and_taken_back_the_latest_first(own_gate, memory):
    gate = own_gate(config=memory())
    client = Client(gate, "/memory", key="sk-master")
    ann(client)
    client.ask("tools/call", {"name": "create_entities", "arguments": {"entities": [{"name": "Bob", "entityType": "person", "observations": []}]}}, **PARENT)
    client.ask("tools/call", {"name": "create_entities", "arguments": {"entities": "none"}}, **PARENT)
    assert len(graph(client)["entities"]) == 2
    indexed(gate, 4)
    shown = cli(gate, "undo", TRACE)
    assert "partial, tool calls: 3 done, 1 not done" in shown and "nothing was called" in shown
    assert shown.index('memory/delete_entities {"entityNames":["Bob"]}') < shown.index('memory/delete_entities {"entityNames":["Ann"]}')
    assert "it only reads" in shown and "it changed nothing" in shown
    plan = json.loads(cli(gate, "undo", TRACE, "--json"))
    assert [step["happened"] for step in plan["steps"]] == ["yes", "no", "yes", "yes"]
    assert len(graph(client)["entities"]) == 2, "nothing was called"
    done = cli(gate, "undo", TRACE, "--run")
    assert done.count("took back") == 2
    assert graph(client)["entities"] == []
    indexed(gate, 8)
    again = cli(gate, "undo", TRACE)
    assert again.count("it was taken back by") == 2 and "there is nothing to call" in again
    undone = [record for record in gate.records() if (record["trace"].get("cause") or {}).get("by") == "undo"]
    assert [record["tool"]["name"] for record in undone] == ["delete_entities", "delete_entities"]
    assert "it takes back" in cli(gate, "trace", TRACE)


def test_what_comes_from_the_result_is_taken_back_with_it(own_gate, memory):
    gate = own_gate(config=memory())
    client = Client(gate, "/memory", key="sk-master")
    ann(client)
    client.ask("tools/call", {"name": "add_observations", "arguments": {"observations": [{"entityName": "Ann", "contents": ["likes tea"]}]}}, **PARENT)
    observed = gate.closed(client.answered["x-tollgate-call-id"])["call_id"]
    indexed(gate, 2)
    shown = cli(gate, "undo", observed, "--call", observed)
    # The official server names what it added otherwise than what it takes away: its own schema refuses, and nothing is lost.
    assert "memory/delete_observations" in shown
    stopped = cli(gate, "undo", TRACE, "--run", status=1)
    assert "stopped at" in stopped and "2 of 2 calls were not made" in stopped
    assert graph(client)["entities"][0]["observations"] == ["likes tea"], "what follows may rest on what failed"


def test_an_undo_goes_through_all_phases(own_gate, memory):
    gate = own_gate(config=memory("tools: { approvals: { tools: [memory/delete_entities], wait_ms: 1 } }"))
    client = Client(gate, "/memory", key="sk-master")
    ann(client)
    indexed(gate, 1)
    assert "waits for somebody's approval" in cli(gate, "undo", TRACE, "--run", status=1)
    approval = json.loads(cli(gate, "approval", "list", "--json"))[0]["id"]
    other = mcp_world.post(f"{gate.url}/api/v1/keys", {"role": "admin"}, MASTER)[1]["key"]
    cli(gate, "approval", "approve", approval, key=other)
    assert "took back" in cli(gate, "undo", TRACE, "--run")
    assert graph(client)["entities"] == []


def test_an_agent_cannot_pass_its_changes_off_as_an_undo(own_gate, memory):
    gate = own_gate(config=memory())
    bot = mcp_world.post(f"{gate.url}/api/v1/keys", {"id": "bot"}, MASTER)[1]["key"]
    client = Client(gate, "/memory", key=bot)
    ann(client)
    made = client.answered["x-tollgate-call-id"]
    arguments = {"entities": [{"name": "Eve", "entityType": "person", "observations": []}]}
    for key, by in ((bot, None), ("sk-master", "undo")):
        other = Client(gate, "/memory", key=key)
        other.ask("tools/call", {"name": "create_entities", "arguments": arguments}, **PARENT, **{"x-tollgate-cause": f"undo {made}"})
        assert (gate.closed(other.answered["x-tollgate-call-id"])["trace"].get("cause") or {}).get("by") == by
    indexed(gate, 3)
    steps = json.loads(cli(gate, "undo", TRACE, "--json"))["steps"]
    assert [step["whose"] for step in steps] == ["master", "key/bot", "key/bot"], "what takes nothing back is a change like others"
    done = json.loads(cli(gate, "undo", TRACE, "--run", "--json"))
    assert len(done["taken_back"]) == 3 and done["stopped"] is None


def test_a_tool_that_is_shown_under_another_name_takes_back_too(own_gate, memory):
    rename = "{ server: memory, tool: delete_entities, to: forget_people }"
    gate = own_gate(config=memory(f"tools: {{ names: {{ rename: [{rename}] }} }}"))
    client = Client(gate, "/memory", key="sk-master")
    ann(client)
    assert "forget_people" in client.tools()
    indexed(gate, 1)
    assert "took back" in cli(gate, "undo", TRACE, "--run")
    assert graph(client)["entities"] == []


def test_what_a_killed_gate_left_is_unknown_and_the_plan_says_so(own_gate, tmp_path):
    fixture = mcp_world.Fixture()
    config = f'''
master_key: sk-master
tool_servers:
  fixture: {{ url: "{fixture.url}/mcp", effects: {{ slow: {{ effect: write, undo: {{ tool: add, arguments: {{ a: 0, b: "{{{{arguments.ms}}}}" }} }} }} }} }}
'''
    gate = own_gate(config=config, folder=str(tmp_path))
    Client(gate, "/fixture", key="sk-master").tools()
    connection = http.client.HTTPConnection("127.0.0.1", gate.port)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "slow", "arguments": {"ms": 60000}}}
    connection.request("POST", "/mcp/fixture", json.dumps(body), {**MASTER, **PARENT, "content-type": "application/json"})
    world.wait_for(lambda: [r for r in gate.records("opened") if r.get("tool", {}).get("name") == "slow"], "the call", gate.process)
    gate.process.kill()
    gate.process.wait()
    again = own_gate(config=config, folder=str(tmp_path))
    indexed(again, 1)
    shown = cli(again, "undo", TRACE)
    assert "unknown, tool calls: 1 of which nobody knows" in shown
    assert "it may have happened" in shown and "there is nothing to call" in shown
    assert "took back" not in cli(again, "undo", TRACE, "--run")
    assert 'fixture/add {"a":0,"b":60000}' in cli(again, "undo", TRACE, "--uncertain")
    fixture.stop()
