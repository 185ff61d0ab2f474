"""People at a real browser, and web applications behind the gate: with and without scripts, in several tabs, and with pages of others."""

import asyncio
import html
import json
import threading

import browser_world
import pytest
import sign_in_world
import web_world
import world
from test_sign_in_browser import SIZES, examined, looked_at, signs_in
from web_world import at
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PAGE = """<!doctype html><html lang="en"><title>The wiki</title>
<p id="user">{user}</p><p id="path">{path}</p><p id="fetched"></p><p id="heard"></p>
<form method="post" action="/form"><button>Save</button></form>
<script>
  const show = (id, text) => document.getElementById(id).textContent = text;
  fetch("/data?x=1").then((answer) => answer.json()).then((said) => show("fetched", said.user));
  const socket = new WebSocket(`ws://${{location.host}}/socket`);
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (event) => show("heard", event.data);
</script>
"""


class Wiki:
    """An application with pages, scripts that fetch, and a WebSocket; it knows people by a header."""

    def __init__(self):
        self.loop, self.asked, started = asyncio.new_event_loop(), [], threading.Event()

        def answer(connection, request):
            user = request.headers.get("x-forwarded-user", "nobody")
            self.asked.append((request.path, user))
            if request.path == "/socket":
                return None
            is_data = request.path.startswith("/data")
            said = json.dumps({"user": user}) if is_data else PAGE.format(user=html.escape(user), path=html.escape(request.path))
            response = connection.respond(200, said)
            del response.headers["content-type"]
            response.headers["content-type"] = "application/json" if is_data else "text/html; charset=utf-8"
            return response

        async def talk(client):
            try:
                while True:
                    await client.send(f"{await client.recv()}, {client.request.headers.get('x-forwarded-user')}")
            except ConnectionClosed:
                pass

        async def run():
            async with serve(talk, "127.0.0.1", 0, process_request=answer) as server:
                self.port = server.sockets[0].getsockname()[1]
                started.set()
                await asyncio.Future()

        threading.Thread(target=lambda: self.loop.run_until_complete(run()), daemon=True).start()
        assert started.wait(10)


@pytest.fixture(scope="module")
def chromium():
    chromium = browser_world.Chromium()
    yield chromium
    chromium.stop()


@pytest.fixture(scope="module")
def house():
    """A gate in front of a wiki and of an application that says what it was asked, and people who have a password."""
    wiki, echo, port = Wiki(), web_world.Echo(), world.free_port()
    house = web_world.gate(world.Gate, wiki.port, port=port, more=web_world.application("echo", port, echo.port))
    house.wiki, house.echo = wiki, echo
    for user in ["ann", "bob"]:
        sign_in_world.invite(house, user, "staff")
    yield house
    assert house.stop() == 0
    echo.stop()


@pytest.fixture(scope="module")
def elsewhere():
    """A site that has nothing to do with any of them."""
    elsewhere = browser_world.Callback()
    yield elsewhere
    elsewhere.stop()


def is_asked(page):
    """That the page is the one that asks who somebody is."""
    page.wait_for_selector("#username")
    assert page.title() == "Sign in – Tollgate"


def visits(page, url: str, user: str = "ann"):
    """Opens a page of an application, and signs in."""
    page.goto(url)
    is_asked(page)
    signs_in(page, user)
    page.wait_for_url(url)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_somebody_signs_in_and_sees_the_page_that_they_opened(chromium, house, scripts):
    page, refused, url = chromium.person(java_script_enabled=scripts), [], at(house, "wiki", "/page?x=1&y=a%20b%26c")
    page.on("console", lambda said: "Content Security Policy" in said.text and refused.append(said.text))
    visits(page, url)
    assert (page.title(), page.inner_text("#user"), page.inner_text("#path")) == ("The wiki", "ann", "/page?x=1&y=a%20b%26c")
    # Another application asks for no password, and neither does the page when it is loaded again.
    assert page.goto(at(house, "echo", "/")).json()["path"] == "/"
    page.goto(url)
    assert (page.url, page.inner_text("#user")) == (url, "ann")
    assert refused == []


def test_scripts_of_the_application_fetch_and_open_websockets(chromium, house):
    page = chromium.person()
    visits(page, at(house, "wiki", "/"))
    page.wait_for_function("document.getElementById('fetched').textContent && document.getElementById('heard').textContent")
    assert (page.inner_text("#fetched"), page.inner_text("#heard")) == ("ann", "hello, ann")
    assert page.evaluate("document.cookie") == "", "scripts read no cookie of the gate"


def test_whoever_has_signed_out_is_asked_again(chromium, house):
    page = chromium.person()
    visits(page, at(house, "wiki", "/page"))
    other = page.context.new_page()
    other.goto(at(house, "echo", "/.tollgate/sign-out"))
    assert other.title() == "Sign out – Tollgate" and "signed in as ann" in other.inner_text("main")
    other.get_by_role("button", name="Sign out", exact=True).click()
    other.wait_for_function("document.title == 'Signed out – Tollgate'")
    # Scripts of a page that is open still are told so in a way that they understand,
    said = page.evaluate("fetch('/data').then(async (answer) => [answer.status, (await answer.json()).error.type])")
    assert said == [401, "unauthenticated"]
    # and whoever sends a form of it reads what to do.
    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("text=Sign in first.")
    page.get_by_role("link", name="Sign in", exact=True).click()
    is_asked(page)
    signs_in(page, "bob")
    page.wait_for_url(at(house, "wiki", "/"))
    assert page.inner_text("#user") == "bob"


def test_whoever_may_not_use_it_reads_why_and_can_be_somebody_else(chromium, house):
    # Pages let no script in: for that which looks at them they must.
    page = chromium.person(viewport=SIZES["wide"], bypass_csp=True)
    visits(page, at(house, "board", "/page"), "bob")
    assert page.title() == "That did not work – Tollgate"
    assert page.inner_text("[role=alert]") == "You may not use board: none of your groups may."
    examined(page, "web-refused")
    looked_at(page, "web-refused")
    page.get_by_role("link", name="Sign in as somebody else").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_function("document.title == 'Signed out – Tollgate'")
    page.goto(at(house, "board", "/page"))
    is_asked(page)


def test_the_page_that_says_why_looks_as_it_should(chromium, house):
    """Its style sheet is at the application's own host, and its policy lets that in."""
    page, failed = chromium.person(), []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("console", lambda said: "Content Security Policy" in said.text and failed.append(said.text))
    visits(page, at(house, "board", "/"), "bob")
    assert page.evaluate("document.styleSheets.length && document.styleSheets[0].cssRules.length") > 5
    assert failed == []


def test_two_tabs_that_sign_in_at_once_both_arrive(chromium, house):
    first = chromium.person()
    second, third = first.context.new_page(), first.context.new_page()
    tabs = {first: at(house, "wiki", "/one?x=1"), second: at(house, "wiki", "/two?x=2"), third: at(house, "echo", "/three")}
    for tab, url in tabs.items():
        tab.goto(url)
        is_asked(tab)
    # Each has a page of its own before it; the one that was opened last is sent first.
    for tab in [second, third, first]:
        tab.bring_to_front()
        tab.fill("#username", "ann")
        tab.fill("#password", sign_in_world.PASSWORD)
        tab.keyboard.press("Enter")
        tab.wait_for_url(tabs[tab])
    assert (first.inner_text("#user"), second.inner_text("#user")) == ("ann", "ann")


def asked(house, since: int) -> list:
    """With which methods an application was asked for the page; browsers look for an icon by themselves."""
    return [one["method"] for one in house.echo.asked[since:] if one["path"] == "/page"]


OPENS = """(url) => new Promise((done) => {
  const socket = new WebSocket(url);
  socket.onopen = () => done("open");
  socket.onclose = () => done("closed");
})"""


@pytest.mark.parametrize("host", ["127.0.0.1", "evil.localhost"])
def test_a_page_of_another_site_does_nothing_in_the_name_of_whoever_is_signed_in(chromium, house, elsewhere, host):
    page, url, evil = chromium.person(), at(house, "echo", "/page"), f"http://{host}:{elsewhere.port}/"
    visits(page, url)
    post = "(url) => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: 'x'}).then(() => 'sent', (why) => why.name)"
    assert page.evaluate(post, url) == "sent"
    assert asked(house, 0)[-1] == "POST", "a page of its own does"

    echo, wiki = len(house.echo.asked), len(house.wiki.asked)
    page.goto(evil)
    read = "(url) => fetch(url, {credentials: 'include', headers: %s}).then((answer) => answer.text(), (why) => why.name)"
    for headers in ["{}", "{'x-own': '1'}"]:
        assert page.evaluate(read % headers, url) == "TypeError"
    page.evaluate(post, url)
    assert page.evaluate(OPENS, at(house, "wiki", "/socket").replace("http:", "ws:")) == "closed"
    page.set_content(f"<iframe src={url}></iframe>")
    frame = page.wait_for_selector("iframe").content_frame()
    frame.wait_for_load_state()
    assert frame.url.startswith("chrome-error:"), frame.content()
    page.set_content(f"<form method=post action={url}><button>Win</button></form>")
    with page.expect_navigation():
        page.get_by_role("button", name="Win").click()
    assert page.title() == "That did not work – Tollgate"
    assert (asked(house, echo), house.wiki.asked[wiki:]) == ([], [])

    # A link to it leads to it: whoever follows one has asked for that.
    page.goto(evil)
    page.set_content(f"<a href={url}>There</a>")
    page.get_by_role("link", name="There").click()
    page.wait_for_url(url)
    assert asked(house, echo) == ["GET"]


def test_a_page_of_the_same_site_reads_nothing_and_opens_no_websocket(chromium, house, elsewhere):
    """To another port of a host, as to a neighbour's host, browsers send cookies along."""
    page, url, socket = chromium.person(), at(house, "wiki", "/page"), at(house, "wiki", "/socket").replace("http:", "ws:")
    visits(page, url)
    assert page.evaluate(OPENS, socket) == "open", "a page of its own does"
    page.goto(f"http://wiki.localhost:{elsewhere.port}/")
    before = len(house.wiki.asked)
    assert page.evaluate("(url) => fetch(url, {credentials: 'include'}).then((answer) => answer.text(), (why) => why.name)", url) == "TypeError"
    assert page.evaluate(OPENS, socket) == "closed"
    assert house.wiki.asked[before:] == [("/page", "ann")], "it has got the cookie, and no WebSocket for it"
