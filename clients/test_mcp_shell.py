"""Tools from a shell, and MCP over standard input and output."""

import asyncio
import json
import subprocess

import fastmcp
import mcp_world
import pytest
import world
from fastmcp.client.transports import StdioTransport
from mcp_world import cli


@pytest.fixture(scope="module")
def gate(fixture):
    gate = world.Gate(
        config=f"""
master_key: sk-master
tool_servers:
  fixture: {{ url: "{fixture.url}/mcp" }}
  stateless: {{ url: "{fixture.url}/mcp", revision: "2026-07-28" }}
"""
    )
    yield gate
    assert gate.stop() == 0


def test_tools_are_listed_shown_and_called(gate):
    listed = cli(gate, "mcp", "list", "--at", "fixture")
    assert "add" in listed and "test://static-text" in listed and "test_simple_prompt" in listed
    assert "fixture__add" in cli(gate, "mcp", "list"), "what both have has a prefix"
    shown = cli(gate, "mcp", "inspect", "add", "--at", "fixture")
    assert "a (number)" in shown and "b (number)" in shown
    assert cli(gate, "mcp", "call", "add", "a=2", "b=3", "--at", "fixture").strip() == "5"
    assert cli(gate, "mcp", "call", "add", "--arguments", '{"a": 2, "b": 4}', "--at", "fixture").strip() == "6"
    assert json.loads(cli(gate, "mcp", "call", "add", "a=2", "b=3", "--at", "fixture", "--json"))["content"][0]["text"] == "5"
    assert cli(gate, "mcp", "call", "test_x_mcp_header", "region=Wien, ☂", "--at", "stateless")


def test_what_is_wrong_is_said(gate):
    assert "did you mean `add`?" in cli(gate, "mcp", "call", "ad", "--at", "fixture", status=1)
    assert "(invalid_arguments)" in cli(gate, "mcp", "call", "add", "a=two", "b=3", "--at", "fixture", status=1)
    assert "NAME=VALUE" in cli(gate, "mcp", "call", "add", "a", "--at", "fixture", status=1)
    assert "TOLLGATE_KEY" in cli(gate, "mcp", "list", key="sk-other", status=1)
    assert "nowhere" in cli(gate, "mcp", "list", "--at", "nowhere", status=1)
    assert "error" in cli(gate, "mcp", "call", "test_error_handling", "--at", "fixture", status=1).lower()


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_a_client_that_starts_programs_reaches_everything(gate, mode):
    env = {"TOLLGATE_URL": gate.url, "TOLLGATE_KEY": "sk-master"}
    transport = StdioTransport(command=str(world.binary()), args=["mcp", "stdio", "--at", "fixture"], env=env)
    heard, logged = [], []

    async def log(message):
        logged.append(message.data)

    async def sample(messages, params, context):
        heard.append("sampling")
        return "from the model"

    async def tell(at, total, message):
        heard.append(at)

    async def use():
        one = fastmcp.Client(transport, mode=mode, sampling_handler=sample, log_handler=log, progress_handler=tell)
        async with one:
            assert (await one.call_tool("add", {"a": 2, "b": 3})).content[0].text == "5"
            assert (await one.call_tool("test_tool_with_progress")).content
            assert "from the model" in (await one.call_tool("test_sampling", {"prompt": "what?"})).content[0].text
            assert len(await one.list_resources()) > 1

    asyncio.run(use())
    assert "sampling" in heard and len(heard) > 2


def test_what_was_asked_before_the_input_ended_is_answered(gate):
    env = {"TOLLGATE_URL": gate.url, "TOLLGATE_KEY": "sk-master"}
    begin = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    said = [
        {"id": 1, "method": "initialize", "params": begin},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "slow", "arguments": {"ms": 500}}},
        {"id": 3, "method": "ping"},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in said)
    command = [world.binary(), "mcp", "stdio", "--at", "fixture"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, env=env, timeout=20)
    assert {json.loads(line)["id"] for line in done.stdout.splitlines()} == {1, 2, 3}, done.stderr
    assert (done.returncode, done.stderr) == (0, "")


def test_a_bridge_says_when_no_gate_is_there(gate):
    env = {"TOLLGATE_URL": "http://127.0.0.1:1", "PATH": "/usr/bin:/bin"}
    hello = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ping"}) + "\n"
    done = subprocess.run([world.binary(), "mcp", "stdio"], input=hello, capture_output=True, text=True, env=env, timeout=20)
    answer = json.loads(done.stdout)
    assert answer["id"] == 7 and "no gate answers" in answer["error"]["message"]
