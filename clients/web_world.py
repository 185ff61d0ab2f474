"""Web applications behind the gate: one that says what it was asked, and browsers that visit several hosts."""

import asyncio
import hashlib
import http.client
import http.server
import json
import socket
import threading
import urllib.parse

import sign_in_world
import world
from sign_in_world import Answer
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

WEB = """
web:
  wiki:
    url: http://wiki.localhost:{port}
    upstream: http://127.0.0.1:{upstream}
    public: [/health, /assets/*]
    headers: {{ X-Forwarded-User: user, X-Forwarded-Groups: groups, X-Wiki-Name: name }}
  board:
    url: http://board.localhost:{port}
    upstream: http://127.0.0.1:{upstream}
    groups: [board]
  gone:
    url: http://gone.localhost:{port}
    upstream: http://127.0.0.1:1
  behind:
    url: http://behind.localhost:{port}
{more}
policies:
  - name: nobody-deletes
    deny: 'application == "wiki" && method == "DELETE"'
  - name: admin-area
    deny: 'application == "wiki" && path.startsWith("/admin") && principal.user != "root"'
    message: only root goes there
"""


class Echo:
    """An application that says what it was asked."""

    def __init__(self):
        echo = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if self.headers.get("transfer-encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                headers = [[name.lower(), value] for name, value in self.headers.items()]
                said = {"method": self.command, "path": self.path, "headers": headers, "length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
                echo.asked.append(said)
                status = int(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("status", ["200"])[0])
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.send_header("set-cookie", "app=1; Path=/")
                self.send_header("set-cookie", "tollgate-visit=stolen; Path=/")
                self.end_headers()
                if self.command != "HEAD" and status != 304:
                    self.wfile.write(text)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Sockets:
    """An application that opens WebSockets, and says everything twice."""

    def __init__(self):
        self.loop, self.opened, started = asyncio.new_event_loop(), [], threading.Event()

        async def talk(client):
            self.opened.append([[name.lower(), value] for name, value in client.request.headers.raw_items()])
            try:
                while True:
                    message = await client.recv()
                    await client.send(message)
                    await client.send(message)
            except ConnectionClosed:
                pass

        async def run():
            async with serve(talk, "127.0.0.1", 0, max_size=None) as server:
                self.port = server.sockets[0].getsockname()[1]
                started.set()
                await asyncio.Future()

        threading.Thread(target=lambda: self.loop.run_until_complete(run()), daemon=True).start()
        assert started.wait(10)


class Raw:
    """An application that answers whatever it is asked with the bytes that a test wants, and keeps what it was sent."""

    def __init__(self):
        self.answer, self.hangs_up, self.got = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        sent = b""
        with connection:
            while piece := connection.recv(65536):
                sent += piece
                if b"\r\n\r\n" in sent:
                    self.got.append(sent)
                    connection.sendall(self.answer)
                    if self.hangs_up:
                        return
                    sent = b""

    def says(self, answer: bytes, hangs_up: bool = False):
        self.answer, self.hangs_up, self.got = answer, hangs_up, []


class Browser(sign_in_world.Browser):
    """A browser with cookies for each host, which follows redirects among the gate and its applications."""

    def __init__(self, gate):
        super().__init__(gate)
        self.jar, self.visited = {}, []

    def send(self, method, url, form=None, headers=None, body=None) -> Answer:
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc or self.host
        self.host = host
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        jar = self.jar.setdefault(host, {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"host": host, "accept": "text/html,*/*", **self.headers, **(headers or {})}
        if jar:
            sent["cookie"] = "; ".join([*([sent["cookie"]] if "cookie" in sent else []), *(f"{name}={value}" for name, value in jar.items())])
        if form is not None:
            body = urllib.parse.urlencode(form)
            sent["content-type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        read = answer.read()
        for line in answer.msg.get_all("set-cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            jar.pop(name, None)
            if value:
                jar[name] = value
        connection.close()
        self.visited.append((host, path, answer.status))
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, read)

    def follow(self, answer):
        for _ in range(12):
            if answer.status != 303:
                return answer
            answer = self.send("GET", answer.headers["location"])
        raise AssertionError(f"a circle of redirects: {self.visited}")

    def visits(self, url: str, user: str = "ann", password: str = sign_in_world.PASSWORD) -> Answer:
        """Opens a page of an application, and signs in where it is asked to."""
        answer = self.open(url)
        if answer.page and "Password" in answer.page.text:
            answer = self.sign_in(answer, user, password)
        return answer

    def cookies_at(self, url: str) -> str:
        """The `Cookie` header that it sends there."""
        return "; ".join(f"{name}={value}" for name, value in self.jar.get(urllib.parse.urlsplit(url).netloc, {}).items())

    def socket(self, url: str, **options):
        """A WebSocket that a page at `url` opens."""
        cookies = self.cookies_at(url)
        wire = socket.create_connection(("127.0.0.1", self.port))
        headers = {"cookie": cookies} if cookies else {}
        return connect(url.replace("http:", "ws:"), sock=wire, additional_headers=headers, proxy=None, max_size=None, **options)


def person(house, user: str, *groups: str, **options) -> Browser:
    """Somebody who has signed in at the gate, and at no application yet."""
    browser = Browser(house)
    browser.jar[f"localhost:{house.port}"] = dict(sign_in_world.invite(house, user, *groups, **options).cookies)
    return browser


def raw(house, text: bytes, wait: float = 2) -> bytes:
    """Everything that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", house.port), timeout=wait) as wire:
        wire.sendall(text)
        answer = b""
        try:
            while piece := wire.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def at(house, application: str, path: str = "/") -> str:
    """The address of a page of an application."""
    return f"http://{application}.localhost:{house.port}{path}"


def told(answer_or_headers) -> dict:
    """The headers that an application was asked with, all lines of each."""
    headers = answer_or_headers.json()["headers"] if isinstance(answer_or_headers, Answer) else answer_or_headers
    found = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return found


def application(name: str, port: int, upstream: int | None, more: str = "") -> str:
    """The settings of a further application."""
    upstream = f"    upstream: http://127.0.0.1:{upstream}\n" if upstream else ""
    return f"  {name}:\n    url: http://{name}.localhost:{port}\n{upstream}{more}"


def gate(own_gate, upstream: int, *, more: str = "", rules: str = "", port=None, **options):
    """A gate with applications behind it."""
    port = port or world.free_port()
    return sign_in_world.gate(own_gate, port=port, extra=WEB.format(port=port, upstream=upstream, more=more) + rules, **options)


def neighbourhood():
    """A gate whose applications say what they were asked, talk in WebSockets or answer what a test wants, and Ann, who may use them."""
    port, echo, sockets, odd = world.free_port(), Echo(), Sockets(), Raw()
    further = [
        application("talk", port, sockets.port),
        application("odd", port, odd.port, "    public: [/health]\n"),
        application("keyed", port, echo.port, "    audience: wiki-api\n    algorithm: ES256\n"),
        application("side", port, None, "    public: [/health]\n    headers: { X-Side-User: user }\n"),
    ]
    rules = """  - name: side-cellar
    deny: 'application == "side" && path.startsWith("/cellar")'
  - name: side-deletes
    deny: 'application == "side" && method == "DELETE"'
"""
    made = gate(world.Gate, echo.port, port=port, more="".join(further), rules=rules, server="    algorithms: [RS256, ES256]")
    made.echo, made.sockets, made.odd = echo, sockets, odd
    made.ann = person(made, "ann", "staff", "board")
    return made
