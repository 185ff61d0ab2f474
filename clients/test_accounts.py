"""People connect their accounts at tool servers, and tools act with them: at fastmcp's servers, and at such as others could be."""

import concurrent.futures
import json
import threading
import time

import account_world
import pytest
import sign_in_world
import world
from account_world import (
    RESOURCE,
    SERVER,
    House,
    Person,
    Server,
    Stranger,
    ask,
    at_once,
    begin,
    brought_back,
    call,
    events,
    gate,
    key,
    metadata,
    notes,
    query,
    refusal,
    tools,
    whoami,
)
from fastmcp.server.auth.providers.jwt import JWTVerifier
from joserfc import jwt
from joserfc.jwk import KeySet
from mcp_world import Client, fault, text, until
from sign_in_world import ENV, MASTER, claims

BASIC = 'account: { issuer: "%s", client_id: "a gate", client_secret: "a/secret:100%%", scope: "read write" }'
URLS = {"elicitation": {"url": {}}}


@pytest.fixture(scope="module")
def house():
    """A gate before servers of many kinds."""
    issuer, basic, post = Stranger(), Stranger(), Stranger()
    own = {
        "basic": (basic, BASIC % basic.url),
        "post": (post, BASIC % post.url),
        "public": (Stranger(), "account: { client_id: a-public-gate }"),
        "elsewhere": (Stranger(), f'account: {{ issuer: "{issuer.url}" }}'),
    }
    made = House(servers=16, strangers=41, own=own)
    made.issuer = issuer
    yield made
    made.stop()
    issuer.stop()


def page_of(house) -> str:
    return f"{house.gate.issuer}/oauth/connections"


def token(house, person: Person) -> str:
    """An access token of a person for the whole gate."""
    desk = sign_in_world.Client(house.gate, "desk", redirect_uri="http://127.0.0.1/callback")
    answer = person.browser.submit(person.browser.open(desk.url(scope="openid")), button="allow")
    return desk.redeem(desk.back(answer)["code"])["access_token"]


# --- Whose account it is ---


def test_tools_act_with_the_account_of_whoever_has_connected_theirs(house):
    (name, _), ann, bob = house.server(), house.newcomer("ann"), house.newcomer("bob")
    assert page_of(house) in refusal(call(house.gate, ann.key, name))
    assert (tools(house.gate, ann.key, name), tools(house.gate, ann.key, "")) == ([], [])
    assert "It is connected." in ann.connect(name).page.text
    assert ann.whoami(name) == "account-1", "without waiting"
    assert (tools(house.gate, ann.key, name), tools(house.gate, ann.key, "")) == (["whoami"], ["whoami"])
    assert (tools(house.gate, bob.key, name), tools(house.gate, bob.key, "")) == ([], [])
    refusal(call(house.gate, bob.key, name))
    bob.connect(name)
    assert (bob.whoami(name), ann.whoami(name)) == ("account-2", "account-1")


def test_all_keys_and_tokens_of_a_person_use_their_account(house):
    (name, server), ann = house.server(), house.newcomer()
    ann.connect(name)
    assert whoami(house.gate, key(house.gate, f"{ann.name}-phone", ann.name), name) == "account-1"
    assert whoami(house.gate, token(house, ann), name) == "account-1"
    session = Client(house.gate, f"/{name}", key=ann.key)
    session.begin()
    assert text(session.call("whoami")) == "account-1"
    assert len(server.provider.asked) == 1 and len(set(server.called)) == 1


def test_whoever_speaks_for_nobody_is_told_so(house):
    name, _ = house.server()
    for nobody in [MASTER, key(house.gate, f"robot-of-{name}")]:
        assert "this credential is nobody's" in refusal(call(house.gate, nobody, name))
    world.tollgate("user", "create", f"ghost-of-{name}", gate=house.gate, env=ENV)
    ghost = key(house.gate, f"key-of-ghost-of-{name}", f"ghost-of-{name}")
    assert f"`ghost-of-{name}` has no login at this gate" in refusal(call(house.gate, ghost, name))


# --- What is said to whoever has not connected theirs ---


def test_a_client_that_opens_addresses_is_given_one(house):
    """Before anything was connected, and after it was."""
    (name, _), ann = house.server(), house.person()
    client = Client(house.gate, f"/{name}", key=ann.key)
    assert page_of(house) in client.begin(capabilities=URLS)["instructions"]

    def asked() -> dict:
        error = client.call("whoami")["error"]
        assert error["code"] == -32042, error
        [elicitation] = error["data"]["elicitations"]
        assert (elicitation["mode"], elicitation["url"]) == ("url", page_of(house)) and elicitation["elicitationId"]
        return elicitation

    assert name in asked()["message"]
    ann.connect(name)
    assert text(client.call("whoami")) == "account-1", "the same request again"
    ann.disconnect(name)
    asked()


def test_after_an_account_was_disconnected_a_client_that_opens_addresses_is_given_one(house):
    (name, _), ann = house.server(), house.person()
    ann.connect(name)
    client, other = [Client(house.gate, f"/{name}", key=ann.key) for _ in range(2)]
    client.begin(capabilities=URLS)
    other.begin(capabilities={"elicitation": {}})
    assert text(client.call("whoami")) == "account-1"
    ann.disconnect(name)
    error = client.call("whoami")["error"]
    assert (error["code"], error["data"]["elicitations"][0]["url"]) == (-32042, page_of(house))
    assert fault(other.call("whoami"))["class"] == "not_connected", "this one opens none"
    assert page_of(house) in text(other.call("whoami"))


def test_at_the_address_of_all_servers_what_is_missing_is_said_in_instructions_and_errors(house):
    (name, _), ann = house.server(), house.newcomer()
    client = Client(house.gate, key=ann.key)
    said = client.begin()["instructions"]
    assert f"{name}: " in said and page_of(house) in said
    assert page_of(house) in client.call("whoami")["error"]["message"]
    assert page_of(house) in ask(house.gate, ann.key, "tools/call", {"name": "whoami", "arguments": {}})["error"]["message"]
    ann.connect(name)
    assert f"{name}: " not in Client(house.gate, key=ann.key).begin()["instructions"]
    assert text(client.call("whoami")) == "account-1"


# --- Disconnecting ---


def test_what_is_disconnected_is_over_at_once_and_its_tokens_are_taken_back(house):
    (name, server), ann = house.stranger(), house.person()
    ann.connect(name)
    ann.whoami(name)
    assert f"Disconnect {name}" in ann.page().page.text
    refresh = next(token for token in server.codes)
    assert "its tokens are taken back" in ann.disconnect(name).page.text
    refusal(call(house.gate, ann.key, name))
    [asked] = server.was_asked("/revoke")
    assert (asked.form["token"], asked.form["token_type_hint"]) == (refresh, "refresh_token")
    assert asked.headers["authorization"].startswith("Basic ")
    assert f"Connect {name}" in ann.page().page.text and "(for" not in ann.page().page.text
    ann.connect(name)
    assert ann.whoami(name) == "account-2"
    assert len(server.was_asked("/register")) == 1, "the gate is known there"


def test_fastmcp_too_takes_tokens_back(house):
    """Its endpoint wants `client_secret` in the form, whatever is in the header; an empty one is as if it were not there (RFC 6749 §3.2)."""
    (name, server), ann = house.server(), house.person()
    ann.connect(name)
    assert server.provider.refresh_tokens and server.provider.access_tokens
    assert "its tokens are taken back" in ann.disconnect(name).page.text
    assert not server.provider.refresh_tokens and not server.provider.access_tokens


def test_what_cannot_be_taken_back_is_disconnected_all_the_same(house):
    for answer in [(500, {}, b""), None]:
        (name, server), ann = house.stranger(), house.person()
        ann.connect(name)
        server.at["/revoke"] = (lambda asked: None) if answer is None else answer
        assert "could not be taken back" in ann.disconnect(name).page.text
        refusal(call(house.gate, ann.key, name))


# --- Tokens that end ---


def test_a_token_that_the_server_has_ended_is_renewed_again_and_again(house):
    (name, server), ann = house.server(), house.person()
    ann.connect(name)
    for times in range(4):
        assert (ann.whoami(name), server.provider.renewed) == ("account-1", times)
        server.provider.end_access()
    assert server.provider.reused == 0, "each refresh token is used once"


def test_a_token_that_was_refused_is_not_sent_again(house):
    (name, server), ann = house.stranger(), house.person()
    ann.connect(name)
    ann.whoami(name)
    [old] = server.good
    server.good.clear()
    server.asked.clear()
    for _ in range(3):
        assert ann.whoami(name) == "account-1"
    sent = [asked.token for asked in server.was_asked("/mcp") if asked.method == "POST"]
    assert (sent.count(old), len(sent), len(server.was_asked("/token"))) == (1, 4, 1)


def test_a_token_is_renewed_before_it_ends(house):
    (name, server), ann = house.server(), house.person()
    server.provider.lasts = 6
    ann.connect(name)
    first = ann.whoami(name)
    until(lambda: ann.whoami(name) == first and server.provider.renewed)
    assert server.provider.access_tokens[server.called[-1]].expires_at > time.time() + 2


def test_a_token_that_is_good_for_a_short_time_is_used_while_it_is_good(house):
    (name, server), ann = house.server(), house.person()
    server.provider.lasts = 20
    ann.connect(name)
    for _ in range(10):
        ann.whoami(name)
    assert server.provider.renewed <= 1


def test_of_many_calls_at_once_one_renews_the_token(house):
    (name, server), ann = house.server(), house.person()
    ann.connect(name)
    ann.whoami(name)
    server.provider.end_access()
    server.provider.ending = 0.3
    assert at_once(20, lambda _: ann.whoami(name)) == ["account-1"] * 20
    assert (server.provider.renewed, server.provider.reused) == (1, 0)


def test_a_refresh_token_that_stays_the_same_goes_on_being_used(house):
    (name, server), ann = house.stranger(), house.person()
    ann.connect(name)
    assert ann.whoami(name) == "account-1"
    kept = next(iter(server.codes))

    def given(asked):
        token = f"token-{next(server.people)}"
        server.good[token] = f"renewed-with-{asked.form['refresh_token']}"
        return {"access_token": token, "token_type": "bearer"}

    server.at["/token"] = given
    for _ in range(2):
        server.good.clear()
        assert ann.whoami(name) == f"renewed-with-{kept}"


def test_an_account_that_its_server_has_ended_is_said_to_be_over(house):
    (name, server), ann = house.server(), house.person()
    ann.connect(name)
    ann.whoami(name)
    server.provider.end_all()
    said = refusal(call(house.gate, ann.key, name))
    assert "has ended (invalid_grant" in said and page_of(house) in said
    [event] = events(house.gate, "account_ended", name)
    assert event["why"] == "invalid_grant"
    assert "none is connected yet" in refusal(call(house.gate, ann.key, name))
    assert len(events(house.gate, "account_ended", name)) == 1
    ann.connect(name)
    assert ann.whoami(name) == "account-2"


def test_an_account_without_a_refresh_token_ends_with_its_token(house):
    (name, server), ann = house.stranger(), house.person()
    server.more = {"refresh_token": None}
    ann.connect(name)
    assert ann.whoami(name) == "account-1"
    server.good.clear()
    said = refusal(call(house.gate, ann.key, name))
    assert "has ended" in said and page_of(house) in said
    ann.connect(name)


AWAY = {
    "busy": (503, {"retry-after": "1"}, {"error": "temporarily_unavailable"}),
    "broken": (500, {}, b"x"),
    "behind a proxy": (502, {}, {"error": "invalid_grant"}),
    "limiting": (429, {}, {"error": "slow_down"}),
    "in maintenance": (200, {"content-type": "text/html"}, b"<html>back soon</html>"),
    "gone": lambda asked: None,
}


@pytest.mark.parametrize("how", AWAY)
def test_no_account_is_lost_by_an_authorization_server_that_is(house, how):
    (name, server), ann = house.stranger(), house.person()
    ann.connect(name)
    assert ann.whoami(name) == "account-1"
    server.good.clear()
    answers, server.at["/token"] = server.at["/token"], AWAY[how]
    said = call(house.gate, ann.key, name)
    assert fault(said)["class"] == "connect" and fault(said)["retryable"] is True, said
    assert "no new token" in said["error"]["message"] and server.url in said["error"]["message"]
    assert f"Disconnect {name}" in ann.page().page.text
    server.at["/token"] = answers
    assert ann.whoami(name) == "account-1"
    assert events(house.gate, "account_ended", name) == []


def test_what_is_wrong_with_somebodys_account_is_nobody_elses_trouble(house):
    (name, server), ann, bob = house.stranger(), house.person("ann"), house.person("bob")
    ann.connect(name)
    bob.connect(name)
    hers = next(code for code, known in server.codes.items() if known["whose"] == "account-1")
    del server.good[next(token for token, whose in server.good.items() if whose == "account-1")]
    answers = server.at["/token"]
    server.at["/token"] = lambda asked: (400, {}, {"error": "unauthorized_client"}) if asked.form.get("refresh_token") == hers else answers(asked)
    for _ in range(3):
        assert "unauthorized_client" in json.dumps(call(house.gate, ann.key, name))
        assert bob.whoami(name) == "account-2"
        bob.key = key(house.gate, f"{bob.name}-{len(server.asked)}", bob.name)


@pytest.mark.parametrize("comes_to", ["a token", "invalid_grant", "nothing"])
def test_a_renewal_under_way_does_nothing_to_an_account_that_was_connected_meanwhile(house, comes_to):
    (name, server), ann, held = house.stranger(), house.person(), threading.Event()
    ann.connect(name)
    ann.whoami(name)
    answers, [old] = server.at["/token"], server.codes

    def late(asked):
        if asked.form.get("refresh_token") != old:
            return answers(asked)
        made = {"a token": answers(asked), "invalid_grant": (400, {}, {"error": "invalid_grant"}), "nothing": (503, {}, b"")}[comes_to]
        held.wait(20)
        return made

    server.at["/token"] = late
    server.good.clear()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        before = pool.submit(call, house.gate, ann.key, name)
        until(lambda: [asked for asked in server.was_asked("/token") if asked.form.get("refresh_token") == old])
        ann.disconnect(name)
        page = ann.connect(name)
        held.set()
        before.result()
    assert "It is connected." in page.page.text
    assert ann.whoami(name) == "account-2" and ann.whoami(name) == "account-2"
    assert events(house.gate, "account_ended", name) == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_session_of_one_account_is_not_gone_on_with_as_another(house, status):
    """Servers bind sessions to whoever began them (MCP, security best practices), and remember things in them."""
    (name, server), ann, mixed = house.stranger(), house.person(), []

    def bound(asked):
        said, whose, session = server.tools(asked), server.good.get(asked.token), asked.headers.get("mcp-session-id")
        if session and not session.startswith(f"{whose}-"):
            mixed.append(session)
            return status, {}, b"{}"
        begins = whose and asked.method == "POST" and json.loads(asked.body)["method"] == "initialize"
        return (200, {"mcp-session-id": f"{whose}-{len(server.asked)}"}, said) if begins else said

    server.at["/mcp"] = bound
    ann.connect(name)
    first = ann.whoami(name)
    ann.disconnect(name)
    ann.connect(name)
    assert ann.whoami(name) != first and mixed == []


# --- Who the gate is at the server ---


def test_the_gate_registers_once_for_all(house):
    (name, server), people = house.stranger(), [house.person(name) for name in ("ann", "bob", "cleo")]
    for person in people:
        person.connect(name)
    [asked] = server.was_asked("/register")
    said = json.loads(asked.body)
    assert said["redirect_uris"] == [f"{page_of(house)}/callback/{name}"]
    assert set(said["grant_types"]) == {"authorization_code", "refresh_token"} and said["response_types"] == ["code"]
    assert [person.whoami(name) for person in people] == ["account-1", "account-2", "account-3"]


def test_a_server_that_has_forgotten_the_gate_is_told_of_it_again(house):
    """Ann goes there, is told that nobody knows the gate, and begins again."""
    (name, server), ann, bob = house.server(), house.person("ann"), house.person("bob")
    bob.connect(name)
    server.provider.clients.clear()
    location = begin(ann.browser, house.gate, name)
    if query(location)["client_id"] not in server.provider.clients:
        location = begin(ann.browser, house.gate, name)
    assert query(location)["client_id"] in server.provider.clients
    assert "It is connected." in brought_back(ann.browser, location).page.text


def test_a_gate_that_was_forgotten_while_somebody_was_asked_registers_anew(house):
    (name, server), ann = house.stranger(), house.person()
    answers = server.at["/token"]
    server.at["/token"] = (401, {}, {"error": "invalid_client"})
    assert "nothing was connected: invalid_client" in ann.connect(name).page.text
    server.at["/token"] = answers
    assert "It is connected." in ann.connect(name).page.text
    assert len(server.was_asked("/register")) == 2


def test_the_gate_is_who_the_configuration_says(house):
    ann = house.newcomer()
    sent = {
        "basic": {"token_endpoint_auth_methods_supported": ["client_secret_basic"]},
        "post": {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
        "public": {"token_endpoint_auth_methods_supported": ["none"]},
    }
    for name, methods in sent.items():
        server = house.servers[name]
        server.metadata.update(methods)
        asked = query(begin(ann.browser, house.gate, name))
        assert asked["client_id"] == ("a-public-gate" if name == "public" else "a gate")
        assert asked.get("scope") == (None if name == "public" else "read write")
        assert "It is connected." in ann.connect(name).page.text
        server.good.clear()
        assert ann.whoami(name) == "account-1"
        assert server.was_asked("/register") == []
    # RFC 6749 §2.3.1: encoded as in a form.
    basic, post, public = [house.servers[name].was_asked("/token") for name in sent]
    assert {asked.headers["authorization"] for asked in basic} == {"Basic YStnYXRlOmElMkZzZWNyZXQlM0ExMDAlMjU="} and len(basic) == 2
    assert all("client_secret" not in asked.form for asked in basic + public)
    assert {(asked.form["client_id"], asked.form["client_secret"]) for asked in post} == {("a gate", "a/secret:100%")}
    assert all("authorization" not in asked.headers for asked in post + public)
    assert {asked.form["client_id"] for asked in public} == {"a-public-gate"}


def test_the_authorization_server_is_the_one_of_the_configuration(house):
    ann, server = house.person(), house.servers["elsewhere"]
    location = begin(ann.browser, house.gate, "elsewhere")
    assert location.startswith(f"{house.issuer.url}/authorize?") and query(location)["resource"] == f"{server.url}/mcp"
    server.good = house.issuer.good
    assert "It is connected." in brought_back(ann.browser, location).page.text
    assert ann.whoami("elsewhere") == "account-1"
    assert not server.was_asked(SERVER) and not server.was_asked("/token")


def test_the_gate_says_in_public_who_it_is(house):
    at = f"{page_of(house)}/client.json"
    said = json.loads(world.get(at)[1])
    assert said["client_id"] == at and f"{page_of(house)}/callback/basic" in said["redirect_uris"]
    assert said["token_endpoint_auth_method"] == "none" and "client_secret" not in said


def test_a_gate_with_tls_is_known_by_the_address_of_that_document(own_gate):
    server = Stranger()
    server.metadata["client_id_metadata_document_supported"] = True
    gate_ = gate(own_gate, notes(server.url))
    config = gate_.config.read_text().replace(f"url: http://localhost:{gate_.port}", "url: https://gate.example.com")
    gate_.stop()
    gate_ = own_gate("--port", str(gate_.port), config=config)
    gate_.issuer = "https://gate.example.com"
    browser = _Tls(gate_)
    link = json.loads(world.tollgate("user", "invite", "ann", "--json", gate=gate_, env=ENV))["link"]
    password = {"password": sign_in_world.PASSWORD, "again": sign_in_world.PASSWORD}
    browser.submit(browser.submit(browser.open(link), **password), button="skip")
    asked = query(begin(browser, gate_))
    assert asked["client_id"] == "https://gate.example.com/oauth/connections/client.json"
    assert asked["redirect_uri"] == "https://gate.example.com/oauth/connections/callback/notes"
    assert server.was_asked("/register") == []
    server.stop()


class _Tls(sign_in_world.Browser):
    """A browser that reaches the gate through a proxy that speaks TLS."""

    def __init__(self, gate_):
        super().__init__(gate_)
        self.headers = {"host": "gate.example.com"}

    def follow(self, answer):
        location = answer.headers.get("location", "")
        if answer.status == 303 and location.startswith(("/", "https://gate.example.com")):
            return self.follow(self.send("GET", location))
        return location if answer.status == 303 else answer


# --- How servers say where tokens come from ---


def moved(server: Stranger, to: str, issuer: str | None = None):
    """The metadata of the authorization server is elsewhere."""
    server.at.pop(SERVER, None)
    server.at[to] = metadata(issuer or server.url, **{key: server.metadata[key] for key in server.metadata if key.endswith("_endpoint")})
    server.resource["authorization_servers"] = [issuer or server.url]


def unusual(server: Stranger):
    server.at["/meta/of-tools.json"] = server.at.pop(f"{RESOURCE}/mcp")
    server.challenge = f'Bearer error="invalid_token", resource_metadata="{server.url}/meta/of-tools.json"'


def second_challenge(server: Stranger):
    unusual(server)
    server.challenge = ['Basic realm="tools"', server.challenge]


def well_known(server: Stranger):
    server.challenge = "Bearer"


def root(server: Stranger):
    server.at[RESOURCE] = {**server.at.pop(f"{RESOURCE}/mcp"), "resource": server.url}
    server.challenge = 'Bearer realm="tools"'


def no_resource(server: Stranger):
    """As servers of 2025-03-26."""
    del server.at[f"{RESOURCE}/mcp"]
    server.challenge = "Bearer"


def no_challenge(server: Stranger):
    tools_ = server.at["/mcp"]
    server.at["/mcp"] = lambda asked: tools_(asked) if asked.token in server.good else (403, {}, b"no")


DISCOVERIES = {
    "metadata at an unusual path": unusual,
    "a challenge after another": second_challenge,
    "metadata at the well-known path of the server": well_known,
    "metadata of the whole host": root,
    "no metadata of the resource": no_resource,
    "no challenge": no_challenge,
    "metadata as OpenID Connect has it": lambda server: moved(server, "/.well-known/openid-configuration"),
    "an authorization server with a path": lambda server: moved(server, f"{SERVER}/tenant/a", f"{server.url}/tenant/a"),
    "the same as OpenID Connect has it": lambda server: moved(server, "/tenant/a/.well-known/openid-configuration", f"{server.url}/tenant/a"),
    "the same as MCP has it": lambda server: moved(server, "/.well-known/openid-configuration/tenant/a", f"{server.url}/tenant/a/"),
    "a slash after the issuer": lambda server: server.metadata.update(issuer=f"{server.url}/"),
    "more than one authorization server": lambda server: server.resource["authorization_servers"].append("https://login.example.com"),
}


@pytest.mark.parametrize("how", DISCOVERIES)
def test_a_server_is_found_out_that_has(house, how):
    (name, server), ann = house.stranger(), house.person()
    DISCOVERIES[how](server)
    page = ann.connect(name)
    assert "It is connected." in page.page.text, page.page.text
    assert ann.whoami(name) == "account-1"
    [asked] = server.was_asked("/authorize")
    assert asked.query["resource"] in (f"{server.url}/mcp", server.url)
    assert asked.query["code_challenge_method"] == "S256" and len(asked.query["code_challenge"]) == 43
    assert asked.query["redirect_uri"] == f"{page_of(house)}/callback/{name}"


def test_what_is_asked_for_is_what_the_challenge_says_or_else_the_metadata(house):
    for challenge, scopes, expected in [(', scope="one two"', ["all", "of"], "one two"), ("", ["all", "of"], "all of"), ("", [], None)]:
        (name, server), ann = house.stranger(), house.person()
        server.resource["scopes_supported"] = scopes
        server.challenge += challenge
        assert query(begin(ann.browser, house.gate, name)).get("scope") == expected
        page = ann.connect(name)
        assert "It is connected." in page.page.text and (expected is None or expected in page.page.text), "what was asked for is what it may"


# --- Several gates, and one that begins again ---


def test_two_gates_share_accounts_and_renew_a_token_once(own_gate, postgres):
    server = Server()
    extra = f"tool_servers:\n{notes(server.url)}database_url: {postgres.database()}\n"
    first = sign_in_world.gate(own_gate, extra=f"\n{extra}")
    other = world.free_port()
    config = first.config.read_text()
    second = own_gate("--port", str(other), config=config)
    ann = Person(first, "ann")
    ann.connect("notes")
    until(lambda: "account-1" in json.dumps(call(second, ann.key, "notes")))
    assert whoami(first, ann.key, "notes") == "account-1"
    server.provider.ending = 0.3
    server.provider.end_access()
    assert at_once(20, lambda at: whoami([first, second][at % 2], ann.key, "notes")) == ["account-1"] * 20
    assert (server.provider.renewed, server.provider.reused) == (1, 0)
    ann.disconnect("notes")
    refusal(call(first, ann.key, "notes"))
    until(lambda: call(second, ann.key, "notes")["result"]["isError"], 6)
    refusal(call(second, ann.key, "notes"))
    server.stop()


def test_a_gate_that_begins_again_has_its_accounts_and_one_with_another_key_has_not(own_gate):
    server = Server()
    gate_ = gate(own_gate, notes(server.url))
    ann, port = Person(gate_, "ann"), str(gate_.port)
    ann.connect("notes")
    assert gate_.stop() == 0
    config = gate_.config.read_text()
    again = own_gate("--port", port, config=config, folder=str(gate_.folder))
    assert whoami(again, ann.key, "notes") == "account-1" and server.provider.renewed == 0
    assert again.stop() == 0
    other = own_gate("--port", port, config=config.replace("0123456789abcdef", "fedcba9876543210"), folder=str(gate_.folder))
    assert "none is connected yet" in refusal(call(other, ann.key, "notes"))
    server.stop()


# --- Tokens that say for whom the gate asks ---


class Verifying(Server):
    """A tool server that takes the gate's own tokens."""

    def __init__(self, issuer: str):
        super().__init__(lambda url: JWTVerifier(jwks_uri=f"{issuer}/oauth/keys", issuer=issuer, audience=f"{url}/mcp"))


@pytest.fixture(scope="module")
def exchanging():
    """A gate before a server that takes its tokens, one that takes those of another, which exchanges them, and one with an account for all."""
    port, exchange = world.free_port(), Stranger()
    server = Verifying(f"http://localhost:{port}")
    swapped = 'exchange: { token_url: "%s/swap", client_id: "a gate", client_secret: "a/secret:100%%", scope: "read", resource: "urn:tools" }'
    own = {"own": (server, 'exchange: { scope: "read" }'), "swap": (exchange, swapped % exchange.url), "team": (Server(), "account: { of: gate }")}
    made = House(own=own, port=port)
    made.own, made.exchange = server, exchange
    exchange.at["/swap"] = made.swap = lambda asked: swap(exchange, asked)
    yield made
    made.stop()


def swap(server: Stranger, asked):
    """Another token for the same person (RFC 8693 §2.2)."""
    given = f"swapped-{next(server.people)}"
    server.good[given] = claims(asked.form["subject_token"])["preferred_username"]
    return {"access_token": given, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": 600}


def verified(house, token: str, audience: str) -> dict:
    """What a token says that a library finds good with the keys that the gate publishes."""
    keys = KeySet.import_key_set(json.loads(world.get(f"{house.gate.issuer}/oauth/keys")[1]))
    read = jwt.decode(token, keys, algorithms=["RS256"])
    must = {name: {"essential": True} for name in ("sub", "exp", "iat", "jti")}
    jwt.JWTClaimsRegistry(iss={"essential": True, "value": house.gate.issuer}, aud={"essential": True, "value": audience}, **must).validate(read.claims)
    assert read.header["typ"] == "at+jwt" and 0 < read.claims["exp"] - read.claims["iat"] <= 300
    return read.claims


def subject(house, person: Person) -> str:
    shown = world.get(f"{house.gate.url}/api/v1/users/{person.name}/login", {"authorization": f"Bearer {MASTER}"})[1]
    return json.loads(shown)["subject"]


def test_a_server_is_told_for_whom_it_is_asked_and_by_whom(exchanging):
    house, ann = exchanging, exchanging.person("ann")
    assert tools(house.gate, ann.key, "own") == ["whoami"]
    ann.whoami("own")
    said = verified(house, house.own.called[-1], f"{house.own.url}/mcp")
    assert (said["sub"], said["preferred_username"], said["scope"]) == (subject(house, ann), ann.name, "read")
    assert said["act"] == {"sub": f"key/{ann.name}-laptop"}
    whoami(house.gate, token(house, ann), "own")
    said = verified(house, house.own.called[-1], f"{house.own.url}/mcp")
    assert said["sub"] == subject(house, ann) and "act" not in said, "she asks herself"


def test_an_agent_that_acts_for_somebody_is_said_to(exchanging):
    house, ann = exchanging, exchanging.person("ann")
    front = sign_in_world.Client(house.gate, "front", "a-secret-of-the-front", redirect_uri="https://front.example.com/callback")
    planner = sign_in_world.Client(house.gate, "planner", "a-secret-of-the-planner")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": front.tokens(ann.browser)["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "resource": f"{house.gate.issuer}/mcp",
    }
    whoami(house.gate, planner.post("token", form)["access_token"], "own")
    said = verified(house, house.own.called[-1], f"{house.own.url}/mcp")
    assert (said["sub"], said["act"]) == (subject(house, ann), {"sub": "agent/tollgate/planner"})


def test_a_token_is_used_again_by_whom_it_is_for(exchanging):
    house, ann, bob = exchanging, exchanging.newcomer("ann"), exchanging.newcomer("bob")
    keys = [ann.key, key(house.gate, f"{ann.name}-phone", ann.name), bob.key]
    sent = []
    for one in keys * 2:
        whoami(house.gate, one, "own")
        sent.append(house.own.called[-1])
    assert sent[:3] == sent[3:] and len(set(sent)) == 3
    assert len({claims(token)["jti"] for token in sent}) == 3


def test_whoever_speaks_for_nobody_has_no_token_to_be_exchanged(exchanging):
    for nobody in [MASTER, key(exchanging.gate, "a-robot")]:
        assert "this credential is nobody's" in refusal(call(exchanging.gate, nobody, "own"))
    assert "own" not in exchanging.person().page().page.text, "there is nothing to connect"


def test_tokens_are_exchanged_where_the_configuration_says(exchanging):
    house, server, ann = exchanging, exchanging.exchange, exchanging.newcomer("ann")
    known = len(server.was_asked("/swap"))
    assert ann.whoami("swap") == ann.name == ann.whoami("swap")
    # The gate lists for the person, and the key calls for them.
    *_, asked = server.was_asked("/swap")
    assert len(server.was_asked("/swap")) - known <= 2
    assert asked.headers["authorization"] == "Basic YStnYXRlOmElMkZzZWNyZXQlM0ExMDAlMjU=" and "client_secret" not in asked.form
    kind = "urn:ietf:params:oauth:token-type:access_token"
    assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert (asked.form["subject_token_type"], asked.form["scope"], asked.form["resource"]) == (kind, "read", "urn:tools")
    said = verified(house, asked.form["subject_token"], f"{server.url}/swap")
    assert (said["sub"], said["act"]) == (subject(house, ann), {"sub": f"key/{ann.name}-laptop"})
    server.good.clear()
    assert ann.whoami("swap") == ann.name, "one that is refused is got anew"


def test_who_gets_no_token_in_exchange_is_told_why(exchanging):
    server, ann = exchanging.exchange, exchanging.newcomer("ann")
    try:
        server.at["/swap"] = (400, {}, {"error": "access_denied", "error_description": "not on the list"})
        assert "access_denied: not on the list" in refusal(call(exchanging.gate, ann.key, "swap"))
        server.at["/swap"] = (503, {}, b"")
        said = call(exchanging.gate, ann.key, "swap")
        assert fault(said)["retryable"] is True and "503" in json.dumps(said)
    finally:
        server.at["/swap"] = exchanging.swap
    assert until(lambda: "result" in (said := call(exchanging.gate, ann.key, "swap")) and text(said)) == ann.name


# --- An account for all ---


def test_an_account_for_all_is_connected_by_an_admin(exchanging):
    house = exchanging
    ann, bob, robot = house.newcomer("ann", "platform"), house.newcomer("bob"), key(house.gate, "robot-of-the-team")
    assert "Connect team" in ann.page().page.text and "(for everybody)" in ann.page().page.text
    assert "Connect team" not in bob.page().page.text
    assert page_of(exchanging) in refusal(call(house.gate, robot, "team"))
    ann.connect("team")
    assert {whoami(house.gate, one, "team") for one in [ann.key, bob.key, robot, MASTER]} == {"account-1"}
    assert events(house.gate, "account_connected", "team")[0]["for_all"] is True
    assert "is disconnected" in ann.disconnect("team").page.text
    refusal(call(house.gate, robot, "team"))


# --- What is recorded, and what is kept ---


def test_the_journal_says_who_has_connected_what(house):
    (name, server), ann = house.stranger(), house.person()
    server.resource["scopes_supported"] = ["notes"]
    ann.connect(name)
    ann.disconnect(name)
    by = {"sub": {"kind": "user", "id": ann.name}}
    [connected] = events(house.gate, "account_connected", name)
    assert connected == {"by": by, "server": name, "issuer": server.url, "scope": "notes", "for_all": False}
    [disconnected] = events(house.gate, "account_disconnected", name)
    assert (disconnected["by"], disconnected["server"]) == (by, name)


def test_nothing_that_opens_anything_is_in_logs_records_or_the_database(house):
    (name, server), ann = house.stranger(), house.person()
    location = account_world.sent_back(begin(ann.browser, house.gate, name))
    ann.browser.open(location)
    ann.whoami(name)
    first = list(server.good)
    server.good.clear()
    ann.whoami(name)
    asked = [one.form for one in server.was_asked("/token")]
    assert len(asked) == 2
    secret = [*first, "a-secret-of-a-gate", "a/secret:100%", query(location)["state"], asked[0]["code"], asked[0]["code_verifier"]]
    secret += [asked[1]["refresh_token"], *server.good, *server.codes]
    data = house.gate.folder / "data"
    kept = house.gate.log.read_text() + world.journal(data)
    stored = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    for open_sesame in secret:
        assert open_sesame not in kept
        assert open_sesame.encode() not in stored


def test_whoever_has_no_account_elsewhere_sees_that_there_is_nothing_to_connect(own_gate, house):
    bare = Person(sign_in_world.gate(own_gate), "ann")
    assert "No tool server here wants an account." in bare.page().page.text
    assert "/oauth/connections" not in bare.browser.open(f"{bare.gate.issuer}/oauth/account").body.decode()
    ann = house.person()
    assert "/oauth/connections" in ann.browser.open(f"{house.gate.issuer}/oauth/account").body.decode()
    stranger = sign_in_world.Browser(house.gate)
    assert "Connected tools" in stranger.sign_in(stranger.open(page_of(house)), ann.name).page.text, "to where they wanted"


# --- The configuration ---


@pytest.mark.parametrize(
    ("server", "auth", "more", "why"),
    [
        ("none", "account: {}", "", "identity.server"),
        ("none", "exchange: {}", "", "identity.server"),
        ("none", "account: { of: gate }", "", "identity.server"),
        ("some", "account: {}", ", shared: true", "shared"),
        ("some", "exchange: {}", ", shared: true", "shared"),
        ("some", "account: { client_secret: a-secret-of-a-gate }", "", "client_id"),
        ("some", "account: { client_id: a-gate, client_secret: a-secret-of-a-gate }", "", "issuer"),
        ("some", "exchange: { resource: 'http://localhost:1/mcp' }", "", "would open the gate itself"),
        ("some", "exchange: { resource: planner }", "", "a client of it"),
        ("some", 'exchange: { token_url: "https://a.example/token" }', "", "client_id"),
        ("some", "exchange: { client_id: a-gate, client_secret: a-secret-of-a-gate }", "", "token_url"),
        ("some", 'account: { issuer: "a.example" }', "", "https://"),
        ("some", "account: { of: nobody }", "", "nobody"),
        ("some", "account: { scopes: x }", "", "scopes"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(tmp_path, server, auth, more, why):
    config = sign_in_world.CONFIG.format(port=1, server="", clients="", path="/", issuer="") if server == "some" else "master_key: sk-master\n"
    file = tmp_path / "config.yaml"
    file.write_text(f"{config}\ntool_servers:\n{notes('https://tools.example.com', auth, more=more)}")
    said = world.tollgate("check", file, status=1)
    assert why in said and "notes" in said, said


def test_a_configuration_that_works_is_not_refused(tmp_path):
    config = sign_in_world.CONFIG.format(port=1, server="", clients="", path="/", issuer="")
    servers = "".join(notes("https://tools.example.com", auth, name) for name, auth in [("a", "account: { of: gate }"), ("b", BASIC % "https://login.example.com"), ("c", "exchange: {}")])
    file = tmp_path / "config.yaml"
    file.write_text(f"{config}\ntool_servers:\n{servers}{notes('https://tools.example.com', 'account: { of: gate }', 'd', ', shared: true')}")
    world.tollgate("check", file)
