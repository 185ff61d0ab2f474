"""Applications behind a proxy of one's own, which asks the gate who may pass: nginx and Caddy, as the documentation sets them up."""

import hashlib
import http.client
import json
import re
import urllib.parse

import proxy_world
import pytest
import sign_in_world
import web_world
import world
from joserfc import jwt
from joserfc.jwk import KeySet
from sign_in_world import ENV
from web_world import told
from websockets.exceptions import InvalidStatus

CONFIG = """
trusted_proxies: [127.0.0.1]
web:
  behind:
    url: http://behind.localhost:{port}
    public: [/health]
    headers: {{ X-Forwarded-User: user }}
  board:
    url: http://board.localhost:{port}
    groups: [board]
    headers: {{ X-Forwarded-User: user }}
  talk:
    url: http://talk.localhost:{port}
    headers: {{ X-Forwarded-User: user }}
  open:
    url: http://open.localhost:{gate}
    upstream: http://127.0.0.1:{upstream}
policies:
  - name: nobody-deletes
    deny: 'application == "behind" && method == "DELETE"'
  - name: admin-area
    deny: 'application == "behind" && path.startsWith("/admin") && principal.user != "root"'
    message: only root goes there
  - name: nobody-sees-it
    deny: 'application == "behind" && path == "/secret"'
"""

IDENTITY, USER = "x-tollgate-identity", "x-forwarded-user"
SPOOFED = {IDENTITY: "forged", USER: "root", "X_Tollgate_Identity": "forged", "X_Forwarded_User": "root"}
# No page, but a program.
PROGRAM = {"accept": "*/*"}


class Application(web_world.Echo):
    """One that leaves the gate's cookies alone: a proxy passes on whatever cookies an application sets."""

    def __init__(self):
        super().__init__()

        class Handler(self.server.RequestHandlerClass):
            def send_header(self, name, value):
                if not value.startswith("tollgate-"):
                    super().send_header(name, value)

        self.server.RequestHandlerClass = Handler


class Browser(web_world.Browser):
    """A browser that reaches each host at its own port."""

    def send(self, method, url, *arguments, **options):
        self.reaches(url)
        return super().send(method, url, *arguments, **options)

    def socket(self, url, **options):
        self.reaches(url)
        return super().socket(url, **options)

    def reaches(self, url):
        self.host = urllib.parse.urlsplit(url).netloc or self.host
        self.port = int(self.host.rsplit(":", 1)[1])


@pytest.fixture(scope="module")
def echo():
    echo = Application()
    yield echo
    echo.stop()


@pytest.fixture(scope="module")
def sockets():
    return web_world.Sockets()


@pytest.fixture(scope="module", params=[proxy_world.Nginx, proxy_world.Caddy], ids=["nginx", "caddy"])
def house(request, echo, sockets):
    """A gate, a proxy that asks it, and people who have signed in."""
    proxy, port = request.param(), world.free_port()
    gate = sign_in_world.gate(world.Gate, port=port, extra=CONFIG.format(port=proxy.port, gate=port, upstream=echo.port))
    gate.proxy, gate.echo, gate.sockets = proxy, echo, sockets
    try:
        # The first one gets what is for no host that the proxy knows.
        proxy.start(port, {"board": echo.port, "behind": echo.port, "talk": sockets.port})
        gate.cookies = {user: sign_in_world.invite(gate, user, "staff").cookies for user in ("ann", "bob")}
        yield gate
        assert gate.stop() == 0
    finally:
        gate.process.kill()
        proxy.stop()


@pytest.fixture
def ann(house):
    return person(house, "ann")


def person(house, user: str) -> Browser:
    """Somebody who has signed in at the gate before."""
    browser = Browser(house)
    browser.jar[f"localhost:{house.port}"] = dict(house.cookies[user])
    return browser


def at(house, path: str = "/", application: str = "behind") -> str:
    return f"http://{application}.localhost:{house.proxy.port}{path}"


def reaches(house, browser, method: str, path: str, headers: dict, application: str = "behind"):
    """The answer, and whether the application was asked."""
    before = len(house.echo.asked)
    answer = browser.send(method, at(house, path, application), headers=headers)
    return answer.status, len(house.echo.asked) - before


def status(port: int, url: str, headers: dict | None = None, method: str = "GET", source: str = "127.0.0.1") -> int:
    """How a request for `url` is answered that comes from `source` to a port."""
    parts = urllib.parse.urlsplit(url)
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    wire.request(method, parts.path, headers={"host": parts.netloc, **(headers or {})})
    answer = wire.getresponse()
    wire.close()
    return answer.status


def sends(house, target: str, host: str, cookie: str) -> bytes:
    """What a proxy answers to a request that no browser writes like this."""
    return web_world.raw(house.proxy, f"GET {target} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n".encode())


def verified(house, token: str) -> dict:
    """What a token says whose signature a library finds good."""
    metadata = json.loads(world.get(f"{house.issuer}/.well-known/openid-configuration")[1])
    keys = KeySet.import_key_set(json.loads(world.get(metadata["jwks_uri"])[1]))
    return jwt.decode(token, keys, algorithms=["RS256"]).claims


def visits(house) -> list:
    """What is recorded of visits."""
    return [entry["detail"] for entry in house.records("event") if entry["event"] == "visited"]


# What comes between is longer than what nginx has room for by itself.
@pytest.mark.parametrize("path", ["/page?x=1&y=a%20b%26c&to=/z#top", f"/long?q={'x' * 3000}&y=2"], ids=["a query", "a long one"])
def test_whoever_signs_in_ends_at_the_page_that_they_asked_for(house, path):
    browser = Browser(house)
    answer = browser.visits(at(house, path))
    assert (answer.status, answer.json()["path"]) == (200, path.split("#")[0])
    hosts = [host for host, _, _ in browser.visited]
    assert f"localhost:{house.port}" in hosts and hosts[0] == hosts[-1]


def test_the_application_is_told_who_asks(house, ann):
    headers = told(ann.visits(at(house)))
    assert headers[USER] == ["ann"]
    said = verified(house, headers[IDENTITY][0])
    assert (said["iss"], said["aud"], said["preferred_username"], said["groups"]) == (house.issuer, at(house, ""), "ann", ["staff"])
    assert said["exp"] - said["iat"] <= 300


@pytest.mark.parametrize("spoofed", [SPOOFED, {**SPOOFED, "connection": f"close, {IDENTITY}, {USER}"}], ids=["plainly", "and between neighbours"])
def test_nobody_says_by_themselves_who_they_are(house, ann, spoofed):
    ann.visits(at(house))
    headers = told(ann.send("GET", at(house, "/page"), headers=spoofed))
    assert headers.get(USER, ["ann"]) == ["ann"]
    assert all(verified(house, token)["preferred_username"] == "ann" for token in headers.get(IDENTITY, []))
    assert not [name for name in headers if "_" in name]


def test_nobody_is_somebody_where_everybody_may_go(house):
    """What is said of nobody is nothing: neither what the browser says, nor what a proxy makes of a header that is not there."""
    answer = Browser(house).send("GET", at(house, "/health?x=1"), headers=SPOOFED)
    headers = told(answer)
    assert answer.status == 200
    assert (headers.get(USER, [""]), headers.get(IDENTITY, [""])) == ([""], [""])
    assert not [name for name in headers if "_" in name]


def test_whoever_is_known_is_so_where_everybody_may_go(house, ann):
    ann.visits(at(house))
    headers = told(ann.send("GET", at(house, "/health")))
    assert headers[USER] == ["ann"] and verified(house, headers[IDENTITY][0])["preferred_username"] == "ann"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [("GET", {}, 303), ("GET", PROGRAM, 401), ("HEAD", PROGRAM, 401), ("POST", {}, 401), ("POST", PROGRAM, 401), ("DELETE", {}, 401)],
)
def test_without_a_session_nothing_passes(house, method, headers, status):
    assert reaches(house, Browser(house), method, "/page", headers) == (status, 0)


def test_a_body_passes_whole_or_not_at_all(house, ann):
    ann.visits(at(house))
    body = bytes(range(256)) * 2000
    # Whole, and in pieces.
    for sent in [body, iter([body[:1000], body[1000:]])]:
        said = ann.send("POST", at(house, "/form"), body=sent).json()
        assert (said["method"], said["length"], said["sha256"]) == ("POST", len(body), hashlib.sha256(body).hexdigest())
    before = len(house.echo.asked)
    assert Browser(house).send("POST", at(house, "/form"), body=body[:1000]).status == 401
    assert len(house.echo.asked) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ok", 200),
        ("PUT", "/ok?/admin", 200),
        ("DELETE", "/ok", 403),
        ("GET", "/admin", 403),
        ("GET", "/admin?x=/health", 403),
        ("POST", "/admin/x", 403),
        ("GET", "/%61dmin", 403),
        ("GET", "/x/../admin", 403),
        ("GET", "/x/%2e%2e/admin", 403),
        ("GET", "//admin", 403),
        ("GET", "/health/../admin", 403),
        ("GET", "/.tollgate/../admin", 403),
        ("GET", "/health%2f..%2fadmin", 403),
        ("GET", "/secret?x", 403),
        ("GET", "/secret%3f", 403),
    ],
)
def test_rules_decide_by_what_the_proxy_says_is_asked_for(house, ann, method, path, status):
    ann.visits(at(house))
    assert reaches(house, ann, method, path, PROGRAM) == (status, 1 if status == 200 else 0)


@pytest.mark.parametrize("path", ["/health#/../admin", "/ok#/../admin", "/secret#"])
def test_what_some_take_for_a_fragment_hides_no_path(house, ann, path):
    """An attack: the gate must not read less of a path than the application, which is sent all of it."""
    ann.visits(at(house))
    for cookie in ["", ann.cookies_at(at(house))]:
        before = len(house.echo.asked)
        sends(house, path, at(house)[7:-1], cookie)
        assert house.echo.asked[before:] == []


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("DELETE", "/ok", {"x-forwarded-method": "GET"}),
        ("DELETE", "/ok", {"connection": "close, x-forwarded-method"}),
        ("DELETE", "/ok", {"x-http-method-override": "GET", "x-original-method": "GET"}),
        ("GET", "/admin", {"x-forwarded-uri": "/ok"}),
        ("GET", "/admin", {"x-forwarded-uri": "/health"}),
        ("GET", "/admin", {"connection": "close, x-forwarded-uri"}),
        ("GET", "/admin", {"x-forwarded-host": "open.localhost", "forwarded": "host=open.localhost", "x-original-url": "/ok"}),
    ],
)
def test_who_asks_does_not_say_what_for(house, ann, method, path, headers):
    ann.visits(at(house))
    assert reaches(house, ann, method, path, {**PROGRAM, **headers}) == (403, 0)
    # Not even where everybody may go.
    assert reaches(house, Browser(house), method, path, {**PROGRAM, **headers, "x-forwarded-uri": "/health"}) == (401, 0)


def test_a_visit_to_another_application_opens_none_of_a_proxys(house):
    """An attack: the proxy is sent the host of an application that it does not know, and the gate does."""
    bob, other = person(house, "bob"), f"open.localhost:{house.port}"
    assert bob.visits(f"http://{other}/").status == 200
    assert bob.visits(at(house)).status == 200
    assert bob.visits(at(house, application="board")).status == 403
    cookies = [bob.cookies_at(f"http://{other}"), bob.cookies_at(at(house))]
    behind, board = at(house)[7:-1], at(house, application="board")[7:-1]
    for host in [other, f"nowhere.localhost:{house.proxy.port}", board]:
        for target, cookie in [(target, cookie) for target in ["/page", f"http://{other}/page"] for cookie in cookies]:
            before = len(house.echo.asked)
            sends(house, target, host, cookie)
            assert len(house.echo.asked) == before, (host, target)
    # The application is told the host that the gate was asked about.
    sends(house, at(house, "/page"), board, cookies[1])
    assert (house.echo.asked[-1]["path"], told(house.echo.asked[-1]["headers"])["host"]) == ("/page", [behind])


def test_who_may_not_use_it_reads_why(house):
    bob = person(house, "bob")
    page = bob.visits(at(house, application="board"))
    assert (page.status, "none of your groups may" in page.page.text) == (403, True)
    style = bob.send("GET", re.search(r'href="(/[^"]*\.css)"', page.body.decode())[1])
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    # Programs read it too.
    said = bob.send("GET", at(house, "/x", "board"), headers=PROGRAM)
    assert (said.status, said.json()["error"]["type"]) == (403, "forbidden")


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_what_an_application_refuses_is_its_own_affair(house, ann, status):
    ann.visits(at(house))
    answer = ann.send("GET", at(house, f"/page?status={status}"))
    assert (answer.status, answer.json()["path"]) == (status, f"/page?status={status}")


def test_what_is_said_to_the_application_is_said_to_nobody_else(house, ann):
    """Scripts of a page read no token that says who somebody is, and the application does not get the cookie that lets them in."""
    ann.visits(at(house))
    ann.jar[at(house)[7:-1]] = {"a": "1", **ann.jar[at(house)[7:-1]], "z": "2"}
    headers = told(ann.send("GET", at(house, "/page")))
    assert IDENTITY in headers and "tollgate-visit" in ann.cookies_at(at(house))
    sent = dict(pair.split("=", 1) for pair in headers["cookie"][0].split("; "))
    assert (sent["a"], sent["z"], sent["tollgate-visit"]) == ("1", "2", "-")
    for path in ["/page", "/.tollgate/auth", "/.tollgate/forward-auth"]:
        asked = ann.send("GET", at(house, path), headers={**PROGRAM, "x-forwarded-uri": "/page"})
        assert IDENTITY not in asked.headers, (path, asked.status)


def test_a_sign_out_ends_access_at_once(house):
    browser = Browser(house)
    assert browser.visits(at(house)).status == 200
    assert reaches(house, browser, "GET", "/page", PROGRAM) == (200, 1)
    browser.submit(browser.open(f"{house.issuer}/oauth/logout"))
    assert "tollgate-visit" in browser.cookies_at(at(house)), "the browser has the cookie still"
    assert reaches(house, browser, "GET", "/page", PROGRAM) == (401, 0)
    assert "Password" in browser.open(at(house)).page.text


def test_an_operator_ends_access_at_once(house):
    cay = sign_in_world.invite(house, "cay")
    browser = Browser(house)
    browser.jar[f"localhost:{house.port}"] = cay.cookies
    browser.visits(at(house))
    assert reaches(house, browser, "GET", "/page", PROGRAM) == (200, 1)
    world.tollgate("user", "sign-out", "cay", gate=house, env=ENV)
    assert reaches(house, browser, "GET", "/page", PROGRAM) == (401, 0)


def test_a_websocket_passes(house, ann):
    url = at(house, "/chat?room=1", "talk")
    arrives(ann, url)
    with ann.socket(url) as opened:
        for message in ["hello", b"x" * 200_000]:
            opened.send(message)
            assert [opened.recv(), opened.recv()] == [message, message]
    headers = told(house.sockets.opened[-1])
    assert headers[USER] == ["ann"] and verified(house, headers[IDENTITY][0])["aud"] == at(house, "", "talk")
    with pytest.raises(InvalidStatus) as refused:
        Browser(house).socket(url)
    assert refused.value.response.status_code in (303, 401)


def arrives(browser, url: str):
    """Signs in to an application that shows no pages."""
    browser.send("GET", url)
    answer = browser.send("GET", "/.tollgate/sign-in")
    while "callback" not in browser.visited[-1][1]:
        answer = browser.send("GET", answer.headers["location"])


@pytest.mark.parametrize("origin", ["http://evil.localhost", "null"])
def test_a_page_of_another_site_opens_no_websocket(house, ann, origin):
    """Browsers send cookies along to any host of the same site, and hold WebSockets to no other rule (RFC 6455 §10.2)."""
    url = at(house, "/chat", "talk")
    arrives(ann, url)
    with ann.socket(url, origin=at(house, "", "talk")) as opened:
        opened.send("hello")
        assert opened.recv() == "hello"
    before = len(house.sockets.opened)
    with pytest.raises(InvalidStatus) as refused:
        ann.socket(url, origin=origin)
    assert (refused.value.response.status_code, len(house.sockets.opened)) == (403, before)


def test_who_is_let_in_is_recorded_once(house):
    before, browser = len(visits(house)), Browser(house)
    browser.visits(at(house))
    for method, path in [("GET", "/a"), ("GET", "/b"), ("POST", "/a"), ("GET", "/admin"), ("GET", "/admin"), ("POST", "/admin/x"), ("DELETE", "/a")]:
        browser.send(method, at(house, path))
    seen = [(one["by"]["sub"]["id"], one["application"], one["allowed"], one["method"], one["path"]) for one in visits(house)[before:]]
    assert seen == [("ann", "behind", True, "GET", None), ("ann", "behind", False, "GET", "/admin"), ("ann", "behind", False, "DELETE", "/a")]


def test_the_record_says_from_where_as_the_proxy_says_it(house):
    """The proxy is trusted. It sees another address of this machine, and takes no word of whoever asks."""
    browser, before = Browser(house), len(visits(house))
    browser.visits(at(house, "/admin"))
    headers = {"cookie": browser.cookies_at(at(house)), "x-forwarded-for": "198.51.100.7", "x-real-ip": "198.51.100.7"}
    assert status(house.proxy.port, at(house, "/from"), headers, "DELETE", source="127.0.0.2") == 403
    assert [(one["path"], one["from"]) for one in visits(house)[before:]] == [("/admin", "127.0.0.1"), ("/from", "127.0.0.2")]


def test_past_the_proxy_nothing_is_carried(house, ann):
    """Whoever finds the gate's own port finds the application there not."""
    ann.visits(at(house))
    assert status(house.port, at(house, "/page"), {"cookie": ann.cookies_at(at(house)), **PROGRAM}) == 404


@pytest.mark.parametrize("kind", [proxy_world.Nginx, proxy_world.Caddy], ids=["nginx", "caddy"])
def test_without_the_gate_nothing_passes(kind, echo):
    proxy, before = kind(), len(echo.asked)
    proxy.start(world.free_port(), {"behind": echo.port})
    try:
        for path in ["/", "/health"]:
            assert status(proxy.port, f"http://behind.localhost:{proxy.port}{path}") >= 500
        assert len(echo.asked) == before
    finally:
        proxy.stop()
