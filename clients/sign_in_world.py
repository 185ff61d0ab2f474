"""A gate at which people sign in, and the people: they read pages, fill in forms and follow links, as browsers do."""

import base64
import hashlib
import hmac
import html.parser
import http.client
import json
import re
import secrets
import struct
import time
import urllib.parse

import world
from identity_world import claims_of as claims  # noqa: F401

MASTER = "sk-master-of-this-test"
ENV = {"TOLLGATE_KEY": MASTER}
PASSWORD = "purple-otter-sings-42"
APPLICATION_SECRET = "a-secret-of-the-application"
BACK = "https://app.example.com/callback"

CONFIG = """
master_key: sk-master-of-this-test
secrets_key: 0123456789abcdef0123456789abcdef
models: {{ sim: [{{ provider: simulator }}] }}
identity:
  url: http://localhost:{port}
  groups:
    - {{ {issuer}group: platform, role: admin }}
    - {{ {issuer}group: readers, role: auditor }}
  server:
    mcp: true
    path: {path}
{server}
    clients:
      app:
        secret: a-secret-of-the-application
        redirect_uris: ["https://app.example.com/callback"]
        post_logout_redirect_uris: ["https://app.example.com/bye"]
      desk:
        name: The desk
        consent: true
        redirect_uris: ["http://127.0.0.1/callback"]
        resources: [/]
      batch: {{ secret: a-secret-of-the-batch, resources: [/] }}
      planner:
        secret: a-secret-of-the-planner
        audience: https://planner.example.com
        resources: [/mcp, /v1]
        grants: [token_exchange]
      front:
        secret: a-secret-of-the-front
        redirect_uris: ["https://front.example.com/callback"]
        resources: [https://planner.example.com]
      tv: {{ grants: [device_code, refresh_token], resources: [/v1] }}
{clients}
"""


def gate(own_gate, *, server: str = "", clients: str = "", path: str = "/", extra: str = "", groups_of: str = "", env=None, folder=None, port=None):
    """A gate at which people sign in."""
    port = port or world.free_port()
    issuer = f"issuer: {groups_of}, " if groups_of else ""
    config = CONFIG.format(port=port, server=server, clients=clients, path=path, issuer=issuer) + extra
    made = own_gate("--port", str(port), config=config, env=env, folder=folder)
    made.issuer = f"http://localhost:{port}{path.rstrip('/')}"
    return made


class Page(html.parser.HTMLParser):
    """What is on a page: its text, and its forms with the fields that they have."""

    def __init__(self, text: str):
        super().__init__()
        self.forms, self.words, self.title, self.quiet = [], [], "", None
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.words)).strip()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.forms.append({"action": attributes["action"], "fields": {}, "buttons": []})
        elif tag == "input" and self.forms:
            self.forms[-1]["fields"][attributes["name"]] = attributes.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1]["buttons"].append((attributes.get("name"), attributes.get("value")))
        self.quiet = tag if tag in ("style", "script") else self.quiet

    def handle_data(self, data):
        self.words.append(data)

    def form(self, button: str | None = None) -> dict:
        """The form that has this button, or the first one."""
        fits = [form for form in self.forms if button is None or any(value == button for _, value in form["buttons"])]
        return fits[0]


class Answer:
    """What a browser was answered."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.page = Page(body.decode()) if "html" in headers.get("content-type", "") else None

    def json(self):
        return json.loads(self.body)


class Browser:
    """Keeps cookies, fills in forms, and follows redirects as long as they stay at the gate."""

    def __init__(self, gate):
        self.port, self.cookies, self.headers = gate.port, {}, {}

    def send(self, method: str, url: str, form: dict | None = None, headers: dict | None = None) -> Answer:
        """One request, no redirects."""
        parts = urllib.parse.urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"host": f"localhost:{self.port}", **self.headers, **(headers or {})}
        if self.cookies:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            sent["content-type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        read = answer.read()
        for line in answer.msg.get_all("set-cookie") or []:
            name, value = line.split(";")[0].split("=", 1)
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        connection.close()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, read)

    def follow(self, answer: Answer) -> Answer | str:
        """The page at the end, or the address elsewhere that the browser is sent to."""
        for _ in range(10):
            if answer.status != 303:
                return answer
            location = answer.headers["location"]
            if not location.startswith("/") and not location.startswith(f"http://localhost:{self.port}"):
                return location
            answer = self.send("GET", location)
        raise AssertionError("a circle of redirects")

    def open(self, url: str) -> Answer | str:
        return self.follow(self.send("GET", url))

    def submit(self, answer: Answer, button: str | None = None, **typed) -> Answer | str:
        """Fills in the form of a page and sends it."""
        form = answer.page.form(button)
        fields = {**form["fields"], **typed}
        fields.update({name: value for name, value in form["buttons"] if name and (button is None or value == button)})
        return self.follow(self.send("POST", form["action"], fields))

    def sign_in(self, answer: Answer, user: str, password: str = PASSWORD) -> Answer | str:
        assert "Password" in answer.page.text, answer.page.text
        return self.submit(answer, username=user, password=password)


def invite(gate, user: str, *groups: str, password: str = PASSWORD) -> Browser:
    """Somebody who was invited and has chosen a password; they are signed in."""
    arguments = [part for group in groups for part in ("--group", group)]
    link = json.loads(world.tollgate("user", "invite", user, *arguments, "--json", gate=gate, env=ENV))["link"]
    browser = Browser(gate)
    page = browser.submit(browser.open(link), password=password, again=password)
    assert "authenticator" in page.page.text, page.page.text
    account = browser.submit(page, button="skip")
    assert f"signed in as {user}" in account.page.text.replace(" .", "."), account.page.text
    return browser


class Person:
    """Somebody who signs in where they have not, agrees wherever they are asked, and knows what they were asked."""

    def __init__(self, gate, user: str = "ann"):
        self.browser, self.user, self.asked = Browser(gate), user, []

    def opens(self, url: str) -> str:
        """Where they end: the address elsewhere to which they are sent, or this one where they are done here."""
        answer = self.browser.open(url)
        while not isinstance(answer, str) and not answer.page.text.startswith("Done –"):
            assert answer.page.forms, answer.page.text
            if answer.page.text.startswith("Sign in –"):
                answer = self.browser.sign_in(answer, self.user)
                continue
            allow = [value for form in answer.page.forms for _, value in form["buttons"] if value == "allow"]
            self.asked += [answer.page.text] if allow else []
            answer = self.browser.submit(answer, *allow)
        return answer if isinstance(answer, str) else url


def code_of(secret: str, at: float | None = None) -> str:
    """The one-time code of a secret in Base32 (RFC 6238), by a second implementation."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int((at or time.time()) // 30)), hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


class Client:
    """An application: asks for codes and changes them for tokens."""

    def __init__(self, gate, client_id: str, secret: str | None = None, redirect_uri: str = BACK):
        self.gate, self.id, self.secret, self.redirect_uri = gate, client_id, secret, redirect_uri
        self.verifier = secrets.token_urlsafe(48)

    def url(self, **more) -> str:
        """Where a person is sent to."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "client_id": self.id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid profile email",
            "state": "s t/a&te",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **more,
        }
        query = {name: value for name, value in query.items() if value is not None}
        return f"{self.gate.issuer}/oauth/authorize?{urllib.parse.urlencode(query, doseq=True)}"

    def back(self, location: str) -> dict:
        """What the browser has brought back."""
        assert isinstance(location, str) and location.startswith(self.redirect_uri.split("?")[0]), location
        found = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))
        assert found.get("iss") == self.gate.issuer, found
        return found

    def post(self, what: str, form: dict, status: int = 200) -> dict:
        """A request of the application."""
        form = {"client_id": self.id, **({"client_secret": self.secret} if self.secret else {}), **form}
        answer = Browser(self.gate).send("POST", f"{self.gate.issuer}/oauth/{what}", {k: v for k, v in form.items() if v is not None})
        assert answer.status == status, (answer.status, answer.body)
        return answer.json() if answer.body else {}

    def redeem(self, code: str, status: int = 200, **more) -> dict:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri, "code_verifier": self.verifier}
        return self.post("token", {**form, **more}, status)

    def refresh(self, token: str, status: int = 200, **more) -> dict:
        return self.post("token", {"grant_type": "refresh_token", "refresh_token": token, **more}, status)

    def tokens(self, browser: Browser, **more) -> dict:
        """Tokens of whoever is signed in in the browser."""
        return self.redeem(self.back(browser.open(self.url(**more)))["code"])
