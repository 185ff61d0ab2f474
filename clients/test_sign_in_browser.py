"""People at a real browser: an invitation, a password, one-time codes, applications; without scripts, and for everybody."""

import json
import os
import pathlib
import time

import browser_world
import pytest
import sign_in_world
import world
from playwright.sync_api import TimeoutError
from sign_in_world import ENV, PASSWORD, Client, claims, code_of

AXE = world.HERE / "node_modules" / "axe-core" / "axe.min.js"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
SCREENSHOTS = os.environ.get("SIGN_IN_SCREENSHOTS")
SIZES = {"wide": {"width": 1280, "height": 800}, "narrow": {"width": 360, "height": 720}}

SECRET = "a-secret-of-the-program"

# One that asks nobody, and one that asks everybody, once.
CLIENTS = """
      trusted:
        secret: a-secret-of-the-program
        redirect_uris: ["http://127.0.0.1/callback", "http://[::1]/callback"]
        post_logout_redirect_uris: ["{back}", "{onward}"]
      careful:
        secret: a-secret-of-the-program
        consent: true
        redirect_uris: ["https://app.example.com/callback"]
"""

APACHE = """
      apache:
        secret: {secret}
        name: The web server
        redirect_uris: ["{url}/inside/redirect_uri"]
        post_logout_redirect_uris: ["{url}/bye.html"]
"""


@pytest.fixture(scope="module")
def chromium():
    chromium = browser_world.Chromium()
    yield chromium
    chromium.stop()


@pytest.fixture(scope="module")
def apache():
    """A web server, and its `gate`."""
    apache = browser_world.Apache(world.free_port())
    apache.gate = sign_in_world.gate(world.Gate, clients=APACHE.format(secret=apache.secret, url=apache.url), path="/login")
    try:
        apache.start(apache.gate.issuer)
        yield apache
        assert apache.gate.stop() == 0
    finally:
        apache.gate.process.kill()
        apache.stop()


@pytest.fixture(scope="module")
def callback():
    callback = browser_world.Callback()
    yield callback
    callback.stop()


@pytest.fixture(scope="module")
def onward(callback):
    """One that sends browsers on to another site."""
    onward = browser_world.Callback(onward=f"http://localhost:{callback.port}/home")
    yield onward
    onward.stop()


@pytest.fixture(scope="module")
def gate(callback, onward):
    gate = sign_in_world.gate(world.Gate, clients=CLIENTS.format(back=callback.url, onward=onward.url))
    yield gate
    assert gate.stop() == 0


@pytest.fixture(scope="module")
def fay(gate):
    """Somebody who has a password and no codes."""
    sign_in_world.invite(gate, "fay")
    return "fay"


def signs_in(page, user: str, password: str = PASSWORD):
    """With the keyboard alone: the first field gets the focus."""
    page.wait_for_selector("#username:focus")
    page.keyboard.type(user)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def test_a_web_server_lets_in_whom_the_gate_has_signed_in(chromium, apache):
    sign_in_world.invite(apache.gate, "ann@example.com", "platform")
    page = chromium.person(java_script_enabled=False)
    page.goto(f"{apache.url}/inside/index.html?x=1")
    assert page.url.startswith(f"{apache.gate.issuer}/oauth/sign-in"), page.url
    signs_in(page, "ann@example.com")
    page.wait_for_url(f"{apache.url}/inside/index.html?x=1")
    assert (page.inner_text("#user"), page.inner_text("#email")) == ("ann@example.com", "ann@example.com")
    # The module reads groups too.
    assert page.goto(f"{apache.url}/inside/platform/index.html").status == 200
    assert page.goto(f"{apache.url}/inside/board/index.html").status == 401
    # Signing out there is signing out here.
    page.goto(apache.leave())
    assert (page.url, page.inner_text("p")) == (f"{apache.url}/bye.html", "Bye.")
    page.goto(f"{apache.gate.issuer}/oauth/account")
    assert page.title().startswith("Sign in"), page.title()
    page.goto(f"{apache.url}/inside/index.html")
    assert page.url.startswith(f"{apache.gate.issuer}/oauth/sign-in"), page.url


def looked_at(page, name: str):
    """Keeps how a page looks, for whoever wants to see it."""
    if not SCREENSHOTS:
        return
    for scheme in ["light", "dark"]:
        page.emulate_media(color_scheme=scheme)
        for size, pixels in SIZES.items():
            page.set_viewport_size(pixels)
            page.screenshot(path=pathlib.Path(SCREENSHOTS) / f"{name}-{size}-{scheme}.png", full_page=True)
    page.set_viewport_size(SIZES["wide"])


def examined(page, name: str):
    """That nothing on a page keeps anybody out, as far as a program can tell: axe-core looks at it in both of its colours."""
    page.evaluate(AXE.read_text())
    for scheme in ["light", "dark"]:
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("axe.run().then((seen) => seen.violations)")
        bad = [(one["id"], one["impact"], [node["html"] for node in one["nodes"]]) for one in found if one["impact"] in ("serious", "critical")]
        assert not bad, (name, scheme, bad)
    # Nothing is cut off, and nobody scrolls sideways, on a small telephone.
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
    page.set_viewport_size(SIZES["wide"])


def wrong(secret: str) -> str:
    """A code that is none, now or soon."""
    right = {code_of(secret, time.time() + 30 * step) for step in range(-2, 4)}
    return next(code for code in map("{:06d}".format, range(10)) if code not in right)


class Person:
    """Somebody at a browser; `looks` is what happens on each page."""

    def __init__(self, gate, page, looks):
        self.gate, self.page, self.looks, self.refused = gate, page, looks, []
        page.on("console", lambda said: "Content Security Policy" in said.text and self.refused.append(said.text))

    def on(self, name: str, title: str, *texts: str):
        """That this is the page, and says that."""
        assert self.page.title() == f"{title} – Tollgate"
        shown = self.page.inner_text("main")
        assert all(text in shown for text in texts), shown
        self.looks(self.page, name)

    def types(self, **fields: str):
        for name, text in fields.items():
            self.page.fill(f"#{name}", text)

    def presses(self, button: str):
        self.page.get_by_role("button", name=button, exact=True).click()

    def comes_back(self, callback, client: Client | None = None) -> dict:
        """What the program is told to which the browser goes."""
        self.page.wait_for_url(f"{callback.url}**")
        return client.back(self.page.url) if client else {}

    def is_invited(self, user: str) -> str:
        """Takes an invitation and sets up one-time codes, with mistakes; the secret of the codes."""
        self.page.goto(json.loads(world.tollgate("user", "invite", user, "--group", "platform", "--json", gate=self.gate, env=ENV))["link"])
        self.on("invitation", "Choose a password", user)
        self.types(password=PASSWORD, again=f"{PASSWORD}!")
        self.presses("Go on")
        self.on("invitation-wrong", "Choose a password", "The two are not the same.")
        self.types(password=PASSWORD, again=PASSWORD)
        self.presses("Go on")
        self.on("enrol", "One-time codes")
        self.presses("Not now")
        self.on("account-without-codes", "Your account", f"signed in as {user}", "None.")
        self.types(known=PASSWORD)
        self.presses("Set them up")
        self.on("enrol-at-account", "One-time codes")
        secret = self.page.inner_text("code").replace(" ", "")
        self.types(code=wrong(secret))
        self.presses("Set up")
        self.on("enrol-wrong", "One-time codes", "The code is wrong.")
        assert self.page.inner_text("code").replace(" ", "") == secret, "the application has it already"
        self.types(code=code_of(secret))
        self.presses("Set up")
        self.on("enrolled", "Set up")
        self.page.goto(f"{self.gate.issuer}/oauth/account")
        self.on("account", "Your account", f"signed in as {user}", "None.")
        return secret

    def signs_in(self, user: str, secret: str):
        """Signs in with a password and a code, with mistakes, and without a mouse."""
        self.on("sign-in", "Sign in")
        signs_in(self.page, user, "not-my-password")
        # What is wrong is the password: it gets the focus.
        self.page.wait_for_selector("#password:focus[aria-describedby=problem]")
        self.on("sign-in-wrong", "Sign in")
        assert self.page.input_value("#username") == user
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#code:focus")
        self.on("code", "One-time code")
        self.types(code=wrong(secret))
        self.presses("Sign in")
        self.page.wait_for_selector("#code:focus[aria-describedby=problem]")
        self.on("code-wrong", "One-time code")
        # A code is good once, and one was used: that of the next step is good already.
        self.page.keyboard.type(code_of(secret, time.time() + 30))
        self.page.keyboard.press("Enter")

    def lets_in_a_device(self):
        device = Client(self.gate, "tv")
        said = device.post("device", {"scope": "openid offline_access"})
        self.page.goto(said["verification_uri"])
        self.on("device", "Sign in on a device")
        self.types(user_code="BCDF-GHJK" if said["user_code"] != "BCDF-GHJK" else "BCDF-GHJL")
        self.presses("Go on")
        self.on("device-wrong", "Sign in on a device", "There is no such code")
        self.types(user_code=said["user_code"].lower())
        self.presses("Go on")
        self.on("device-confirm", "May this device act for you?", said["user_code"])
        self.presses("Allow")
        self.on("device-done", "Done", "it is signed in")
        device.post("token", {"grant_type": DEVICE_CODE, "device_code": said["device_code"]})


@pytest.mark.parametrize(
    ("user", "looks", "options"),
    [
        ("ann", looked_at, {"java_script_enabled": False}),
        # Pages let no script in: for that which looks at them they must.
        ("bob", examined, {"bypass_csp": True}),
    ],
    ids=["without scripts", "for everybody"],
)
def test_whoever_is_invited_signs_in_to_applications(chromium, gate, callback, user, looks, options):
    person = Person(gate, chromium.person(viewport=SIZES["wide"], **options), looks)
    page, secret = person.page, person.is_invited(user)
    person.presses("Sign out here")
    person.on("signed-out", "Signed out")

    desk = Client(gate, "desk", redirect_uri=callback.url)
    page.goto(desk.url())
    person.signs_in(user, secret)
    page.wait_for_selector("text=The desk")
    person.on("consent", "May this application act for you?", "The desk", user, "a program on this machine")
    person.presses("Allow")
    said = claims(desk.redeem(person.comes_back(callback, desk)["code"])["id_token"])
    assert (said["preferred_username"], said["amr"]) == (user, ["pwd", "otp"])

    registered = {"client_name": "Somebody else's", "redirect_uris": [callback.url]}
    stranger = Client(gate, json.loads(world.post(f"{gate.issuer}/oauth/register", registered)[2])["client_id"], redirect_uri=callback.url)
    page.goto(stranger.url(scope="openid profile email groups offline_access"))
    person.on("consent-stranger", "May this application act for you?", "Somebody else's", "nobody here has checked it")
    person.presses("Deny")
    assert person.comes_back(callback, stranger)["error"] == "access_denied"

    person.lets_in_a_device()
    page.goto(desk.url(redirect_uri="https://elsewhere.example.com/callback"))
    person.on("refused", "That did not work", "not one of its own")

    page.goto(f"{gate.issuer}/oauth/account")
    person.on("account-applications", "Your account", "The desk", "tv")
    person.types(current="not-my-password", password="green-heron-reads-17")
    person.presses("Change it")
    person.on("account-wrong", "Your account", "is wrong")
    person.presses("Take it back from The desk")
    person.on("account-done", "Your account", "The application acts for you no more.")

    page.goto(f"{gate.issuer}/oauth/logout?client_id=trusted&post_logout_redirect_uri={callback.url}&state=s")
    person.on("logout", "Sign out", f"signed in as {user}")
    person.presses("Sign out")
    person.comes_back(callback)
    assert page.url == f"{callback.url}?state=s"
    assert person.refused == []


def test_what_was_taken_back_has_to_be_asked_for_again(gate):
    browser = sign_in_world.invite(gate, "dee")
    careful = Client(gate, "careful", SECRET)
    careful.redeem(careful.back(browser.submit(browser.open(careful.url()), button="allow"))["code"])
    assert "code" in careful.back(browser.open(careful.url(prompt="none"))), "it asks once"
    browser.submit(browser.open(f"{gate.issuer}/oauth/account"), button="revoke")
    assert careful.back(browser.open(careful.url(prompt="none")))["error"] == "consent_required"


def test_an_application_is_reached_through_the_page_of_one_time_codes(chromium, gate, callback):
    """Browsers follow no form to a place that the policy of its page does not name, also not by way of redirects."""
    person = Person(gate, chromium.person(java_script_enabled=False), lambda *_: None)
    secret = person.is_invited("cay")
    person.presses("Sign out here")
    trusted = Client(gate, "trusted", SECRET, redirect_uri=callback.url)
    person.page.goto(trusted.url())
    person.signs_in("cay", secret)
    assert "code" in person.comes_back(callback, trusted)
    assert person.refused == []


def test_an_application_is_reached_through_the_page_that_sets_them_up(chromium, own_gate, callback):
    gate = sign_in_world.gate(own_gate, server="    totp: required", clients=CLIENTS.format(back=callback.url, onward=callback.url))
    person = Person(gate, chromium.person(java_script_enabled=False), lambda *_: None)
    page, trusted = person.page, Client(gate, "trusted", SECRET, redirect_uri=callback.url)
    page.goto(json.loads(world.tollgate("user", "invite", "ann", "--json", gate=gate, env=ENV))["link"])
    person.types(password=PASSWORD, again=PASSWORD)
    person.presses("Go on")
    assert page.get_by_role("button", name="Not now").count() == 0
    # Not now, all the same: the next sign-in asks for it.
    page.goto(trusted.url())
    signs_in(page, "ann")
    page.wait_for_selector("svg")
    person.types(code=code_of(page.inner_text("code").replace(" ", "")))
    person.presses("Set up")
    said = claims(trusted.redeem(person.comes_back(callback, trusted)["code"])["id_token"])
    assert said["amr"] == ["pwd", "otp"]
    assert person.refused == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_somebody_else_does_nothing_in_the_name_of_whoever_is_signed_in(chromium, gate, callback, fay, host):
    """Another site gets no cookie; at another port of the same one the browser sends it along."""
    page, elsewhere = chromium.person(), callback.url.replace("127.0.0.1", host)
    page.goto(f"{gate.issuer}/oauth/account")
    signs_in(page, fay)
    page.wait_for_selector("text=Your account")
    form = f"<form method=post action={gate.issuer}/oauth/account><button name=answer value=sign_out>Win</button></form>"
    page.goto(elsewhere)
    page.set_content(form)
    with page.expect_navigation():
        page.get_by_role("button", name="Win").click()
    assert page.title().startswith({"127.0.0.1": "Sign in", "localhost": "That did not work"}[host]), page.title()
    page.goto(elsewhere)
    page.set_content(f"<iframe src={gate.issuer}/oauth/account></iframe>")
    frame = page.wait_for_selector("iframe").content_frame()
    frame.wait_for_load_state()
    assert frame.url.startswith("chrome-error:"), frame.content()
    page.goto(f"{gate.issuer}/oauth/account")
    assert page.title().startswith("Your account"), page.title()


def arrives(page, url: str):
    """A browser that follows a form nowhere stays where it is, and says why to nobody but the console."""
    said = []
    page.on("console", lambda message: said.append(message.text))
    try:
        page.wait_for_url(url, timeout=3_000)
    except TimeoutError:
        pytest.fail(f"still at {page.url}: {said}")


@pytest.mark.parametrize("client", ["trusted", "desk"])
def test_an_application_may_send_browsers_on_to_another_site(chromium, gate, callback, onward, fay, client):
    """The page of the sign-in and that of the question must let them through to where they do not know."""
    page = chromium.person(java_script_enabled=False)
    page.goto(Client(gate, client, redirect_uri=onward.url).url())
    signs_in(page, fay)
    if client == "desk":
        page.get_by_role("button", name="Allow").click()
    arrives(page, f"http://localhost:{callback.port}/home")


def test_an_application_may_send_browsers_on_after_a_sign_out(chromium, gate, callback, onward, fay):
    page = chromium.person(java_script_enabled=False)
    page.goto(f"{gate.issuer}/oauth/account")
    signs_in(page, fay)
    page.wait_for_selector("text=Your account")
    page.goto(f"{gate.issuer}/oauth/logout?client_id=trusted&post_logout_redirect_uri={onward.url}")
    page.get_by_role("button", name="Sign out").click()
    arrives(page, f"http://localhost:{callback.port}/home")


def test_a_program_listens_at_the_other_address_of_this_machine(chromium, gate, fay):
    program = browser_world.Callback(host="::1")
    page, trusted = chromium.person(java_script_enabled=False), Client(gate, "trusted", SECRET, redirect_uri=program.url)
    page.goto(trusted.url())
    signs_in(page, fay)
    arrives(page, f"{program.url}**")
    program.stop()
    assert "code" in trusted.back(page.url)
