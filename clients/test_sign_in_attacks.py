"""Attacks on the authorization server, one test each."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import sqlite3
import urllib.parse

import pytest
import world
from sign_in_world import APPLICATION_SECRET, BACK, ENV, PASSWORD, Browser, Client, claims, code_of, gate, invite


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

    for wrong in ["javascript:alert(1)", "http://evil.example/cb", "https://a.example/#x", "data:text/html,x", "https://*.example.com/cb", "file:///x", "https://a;sandbox/"]:
        assert register(400, redirect_uris=[wrong])["error"] == "invalid_redirect_uri", wrong
    assert register(400, redirect_uris=["https://a.example/cb"] * 11)["error"] == "invalid_client_metadata"
    assert register(400)["error"] == "invalid_redirect_uri"
    made = register(201, redirect_uris=["http://127.0.0.1/cb"], client_name="Evil\u202e\u200b<script>alert(1)</script>", scope="openid")
    assert "client_secret" not in made and made["client_name"] == "Evil<script>alert1</script>"
    strange = Client(house, made["client_id"], redirect_uri="http://127.0.0.1:9/cb")
    page = house.ann.open(strange.url(resource=f"{house.issuer}/mcp"))
    assert "nobody here has checked it" in page.page.text and b"<script>" not in page.body
    for resource in [house.issuer, f"{house.issuer}/v1", f"{house.issuer}/api"]:
        assert "are not for" in house.ann.open(strange.url(resource=resource)).page.text, "nobody is sent to whom nobody knows"
    for wrong in [{"response_type": "x"}, {"prompt": "none"}]:
        answer = house.ann.send("GET", strange.url(**wrong))
        assert answer.status >= 400 and "location" not in answer.headers
    ours = register(201, redirect_uris=["http://127.0.0.1/cb"], client_name="Tollgate's command line")
    assert ours["client_name"] == "An application without a name"
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


def account(house, browser) -> object:
    return browser.open(f"{house.issuer}/oauth/account")


def secret_on(page) -> str:
    return page.page.text.split("type this into the application: ")[1].split(" The code")[0].replace(" ", "")


def test_a_browser_that_was_left_signed_in_does_not_keep_the_account(own_gate):
    """Setting up codes wants the password, and what was begun with an old one ends with it."""
    gate_ = gate(own_gate)
    ann, client = invite(gate_, "ann"), Client(gate_, "app", APPLICATION_SECRET)
    page = account(gate_, ann)
    refused = ann.submit(page, button="totp", current="not the password")
    assert "current password is wrong" in refused.page.text
    enrolling = ann.submit(page, button="totp", current=PASSWORD)
    assert "Not now" not in enrolling.page.text
    wrong = ann.submit(enrolling, code="000000")
    fields = {**wrong.page.form()["fields"], "answer": "skip"}
    assert ann.send("POST", "/oauth/enrol", fields).status == 403, "what is not offered is not done"
    world.tollgate("user", "sign-out", "ann", "--password", gate=gate_, env=ENV)
    late = ann.submit(wrong, code=code_of(secret_on(wrong)))
    assert late.status == 400 and "tollgate-session" not in Browser(gate_).cookies
    assert client.back(ann.open(client.url(prompt="none")))["error"] == "login_required"


def test_a_session_is_not_renewed_without_a_password(own_gate):
    gate_ = gate(own_gate)
    ann, client = invite(gate_, "ann"), Client(gate_, "app", APPLICATION_SECRET)
    before = claims(client.tokens(ann)["id_token"])["auth_time"]
    enrolling = ann.submit(account(gate_, ann), button="totp", current=PASSWORD)
    cookie = ann.cookies["tollgate-session"]
    assert "From now on" in ann.submit(enrolling, code=code_of(secret_on(enrolling))).page.text
    assert ann.cookies["tollgate-session"] == cookie
    said = claims(client.tokens(ann)["id_token"])
    assert said["auth_time"] == before and said["amr"] == ["pwd"]


def test_tokens_end_at_the_gate_with_what_they_came_of(own_gate):
    gate_ = gate(own_gate)
    desk = Client(gate_, "desk", redirect_uri="http://127.0.0.1/callback")
    ann = invite(gate_, "ann", "platform")

    def token() -> str:
        return desk.redeem(desk.back(ann.submit(ann.open(desk.url()), button="allow"))["code"])["access_token"]

    def status(held: str, path: str = "/api/v1/users") -> int:
        return world.get(gate_.url + path, bearer(held))[0]

    held = token()
    assert status(held) == 200 and world.send("DELETE", f"{gate_.url}/api/v1/users/none", None, bearer(held))[0] == 404
    world.tollgate("user", "groups", "ann", "--none", gate=gate_, env=ENV)
    assert world.send("DELETE", f"{gate_.url}/api/v1/users/none", None, bearer(held))[0] == 403, "no admin any more"
    assert status(held, "/v1/models") == 200
    world.tollgate("user", "sign-out", "ann", gate=gate_, env=ENV)
    assert status(held, "/v1/models") == 401
    ann.sign_in(account(gate_, ann), "ann")
    held = token()
    assert status(held, "/v1/models") == 200
    world.tollgate("user", "remove-login", "ann", gate=gate_, env=ENV)
    assert status(held, "/v1/models") == 401


def test_what_was_asked_on_one_page_is_not_agreed_to_on_another(house):
    """What a sign-in page carries is no consent; and a consent is one of the session that was asked."""
    client = app(house)
    signed_out = Browser(house)
    page = signed_out.open(client.url(prompt="login"))
    fields = {**page.page.form()["fields"], "answer": "allow"}
    house_next = house.ann.open(client.url(prompt="login")).page.form()["fields"]
    for browser, form in [(signed_out, fields), (house.ann, {**house_next, "answer": "allow"})]:
        answer = browser.send("POST", "/oauth/consent", form)
        assert answer.status == 400 and "location" not in answer.headers
    desk = Client(house, "desk", redirect_uri="http://127.0.0.1/callback")
    asked = house.ann.open(desk.url())
    other = Browser(house)
    other.sign_in(account(house, other), "ann@example.com")
    own = other.open(desk.url()).page.form()["fields"]
    answer = other.send("POST", "/oauth/consent", {**own, "next": asked.page.form()["fields"]["next"], "answer": "allow"})
    assert answer.status == 400 and "location" not in answer.headers


def test_how_a_name_is_typed_tells_nothing_of_who_there_is(own_gate):
    gate_ = gate(own_gate)
    invite(gate_, "ann@example.com")
    for name in ["ann@example.com", "nobody@example.com"]:
        browser = Browser(gate_)
        page = browser.open(f"{gate_.issuer}/oauth/account")
        statuses = [(page := browser.sign_in(page, typed, "wrong")).status for typed in [name] * 5 + [f" {name}", name.upper()]]
        assert statuses == [403] * 5 + [429] * 2, name


def test_of_many_guesses_at_once_no_more_are_looked_at(own_gate):
    gate_ = gate(own_gate)
    invite(gate_, "ann")
    browsers = [Browser(gate_) for _ in range(24)]
    pages = [browser.open(f"{gate_.issuer}/oauth/account") for browser in browsers]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda pair: pair[0].sign_in(pair[1], "ann", "wrong").status, zip(browsers, pages, strict=True)))
    assert answers.count(403) <= 5 and answers.count(429) >= 19, answers
    world.wait_for(lambda: events(gate_, "sign_ins_failed"), "the event", gate_.process)
    assert events(gate_, "sign_ins_failed")[0]["detail"]["users"]["ann"] >= 1


def test_many_clients_of_one_person_do_not_stand_in_each_others_way(house):
    client = app(house)
    codes = []
    for _ in range(12):
        one = app(house)
        codes.append((one, one.back(house.ann.open(one.url(scope="openid offline_access")))["code"]))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        tokens = list(pool.map(lambda pair: pair[0].redeem(pair[1]), codes))
        list(pool.map(lambda held: client.refresh(held["refresh_token"]), tokens))


def test_a_client_that_may_less_gets_less(own_gate):
    gate_ = gate(own_gate)
    desk = Client(gate_, "desk", redirect_uri="http://127.0.0.1/callback")
    ann = invite(gate_, "ann", "platform")
    held = desk.redeem(desk.back(ann.submit(ann.open(desk.url()), button="allow"))["code"])["refresh_token"]
    config = gate_.config.read_text().replace("resources: [/]\n      batch", "resources: [/mcp]\n      batch")
    assert config != gate_.config.read_text()
    gate_.config.write_text(config)
    world.wait_for(lambda: gate_.logged("configuration reloaded") or gate_.logged("the configuration"), "the reload", gate_.process)
    assert "may not use any more" in desk.refresh(held, 400)["error_description"]


def test_an_invitation_that_lies_about_opens_nothing_later(own_gate):
    gate_ = gate(own_gate)
    ann = invite(gate_, "ann")
    invited = json.loads(world.tollgate("user", "invite", "ann", "--json", gate=gate_, env=ENV))["link"]
    ann.submit(account(gate_, ann), button="password", current=PASSWORD, password="another-otter-swims-7")
    assert "is over" in Browser(gate_).open(invited).page.text
    invited = json.loads(world.tollgate("user", "invite", "ann", "--json", gate=gate_, env=ENV))["link"]
    world.tollgate("user", "sign-out", "ann", gate=gate_, env=ENV)
    assert "is over" in Browser(gate_).open(invited).page.text


def test_whoever_writes_into_the_database_is_not_signed_in_by_that(house):
    subject = json.loads(world.get(f"{house.url}/api/v1/users/ann@example.com/login", bearer("sk-master-of-this-test"))[1])["subject"]
    name = f"identity/session/{hashlib.sha256(b'mine').hexdigest()}"
    session = {"subject": subject, "began": "2026-12-01T00:00:00Z", "ends": "2036-12-01T00:00:00Z", "amr": ["pwd"], "consents": []}
    with sqlite3.connect(house.folder / "data" / "tollgate.sqlite") as database:
        theirs = database.execute("SELECT text FROM shared WHERE name LIKE 'identity/session/%'").fetchone()[0]
        for text in [json.dumps(session), theirs]:
            database.execute("INSERT OR REPLACE INTO shared (name, version, text, ends) VALUES (?, 1, ?, ?)", (name, text, 1 << 50))
            database.commit()
            browser = Browser(house)
            browser.cookies["tollgate-session"] = "mine"
            assert "Password" in account(house, browser).page.text


def test_one_token_is_not_for_the_gate_and_for_somebody_else(own_gate):
    clients = """
      both: { secret: a-secret-of-both, redirect_uris: ["https://both.example.com/cb"], resources: [/v1, https://rs.example.com] }
"""
    gate_ = gate(own_gate, clients=clients)
    ann, both = invite(gate_, "ann"), Client(gate_, "both", "a-secret-of-both", redirect_uri="https://both.example.com/cb")
    assert claims(both.tokens(ann, scope="")["access_token"])["aud"] == f"{gate_.issuer}/v1", "the first"
    mixed = [f"{gate_.issuer}/v1", "https://rs.example.com"]
    assert both.back(ann.open(both.url(resource=mixed)))["error"] == "invalid_target"
    assert both.back(ann.open(both.url(resource=f"{gate_.issuer}/{'v' * 600}")))["error"] == "invalid_target"
    assert both.back(ann.open(both.url(audience="https://rs.example.com")))["error"] == "invalid_target"


def test_nobody_is_acted_for_who_may_not_use_the_application(own_gate):
    clients = """
      agent:
        secret: a-secret-of-the-agent
        audience: https://planner.example.com
        resources: [/mcp]
        grants: [token_exchange]
        groups: [vip]
"""
    gate_ = gate(own_gate, clients=clients)
    front = Client(gate_, "front", "a-secret-of-the-front", redirect_uri="https://front.example.com/callback")
    held = front.tokens(invite(gate_, "ann"))["access_token"]
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": held, "subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    agent = Client(gate_, "agent", "a-secret-of-the-agent")
    assert "may not use this client" in agent.post("token", form, 400)["error_description"]


def test_a_program_of_the_machine_gets_nothing_in_silence(house):
    cli = Client(house, "tollgate", redirect_uri="http://127.0.0.1:6666/callback")
    page = house.ann.open(cli.url(scope="openid"))
    assert "code" in cli.back(house.ann.submit(page, button="allow"))
    assert cli.back(house.ann.open(cli.url(scope="openid", prompt="none")))["error"] == "consent_required"


def test_whoever_finds_a_code_ends_nothing(house):
    client = app(house)
    code = client.back(house.ann.open(client.url(scope="openid offline_access")))["code"]
    tokens = client.redeem(code)
    client.redeem(code, 400, code_verifier=None)
    client.redeem(code, 400, code_verifier="x" * 43)
    assert "access_token" in client.refresh(tokens["refresh_token"])


def test_any_token_of_a_grant_gives_it_back(house):
    client = app(house)
    first = client.tokens(house.ann, scope="openid offline_access")["refresh_token"]
    second = client.refresh(first)["refresh_token"]
    client.post("revoke", {"token": first})
    assert client.refresh(second, 400)["error"] == "invalid_grant"


def test_nobody_is_called_like_somebody_elses_address(own_gate):
    gate_ = gate(own_gate)
    world.tollgate("user", "invite", "bob", "--email", "bob@example.com", gate=gate_, env=ENV)
    for arguments in [["bob@example.com"], ["bob@example.com", "--email", "eve@example.com"], ["BOB"], ["eve", "--email", "Bob@example.com"]]:
        world.tollgate("user", "invite", *arguments, gate=gate_, env=ENV, status=1)


def test_a_stranger_does_not_make_the_gate_ask_inside_though_pictures_may_come_from_there(own_gate):
    gate_ = gate(own_gate, extra="egress: { private_addresses: true }\n")
    client = Client(gate_, f"https://127.0.0.1:{gate_.port}/client.json", redirect_uri="https://a.example/cb")
    assert Browser(gate_).send("GET", client.url()).status == 401
    client = Client(gate_, "https://127.0.0.1/client.json", redirect_uri="https://a.example/cb")
    answer = Browser(gate_).send("GET", client.url())
    assert answer.status == 401 and "cannot be fetched" in answer.page.text and "127.0.0.1" not in answer.page.text.split("Tollgate")[0]
    refused = [entry["detail"] for entry in gate_.records("event") if entry["event"] == "egress"]
    assert "not public" in refused[0]["refused"] or "private" in refused[0]["refused"], refused


def test_behind_a_proxy_one_stranger_does_not_shut_the_door(own_gate):
    gate_ = gate(own_gate, extra="trusted_proxies: [127.0.0.1]\n")
    invite(gate_, "ann")

    def tries(from_, password):
        browser = Browser(gate_)
        browser.headers["x-forwarded-for"] = f"8.8.8.8, {from_}"
        return browser.sign_in(browser.open(f"{gate_.issuer}/oauth/account"), "ann", password).status

    assert [tries("203.0.113.7", "wrong") for _ in range(6)] == [403] * 5 + [429]
    assert tries("203.0.113.8", PASSWORD) == 200


def test_a_page_is_not_asked_for_its_head(house):
    client = app(house)
    for path in [client.url(), "/oauth/logout", "/oauth/account"]:
        assert house.ann.send("HEAD", path).status == 405
