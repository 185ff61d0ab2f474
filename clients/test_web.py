"""People reach ordinary web applications through the gate, and the applications know who they are."""

import concurrent.futures
import http.client
import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest
import sign_in_world
import web_world
import world
from joserfc import jwt
from joserfc.jwk import KeySet
from sign_in_world import ENV, PASSWORD
from web_world import Browser, application, at, person, told
from websockets.exceptions import ConnectionClosed, InvalidStatus

PROGRAM = {"accept": "*/*"}


@pytest.fixture(scope="module")
def house():
    """Applications and Ann; Lea has signed out, and her WebSocket is open still."""
    made = web_world.neighbourhood()
    lea = person(made, "lea")
    for browser in [made.ann, lea]:
        browser.open(at(made, "talk"))
    with made.ann.socket(at(made, "talk", "/")) as made.staying, lea.socket(at(made, "talk", "/")) as made.leaving:
        cli(made, "sign-out", "lea")
        yield made
    assert made.stop() == 0


def cli(house, *arguments: str):
    world.tollgate("user", *arguments, gate=house, env=ENV)


def program(browser, url: str, method: str = "GET", **headers):
    """What a program of a page is answered."""
    return browser.send(method, url, headers={**PROGRAM, **headers})


def head(house, browser, line: str, *lines: str, application: str = "wiki") -> bytes:
    """The head of a request of a browser, byte by byte."""
    own = [f"host: {application}.localhost:{house.port}", f"cookie: {browser.cookies_at(at(house, application))}"]
    return "\r\n".join([f"{line} HTTP/1.1", *own, *lines, "", ""]).encode()


def visited(house, user: str) -> list[dict]:
    """What is recorded of the visits of `user`."""
    details = [entry["detail"] for entry in house.records("event") if entry["event"] == "visited"]
    return [detail for detail in details if detail["by"]["sub"]["id"] == user]


def verified(house, token: str, audience: str, algorithm: str = "RS256") -> dict:
    """What a token says that a library finds good with the keys that the issuer publishes."""
    discovery = json.loads(world.get(f"{house.issuer}/.well-known/openid-configuration")[1])
    keys = KeySet.import_key_set(json.loads(world.get(discovery["jwks_uri"])[1]))
    read = jwt.decode(token, keys, algorithms=[algorithm])
    must = {name: {"essential": True} for name in ("sub", "exp", "iat")}
    jwt.JWTClaimsRegistry(iss={"essential": True, "value": house.issuer}, aud={"essential": True, "value": audience}, **must).validate(read.claims)
    assert read.header["kid"] in [key.kid for key in keys] and read.claims["exp"] - read.claims["iat"] == 120
    assert 0 < read.claims["exp"] - time.time() <= 121
    return read.claims


class Pieces:
    """An application that answers piece by piece, when a test lets it, and takes uploads so."""

    def __init__(self):
        pieces = self
        self.go, self.first, self.left = threading.Event(), threading.Event(), threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def piece(self, text: bytes):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

            def do_GET(self):
                self.send_response(200)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self.piece(b"one")
                try:
                    while self.path == "/forever":
                        self.piece(b"x" * 10_000)
                except OSError:
                    pieces.left.set()
                    return
                pieces.go.wait(20)
                self.piece(b"two")
                self.wfile.write(b"0\r\n\r\n")

            def do_POST(self):
                read = self.rfile.read(5)
                pieces.first.set()
                read += self.rfile.read(5)
                self.send_response(200)
                self.send_header("content-length", "10")
                self.end_headers()
                self.wfile.write(read)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_whoever_is_not_signed_in_signs_in_once_and_gets_to_the_page_that_they_asked_for(house):
    browser = Browser(house)
    answer = browser.visits(at(house, "wiki", "/page/a%20b?x=1&y=%20z&x=2"))
    assert answer.status == 200 and answer.json()["path"] == "/page/a%20b?x=1&y=%20z&x=2"
    hosts = [host for host, _, _ in browser.visited]
    assert set(hosts) == {f"wiki.localhost:{house.port}", f"localhost:{house.port}"} and hosts[0] == hosts[-1]
    browser.visited.clear()
    assert browser.open(at(house, "wiki", "/other")).status == 200
    assert browser.visited == [(f"wiki.localhost:{house.port}", "/other", 200)], "no redirects any more"
    assert browser.open(at(house, "keyed")).json()["path"] == "/", "at the next application nothing is asked"


def test_a_long_address_survives_the_sign_in(house):
    path = f"/search?q={'x' * 3_900}"
    assert Browser(house).visits(at(house, "wiki", path)).json()["path"] == path


def test_a_wrong_password_opens_nothing_and_the_right_one_then_does(house):
    browser = Browser(house)
    wrong = browser.visits(at(house, "wiki", "/late"), password="not the password")
    assert wrong.status == 403 and "wrong" in wrong.page.text
    assert browser.sign_in(wrong, "ann").json()["path"] == "/late"


def test_the_application_is_told_by_a_signed_header_who_asks(house):
    answer = house.ann.open(at(house, "wiki"))
    [token] = told(answer)["x-tollgate-identity"]
    said = verified(house, token, f"http://wiki.localhost:{house.port}")
    login = json.loads(world.get(f"{house.url}/api/v1/users/ann/login", {"authorization": f"Bearer {sign_in_world.MASTER}"})[1])
    assert (said["sub"], said["preferred_username"], said["groups"]) == (login["subject"], "ann", ["staff", "board"])
    assert said["amr"] == ["pwd"] and said["auth_time"] <= said["iat"]


def test_whom_the_header_is_for_and_how_it_is_signed_can_be_said(house):
    headers = told(house.ann.open(at(house, "keyed")))
    assert verified(house, headers["x-tollgate-identity"][0], "wiki-api", "ES256")["preferred_username"] == "ann"
    plain = {name for name in headers if name.startswith("x-forwarded-")}
    assert plain == {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}, "plainly only what is asked for"


def test_plain_headers_say_who_asks(house):
    cli(house, "invite", "zoe", "--name", "Zoë Ünal", "--group", "staff", "--group", "admins,staff", "--group", "ops")
    headers = told(Browser(house).open(at(house, "wiki", "/health")))
    assert "x-forwarded-user" not in headers
    headers = told(person(house, "zoe", "staff", "admins,staff", "ops").open(at(house, "wiki")))
    assert headers["x-forwarded-user"] == ["zoe"]
    assert headers["x-forwarded-groups"] == ["staff,ops"], "one with a comma would be taken for two"
    assert headers["x-wiki-name"][0].encode("latin-1").decode() == "Zoë Ünal"
    assert verified(house, headers["x-tollgate-identity"][0], f"http://wiki.localhost:{house.port}")["groups"] == ["staff", "admins,staff", "ops"]


def test_the_application_is_told_under_which_address_it_was_asked(house):
    headers = told(house.ann.open(at(house, "wiki")))
    host = f"wiki.localhost:{house.port}"
    said = [headers[name] for name in ("host", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for")]
    assert said == [[host], [host], ["http"], ["127.0.0.1"]]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_requests_pass_as_they_come(house, method):
    path = "/a%20b/%7e%C3%A9/x+y(1)?q=%41+b&q=2&empty=&x=[]|%2F"
    body = None if method in ("GET", "OPTIONS") else b"\x00\xff{}"
    house.ann.open(at(house, "keyed"))
    sent = {"content-type": "application/x-own", "x-own": "1", "authorization": "Basic eDp5"}
    answer = house.ann.send(method, at(house, "keyed", path), headers=sent, body=body)
    said, headers = answer.json(), told(answer)
    assert (said["method"], said["path"], said["length"]) == (method, path, len(body or b""))
    assert {name: headers[name] for name in sent} == {name: [value] for name, value in sent.items()}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_a_body_passes_however_its_end_is_said(house, method):
    house.ann.open(at(house, "keyed"))
    for body in [b"abc", iter([b"a", b"bc"])]:
        said = house.ann.send(method, at(house, "keyed"), body=body).json()
        assert (said["method"], said["length"]) == (method, 3), said["headers"]


@pytest.mark.parametrize("path", ["/projects/group%2Fproject", "/a//b", "/a;v=1/b", "/100%25", "/a\\b"])
def test_a_rule_about_paths_of_one_application_leaves_others_alone(house, path):
    """`path` is mentioned in rules about the wiki only."""
    house.ann.open(at(house, "keyed"))
    answer = program(house.ann, at(house, "keyed", path))
    assert answer.status == 200 and answer.json()["path"] == path, answer.body


def test_large_uploads_pass_in_one_piece_and_in_many(house):
    pieces = [bytes([number]) * 100_000 for number in range(80)]
    house.ann.open(at(house, "wiki"))
    whole = house.ann.send("POST", at(house, "wiki", "/upload"), body=b"".join(pieces)).json()
    chunked = house.ann.send("POST", at(house, "wiki", "/upload"), body=iter(pieces)).json()
    assert whole["length"] == chunked["length"] == 8_000_000 and whole["sha256"] == chunked["sha256"]
    assert told(whole["headers"])["content-length"] == ["8000000"] and told(chunked["headers"])["transfer-encoding"] == ["chunked"]


@pytest.mark.parametrize("status", [201, 301, 304, 404, 418, 500, 503])
def test_the_status_is_the_applications(house, status):
    house.ann.open(at(house, "wiki"))
    answer = house.ann.send("GET", at(house, "wiki", f"/x?status={status}"))
    assert answer.status == status and answer.headers["server"].startswith("BaseHTTP"), "also the headers"
    assert (answer.body == b"") == (status == 304)


def test_heads_are_answered_without_a_body(house):
    house.ann.open(at(house, "wiki"))
    answer = house.ann.send("HEAD", at(house, "wiki", "/x"))
    assert answer.status == 200 and answer.body == b"" and int(answer.headers["content-length"]) > 100
    assert house.echo.asked[-1]["method"] == "HEAD"


def test_a_client_is_told_to_go_on_with_its_body(house):
    house.ann.open(at(house, "wiki"))
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as wire:
        wire.sendall(head(house, house.ann, "POST /x", "expect: 100-continue", "content-length: 3"))
        assert wire.recv(1000).startswith(b"HTTP/1.1 100 ")
        wire.sendall(b"abc")
        assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_http2_works_too(house):
    house.ann.open(at(house, "wiki"))
    url = at(house, "wiki", "/two")
    command = ["curl", "-sS", "--http2-prior-knowledge", "--resolve", f"wiki.localhost:{house.port}:127.0.0.1", "-w", "\n%{http_version} %{http_code}"]
    command += ["-H", f"cookie: {house.ann.cookies_at(url)}", "-d", "abc", url]
    body, how = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rsplit("\n", 1)
    said = json.loads(body)
    assert how == "2 200" and (said["method"], said["path"], said["length"]) == ("POST", "/two", 3)
    assert told(said["headers"])["host"] == [f"wiki.localhost:{house.port}"] and "x-tollgate-identity" in told(said["headers"])


def test_pieces_pass_as_they_come_both_ways_and_whoever_leaves_is_missed(own_gate):
    pieces, port = Pieces(), world.free_port()
    gate = web_world.gate(own_gate, pieces.port, port=port)
    pieces.go.set()
    ann = person(gate, "ann")
    ann.open(at(gate, "wiki"))
    pieces.go.clear()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/", headers={"host": f"wiki.localhost:{port}", "cookie": ann.cookies_at(at(gate, "wiki"))})
    answer = connection.getresponse()
    assert answer.read1(100) == b"one"
    pieces.go.set()
    assert answer.read() == b"two"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(head(gate, ann, "POST /", "content-length: 10", "connection: close") + b"first")
        assert pieces.first.wait(10), "what has come of an upload has not been sent on"
        wire.sendall(b"later")
        assert wire.makefile("rb").read().endswith(b"firstlater")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(head(gate, ann, "GET /forever"))
        assert b"200 OK" in wire.recv(1000)
    assert pieces.left.wait(10), "the application still sends"


@pytest.mark.parametrize("answer", [b"content-length: 100\r\n\r\nsome", b"transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n"])
def test_an_answer_that_is_cut_off_does_not_look_whole(house, answer):
    house.odd.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    house.ann.open(at(house, "odd"))
    house.odd.says(b"HTTP/1.1 200 OK\r\n" + answer, hangs_up=True)
    with pytest.raises(http.client.IncompleteRead):
        house.ann.send("GET", at(house, "odd"))


def test_an_upload_may_take_longer_than_an_answer(own_gate):
    """`first_byte_ms` is how long an application may think, not how long a browser may take to send."""
    echo, odd, port = web_world.Echo(), web_world.Raw(), world.free_port()
    gate = web_world.gate(own_gate, echo.port, port=port, more=application("odd", port, odd.port) + "timeouts: { first_byte_ms: 500 }\n")
    ann = person(gate, "ann")
    ann.open(at(gate, "wiki"))
    odd.says(b"")
    late = ann.open(at(gate, "odd"))
    assert late.status == 504 and "did not answer" in late.page.text
    with socket.create_connection(("127.0.0.1", port), timeout=1.5) as wire:
        wire.sendall(head(gate, ann, "POST /", "content-length: 10") + b"first")
        with pytest.raises(TimeoutError):
            raise AssertionError(wire.recv(1000))
        wire.sendall(b"later")
        assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_cookies_of_the_application_pass_and_those_of_the_gate_do_not(house):
    browser, url = Browser(house), at(house, "wiki")
    answer = browser.visits(url)
    assert "cookie" not in told(answer), "all that it has are the gate's"
    assert answer.headers["set-cookie"] == "app=1; Path=/", "what an application would set for the gate is left out"
    browser.jar[f"wiki.localhost:{house.port}"]["theme"] = "dark"
    assert {"app", "theme", "tollgate-visit", "tollgate-going"} == set(browser.jar[f"wiki.localhost:{house.port}"])
    assert told(browser.open(url))["cookie"] == ["app=1; theme=dark"]


def test_a_cookie_that_is_not_ascii_signs_nobody_out(house):
    """A page sets one with `document.cookie = "name=Zoë"`."""
    browser = Browser(house)
    browser.visits(at(house, "wiki"))
    browser.jar[f"wiki.localhost:{house.port}"]["name"] = "Zoë".encode().decode("latin-1")
    answer = program(browser, at(house, "wiki"))
    assert answer.status == 200
    assert told(answer)["cookie"][0].encode("latin-1").decode() == "app=1; name=Zoë"


def test_public_paths_are_for_anybody_and_whoever_is_known_is_known_there(house):
    stranger, before = Browser(house), len(house.records("event"))
    for path in ["/health", "/health?full=1", "/assets/a/b.css", "/%68ealth"]:
        answer = stranger.send("GET", at(house, "wiki", path))
        assert answer.status == 200 and answer.json()["path"] == path
        assert not [name for name in told(answer) if name in ("x-tollgate-identity", "x-forwarded-user", "x-forwarded-groups")]
    assert stranger.send("POST", at(house, "wiki", "/health"), body=b"abc").json()["length"] == 3
    assert len(house.records("event")) == before, "nobody was let in"
    for path in ["/", "/healthy", "/health/x", "/assets", "/HEALTH"]:
        assert program(stranger, at(house, "wiki", path)).status == 401, path
    assert program(stranger, at(house, "board", "/health")).status == 401, "they are one application's"
    house.ann.open(at(house, "wiki"))
    assert told(house.ann.open(at(house, "wiki", "/health")))["x-forwarded-user"] == ["ann"]


def test_an_application_is_for_its_groups(house):
    bob, before = person(house, "bob", "staff"), len(house.echo.asked)
    page = bob.open(at(house, "board", "/x"))
    assert page.status == 403 and "may not use board" in page.page.text and len(house.echo.asked) == before
    assert "Sign in as somebody else" in page.page.text
    assert house.ann.open(at(house, "board", "/x")).status == 200
    assert bob.open(at(house, "wiki")).status == 200


def test_rules_decide_by_method_path_and_user(house):
    root = person(house, "root")
    for browser in [root, house.ann]:
        browser.open(at(house, "wiki"))
    before = len(house.echo.asked)
    refused = program(house.ann, at(house, "wiki", "/admin/x?y"))
    assert refused.status == 403 and "only root goes there" in refused.json()["error"]["message"]
    for browser in [house.ann, root]:
        assert "nobody-deletes" in program(browser, at(house, "wiki", "/x"), "DELETE").json()["error"]["message"]
    assert len(house.echo.asked) == before
    assert program(root, at(house, "wiki", "/admin/x?y")).json()["path"] == "/admin/x?y"
    assert program(house.ann, at(house, "wiki", "/adm")).status == 200


def test_each_decision_is_recorded_once_in_a_session(house):
    kim = person(house, "kim")
    kim.open(at(house, "wiki", "/first?secret=1"))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: program(kim, at(house, "wiki", f"/{number}")).status, range(20)))
    assert statuses == [200] * 20
    [first] = visited(house, "kim")
    assert {name: first[name] for name in ("application", "surface", "allowed", "why", "method", "path", "from")} == {
        "application": "wiki", "surface": "web", "allowed": True, "why": None, "method": "GET", "path": None, "from": "127.0.0.1",
    }
    for path in ["/admin/a?secret=1", "/admin/b"]:
        program(kim, at(house, "wiki", path))
    [second] = visited(house, "kim")[1:]
    assert (second["allowed"], second["path"], second["session"]) == (False, "/admin/a", first["session"]) and "only root" in second["why"]
    program(kim, at(house, "wiki", "/health"))
    kim.open(at(house, "keyed"))
    again = Browser(house)
    again.visits(at(house, "wiki"), "kim")
    third, fourth = visited(house, "kim")[2:]
    assert (third["application"], third["session"]) == ("keyed", first["session"])
    assert (fourth["application"], fourth["allowed"]) == ("wiki", True) and fourth["session"] != first["session"]


def test_signing_out_at_the_gate_ends_visits_everywhere_at_once(house):
    pat = person(house, "pat")
    pages = [at(house, name) for name in ("wiki", "keyed")]
    for page in pages:
        assert pat.open(page).status == 200
    kept = Browser(house)
    kept.jar = {host: dict(jar) for host, jar in pat.jar.items()}
    pat.submit(pat.open(f"{house.issuer}/oauth/logout"), button="leave")
    for browser in [pat, kept]:
        assert [program(browser, page).status for page in pages] == [401, 401]
    assert "Password" in kept.open(pages[0]).page.text


@pytest.mark.parametrize(
    ("command", "status", "shown"),
    [("block", 403, "is blocked"), ("sign-out", 401, "Password"), ("remove-login", 401, "Password"), ("delete", 401, "Password")],
)
def test_whoever_is_shut_out_is_so_at_once(house, command, status, shown):
    user = f"out-{command}"
    browser, page = person(house, user), at(house, "wiki")
    assert browser.open(page).status == 200
    cli(house, command, user)
    assert program(browser, page).status == status
    assert shown in browser.open(page).page.text, "a page in the end, no circle"
    if command == "block":
        cli(house, "unblock", user)
        assert browser.open(page).status == 200


def test_changed_groups_count_at_once(house):
    mia = person(house, "mia", "staff")
    assert mia.open(at(house, "board")).status == 403 and told(mia.open(at(house, "wiki")))["x-forwarded-groups"] == ["staff"]
    cli(house, "groups", "mia", "board", "ops")
    assert mia.open(at(house, "board")).status == 200
    headers = told(mia.open(at(house, "wiki")))
    assert headers["x-forwarded-groups"] == ["board,ops"]
    assert verified(house, headers["x-tollgate-identity"][0], f"http://wiki.localhost:{house.port}")["groups"] == ["board", "ops"]
    cli(house, "groups", "mia", "--none")
    assert mia.open(at(house, "board")).status == 403


def test_signing_out_begins_at_the_application(house):
    sam, page = person(house, "sam"), at(house, "wiki")
    sam.open(page)
    asked = sam.open(at(house, "wiki", "/.tollgate/sign-out"))
    assert "Sign out?" in asked.page.text and "tollgate-visit" not in sam.jar[f"wiki.localhost:{house.port}"]
    assert "app" in sam.jar[f"wiki.localhost:{house.port}"], "the application's are its own"
    assert sam.open(page).status == 200, "they did not want to after all"
    sam.submit(sam.open(at(house, "wiki", "/.tollgate/sign-out")), button="leave")
    assert "Password" in sam.open(page).page.text


def test_pages_are_sent_to_sign_in_and_programs_are_told(house):
    stranger, url = Browser(house), at(house, "wiki", "/x?y=1")
    page = stranger.send("GET", url)
    assert page.status == 303 and page.headers["location"] == "/.tollgate/sign-in?" + urllib.parse.urlencode({"to": "/x?y=1"})
    told_so = program(stranger, url)
    assert told_so.status == 401 and told_so.json()["error"]["type"] == "unauthenticated"
    assert told_so.headers["www-authenticate"] == f'Tollgate sign_in="{at(house, "wiki", "/.tollgate/sign-in")}"'
    assert stranger.send("GET", url, headers={"sec-fetch-mode": "cors"}).json() == told_so.json(), "whatever it would take"
    assert stranger.send("GET", url, headers={**PROGRAM, "sec-fetch-mode": "navigate"}).status == 303
    form = stranger.send("POST", url, form={"text": "hello"})
    assert form.status == 401 and "Sign in first" in form.page.text, "what was sent would be lost"
    assert program(stranger, url, "POST").status == 401


def test_an_application_that_is_down_is_said_to_be(house):
    page = house.ann.open(at(house, "gone"))
    assert page.status == 502 and "The application gone does not answer" in page.page.text
    assert program(house.ann, at(house, "gone")).json()["error"]["message"] == "the application `gone` does not answer"
    house.odd.says(b"", hangs_up=True)
    assert house.ann.open(at(house, "odd")).status == 502
    house.odd.says(b"what is this?\r\n\r\n", hangs_up=True)
    assert house.ann.open(at(house, "odd")).status == 502


def test_a_websocket_carries_texts_bytes_and_large_messages_both_ways(house):
    house.ann.open(at(house, "talk"))
    with house.ann.socket(at(house, "talk", "/room?x=1"), origin=f"http://talk.localhost:{house.port}") as talk:
        for message in ["hello", "", b"\x00\xff", "ä" * 1_000_000, bytes(range(256)) * 12_000]:
            talk.send(message)
            assert talk.recv(timeout=20) == message and talk.recv(timeout=20) == message
        headers = told(house.sockets.opened[-1])
        talk.close(1000, "bye")
        assert (talk.close_code, talk.close_reason) == (1000, "bye")
    assert verified(house, headers["x-tollgate-identity"][0], f"http://talk.localhost:{house.port}")["preferred_username"] == "ann"
    assert headers["host"] == [f"talk.localhost:{house.port}"] and "cookie" not in headers
    assert [entry["allowed"] for entry in visited(house, "ann") if entry["application"] == "talk"] == [True], "the page and the WebSocket"


def test_a_websocket_is_opened_by_programs_too_and_as_browsers_say_it(house):
    house.ann.open(at(house, "talk"))
    with house.ann.socket(at(house, "talk")) as talk:
        talk.send("no page")
        assert talk.recv(timeout=20) == "no page"
    lines = [f"Origin: http://talk.localhost:{house.port}", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    with socket.create_connection(("127.0.0.1", house.port), timeout=10) as wire:
        wire.sendall(head(house, house.ann, "GET /", *lines, application="talk") + b"\x82\x82\0\0\0\0hi")
        answer = b""
        while answer.count(b"\x82\x02hi") < 2:
            answer += wire.recv(1000) or pytest.fail(f"what is sent before the answer has come is lost: {answer}")
    assert answer.startswith(b"HTTP/1.1 101 ") and b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer


def test_a_websocket_is_refused_without_a_session(house):
    before = len(house.sockets.opened)
    with pytest.raises(InvalidStatus) as refused, Browser(house).socket(at(house, "talk")):
        pass
    assert refused.value.response.status_code == 401 and len(house.sockets.opened) == before


def test_a_gate_that_stops_closes_websockets_and_visits_outlive_it(own_gate):
    echo, sockets, port = web_world.Echo(), web_world.Sockets(), world.free_port()
    options = {"port": port, "more": application("talk", port, sockets.port)}
    gate = web_world.gate(own_gate, echo.port, **options)
    ann = person(gate, "ann")
    ann.open(at(gate, "wiki"))
    ann.open(at(gate, "talk"))
    with ann.socket(at(gate, "talk")) as talk:
        talk.send("hello")
        assert talk.recv(timeout=10) == "hello" and talk.recv(timeout=10) == "hello"
        begun = time.monotonic()
        assert gate.stop() == 0 and time.monotonic() - begun < 5
        with pytest.raises(ConnectionClosed):
            talk.recv(timeout=10)
    gate = web_world.gate(own_gate, echo.port, folder=gate.folder, **options)
    answer = program(ann, at(gate, "wiki"))
    assert verified(gate, told(answer)["x-tollgate-identity"][0], f"http://wiki.localhost:{port}")["preferred_username"] == "ann"


def test_what_a_changed_file_says_holds_from_then_on(own_gate):
    echo, port = web_world.Echo(), world.free_port()
    gate = web_world.gate(own_gate, echo.port, port=port, more=application("late", port, echo.port))
    ann = person(gate, "ann", "board")
    for name in ["wiki", "board", "late"]:
        assert ann.open(at(gate, name)).status == 200
    text = gate.config.read_text()
    gate.config.write_text(text.replace("groups: [board]", "groups: [others]").replace(application("late", port, echo.port), ""))
    assert world.wait_for(lambda: gate.logged("the configuration was reloaded"), "the reload", gate.process)
    before = len(echo.asked)
    assert program(ann, at(gate, "board")).status == 403
    assert program(ann, at(gate, "late")).status in (401, 404) and len(echo.asked) == before, "nothing is there any more"
    assert program(ann, at(gate, "wiki")).status == 200


def test_from_where_a_browser_asks_is_what_a_proxy_says_that_is_trusted(house, own_gate):
    house.ann.open(at(house, "wiki"))
    forged = {"x-forwarded-for": "203.0.113.7", "x-real-ip": "203.0.113.7", "forwarded": "for=203.0.113.7", "x-forwarded-proto": "https"}
    headers = told(program(house.ann, at(house, "wiki"), **forged))
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == (["127.0.0.1"], ["http"]) and not {"x-real-ip", "forwarded"} & set(headers)
    echo = web_world.Echo()
    gate = web_world.gate(own_gate, echo.port, more="trusted_proxies: [127.0.0.1]\n")
    ann = person(gate, "ann")
    ann.headers["x-forwarded-for"] = "8.8.8.8, 203.0.113.7"
    headers = told(ann.open(at(gate, "wiki")))
    assert headers["x-forwarded-for"] == ["203.0.113.7"], "what stands before it was written by whoever asks"
    assert visited(gate, "ann")[0]["from"] == "203.0.113.7"


def asked_by_proxy(browser, url: str, what: str = "auth", **said: str):
    """What a proxy is answered that asks whether a request may pass."""
    headers = {f"x-forwarded-{name}": value for name, value in said.items()}
    return browser.send("GET", urllib.parse.urljoin(url, f"/.tollgate/{what}"), headers={**PROGRAM, **headers})


def test_a_proxy_asks_whether_a_request_may_pass(house):
    stranger, side = Browser(house), at(house, "side")
    assert asked_by_proxy(stranger, side, method="GET", uri="/x").status == 401
    assert asked_by_proxy(stranger, side, method="GET", uri="/health?x").status == 200
    ned = person(house, "ned")
    ned.open(at(house, "side", "/.tollgate/sign-in?to=/x"))
    passed = asked_by_proxy(ned, side, method="POST", uri="/x?y=1")
    assert passed.status == 200 and passed.headers["x-side-user"] == "ned" and passed.body == b""
    assert verified(house, passed.headers["x-tollgate-identity"], f"http://side.localhost:{house.port}")["preferred_username"] == "ned"
    for said in [{"method": "GET", "uri": "/cellar/x"}, {"method": "DELETE", "uri": "/x"}]:
        refused = asked_by_proxy(ned, side, **said)
        assert refused.status == 403 and "x-tollgate-identity" not in refused.headers, said
    assert [entry["path"] for entry in visited(house, "ned")] == [None, "/cellar/x", "/x"]
    assert ned.open(side).status == 404, "past the proxy there is nothing"


def test_a_proxy_that_shows_the_answer_sends_the_browser_to_sign_in(house):
    stranger, side = Browser(house), at(house, "side")
    page = {"accept": "text/html", "x-forwarded-method": "GET", "x-forwarded-uri": "/a?b=c"}
    sent = stranger.send("GET", at(house, "side", "/.tollgate/forward-auth"), headers=page)
    assert sent.status == 303 and sent.headers["location"] == "/.tollgate/sign-in?to=%2Fa%3Fb%3Dc"
    assert stranger.send("GET", at(house, "side", "/.tollgate/auth"), headers=page).status == 401, "nginx would take it for a failure"
    assert asked_by_proxy(stranger, side, "forward-auth", method="GET", uri="/a").status == 401
    assert stranger.send("GET", at(house, "side", "/.tollgate/forward-auth"), headers={**page, "x-forwarded-method": "POST"}).status == 401


GOOD = "{ url: http://wiki.localhost:4000, upstream: http://127.0.0.1:1 }"
URLS = """wiki.example.com https://wiki.example.com/x https://a@wiki.example.com ftp://wiki.localhost https://wiki.example.com:443
https://wiki.example.com?x https://*.example.com""".split()
HEADERS = ["X-Tollgate-Identity", "Host", "COOKIE", "X_User", "Sec-Fetch-Site", "X-Forwarded-For", "Authorization", "Connection", "Content-Type", "'X User'"]
UPSTREAMS = ["10.0.0.5:8080", "http://10.0.0.5/x", "ftp://10.0.0.5", "http://a:b@10.0.0.5", "http://10.0.0.5?x", ""]
PUBLIC = ["assets", "/a/../b", "/a%2fb", "//a", "/a*b", "/a/*/b", ""]
AUDIENCES = ["", "http://localhost:4000", "http://localhost:4000/v1", "app"]


def wiki(more: str) -> str:
    return f"wiki: {{ url: http://wiki.localhost:4000, {more} }}"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (f"wiki: {GOOD}\n  same: {GOOD}", "`same` and `wiki` are at the same host"),
        ("wiki: { url: http://wiki.example.com }", "`http://` is for this machine only"),
        ("wiki: { url: http://LOCALHOST:4000 }", "has a host of its own"),
        *[(f"wiki: {{ url: '{url}' }}", "is no address like") for url in URLS],
        *[(wiki(f"headers: {{ {name}: user }}"), "is no header that may say who somebody is") for name in HEADERS],
        (wiki("headers: { X-User: password }"), "password"),
        (wiki("algorithm: HS256"), "HS256"),
        (wiki("algorithm: ES256"), "ES256 is not among `algorithms`"),
        *[(wiki(f"upstream: '{upstream}'"), "its `upstream` is like") for upstream in UPSTREAMS],
        *[(wiki(f"public: ['{path}']"), "is no path like") for path in PUBLIC],
        *[(wiki(f"audience: '{audience}'"), "its `audience` is neither") for audience in AUDIENCES],
        ("wi ki: { url: http://wiki.localhost:4000 }", "a name is 1 to 32 letters"),
        (wiki("upstreams: []"), "upstreams"),
        ("wiki: { upstream: http://127.0.0.1:1 }", "url"),
        (f"wiki: {GOOD}\npolicies: [{{ name: x, hold: 'application == \"wiki\"' }}]", "tool calls are held"),
        (f"wiki: {GOOD}\npolicies: [{{ name: x, hold: 'path == \"/x\"' }}]", "tool calls are held"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(tmp_path, settings, why):
    file = tmp_path / "tollgate.yaml"
    start = sign_in_world.CONFIG.format(port=4000, server="", clients="", path="/", issuer="")
    file.write_text(f"{start}web:\n  {settings}\n")
    assert why in world.tollgate("check", str(file), status=1)


def test_applications_need_the_server_at_which_people_sign_in_and_as_much_secrecy(tmp_path):
    file = tmp_path / "tollgate.yaml"
    file.write_text(f"models: {{ sim: [{{ provider: simulator }}] }}\nweb:\n  wiki: {GOOD}\n")
    assert "`identity.server` is missing" in world.tollgate("check", str(file), status=1)
    start = sign_in_world.CONFIG.format(port=4000, server="", clients="", path="/", issuer="")
    file.write_text(f"{start}web:\n  wiki: {GOOD}\n")
    assert "ok" in world.tollgate("check", str(file))
    file.write_text(start.replace("url: http://localhost:4000", "url: https://gate.example.com") + f"web:\n  wiki: {GOOD}\n")
    assert "is not encrypted, and `https://gate.example.com` is" in world.tollgate("check", str(file), status=1)


def test_a_websocket_ends_soon_after_its_user_has_signed_out(house):
    """The gate asks each 15 seconds whether they still may; Lea has signed out before the first test."""
    with pytest.raises(ConnectionClosed):
        house.leaving.recv(timeout=25)
    house.staying.send("still here")
    assert house.staying.recv(timeout=10) == "still here"


def test_the_password_is_asked_at_the_gate_and_nowhere_else(house):
    browser = Browser(house)
    page = browser.open(at(house, "wiki"))
    assert browser.host == f"localhost:{house.port}" and "Password" in page.page.text
    before = len(house.echo.asked)
    browser.sign_in(page, "ann")
    assert not [asked for asked in house.echo.asked[before:] if PASSWORD in json.dumps(asked)]
