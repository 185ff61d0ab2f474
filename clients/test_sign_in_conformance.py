"""The OpenID Foundation's conformance suite, done over: each test is called like the module of the suite whose demands it makes."""

import base64
import collections
import hashlib
import json
import math
import secrets
import types
import urllib.parse

import pytest
import world
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from sign_in_world import APPLICATION_SECRET, BACK, Browser, Client, Person, claims, gate, invite

ANN = "ann@example.com"
BYE = "https://party.example.com/bye"

CLIENTS = """
      party:
        secret: "a secret: of +the%20party&=/"
        pkce: false
        redirect_uris: ["https://party.example.com/cb"]
        post_logout_redirect_uris: ["https://party.example.com/bye"]
      second: { secret: a-secret-of-the-second, pkce: false, redirect_uris: ["https://second.example.com/cb"] }
"""

# Secrets and addresses of clients, by their ids, and whether they send a challenge.
PARTIES = {
    "party": ("a secret: of +the%20party&=/", "https://party.example.com/cb", False),
    "second": ("a-secret-of-the-second", "https://second.example.com/cb", False),
    "app": (APPLICATION_SECRET, BACK, True),
    "front": ("a-secret-of-the-front", "https://front.example.com/callback", True),
}


@pytest.fixture(scope="module")
def house():
    made = gate(world.Gate, clients=CLIENTS)
    made.ann = Person(made, ANN)
    made.ann.browser = invite(made, ANN, "platform")
    made.metadata = json.loads(world.get(f"{made.issuer}/.well-known/openid-configuration")[1])
    yield made
    assert made.stop() == 0


def unsigned(header: dict, payload: dict) -> str:
    """A JWT that nobody has signed."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, payload)]
    return f"{parts[0]}.{parts[1]}."


def entropy(text: str) -> float:
    """How many bits a text has, as the suite estimates it."""
    return sum(-count * math.log2(count / len(text)) for count in collections.Counter(text).values())


def bearer(token: str) -> dict:
    return {"authorization": f"Bearer {token}"}


class Party(Client):
    """A client as the suite is one: its secret is in a header, and it checks whatever it is told."""

    def __init__(self, house, client_id: str = "party", pkce: bool | None = None):
        secret, back, challenges = PARTIES[client_id]
        super().__init__(house, client_id, secret, back)
        self.pkce = challenges if pkce is None else pkce
        self.state, self.nonce = secrets.token_urlsafe(96), secrets.token_urlsafe(16)

    def url(self, **more) -> str:
        without = {} if self.pkce else {"code_challenge": None, "code_challenge_method": None}
        return super().url(**{"scope": "openid", "state": self.state, "nonce": self.nonce, **without, **more})

    def back(self, location: str) -> dict:
        found = super().back(location)
        assert not urllib.parse.urlsplit(location).fragment
        assert set(found) in ({"code", "state", "iss"}, {"error", "error_description", "state", "iss"}), found
        assert found["state"] == self.state
        assert all(" " <= c <= "~" and c not in '"\\' for c in found.get("error_description", "")), found
        return found

    def error(self, location: str) -> str:
        return self.back(location)["error"]

    def post(self, what: str, form: dict, status: int = 200) -> dict:
        pair = f"{urllib.parse.quote_plus(self.id)}:{urllib.parse.quote_plus(self.secret)}"
        form = {name: value for name, value in form.items() if value is not None}
        answer = Browser(self.gate).send(
            "POST", f"{self.gate.issuer}/oauth/{what}", form, {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        )
        assert answer.status == status, (answer.status, answer.body)
        assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
        return answer.json()

    def redeem(self, code: str, status: int = 200, **more) -> dict:
        return super().redeem(code, status, **({} if self.pkce else {"code_verifier": None}), **more)

    def flow(self, person: Person, **more) -> types.SimpleNamespace:
        """From the request to the tokens, and what the ID token says."""
        tokens = self.redeem(self.back(person.opens(self.url(**more)))["code"])
        assert tokens["token_type"] == "Bearer" and 0 < tokens["expires_in"] <= 3600
        nonce = None if "nonce" in more and more["nonce"] is None else more.get("nonce", self.nonce)
        return types.SimpleNamespace(said=verified(self.gate, self.id, tokens["id_token"], nonce), **tokens)


def verified(house, client_id: str, token: str, nonce: str | None) -> dict:
    """What an ID token says whose signature and claims a library finds good."""
    keys = KeySet.import_key_set(json.loads(world.get(house.metadata["jwks_uri"])[1]))
    read = jwt.decode(token, keys, algorithms=["RS256"])
    assert read.header["alg"] == "RS256" and read.header["kid"] in [key.kid for key in keys]
    must = {name: {"essential": True} for name in ("sub", "exp", "iat")}
    jwt.JWTClaimsRegistry(iss={"essential": True, "value": house.issuer}, aud={"essential": True, "value": client_id}, **must).validate(read.claims)
    assert read.claims.get("nonce") == nonce and 0 < len(read.claims["sub"]) <= 255
    return read.claims


def userinfo(house, flow, status: int = 200, **headers) -> dict:
    answer = Browser(house).send("GET", house.metadata["userinfo_endpoint"], headers=headers or bearer(flow.access_token))
    assert answer.status == status, answer.body
    return checked(answer, flow) if status == 200 else answer.json()


def checked(answer, flow) -> dict:
    """The user information, which is of whom the ID token is of."""
    assert answer.status == 200 and answer.headers["content-type"] == "application/json", answer.body
    said = answer.json()
    assert said["sub"] == flow.said["sub"] and "nonce" not in said
    return said


def is_refused_on_a_page(answer, why: str):
    """The browser is sent nowhere."""
    assert not isinstance(answer, str) and answer.status == 400 and "location" not in answer.headers, answer
    assert why in answer.page.text, answer.page.text


# oidcc-config-certification-test-plan


def test_oidcc_discovery_endpoint_verification(house):
    answer = Browser(house).send("GET", f"{house.issuer}/.well-known/openid-configuration")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said["issuer"] == house.issuer
    for name, value in said.items():
        if name.endswith("_supported") and not isinstance(value, bool):
            assert value and all(isinstance(one, str) for one in value), name
        # The original wants `https`: a gate has that anywhere but on the machine that it is tried on.
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith(f"{house.issuer}/"), name
    assert {"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "registration_endpoint", "jwks_uri"} <= set(said)
    # With clients that register the original wants the implicit and the hybrid flow, too. OAuth 2.1 has neither.
    assert said["response_types_supported"] == ["code"] and said["subject_types_supported"] == ["public"]
    assert "RS256" in said["id_token_signing_alg_values_supported"] and "none" not in said["id_token_signing_alg_values_supported"]
    assert {"authorization_code", "refresh_token"} <= set(said["grant_types_supported"])
    assert "openid" in said["scopes_supported"] and {"sub", "name", "email"} <= set(said["claims_supported"])
    assert said["claims_parameter_supported"] is said["request_parameter_supported"] is said["request_uri_parameter_supported"] is False
    assert said["code_challenge_methods_supported"] == ["S256"]
    keys = json.loads(world.get(said["jwks_uri"])[1])["keys"]
    assert len({key["kid"] for key in keys}) == len(keys) >= 1
    for key in keys:
        assert (key["kty"], key["alg"], key["use"]) == ("RSA", "RS256", "sig") and not set(key) & {"d", "p", "q", "dp", "dq", "qi", "k"}
        assert RSAKey.import_key(key).raw_value.key_size >= 2048


# oidcc-basic-certification-test-plan


def test_oidcc_server(house):
    party = Party(house)
    found = party.back(house.ann.opens(party.url()))
    assert len(found["code"]) >= 16 and entropy(found["code"]) >= 96
    flow = party.flow(house.ann)
    standard = {"iss", "sub", "aud", "azp", "iat", "exp", "auth_time", "amr", "nonce"}
    assert set(flow.said) == standard, "what was not asked for is not said"
    half = hashlib.sha256(flow.access_token.encode()).digest()[:16]
    assert flow.said.get("at_hash") in (None, base64.urlsafe_b64encode(half).decode().rstrip("="))
    assert userinfo(house, flow) == {"sub": flow.said["sub"]}


def test_oidcc_response_type_missing(house):
    party = Party(house)
    assert party.error(house.ann.opens(party.url(response_type=None))) == "invalid_request"


def test_oidcc_idtoken_signature(house):
    client = registered(house)
    verified(house, client.id, client.redeem(client.back(house.ann.opens(client.url(scope="openid")))["code"])["id_token"], None)


def test_oidcc_idtoken_unsigned(house):
    # The original is left out where `none` is not in the metadata. Whoever asks for it is told that they get another one.
    made = registers(house, redirect_uris=[BACK], id_token_signed_response_alg="none")
    assert made["id_token_signed_response_alg"] == "RS256"


def test_oidcc_userinfo_get(house):
    flow = Party(house).flow(house.ann)
    userinfo(house, flow)
    assert userinfo(house, flow, 401, authorization="Bearer x")["error"] == "invalid_token"


def test_oidcc_userinfo_post_header(house):
    flow = Party(house).flow(house.ann)
    for form in (None, {}):
        checked(Browser(house).send("POST", house.metadata["userinfo_endpoint"], form, bearer(flow.access_token)), flow)


def test_oidcc_userinfo_post_body(house):
    flow = Party(house).flow(house.ann)
    checked(Browser(house).send("POST", house.metadata["userinfo_endpoint"], {"access_token": flow.access_token}), flow)


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(house):
    assert "nonce" not in Party(house).flow(house.ann, nonce=None).said


def test_oidcc_scope_profile(house):
    flow = Party(house).flow(house.ann, scope="openid profile")
    said = userinfo(house, flow)
    assert set(said) == {"sub", "name", "preferred_username", "updated_at"} and said["preferred_username"] == ANN
    assert type(said["updated_at"]) is type(flow.said["updated_at"]) is int


def test_oidcc_scope_email(house):
    said = userinfo(house, Party(house).flow(house.ann, scope="openid email"))
    assert set(said) == {"sub", "email", "email_verified"} and said["email"] == ANN and said["email_verified"] is True


def is_as_if_it_were_not_asked_for(house, scope: str):
    # The original is left out where the metadata does not have the scope. What is not known is ignored (OpenID Connect Core §3.1.2.1).
    assert scope not in house.metadata["scopes_supported"]
    flow = Party(house).flow(house.ann, scope=f"openid {scope}")
    assert flow.scope == "openid" and set(userinfo(house, flow)) == {"sub"}


def test_oidcc_scope_address(house):
    is_as_if_it_were_not_asked_for(house, "address")


def test_oidcc_scope_phone(house):
    is_as_if_it_were_not_asked_for(house, "phone")


def test_oidcc_scope_all(house):
    flow = Party(house).flow(house.ann, scope="openid email phone address profile")
    assert flow.scope.split() == ["openid", "email", "profile"]
    assert set(userinfo(house, flow)) == {"sub", "name", "preferred_username", "updated_at", "email", "email_verified"}


def test_oidcc_alternate_happy_flow(house):
    party = Party(house)
    address, query = party.url(scope="email openid").split("?")
    tokens = party.redeem(party.back(house.ann.opens(f"{address}?{'&'.join(reversed(query.split('&')))}"))["code"])
    assert verified(house, party.id, tokens["id_token"], party.nonce)["email"] == ANN


def is_displayed(house, display: str):
    browser, party = Browser(house), Party(house)
    assert "code" in party.back(browser.sign_in(browser.open(party.url(display=display)), ANN))


def test_oidcc_display_page(house):
    is_displayed(house, "page")


def test_oidcc_display_popup(house):
    is_displayed(house, "popup")


def test_oidcc_prompt_login(house):
    person, party = Person(house, ANN), Party(house)
    first = party.flow(person)
    again = person.browser.open(party.url(prompt="login"))
    second = party.redeem(party.back(person.browser.sign_in(again, ANN))["code"])
    said = verified(house, party.id, second["id_token"], party.nonce)
    assert said["sub"] == first.said["sub"] and said["auth_time"] >= first.said["auth_time"]
    # The original waits for a second; access tokens say it in milliseconds, too.
    assert claims(second["access_token"])["auth_time_ms"] > claims(first.access_token)["auth_time_ms"]


def test_oidcc_prompt_none_not_logged_in(house):
    party = Party(house)
    assert len(party.state) == 128
    assert party.error(Browser(house).open(party.url(prompt="none"))) == "login_required"


def is_the_same_sign_in(house, first: dict, **second):
    """Nobody is asked a second time."""
    person, party = Person(house, ANN), Party(house)
    before = party.flow(person, **first)
    more = {name: value(before) if callable(value) else value for name, value in second.items()}
    tokens = party.redeem(party.back(person.browser.open(party.url(**more)))["code"])
    said = verified(house, party.id, tokens["id_token"], party.nonce)
    assert (said["sub"], said["auth_time"]) == (before.said["sub"], before.said["auth_time"])


def test_oidcc_prompt_none_logged_in(house):
    is_the_same_sign_in(house, {}, prompt="none")


def test_oidcc_max_age_1(house):
    person, party = Person(house, ANN), Party(house)
    first = party.flow(person)

    def asks():
        answer = person.browser.open(party.url(max_age=1))
        return None if isinstance(answer, str) else answer

    again = world.wait_for(asks, "a sign-in of more than a second ago", house.process)
    second = party.redeem(party.back(person.browser.sign_in(again, ANN))["code"])
    said = verified(house, party.id, second["id_token"], party.nonce)
    assert said["auth_time"] > first.said["auth_time"] and 0 <= said["iat"] - said["auth_time"] <= 60


def test_oidcc_max_age_10000(house):
    is_the_same_sign_in(house, {"max_age": 15000}, max_age=10000)


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(house):
    Party(house).flow(house.ann, extra="foobar")


def test_oidcc_id_token_hint(house):
    is_the_same_sign_in(house, {}, prompt="none", id_token_hint=lambda before: before.id_token)


def test_oidcc_login_hint(house):
    browser, party = Browser(house), Party(house)
    page = browser.open(party.url(login_hint=ANN))
    assert page.page.form()["fields"]["username"] == ANN
    assert "code" in party.back(browser.sign_in(page, ANN))


def test_oidcc_ui_locales(house):
    assert "Password" in Browser(house).open(Party(house).url(ui_locales="se")).page.text
    Party(house).flow(house.ann, ui_locales="se")


def test_oidcc_claims_locales(house):
    Party(house).flow(house.ann, claims_locales="se")


def test_oidcc_ensure_request_with_acr_values_succeeds(house):
    Party(house).flow(house.ann, acr_values="1 2")


def is_used_twice(house, party: Party):
    code = party.back(house.ann.opens(party.url()))["code"]
    tokens = party.redeem(code)
    flow = types.SimpleNamespace(said=claims(tokens["id_token"]), **tokens)
    userinfo(house, flow)
    assert party.redeem(code, 400)["error"] == "invalid_grant"
    return flow


def test_oidcc_codereuse(house):
    is_used_twice(house, Party(house))


def test_oidcc_codereuse_30seconds(house):
    # Not after thirty seconds: however late it is, the tokens that came of it have ended.
    userinfo(house, is_used_twice(house, Party(house)), 401)


def test_oidcc_ensure_registered_redirect_uri(house):
    party = Party(house)
    answer = house.ann.browser.open(party.url(redirect_uri=f"{party.redirect_uri}/{secrets.token_urlsafe(8)}"))
    is_refused_on_a_page(answer, "not one of its own")


def test_oidcc_ensure_post_request_succeeds(house):
    browser, party = Browser(house), Party(house)
    address, query = party.url().split("?")
    page = browser.follow(browser.send("POST", address, dict(urllib.parse.parse_qsl(query))))
    code = party.back(browser.sign_in(page, ANN))["code"]
    verified(house, party.id, party.redeem(code)["id_token"], party.nonce)


def test_oidcc_server_client_secret_post(house):
    party = Party(house)
    code = party.back(house.ann.opens(party.url()))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": party.redirect_uri}
    verified(house, party.id, Client.post(party, "token", form)["id_token"], party.nonce)


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(house):
    party = Party(house)
    answer = house.ann.opens(party.url(request_uri="https://party.example.com/request.jwt"))
    assert party.error(answer) == "request_uri_not_supported"


def request_object(party: Party) -> str:
    said = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(party.url()).query))
    return unsigned({"alg": "none"}, said)


def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(house):
    party = Party(house)
    assert party.error(house.ann.opens(party.url(request=request_object(party)))) == "request_not_supported"
    # The original puts into the address what must be there, and nothing else.
    bare = Client.back(party, house.ann.opens(party.url(request=request_object(party), redirect_uri=None, state=None, nonce=None)))
    assert bare["error"] == "request_not_supported" and "state" not in bare


def test_oidcc_claims_essential(house):
    wanted = json.dumps({"userinfo": {"name": {"essential": True}}})
    flow = Party(house).flow(house.ann, claims=wanted)
    # It must not fail. That there is no name is a warning of the original; the metadata says that this parameter is not known.
    assert "name" not in flow.said and "name" not in userinfo(house, flow)


def test_oidcc_ensure_request_object_with_redirect_uri(house):
    party = Party(house)
    answer = house.ann.browser.open(party.url(request=request_object(party), redirect_uri=f"{party.redirect_uri}/invalid"))
    is_refused_on_a_page(answer, "not one of its own")


def is_refreshed(house, party: Party, person: Person, **more) -> str:
    """The refresh token after one that was used."""
    first = party.flow(person, scope="openid offline_access", prompt="consent")
    tokens = party.refresh(first.refresh_token, **more)
    assert tokens["token_type"] == "Bearer" and tokens["access_token"] != first.access_token
    assert min(entropy(tokens["access_token"]), entropy(tokens["refresh_token"])) >= 96
    assert tokens["refresh_token"] != first.refresh_token, "each is good once"
    said = verified(house, party.id, tokens["id_token"], party.nonce)
    for name in ("iss", "sub", "aud", "azp", "auth_time"):
        assert said[name] == first.said[name], name
    assert said["iat"] >= first.said["iat"]
    userinfo(house, types.SimpleNamespace(said=said, **tokens))
    return tokens["refresh_token"]


def test_oidcc_refresh_token(house):
    party, second = Party(house), Party(house, "second")
    person = Person(house, ANN)
    is_refreshed(house, party, person, scope="openid offline_access")
    token = is_refreshed(house, second, person)
    assert len(person.asked) == 2, "`prompt=consent`"
    assert party.refresh(token, 400)["error"] == "invalid_grant"
    second.refresh(token)


def test_oidcc_ensure_request_with_valid_pkce_succeeds(house):
    Party(house, pkce=True).flow(house.ann)


# oidcc-dynamic-certification-test-plan, as far as it goes without a secret


def registers(house, status: int = 201, **said) -> dict:
    answer, headers, body = world.post(house.metadata["registration_endpoint"], said)
    assert answer == status and headers["content-type"] == "application/json", body
    return json.loads(body)


def registered(house, redirect_uri: str = BACK, **said) -> Client:
    made = registers(house, redirect_uris=[redirect_uri], **said)
    assert made["redirect_uris"] == [redirect_uri] and made["token_endpoint_auth_method"] == "none"
    return Client(house, made["client_id"], redirect_uri=redirect_uri)


def test_oidcc_idtoken_rs256(house):
    client = registered(house, id_token_signed_response_alg="RS256")
    code = client.back(house.ann.opens(client.url(scope="openid", nonce="a-nonce")))["code"]
    verified(house, client.id, client.redeem(code)["id_token"], "a-nonce")


def test_oidcc_userinfo_rs256(house):
    # It is not signed here: neither the metadata nor the answer to whoever asks for it says that it is.
    assert "userinfo_signing_alg_values_supported" not in house.metadata
    assert "userinfo_signed_response_alg" not in registers(house, redirect_uris=[BACK], userinfo_signed_response_alg="RS256")


def test_oidcc_ensure_redirect_uri_in_authorization_request(house):
    made = registers(house, redirect_uris=[BACK, f"{BACK}/2"])
    answer = house.ann.browser.open(Client(house, made["client_id"]).url(redirect_uri=None))
    is_refused_on_a_page(answer, "does not say where to send you")


def test_oidcc_redirect_uri_query_OK(house):
    client = registered(house, f"{BACK}?foo=bar")
    location = house.ann.opens(client.url(scope="openid"))
    assert location.startswith(f"{BACK}?foo=bar&")
    verified(house, client.id, client.redeem(client.back(location)["code"])["id_token"], None)


def test_oidcc_redirect_uri_query_mismatch(house):
    client = registered(house, f"{BACK}?foo=bar")
    is_refused_on_a_page(house.ann.browser.open(client.url(redirect_uri=f"{BACK}?bar=foo")), "not one of its own")


def test_oidcc_redirect_uri_query_added(house):
    client = registered(house)
    is_refused_on_a_page(house.ann.browser.open(client.url(redirect_uri=f"{BACK}?foo=bar")), "not one of its own")


def test_oidcc_redirect_uri_regfrag(house):
    assert registers(house, 400, redirect_uris=[f"{BACK}#foobar"])["error"] == "invalid_redirect_uri"


def is_not_shown(house, name: str):
    # What strangers say of themselves is not shown but for a name: it could be somebody else's. The answer says what was taken.
    address = "https://party.example.com/of-the-stranger"
    made = registers(house, redirect_uris=[BACK], **{name: address})
    assert name not in made
    page = house.ann.browser.open(Client(house, made["client_id"]).url(scope="openid"))
    assert page.status == 200 and address.encode() not in page.body and "nobody here has checked it" in page.page.text


def test_oidcc_registration_logo_uri(house):
    is_not_shown(house, "logo_uri")


def test_oidcc_registration_policy_uri(house):
    is_not_shown(house, "policy_uri")


def test_oidcc_registration_tos_uri(house):
    is_not_shown(house, "tos_uri")


def test_oidcc_server_rotate_keys(own_gate):
    before = gate(own_gate, clients=CLIENTS)
    before.metadata = json.loads(world.get(f"{before.issuer}/.well-known/openid-configuration")[1])
    invite(before, ANN)
    old = Party(before).flow(Person(before, ANN))
    keys = json.loads(world.get(before.metadata["jwks_uri"])[1])["keys"]
    assert before.stop() == 0
    # One that signs for a day is followed by another at once: that is published a day before it signs.
    after = gate(own_gate, server="    rotate_days: 1", clients=CLIENTS, folder=str(before.folder), port=before.port)
    after.metadata = before.metadata

    def more():
        now = json.loads(world.get(after.metadata["jwks_uri"])[1])["keys"]
        return now if len(now) > len(keys) else None

    now = world.wait_for(more, "another key", after.process)
    assert all(key in now for key in keys) and len({key["kid"] for key in now}) == len(now) == len(keys) + 1
    assert verified(after, "party", old.id_token, old.said["nonce"]) == old.said
    assert Party(after).flow(Person(after, ANN)).said["sub"] == old.said["sub"]


def test_oidcc_request_uri_unsigned(house):
    # An error for a client that nobody knows is shown, and the browser is sent nowhere.
    answer = house.ann.browser.open(registered(house).url(request_uri=f"{BACK}/request.jwt"))
    is_refused_on_a_page(answer, "request_uri_not_supported")


def test_oidcc_request_uri_signed_rs256(house):
    assert "request_object_signing_alg_values_supported" not in house.metadata
    client = registered(house, request_object_signing_alg="RS256")
    is_refused_on_a_page(house.ann.browser.open(client.url(request_uri=f"{BACK}/request.jwt")), "request_uri_not_supported")


# oidcc-rp-initiated-logout-certification-test-plan


class Leaving:
    """Somebody has signed in to an application just now, and leaves."""

    def __init__(self, house):
        self.house, self.party, person = house, Party(house), Person(house, ANN)
        self.browser, self.token = person.browser, self.party.flow(person).id_token
        self.state = secrets.token_urlsafe(96)

    def opens(self, **more):
        said = {"id_token_hint": self.token, "post_logout_redirect_uri": BYE, "state": self.state, **more}
        said = {name: value for name, value in said.items() if value is not None}
        return self.browser.open(f"{self.house.metadata['end_session_endpoint']}?{urllib.parse.urlencode(said)}")

    def is_out(self):
        return self.party.back(self.browser.open(self.party.url(prompt="none"))).get("error") == "login_required"

    def is_asked_and_stays(self, **more):
        """Nobody is sent to the application, neither before nor after they are asked."""
        answer = self.opens(**more)
        assert not isinstance(answer, str) and answer.status == 200 and "Sign out?" in answer.page.text
        assert not self.is_out()
        self.is_told_on_a_page(self.browser.submit(answer, button="leave"))

    def is_told_on_a_page(self, answer):
        assert not isinstance(answer, str) and answer.status == 200 and "You are signed out." in answer.page.text
        assert self.is_out()


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(house):
    assert house.metadata["end_session_endpoint"] == f"{house.issuer}/oauth/logout"


def test_oidcc_rp_initiated_logout(house):
    leaving = Leaving(house)
    assert leaving.opens() == f"{BYE}?state={leaving.state}"
    assert leaving.is_out()


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(house):
    leaving = Leaving(house)
    is_refused_on_a_page(leaving.opens(post_logout_redirect_uri=f"{BYE}/{secrets.token_urlsafe(8)}"), "not one of its own")
    assert not leaving.is_out()


def test_oidcc_rp_initiated_logout_modified_id_token_hint(house):
    leaving = Leaving(house)
    leaving.is_asked_and_stays(id_token_hint=unsigned({"alg": "none", "typ": "JWT"}, claims(leaving.token)))


def test_oidcc_rp_initiated_logout_no_id_token_hint(house):
    Leaving(house).is_asked_and_stays(id_token_hint=None)


def test_oidcc_rp_initiated_logout_no_params(house):
    Leaving(house).is_asked_and_stays(id_token_hint=None, post_logout_redirect_uri=None, state=None)


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(house):
    leaving = Leaving(house)
    leaving.is_told_on_a_page(leaving.opens(post_logout_redirect_uri=None))


def test_oidcc_rp_initiated_logout_no_state(house):
    leaving = Leaving(house)
    assert leaving.opens(state=None) == BYE
    assert leaving.is_out()


def test_oidcc_rp_initiated_logout_only_state(house):
    Leaving(house).is_asked_and_stays(id_token_hint=None, post_logout_redirect_uri=None)


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(house):
    leaving = Leaving(house)
    is_refused_on_a_page(leaving.opens(post_logout_redirect_uri=f"{BYE}?foo=bar"), "not one of its own")
    assert not leaving.is_out()


def test_oidcc_rp_initiated_logout_bad_id_token_hint(house):
    leaving = Leaving(house)
    kid = json.loads(world.get(house.metadata["jwks_uri"])[1])["keys"][0]["kid"]
    own = RSAKey.generate_key(2048)
    leaving.is_asked_and_stays(id_token_hint=jwt.encode({"alg": "RS256", "kid": kid}, claims(leaving.token), own, algorithms=["RS256"]))


# fapi2-security-profile-final-test-plan: what OAuth 2.1 demands, too. Requests are not pushed here, so that what the originals
# expect of that endpoint they get from the authorization endpoint, as they allow.


def test_fapi2_security_profile_final_access_token_type_header_case_sensitivity(house):
    flow = Party(house, "app").flow(house.ann)
    userinfo(house, flow, authorization=f"bEARER {flow.access_token}")


def test_fapi2_security_profile_final_attempt_reuse_authorization_code_after_one_second(house):
    userinfo(house, is_used_twice(house, Party(house, "app")), 401)


def test_fapi2_security_profile_final_ensure_authorization_code_is_bound_to_client(house):
    party, second = Party(house, "app"), Party(house, "front")
    code = party.back(house.ann.opens(party.url()))["code"]
    second.verifier = party.verifier
    for redirect_uri in (party.redirect_uri, second.redirect_uri):
        assert second.redeem(code, 400, redirect_uri=redirect_uri)["error"] == "invalid_grant"
    party.redeem(code)


def test_fapi2_security_profile_final_ensure_authorization_request_with_64_char_nonce_success(house):
    Party(house, "app").flow(house.ann, nonce=secrets.token_urlsafe(48))


def test_fapi2_security_profile_final_ensure_authorization_request_with_long_nonce(house):
    Party(house, "app").flow(house.ann, nonce=secrets.token_urlsafe(288))


def test_fapi2_security_profile_final_ensure_authorization_request_with_long_state(house):
    party = Party(house, "app")
    party.state = secrets.token_urlsafe(750)
    assert len(party.state) == 1000
    party.flow(house.ann)


def test_fapi2_security_profile_final_ensure_authorization_request_without_nonce_success(house):
    assert "nonce" not in Party(house, "app").flow(house.ann, nonce=None).said


def test_fapi2_security_profile_final_ensure_authorization_request_without_state_success(house):
    party = Party(house, "app")
    found = Client.back(party, house.ann.opens(party.url(state=None)))
    assert set(found) == {"code", "iss"}
    assert "s_hash" not in verified(house, party.id, party.redeem(found["code"])["id_token"], party.nonce)


def test_fapi2_security_profile_final_ensure_pkce_code_verifier_required(house):
    party = Party(house, "app")
    code = party.back(house.ann.opens(party.url()))["code"]
    assert party.redeem(code, 400, code_verifier=None)["error"] == "invalid_grant"


def test_fapi2_security_profile_final_incorrect_pkce_code_verifier_rejected(house):
    party = Party(house, "app")
    code = party.back(house.ann.opens(party.url()))["code"]
    assert party.redeem(code, 400, code_verifier=secrets.token_urlsafe(48))["error"] == "invalid_grant"


def test_fapi2_security_profile_final_par_ensure_pkce_required(house):
    party = Party(house, "app", pkce=False)
    assert party.error(house.ann.opens(party.url())) == "invalid_request"


def test_fapi2_security_profile_final_par_plain_pkce_rejected(house):
    party = Party(house, "app")
    plain = party.url(code_challenge=party.verifier, code_challenge_method="plain")
    assert party.error(house.ann.opens(plain)) == "invalid_request"


def test_fapi2_security_profile_final_ensure_response_type_code_idtoken_fails(house):
    party = Party(house, "app")
    assert party.error(house.ann.opens(party.url(response_type="code id_token"))) == "unsupported_response_type"


def test_fapi2_security_profile_final_ensure_response_type_token_fails(house):
    party = Party(house, "app")
    assert party.error(house.ann.opens(party.url(response_type="token"))) == "unsupported_response_type"


def test_fapi2_security_profile_final_refresh_token(house):
    party, second, person = Party(house, "app"), Party(house, "front"), Person(house, ANN)
    first = party.flow(person, scope="openid offline_access", prompt="consent").refresh_token
    token = party.refresh(first)["refresh_token"]
    assert party.refresh(first)["refresh_token"] == token, "the answer may have been lost"
    assert second.refresh(token, 400)["error"] == "invalid_grant"
    nobody = Client(house, party.id)
    assert nobody.refresh(token, 401)["error"] == "invalid_client"
    party.refresh(token)


def test_fapi2_security_profile_final_user_rejects_authentication(house):
    party = Party(house, "app")
    page = house.ann.browser.open(party.url(prompt="consent"))
    assert party.error(house.ann.browser.submit(page, button="deny")) == "access_denied"
