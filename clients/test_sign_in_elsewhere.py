"""People who sign in at an issuer elsewhere, npm's oidc-provider: they have no password here, and everything else."""

import json
import urllib.parse

import identity_world
import pytest
import world
from sign_in_world import APPLICATION_SECRET, ENV, Browser, Client, claims, gate, invite

ISSUER = """
  issuers:
    corp:
      issuer: {url}
      audience: nobody
      private: true
      user: email
      email_domains: [example.com]
      sign_in:
        client_id: gate
        client_secret: "a-secret+of/the gate"
        scope: openid profile email groups
        label: Example Corp
"""


@pytest.fixture(scope="module")
def house():
    """A gate at which people sign in with their accounts of Example Corp."""
    port = world.free_port()
    issuer = identity_world.Issuer(f"http://localhost:{port}/oauth/with/callback")
    gate_ = gate(world.Gate, port=port, groups_of="corp", extra=ISSUER.format(url=issuer.url))
    gate_.corp = issuer
    yield gate_
    assert gate_.stop() == 0
    issuer.stop()


def goes(house, browser: Browser, page) -> str:
    """Where the browser is sent to sign in."""
    assert "Sign in with Example Corp" in page.page.text, page.page.text
    form = next(form for form in page.page.forms if "issuer" in form["fields"])
    answer = browser.send("GET", f"{form['action']}?{urllib.parse.urlencode(form['fields'])}")
    assert answer.headers["location"].startswith(house.corp.url), answer.headers
    return answer.headers["location"]


def comes_back(house, browser: Browser, url: str, person: str, **other):
    """What happens when they have signed in there."""
    callback = f"{house.issuer}/oauth/with/callback"
    back = {**identity_world.sign_in(url, callback, person), **other}
    return browser.open(f"{callback}?{urllib.parse.urlencode(back)}")


def is_known(house, user: str):
    """That there is a user of that name, whose budgets can be set: made when they first came."""
    world.wait_for(lambda: user in world.tollgate("user", "list", gate=house, env=ENV), user, house.process)


def sign_in(house, person: str, url: str) -> tuple[Browser, object]:
    browser = Browser(house)
    return browser, comes_back(house, browser, goes(house, browser, browser.open(url)), person)


def test_whoever_has_an_account_there_has_one_here(house):
    client = Client(house, "app", APPLICATION_SECRET)
    browser, back = sign_in(house, "ann", client.url(scope="openid profile email groups"))
    said = claims(client.redeem(client.back(back)["code"])["id_token"])
    assert (said["preferred_username"], said["email"], said["groups"]) == ("ann@example.com", "ann@example.com", ["platform", "everyone"])
    assert said["amr"] == ["fed"]
    shown = json.loads(world.tollgate("user", "show-login", "ann@example.com", "--json", gate=house, env=ENV))
    assert shown["external"] == {"issuer": house.corp.url, "name": "corp", "subject": "ann"} and shown["password"] is False
    is_known(house, "ann@example.com")
    assert browser.send("GET", "/api/v1/calls").status == 200, "their groups mean there what they mean"
    again, back = sign_in(house, "ann", client.url())
    assert claims(client.redeem(client.back(back)["code"])["id_token"])["sub"] == said["sub"]


def test_somebody_else_is_not_taken_for_whoever_is_called_the_same(house):
    invite(house, "zoe@example.com")
    _, page = sign_in(house, "zoe", f"{house.issuer}/oauth/account")
    assert page.status == 403 and "somebody else here who is called zoe@example.com" in page.page.text


def test_an_address_that_nobody_has_verified_is_none(house):
    _, page = sign_in(house, "eve", f"{house.issuer}/oauth/account")
    assert page.status == 403 and "nobody has verified" in page.page.text


def test_an_answer_is_for_the_browser_that_has_asked(house):
    victim, attacker = Browser(house), Browser(house)
    callback = f"{house.issuer}/oauth/with/callback"
    url = goes(house, attacker, attacker.open(f"{house.issuer}/oauth/account"))
    back = identity_world.sign_in(url, callback, "mallory")
    victim.open(f"{house.issuer}/oauth/account")
    page = victim.open(f"{callback}?{urllib.parse.urlencode(back)}")
    assert page.status == 400 and "tollgate-session" not in victim.cookies
    for wrong in [{"iss": "https://evil.example"}, {"iss": ""}, {"state": "x"}, {"code": "x"}, {}]:
        page = attacker.open(f"{callback}?{urllib.parse.urlencode({**back, **wrong})}")
        assert page.status in (400, 403), wrong
    refused = {"error": "access_denied<script>", "state": back["state"]}
    page = attacker.open(f"{callback}?{urllib.parse.urlencode(refused)}")
    assert page.status == 403 and b"<script>" not in page.body


def test_whoever_is_to_sign_in_again_does_so_there(house):
    client = Client(house, "app", APPLICATION_SECRET)
    browser, back = sign_in(house, "cleo", client.url())
    client.redeem(client.back(back)["code"])
    page = browser.open(client.url(prompt="login"))
    url = goes(house, browser, page)
    assert "prompt=login" in url
    assert "code" in client.back(comes_back(house, browser, url, "cleo"))
    # Whoever takes that out again is not believed: the issuer does not say when they have signed in.
    page = browser.open(client.url(prompt="login"))
    page = comes_back(house, browser, goes(house, browser, page).replace("prompt=login", "x=y"), "cleo")
    assert page.status == 403 and "did not ask you to sign in again" in page.page.text


def test_blocking_here_holds_for_them_too(house):
    browser, page = sign_in(house, "bob", f"{house.issuer}/oauth/account")
    assert "signed in as bob@example.com" in page.page.text
    is_known(house, "bob@example.com")
    world.tollgate("user", "block", "bob@example.com", gate=house, env=ENV)
    assert "Sign in" in browser.open(f"{house.issuer}/oauth/account").page.text
    _, page = sign_in(house, "bob", f"{house.issuer}/oauth/account")
    assert page.status == 403 and "is blocked" in page.page.text
