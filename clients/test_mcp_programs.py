"""Programs as tool servers that misbehave on their standard output. A line that is no message is overlooked: programs greet whoever starts them."""

import json
import sys
import textwrap

import mcp_world
import pytest
import world
from mcp_world import Client, fault, text

CONFIG = """
routing: {{ retries: 0 }}
tool_servers:
  fixture:
    command: {command}
    env: {{ FIXTURE_MODE: "{mode}" }}
    timeouts: {{ total_ms: 1500 }}
    limits: {{ message_bytes: 1048576 }}
  well: {{ command: {command} }}
"""
COMMAND = json.dumps([str(world.NODE), str(mcp_world.FIXTURE), "--stdio"])


def client(own_gate, mode: str) -> tuple[world.Gate, Client]:
    """A client of a gate before a program that misbehaves so, and one that does not."""
    gate = own_gate(config=CONFIG.format(command=COMMAND, mode=mode))
    client = Client(gate, "/fixture")
    client.begin()
    return gate, client


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("silent", "timeout"),
        ("foreign", "timeout"),
        ("huge", "bad_upstream_response"),
        ("cut", "upstream_cut"),
        ("garbage", "timeout"),
    ],
)
def test_what_is_no_answer_is_told_apart_and_recorded(own_gate, mode, expected):
    gate, one = client(own_gate, mode)
    answer = one.call("test_simple_text")
    assert (fault(answer)["class"], fault(answer)["side_effect"]) == (expected, "possible"), answer
    record = gate.closed(fault(answer)["call_id"])
    assert (record["outcome"], record["fault"]["class"]) == ("failed", expected)
    assert len(one.ask("prompts/list")["result"]["prompts"]) > 3, "and it goes on"
    assert text(Client(gate, "/well").call("test_simple_text")).startswith("This is"), "others are not concerned"


def test_of_two_answers_the_first_counts_and_a_flood_ends_in_the_answer(own_gate):
    _, one = client(own_gate, "twice")
    for _ in range(3):
        assert text(one.call("test_simple_text")) == "one", "the second answer is nobody's"
    _, one = client(own_gate, "flood")
    assert text(one.call("test_simple_text")) == "after the flood"


def test_a_program_that_ends_at_once_breaks_no_other(own_gate):
    ends = json.dumps([sys.executable, "-c", "print('not a server')"])
    gate = own_gate(config=f"tool_servers:\n  ends: {{ command: {ends} }}\n  missing: {{ command: [/nowhere/at-all] }}\n  well: {{ command: {COMMAND} }}\n")
    one = Client(gate)
    assert "test_simple_text" in one.tools()
    assert text(one.call("test_simple_text")).startswith("This is")
    for server in ("ends", "missing"):
        assert fault(Client(gate, f"/{server}").ask("tools/list"))["blame"] == "upstream"


def test_a_child_knows_nothing_of_the_gates_secrets(own_gate, tmp_path):
    program = tmp_path / "env.py"
    program.write_text(SHOWS)
    config = f'tool_servers: {{ shows: {{ command: {json.dumps([sys.executable, str(program)])}, env: {{ OWN: "${{OWN_SECRET}}" }} }} }}'
    gate = own_gate(config=config, env={"OWN_SECRET": "for-the-child", "OTHER_SECRET": "for-the-gate", "TOLLGATE_MASTER_KEY": "sk-m"})
    said = json.loads(text(Client(gate, key="sk-m").call("t")))
    assert said["env"]["OWN"] == "for-the-child"
    assert not {"OWN_SECRET", "OTHER_SECRET", "TOLLGATE_MASTER_KEY"} & set(said["env"])
    assert not {name for name in said["files"] if "tollgate-test" in name}, "nor are files of the gate open in it"
    assert "for-the-child" not in gate.log.read_text()


SHOWS = textwrap.dedent(
    """
    import json, os, sys

    def files():
        for name in os.listdir("/proc/self/fd"):
            try:
                if int(name) > 2:
                    yield os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                pass

    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
        if asked["method"] == "tools/list":
            result = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}
        if asked["method"] == "tools/call":
            print(os.environ.get("OWN"), file=sys.stderr, flush=True)
            shown = {"env": dict(os.environ), "files": list(files())}
            result = {"content": [{"type": "text", "text": json.dumps(shown)}]}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
    """
)
