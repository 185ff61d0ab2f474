"""Attacks on web applications behind the gate, one test each."""

import concurrent.futures
import json
import urllib.parse

import pytest
import web_world
import world
from identity_world import claims_of
from sign_in_world import ENV, MASTER
from web_world import Browser, at, person, raw, told
from websockets.exceptions import InvalidStatus

PROGRAM = {"accept": "*/*"}
WHO = "root-of-all-evil"


@pytest.fixture(scope="module")
def house():
    """Applications; Ann has been at each, and Eve has signed in at the gate."""
    made = web_world.neighbourhood()
    for name in ["wiki", "board", "keyed", "talk", "odd"]:
        made.ann.open(at(made, name))
    made.ann.open(at(made, "side", "/.tollgate/sign-in"))
    made.eve = person(made, "eve")
    yield made
    assert made.stop() == 0


@pytest.fixture
def asked(house):
    """What the wiki is asked in this test."""
    house.echo.asked.clear()
    return house.echo.asked


def program(browser, url: str, method: str = "GET", **headers):
    return browser.send(method, url, headers={**PROGRAM, **headers})


def text(house, line: str, *lines: str, body: bytes = b"", application: str = "wiki", host=None, cookies=None) -> bytes:
    """A request, byte by byte; Ann's where nothing else is said."""
    host = f"{application}.localhost:{house.port}" if host is None else host
    cookies = house.ann.cookies_at(at(house, application)) if cookies is None else cookies
    head = [f"{line} HTTP/1.1", f"host: {host}", *([f"cookie: {cookies}"] if cookies else []), *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1]) if answer else 0


def copy(browser) -> Browser:
    other = Browser(browser)
    other.jar = {host: dict(jar) for host, jar in browser.jar.items()}
    return other


def jar(house, browser, application: str) -> dict:
    return browser.jar.setdefault(f"{application}.localhost:{house.port}", {})


def code_for(house, browser, application: str = "wiki", path: str = "/x") -> str:
    """The address at which a browser arrives whose user has signed in, not yet opened."""
    answer = browser.send("GET", at(house, application, "/.tollgate/sign-in?" + urllib.parse.urlencode({"to": path})))
    return browser.send("GET", answer.headers["location"]).headers["location"]


SPELLINGS = """X-Tollgate-Identity x_tollgate_identity X_TOLLGATE-identity X.Tollgate.Identity X~Tollgate|Identity X-Tollgate-User X_Forwarded_User
x-wiki_NAME""".split()
BY_OTHERS = """X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username X-Forwarded-Access-Token X-Auth-Request-User
X-Auth-Request-Groups Remote-User REMOTE_USER Remote-Groups Remote-Email X-Remote-User X-Remote-Group X-WebAuth-User X-Authentik-Username
X-Authentik-Groups X-Pomerium-Jwt-Assertion X-Goog-IAP-JWT-Assertion X-Goog-Authenticated-User-Email X-MS-Client-Principal
X-MS-Client-Principal-Name X-Amzn-Oidc-Identity X-Amzn-Oidc-Data
Cf-Access-Jwt-Assertion Cf-Access-Authenticated-User-Email X-User X-Client-Cert SSL-Client-S-DN SSL_CLIENT_VERIFY
X-SSL-Client-S-DN X-SSL-Client-Verify X-Auth-User X-Authenticated-User Tailscale-User-Login""".split()


@pytest.mark.parametrize("name", [*SPELLINGS, *BY_OTHERS])
def test_nobody_says_who_they_are(house, asked, name):
    """With a session and without one, once and twice."""
    lines = [f"{name}: {WHO}", f"{name}: {WHO}", "connection: close"]
    for line, cookies in [("GET /health", ""), ("GET /x", None)]:
        assert status(raw(house, text(house, line, *lines, cookies=cookies))) == 200
    for said in asked:
        assert WHO not in json.dumps(said), f"the application takes {name} from anybody"
    assert [len(told(said["headers"]).get("x-tollgate-identity", [])) for said in asked] == [0, 1]
    assert [told(said["headers"]).get("x-forwarded-user", []) for said in asked] == [[], ["ann"]]


FROM = """X-Forwarded-For X-Real-IP X_Real_IP Forwarded X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Prefix
True-Client-IP CF-Connecting-IP X-Client-IP X-Cluster-Client-IP""".split()


@pytest.mark.parametrize("name", FROM)
def test_nobody_says_from_where_they_ask(house, asked, name):
    assert status(raw(house, text(house, "GET /x", f"{name}: 203.0.113.77", "connection: close"))) == 200
    assert "203.0.113.77" not in json.dumps(asked)


INSTEAD = ["X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"]


@pytest.mark.parametrize("line", INSTEAD)
def test_no_header_says_that_another_path_or_method_is_meant_than_was_decided_on(house, asked, line):
    """Many frameworks take the former for the latter."""
    raw(house, text(house, "POST /x", line, "content-length: 0", "connection: close"))
    assert line.split(":")[0].lower() not in [header for said in asked for header, _ in said["headers"]]


def test_what_follows_a_body_is_no_header(house, asked):
    body = b"3\r\nabc\r\n0\r\nx-tollgate-identity: %s\r\nx-forwarded-user: %s\r\n\r\n" % (WHO.encode(), WHO.encode())
    house.odd.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", hangs_up=True)
    for application in ["wiki", "odd"]:
        lines = ["transfer-encoding: chunked", "trailer: x-tollgate-identity, x-forwarded-user", "te: trailers", "connection: close, te"]
        assert status(raw(house, text(house, "POST /x", *lines, body=body, application=application))) == 200
    assert asked[0]["length"] == 3 and WHO not in json.dumps(asked) and WHO.encode() not in b"".join(house.odd.got)


def test_nobody_has_headers_of_the_gate_taken_for_what_is_between_neighbours(house, asked):
    listed = "connection: close, x-tollgate-identity, x-forwarded-user, x-forwarded-for, host, content-length, x-own"
    assert status(raw(house, text(house, "POST /x", listed, "x-own: 1", "keep-alive: 1", "proxy-connection: x", "content-length: 3", body=b"abc"))) == 200
    [said] = asked
    headers = told(said["headers"])
    assert headers["x-forwarded-user"] == ["ann"] and headers["x-forwarded-for"] == ["127.0.0.1"] and "x-tollgate-identity" in headers
    assert said["length"] == 3 and headers["host"] == [f"wiki.localhost:{house.port}"]
    assert not {"x-own", "keep-alive", "proxy-connection"} & set(headers)
    raw(house, text(house, "GET /x", "connection: close, cookie"))
    assert told(asked[-1]["headers"])["x-forwarded-user"] == ["ann"] and "tollgate-" not in json.dumps(told(asked[-1]["headers"]).get("cookie", []))


def smuggled(house) -> bytes:
    """A request that the gate would refuse."""
    return text(house, "GET /admin/smuggled", f"x-tollgate-identity: {WHO}")


@pytest.mark.parametrize(
    "lines",
    [
        ["content-length: 5", "content-length: 6"],
        ["content-length: +5"],
        ["content-length: 0x5"],
        ["content-length: 5, 6"],
        ["content-length : 5"],
        ["transfer-encoding: chunked, identity"],
        ["transfer-encoding: identity"],
        ["transfer-encoding: xchunked"],
        ["transfer-encoding: \x0bchunked"],
        ["transfer-encoding : chunked"],
        ["x: y", " transfer-encoding: chunked"],
        ["x: y\x00z", "content-length: 5"],
    ],
)
def test_where_a_request_ends_is_not_left_to_guesses(house, asked, lines):
    answer = raw(house, text(house, "POST /x", *lines, body=b"0\r\n\r\n" + smuggled(house)))
    assert status(answer) in (0, 400, 501) and answer.count(b"HTTP/1.1 ") <= 1 and asked == []


BOTH = [
    ["content-length: 6", "transfer-encoding: chunked"],
    ["transfer-encoding: chunked", "content-length: 6"],
    ["Transfer-Encoding: CHUNKED", "content-length: 0"],
]


@pytest.mark.parametrize("lines", BOTH)
def test_of_two_lengths_one_counts_and_the_other_goes_no_further(house, asked, lines):
    house.odd.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    for application in ["wiki", "odd"]:
        answer = raw(house, text(house, "POST /x", *lines, body=b"5\r\nabcde\r\n0\r\n\r\n" + smuggled(house), application=application))
        assert answer.count(b"HTTP/1.1 200") <= 1
    assert [(said["path"], said["length"]) for said in asked] in ([], [("/x", 5)])
    sent = b"".join(house.odd.got).lower()
    assert b"smuggled" not in sent and not (b"content-length" in sent and b"transfer-encoding" in sent)


def test_a_request_within_a_body_is_none(house, asked):
    body, methods = smuggled(house), ["POST", "GET", "HEAD", "OPTIONS"]
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for method in [*methods, "DELETE"]:
        raw(house, text(house, f"{method} /x", f"content-length: {len(body)}", "connection: close", body=body))
        raw(house, text(house, f"{method} /x", "transfer-encoding: chunked", "connection: close", body=chunked))
    assert [(said["method"], said["path"]) for said in asked] == [(method, "/x") for method in methods for _ in range(2)]
    assert asked[0]["length"] == asked[1]["length"] == len(body)


@pytest.mark.parametrize("path", ["/x", "/health", "/livez"])
def test_a_request_names_one_host(house, asked, path):
    """RFC 9112 §3.2: more than one is answered with 400, whoever is meant."""
    for other in [f"wiki.localhost:{house.port}", f"localhost:{house.port}", "evil.example"]:
        assert status(raw(house, text(house, f"GET {path}", f"host: {other}", "connection: close"))) == 400, other
        first = text(house, f"GET {path}", "connection: close").replace(b"\r\nhost:", f"\r\nhost: {other}\r\nhost:".encode(), 1)
        assert status(raw(house, first)) == 400, other
    assert asked == []


def test_of_an_address_in_the_request_line_and_a_host_the_former_is_meant(house, asked):
    """Also by the rules and the session."""
    port = house.port
    others = [f"board.localhost:{port}", f"localhost:{port}", f"wiki.localhost:{port}@evil.example", f"x@board.localhost:{port}"]
    for other in [*others, "evil.example", "wiki.localhost"]:
        for path in ["/x", "/health"]:
            assert status(raw(house, text(house, f"GET http://{other}{path}", "connection: close"))) in (400, 401, 404), other
    assert status(raw(house, text(house, f"GET http://wiki.localhost:{port}/admin", "connection: close", application="keyed"))) == 401
    assert asked == []
    assert status(raw(house, text(house, f"GET http://wiki.localhost:{port}/health", "connection: close", application="board"))) == 200
    headers = told(asked[0]["headers"])
    assert headers["host"] == [f"wiki.localhost:{port}"] and "x-tollgate-identity" not in headers


def test_a_tunnel_is_not_opened(house):
    house.odd.says(b"HTTP/1.1 200 OK\r\n\r\n")
    for target in ["/x", "/health", f"odd.localhost:{house.port}", "127.0.0.1:22"]:
        answer = raw(house, text(house, f"CONNECT {target}", application="odd", body=smuggled(house)))
        assert 400 <= status(answer) < 600, (target, answer)
    assert house.odd.got == []


def test_a_visit_to_one_application_is_none_to_another(house, asked):
    for name in ["board", "keyed", "odd", "talk", "side"]:
        thief = Browser(house)
        jar(house, thief, "wiki").update(jar(house, house.ann, name))
        assert "tollgate-visit" in jar(house, thief, "wiki") and program(thief, at(house, "wiki")).status == 401, name
    assert asked == []


def test_a_visit_that_was_altered_is_none(house, asked):
    good = jar(house, house.ann, "wiki")["tollgate-visit"]
    other = {"A": "B"}
    wrong = [good[:place] + other.get(good[place], "A") + good[place + 1 :] for place in range(0, len(good), 7)]
    for value in [*wrong, good[:-4], good + "AAAA", good[::-1], "", "null", "e30", "A" * 9_000]:
        thief = Browser(house)
        jar(house, thief, "wiki")["tollgate-visit"] = value
        assert program(thief, at(house, "wiki")).status in (401, 431), value
    twice = text(house, "GET /x", "cookie: tollgate-visit=AAAA", "connection: close")
    assert status(raw(house, twice)) == 401, "one of two was set by somebody else"
    assert asked == []


def test_a_visit_is_no_session_of_the_gate_and_the_other_way_round(house, asked):
    visit, session = jar(house, house.ann, "wiki")["tollgate-visit"], house.ann.jar[f"localhost:{house.port}"]["tollgate-session"]
    thief = Browser(house)
    thief.jar[f"localhost:{house.port}"] = {"tollgate-session": visit, "tollgate-visit": visit}
    assert "Password" in thief.open(f"{house.issuer}/oauth/account").page.text
    jar(house, thief, "wiki").update({"tollgate-visit": session, "tollgate-session": session})
    assert program(thief, at(house, "wiki")).status == 401 and asked == []


def test_what_tells_an_application_who_asks_is_no_credential_at_the_gate(house):
    """An application could use it, or whoever reads along there."""
    [token] = told(program(house.ann, at(house, "wiki")))["x-tollgate-identity"]
    for path in ["/v1/models", "/api/v1/users", "/oauth/userinfo", "/mcp"]:
        assert world.get(house.url + path, {"authorization": f"Bearer {token}"})[0] in (401, 403), path
    assert claims_of(token)["aud"] == f"http://wiki.localhost:{house.port}"
    thief = Browser(house)
    jar(house, thief, "wiki")["tollgate-visit"] = token
    assert program(thief, at(house, "wiki"), **{"x-tollgate-identity": token, "authorization": f"Bearer {token}"}).status == 401


def test_nobody_is_signed_in_as_somebody_else_by_a_link(house):
    """Login CSRF: Eve has signed in, and sends the last step to somebody else."""
    link = code_for(house, house.eve)
    victims = [Browser(house), copy(house.ann)]
    victims[1].send("GET", at(house, "wiki", "/.tollgate/sign-in?to=/"))
    for victim in victims:
        before = dict(jar(house, victim, "wiki"))
        answer = victim.send("GET", link)
        # What Eve could still use does not stay in the address.
        assert (answer.status, answer.headers["location"]) == (303, "/.tollgate/failed") and "set-cookie" not in answer.headers
        assert "not meant for this browser" in victim.follow(answer).page.text
        assert jar(house, victim, "wiki") == before
    assert house.eve.send("GET", link).status == 303


def test_nobody_is_signed_in_by_a_link_that_somebody_else_has_begun_with(house):
    begun = house.eve.send("GET", at(house, "wiki", "/.tollgate/sign-in?to=/")).headers["location"]
    victim = copy(house.ann)
    jar(house, victim, "wiki").clear()
    answer = victim.open(begun)
    assert answer.status == 400 and victim.host == f"wiki.localhost:{house.port}" and jar(house, victim, "wiki") == {}


def test_an_arrival_at_one_application_is_none_at_another(house):
    browser = copy(house.eve)
    link = code_for(house, browser)
    browser.send("GET", at(house, "keyed", "/.tollgate/sign-in"))
    jar(house, browser, "keyed")["tollgate-going"] = jar(house, browser, "wiki")["tollgate-going"]
    answer = browser.open(link.replace("//wiki.", "//keyed."))
    assert answer.status == 400 and "tollgate-visit" not in jar(house, browser, "keyed")


def test_an_arrival_that_is_used_again_lets_nobody_in_who_has_signed_out(house, asked):
    guy = person(house, "guy")
    link = code_for(house, guy)
    assert guy.follow(guy.send("GET", link)).status == 200
    guy.submit(guy.open(f"{house.issuer}/oauth/logout"), button="leave")
    asked.clear()
    guy.send("GET", link)
    assert program(guy, at(house, "wiki")).status == 401 and asked == []


def test_what_is_carried_one_way_is_not_taken_the_other_way(house):
    browser = copy(house.eve)
    going = browser.send("GET", at(house, "wiki", "/.tollgate/sign-in?to=/")).headers["location"].split("for=")[1]
    arriving = code_for(house, browser).split("code=")[1]
    altered = arriving[:40] + ("A" if arriving[40] != "A" else "B") + arriving[41:]
    for value in [going, altered, arriving[:-8], "", "x", "A" * 1_000, "%00", "%ff"]:
        answer = browser.send("GET", at(house, "wiki", f"/.tollgate/callback?code={value}"))
        assert answer.headers.get("location", "/.tollgate/failed") == "/.tollgate/failed" and "set-cookie" not in answer.headers, value
    for value in [arriving, going[:-8], f"{going}&for={going}", "", "x", "%00", "A" * 9_000, "https://evil.example"]:
        answer = browser.send("GET", f"{house.issuer}/oauth/visit?for={value}")
        assert answer.status == 400 and "location" not in answer.headers, value
    assert browser.send("GET", f"{house.issuer}/oauth/visit").status == 400
    assert browser.send("POST", f"{house.issuer}/oauth/visit", form={"for": going}).status == 405


AWAY = """//evil.example ///evil.example /\\evil.example \\\\evil.example https://evil.example http:evil.example javascript:alert(1) evil.example
@evil.example /.tollgate/sign-out""".split()
TO = [*AWAY, "", " //evil.example", "/\t/evil.example", "/a\r\nx-evil: 1", "/a\nx-evil: 1", "/a\x00", "/é", "/" + "x" * 5_000]


@pytest.mark.parametrize("to", TO)
def test_nobody_is_sent_elsewhere_after_they_have_signed_in(house, to):
    browser = copy(house.eve)
    answer = browser.send("GET", code_for(house, browser, path=to))
    assert (answer.status, answer.headers["location"]) == (303, "/") and "x-evil" not in answer.headers


def test_nobody_is_sent_elsewhere_by_the_address_that_they_ask_for(house):
    stranger = Browser(house)
    for path in ["//evil.example/x", "/\\evil.example", "/%0d%0ax-evil:1", "/x?to=//evil.example&a=%0a"]:
        at_wiki = stranger.send("GET", at(house, "wiki", path))
        by_proxy = stranger.send("GET", at(house, "side", "/.tollgate/forward-auth"), headers={"x-forwarded-method": "GET", "x-forwarded-uri": path})
        for answer in [at_wiki, by_proxy]:
            to = answer.headers["location"]
            assert answer.status == 303 and to == "/.tollgate/sign-in?" + urllib.parse.urlencode({"to": path}), path
    assert stranger.send("GET", at(house, "wiki", "/.tollgate/sign-in?to=/a&to=//evil.example")).status == 400


ADMIN = """/admin /admin/ /admin?x /admin/x /%61dmin /adm%69n/x //admin ///admin /./admin /x/../admin /x/%2e%2e/admin /x/.%2E/admin /%2fadmin /%2Fadmin
/x%2f..%2fadmin /admin;x /;/admin /x/..;/admin /%2561dmin /%252e/admin /\\admin /x\\..\\admin /%5cadmin /admin%00 /%00/admin /%c0%afadmin /%u0061dmin
/admin%2f /admin%252f /%ffadmin /%/admin /%2/admin /%zz/admin /admin#x""".split()


@pytest.mark.parametrize("path", ADMIN)
def test_a_rule_about_a_path_holds_however_that_is_written(house, asked, path):
    assert status(raw(house, text(house, f"GET {path}", "connection: close"))) in (400, 403)
    assert status(raw(house, text(house, f"GET http://wiki.localhost:{house.port}{path}", "connection: close"))) in (400, 403)
    assert asked == []


@pytest.mark.parametrize("method", ["DELETE", "delete", "Delete", "dElEtE"])
def test_a_rule_about_a_method_holds_however_that_is_written(house, method):
    """Some servers read `delete` as `DELETE`."""
    assert status(raw(house, text(house, f"{method} /x", "connection: close"))) in (400, 403, 405, 501)
    answer = raw(house, text(house, f"{method} /x", "connection: close"))
    assert b"BaseHTTP" not in answer, "the application was asked"
    assert by_proxy(house.ann, house, method=method, uri="/x").status == 403


PUBLIC = """/assets/../secret /assets/%2e%2e/secret /assets/.%2e/secret /assets/..%2fsecret /assets/..%5csecret /assets\\..\\secret /assets/..;/secret
/assets/%252e%252e/secret /assets/./../secret /assets//../secret /assets/.. /assets/%c0%ae%c0%ae/secret /assets/..%00/secret /health/../secret
/health%2f.. /health%2f..%2fsecret /health;/../secret /health%00 /health%23/../secret /health%3f/../secret /health/ /health/. //health /./health /x/../health
/%2fhealth /health%20 /secret?/health /secret#/health /secret/..%2fhealth""".split()


@pytest.mark.parametrize("path", PUBLIC)
def test_what_is_public_is_no_way_to_what_is_not(house, asked, path):
    assert status(raw(house, text(house, f"GET {path}", "connection: close", cookies=""))) in (400, 401) and asked == []
    assert by_proxy(Browser(house), house, method="GET", uri=path).status in (401, 403)


def test_what_is_decided_on_is_what_the_application_is_asked(house, asked):
    answer = raw(house, text(house, "GET /health#/../secret", "connection: close", cookies=""))
    assert status(answer) in (200, 400, 401) and [said["path"] for said in asked] in ([], ["/health"])


def by_proxy(browser, house, what: str = "auth", **said: str):
    return program(browser, at(house, "side", f"/.tollgate/{what}"), **{f"x-forwarded-{name}": value for name, value in said.items()})


@pytest.mark.parametrize("uri", ["/health#/../secret", "/health#", "health", "//side/health", "*", "", "/health /x", "/health/../secret", "/cellar/../health"])
def test_what_a_proxy_asks_about_is_public_only_if_that_is_beyond_doubt(house, uri):
    """A proxy passes on what was asked as it was written; not every server cuts it off at `#`."""
    assert by_proxy(Browser(house), house, method="GET", uri=uri).status in (401, 403)


@pytest.mark.parametrize("uri", ["/x#/../cellar", "//cellar", "/x/../cellar", "/%63ellar", "cellar", "/x\\..\\cellar", "http://[", ""])
def test_a_rule_about_a_path_holds_where_a_proxy_asks(house, uri):
    assert by_proxy(house.ann, house, method="GET", uri=uri).status == 403


def test_what_a_proxy_does_not_say_is_not_taken_for_harmless(house):
    """There are rules about path and method."""
    assert by_proxy(house.ann, house, method="GET", uri="/x").status == 200
    assert by_proxy(house.ann, house, method="GET").status == 403
    assert by_proxy(house.ann, house, uri="/x").status == 403


@pytest.mark.parametrize("name", ["uri", "method"])
def test_what_a_proxy_says_is_there_once(house, name):
    """Else a browser has said some of it."""
    said = {"uri": "/x", "method": "GET"}
    lines = [f"x-forwarded-{name}: {value}" for name, value in said.items()]
    assert status(raw(house, text(house, "GET /.tollgate/auth", *lines, "connection: close", application="side"))) == 200
    for more in [said[name], "/health" if name == "uri" else "HEAD", ""]:
        for order in [[f"x-forwarded-{name}: {more}", *lines], [*lines, f"X-Forwarded-{name.title()}: {more}"]]:
            for what in ["auth", "forward-auth"]:
                assert status(raw(house, text(house, f"GET /.tollgate/{what}", *order, "connection: close", application="side"))) == 403, order


def test_a_page_of_another_site_opens_no_websocket(house):
    before, port = len(house.sockets.opened), house.port
    relatives = [f"http://board.localhost:{port}", f"http://localhost:{port}", f"https://talk.localhost:{port}", "http://talk.localhost"]
    for origin in [*relatives, f"http://talk.localhost:{port}.evil.example", "http://evil.example", "null", ""]:
        with pytest.raises(InvalidStatus) as refused, house.ann.socket(at(house, "talk"), origin=origin):
            pass
        assert refused.value.response.status_code == 403, origin
    assert len(house.sockets.opened) == before
    with house.ann.socket(at(house, "talk"), origin=f"http://talk.localhost:{port}"):
        pass


UPGRADE = ["sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13", "connection: upgrade"]


REFUSALS = ["200 OK\r\ncontent-length: 0", "426 Upgrade Required\r\ncontent-length: 0", "204 No Content\r\nupgrade: websocket\r\nconnection: upgrade"]


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_websocket_that_is_not_opened_opens_no_tunnel(house, answer):
    house.odd.says(f"HTTP/1.1 {answer}\r\n\r\n".encode())
    second = text(house, "GET /second", "connection: close", application="odd", cookies="")
    got = raw(house, text(house, "GET /first", *UPGRADE, "upgrade: websocket", application="odd", body=second))
    assert [status(b"HTTP/1.1" + part) for part in got.split(b"HTTP/1.1")[1:]] == [int(answer[:3]), 401]
    assert len(house.odd.got) == 1 and b"second" not in house.odd.got[0]


@pytest.mark.parametrize("protocol", ["h2c", "websocket, h2c", "TLS/1.2", "connect-udp"])
def test_no_other_protocol_is_switched_to(house, protocol):
    house.odd.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    lines = [f"upgrade: {protocol}", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA", "connection: close, upgrade, http2-settings"]
    assert status(raw(house, text(house, "GET /x", *lines, application="odd"))) == 200
    [sent] = house.odd.got
    assert b"h2c" not in sent and b"TLS/1.2" not in sent and b"connect-udp" not in sent and b"http2-settings" not in sent


def test_an_application_does_not_switch_unasked(house):
    house.odd.says(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nTUNNEL")
    for line, *lines in [("GET /x",), ("GET /x", "upgrade: h2c", "connection: upgrade"), ("POST /x", *UPGRADE, "upgrade: websocket", "content-length: 0")]:
        answer = raw(house, text(house, line, *lines, application="odd", body=b"INTO THE TUNNEL"))
        assert status(answer) == 502 and b"TUNNEL" not in answer, lines
    assert b"TUNNEL" not in b"".join(house.odd.got)


def test_an_application_sets_no_cookies_of_the_gate(house):
    """One without a name is sent back as if its value were a name and a value (RFC 6265bis §5.7)."""
    wrong = ["tollgate-visit=x", "  tollgate-visit=x", "tollgate-visit =x", "tollgate-visit", "=tollgate-visit=x", "= tollgate-visit=x"]
    wrong += ["tollgate-going=x; Path=/", "tollgate-session=x; Domain=localhost", "__Host-tollgate-visit=x; Secure; Path=/"]
    lines = "".join(f"set-cookie: {line}\r\n" for line in ["before=1", *wrong, "after=2", "x=tollgate-visit"])
    house.odd.says(f"HTTP/1.1 200 OK\r\n{lines}content-length: 0\r\n\r\n".encode())
    answer = raw(house, text(house, "GET /x", "connection: close", application="odd")).lower().split(b"\r\n")
    assert [line.split(b": ", 1)[1] for line in answer if line.startswith(b"set-cookie")] == [b"before=1", b"after=2", b"x=tollgate-visit"]


def test_no_application_sees_cookies_of_the_gate(house):
    house.odd.says(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    own = f"tollgate-visit={jar(house, house.ann, 'odd')['tollgate-visit']}"
    for line, kept in {
        f"a=1;{own}": ["a=1"],
        f"a=1;   {own};b=2": ["a=1", "b=2"],
        f"\t{own}; a=1": ["a=1"],
        f";;{own};": [],
        f"a=1; {own}; __Host-{own}; tollgate-going=x": ["a=1"],
        f"x=tollgate-visit; {own}; tollgate-": ["x=tollgate-visit"],
    }.items():
        assert status(raw(house, text(house, "GET /x", "connection: close", application="odd", cookies=line))) == 200, line
        lines = [sent.split(": ", 1)[1] for sent in house.odd.got[-1].decode().split("\r\n") if sent.startswith("cookie: ")]
        assert [pair.strip() for pair in ";".join(lines).split(";") if pair.strip()] == kept, line


OWN = """/api/v1/users /v1/models /v1/chat/completions /oauth/token /oauth/account /oauth/keys /mcp /metrics /livez
/.well-known/openid-configuration""".split()


@pytest.mark.parametrize("path", OWN)
def test_what_is_the_gates_own_is_not_at_an_applications_host(house, asked, path):
    key = {"authorization": f"Bearer {MASTER}"}
    for method in ["GET", "POST"]:
        answer = program(Browser(house), at(house, "wiki", path), method, **key)
        assert answer.status == 401 and answer.json()["error"]["type"] == "unauthenticated"
    assert asked == []
    assert program(house.ann, at(house, "wiki", path), **key).json()["path"] == path, "there it is the application's"


def test_an_application_is_at_its_own_host_only(house, asked):
    port = house.port
    others = ["", f"localhost:{port}", f"127.0.0.1:{port}", "wiki.localhost", "wiki.localhost:1", f"wiki.localhost.:{port}", f"x.wiki.localhost:{port}"]
    for host in [*others, f"wiki.localhost:{port}.evil.example", f"evil.example#wiki.localhost:{port}"]:
        for path in ["/x", "/.tollgate/sign-in", "/.tollgate/callback", "/.tollgate/auth"]:
            assert status(raw(house, text(house, f"GET {path}", "connection: close", host=host))) in (400, 404), (host, path)
    assert asked == []
    for host in [f"WIKI.localhost:{port}", f" wiki.localhost:{port} "]:
        assert status(raw(house, text(house, "GET /x", "connection: close", host=host))) == 200, host


def test_at_an_applications_host_the_gate_has_few_pages(house, asked):
    for path in ["", "users", "sign-in/x", "../admin", "Sign-In", "auth/", "callback/..", "sign-out%2f", "oauth/token"]:
        assert program(house.ann, at(house, "wiki", f"/.tollgate/{path}")).status == 404, path
    for what in ["sign-in", "callback", "sign-out"]:
        for method in ["POST", "HEAD", "PUT"]:
            assert program(house.ann, at(house, "wiki", f"/.tollgate/{what}"), method).status == 404, what
    assert asked == [], "an application has nothing below that path"


@pytest.mark.parametrize("end", ["\r\nx-evil: 1", "\nx-evil: 1", "\r", "\x1b"])
def test_nobody_is_called_so_that_a_header_ends(house, end):
    """Also not for the time after the invitation."""
    user = f"mallory-{ord(end[-1])}-{len(end)}"
    for arguments in [[user + end], [user, "--name", f"M{end}"], [user, "--group", f"staff{end}"], [user, "--email", f"m@example.com{end}"]]:
        world.tollgate("user", "invite", *arguments, gate=house, env=ENV, status=1)
    world.tollgate("user", "invite", user, gate=house, env=ENV)
    world.tollgate("user", "groups", user, f"staff{end}", gate=house, env=ENV, status=1)


def test_what_is_for_one_browser_is_kept_by_none(house):
    """Where to sign in, who may not, who is asked for: no cache keeps that."""
    stranger, eve = Browser(house), copy(house.eve)
    to_sign_in = stranger.send("GET", at(house, "wiki", "/x"))
    begun = eve.send("GET", at(house, "wiki", "/.tollgate/sign-in"))
    carried = eve.send("GET", begun.headers["location"])
    arrived = eve.send("GET", carried.headers["location"])
    eve.open(at(house, "board"))
    answers = {
        "to sign in": to_sign_in,
        "sign-in": begun,
        "visit": carried,
        "callback": arrived,
        "a program": program(stranger, at(house, "wiki")),
        "a form": stranger.send("POST", at(house, "wiki"), form={"a": "b"}),
        "forbidden page": eve.open(at(house, "board")),
        "forbidden program": program(eve, at(house, "board")),
        "rule": program(eve, at(house, "wiki", "/admin")),
        "down": program(house.ann, at(house, "gone")),
        "proxy, no": by_proxy(stranger, house, method="GET", uri="/x"),
        "proxy, page": stranger.send("GET", at(house, "side", "/.tollgate/forward-auth"), headers={"x-forwarded-uri": "/x"}),
        "proxy, yes": by_proxy(house.ann, house, method="GET", uri="/x"),
        "sign-out": eve.send("GET", at(house, "wiki", "/.tollgate/sign-out")),
    }
    kept = {what: answer.headers.get("cache-control") for what, answer in answers.items() if answer.headers.get("cache-control") != "no-store"}
    assert kept == {}


def test_nobody_is_taken_for_somebody_else_when_many_ask_at_once(house, asked):
    house.eve.open(at(house, "wiki"))
    people = {"ann": house.ann, "eve": house.eve}
    cookies = {user: browser.cookies_at(at(house, "wiki")) for user, browser in people.items()}

    def ask(number: int) -> bool:
        user = list(people)[number % 2]
        _, _, body = world.send("GET", f"{house.url}/{number}", None, {"host": f"wiki.localhost:{house.port}", "cookie": cookies[user]})
        headers = told(json.loads(body)["headers"])
        return headers["x-forwarded-user"] == [user] == [claims_of(headers["x-tollgate-identity"][0])["preferred_username"]]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))


# --- What goes on in the name of whoever is signed in ---


@pytest.mark.parametrize("says", [{"sec-fetch-site": "same-site"}, {"sec-fetch-site": "cross-site"}, {"origin": "http://board.localhost"}, {"origin": "null"}])
def test_a_page_of_a_neighbour_changes_nothing(house, asked, says):
    """Neighbouring hosts are of one site: the cookie goes along with what their pages send."""
    answer = house.ann.send("POST", at(house, "wiki"), {"a": "b"}, headers={**PROGRAM, **says})
    assert answer.status == 403 and asked == []
    assert program(house.ann, at(house, "wiki"), **says).status == 200, "it may be led to and read"
    own = {"origin": f"http://wiki.localhost:{house.port}", "sec-fetch-site": "same-origin"}
    assert house.ann.send("POST", at(house, "wiki"), {"a": "b"}, headers={**PROGRAM, **own}).status == 200


def test_a_connection_is_not_signed_in_for_others(house, asked):
    for scheme in ["NTLM", "Negotiate", "negotiate"]:
        program(house.ann, at(house, "wiki"), authorization=f"{scheme} TlRMTVNTUAAB")
    program(house.ann, at(house, "wiki"), authorization="Basic eDp5")
    assert [told(said["headers"]).get("authorization") for said in asked] == [None, None, None, ["Basic eDp5"]]


def test_a_gate_that_is_its_own_upstream_asks_itself_once(own_gate):
    port = world.free_port()
    more = f"  loop:\n    url: http://loop.localhost:{port}\n    upstream: http://127.0.0.1:{port}\n    public: [/*]\n"
    gate = web_world.gate(own_gate, 1, more=more, port=port)
    answer = program(Browser(gate), f"http://loop.localhost:{port}/")
    assert answer.status == 508 and "leads back to the gate" in answer.json()["error"]["message"]


def test_a_rule_that_is_about_arguments_too_holds_for_a_path_that_is_unclear(own_gate):
    echo = web_world.Echo()
    rules = """  - name: both
    deny: 'application == "board" && path.startsWith("/admin") || tool == "rm" && arguments.path == "/"'
"""
    gate = web_world.gate(own_gate, echo.port, rules=rules)
    ann = person(gate, "ann", "board")
    ann.visits(at(gate, "board"))
    for path in ["/admin", "/x/../admin", "/admin;x", "//admin"]:
        assert program(ann, at(gate, "board", path)).status == 403, path
    assert program(ann, at(gate, "board", "/other")).status == 200
    echo.stop()


def test_two_applications_do_not_share_what_cookies_know_of_hosts(tmp_path):
    for second, why in [("http://one.localhost:4001", "the same host"), ("http://localhost:9", "a host of its own")]:
        web = f"web:\n  one: {{ url: 'http://one.localhost:4000' }}\n  two: {{ url: '{second}' }}\n"
        file = tmp_path / "tollgate.yaml"
        file.write_text(f"master_key: sk-1234\nsecrets_key: {'k' * 32}\nidentity: {{ url: 'http://localhost:4000', server: {{}} }}\n{web}")
        assert why in world.tollgate("check", str(file), status=1), second
