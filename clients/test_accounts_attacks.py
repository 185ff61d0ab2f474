"""Attacks on accounts at tool servers: by other people, by the servers themselves, and by whoever stands beside."""

import json
import sqlite3
import urllib.parse

import pytest
import sign_in_world
import world
from account_world import (
    RESOURCE,
    SERVER,
    House,
    Person,
    Server,
    Silent,
    Stranger,
    begin,
    call,
    events,
    gate,
    key,
    mcp,
    notes,
    query,
    refusal,
    reload,
    sent_back,
    whoami,
)
from mcp_world import Client, text, who, without_session
from sign_in_world import ENV, Browser, claims

HTML = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def house():
    """A gate before servers of which some are spiteful."""
    own = {"team": (Server(), "account: { of: gate }"), "taker": (Stranger(), "exchange: {}")}
    made = House(strangers=112, own=own)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def silent():
    """Something inside that nobody outside may reach, and which is reached by nobody."""
    made = Silent()
    yield made
    made.stop()


def refused(house, name: str, person, page=None) -> str:
    """What the page says to whoever could not connect an account; nothing is connected."""
    page = page or person.connect(name)
    assert not isinstance(page, str), page
    assert page.status >= 400 and b"<script" not in page.body, page.page.text
    assert events(house.gate, "account_connected", name) == []
    assert f"Connect {name}" in person.page().page.text
    return page.page.text


# --- Other people ---


def test_what_one_browser_began_no_other_ends(house):
    """Eve has Ann's browser open the address with which her own account is connected, and the other way round."""
    (name, server), ann, eve = house.stranger(), house.person("ann"), house.person("eve")
    for begins, ends in [(eve, ann), (ann, eve)]:
        location = sent_back(begin(begins.browser, house.gate, name))
        answer = ends.browser.open(location)
        assert answer.status == 400 and "not shown to this browser" in answer.page.text
        assert server.was_asked("/token") == []
        for person in (begins, ends):
            refusal(call(house.gate, person.key, name))


def test_whoever_has_signed_in_in_the_same_browser_since_is_connected_to_nothing(house):
    (name, server), ann, bob = house.stranger(), house.person("ann"), house.person("bob")
    browser = Browser(house.gate)
    browser.sign_in(browser.open(f"{house.gate.issuer}/oauth/connections"), ann.name)
    location = sent_back(begin(browser, house.gate, name))
    browser.cookies.pop("tollgate-session")
    page = browser.open(location)
    assert page.page.text.startswith("Sign in")
    assert "It is connected." not in browser.sign_in(page, bob.name).page.text
    answer = browser.open(location)
    assert answer.status == 400 and server.was_asked("/token") == []


def test_a_state_that_was_altered_or_is_another_is_not_taken(house):
    (name, server), (other, _), ann = house.stranger(), house.stranger(), house.person()
    location = sent_back(begin(ann.browser, house.gate, name))
    said = query(location)
    state = said["state"]
    # What a sign-in page carries is sealed with the same key, for something else.
    carried = Browser(house.gate).open(f"{house.gate.issuer}/oauth/connections").page.form()["fields"]["next"]
    for wrong in [None, "", "x", state[:-3] + ("AAA" if state[-3:] != "AAA" else "BBB"), f"{'B' if state[0] == 'A' else 'A'}{state[1:]}", f"{state}.", carried]:
        again = {key: value for key, value in {**said, "state": wrong}.items() if value is not None}
        answer = ann.browser.open(f"{house.gate.issuer}/oauth/connections/callback/{name}?{urllib.parse.urlencode(again)}")
        assert answer.status == 400 and "not shown to this browser" in answer.page.text, wrong
    twice = ann.browser.open(f"{location}&state={urllib.parse.quote(state)}")
    assert twice.status == 400 and server.was_asked("/token") == []
    # And with the state that belongs to another server, its answer does not count either.
    theirs = query(begin(ann.browser, house.gate, other))["state"]
    mixed = urllib.parse.urlencode({**said, "state": theirs})
    assert "It is connected." not in ann.browser.open(f"{house.gate.issuer}/oauth/connections/callback/{name}?{mixed}").page.text
    assert "It is connected." in ann.browser.open(location).page.text, "nothing else was wrong"


def test_an_answer_that_is_brought_again_changes_nothing(house):
    (name, server), ann = house.stranger(), house.person()
    location = sent_back(begin(ann.browser, house.gate, name))
    ann.browser.open(location)
    assert ann.whoami(name) == "account-1"
    assert "nothing was connected: invalid_grant" in ann.browser.open(location).page.text
    assert ann.whoami(name) == "account-1" and len(events(house.gate, "account_connected", name)) == 1


def test_a_code_of_somebody_else_is_not_redeemed(house):
    """Eve has a code of her own account, and Ann's browser brings it with Ann's state (RFC 9700 §4.5)."""
    (name, _), ann, eve = house.stranger(), house.person("ann"), house.person("eve")
    hers = query(sent_back(begin(ann.browser, house.gate, name)))["state"]
    stolen = query(sent_back(begin(eve.browser, house.gate, name)))["code"]
    injected = urllib.parse.urlencode({"state": hers, "code": stolen})
    page = ann.browser.open(f"{house.gate.issuer}/oauth/connections/callback/{name}?{injected}")
    assert "invalid_grant" in refused(house, name, ann, page)


def test_a_form_of_another_page_connects_and_disconnects_nothing(house):
    (name, server), ann, eve = house.stranger(), house.person("ann"), house.person("eve")
    form = next(form for form in ann.page().page.forms if form["fields"]["server"] == name)
    hers = next(form for form in eve.page().page.forms if form["fields"]["server"] == name)["fields"]["form"]
    for answer in ["connect", "disconnect"]:
        fields = {**form["fields"], "answer": answer}
        for wrong, headers in [({"form": ""}, {}), ({"form": "x"}, {}), ({"form": hers}, {}), ({}, {"sec-fetch-site": "cross-site"})]:
            got = ann.browser.send("POST", form["action"], {**fields, **wrong}, headers)
            assert got.status == 400 and "location" not in got.headers, (answer, wrong, headers)
        fields.pop("form")
        assert ann.browser.send("POST", form["action"], fields).status == 400
        got = Browser(house.gate).send("POST", form["action"], {**form["fields"], "answer": answer})
        assert "/oauth/sign-in" in got.headers["location"]
        got = ann.browser.send("GET", f"{form['action']}?{urllib.parse.urlencode({**form['fields'], 'answer': answer})}")
        assert got.status == 200 and "location" not in got.headers
    assert server.asked == [] and events(house.gate, "account_disconnected", name) == []
    page = ann.page()
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"] and page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"


def test_only_an_admin_connects_an_account_for_all(house):
    root, eve = house.newcomer("root", "platform"), house.person("eve")
    form = next(form for form in root.page().page.forms if form["fields"]["server"] == "team")
    own = eve.page().page.forms[0]["fields"]["form"]
    for answer in ["connect", "disconnect"]:
        got = eve.browser.send("POST", form["action"], {"form": own, "server": "team", "answer": answer})
        assert got.status == 400 and "not for you to connect" in got.page.text
    # Whoever is no admin any more when they come back.
    location = sent_back(begin(root.browser, house.gate, "team"))
    world.tollgate("user", "groups", root.name, "other", gate=house.gate, env=ENV)
    assert "not for you to connect" in root.browser.open(location).page.text
    assert events(house.gate, "account_connected", "team") == events(house.gate, "account_disconnected", "team") == []


def test_whoever_gets_the_name_of_somebody_who_left_gets_no_account_of_theirs(house):
    (name, _), ann = house.stranger(), house.newcomer("ann")
    ann.connect(name)
    assert ann.whoami(name) == "account-1"
    for what, whose in [("key", f"{ann.name}-laptop"), ("user", ann.name)]:
        world.tollgate(what, "delete", whose, gate=house.gate, env=ENV)
    browser = sign_in_world.invite(house.gate, ann.name)
    other = key(house.gate, f"{ann.name}-other", ann.name)
    assert "none is connected yet" in refusal(call(house.gate, other, name))
    assert f"Connect {name}" in browser.open(f"{house.gate.issuer}/oauth/connections").page.text


def test_whoever_writes_into_the_database_gives_nobody_elses_account_to_themselves(house):
    (name, _), ann, eve = house.stranger(), house.newcomer("ann"), house.newcomer("eve")
    ann.connect(name)
    eve.connect(name)
    subjects = {}
    for person in (ann, eve):
        shown = world.get(f"{house.gate.url}/api/v1/users/{person.name}/login", {"authorization": f"Bearer {sign_in_world.MASTER}"})[1]
        subjects[person.name] = f"identity/account/{name}/of/{json.loads(shown)['subject']}"
    with sqlite3.connect(house.gate.folder / "data" / "tollgate.sqlite", timeout=20) as database:
        read = "SELECT text FROM shared WHERE name = ?"
        text = database.execute(read, [subjects[ann.name]]).fetchone()[0]
        assert text != database.execute(read, [subjects[eve.name]]).fetchone()[0]
        database.execute("UPDATE shared SET text = ? WHERE name = ?", [text, subjects[eve.name]])
    refusal(call(house.gate, eve.key, name))
    assert ann.whoami(name) == "account-1"


def test_whoever_connects_all_the_time_waits(house):
    (name, server), eve = house.stranger(), house.newcomer("eve")
    form = next(form for form in eve.page().page.forms if form["fields"]["server"] == name)
    said = [eve.browser.send("POST", form["action"], {**form["fields"], "answer": "connect"}) for _ in range(31)]
    assert [answer.status for answer in said[:30]] == [303] * 30 and "too many requests" in said[30].page.text
    assert len(server.was_asked("/register")) <= 6 and len(server.was_asked(SERVER)) == 1


# --- Mix-up: another server answers than the one that was asked ---


@pytest.mark.parametrize(
    ("announced", "back"),
    [
        (False, {"iss": "https://evil.example"}),
        (True, {"iss": "https://evil.example"}),
        (True, {}),
        (True, {"iss": ""}),
        (True, {"error": "access_denied"}),
        (False, {"iss": "https://evil.example", "error": "access_denied"}),
    ],
)
def test_an_answer_of_another_server_is_not_taken(house, announced, back):
    (name, server), ann = house.stranger(), house.person()
    server.metadata["authorization_response_iss_parameter_supported"] = announced
    server.back = back
    assert "another server has answered" in refused(house, name, ann)
    assert server.was_asked("/token") == []


@pytest.mark.parametrize("announced", [False, True])
def test_an_answer_that_says_whose_it_is_is_taken(house, announced):
    (name, server), ann = house.stranger(), house.person()
    server.metadata["authorization_response_iss_parameter_supported"] = announced
    server.back = {"iss": server.url}
    assert "It is connected." in ann.connect(name).page.text


def test_a_server_that_says_something_else_meanwhile_gets_no_code(house):
    """It names one authorization server, and another when the answer comes back."""
    (name, server), ann, elsewhere = house.stranger(), house.person(), Stranger()
    location = sent_back(begin(ann.browser, house.gate, name))
    server.metadata["token_endpoint"] = f"{elsewhere.url}/token"
    server.at[f"{RESOURCE}/mcp"] = {**server.resource, "authorization_servers": [elsewhere.url]}
    ann.browser.open(location)
    assert elsewhere.asked == []
    elsewhere.stop()


# --- What authorization servers must be ---


def says(**more):
    return lambda server: server.metadata.update(more)


def names(*issuers: str):
    return lambda server: server.resource.update(authorization_servers=list(issuers))


def at(path: str, *answer):
    return lambda server: server.at.update({path: answer if len(answer) > 1 else answer[0]})


UNFIT = {
    "is another": (says(issuer="https://login.example.com"), "is that of `https://login.example.com`"),
    "is another below it": (lambda server: server.metadata.update(issuer=f"{server.url}/tenant"), "is that of"),
    "knows no PKCE": (says(code_challenge_methods_supported=None), "metadata"),
    "knows PKCE with plain only": (says(code_challenge_methods_supported=["plain"]), "no PKCE with S256"),
    "says nothing of PKCE": (lambda server: server.metadata.pop("code_challenge_methods_supported"), "no PKCE with S256"),
    "is not encrypted": (names("http://login.example.com"), "is not encrypted"),
    "is a file": (names("file:///etc/passwd"), ""),
    "is nothing": (names("none"), ""),
    "has HTML for a name": (names(f"http://x.example/{HTML}"), ""),
    "says HTML of itself": (says(issuer=f"https://x.example/{HTML}"), "is that of"),
    "has people come to a script": (says(authorization_endpoint="javascript:alert(1)"), ""),
    "has people come without encryption": (says(authorization_endpoint="http://login.example.com/authorize"), "is not encrypted"),
    "has people come to a header": (says(authorization_endpoint="https://login.example.com/\r\nset-cookie: x=1"), ""),
    "gives tokens without encryption": (says(token_endpoint="http://login.example.com/token"), "is not encrypted"),
    "registers without encryption": (says(registration_endpoint="http://login.example.com/register"), "is not encrypted"),
    "takes no registrations": (lambda server: server.metadata.pop("registration_endpoint"), "`auth.account.client_id`"),
    "refuses the gate": (at("/register", 403, {}, b"{}"), "it answers 403"),
    "registers nobody": (at("/register", 201, {}, b"{}"), "cannot be read"),
    "says no JSON": (at(SERVER, b"<html>"), "has no metadata"),
    "says a list": (at(SERVER, b"[]"), "has no metadata"),
    "says a list of lists": (at(SERVER, b'{"issuer":' + b"[" * 100_000), "has no metadata"),
    "is away": (at(SERVER, 503, {}, b"{}"), "has no metadata"),
}


@pytest.mark.parametrize("how", UNFIT)
def test_nobody_is_sent_to_an_authorization_server_that(house, how):
    (name, server), ann = house.stranger(), house.person()
    change, why = UNFIT[how]
    change(server)
    said = refused(house, name, ann)
    assert why in said, said
    assert server.was_asked("/token") == [] and server.was_asked("/authorize") == []


def test_metadata_is_not_read_without_end(house):
    (name, server), ann = house.stranger(), house.person()
    text = json.dumps(server.metadata).encode()

    def too_large() -> int:
        return sum("larger than 1048576 bytes" in entry["detail"].get("refused", "") for entry in house.gate.records("event"))

    known = too_large()
    server.at[SERVER] = text + b" " * (1 << 20)
    assert "has no metadata" in refused(house, name, ann)
    assert too_large() == known + 1
    server.at[SERVER] = text + b" " * (900 << 10)
    assert "It is connected." in ann.connect(name).page.text


OTHERS = ["https://mail.example.com/mcp", "{url}/mcp2", "{url}/mc", "{url}.example.com/mcp", "http://127.0.0.1", "", f"https://x.example/{HTML}"]


@pytest.mark.parametrize("resource", OTHERS)
def test_a_server_that_says_that_it_is_another_gets_no_token(house, resource):
    """It would have people's browsers ask for tokens of another (RFC 9728 §3.3)."""
    (name, server), ann = house.stranger(), house.person()
    server.resource["resource"] = resource.format(url=server.url)
    assert "its metadata is that of" in refused(house, name, ann)
    assert server.was_asked("/register") == []


# --- A server that has the gate ask inside ---

HOSTS = ["localhost", "127.0.0.1", "127.1", "[::ffff:127.0.0.1]"]
INSIDE = [f"{scheme}://{host}" for scheme in ("http", "https") for host in HOSTS]


@pytest.mark.parametrize("inside", INSIDE)
def test_an_authorization_server_inside_is_not_asked(house, silent, inside):
    (name, server), ann = house.stranger(), house.person()
    names(f"{inside}:{silent.port}")(server)
    before = silent.came
    refused(house, name, ann)
    assert silent.came == before


@pytest.mark.parametrize("inside", INSIDE)
def test_metadata_of_a_server_that_is_inside_is_not_asked_for(house, silent, inside):
    (name, server), ann = house.stranger(), house.person()
    server.challenge = f'Bearer resource_metadata="{inside}:{silent.port}/x"'
    before = silent.came
    ann.connect(name)
    assert silent.came == before


@pytest.mark.parametrize("endpoint", ["registration_endpoint", "token_endpoint", "revocation_endpoint"])
@pytest.mark.parametrize("inside", ["https://localhost", "https://127.0.0.1"])
def test_an_endpoint_inside_is_not_asked(house, silent, endpoint, inside):
    """The authorization server is where the tool server is, which the configuration names; its endpoints are not."""
    (name, server), ann = house.stranger(), house.person()
    server.metadata[endpoint] = f"{inside}:{silent.port}/x"
    before = silent.came
    if "It is connected." in ann.connect(name).page.text:
        assert endpoint == "revocation_endpoint"
        ann.disconnect(name)
    assert silent.came == before


@pytest.mark.parametrize("path", [SERVER, f"{RESOURCE}/mcp", "/register", "/token"])
@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed(house, silent, path, status):
    (name, server), ann = house.stranger(), house.person()
    server.at[path] = (status, {"location": f"http://127.0.0.1:{silent.port}/x"}, b"")
    before = silent.came
    said = ann.connect(name).page.text
    assert silent.came == before
    assert "It is connected." not in said or path == f"{RESOURCE}/mcp", said


# --- What is given out ---


@pytest.mark.parametrize(
    "given",
    [
        {"token_type": "mac"},
        {"token_type": "DPoP"},
        {"token_type": None},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\r\nx-evil: 1"},
        {"access_token": "a\nb"},
        {"access_token": "a\x00b"},
        {"access_token": "ä"},
        {"padding": "x" * (1 << 20)},
    ],
    ids=lambda given: json.dumps(given)[:40],
)
def test_what_is_no_token_is_not_kept(house, given):
    (name, server), ann = house.stranger(), house.person()
    server.more = given
    assert "nothing was connected" in refused(house, name, ann)


def test_what_is_no_token_does_not_replace_one(house):
    (name, server), ann = house.stranger(), house.person()
    ann.connect(name)
    ann.whoami(name)
    answers = server.at["/token"]
    server.good.clear()
    server.at["/token"] = {"access_token": "a\r\nb", "token_type": "Bearer", "refresh_token": "c"}
    assert "error" in call(house.gate, ann.key, name)
    server.at["/token"] = answers
    assert ann.whoami(name) == "account-1"


@pytest.mark.parametrize("lasts", [0, -1, 10**18, -(10**18)])
def test_a_token_may_last_for_however_long(house, lasts):
    (name, server), ann = house.stranger(), house.person()
    server.more = {"expires_in": lasts}
    assert "It is connected." in ann.connect(name).page.text
    assert ann.whoami(name) == "account-1"


def test_what_servers_say_is_shown_as_text(house):
    (name, server), (other, wrong), ann = house.stranger(), house.stranger(), house.person()
    server.more = {"scope": f"read {HTML} \"><img src=x>"}
    page = ann.connect(name)
    assert "It is connected." in page.page.text and HTML in page.page.text
    for shown in (page, ann.page()):
        assert b"<script" not in shown.body and b"<img" not in shown.body
    wrong.at["/token"] = (400, {}, {"error": HTML, "error_description": f"<b>{HTML}</b>\r\n\x1b[2J" + "x" * 1_000})
    page = ann.connect(other)
    said = refused(house, other, ann, page)
    assert HTML in said and b"\x1b" not in page.body and b"<b>" not in page.body and "x" * 201 not in said
    wrong.back = {"error": f"access_denied{HTML}", "error_description": HTML}
    assert "nothing was connected: access_denied" in refused(house, other, ann)


def test_what_nobody_sees_is_not_shown(house):
    """A scope has no such characters (RFC 6749 §3.3): what looks like less is more."""
    (name, server), ann = house.stranger(), house.person()
    server.more = {"scope": "read\u202e\u200b\u2066write"}
    page = ann.connect(name)
    assert "It is connected." in page.page.text
    assert not any(unseen in page.body.decode() for unseen in "\u202e\u200b\u2066")


# --- Where tokens go ---


def test_a_server_that_is_elsewhere_now_is_another(own_gate):
    """Whoever changes where a server is has nobody's tokens by that."""
    server, thief = Stranger(), Stranger()
    gate_ = gate(own_gate, notes(server.url))
    ann = Person(gate_, "ann")
    ann.connect("notes")
    assert ann.whoami("notes") == "account-1"
    reload(gate_, server.url, thief.url)
    refusal(call(gate_, ann.key, "notes"))
    assert [asked.token for asked in thief.asked if asked.token] == []
    assert "Connect notes" in ann.page().page.text
    ann.connect("notes")
    assert ann.whoami("notes") == "account-1" and len(thief.good) == 1
    tokens = set(server.good) | set(server.codes)
    assert not tokens & {asked.token for asked in thief.asked} and not tokens & {asked.form.get("refresh_token") for asked in thief.asked}
    server.stop()
    thief.stop()


def test_another_path_of_the_same_host_is_another_server(own_gate):
    server = Stranger()
    server.at["/other/mcp"] = server.at["/mcp"]
    gate_ = gate(own_gate, notes(server.url))
    ann = Person(gate_, "ann")
    ann.connect("notes")
    ann.whoami("notes")
    reload(gate_, f"{server.url}/mcp", f"{server.url}/other/mcp")
    refusal(call(gate_, ann.key, "notes"))
    assert [asked.token for asked in server.was_asked("/other/mcp") if asked.token] == []
    server.stop()


@pytest.mark.parametrize("how", ["status", "error", "refusal"])
def test_a_token_that_a_server_echoes_is_not_passed_on(house, how):
    """The gate has it for the person: neither the agent nor whoever reads records is to see it."""
    (name, server), ann = house.stranger(), house.person()
    ann.connect(name)
    ann.whoami(name)
    [token] = server.good

    def echo(asked):
        said = f"what is {asked.headers['authorization']}?"
        message = json.loads(asked.body or b"{}")
        if how == "error" and "id" in message:
            return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32603, "message": said}}
        return 403 if how == "refusal" else 400, {}, said.encode()

    server.at["/mcp"] = echo
    said = json.dumps(call(house.gate, ann.key, name))
    assert "what is Bearer" in said and token not in said
    assert token not in world.journal(house.gate.folder / "data") and token not in house.gate.log.read_text()


def test_a_secret_that_an_authorization_server_echoes_is_not_shown(house):
    (name, server), ann = house.stranger(), house.person()
    server.at["/token"] = lambda asked: (400, {}, {"error": "invalid_client", "error_description": f"not {asked.form['code']} {asked.form['code_verifier']}"})
    refused(house, name, ann)
    kept = world.journal(house.gate.folder / "data") + house.gate.log.read_text()
    assert server.was_asked("/token")[0].form["code_verifier"] not in kept


def test_no_header_of_a_caller_takes_the_place_of_the_token(house):
    (name, server), ann, bob = house.stranger(), house.person("ann"), house.person("bob")
    ann.connect(name)
    bob.connect(name)
    [token] = [token for token, whose in server.good.items() if whose == "account-2"]
    more = {"x-api-key": bob.key, "proxy-authorization": f"Bearer {token}", "x-upstream-authorization": f"Bearer {token}", "x-forwarded-user": bob.name}
    client = Client(house.gate, f"/{name}", key=ann.key)
    said = client.ask("tools/call", {"name": "whoami", "arguments": {}, "_meta": who()}, **without_session("tools/call", "whoami"), **more)
    assert "account-2" not in json.dumps(said)
    assert text(client.ask("tools/call", {"name": "whoami", "arguments": {}, "_meta": who()}, **without_session("tools/call", "whoami"))) == "account-1"
    for asked in server.was_asked("/mcp"):
        assert asked.token != token
        assert not any(secret in json.dumps(asked.headers) for secret in (ann.key, bob.key, token, bob.name))


# --- Tokens of the gate ---


def test_a_token_for_a_tool_server_opens_nothing_at_the_gate(house):
    """The server may do with it what it wants."""
    server, ann = house.servers["taker"], house.newcomer("ann", "platform")
    server.at["/mcp"] = lambda asked: mcp(asked, "done") if asked.method == "POST" else (405, {}, b"")
    assert whoami(house.gate, ann.key, "taker") == "done"
    token = server.was_asked("/mcp")[-1].token
    assert claims(token)["preferred_username"] == ann.name
    for path in ["/v1/models", "/api/v1/users", "/oauth/userinfo"]:
        assert world.get(f"{house.gate.url}{path}", {"authorization": f"Bearer {token}"})[0] in (401, 403), path
    client = Client(house.gate, "/taker", key=token)
    client.ask("ping")
    assert client.status == 401
    planner = sign_in_world.Client(house.gate, "planner", "a-secret-of-the-planner")
    kind = "urn:ietf:params:oauth:token-type:access_token"
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": token, "subject_token_type": kind}
    assert "error" in planner.post("token", form, 400)
    assert planner.post("introspect", {"token": token}) == {"active": False}


def test_nobody_is_connected_where_the_gate_itself_says_who_it_is(house):
    server, ann = house.servers["taker"], house.person()
    got = ann.browser.send("POST", "/oauth/connections", {"form": ann.page().page.forms[0]["fields"]["form"], "server": "taker", "answer": "connect"})
    assert got.status == 400 and "location" not in got.headers
    assert [asked for asked in server.asked if asked.path != "/mcp"] == []


# --- Who may act in somebody's name ---


def test_a_teams_admin_acts_with_nobodys_account(house):
    (name, _), ann = house.stranger(), house.newcomer("member")
    ann.connect(name)
    master = ENV
    world.tollgate("team", "create", f"team-{ann.name}", "--member", ann.name, gate=house.gate, env=master)
    chief = world.tollgate("key", "create", f"chief-{ann.name}", "--team", f"team-{ann.name}", "--role", "team_admin", "--quiet", gate=house.gate, env=master)
    env, made = {"TOLLGATE_KEY": chief.strip()}, f"made-{ann.name}"
    assert "only an admin" in world.tollgate("key", "create", made, "--user", ann.name, "--acts", gate=house.gate, env=env, status=1)
    plain = world.tollgate("key", "create", made, "--user", ann.name, "--quiet", gate=house.gate, env=env).strip()
    assert "is nobody's" in json.dumps(call(house.gate, plain, name))
    acting = f"acting-{ann.name}"
    world.tollgate("key", "create", acting, "--user", ann.name, "--team", f"team-{ann.name}", "--acts", "--quiet", gate=house.gate, env=master)
    assert "may not change" in world.tollgate("key", "rotate", acting, gate=house.gate, env=env, status=1)
