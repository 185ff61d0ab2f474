"""Applications of others sign people in at the gate: npm's openid-client, and Python's Authlib, by themselves and in Flask."""

import functools
import json
import secrets
import subprocess
import types

import flask
import pytest
import sign_in_world
import world
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from sign_in_world import APPLICATION_SECRET, BACK, Person, claims

FRONT = "https://front.example.com/callback"
LOCAL = "http://127.0.0.1:45678/callback"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

CLIENTS = """
      of_es256: { secret: a-secret-of-the-curve, algorithm: ES256, redirect_uris: ["https://app.example.com/callback"] }
      of_eddsa: { secret: a-secret-of-the-curve, algorithm: EdDSA, redirect_uris: ["https://app.example.com/callback"] }
"""


@pytest.fixture(scope="module", params=["/", "/login"])
def gate(request):
    """One whose issuer is its address, and one whose issuer has a path."""
    gate = sign_in_world.gate(world.Gate, server="    algorithms: [RS256, ES256, EdDSA]", clients=CLIENTS, path=request.param)
    sign_in_world.invite(gate, "ann", "platform")
    # A device asks every five seconds: it does that while other tests run.
    gate.device = RelyingParty("device", gate, "tv")
    gate.device.opens()
    yield gate
    gate.device.stop()
    assert gate.stop() == 0


class RelyingParty:
    """`identity_fixture/relying_party.mjs`; what it shows is opened by a person of its own."""

    def __init__(self, scenario: str, gate, client: str = "", secret: str = "", redirect: str = BACK):
        self.person, self.told = Person(gate), None
        command = [world.NODE, world.HERE / "identity_fixture" / "relying_party.mjs", scenario, gate.issuer, client, secret, redirect]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def opens(self) -> bool:
        """Whether it has shown something, which was opened then. Otherwise it has said all."""
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=10)[1]
        said = json.loads(line)
        self.told = said.get("found")
        if "open" in said:
            self.process.stdin.write(f"{self.person.opens(said['open'])}\n")
            self.process.stdin.flush()
        return "open" in said

    def found(self) -> types.SimpleNamespace:
        """What it has found in the end."""
        while self.opens():
            pass
        self.stop()
        return types.SimpleNamespace(**self.told)

    def stop(self):
        self.process.kill()
        self.process.communicate()


def found(gate, scenario: str, *arguments: str) -> types.SimpleNamespace:
    return RelyingParty(scenario, gate, *arguments).found()


def is_of_ann(gate, said: dict, client: str):
    """That an ID token says who has signed in, to whom, and all that the client has asked for."""
    assert (said["iss"], said["aud"], said["preferred_username"], said["groups"]) == (gate.issuer, client, "ann", ["platform"])


def test_openid_client_signs_people_in_and_out(gate):
    seen = found(gate, "code", "app", APPLICATION_SECRET)
    is_of_ann(gate, seen.claims, "app")
    assert (seen.user["sub"], seen.user["preferred_username"]) == (seen.claims["sub"], "ann")
    # A refresh tells of the same sign-in, and of no new nonce (OpenID Connect Core §12.2).
    assert (seen.again["sub"], seen.again["auth_time"]) == (seen.claims["sub"], seen.claims["auth_time"])
    assert (seen.before["active"], seen.before["username"], seen.before["client_id"]) == (True, "ann", "app")
    assert (seen.after, seen.refused) == ({"active": False}, "invalid_grant")
    assert seen.silent["sub"] == seen.claims["sub"]
    assert (seen.left, seen.nobody) == ("https://app.example.com/bye?state=bye", "login_required")


@pytest.mark.parametrize("client", ["of_es256", "of_eddsa"])
def test_openid_client_takes_other_signatures(gate, client):
    seen = found(gate, "algorithm", client, "a-secret-of-the-curve")
    is_of_ann(gate, seen.claims, client)
    assert seen.header["alg"] == {"of_es256": "ES256", "of_eddsa": "EdDSA"}[client]


def test_openid_client_on_somebodys_machine_has_no_secret(gate):
    seen = found(gate, "public", "desk", "", LOCAL)
    is_of_ann(gate, seen.claims, "desk")
    # Its tokens are for the whole gate.
    assert world.get(f"{gate.url}/v1/models", {"authorization": f"Bearer {seen.refreshed['access_token']}"})[0] == 200


def test_openid_client_that_nobody_has_named_registers(gate):
    seen = found(gate, "registers", "", "", LOCAL)
    is_of_ann(gate, seen.claims, seen.registered["client_id"])
    assert (seen.registered["client_name"], seen.registered["redirect_uris"]) == ("A stranger", [LOCAL])
    assert "client_secret" not in seen.registered


def test_openid_client_gets_tokens_for_itself(gate):
    seen = found(gate, "itself", "batch", "a-secret-of-the-batch")
    assert (seen.introspected["active"], seen.introspected["sub"], seen.introspected["client_id"]) == (True, "batch", "batch")
    assert seen.introspected["aud"] == f"http://localhost:{gate.port}"
    assert seen.refused == "invalid_client"
    assert world.get(f"{gate.url}/v1/models", {"authorization": f"Bearer {seen.tokens['access_token']}"})[0] == 200


def test_openid_client_acts_for_whoever_is_signed_in_at_another(gate):
    seen = found(gate, "exchange", "front", "a-secret-of-the-front", FRONT)
    said = claims(seen.tokens["access_token"])
    assert (said["preferred_username"], said["act"], said["aud"]) == ("ann", {"sub": "planner"}, f"http://localhost:{gate.port}/v1")
    assert seen.tokens["issued_token_type"] == ACCESS_TOKEN
    assert world.get(f"{gate.url}/v1/models", {"authorization": f"Bearer {seen.tokens['access_token']}"})[0] == 200


def session(gate, client: str, secret: str, **more) -> OAuth2Session:
    """Authlib as a client, which has read the metadata."""
    said = json.loads(world.get(f"{gate.issuer}/.well-known/openid-configuration")[1])
    made = OAuth2Session(client, secret, token_endpoint=said["token_endpoint"], code_challenge_method="S256", **more)
    made.said = said
    return made


def test_authlib_signs_people_in(gate):
    with session(gate, "app", APPLICATION_SECRET, redirect_uri=BACK, scope="openid profile groups offline_access") as app:
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        url, state = app.create_authorization_url(app.said["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
        back = Person(gate).opens(url)
        tokens = app.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
        keys = KeySet.import_key_set(app.get(app.said["jwks_uri"], withhold_token=True).json())
        token = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
        said = CodeIDToken(token.claims, token.header, {"iss": {"value": gate.issuer}}, {"nonce": nonce, "client_id": "app"})
        said.validate()
        is_of_ann(gate, said, "app")
        assert app.get(app.said["userinfo_endpoint"]).json()["sub"] == said["sub"]
        refreshed = app.refresh_token(app.said["token_endpoint"])
        assert refreshed["access_token"] != tokens["access_token"]
        ask = functools.partial(app.introspect_token, app.said["introspection_endpoint"], token=refreshed["access_token"])
        assert ask().json()["active"]
        assert app.revoke_token(app.said["revocation_endpoint"], token=refreshed["refresh_token"]).status_code == 200
        assert ask().json() == {"active": False}
        with pytest.raises(OAuthError, match="invalid_grant"):
            app.refresh_token(app.said["token_endpoint"], refreshed["refresh_token"])


def test_authlib_gets_tokens_for_itself(gate):
    with session(gate, "batch", "a-secret-of-the-batch") as batch:
        batch.fetch_token(grant_type="client_credentials")
        # It is the session that asks the gate, with what it has got.
        assert batch.get(f"http://localhost:{gate.port}/v1/models").json()["data"]
    with session(gate, "batch", "not-the-secret-at-all") as wrong, pytest.raises(OAuthError, match="invalid_client"):
        wrong.fetch_token(grant_type="client_credentials")


def test_authlib_acts_for_somebody(gate):
    with session(gate, "front", "a-secret-of-the-front", redirect_uri=FRONT, scope="openid") as front:
        verifier = secrets.token_urlsafe(48)
        url, state = front.create_authorization_url(front.said["authorization_endpoint"], code_verifier=verifier)
        subject = front.fetch_token(authorization_response=Person(gate).opens(url), state=state, code_verifier=verifier)["access_token"]
    with session(gate, "planner", "a-secret-of-the-planner") as planner:
        given = {"subject_token": subject, "subject_token_type": ACCESS_TOKEN, "resource": f"http://localhost:{gate.port}/v1"}
        token = planner.fetch_token(grant_type=TOKEN_EXCHANGE, **given)
        assert claims(token["access_token"])["act"] == {"sub": "planner"}
        assert planner.get(f"http://localhost:{gate.port}/v1/models").json()["data"]


def application(gate) -> flask.Flask:
    """A web application as Authlib's manual has it: it is told where the gate is, and nothing else of it."""
    made = flask.Flask("app")
    made.secret_key = "of this test"
    oauth = OAuth(made)
    oauth.register(
        "gate",
        client_id="app",
        client_secret=APPLICATION_SECRET,
        server_metadata_url=f"{gate.issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile groups", "code_challenge_method": "S256"},
    )
    made.add_url_rule("/login", "login", lambda: oauth.gate.authorize_redirect(BACK))
    made.add_url_rule("/callback", "callback", lambda: dict(oauth.gate.authorize_access_token()["userinfo"]))
    return made


def test_a_web_application_in_flask_signs_people_in(gate):
    browser = application(gate).test_client()
    back = Person(gate).opens(browser.get("/login").location)
    is_of_ann(gate, browser.get(back.removeprefix("https://app.example.com")).json, "app")


def test_a_device_that_has_no_browser_waits_for_its_person(gate):
    seen = gate.device.found()
    assert (seen.early, seen.claims["preferred_username"]) == ("authorization_pending", "ann")
    assert seen.asked["verification_uri"] == f"{gate.issuer}/oauth/activate"
    assert world.get(f"{gate.url}/v1/models", {"authorization": f"Bearer {seen.tokens['access_token']}"})[0] == 200
