"""Issuers of tokens for tests: a real one, and one that says what a test wants it to say."""

import base64
import hashlib
import http.cookiejar
import http.server
import json
import secrets
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

import world

GATE = "https://gate.example.com"


class Issuer:
    """npm's oidc-provider, as `identity_fixture/issuer.mjs` sets it up."""

    def __init__(self, redirect_uri: str | None = None):
        port = world.free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [world.NODE, world.HERE / "identity_fixture" / "issuer.mjs", str(port), *([redirect_uri] if redirect_uri else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        discovery = f"{self.url}/.well-known/openid-configuration"
        world.wait_for(lambda: world.get(discovery)[0] == 200, "the issuer", self.process)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def of_a_program(self) -> str:
        """An access token that a program has got for itself (RFC 6749 §4.4)."""
        basic = base64.b64encode(b"batch:a-secret-of-this-test").decode()
        form = {"grant_type": "client_credentials", "resource": GATE, "scope": "call"}
        return self._token(form, {"authorization": f"Basic {basic}"})

    def of(self, person: str) -> str:
        """An access token of `person`, who signs in and agrees in a browser (RFC 6749 §4.1, RFC 7636)."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        callback = "http://127.0.0.1/callback"
        query = {
            "client_id": "cli",
            "redirect_uri": callback,
            "response_type": "code",
            "scope": "openid call",
            "resource": GATE,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        code = sign_in(f"{self.url}/auth?{urllib.parse.urlencode(query)}", callback, person)["code"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "client_id": "cli",
            "code_verifier": verifier,
            "resource": GATE,
        }
        return self._token(form, {})

    def _token(self, form: dict, headers: dict) -> str:
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/token", data, headers), timeout=10) as answer:
            return json.load(answer)["access_token"]


class _Browser(urllib.request.HTTPRedirectHandler):
    """Follows redirects with cookies, fills in the two forms of oidc-provider, and stops at the callback."""

    def __init__(self, callback: str):
        self.callback, self.back = callback, None
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies, self)

    def redirect_request(self, request, stream, code, message, headers, url):
        if url.startswith(self.callback):
            self.back = url
            return None
        return super().redirect_request(request, stream, code, message, headers, url)

    def open(self, url: str, form: dict | None = None) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with self.opener.open(url, data, timeout=10) as answer:
                return answer.url
        except urllib.error.HTTPError:
            if self.back:
                return self.back
            raise


def sign_in(url: str, callback: str, person: str) -> dict:
    """What the client is told at its callback after `person` has signed in at oidc-provider and agreed."""
    browser = _Browser(callback)
    form = browser.open(url)
    form = browser.open(form, {"prompt": "login", "login": person, "password": "any"})
    back = browser.open(form, {"prompt": "consent"})
    return {name: values[0] for name, values in urllib.parse.parse_qs(urllib.parse.urlparse(back).query).items()}


class Scripted:
    """An issuer that answers each path with a status, headers and a body, and keeps the paths that it was asked for."""

    def __init__(self):
        self.answers: dict[str, tuple[int, dict, bytes]] = {}
        self.asked: list[str] = []
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                status, headers, body = issuer.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                # Whoever has read enough hangs up.
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, path: str, value, status: int = 200, headers: dict | None = None):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answers[path] = (status, headers or {}, body)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def forged(header: dict, claims: dict) -> str:
    """A token that nobody has signed."""
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")  # noqa: E731
    return f"{part(header)}.{part(claims)}.{base64.urlsafe_b64encode(b'0' * 64).decode().rstrip('=')}"


def claims_of(token: str) -> dict:
    """What a token says."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
