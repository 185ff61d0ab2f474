"""The official Python client and fastmcp's, stateful and stateless, against servers of the official SDK that ask back, over each transport."""

import asyncio
import contextlib
import json
import subprocess
import sys

import fastmcp
import mcp
import mcp_world
import pytest
import world
from mcp import types

SERVER = world.HERE / "mcp_fixture" / "python_server.py"
TRANSPORTS = {"stdio": None, "http": ("streamable-http", "/mcp"), "sse": ("sse", "/sse")}
MODES = ["legacy", "2026-07-28"]


@pytest.fixture(scope="module")
def gate():
    """One gate before the same server, as a program, over HTTP and over HTTP+SSE, and before the fixture."""
    with contextlib.ExitStack() as stack:
        servers = [f"stdio: {{ command: {json.dumps([sys.executable, str(SERVER), 'stdio'])}, revision: '2025-11-25' }}"]
        for name, (transport, path) in [(name, how) for name, how in TRANSPORTS.items() if how]:
            port = world.free_port()
            process = stack.enter_context(subprocess.Popen([sys.executable, SERVER, transport, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)
            world.wait_for(lambda port=port: world.get(f"http://127.0.0.1:{port}/")[0], name, process)
            revision = "2024-11-05" if name == "sse" else "2025-11-25"
            servers.append(f"{name}: {{ url: 'http://127.0.0.1:{port}{path}', transport: {name}, revision: '{revision}' }}")
        fixture = mcp_world.Fixture()
        stack.callback(fixture.stop)
        servers.append(f"fixture: {{ url: '{fixture.url}/mcp' }}")
        servers.append(f"stateless: {{ url: '{fixture.url}/mcp', revision: '2026-07-28' }}")
        servers.append(f"lines: {{ command: {json.dumps([str(world.NODE), str(mcp_world.FIXTURE), '--stdio'])}, shared: true }}")
        gate = world.Gate(config="tool_servers:\n" + "".join(f"  {server}\n" for server in servers))
        gate.fixture = fixture
        yield gate
        assert gate.stop() == 0


class Heard:
    """A client's answers to what servers ask, and what it was told."""

    def __init__(self):
        self.asked, self.logged, self.progress, self.notes = [], [], [], asyncio.Queue()

    async def sample(self, _, params):
        """Answers as a model."""
        self.asked.append(params.messages[0].content.text)
        return types.CreateMessageResult(role="assistant", model="m", content=types.TextContent(type="text", text="42"))

    async def elicit(self, _, params):
        """Answers as a user."""
        self.asked.append(params.message)
        return types.ElicitResult(action="accept", content={"name": "Ann"})

    async def roots(self, _):
        """Says where a server may look."""
        return types.ListRootsResult(roots=[types.Root(uri="file:///work")])

    async def log(self, params):
        """Keeps what was logged."""
        self.logged.append(params.data)

    async def tell(self, at, total, _):
        """Keeps how far it is."""
        self.progress.append((at, total))

    async def note(self, message):
        """Keeps notifications."""
        await self.notes.put(message)


def client(gate, server: str, mode: str, heard: Heard) -> mcp.Client:
    """The official client of one server of the gate."""
    return mcp.Client(
        f"{gate.url}/mcp/{server}",
        mode=mode,
        sampling_callback=heard.sample,
        elicitation_callback=heard.elicit,
        list_roots_callback=heard.roots,
        logging_callback=heard.log,
        log_level="debug",
        message_handler=heard.note,
        read_timeout_seconds=20,
    )


def said(result) -> str:
    """The first text of a result that is no error."""
    assert not result.is_error, result
    return result.content[0].text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_a_server_has_reaches_a_client(gate, transport, mode):
    heard = Heard()

    async def use():
        async with client(gate, transport, mode, heard) as one:
            assert {tool.name for tool in (await one.list_tools()).tools} >= {"add", "tells", "asks_for_roots"}
            added = await one.call_tool("add", {"a": 2, "b": 3})
            assert (said(added), added.structured_content) == ("5", {"result": 5})
            assert [template.uri_template for template in (await one.list_resource_templates()).resource_templates] == ["notes://{name}"]
            assert (await one.read_resource("notes://ann")).contents[0].text == "a note of ann"
            assert [prompt.name for prompt in (await one.list_prompts()).prompts] == ["greet"]
            assert "hello to Ann" in (await one.get_prompt("greet", {"name": "Ann"})).messages[0].content.text
            assert said(await one.call_tool("tells", progress_callback=heard.tell)) == "told"

    asyncio.run(use())
    assert heard.progress == [(1, 3), (2, 3), (3, 3)]
    assert heard.logged == ["on it"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_a_server_asks_reaches_a_client_and_comes_back(gate, transport, mode):
    heard = Heard()

    async def use():
        async with client(gate, transport, mode, heard) as one:
            assert said(await one.call_tool("asks_the_model", {"question": "what?"})) == "the model: 42"
            assert said(await one.call_tool("asks_for_roots")) == "file:///work"
            if transport != "sse":
                # The revision of the older transport has no elicitation.
                assert said(await one.call_tool("asks_the_user")) == "the user: accept Ann"

    asyncio.run(use())
    assert heard.asked == (["what?"] if transport == "sse" else ["what?", "Who are you?"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_who_gives_up_is_heard_of_at_the_server(gate, tmp_path, transport, mode):
    began, ended = tmp_path / "began", tmp_path / "ended"

    async def there(path):
        async with asyncio.timeout(10):
            while not path.exists():
                await asyncio.sleep(0.01)

    async def use():
        async with client(gate, transport, mode, Heard()) as one:
            call = asyncio.create_task(one.call_tool("waits", {"began": str(began), "ended": str(ended)}))
            await there(began)
            call.cancel()
            await there(ended)
            assert said(await one.call_tool("add", {"a": 1, "b": 1})) == "2", "and it goes on"

    asyncio.run(use())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("server", ["fixture", "lines"])
def test_completions_and_resources_of_our_own_server(gate, server, mode):
    async def use():
        async with client(gate, server, mode, Heard()) as one:
            of = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
            completed = await one.complete(of, {"name": "arg1", "value": "par"})
            assert completed.completion.values == ["paris", "park", "party"]
            assert (await one.read_resource("test://static-text")).contents[0].text.startswith("This is")
            assert said(await one.call_tool("test_simple_text")).startswith("This is")

    asyncio.run(use())


@pytest.mark.parametrize("server", ["fixture", "stateless", "lines"])
def test_a_list_that_has_changed_is_told_of(gate, server):
    heard = Heard()

    async def use():
        async with client(gate, server, "legacy", heard) as one:
            before = {tool.name for tool in (await one.list_tools()).tools}
            await one.call_tool("test_trigger_tool_change")
            async with asyncio.timeout(10):
                while not isinstance(await heard.notes.get(), types.ToolListChangedNotification):
                    pass
            assert {tool.name for tool in (await one.list_tools()).tools} ^ before == {"sometimes"}

    asyncio.run(use())


@pytest.mark.parametrize("mode", MODES)
def test_fastmcp_asks_and_is_asked(gate, mode):
    heard, logged = Heard(), []

    async def log(message):
        logged.append(message.data)

    async def sample(messages, params, context):
        heard.asked.append("sampling")
        return "from the model"

    async def use():
        one = fastmcp.Client(f"{gate.url}/mcp/stdio", mode=mode, sampling_handler=sample, log_handler=log, progress_handler=heard.tell, roots=["file:///work"])
        async with one:
            assert (await one.call_tool("add", {"a": 2, "b": 3})).structured_content == {"result": 5}
            assert (await one.call_tool("asks_the_model", {"question": "what?"})).content[0].text == "the model: from the model"
            assert (await one.call_tool("asks_for_roots")).content[0].text == "file:///work"
            assert (await one.call_tool("tells")).content[0].text == "told"

    asyncio.run(use())
    assert heard.asked == ["sampling"] and len(heard.progress) == 3
    assert logged == ["on it"]
