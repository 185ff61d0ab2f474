"""The example of the README does what it says: one person, a browser, an application, and an MCP client with nothing but the address."""

import asyncio
import concurrent.futures
import re

import browser_world
import httpx2
import mcp
import mcp_world
import pytest
import sign_in_world
import world
from mcp.client.streamable_http import streamable_http_client
from mcp_oauth_world import Kept, provider
from sign_in_world import ENV, MASTER, Browser, Person
from test_sign_in_browser import signs_in
from test_sign_in_mcp import brings_back


@pytest.fixture(scope="module")
def example():
    """The gate of the README's example, with its tool server and its application."""
    written = re.search(r"```yaml\n(# sign-in\.yaml\n.*?)```", (world.ROOT / "README.md").read_text(), re.S)[1]
    assert len(written.splitlines()) <= 17, "about fifteen lines"
    notes, apache, chromium = mcp_world.Fixture(), browser_world.Apache(world.free_port()), browser_world.Chromium()
    apache.client = "wiki"
    port = world.free_port()
    config = written.replace("localhost:4002", f"localhost:{port}").replace("http://localhost:9400/mcp", f"{notes.url}/mcp")
    config = config.replace("http://localhost:8080/redirect_uri", f"{apache.url}/inside/redirect_uri")
    secrets = {"TOLLGATE_MASTER_KEY": MASTER, "TOLLGATE_SECRETS_KEY": "0123456789abcdef" * 2, "WIKI_SECRET": apache.secret}
    gate = world.Gate("--port", str(port), config=config, env=secrets)
    gate.issuer, gate.apache, gate.chromium = f"http://localhost:{port}", apache, chromium
    apache.start(gate.issuer)
    sign_in_world.invite(gate, "ann@example.com", "platform")
    yield gate
    assert gate.stop() == 0
    for one in (apache, chromium, notes):
        one.stop()


def test_she_reads_the_management_api_in_her_browser(example):
    page = example.chromium.person()
    page.goto(f"{example.issuer}/api/v1/users")
    signs_in(page, "ann@example.com")
    page.wait_for_url(f"{example.issuer}/api/v1/users")
    assert "ann@example.com" in page.inner_text("body")
    world.tollgate("user", "invite", "bob", gate=example, env=ENV)
    assert "bob" in page.goto(f"{example.issuer}/api/v1/users").text()
    browser = Browser(example)
    browser.cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    assert browser.send("DELETE", "/api/v1/users/bob", headers={"sec-fetch-site": "same-origin"}).status == 403, "an auditor reads"


def test_she_signs_in_to_the_application(example):
    page = example.chromium.person(java_script_enabled=False)
    page.goto(f"{example.apache.url}/inside/index.html")
    signs_in(page, "ann@example.com")
    page.wait_for_url(f"{example.apache.url}/inside/index.html")
    assert page.inner_text("#email") == "ann@example.com"


def test_her_mcp_client_needs_nothing_but_the_address(example):
    kept, person, url = Kept(), Person(example, "ann@example.com"), f"{example.issuer}/mcp"

    async def talk():
        async with httpx2.AsyncClient(auth=provider(url, kept, brings_back(person)), timeout=30) as http:
            async with mcp.Client(streamable_http_client(url, http_client=http)) as client:
                tool = (await client.list_tools()).tools[0].name
                await client.call_tool(tool, {})

    # Chromium's driver has the loop of this thread.
    with concurrent.futures.ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, talk()).result()
    assert len(person.asked) == 1 and "nobody here has checked it" in person.asked[0]
    called = [entry for entry in example.records() if entry.get("tool", {}).get("server") == "notes"]
    assert called[-1]["principal"]["sub"] == {"kind": "user", "id": "ann@example.com"}
