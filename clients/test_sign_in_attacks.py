"""Attacks on the authorization server, one test each."""

import base64
import hashlib
import hmac
import json
import urllib.parse

import pytest
import world
from sign_in_world import APPLICATION_SECRET, BACK, PASSWORD, Browser, Client, claims, gate, invite


@pytest.fixture(scope="module")
def house():
    made = []

    def make(*arguments, **options):
        made.append(world.Gate(*arguments, **options))
        return made[-1]

    gate_ = gate(make)
    gate_.ann = invite(gate_, "ann@example.com", "platform")
    yield gate_
    assert gate_.stop() == 0


def app(house) -> Client:
    return Client(house, "app", APPLICATION_SECRET)


def bearer(token: str) -> dict:
    return {"authorization": f"Bearer {token}"}


def events(house, name: str) -> list:
    return [entry for entry in house.records("event") if entry["event"] == name]


def test_a_code_that_is_replayed_ends_what_came_of_it(house):
    client = app(house)
    code = client.back(house.ann.open(client.url(scope="openid offline_access")))["code"]
    tokens = client.redeem(code)
    assert client.redeem(code, 400)["error"] == "invalid_grant"
    assert client.refresh(tokens["refresh_token"], 400)["error"] == "invalid_grant"
    assert client.post("introspect", {"token": tokens["access_token"]}) == {"active": False}
    assert events(house, "token_reused")[-1]["detail"]["what"] == "code"


def test_a_refresh_token_that_is_used_again_later_ends_the_grant(house):
    client = app(house)
    first = client.tokens(house.ann, scope="openid offline_access")["refresh_token"]
    second = client.refresh(first)["refresh_token"]
    assert client.refresh(first)["refresh_token"] == second, "at once: its answer may have been lost"
    third = client.refresh(second)["refresh_token"]
    assert client.refresh(first, 400)["error"] == "invalid_grant"
    assert client.refresh(third, 400)["error"] == "invalid_grant"
    assert events(house, "token_reused")[-1]["detail"]["what"] == "refresh_token"


def test_a_code_is_good_for_whoever_has_asked_for_it(house):
    client, other = app(house), Client(house, "front", "a-secret-of-the-front", redirect_uri="https://front.example.com/callback")
    code = client.back(house.ann.open(client.url()))["code"]
    other.verifier = client.verifier
    assert other.redeem(code, 400)["error"] == "invalid_grant"
    assert client.redeem(code, 400, code_verifier="x" * 43)["error"] == "invalid_grant"
    assert client.redeem(code, 400, code_verifier=None)["error"] == "invalid_grant"
    assert client.redeem(code, 400, redirect_uri="https://app.example.com/other")["error"] == "invalid_grant"
    wrong = Client(house, "app", "not-the-secret-of-the-application")
    wrong.verifier = client.verifier
    assert wrong.redeem(code, 401)["error"] == "invalid_client"
    nobody = Client(house, "app")
    nobody.verifier = client.verifier
    assert nobody.redeem(code, 401)["error"] == "invalid_client"
    client.redeem(code)


def test_pkce_is_s256_and_not_left_out(house):
    client = app(house)
    for wrong in [
        {"code_challenge_method": "plain", "code_challenge": client.verifier},
        {"code_challenge_method": None},
        {"code_challenge_method": None, "code_challenge": None},
        {"code_challenge": None},
        {"code_challenge": "short"},
        {"code_challenge": "=" * 43},
    ]:
        assert client.back(house.ann.open(client.url(**wrong)))["error"] == "invalid_request", wrong


def test_nobody_is_sent_to_an_address_that_is_not_the_clients(house):
    client = app(house)
    for wrong in [
        "https://app.example.com/callback/",
        "https://app.example.com/callback2",
        "https://app.example.com/callback?x=1",
        "https://app.example.com/callback#x",
        "https://app.example.com.evil.example/callback",
        "https://app.example.com@evil.example/callback",
        "https://app.example.com/callback/../../evil",
        "https://APP.example.com/callback",
        "http://app.example.com/callback",
        "https://app.example.com:443/callback",
        "//evil.example",
        "javascript:alert(1)",
        "http://127.0.0.1/callback",
    ]:
        answer = house.ann.send("GET", client.url(redirect_uri=wrong))
        assert answer.status == 400 and "location" not in answer.headers, wrong
        assert "not one of its own" in answer.page.text
    desk = Client(house, "desk", redirect_uri="http://127.0.0.1:4711/callback")
    assert house.ann.send("GET", desk.url()).status == 200, "any port of this machine"
    for wrong in ["http://127.0.0.1:4711/callback/x", "http://127.0.0.1:4711@evil.example/callback", "http://localhost/callback"]:
        assert house.ann.send("GET", desk.url(redirect_uri=wrong)).status == 400, wrong


def test_what_is_said_twice_is_not_believed(house):
    client = app(house)
    for twice in ["&client_id=desk", "&redirect_uri=https%3A%2F%2Fevil.example", "&state=x", "&scope=openid"]:
        answer = house.ann.send("GET", client.url() + twice)
        assert answer.status == 400 and "more than once" in answer.page.text
    form = "grant_type=client_credentials&client_id=batch&client_id=app&client_secret=a-secret-of-the-batch"
    status, _, body = world.send("POST", f"{house.url}/oauth/token", form.encode(), {"content-type": "application/x-www-form-urlencoded"})
    assert status == 400 and b"more than once" in body
    both = {"authorization": "Basic " + base64.b64encode(b"batch:a-secret-of-the-batch").decode(), "content-type": "application/x-www-form-urlencoded"}
    status, _, body = world.send("POST", f"{house.url}/oauth/token", form.split("&client_id=app")[0].encode() + b"&client_secret=a-secret-of-the-batch", both)
    assert status == 401 and b"two ways" in body


def test_every_answer_says_who_answers(house):
    """Mix-up (RFC 9207): `Client.back` holds every answer to it; errors too."""
    client = app(house)
    assert client.back(house.ann.open(client.url(response_type="token")))["error"] == "unsupported_response_type"
    assert client.back(house.ann.open(client.url(response_mode="fragment")))["error"] == "invalid_request"
    assert client.back(house.ann.open(client.url(request="x")))["error"] == "request_not_supported"
    assert client.back(house.ann.open(client.url(request_uri="https://evil.example")))["error"] == "request_uri_not_supported"


def test_no_token_is_for_nobody_or_for_more_than_was_asked(house):
    client, desk = app(house), Client(house, "desk", redirect_uri="http://127.0.0.1/callback")
    for wrong in [
        "https://evil.example",
        house.issuer,
        f"{house.issuer}/v1",
        f"{house.issuer}.evil.example",
        f"{house.issuer}@evil.example",
        f"{house.issuer}/v1/../api",
        f"{house.issuer}//api",
        f"{house.issuer}/#x",
    ]:
        assert client.back(house.ann.open(client.url(resource=wrong)))["error"] == "invalid_target", wrong
    token = client.tokens(house.ann)["access_token"]
    assert claims(token)["aud"] == f"{house.issuer}/oauth/userinfo"
    for path in ["/v1/models", "/api/v1/users", "/mcp"]:
        assert world.get(house.url + path, bearer(token))[0] in (401, 405), path
    page = house.ann.open(desk.url(resource=[f"{house.issuer}/v1"], scope=""))
    narrow = desk.redeem(desk.back(house.ann.submit(page, button="allow"))["code"])
    assert claims(narrow["access_token"])["aud"] == f"{house.issuer}/v1"
    assert world.get(f"{house.url}/v1/models", bearer(narrow["access_token"]))[0] == 200
    assert world.get(f"{house.url}/api/v1/users", bearer(narrow["access_token"]))[0] == 401
    assert desk.refresh(narrow["refresh_token"], 400, resource=house.issuer)["error"] == "invalid_target"


def test_a_token_of_one_kind_is_none_of_another(house):
    client = app(house)
    tokens = client.tokens(house.ann, scope="openid offline_access")
    for wrong in [tokens["id_token"], tokens["refresh_token"], "x"]:
        assert Browser(house).send("GET", f"{house.issuer}/oauth/userinfo", headers=bearer(wrong)).status == 401
        assert world.get(f"{house.url}/v1/models", bearer(wrong))[0] == 401
        assert client.post("token", {"grant_type": "authorization_code", "code": wrong, "redirect_uri": BACK, "code_verifier": client.verifier}, 400)["error"] == "invalid_grant"


def test_signatures_are_the_servers_own(house):
    client = app(house)
    token = client.tokens(house.ann)["access_token"]
    header, payload, signature = token.split(".")
    keys = json.loads(world.get(f"{house.url}/oauth/keys")[1])["keys"]
    assert all("d" not in key and "p" not in key for key in keys)

    def part(value) -> str:
        return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")

    kid = keys[0]["kid"]
    more = {**claims(token), "aud": house.issuer, "groups": ["platform"]}
    mac = part(hmac.new(keys[0]["n"].encode(), f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': kid})}.{payload}".encode(), hashlib.sha256).digest())
    for forged in [
        f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': kid})}.{payload}.{mac}",
        f"{header}.{part(more)}.{signature}",
        f"{part({'alg': 'RS256', 'typ': 'at+jwt', 'kid': '../../../dev/null'})}.{payload}.{signature}",
        f"{part({'alg': 'RS256', 'typ': 'at+jwt', 'jwk': keys[0]})}.{part(more)}.{signature}",
    ]:
        assert world.get(f"{house.url}/v1/models", bearer(forged))[0] == 401
        assert Browser(house).send("GET", f"{house.issuer}/oauth/userinfo", headers=bearer(forged)).status == 401
        assert client.post("introspect", {"token": forged}) == {"active": False}


def test_a_form_of_another_page_signs_nobody_in_and_agrees_to_nothing(house):
    client, victim = app(house), Browser(house)
    page = Browser(house).open(client.url())
    fields = {**page.page.form()["fields"], "username": "ann@example.com", "password": PASSWORD}
    # What the attacker was shown, in the victim's browser; and as a page of another site sends it.
    assert "took too long" in victim.send("POST", page.page.form()["action"], fields).page.text
    own = victim.open(client.url())
    fields = {**own.page.form()["fields"], "username": "ann@example.com", "password": PASSWORD}
    cross = victim.send("POST", own.page.form()["action"], fields, {"sec-fetch-site": "cross-site"})
    assert cross.status == 400 and "tollgate-session" not in victim.cookies
    desk = Client(house, "desk", redirect_uri="http://127.0.0.1/callback")
    asked = house.ann.open(desk.url(scope="openid groups"))
    form = {**asked.page.form()["fields"], "answer": "allow"}
    for wrong, headers in [({**form, "form": ""}, {}), ({**form, "form": "x"}, {}), (form, {"sec-fetch-site": "cross-site"})]:
        answer = house.ann.send("POST", asked.page.form()["action"], wrong, headers)
        assert answer.status == 400 and "location" not in answer.headers
    assert "frame-ancestors 'none'" in asked.headers["content-security-policy"]
    assert asked.headers["x-frame-options"] == "DENY"


def test_a_session_that_somebody_has_laid_out_is_not_taken(house):
    client, victim = app(house), Browser(house)
    victim.cookies["tollgate-session"] = "laid-out-by-somebody-else"
    victim.sign_in(victim.open(client.url()), "ann@example.com")
    assert victim.cookies["tollgate-session"] != "laid-out-by-somebody-else"
    before = victim.cookies["tollgate-session"]
    victim.sign_in(victim.open(client.url(prompt="login")), "ann@example.com")
    assert victim.cookies["tollgate-session"] != before
    old = Browser(house)
    old.cookies["tollgate-session"] = before
    assert client.back(old.open(client.url(prompt="none")))["error"] == "login_required", "the one before is over"


def test_whoever_guesses_waits_and_nobody_learns_who_there_is(own_gate):
    gate_ = gate(own_gate)
    ann, client = invite(gate_, "ann"), Client(gate_, "app", APPLICATION_SECRET)
    said = {}
    for name in ["ann", "nobody"]:
        browser = Browser(gate_)
        page = browser.open(client.url())
        for _ in range(5):
            page = browser.sign_in(page, name, "wrong")
            assert page.status == 403
        said[name] = page.page.text.replace(name, "")
        page = browser.sign_in(page, name, PASSWORD)
        assert page.status == 429 and "Too many attempts" in page.page.text, "also the right one"
    assert said["ann"] == said["nobody"]
    ann.cookies.pop("tollgate-session")
    assert "code" in client.back(ann.sign_in(ann.open(client.url()), "ann")), "in a browser of their own they come in"


def test_a_client_that_registers_gets_no_more_than_tools(house):
    def register(status, **said):
        answer, _, body = world.post(f"{house.url}/oauth/register", said)
        assert answer == status, body
        return json.loads(body)

    for wrong in ["javascript:alert(1)", "http://evil.example/cb", "https://a.example/#x", "data:text/html,x", "https://*.example.com/cb", "app:/cb"]:
        assert register(400, redirect_uris=[wrong])["error"] == "invalid_redirect_uri", wrong
    assert register(400, redirect_uris=["https://a.example/cb"] * 6)["error"] == "invalid_client_metadata"
    assert register(400)["error"] == "invalid_redirect_uri"
    made = register(201, redirect_uris=["http://127.0.0.1/cb"], client_name="Evil\u202e\u200b<script>alert(1)</script>", scope="openid")
    assert "client_secret" not in made and made["client_name"] == "Evil<script>alert(1)</script>"
    strange = Client(house, made["client_id"], redirect_uri="http://127.0.0.1:9/cb")
    page = house.ann.open(strange.url(resource=f"{house.issuer}/mcp"))
    assert "nobody here has checked it" in page.page.text and b"<script>" not in page.body
    for resource in [house.issuer, f"{house.issuer}/v1", f"{house.issuer}/api"]:
        assert strange.back(house.ann.open(strange.url(resource=resource)))["error"] == "invalid_target"
    token = strange.redeem(strange.back(house.ann.submit(page, button="allow"))["code"])["access_token"]
    for path in ["/v1/models", "/api/v1/users"]:
        assert world.get(house.url + path, bearer(token))[0] == 401
    altered = Client(house, made["client_id"][:-4] + "AAAA", redirect_uri="http://127.0.0.1:9/cb")
    assert house.ann.send("GET", altered.url()).status == 401


def test_no_id_of_a_client_makes_the_gate_ask_inside(house):
    for inside in [
        "https://127.0.0.1/client.json",
        "https://localhost/client.json",
        "https://[::1]/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/client.json",
        "http://example.com/client.json",
        "https://user@example.com/client.json",
        "https://example.com/../client.json",
        f"https://localhost:{house.port}/oauth/keys",
    ]:
        client = Client(house, inside, redirect_uri="https://a.example/cb")
        answer = house.ann.send("GET", client.url())
        assert answer.status == 401 and "location" not in answer.headers, inside


def test_bodies_and_headers_have_limits(house):
    big = b"a=" + b"x" * (70 << 10)
    status, _, _ = world.send("POST", f"{house.url}/oauth/token", big, {"content-type": "application/x-www-form-urlencoded"})
    assert status == 413
    status, _, body = world.send("POST", f"{house.url}/oauth/token", b"{}", {"content-type": "application/json"})
    assert status == 400 and b"x-www-form-urlencoded" in body
    many = urllib.parse.urlencode({f"p{number}": "x" for number in range(200)}).encode()
    assert world.send("POST", f"{house.url}/oauth/token", many, {"content-type": "application/x-www-form-urlencoded"})[0] == 400
    assert world.send("DELETE", f"{house.url}/oauth/token")[0] == 405
