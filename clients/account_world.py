"""Tool servers that want accounts: fastmcp's, scripted ones, and what a gate in front of them says."""

import asyncio
import base64
import hashlib
import http.server
import itertools
import json
import secrets
import signal
import socket
import threading
import time
import urllib.parse

import mcp_world
import requests
import sign_in_world
import uvicorn
import world
from fastmcp import FastMCP
from fastmcp.server.auth.auth import ClientRegistrationOptions, RevocationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.dependencies import get_access_token
from mcp.server.auth.provider import AccessToken, AuthorizationParams
from sign_in_world import ENV

# Where metadata is (RFC 9728, RFC 8414).
RESOURCE = "/.well-known/oauth-protected-resource"
SERVER = "/.well-known/oauth-authorization-server"


class Provider(InMemoryOAuthProvider):
    """Gives each account another name, remembers what it was asked, and ends tokens when a test says so."""

    def __init__(self, url: str):
        registration = ClientRegistrationOptions(enabled=True, valid_scopes=["notes"], default_scopes=["notes"])
        super().__init__(base_url=url, client_registration_options=registration, revocation_options=RevocationOptions(enabled=True), required_scopes=["notes"])
        self.lasts, self.ending = 3600, 0.0
        self.asked, self.given, self.renewed, self.reused = [], [], 0, 0
        self.whose, self.used, self.people = {}, set(), itertools.count(1)

    async def authorize(self, client, params: AuthorizationParams) -> str:
        self.asked.append(params)
        to = await super().authorize(client, params)
        self.whose[query(to)["code"]] = f"account-{next(self.people)}"
        return to

    def _named(self, token, whose: str):
        self.access_tokens[token.access_token].client_id = whose
        self.access_tokens[token.access_token].expires_at = int(time.time() + self.lasts)
        self.whose[token.refresh_token] = whose
        self.given.append(token)
        return token.model_copy(update={"expires_in": self.lasts})

    async def exchange_authorization_code(self, client, authorization_code):
        token = await super().exchange_authorization_code(client, authorization_code)
        return self._named(token, self.whose[authorization_code.code])

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        self.renewed += 1
        self.used.add(refresh_token.token)
        made = await super().exchange_refresh_token(client, refresh_token, scopes)
        made = self._named(made, self.whose[refresh_token.token])
        # What is given out is on its way for as long as a test wants.
        await asyncio.sleep(self.ending)
        return made

    async def load_refresh_token(self, client, refresh_token):
        self.reused += refresh_token in self.used
        return await super().load_refresh_token(client, refresh_token)

    def end_access(self):
        """Ends all access tokens, as a server may at any time."""
        self.access_tokens.clear()
        self._access_to_refresh_map.clear()
        self._refresh_to_access_map.clear()

    def end_all(self):
        self.end_access()
        self.refresh_tokens.clear()


class Server:
    """A tool server that says whose account it was called with, and keeps with which tokens it was called."""

    def __init__(self, auth=Provider, port: int | None = None):
        self.port, self.called = port or world.free_port(), []
        self.url = f"http://127.0.0.1:{self.port}"
        self.provider = auth(self.url)
        server = FastMCP("notes", auth=self.provider)

        @server.tool
        def whoami() -> str:
            """Says whose account this is."""
            token: AccessToken = get_access_token()
            self.called.append(token.token)
            return token.client_id

        self.app = server.http_app(path="/mcp")
        config = uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_level="critical", timeout_graceful_shutdown=0)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            assert self.thread.is_alive(), "the tool server has not started"
            time.sleep(0.01)

    def stop(self):
        self.server.should_exit = True
        self.thread.join(10)


class Asked:
    """A request as a scripted server gets it."""

    def __init__(self, method: str, path: str, headers, body: bytes):
        parts = urllib.parse.urlsplit(path)
        self.method, self.path, self.query, self.body = method, parts.path, dict(urllib.parse.parse_qsl(parts.query)), body
        self.headers = {name.lower(): value for name, value in headers.items()}
        form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        self.form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)) if form else {}

    @property
    def token(self) -> str | None:
        """The token that it came with."""
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None


class Stranger:
    """A tool server and its authorization server in one, of which a test says how they are: what is `at` a path is a document,
    a status with headers and a body, or made of what is asked."""

    def __init__(self):
        stranger = self
        self.asked: list[Asked] = []
        self.good: dict[str, str] = {}
        self.codes: dict[str, dict] = {}
        self.people, self.back, self.more = itertools.count(1), {}, {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(self.command, self.path, self.headers, body)
                stranger.asked.append(asked)
                what = stranger.at.get(asked.path, (404, {}, b"{}"))
                what = what(asked) if callable(what) else what
                if what is None:
                    self.close_connection = True
                    return
                status, headers, body = what if isinstance(what, tuple) else (200, {}, what)
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                pairs = {"content-type": "application/json", "content-length": str(len(body)), **headers}.items()
                for name, value in ((name, one) for name, values in pairs for one in (values if isinstance(values, list) else [values])):
                    self.send_header(name, value)
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    # Whoever has read enough hangs up.
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self.challenge = f'Bearer resource_metadata="{self.url}{RESOURCE}/mcp"'
        self.resource = {"resource": f"{self.url}/mcp", "authorization_servers": [self.url]}
        self.metadata = metadata(self.url)
        self.at = {
            f"{RESOURCE}/mcp": self.resource,
            SERVER: self.metadata,
            "/mcp": self.tools,
            "/register": lambda asked: (201, {}, {"client_id": "a-gate", "client_secret": "a-secret-of-a-gate", **json.loads(asked.body)}),
            "/authorize": self.authorize,
            "/token": self.token,
            "/revoke": (200, {}, b""),
        }
        threading.Thread(target=self.server.serve_forever, args=[0.1], daemon=True).start()

    def authorize(self, asked: Asked):
        """Whoever comes here agrees at once."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked.query
        back = urllib.parse.urlencode({"code": code, "state": asked.query["state"], **self.back})
        return 302, {"location": f"{asked.query['redirect_uri']}?{back}"}, b""

    def token(self, asked: Asked):
        """Tokens for a code, or for a refresh token, which is good once."""
        refused = 400, {}, {"error": "invalid_grant", "error_description": "<b>it is over</b>"}
        known = self.codes.pop(asked.form.get("code") or asked.form.get("refresh_token"), None)
        if known is None:
            return refused
        if "code" in asked.form:
            challenge = base64.urlsafe_b64encode(hashlib.sha256(asked.form["code_verifier"].encode()).digest()).decode().rstrip("=")
            same = challenge == known["code_challenge"] and asked.form["redirect_uri"] == known["redirect_uri"]
            if not same or asked.form.get("resource") != known.get("resource"):
                return refused
            known = {**known, "whose": f"account-{next(self.people)}"}
        made = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 3600, "refresh_token": secrets.token_urlsafe(16), **self.more}
        self.good[made.get("access_token")] = known["whose"]
        self.codes[made.get("refresh_token")] = known
        return made

    def tools(self, asked: Asked):
        """One tool, which says whose token it was called with."""
        whose = self.good.get(asked.token)
        if whose is None:
            return 401, {"www-authenticate": self.challenge}, b"{}"
        if asked.method != "POST":
            return 405, {}, b""
        return mcp(asked, whose)

    def was_asked(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def metadata(issuer: str, **more) -> dict:
    """What an authorization server says of itself."""
    names = ["authorize", "token", "register", "revoke"]
    keys = ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"]
    return {
        "issuer": issuer,
        **{key: f"{issuer}/{name}" for key, name in zip(keys, names, strict=True)},
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        **more,
    }


def mcp(asked: Asked, text: str):
    """A small MCP server, whose tool says `text`."""
    message = json.loads(asked.body)
    if "id" not in message:
        return 202, {}, b""
    tool = {"name": "whoami", "inputSchema": {"type": "object"}}
    results = {
        "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "small", "version": "1"}},
        "tools/list": {"tools": [tool]},
        "tools/call": {"content": [{"type": "text", "text": text}]},
    }
    return {"jsonrpc": "2.0", "id": message["id"], "result": results.get(message["method"], {})}


class Silent:
    """Listens, says nothing, and counts who has come."""

    def __init__(self):
        self.came, self.socket = 0, socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.wait, daemon=True).start()

    def wait(self):
        while True:
            try:
                other, _ = self.socket.accept()
            except OSError:
                return
            self.came += 1
            other.close()

    def stop(self):
        self.socket.close()


class Person:
    """Somebody who is signed in in a browser, and has a key."""

    def __init__(self, gate, name: str, *groups: str):
        self.gate, self.name = gate, name
        self.browser = sign_in_world.invite(gate, name, *groups)
        self.key = key(gate, f"{name}-laptop", name)

    def page(self):
        return self.browser.open(f"{self.gate.issuer}/oauth/connections")

    def connect(self, server: str):
        """What the page says when they have connected their account."""
        return connect(self.browser, self.gate, server)

    def disconnect(self, server: str):
        return submit_to(self.browser, self.page(), server, "disconnect")

    def whoami(self, server: str) -> str:
        """Whose account the server is called with."""
        return whoami(self.gate, self.key, server)


class House:
    """A gate, servers of which each test takes its own, and people whom nobody else knows. Some servers are set up in their own way:
    what they are, and with which `auth`."""

    def __init__(self, servers: int = 0, strangers: int = 0, own: dict | None = None, **options):
        self.left = {"notes": [f"notes{at}" for at in range(servers)], "strange": [f"strange{at}" for at in range(strangers)]}
        makes = {"notes": Server, "strange": Stranger}
        made = {name: (makes[kind](), "account: {}") for kind, names in self.left.items() for name in names} | (own or {})
        self.servers, self.names = {name: server for name, (server, _) in made.items()}, itertools.count(1)
        self.people = {}
        self.gate = gate(world.Gate, "".join(notes(server.url, auth, name) for name, (server, auth) in made.items()), **options)

    def server(self) -> tuple[str, Server]:
        """The name of one of fastmcp's that nobody has used, and the server."""
        name = self.left["notes"].pop()
        return name, self.servers[name]

    def stranger(self) -> tuple[str, Stranger]:
        """The same of a scripted one."""
        name = self.left["strange"].pop()
        return name, self.servers[name]

    def newcomer(self, name: str = "ann", *groups: str) -> Person:
        """Somebody who has connected nothing yet."""
        return Person(self.gate, f"{name}{next(self.names)}", *groups)

    def person(self, name: str = "ann") -> Person:
        """Somebody who may have accounts at other tests' servers. Nobody may connect too many."""
        known = self.people.setdefault(name, [])
        if len(known) % 12 == 0:
            known.append(self.newcomer(name))
        else:
            known.append(known[-1])
        return known[-1]

    def stop(self):
        assert self.gate.stop() == 0
        servers = list(self.servers.values())
        at_once(len(servers), lambda at: servers[at].stop())


def notes(url: str, auth: str = "account: {}", name: str = "notes", more: str = "") -> str:
    """A tool server in a configuration."""
    return f'  {name}: {{ url: "{url}/mcp", auth: {{ {auth} }}, effects: {{ whoami: read }}{more} }}\n'


def gate(own_gate, servers: str, **options):
    """A gate before these tool servers."""
    return sign_in_world.gate(own_gate, extra=f"\ntool_servers:\n{servers}", **options)


def key(gate, name: str, user: str | None = None) -> str:
    owner = ["--user", user, "--acts"] if user else []
    return world.tollgate("key", "create", name, *owner, "--quiet", gate=gate, env=ENV).strip()


def query(url: str) -> dict:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def submit_to(browser, page, name: str, answer: str):
    """Presses the button of the server `name`."""
    form = next(form for form in page.page.forms if form["fields"].get("server") == name)
    assert answer in [value for _, value in form["buttons"]], page.page.text
    return browser.follow(browser.send("POST", form["action"], {**form["fields"], "answer": answer}))


def begin(browser, gate, name: str = "notes"):
    """Where a browser is sent that connects an account, or the page that says why not."""
    return submit_to(browser, browser.open(f"{gate.issuer}/oauth/connections"), name, "connect")


def connect(browser, gate, name: str = "notes"):
    """Connects an account of whoever is signed in in `browser`, and says what the page says then."""
    return brought_back(browser, begin(browser, gate, name))


def sent_back(location: str) -> str:
    """The address at the gate to which a server that asks nobody anything sends a browser back."""
    answer = requests.get(location, allow_redirects=False, timeout=30)
    assert answer.status_code in (302, 307), (answer.status_code, answer.text)
    return answer.headers["location"]


def brought_back(browser, location):
    """What the gate says when the browser comes back."""
    return location if not isinstance(location, str) else browser.open(sent_back(location))


def ask(gate, key: str, method: str, params: dict, address: str = "") -> dict:
    """The answer to a client without a session."""
    client = mcp_world.Client(gate, address, key=key)
    return client.ask(method, {**params, "_meta": mcp_world.who()}, **mcp_world.without_session(method, params.get("name")))


def call(gate, key: str, server: str, tool: str = "whoami") -> dict:
    """A tool call of a client without a session, at the server's own address."""
    return ask(gate, key, "tools/call", {"name": tool, "arguments": {}}, f"/{server}")


def tools(gate, key: str, server: str) -> list[str]:
    """The tools that are listed, beside others."""
    listed = ask(gate, key, "tools/list", {}, f"/{server}")
    return [tool["name"] for tool in listed["result"]["tools"]] if "result" in listed else []


def whoami(gate, key: str, server: str) -> str:
    said = call(gate, key, server)
    assert not said.get("result", {}).get("isError", "result" not in said), said
    return mcp_world.text(said)


def refusal(answer: dict) -> str:
    """What is said of a call that was refused because nobody is connected."""
    assert answer.get("result", {}).get("isError") is True and mcp_world.fault(answer)["class"] == "not_connected", answer
    return mcp_world.text(answer)


def events(gate, name: str, server: str) -> list[dict]:
    """What is recorded of accounts at `server`."""
    return [entry["detail"] for entry in gate.records("event") if entry["event"] == name and entry["detail"].get("server") == server]


def at_once(count: int, what) -> list:
    """What comes of `what`, done by so many at once; a failure of one is a result of its own."""
    results, barrier = [None] * count, threading.Barrier(count)

    def one(at: int):
        barrier.wait()
        try:
            results[at] = what(at)
        except Exception as error:  # noqa: BLE001
            results[at] = error

    threads = [threading.Thread(target=one, args=[at]) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def reload(gate, before: str, after: str):
    """Writes something else into the configuration, and waits until the gate has read it."""
    known = len([entry for entry in gate.records("event") if entry["event"] == "reload"])
    config = gate.config.read_text()
    assert before in config
    gate.config.write_text(config.replace(before, after))
    gate.process.send_signal(signal.SIGHUP)
    world.wait_for(lambda: len([entry for entry in gate.records("event") if entry["event"] == "reload"]) > known, "the reload", gate.process)
