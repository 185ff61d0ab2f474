"""MCP clients with nothing but the address sign in at the gate itself: the official one, fastmcp's, programs, and the conformance suite."""

import asyncio
import json
import subprocess
import threading
import time
import urllib.parse

import fastmcp
import httpx2
import mcp
import mcp_world
import pytest
import sign_in_world
import world
from fastmcp.client.auth import OAuth
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp_oauth_world import Kept, provider
from sign_in_world import Person, claims

NOTE = {"entities": [{"name": "ann", "entityType": "person", "observations": ["was here"]}]}
CONFORMANCE = world.HERE / "node_modules" / "mcp-conformance-next" / "dist" / "index.js"

EXTRA = """
  scopes:
    - {{ scope: "notes:write", tools: ["memory/create_*", "memory/delete_*"] }}
tool_servers:
  memory: {{ command: {memory}, effects: {{ create_entities: write }} }}
"""


@pytest.fixture(scope="module", params=["/", "/login"])
def gate(request):
    """One whose issuer is its address, and one whose issuer has a path."""
    memory = json.dumps([str(world.NODE), str(mcp_world.BINARIES / "mcp-server-memory")])
    gate = sign_in_world.gate(world.Gate, path=request.param, extra=EXTRA.format(memory=memory))
    gate.tools = f"http://localhost:{gate.port}/mcp/memory"
    sign_in_world.invite(gate, "ann")
    yield gate
    assert gate.stop() == 0


def brings_back(person: Person):
    """What `person` brings back to the client; the server says who answers (RFC 9207)."""

    def opens(address: str) -> dict:
        told = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(person.opens(address)).query))
        assert told["iss"]
        return told

    return opens


def whom(said: dict) -> set[str]:
    """For whom a token is, beside the server itself, which tells who somebody is."""
    audience = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
    return {one for one in audience if not one.endswith("/oauth/userinfo")}


def created(gate) -> list[dict]:
    """What is known of calls that write."""
    return [entry for entry in gate.records() if entry.get("tool", {}).get("name") == "create_entities"]


def test_the_official_client_registers_signs_in_and_gets_more_where_a_tool_wants_more(gate):
    person, kept, known = Person(gate), Kept(), len(created(gate))

    async def talk():
        auth = provider(gate.tools, kept, brings_back(person))
        async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
            async with mcp.Client(streamable_http_client(gate.tools, http_client=http)) as client:
                assert "read_graph" in [tool.name for tool in (await client.list_tools()).tools]
                assert not (await client.call_tool("read_graph", {})).is_error
                assert (len(kept.all), len(person.asked)) == (1, 1), "one sign-in is enough for what wants no scope"
                made = await client.call_tool("create_entities", NOTE)
                assert not made.is_error, made
                assert (len(kept.all), len(person.asked)) == (2, 2)
                # What it has got ends: it gets the next by itself.
                auth.context.token_expiry_time = time.time() - 1
                assert not (await client.call_tool("create_entities", NOTE)).is_error
                assert (len(kept.all), len(person.asked)) == (3, 2)

    asyncio.run(talk())
    assert "of a test asks to act for ann" in person.asked[0] and "notes:write" not in person.asked[0]
    assert "notes:write" in person.asked[1] and gate.tools in person.asked[1]
    before, after, refreshed = [claims(tokens.access_token) for tokens in kept.all]
    assert all(whom(said) == {gate.tools} for said in (before, after, refreshed))
    assert "notes:write" not in before["scope"].split()
    assert "notes:write" in after["scope"].split() and refreshed["scope"] == after["scope"]
    assert {said["client_id"] for said in (before, after, refreshed)} == {kept.client.client_id}
    calls = created(gate)[known:]
    assert [entry["outcome"] for entry in calls] == ["refused", "ok", "ok"]
    assert calls[0]["fault"]["class"] == "insufficient_scope"
    assert {entry["principal"]["sub"]["id"] for entry in calls} == {"ann"}


@pytest.mark.parametrize("which", ["client", "sdk"])
def test_the_official_client_for_javascript_does_the_same(gate, which):
    """The one of today asks for more when a tool wants more; the one before has to know it from the beginning."""
    person, known, said = Person(gate), len(created(gate)), {}
    command = [world.NODE, world.HERE / "identity_fixture" / "mcp_client.mjs", gate.tools, which]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
        for line in client.stdout:
            said = json.loads(line)
            if "open" in said:
                client.stdin.write(f"{person.opens(said['open'])}\n")
                client.stdin.flush()
        assert client.wait(timeout=30) == 0, client.stderr.read()
    assert said["found"]["errors"] == [False, False]
    assert all(f"The {which} for JavaScript asks to act for ann" in asked for asked in person.asked), person.asked
    more = {"client": ([False, True], ["refused", "ok"]), "sdk": ([True], ["ok"])}
    assert (["notes:write" in asked for asked in person.asked], [entry["outcome"] for entry in created(gate)[known:]]) == more[which]


@pytest.mark.filterwarnings("ignore:Using in-memory token storage")
def test_fastmcps_client_opens_a_browser_and_waits_to_be_called_back(gate, monkeypatch):
    person, opened = Person(gate), []

    def browser(url: str):
        # It listens as soon as the browser is open.
        opened.append(threading.Thread(target=lambda: back(person.opens(url))))
        opened[-1].start()

    def back(url: str):
        mcp_world.until(lambda: world.get(url)[0])

    monkeypatch.setattr("webbrowser.open", browser)

    async def talk():
        async with fastmcp.Client(gate.tools, auth=OAuth(client_name="A client of fastmcp")) as client:
            assert (await client.call_tool("read_graph", {})).content

    asyncio.run(talk())
    opened[0].join()
    assert (len(opened), len(person.asked)) == (1, 1)
    assert "A client of fastmcp asks to act for ann" in person.asked[0]


def test_a_program_gets_its_own_tokens_also_for_tools_that_want_more(gate):
    kept, known = Kept(), len(created(gate))

    async def talk():
        auth = ClientCredentialsOAuthProvider(gate.tools, kept, "batch", "a-secret-of-the-batch", issuer=gate.issuer)
        async with httpx2.AsyncClient(auth=auth, timeout=30) as http:
            async with mcp.Client(streamable_http_client(gate.tools, http_client=http)) as client:
                assert not (await client.call_tool("create_entities", NOTE)).is_error

    asyncio.run(talk())
    assert [claims(tokens.access_token)["scope"] for tokens in kept.all] == ["", "notes:write"]
    calls = created(gate)[known:]
    assert [entry["outcome"] for entry in calls] == ["refused", "ok"]
    assert calls[1]["principal"]["sub"]["kind"] == "agent", calls[1]["principal"]


def checks(gate, folder, client: str) -> dict:
    """What the suite says of each check of an authorization server. It shows a URL to a person."""
    port = world.free_port()
    command = [world.NODE, CONFORMANCE, "authorization", "--url", gate.issuer, "--client-id", client, "--resource", gate.tools]
    with subprocess.Popen([*command, "-p", str(port), "-o", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as suite:
        said = []
        for line in suite.stdout:
            said.append(line)
            if line.startswith(f"{gate.issuer}/oauth/authorize?"):
                assert world.get(Person(gate).opens(line.strip()))[0] == 200
    found = {one["id"]: one for file in folder.rglob("checks.json") for one in json.loads(file.read_text())}
    assert found, "".join(said)
    return {name: (one["status"], one.get("errorMessage")) for name, one in found.items()}


def test_the_suite_for_authorization_servers_passes(gate, tmp_path):
    names = ["authorization-server-metadata", "authorization-server-metadata-cimd", "authorization-code-grant"]
    assert checks(gate, tmp_path / "named", "desk") == dict.fromkeys(names, ("SUCCESS", None))
    # The same for a client that nobody has named.
    said = {"client_name": "The suite", "redirect_uris": ["http://127.0.0.1/callback"]}
    registered = json.loads(world.post(f"{gate.issuer}/oauth/register", said)[2])["client_id"]
    assert checks(gate, tmp_path / "registered", registered) == dict.fromkeys(names, ("SUCCESS", None))
