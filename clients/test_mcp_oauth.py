"""An MCP client with nothing but the URL signs in at the issuer of the gate and calls tools; a tool that wants more gets it."""

import asyncio
import json
import socket

import httpx2
import identity_world
import mcp
import pytest
import world
from identity_world import claims_of
from mcp.client.streamable_http import streamable_http_client
from mcp_oauth_world import CALLBACK, Kept, provider
from mcp_world import BINARIES
METADATA = "/.well-known/oauth-protected-resource"


@pytest.fixture(scope="module")
def gate(issuer):
    port = world.free_port()
    memory = json.dumps([str(world.NODE), str(BINARIES / "mcp-server-memory")])
    gate = world.Gate(
        "--port",
        str(port),
        config=f"""
master_key: sk-master-of-tokens
tool_servers:
  memory: {{ command: {memory}, effects: {{ create_entities: write }} }}
identity:
  url: http://127.0.0.1:{port}/
  issuers:
    corp: {{ issuer: "{issuer.url}", user: email, private: true }}
  scopes:
    - {{ scope: "notes:write", tools: ["memory/create_*", "memory/delete_*"] }}
""",
    )
    yield gate
    gate.stop()


def signs_in(person: str):
    """Somebody who sits before the client, and signs in at the issuer."""
    return lambda address: identity_world.sign_in(address, CALLBACK, person)


def post(gate, path: str, token: str | None = None, body=None):
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = body or {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    headers = {"accept": "application/json, text/event-stream", **({"authorization": f"Bearer {token}"} if token else {})}
    status, headers, text = world.post(gate.url + path, body, headers)
    return status, {name.lower(): value for name, value in headers.items()}, text


def test_a_client_with_nothing_but_the_address_signs_in_and_calls_a_tool(gate, issuer):
    async def talk() -> Kept:
        url, kept = f"{gate.url}/mcp/memory", Kept()
        async with httpx2.AsyncClient(auth=provider(url, kept, signs_in("ann")), timeout=30) as http:
            async with mcp.Client(streamable_http_client(url, http_client=http)) as client:
                assert "read_graph" in [tool.name for tool in (await client.list_tools()).tools]
                assert not (await client.call_tool("read_graph", {})).is_error
                assert len(kept.all) == 1, "one sign-in is enough for what wants no scope"
                note = {"name": "ann", "entityType": "person", "observations": ["was here"]}
                made = await client.call_tool("create_entities", {"entities": [note]})
                assert not made.is_error, made
        return kept

    kept = asyncio.run(talk())
    before, after = [claims_of(tokens.access_token) for tokens in kept.all]
    assert before["aud"] == after["aud"] == f"{gate.url}/mcp/memory"
    assert "notes:write" not in before.get("scope", "")
    assert after["scope"] == "notes:write"
    calls = [entry for entry in gate.records() if entry.get("tool", {}).get("name") == "create_entities"]
    assert [entry["outcome"] for entry in calls] == ["refused", "ok"]
    assert calls[0]["fault"]["class"] == "insufficient_scope"
    assert {entry["principal"]["sub"]["id"] for entry in calls} == {"ann@example.com"}


def test_whoever_has_no_token_is_told_where_to_get_one(gate, issuer):
    for path in ["/mcp", "/mcp/memory", "/mcp/none"]:
        status, headers, _ = post(gate, path)
        assert (status, headers["www-authenticate"]) == (401, f'Bearer resource_metadata="{gate.url}{METADATA}{path}"')
        status, text = world.get(f"{gate.url}{METADATA}{path}")
        said = json.loads(text)
        assert (status, said["resource"], said["authorization_servers"]) == (200, f"{gate.url}{path}", [issuer.url])
    assert json.loads(world.get(gate.url + METADATA)[1])["resource"] == gate.url
    assert world.get(f"{gate.url}{METADATA}/v1/models")[0] == 404
    # What would end a quoted string is in no header.
    port = int(gate.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(b'GET /mcp/x",resource_metadata="https://evil.example/m HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n')
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    assert b" 401 " in answer and b"evil.example" not in answer.split(b"\r\n\r\n")[0], answer
    status, headers, _ = post(gate, "/mcp", "eyJhbGciOiJub25lIn0.e30.AA")
    assert status == 401 and 'error="invalid_token"' in headers["www-authenticate"], headers


def test_a_token_for_one_address_is_not_good_at_another(gate, issuer):
    async def token() -> str:
        url, kept = f"{gate.url}/mcp/memory", Kept()
        async with httpx2.AsyncClient(auth=provider(url, kept, signs_in("bob")), timeout=30) as http:
            async with mcp.Client(streamable_http_client(url, http_client=http)) as client:
                await client.list_tools()
        return kept.tokens.access_token

    bob = asyncio.run(token())
    assert post(gate, "/mcp/memory", bob)[0] == 200
    for path in ["/mcp", "/mcp/memory2"]:
        status, headers, _ = post(gate, path, bob)
        assert status == 401 and "somebody else" in headers["www-authenticate"], headers
    headers = {"authorization": f"Bearer {bob}"}
    assert world.get(f"{gate.url}/v1/models", headers)[0] == 401
    stateless = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"}, "io.modelcontextprotocol/clientCapabilities": {}}
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "create_entities", "arguments": {"entities": []}, "_meta": stateless}}
    mirrored = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "create_entities", "accept": "application/json, text/event-stream"}
    status, headers, text = world.post(f"{gate.url}/mcp/memory", call, {**headers, **mirrored})
    headers = {name.lower(): value for name, value in headers.items()}
    assert status == 403 and 'error="insufficient_scope"' in headers["www-authenticate"], (status, headers)
    assert 'scope="notes:write"' in headers["www-authenticate"]
    assert json.loads(text)["error"]["data"]["tollgate/fault"]["class"] == "insufficient_scope"
