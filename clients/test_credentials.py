"""Credentials that are more than a key: tokens and signatures, from stand-ins for the clouds' own endpoints."""

import concurrent.futures
import http.server
import json
import re
import subprocess
import threading
import time
import urllib.parse

import pytest
import world

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


class Cloud:
    """Token endpoints and metadata services of three clouds. Counts what it is asked."""

    def __init__(self):
        self.asked, self.lifetime, self.hangs, cloud = [], 3600, False, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                if cloud.hangs:
                    time.sleep(30)
                if self.path.startswith("/model/"):
                    echo = json.dumps({"message": f"bad header: {self.headers['x-amz-security-token']}"})
                    self.send_response(400)
                    self.send_header("content-type", "application/json")
                    self.end_headers()
                    return self.wfile.write(echo.encode())
                cloud.asked.append((self.command, self.path, dict(self.headers.items()), urllib.parse.parse_qs(body)))
                answer = cloud.answer(self.command, self.path, self.headers)
                self.send_response(200 if answer else 403)
                self.end_headers()
                self.wfile.write((answer or "no").encode())

            do_GET = do_POST = do_PUT = do_any

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, method, path, headers):
        token = json.dumps({"access_token": "tok-secret-1", "expires_in": self.lifetime, "token_type": "Bearer"})
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.lifetime))
        keys = {"AccessKeyId": "ASIAMACHINE", "SecretAccessKey": "key-secret-1", "Expiration": until}
        roles = "/latest/meta-data/iam/security-credentials/"
        match (method, path.split("?")[0]):
            case ("POST", "/google/token") | ("POST", "/t1/oauth2/v2.0/token"):
                return token
            case ("GET", "/computeMetadata/v1/instance/service-accounts/default/token"):
                return token if headers["metadata-flavor"] == "Google" else None
            case ("PUT", "/latest/api/token"):
                return "imds-token"
            case ("GET", p) if p.startswith(roles) and headers["x-aws-ec2-metadata-token"] == "imds-token":
                return "role-1\n" if p == roles else json.dumps({**keys, "Token": "session-secret-1"})
            case ("GET", "/container"):
                return json.dumps({**keys, "Token": "session-secret-1"}) if headers["authorization"] == "container-secret" else None
            case ("POST", "/sts/"):
                given = {**keys, "SessionToken": "session-secret-1", "Expiration": time.time() + self.lifetime}
                return json.dumps({"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {"Credentials": given}}})
        return None


@pytest.fixture
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.server.shutdown()


@pytest.fixture
def ask(cloud, aimock):
    gates = []

    def ask(deployment: str, env: dict[str, str], times: int = 1, egress: str = "egress: { private_addresses: true }", at_once: bool = False):
        config = f"models: {{ m: [{deployment}] }}\nrouting: {{ retries: 0 }}\n{egress}\n"
        gate = world.Gate(config=config, env={"AIMOCK": aimock.url, **env})
        gates.append(gate)
        with concurrent.futures.ThreadPoolExecutor(times if at_once else 1) as pool:
            answers = list(pool.map(lambda _: world.post(f"{gate.url}/v1/chat/completions", CHAT), range(times)))
        # Whatever happened: no token and no key in what the gate wrote.
        written = gate.log.read_text() + world.journal(gate.folder / "data")
        written += "".join(body.decode() for _, _, body in answers)
        assert not re.search(r"(tok|key|session|container|client)-secret|PRIVATE KEY", written), written
        return gate, answers

    yield ask
    for gate in gates:
        gate.stop()


def sent_to(aimock, path: str) -> dict:
    """The headers of the last request at `path`."""
    found = [entry for entry in aimock.journal() if path in urllib.parse.unquote(entry["path"])]
    return {name.lower(): value for name, value in found[-1]["headers"].items()}


VERTEX = '{ provider: vertex_ai, model: gemini-2.5-flash, base_url: "${AIMOCK}/v1/projects/p/locations/l" }'
BEDROCK = '{ provider: bedrock, model: "anthropic.claude-v1:0", base_url: "${AIMOCK}", aws: { region: us-east-1 } }'
AZURE = '{ provider: azure, model: gpt-4o, base_url: "${AIMOCK}" }'


def key_file(cloud, folder) -> str:
    """A service account's key, as Google's console writes it."""
    pem = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], capture_output=True, text=True, check=True).stdout
    path = folder / "key.json"
    key = {"type": "service_account", "project_id": "p", "private_key_id": "k1", "private_key": pem, "client_email": "gate@p.example", "token_uri": f"{cloud.url}/google/token"}
    path.write_text(json.dumps(key))
    return str(path)


def test_google_gives_a_token_for_a_service_accounts_key(ask, cloud, aimock, tmp_path):
    gate, answers = ask(VERTEX, {"GOOGLE_APPLICATION_CREDENTIALS": key_file(cloud, tmp_path)}, times=3)
    assert [status for status, _, _ in answers] == [200] * 3, answers
    assert len(cloud.asked) == 1, "one token for all calls"
    form = cloud.asked[0][3]
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"] and form["assertion"][0].count(".") == 2
    assert [event["detail"]["host"] for event in gate.records("event") if event["event"] == "egress"] == ["127.0.0.1"]
    assert any("generateContent" in entry["path"] for entry in aimock.journal())


def test_google_gives_a_token_to_the_machine(ask, cloud):
    _, answers = ask(VERTEX, {"GCE_METADATA_HOST": cloud.url.removeprefix("http://"), "GOOGLE_CLOUD_PROJECT": "p"}, egress="")
    assert answers[0][0] == 200, answers


def test_a_token_that_soon_expires_is_renewed_and_failures_say_why(ask, cloud, tmp_path):
    cloud.lifetime = 60
    ask(VERTEX, {"GOOGLE_APPLICATION_CREDENTIALS": key_file(cloud, tmp_path)}, times=2)
    assert len(cloud.asked) == 2
    env = {"AZURE_AUTHORITY_HOST": cloud.url, "AZURE_TENANT_ID": "wrong", "AZURE_CLIENT_ID": "c1", "AZURE_CLIENT_SECRET": "client-secret-1"}
    _, answers = ask(AZURE, env)
    assert answers[0][0] == 502 and b"no credential for the upstream" in answers[0][2] and b"403" in answers[0][2], answers


def test_entra_gives_a_token_to_an_application(ask, cloud, aimock):
    env = {"AZURE_AUTHORITY_HOST": cloud.url, "AZURE_TENANT_ID": "t1", "AZURE_CLIENT_ID": "c1", "AZURE_CLIENT_SECRET": "client-secret-1"}
    _, answers = ask(AZURE, env)
    assert answers[0][0] == 200, answers
    form = cloud.asked[0][3]
    assert (form["client_secret"], form["scope"]) == (["client-secret-1"], ["https://cognitiveservices.azure.com/.default"])
    _, answers = ask(AZURE, env, egress="")
    assert answers[0][0] == 502 and b"not public" in answers[0][2], "a token endpoint inside needs to be allowed"


@pytest.mark.parametrize("source", ["instance", "container", "web identity", "keys"])
def test_requests_to_bedrock_are_signed(ask, cloud, aimock, tmp_path, source):
    token = tmp_path / "token"
    token.write_text("web-token")
    env = {
        "instance": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url},
        "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{cloud.url}/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-secret"},
        "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_ENDPOINT_URL_STS": f"{cloud.url}/sts"},
        "keys": {"AWS_ACCESS_KEY_ID": "ASIAMACHINE", "AWS_SECRET_ACCESS_KEY": "key-secret-1", "AWS_SESSION_TOKEN": "session-secret-1"},
    }[source]
    _, answers = ask(BEDROCK, env, times=2)
    assert [status for status, _, _ in answers] == [200] * 2, answers
    assert len(cloud.asked) == {"instance": 3, "container": 1, "web identity": 1, "keys": 0}[source], cloud.asked
    headers = sent_to(aimock, "/converse")
    assert headers["x-amz-security-token"] != "" and "x-amz-date" in headers


def test_what_was_fetched_is_not_shown_when_an_upstream_echoes_it(ask, cloud):
    _, answers = ask(BEDROCK.replace("${AIMOCK}", cloud.url), {"AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url})
    assert answers[0][0] == 400 and b"bad header: [secret]" in answers[0][2], answers


def test_calls_that_wait_for_a_token_wait_no_longer_than_a_call_may(ask, cloud):
    cloud.hangs = True
    env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": cloud.url}
    begun = time.monotonic()
    _, answers = ask(BEDROCK, env, times=4, egress="timeouts: { total_ms: 2000 }", at_once=True)
    assert time.monotonic() - begun < 6 and [status for status, _, _ in answers] == [504] * 4, answers
