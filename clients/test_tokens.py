"""Tokens of issuers as credentials: a real issuer, and what attackers send (promise 5)."""

import json
import time

import identity_world
import pytest
import world
from identity_world import GATE, claims_of, forged

MASTER = {"authorization": "Bearer sk-master-of-tokens"}
CALL = {"model": "sim", "messages": [{"role": "user", "content": "hello"}]}


def config(issuer: str, more: str = "") -> str:
    return f"""
master_key: sk-master-of-tokens
models:
  sim: [{{ provider: simulator, price: {{ input_usd_per_mtok: 1, output_usd_per_mtok: 2 }} }}]
identity:
  issuers:
    corp: {{ issuer: "{issuer}", audience: "{GATE}", user: email, private: true }}
  groups:
    - {{ group: platform, role: auditor }}
    - {{ group: everyone, team: people }}
{more}"""


def call(gate, token: str, path: str = "/v1/chat/completions", body=CALL):
    status, headers, text = world.send("POST" if body else "GET", gate.url + path, body, {"authorization": f"Bearer {token}"})
    return status, json.loads(text or b"{}"), headers


@pytest.fixture(scope="module")
def gate(issuer):
    gate = world.Gate(config=config(issuer.url))
    status, _, body = world.post(f"{gate.url}/api/v1/teams", {"id": "people", "budgets": [{"amount_usd": "5", "window": "day"}]}, MASTER)
    assert status == 201, body
    yield gate
    gate.stop()


def test_a_program_calls_with_the_token_that_it_got_for_itself(gate, issuer):
    status, body, headers = call(gate, issuer.of_a_program())
    assert status == 200, body
    principal = gate.closed(headers["x-tollgate-call-id"])["principal"]
    assert principal == {"sub": {"kind": "agent", "id": "corp/batch"}}
    assert call(gate, issuer.of_a_program(), "/api/v1/calls", None)[0] == 403, "it has no role"


def test_a_person_signs_in_and_is_who_their_issuer_says(gate, issuer):
    token = issuer.of("ann")
    status, body, headers = call(gate, token)
    assert status == 200, body
    principal = gate.closed(headers["x-tollgate-call-id"])["principal"]
    assert principal == {"sub": {"kind": "user", "id": "ann@example.com"}, "user": "ann@example.com", "team": "people"}
    assert call(gate, token, "/v1/models", None)[0] == 200
    # An auditor reads, and changes nothing.
    assert call(gate, token, "/api/v1/keys", None)[0] == 200
    assert call(gate, token, "/api/v1/keys", {"id": "mine"})[0] == 403
    bob = issuer.of("bob")
    assert call(gate, bob)[0] == 200
    assert call(gate, bob, "/api/v1/keys", None)[1]["items"] == [], "a member sees their own, and has none"


def test_a_person_with_the_name_of_a_key_is_not_its_holder(gate, issuer):
    key = {"id": "carl@example.com", "budgets": [{"amount_usd": "1", "window": "day"}]}
    assert world.post(f"{gate.url}/api/v1/keys", key, MASTER)[0] == 201
    carl = issuer.of("carl")
    assert call(gate, carl)[0] == 200
    assert call(gate, carl, "/api/v1/keys/carl@example.com", None)[0] in (403, 404)
    status, body, _ = call(gate, carl, "/api/v1/spend?key=carl@example.com", None)
    assert status == 403 and "of the user `carl@example.com` only" in body["detail"], (status, body)
    assert call(gate, issuer.of_a_program(), "/api/v1/spend", None)[0] == 403


def test_who_is_blocked_or_whose_team_is_gone_is_refused_whatever_the_issuer_says(own_gate, issuer):
    gate = own_gate(config=config(issuer.url))
    token = issuer.of("ann")
    status, body, _ = call(gate, token)
    assert (status, "team `people`" in body["error"]["message"]) == (403, True), body
    assert world.post(f"{gate.url}/api/v1/teams", {"id": "people"}, MASTER)[0] == 201
    assert call(gate, token)[0] == 200
    assert world.post(f"{gate.url}/api/v1/users", {"id": "ann@example.com", "blocked": True}, MASTER)[0] == 201
    status, body, _ = call(gate, token)
    assert (status, "user `ann@example.com` is blocked" in body["error"]["message"]) == (403, True), body


def test_a_key_that_is_known_is_enough_and_no_token_is_in_its_way(gate, issuer):
    status, _, made = world.post(f"{gate.url}/api/v1/keys", {"id": "bot"}, MASTER)
    assert status == 201
    headers = {"x-api-key": json.loads(made)["key"], "authorization": "Bearer eyJhbGciOiJub25lIn0.e30.AA"}
    status, headers, _ = world.post(f"{gate.url}/v1/chat/completions", CALL, headers)
    assert status == 200
    assert gate.closed(headers["x-tollgate-call-id"])["principal"]["sub"] == {"kind": "key", "id": "bot"}


def test_forged_tokens_are_refused_and_nothing_of_them_is_kept(gate, issuer):
    good = issuer.of("ann")
    claims = {**claims_of(good), "email": "root@example.com"}
    header, payload, signature = good.split(".")
    tampered = f"{header}.{forged({}, claims).split('.')[1]}.{signature}"
    for token in [
        tampered,
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        forged({"alg": "none"}, claims),
        forged({"alg": "HS256"}, claims),
        forged({"alg": "RS256", "jku": "http://127.0.0.1:1/keys"}, claims),
        forged({"alg": "RS256"}, {**claims, "aud": "https://another.example.com"}),
        forged({"alg": "RS256"}, {name: claims[name] for name in claims if name != "aud"}),
        forged({"alg": "RS256"}, {**claims, "exp": int(time.time()) - 3_600}),
        forged({"alg": "RS256"}, {**claims, "iss": "https://evil.example"}),
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJ" + "a" * 20_000 + ".a.a",
    ]:
        status, body, _ = call(gate, token)
        assert status == 401, (token[:80], body)
        assert body["error"]["message"].startswith("the token "), body
    # Of a key that is not known nobody can tell at once whether it is a new one.
    assert call(gate, forged({"alg": "RS256", "kid": "../../../../etc/passwd"}, claims))[0] in (401, 503)
    assert "root@example.com" not in world.journal(gate.folder / "data")


def test_without_a_master_key_no_token_opens_the_gate_to_others(own_gate, issuer):
    gate = own_gate(config=config(issuer.url).replace("master_key: sk-master-of-tokens\n", "").replace(", team: people", ", role: member"))
    bearer = {"authorization": f"Bearer {issuer.of('bob')}"}
    assert world.post(f"{gate.url}/v1/chat/completions", CALL, bearer)[0] == 200
    for strange in [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}]:
        assert world.post(f"{gate.url}/v1/chat/completions", CALL, {**bearer, **strange})[0] == 403, strange
    # Nor is one taken from an address, where logs and histories keep it.
    token = bearer["authorization"].split()[1]
    entries = len(gate.records())
    assert world.post(f"{gate.url}/v1/chat/completions?key={token}", CALL)[0] == 200, "whoever is on this machine is let in anyway"
    assert gate.records()[entries]["principal"]["sub"]["kind"] == "local"


def test_where_a_key_and_a_token_are_wanted_one_of_them_lets_nobody_in(own_gate, issuer):
    gate = own_gate(config=config(issuer.url).replace("identity:\n", "identity:\n  key_and_token: [/v1]\n"))
    admin = {"TOLLGATE_KEY": "sk-master-of-tokens"}
    world.tollgate("team", "create", "people", gate=gate, env=admin)
    world.tollgate("user", "create", "ann@example.com", gate=gate, env=admin)
    shared = world.tollgate("key", "create", "shared", "--quiet", gate=gate, env=admin).strip()
    anns = world.tollgate("key", "create", "anns", "--user", "ann@example.com", "--quiet", gate=gate, env=admin).strip()
    ann, bob = issuer.of("ann"), issuer.of("bob")

    def sent(**headers) -> tuple[int, str]:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        status, _, body = world.post(f"{gate.url}/v1/chat/completions", CALL, headers)
        return status, body.decode()

    for alone in [{"authorization": f"Bearer {ann}"}, {"authorization": f"Bearer {shared}"}, {"x_api_key": shared}, {"authorization": "Bearer x.y.z", "x_api_key": shared}]:
        status, said = sent(**alone)
        assert status == 401, (alone, said)
    assert "a key and a token are wanted" in sent(x_api_key=shared)[1]
    entries = len(gate.records())
    assert sent(authorization=f"Bearer {ann}", x_api_key=shared)[0] == 200
    principal = gate.records()[entries]["principal"]
    assert principal["sub"]["id"] == "ann@example.com" and principal["act"][-1] == {"kind": "key", "id": "shared"}, principal
    assert sent(authorization=f"Bearer {ann}", x_api_key=anns)[0] == 200
    status, said = sent(authorization=f"Bearer {bob}", x_api_key=anns)
    assert status == 403 and "another user" in said, said
    world.tollgate("key", "block", "shared", gate=gate, env=admin)
    status, said = sent(authorization=f"Bearer {ann}", x_api_key=shared)
    assert status == 403 and "blocked" in said, said
    # The management API has its own rules, and the master key is for when an issuer is away.
    assert sent(**MASTER)[0] == 200
    assert world.get(f"{gate.url}/api/v1/keys", MASTER)[0] == 200


def test_an_issuer_that_misbehaves_lets_nobody_in(own_gate):
    scripted = identity_world.Scripted()
    claims = {"iss": scripted.url, "aud": GATE, "exp": int(time.time()) + 600, "email": "ann@example.com"}
    token = forged({"alg": "RS256", "kid": "1"}, claims)
    discovery, keys = "/.well-known/openid-configuration", f"{scripted.url}/keys"
    rsa = {"kty": "RSA", "kid": "1", "n": "_" * 342, "e": "AQAB"}
    for says, why in [
        (lambda: None, "its metadata"),
        (lambda: scripted.says(discovery, b"<html>"), "no `issuer` and `jwks_uri`"),
        (lambda: scripted.says(discovery, {"issuer": "https://other.example", "jwks_uri": keys}), "another issuer"),
        (lambda: scripted.says(discovery, b"", 302, {"location": "http://127.0.0.1:1/"}), "its metadata"),
        (lambda: scripted.says("/keys", b" " * (2 << 20)), "bytes"),
        (lambda: scripted.says("/keys", {"keys": [rsa] * 101}), "more than 100 keys"),
    ]:
        scripted.says(discovery, {"issuer": scripted.url, "jwks_uri": keys})
        if why == "its metadata":
            scripted.answers.clear()
        says()
        gate = own_gate(config=config(scripted.url))
        status, body, _ = call(gate, token)
        assert (status, why in body["error"]["message"]) == (503, True), body
        asked = len(scripted.asked)
        assert call(gate, token)[0] == 503
        assert len(scripted.asked) == asked, "whoever sends such tokens does not make the gate ask again and again"
    scripted.stop()


def test_what_is_wrong_in_the_configuration_is_found_before_anything_starts(tmp_path):
    for wrong, why in [
        ("corp: { issuer: 'http://login.example.com', audience: a }", "private: true"),
        ("corp: { issuer: 'https://login.example.com' }", "audience"),
        ("corp: { issuer: 'https://login.example.com', audience: [] }", "must be for"),
        ("corp: { issuer: login, audience: a }", "no address"),
        ("a/b: { issuer: 'https://login.example.com', audience: a }", "letters, digits"),
        ("corp: { issuer: 'https://login.example.com', audience: a, skew_s: 301 }", "skew_s"),
    ]:
        file = tmp_path / "tollgate.yaml"
        file.write_text(f"master_key: sk-1234\nmodels:\n  sim: [{{ provider: simulator }}]\nidentity:\n  issuers:\n    {wrong}\n")
        assert why in world.tollgate("check", str(file), status=1), wrong
