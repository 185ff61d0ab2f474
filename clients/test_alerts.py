"""Alerts as others receive them: signatures checked by Standard Webhooks' own library, over a real HTTP server."""

import datetime
import json
import signal
import time

import pytest
import servers
import world
from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MASTER = {"authorization": "Bearer sk-master"}
# A short chat costs about 60 micro-dollars times 1000: 0.056 USD.
CONFIG = """
master_key: sk-master
models:
  sim: [{{ provider: simulator, price: {{ input_usd_per_mtok: 1000, output_usd_per_mtok: 2000 }} }}]
routing: {{ retries: 0, allowed_fails: 0, cooldown_ms: 50 }}
alerts:
{alerts}
{more}
"""


def config(*alerts: str, more: str = "") -> str:
    return CONFIG.format(alerts="\n".join(f"  - {{ {alert} }}" for alert in alerts), more=more)


def webhook(variable: str = "HOOK", more: str = "") -> str:
    return f'url: "${{{variable}}}", secret: "${{SECRET}}"{more}'


def env(**addresses: world.Received) -> dict[str, str]:
    return {"SECRET": SECRET, **{name: f"{received.url}/s3cret/{name}" for name, received in addresses.items()}}


def make(gate, kind: str, **said) -> dict:
    status, _, answer = world.post(f"{gate.url}/api/v1/{kind}", said, MASTER)
    assert status == 201, answer
    return json.loads(answer)


def chat(gate, key: str, text: str = "hello") -> int:
    body = {"model": "sim", "max_tokens": 20, "messages": [{"role": "user", "content": text}]}
    return world.post(f"{gate.url}/v1/chat/completions", body, {"authorization": f"Bearer {key}"})[0]


def events(gate, name: str) -> list[dict]:
    return [event for event in gate.records("event") if event["event"] == name]


def wait(what: str, ready, gate):
    return world.wait_for(ready, what, gate.process, 30)


def read(received: world.Received) -> list[dict]:
    """What was received, each checked as whoever uses the library does."""
    messages = []
    for path, headers, body in received.requests:
        assert path.startswith("/s3cret/") and headers["content-type"] == "application/json"
        message = Webhook(SECRET).verify(body, headers)
        messages.append({**message, "id": headers["webhook-id"]})
    return messages


def remembered(gate) -> bool:
    """Whether what one address was told is written down: what is not may come twice after a crash."""
    return any('"alert_' in file.read_text() for file in gate.folder.glob("data/journal/*/alerts-*.told"))


def no_secret_anywhere(gate):
    """The address and the secret are in no log and in no record."""
    for text in (gate.log.read_text(), world.journal(gate.folder / "data")):
        assert "s3cret" not in text and SECRET[6:] not in text


def test_a_budget_is_told_of_once_signed_and_to_people_in_words(own_gate):
    hook, slack = world.Received(), world.Received()
    gate = own_gate(config=config(webhook(), 'url: "${SLACK}", format: slack, events: [budget]'), env=env(HOOK=hook, SLACK=slack))
    budget = {"amount_usd": "0.1", "window": "day", "warn_percent": 50}
    key = make(gate, "keys", id="bot", alias="<!channel> <https://evil.example|`free`> & @here", budgets=[budget])["key"]
    assert chat(gate, key) == 200
    wait("two alerts", lambda: hook.requests and slack.requests, gate)
    assert chat(gate, key) == 429
    # What would come twice has come by the time that a later one has.
    tollgate_test = json.loads(world.post(f"{gate.url}/api/v1/alerts/test", {}, MASTER)[2])
    assert [(item["host"], item["format"], item["delivered"]) for item in tollgate_test["items"]] == [("127.0.0.1", "webhook", True), ("127.0.0.1", "slack", True)]
    told, test = read(hook)
    assert (told["type"], test["type"]) == ("budget", "test") and told["id"] != test["id"]
    data = told["data"]
    assert (data["holder"], data["budget"], data["percent"], data["spent_usd"], data["amount_usd"]) == ({"kind": "key", "id": "bot"}, "day", 50, "0.056", "0.1")
    assert data["since"] < told["timestamp"] < data["resets"] and "tollgate budget raise key/bot day" in data["text"]
    said, _ = [json.loads(body) for _, _, body in slack.requests]
    assert set(said) == {"text"} and not set("<>") & set(said["text"])
    assert "The budget `day` of key `bot` (`&lt;!channel&gt; &lt;https://evil.example|'free'&gt; &amp; @here`) has come to 50 %: 0.056 of 0.1 USD." in said["text"]
    no_secret_anywhere(gate)
    assert gate.stop() == 0


def test_a_receiver_that_was_away_gets_it_once_and_holds_up_no_other(own_gate):
    away, there = world.Received(status=503), world.Received()
    gate = own_gate(config=config(webhook("AWAY"), webhook("THERE")), env=env(AWAY=away, THERE=there))
    key = make(gate, "keys", id="bot", budgets=[{"amount_usd": "0.05", "window": "day", "soft": True}])["key"]
    assert chat(gate, key) == 200
    wait("the other one is told", lambda: there.requests and remembered(gate), gate)
    wait("a failure is noted", lambda: events(gate, "alert"), gate)
    # The gate is killed while it tries, and the journal has what it had not told.
    gate.process.send_signal(signal.SIGKILL)
    gate.process.wait()
    away.status = 200
    again = own_gate(config=gate.config.read_text(), env=env(AWAY=away, THERE=there), folder=str(gate.folder))
    wait("it is told now", lambda: away.requests, again)
    # Another one after it shows that nothing comes twice.
    assert chat(again, make(again, "keys", id="other", budgets=[{"amount_usd": "0.05", "window": "day", "soft": True}])["key"]) == 200
    for received in (away, there):
        wait("both are told of the other key", lambda received=received: len(received.requests) >= 2, again)
        assert [(message["data"]["holder"]["id"], message["data"]["percent"]) for message in read(received)] == [("bot", 100), ("other", 100)]
    assert [message["id"] for message in read(away)] == [message["id"] for message in read(there)]
    no_secret_anywhere(again)
    assert again.stop() == 0


def test_a_deployment_that_goes_on_failing_is_told_of_once(own_gate):
    hook = world.Received()
    gate = own_gate(config=config(webhook(more=", events: [cooldown]")), env=env(HOOK=hook))
    key = make(gate, "keys", id="bot")["key"]
    for count in range(1, 4):
        deadline = time.monotonic() + 20
        while len(events(gate, "cooldown")) < count:
            # While it rests calls are refused before they are sent.
            assert chat(gate, key, "simulate: 500") >= 500 and time.monotonic() < deadline
    make(gate, "keys", id="spends", budgets=[{"amount_usd": "0.05", "window": "day"}])
    wait("an alert", lambda: hook.requests, gate)
    status, _, _ = world.post(f"{gate.url}/api/v1/alerts/test", {}, MASTER)
    assert status == 200
    told, _ = read(hook)
    assert (told["type"], told["data"]["deployment"], told["data"]["model"], told["data"]["fault"]) == ("cooldown", "simulator/sim", "sim", "upstream_failed")
    assert world.get(f"{gate.url}/api/v1/calls/{told['data']['call_id']}", MASTER)[0] == 200
    assert gate.stop() == 0


def ends_in_a_day(seconds: float) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1, seconds=seconds)).isoformat()


def test_a_key_that_ends_is_told_of_also_when_its_time_came_while_the_gate_was_away(own_gate):
    hook = world.Received()
    gate = own_gate(config=config(webhook(), more="key_expiring_days: [1]"), env=env(HOOK=hook))
    make(gate, "teams", id="search")
    made = make(gate, "keys", id="nightly", team="search", expires_at=ends_in_a_day(1.5))
    make(gate, "keys", id="short", expires_at=ends_in_a_day(-3600))
    make(gate, "keys", id="later", expires_at=ends_in_a_day(86_400))
    looked = next(gate.folder.glob("data/journal/*/key_expiring.looked"))
    assert gate.stop() == 0
    # Its time comes now: a day before its end.
    due = datetime.datetime.fromisoformat(made["expires_at"]) - datetime.timedelta(days=1)
    time.sleep(max(0.0, (due - datetime.datetime.now(datetime.UTC)).total_seconds()) + 0.1)
    for _ in range(2):
        before = looked.read_text()
        gate = own_gate(config=gate.config.read_text(), env=env(HOOK=hook), folder=str(gate.folder))
        wait("it was looked", lambda before=before: looked.read_text() != before, gate)
        wait("an alert", lambda: hook.requests, gate)
        assert gate.stop() == 0
    assert [event["detail"]["key"] for event in events(gate, "key_expiring")] == ["nightly"]
    (told,) = read(hook)
    assert (told["type"], told["data"]["key"], told["data"]["team"], told["data"]["lead_days"]) == ("key_expiring", "nightly", "search", 1)
    assert told["data"]["ends_at"] == made["expires_at"] and made["key"] not in world.journal(gate.folder / "data")


@pytest.fixture
def postgres():
    server = servers.Postgres()
    server.start()
    yield server
    server.remove()


def test_of_two_instances_one_tells(own_gate, postgres):
    hook = world.Received()
    text = config(webhook(), more='key_expiring_days: [1]\ndatabase_url: "${PG}"')
    variables = {**env(HOOK=hook), "PG": postgres.url}
    gates = [own_gate(config=text, env=variables) for _ in range(2)]
    made = make(gates[0], "keys", id="nightly", expires_at=ends_in_a_day(1.0))
    for gate in gates:
        wait("it was looked", lambda gate=gate: list(gate.folder.glob("data/journal/*/key_expiring.looked")), gate)
        assert gate.stop() == 0
    due = datetime.datetime.fromisoformat(made["expires_at"]) - datetime.timedelta(days=1)
    time.sleep(max(0.0, (due - datetime.datetime.now(datetime.UTC)).total_seconds()) + 0.1)
    gates = [own_gate(config=text, env=variables, folder=str(gate.folder)) for gate in gates]
    for gate in gates:
        wait("both have seen it", lambda gate=gate: events(gate, "key_expiring"), gate)
        # Whatever it has told or not is written down.
        wait("both have decided", lambda gate=gate: remembered(gate), gate)
    (told,) = read(hook)
    assert told["data"]["key"] == "nightly"


def test_what_cannot_be_is_said_before_anything_starts(tmp_path):
    cases = [
        ("url: https://h.example/s3cret", "a webhook needs a `secret`"),
        ("url: https://h.example/s3cret, secret: whsec_c2hvcnQ=", "24 to 64 bytes"),
        ("url: https://h.example/s3cret, secret: not-base64-s3cret", "24 to 64 bytes"),
        (f"url: https://h.example/s3cret, secret: {SECRET}, unsigned: true", "says that there is none"),
        (f"url: https://h.example/s3cret, format: slack, secret: {SECRET}", "has no signature"),
        ("url: https://h.example/s3cret, unsigned: true, events: [budgets]", "did you mean `budget`?"),
        ("url: https://h.example/s3cret, unsigned: true, events: []", "`alerts.events` is empty"),
        ("url: s3cret, unsigned: true", "an address begins with http:// or https://"),
        ('url: "${NOWHERE}", unsigned: true', "NOWHERE is not set"),
        ("url: https://h.example/s3cret, unsigned: true }\n  - { url: https://h.example/s3cret, unsigned: true", "the same address twice"),
        ("url: https://h.example/s3cret, unsigned: true, colour: red", "unknown member `colour`"),
    ]
    for alert, why in cases:
        file = tmp_path / "tollgate.yaml"
        file.write_text(config(alert))
        said = world.tollgate("check", file, status=1)
        assert why in said and "s3cret" not in said and SECRET not in said, said
    file.write_text(config("url: https://h.example/, unsigned: true", more="key_expiring_days: [0]"))
    assert "each from 1 to" in world.tollgate("check", file, status=1)


def test_the_command_says_what_became_of_a_test(own_gate):
    good, bad = world.Received(), world.Received(status=403)
    gate = own_gate(config=config(webhook("GOOD"), webhook("BAD")), env=env(GOOD=good, BAD=bad))
    said = world.tollgate("alerts", "test", gate=gate, env={"TOLLGATE_KEY": "sk-master"}, status=1)
    assert "127.0.0.1  webhook  taken" in said and "127.0.0.1  webhook  the server answered 403" in said and "not every test alert was taken" in said
    bad.status = 200
    world.tollgate("alerts", "test", gate=gate, env={"TOLLGATE_KEY": "sk-master"})
    assert [message["type"] for message in read(good)] == ["test", "test"] and len(bad.requests) == 1
    noted = events(gate, "alert_test")
    assert (len(noted), noted[0]["detail"]["by"]["sub"]["kind"]) == (2, "master")
    silent = own_gate("--model", "simulator/m")
    assert "tells nobody" in world.tollgate("alerts", "test", gate=silent, status=1)
