"""People sign in at the gate itself, and applications get tokens for them."""

import base64
import json
import os
import subprocess
import time
import urllib.parse

import pytest
import servers
import world
from sign_in_world import APPLICATION_SECRET, BACK, ENV, MASTER, PASSWORD, Browser, Client, claims, code_of, gate, invite


@pytest.fixture(scope="module")
def house():
    """A gate, and two people."""
    made = []

    def make(*arguments, **options):
        made.append(world.Gate(*arguments, **options))
        return made[-1]

    wiki = """
      wiki: { secret: a-secret-of-the-wiki, redirect_uris: ["https://wiki.example.com/cb"], consent: true }
"""
    gate_ = gate(make, clients=wiki)
    gate_.ann = invite(gate_, "ann@example.com", "platform")
    gate_.bob = invite(gate_, "bob")
    yield gate_
    assert gate_.stop() == 0


def app(house, **options) -> Client:
    return Client(house, "app", APPLICATION_SECRET, **options)


def bearer(token: str) -> dict:
    return {"authorization": f"Bearer {token}"}


def test_an_invitation_is_taken_once_with_a_password_that_is_not_easily_guessed(own_gate):
    gate_ = gate(own_gate)
    link = json.loads(world.tollgate("user", "invite", "cleo@example.com", "--name", "Cleo", "--json", gate=gate_, env=ENV))["link"]
    browser = Browser(gate_)
    page = browser.open(link)
    for password, again, why in [("short", "short", "12 characters"), ("cleo@example.com", "cleo@example.com", "easily guessed"), (PASSWORD, "other", "not the same")]:
        page = browser.submit(page, password=password, again=again)
        assert page.status == 400 and why in page.page.text
    browser.submit(page, password=PASSWORD, again=PASSWORD)
    assert "was taken, or is over" in Browser(gate_).open(link).page.text
    shown = world.tollgate("user", "show-login", "cleo@example.com", gate=gate_, env=ENV)
    assert "password" in shown and "yes" in shown and "argon2" not in shown


def test_an_application_learns_who_has_signed_in(house):
    client = app(house)
    tokens = client.tokens(house.ann, nonce="a-nonce", scope="openid profile email groups")
    said = claims(tokens["id_token"])
    assert (said["iss"], said["aud"], said["nonce"]) == (house.issuer, "app", "a-nonce")
    assert said["email"] == "ann@example.com" and said["email_verified"] is True and said["groups"] == ["platform"]
    assert "refresh_token" not in tokens, "offline_access was not asked for"
    answer = Browser(house).send("GET", f"{house.issuer}/oauth/userinfo", headers=bearer(tokens["access_token"])).json()
    assert answer == {name: said[name] for name in answer}, "the ID token and the user information say the same"
    assert {"sub", "email", "name", "preferred_username", "groups"} <= set(answer)


def test_whoever_is_not_signed_in_signs_in_first_and_gets_to_where_they_wanted(house):
    browser, client = Browser(house), app(house)
    page = browser.open(client.url(login_hint="ann@example.com"))
    assert page.page.form()["fields"]["username"] == "ann@example.com"
    wrong = browser.sign_in(page, "ann@example.com", "not the password")
    assert wrong.status == 403 and "The name or the password is wrong." in wrong.page.text
    found = client.back(browser.sign_in(wrong, "ANN@example.com"))
    assert found["state"] == "s t/a&te"
    assert claims(client.redeem(found["code"])["id_token"])["email"] == "ann@example.com"


def test_metadata_is_where_clients_look_also_with_a_path(own_gate):
    gate_ = gate(own_gate, path="/login")
    root = f"http://localhost:{gate_.port}"
    places = ["/login/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/login", "/.well-known/openid-configuration/login"]
    said = [json.loads(world.get(root + place)[1]) for place in places]
    assert said[0] == said[1] == said[2] and said[0]["issuer"] == f"{root}/login" == gate_.issuer
    assert world.get(f"{root}/.well-known/openid-configuration")[0] == 404
    assert said[0]["code_challenge_methods_supported"] == ["S256"]
    ann = invite(gate_, "ann")
    assert claims(Client(gate_, "app", APPLICATION_SECRET).tokens(ann)["id_token"])["iss"] == gate_.issuer
    resource = json.loads(world.get(f"{root}/.well-known/oauth-protected-resource/mcp")[1])
    assert resource["authorization_servers"] == [gate_.issuer]


def test_prompts_are_followed(house):
    client, stranger = app(house), Browser(house)
    assert client.back(stranger.open(client.url(prompt="none")))["error"] == "login_required"
    assert "code" in client.back(house.bob.open(client.url(prompt="none")))
    again = house.bob.open(client.url(prompt="login"))
    assert "code" in client.back(house.bob.sign_in(again, "bob")), "also whoever has signed in"
    desk = Client(house, "desk", redirect_uri="http://127.0.0.1:3999/callback")
    assert desk.back(house.bob.open(desk.url(prompt="none")))["error"] == "consent_required"
    page = house.bob.open(desk.url())
    assert "http://127.0.0.1:3999" in page.page.text and "The desk" in page.page.text
    assert desk.back(house.bob.submit(page, button="deny"))["error"] == "access_denied"
    assert "code" in desk.back(house.bob.submit(house.bob.open(desk.url()), button="allow"))
    assert "Allow" in house.bob.open(desk.url()).page.text, "any program of the machine could be it: it is asked each time"
    wiki = Client(house, "wiki", "a-secret-of-the-wiki", redirect_uri="https://wiki.example.com/cb")
    assert "code" in wiki.back(house.bob.submit(house.bob.open(wiki.url()), button="allow"))
    assert "code" in wiki.back(house.bob.open(wiki.url(prompt="none"))), "what was agreed to is not asked again"
    assert "Allow" in house.bob.open(wiki.url(scope="openid email groups")).page.text, "but for more than that"


def test_a_token_for_the_gate_is_a_credential_there(house):
    desk = Client(house, "desk", redirect_uri="http://127.0.0.1:3999/callback")

    def token(browser):
        page = browser.open(desk.url())
        location = page if isinstance(page, str) else browser.submit(page, button="allow")
        return desk.redeem(desk.back(location)["code"])["access_token"]

    ask = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
    status, headers, _ = world.post(f"{house.url}/v1/chat/completions", ask, bearer(token(house.ann)))
    assert status == 200
    closed = house.closed(headers["x-tollgate-call-id"])
    assert closed["principal"]["sub"] == {"kind": "user", "id": "ann@example.com"}
    assert world.get(f"{house.url}/api/v1/users", bearer(token(house.ann)))[0] == 200, "platform is admin"
    assert world.get(f"{house.url}/api/v1/calls", bearer(token(house.bob)))[0] == 403


def test_whoever_is_signed_in_reads_the_management_api_in_their_browser(house):
    browser = Browser(house)
    html = {"accept": "text/html,application/xhtml+xml"}
    asked = browser.send("GET", "/api/v1/users?limit=1", headers=html)
    page = browser.follow(asked)
    answer = browser.sign_in(page, "ann@example.com")
    assert answer.status == 200 and answer.json()["items"][0]["id"] == "ann@example.com"
    assert browser.send("GET", "/api/v1/users").status == 200
    for headers, status in [({}, 403), ({"sec-fetch-site": "cross-site"}, 403), ({"origin": "https://evil.example"}, 403), ({"sec-fetch-site": "same-origin"}, 204)]:
        world.tollgate("user", "create", "gone", gate=house, env=ENV, status=0 if status == 403 and not headers else 1)
        assert browser.send("DELETE", "/api/v1/users/gone", headers=headers).status == status, headers
    assert house.bob.send("GET", "/api/v1/users").json()["items"][0]["id"] == "bob", "members see their own"
    assert house.bob.send("GET", "/v1/models").status == 401, "calls are made with keys and tokens"
    for elsewhere in ["https://evil.example/", "//evil.example/", "/api//evil.example", "/api/../x", "/v1/models", "javascript:x"]:
        page = browser.send("GET", f"/oauth/sign-in?{urllib.parse.urlencode({'return_to': elsewhere})}")
        assert "Your account" in browser.sign_in(page, "ann@example.com").page.text, elsewhere


def test_a_program_gets_tokens_for_itself(house):
    batch = Client(house, "batch", "a-secret-of-the-batch")
    token = batch.post("token", {"grant_type": "client_credentials"})["access_token"]
    ask = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
    _, headers, _ = world.post(f"{house.url}/v1/chat/completions", ask, bearer(token))
    assert house.closed(headers["x-tollgate-call-id"])["principal"]["sub"] == {"kind": "agent", "id": "tollgate/batch"}
    narrow = batch.post("token", {"grant_type": "client_credentials", "resource": f"{house.issuer}/mcp"})["access_token"]
    assert world.get(f"{house.url}/v1/models", bearer(narrow))[0] == 401, "it is for tools"


def test_an_agent_acts_for_a_person_and_the_record_says_so(house):
    front = Client(house, "front", "a-secret-of-the-front", redirect_uri="https://front.example.com/callback")
    tokens = front.tokens(house.bob)
    assert claims(tokens["access_token"])["aud"] == ["https://planner.example.com", f"{house.issuer}/oauth/userinfo"]
    assert world.get(f"{house.url}/v1/models", bearer(tokens["access_token"]))[0] == 401, "it is for the planner"
    planner = Client(house, "planner", "a-secret-of-the-planner")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": tokens["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "resource": f"{house.issuer}/v1",
    }
    made = planner.post("token", form)
    assert claims(made["access_token"])["act"] == {"sub": "planner"} and "refresh_token" not in made
    ask = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
    status, headers, _ = world.post(f"{house.url}/v1/chat/completions", ask, bearer(made["access_token"]))
    assert status == 200
    principal = house.closed(headers["x-tollgate-call-id"])["principal"]
    assert principal["sub"] == {"kind": "user", "id": "bob"} and principal["act"] == [{"kind": "agent", "id": "tollgate/planner"}]
    batch = Client(house, "batch", "a-secret-of-the-batch")
    assert batch.post("token", form, 400)["error"] == "unauthorized_client"
    other = app(house).tokens(house.bob)["access_token"]
    assert "not for this client" in planner.post("token", {**form, "subject_token": other}, 400)["error_description"]


def test_a_device_without_a_browser_is_let_in(house):
    tv = Client(house, "tv")
    waiting = tv.post("device", {"scope": "openid"})
    poll = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": waiting["device_code"]}
    assert tv.post("token", poll, 400)["error"] == "authorization_pending"
    assert tv.post("token", poll, 400)["error"] == "slow_down"
    device = tv.post("device", {"scope": "openid offline_access"})
    poll["device_code"] = device["device_code"]
    browser = Browser(house)
    page = browser.sign_in(browser.open(device["verification_uri_complete"]), "bob")
    page = browser.submit(page)
    assert device["user_code"] in page.page.text and "tv" in page.page.text
    assert "it is signed in" in browser.submit(page, button="allow").page.text
    tokens = tv.post("token", poll)
    assert claims(tokens["id_token"])["aud"] == "tv" and "refresh_token" in tokens
    other = Client(house, "batch", "a-secret-of-the-batch")
    assert other.post("token", poll, 400)["error"] == "unauthorized_client"
    denied = tv.post("device", {})
    page = browser.submit(browser.open(denied["verification_uri_complete"]))
    browser.submit(page, button="deny")
    assert tv.post("token", {**poll, "device_code": denied["device_code"]}, 400)["error"] == "access_denied"


def test_one_time_codes_are_asked_for_once_they_are_set_up(own_gate):
    gate_ = gate(own_gate, server="    totp: required")
    link = json.loads(world.tollgate("user", "invite", "ann", "--json", gate=gate_, env=ENV))["link"]
    browser = Browser(gate_)
    page = browser.submit(browser.open(link), password=PASSWORD, again=PASSWORD)
    assert "Not now" not in page.page.text, "they are required"
    secret = page.page.text.split("type this into the application: ")[1].split(" The code")[0].replace(" ", "")
    wrong = browser.submit(page, code="000000")
    assert wrong.status == 403 and secret[:4] in wrong.page.text, "the same secret as before"
    code = code_of(secret)
    assert "Your account" in browser.submit(wrong, code=code).page.text
    other, client = Browser(gate_), Client(gate_, "app", APPLICATION_SECRET)
    page = other.sign_in(other.open(client.url()), "ann")
    assert "One-time code" in page.page.text
    page = other.submit(page, code=code)
    assert page.status == 403 and "used already" in page.page.text
    found = client.back(other.submit(page, code=code_of(secret, time.time() + 30)))
    assert claims(client.redeem(found["code"])["id_token"])["amr"] == ["pwd", "otp"]


def test_what_was_granted_is_seen_and_taken_back(house):
    client = app(house)
    tokens = client.tokens(house.bob, scope="openid offline_access")
    about = client.post("introspect", {"token": tokens["access_token"]})
    assert about["active"] is True and about["username"] == "bob" and about["client_id"] == "app"
    assert client.post("introspect", {"token": tokens["refresh_token"]})["active"] is True
    batch = Client(house, "batch", "a-secret-of-the-batch")
    assert batch.post("introspect", {"token": tokens["access_token"]}) == {"active": False}, "it is not theirs"
    page = house.bob.open(f"{house.issuer}/oauth/account")
    assert "Take it back from app" in page.page.text
    assert "no more" in house.bob.submit(page, button="revoke").page.text
    assert client.refresh(tokens["refresh_token"], 400)["error"] == "invalid_grant"
    assert client.post("introspect", {"token": tokens["access_token"]}) == {"active": False}
    again = client.tokens(house.bob, scope="openid offline_access")
    assert batch.post("revoke", {"token": again["refresh_token"]}) == {}
    assert client.post("introspect", {"token": again["refresh_token"]})["active"] is True, "only its own client gives it back"
    client.post("revoke", {"token": again["refresh_token"]})
    assert client.post("introspect", {"token": again["access_token"]}) == {"active": False}


def test_whoever_leaves_is_sent_to_an_address_of_the_application_only(house):
    client, browser = app(house), Browser(house)
    tokens = client.redeem(client.back(browser.sign_in(browser.open(client.url()), "bob"))["code"])
    leave = {"post_logout_redirect_uri": "https://app.example.com/bye", "client_id": "app", "state": "x&y"}
    page = browser.open(f"{house.issuer}/oauth/logout?{urllib.parse.urlencode(leave)}")
    assert "Sign out?" in page.page.text, "an application could be spiteful"
    assert browser.submit(page, button="leave") == "https://app.example.com/bye?state=x%26y"
    assert client.back(browser.open(client.url(prompt="none")))["error"] == "login_required"
    client.redeem(client.back(browser.sign_in(browser.open(client.url()), "bob"))["code"])
    hint = {**leave, "id_token_hint": tokens["id_token"]}
    assert browser.open(f"{house.issuer}/oauth/logout?{urllib.parse.urlencode(hint)}").startswith("https://app.example.com/bye")
    for wrong in ["https://evil.example/", "https://app.example.com/bye/../x", "https://app.example.com/bye?x"]:
        answer = browser.open(f"{house.issuer}/oauth/logout?{urllib.parse.urlencode({**leave, 'post_logout_redirect_uri': wrong})}")
        assert answer.status == 400 and "not one of its own" in answer.page.text


def test_another_password_ends_what_began_with_the_one_before(own_gate):
    gate_ = gate(own_gate)
    ann, client = invite(gate_, "ann"), Client(gate_, "app", APPLICATION_SECRET)
    tokens = client.tokens(ann, scope="openid offline_access")
    elsewhere = Browser(gate_)
    elsewhere.sign_in(elsewhere.open(f"{gate_.issuer}/oauth/account"), "ann")
    page = ann.open(f"{gate_.issuer}/oauth/account")
    wrong = ann.submit(page, button="password", current="wrong", password="another-otter-swims-7")
    assert "current password is wrong" in wrong.page.text
    assert "signed in as" in ann.submit(page, button="password", current=PASSWORD, password="another-otter-swims-7").page.text
    assert "Sign in" in elsewhere.open(f"{gate_.issuer}/oauth/account").page.text
    assert client.refresh(tokens["refresh_token"], 400)["error"] == "invalid_grant"
    assert client.post("introspect", {"token": tokens["access_token"]}) == {"active": False}


def test_whoever_is_blocked_or_removed_is_out_everywhere(own_gate):
    gate_ = gate(own_gate)
    ann, client = invite(gate_, "ann", "platform"), Client(gate_, "app", APPLICATION_SECRET)
    desk = Client(gate_, "desk", redirect_uri="http://127.0.0.1/callback")
    refresh = client.tokens(ann, scope="openid offline_access")["refresh_token"]
    token = desk.redeem(desk.back(ann.submit(ann.open(desk.url()), button="allow"))["code"])["access_token"]
    world.tollgate("user", "block", "ann", gate=gate_, env=ENV)
    assert world.get(f"{gate_.url}/v1/models", bearer(token))[0] == 403
    assert "is blocked" in client.refresh(refresh, 400)["error_description"]
    assert client.post("introspect", {"token": token}) == {"active": False}
    page = ann.open(client.url())
    assert "Password" in page.page.text
    assert "is blocked" in ann.sign_in(page, "ann").page.text
    world.tollgate("user", "unblock", "ann", gate=gate_, env=ENV)
    assert "code" in client.back(ann.open(client.url()))
    world.tollgate("user", "delete", "ann", gate=gate_, env=ENV)
    assert "Password" in ann.open(client.url()).page.text
    assert client.refresh(refresh, 400)["error"] == "invalid_grant"
    again = invite(gate_, "ann")
    assert claims(client.tokens(again)["id_token"])["sub"] != claims(token)["sub"], "by that name it is somebody else"


def test_an_application_for_some_is_for_them(own_gate):
    clients = """
      vault: { secret: a-secret-of-the-vault, redirect_uris: ["https://vault.example.com/cb"], groups: [platform] }
"""
    gate_ = gate(own_gate, clients=clients)
    vault = Client(gate_, "vault", "a-secret-of-the-vault", redirect_uri="https://vault.example.com/cb")
    ann, bob = invite(gate_, "ann", "platform"), invite(gate_, "bob", "other")
    tokens = vault.tokens(ann, scope="openid offline_access")
    assert vault.back(bob.open(vault.url()))["error"] == "access_denied"
    world.tollgate("user", "groups", "ann", "other", gate=gate_, env=ENV)
    assert "may not use this client" in vault.refresh(tokens["refresh_token"], 400)["error_description"]


def test_claims_are_what_the_configuration_says(own_gate):
    server = """
    claims:
      username: { from: user }
      company: { value: Example, scope: email }
      tier: { value: 3 }
"""
    gate_ = gate(own_gate, server=server)
    ann, client = invite(gate_, "ann"), Client(gate_, "app", APPLICATION_SECRET)
    said = claims(client.tokens(ann, scope="openid email")["id_token"])
    assert said["company"] == "Example" and "tier" not in said
    said = claims(client.tokens(ann, scope="openid profile")["id_token"])
    assert (said["username"], said["tier"]) == ("ann", 3) and "company" not in said


@pytest.fixture(scope="module")
def database():
    server = servers.Postgres()
    server.start()
    yield server
    server.remove()


def test_instances_share_sessions_grants_and_keys_and_one_may_die(own_gate, database):
    url = database.database()
    extra = f"database_url: {url}\n"
    first = gate(own_gate, extra=extra)
    second = gate(own_gate, extra=extra)
    # Both are one gate to the outside: the second is reached under the address of the first.
    second_config = second.config.read_text().replace(f"localhost:{second.port}", f"localhost:{first.port}")
    second.stop()
    second = own_gate("--port", str(second.port), config=second_config)
    second.issuer = first.issuer
    ann, client = invite(first, "ann"), Client(first, "app", APPLICATION_SECRET)
    code = client.back(ann.open(client.url(scope="openid offline_access")))["code"]
    first.process.kill()
    first.process.wait()
    there = Client(second, "app", APPLICATION_SECRET)
    there.verifier = client.verifier

    # The address is the same; who is behind it is another.
    ann.port = second.port
    there.gate = _At(second)
    tokens = there.redeem(code)
    assert "refresh_token" in there.refresh(tokens["refresh_token"])
    page = ann.send("GET", "/oauth/account")
    assert "signed in as" in page.page.text, "the session goes on"
    keys = json.loads(world.get(f"{second.url}/oauth/keys")[1])["keys"]
    kid = json.loads(_decoded(tokens["id_token"].split(".")[0]))["kid"]
    assert kid in [key["kid"] for key in keys] and len(keys) == 1


class _At:
    """A gate whose issuer is another's address."""

    def __init__(self, gate_):
        self.port, self.issuer = gate_.port, gate_.issuer


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_nothing_that_opens_anything_is_in_logs_records_or_the_database(house):
    client = app(house)
    tokens = client.tokens(house.bob, scope="openid offline_access")
    data = house.folder / "data"
    kept = house.log.read_text() + world.journal(data)
    stored = b"".join(path.read_bytes() for path in data.glob("tollgate.sqlite*"))
    secret = house.bob.cookies["tollgate-session"]
    for open_sesame in [PASSWORD, APPLICATION_SECRET, MASTER, tokens["access_token"], tokens["refresh_token"], secret]:
        assert open_sesame not in kept
        assert open_sesame.encode() not in stored
    assert "argon2id" not in kept and BACK not in kept


def test_the_command_line_signs_in_with_a_code_and_out_again(house, tmp_path):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE")}
    env = {**clean, "TOLLGATE_URL": house.issuer, "XDG_CONFIG_HOME": str(tmp_path)}

    def run(*arguments):
        return subprocess.run([world.binary(), *arguments], capture_output=True, text=True, env=env, timeout=30, check=False)

    assert "tollgate login" in run("user", "list").stderr
    signing_in = subprocess.Popen([world.binary(), "login"], stdout=subprocess.PIPE, text=True, env=env)
    link = signing_in.stdout.readline().split()[1]
    code = signing_in.stdout.readline().split()[-1]
    page = house.ann.submit(house.ann.open(link))
    assert code in page.page.text and "command line" in page.page.text
    house.ann.submit(page, button="allow")
    assert "as ann@example.com" in signing_in.communicate(timeout=30)[0]
    kept = tmp_path / "tollgate" / "logins.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "ann@example.com" in run("user", "list").stdout
    login = json.loads(kept.read_text())
    login[house.issuer]["ends"] = "2026-01-01T00:00:00Z"
    kept.write_text(json.dumps(login))
    assert "ann@example.com" in run("user", "list").stdout, "with the next token"
    assert json.loads(kept.read_text())[house.issuer]["refresh_token"] != login[house.issuer]["refresh_token"]
    assert "signed out" in run("logout").stdout
    assert "tollgate login" in run("user", "list").stderr
    assert Client(house, "tollgate").refresh(login[house.issuer]["refresh_token"], 400)["error"] == "invalid_grant"


def test_a_key_that_has_leaked_is_taken_out_of_use_at_once(own_gate):
    gate_ = gate(own_gate)
    ann, client = invite(gate_, "ann"), Client(gate_, "app", APPLICATION_SECRET)
    before = client.tokens(ann)
    keys = json.loads(world.tollgate("idp", "keys", "--json", gate=gate_, env=ENV))
    assert [key["id"] for key in keys] == ["rs256-000001"] and "sealed" not in keys[0]
    world.tollgate("idp", "withdraw", "rs256-000001", gate=gate_, env=ENV)

    def another():
        published = json.loads(world.get(f"{gate_.url}/oauth/keys")[1])["keys"]
        return published and published[0]["kid"] != keys[0]["kid"]

    world.wait_for(another, "another key", gate_.process)
    assert client.post("introspect", {"token": before["access_token"]}) == {"active": False}
    assert client.post("introspect", {"token": client.tokens(ann)["access_token"]})["active"] is True
