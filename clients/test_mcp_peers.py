"""The official servers and SDKs on both sides of the gate."""

import asyncio
import contextlib
import json
import subprocess
import sys
import textwrap

import fastmcp
import mcp_world
import pytest
import world
from mcp_world import BINARIES, Client, text

FILES = "mcp-server-filesystem"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    (folder / "a.txt").write_text("hello\n")
    return folder


@pytest.fixture(scope="module")
def gate(folder, tmp_path_factory):
    memory = tmp_path_factory.mktemp("memory") / "memory.json"
    python = tmp_path_factory.mktemp("python") / "server.py"
    python.write_text(PYTHON)

    def command(*parts):
        return json.dumps([str(part) for part in parts])

    config = f"""
tool_servers:
  files: {{ command: {command(world.NODE, BINARIES / FILES, folder)} }}
  memory: {{ command: {command(world.NODE, BINARIES / "mcp-server-memory")}, env: {{ MEMORY_FILE_PATH: "{memory}" }} }}
  everything: {{ command: {command(world.NODE, BINARIES / "mcp-server-everything", "stdio")} }}
  python: {{ command: {command(sys.executable, python)} }}
tool_bundles:
  reading: {{ servers: [files, memory], tools: ["files/read_*", "memory/*_nodes"] }}
"""
    gate = world.Gate(config=config)
    yield gate
    assert gate.stop() == 0


PYTHON = textwrap.dedent(
    """
    from fastmcp import Context, FastMCP

    server = FastMCP("python")

    @server.tool
    def add(a: int, b: int) -> int:
        \"\"\"Adds two numbers.\"\"\"
        return a + b

    @server.tool
    async def counts(ctx: Context) -> str:
        \"\"\"Tells how far it is.\"\"\"
        for at in range(3):
            await ctx.report_progress(at, 3)
        return "counted"

    @server.resource("notes://one")
    def one() -> str:
        return "a note"

    @server.prompt
    def greet(name: str) -> str:
        return f"Say hello to {name}."

    if __name__ == "__main__":
        server.run()
    """
)


def test_one_address_has_the_tools_of_all_servers(gate):
    client = Client(gate)
    names = client.tools()
    assert {"read_text_file", "create_entities", "echo", "add"} <= set(names)
    assert len(names) == len(set(names))
    assert set(Client(gate, "/reading").tools()) == {name for name in names if name.startswith("read_") and name != "read_graph"} | {"open_nodes", "search_nodes"}
    assert "echo" not in Client(gate, "/files").tools()


def test_the_official_servers_do_what_they_do(gate, folder):
    client = Client(gate)
    client.begin()
    assert text(client.call("read_text_file", path=str(folder / "a.txt"))) == "hello\n"
    entity = {"name": "gate", "entityType": "thing", "observations": ["it is one"]}
    assert "gate" in text(client.call("create_entities", entities=[entity]))
    assert "it is one" in text(client.call("open_nodes", names=["gate"]))
    assert text(client.call("add", a=2, b=3)) == "5"
    assert "Echo: hi" in text(client.call("echo", message="hi"))
    outside = client.call("read_text_file", path="/etc/passwd")
    assert outside["result"]["isError"] and mcp_world.fault(outside)["class"] == "tool_failed"
    record = gate.closed(client.answered["x-tollgate-call-id"])
    assert (record["tool"]["server"], record["tool"]["name"], record["fault"]["class"]) == ("files", "read_text_file", "tool_failed")


def test_a_python_client_lists_calls_reads_and_is_asked(gate):
    progress, logged, asked = [], [], []

    async def sampled(messages, params, context):
        asked.append("sampling")
        return "from the model"

    async def elicited(message, response_type, params, context):
        asked.append("elicitation")
        return fastmcp.client.elicitation.ElicitResult(action="decline")

    async def told(at, total, message):
        progress.append(at)

    async def everything():
        client = fastmcp.Client(
            f"{gate.url}/mcp/everything",
            sampling_handler=sampled,
            elicitation_handler=elicited,
            progress_handler=told,
            log_handler=lambda message: asyncio.sleep(0, logged.append(message)),
            roots=["file:///tmp"],
        )
        async with client:
            names = {tool.name for tool in await client.list_tools()}
            long = await client.call_tool("trigger-long-running-operation", {"duration": 0.2, "steps": 2})
            sampling = await client.call_tool("trigger-sampling-request", {"prompt": "x", "maxTokens": 10})
            eliciting = await client.call_tool("trigger-elicitation-request", {})
            resources = await client.list_resources()
            read = await client.read_resource(resources[0].uri)
            prompts = await client.list_prompts()
            prompt = await client.get_prompt(prompts[0].name, {})
            return names, long, sampling, eliciting, read, prompt

    names, long, sampling, eliciting, read, prompt = asyncio.run(everything())
    assert "echo" in names and "completed" in long.content[0].text
    assert progress and asked == ["sampling", "elicitation"]
    assert "from the model" in str(sampling.content) and "decline" in str(eliciting.content).lower()
    assert read and prompt.messages


def test_a_python_server_is_served_over_http_and_over_the_older_transport(own_gate, tmp_path):
    ports = {transport: world.free_port() for transport in ["http", "sse"]}
    (tmp_path / "server.py").write_text(PYTHON.replace("server.run()", 'import sys\n    server.run(transport=sys.argv[1], port=int(sys.argv[2]))'))
    with contextlib.ExitStack() as stack:
        for transport, port in ports.items():
            command = [sys.executable, tmp_path / "server.py", transport, str(port)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)
            world.wait_for(lambda port=port: world.get(f"http://127.0.0.1:{port}/")[0], transport, process)
        config = f"""
tool_servers:
  http: {{ url: "http://127.0.0.1:{ports["http"]}/mcp" }}
  sse: {{ url: "http://127.0.0.1:{ports["sse"]}/sse", transport: sse }}
"""
        gate = own_gate(config=config)
        for server in ports:
            client = Client(gate, f"/{server}")
            assert client.begin()["serverInfo"]["name"] == "python"
            assert text(client.call("add", a=1, b=2)) == "3"
            assert text(client.call("counts")) == "counted"
            assert client.ask("resources/read", {"uri": "notes://one"})["result"]["contents"][0]["text"] == "a note"
            prompt = client.ask("prompts/get", {"name": "greet", "arguments": {"name": "Ann"}})
            assert "hello to Ann" in prompt["result"]["messages"][0]["content"]["text"]
        # Both have the same tools, so that each has the server's name before it.
        assert "http__add" in Client(gate).tools() and "sse__add" in Client(gate).tools()
        assert text(Client(gate).call("sse__add", a=4, b=5)) == "9"
