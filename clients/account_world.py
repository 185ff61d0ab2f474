"""Tool servers that want accounts: fastmcp's, with an authorization server of its own, and what a gate in front of them says."""

import asyncio
import contextlib
import json
import secrets
import threading
import time
import urllib.parse

import requests
import uvicorn
import world
from fastmcp import FastMCP
from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.dependencies import get_access_token
from mcp.server.auth.provider import AccessToken, AuthorizationParams, TokenError


class Provider(InMemoryOAuthProvider):
    """Gives each account another name, remembers what it was asked, and ends tokens when a test says so."""

    def __init__(self, url: str):
        registration = ClientRegistrationOptions(enabled=True, valid_scopes=["notes"], default_scopes=["notes"])
        super().__init__(base_url=url, client_registration_options=registration, revocation_options=RevocationOptions(enabled=True), required_scopes=["notes"])
        self.lasts, self.asked, self.renewed, self.used, self.people = 3600, [], 0, set(), iter(range(1, 1000))
        self.whose, self.ending = {}, 0.0

    async def authorize(self, client, params: AuthorizationParams) -> str:
        self.asked.append(params)
        to = await super().authorize(client, params)
        self.whose[dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(to).query))["code"]] = f"account-{next(self.people)}"
        return to

    def _named(self, token, whose: str):
        self.access_tokens[token.access_token].client_id = whose
        self.access_tokens[token.access_token].expires_at = int(time.time() + self.lasts)
        self.whose[token.refresh_token] = whose
        return token.model_copy(update={"expires_in": self.lasts})

    async def exchange_authorization_code(self, client, authorization_code):
        token = await super().exchange_authorization_code(client, authorization_code)
        return self._named(token, self.whose[authorization_code.code])

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        await asyncio.sleep(self.ending)
        if refresh_token.token in self.used:
            raise TokenError("invalid_grant", "the refresh token was used before")
        self.used.add(refresh_token.token)
        self.renewed += 1
        whose = self.whose[refresh_token.token]
        return self._named(await super().exchange_refresh_token(client, refresh_token, scopes), whose)

    async def load_refresh_token(self, client, refresh_token):
        found = await super().load_refresh_token(client, refresh_token)
        if not found and refresh_token in self.used:
            raise TokenError("invalid_grant", "the refresh token was used before")
        return found

    def end_access(self):
        """Ends all access tokens, as a server may at any time."""
        self.access_tokens.clear()
        self._access_to_refresh_map.clear()

    def end_all(self):
        self.end_access()
        self.refresh_tokens.clear()


class Server:
    """A tool server that says whose account it was called with."""

    def __init__(self):
        self.port = world.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.provider = Provider(self.url)
        server = FastMCP("notes", auth=self.provider)

        @server.tool
        def whoami() -> str:
            """Says whose account this is."""
            token: AccessToken = get_access_token()
            return token.client_id

        self.app = server.http_app(path="/mcp")
        config = uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the tool server has not started"
            time.sleep(0.01)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)


def connect(browser, gate, name: str = "notes"):
    """Connects an account of whoever is signed in in `browser`, and says what the page says then."""
    page = browser.open(f"{gate.issuer}/oauth/connections")
    return brought_back(browser, browser.submit_to(page, name, "connect"))


def brought_back(browser, location):
    """What the gate says when the browser comes back from a server that asks nobody anything."""
    if not isinstance(location, str):
        return location
    answer = requests.get(location, allow_redirects=False, timeout=30)
    assert answer.status_code in (302, 307), (answer.status_code, answer.text)
    return browser.open(answer.headers["location"])


def call(gate, key: str, tool: str = "whoami", address: str = "/mcp", **more) -> dict:
    """A tool call of a client without a session."""
    params = {"name": tool, "arguments": {}, **more}
    return ask(gate, key, "tools/call", params, address)


def ask(gate, key: str, method: str, params: dict, address: str = "/mcp") -> dict:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": secrets.randbelow(1 << 30), "method": method, "params": {**params, "_meta": meta}}
    headers = {"authorization": f"Bearer {key}", "accept": "application/json, text/event-stream", "mcp-protocol-version": "2026-07-28", "mcp-method": method}
    if "name" in params:
        headers["mcp-name"] = params["name"]
    answer = requests.post(f"{gate.url}{address}", json=body, headers=headers, timeout=60)
    text = answer.text
    if "text/event-stream" in answer.headers.get("content-type", ""):
        data = [line[5:] for line in text.splitlines() if line.startswith("data:")]
        text = next(one for one in data if '"id"' in one)
    with contextlib.suppress(ValueError):
        return json.loads(text)
    raise AssertionError((answer.status_code, text))
