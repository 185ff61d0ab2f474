"""Tools over several instances: what servers keep for a client is at one of them, and each of them answers."""

import json
import signal
import time
import urllib.request

import mcp_world
import pytest
import world
from mcp_world import Client, fault, post, text, until, who, without_session

MASTER = {"authorization": "Bearer sk-master"}
PROGRAM = json.dumps([str(world.NODE), str(mcp_world.FIXTURE), "--stdio"])
SECRET = "0123456789abcdef0123456789abcdef"
CONFIG = """
master_key: sk-master
secrets_key: {secret}
{more}
tool_servers:
  program: {{ command: {program}, effects: {{ count: write }} }}
  fixture: {{ url: "{url}/mcp", effects: {{ count: write }} }}
"""
SHARED = """
database_url: ${{PG}}
advertise_url: http://127.0.0.1:{port}
budgets: {{ lease_ms: 2000 }}
"""


class Fleet:
    """Gates that hand requests on to each other."""

    def __init__(self, own_gate, postgres, fixture, count: int = 2):
        self.gates, database = [], postgres.database()
        for _ in range(count):
            port = world.free_port()
            config = CONFIG.format(secret=SECRET, more=SHARED.format(port=port), program=PROGRAM, url=fixture.url)
            self.gates.append(own_gate("--port", str(port), config=config, env={"PG": database}))
        for gate in self.gates:
            until(lambda gate=gate: self.others(gate) == count - 1)

    def others(self, gate) -> int:
        """How many other instances a gate can hand requests on to."""
        metrics = world.get(f"{gate.url}/metrics", MASTER)[1].decode()
        return next(int(line.split()[-1]) for line in metrics.splitlines() if line.startswith("tollgate_peers "))

    def sent_to(self, which: int, client: Client) -> Client:
        """The same client, whom the load balancer sends to this gate."""
        other = Client(self.gates[which], key="sk-master")
        other.headers, other.ids = client.headers, client.ids
        return other

    def begun(self) -> tuple[Client, int]:
        """A client that has called the server once, and which gate has that on record."""
        client = Client(self.gates[0], key="sk-master")
        client.begin()
        assert text(client.call("fixture__count")) == "1"
        return client, next(which for which, gate in enumerate(self.gates) if counted(gate))


def counted(gate) -> list[dict]:
    """What a gate has on record of calls of the tool that counts."""
    opened = {entry["call_id"]: entry for entry in gate.records("opened")}
    return [entry for entry in gate.records("closed") if ((opened.get(entry["call_id"]) or entry).get("tool") or {}).get("name") == "count"]


def renewed(answer: dict) -> bool:
    """Whether the server had forgotten the client."""
    return answer["result"].get("_meta", {}).get("tollgate/session_renewed", False)


@pytest.mark.parametrize("server", ["fixture", "program"])
def test_a_session_is_at_one_instance_and_works_at_each(own_gate, postgres, fixture, server):
    fleet = Fleet(own_gate, postgres, fixture)
    clients = [Client(fleet.gates[which], key="sk-master") for which in (0, 1)]
    for one in clients:
        one.begin()
    counts = [text(fleet.sent_to(turn % 2, clients[0]).call(f"{server}__count")) for turn in range(6)]
    assert counts == ["1", "2", "3", "4", "5", "6"], "there is one session with the server"
    assert sorted(len(counted(gate)) for gate in fleet.gates) == [0, 6], "one instance did all of it, and recorded it"
    other = fleet.sent_to(0, clients[1]).call(f"{server}__count")
    # A program is the principal's, and all that is the principal's has one home; sessions over HTTP are each client's.
    assert text(other) == ("7" if server == "program" else "1")


def test_a_client_without_sessions_has_a_home_too(own_gate, postgres, fixture):
    fleet = Fleet(own_gate, postgres, fixture)
    for turn in range(4):
        client = Client(fleet.gates[turn % 2], key="sk-master")
        params = {"name": "program__count", "arguments": {}, "_meta": who()}
        answer = client.ask("tools/call", params, **without_session("tools/call", "program__count"))
        assert text(answer) == str(turn + 1)


def test_an_answer_finds_the_question_through_another_instance(own_gate, postgres, fixture):
    fleet = Fleet(own_gate, postgres, fixture)
    one = Client(fleet.gates[0], key="sk-master")
    one.begin(capabilities={"elicitation": {}})
    message = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "fixture__test_elicitation", "arguments": {"message": "who?"}}}
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", **one.headers}
    request = urllib.request.Request(f"{fleet.gates[0].url}/mcp", data=json.dumps(message).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=30) as stream:
        said = (json.loads(line[6:]) for line in stream if line.startswith(b"data: {"))
        question = next(said)
        assert question["method"] == "elicitation/create"
        answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"username": "ann", "email": "a@b.c"}}}
        assert post(f"{fleet.gates[1].url}/mcp", answer, one.headers)[0] == 202
        assert "ann" in text(next(said))


def test_an_instance_that_dies_takes_its_sessions_along_and_says_so(own_gate, postgres, fixture):
    fleet = Fleet(own_gate, postgres, fixture)
    one, dead = fleet.begun()
    fleet.gates[dead].process.send_signal(signal.SIGKILL)
    left = fleet.sent_to(1 - dead, one)
    # Each connection that was open may have carried one call.
    answers = [left.call("fixture__count")]
    while fault(answers[-1])["class"] == "lost" and len(answers) < 10:
        answers.append(left.call("fixture__count"))
    *lost, away = answers
    assert {fault(answer)["side_effect"] for answer in lost} <= {"possible"}
    assert (fault(away)["class"], fault(away)["retryable"], fault(away)["side_effect"]) == ("instance_away", True, "none")
    assert fleet.gates[1 - dead].closed(fault(away)["call_id"])["outcome"] == "refused", "what came to nothing is on record"
    until(lambda: "result" in left.call("fixture__add", a=1, b=1))
    answer = left.call("fixture__count")
    assert text(answer) in ("1", "2")
    attempts = [attempt for entry in fleet.gates[1 - dead].records("closed") for attempt in entry.get("attempts", [])]
    assert any(attempt.get("fault") == "session_lost" for attempt in attempts), "never silently"
    assert not renewed(left.call("fixture__count")), "it is told once"


def test_an_instance_that_stops_gives_its_sessions_up_at_once(own_gate, postgres, fixture):
    fleet = Fleet(own_gate, postgres, fixture)
    one, home = fleet.begun()
    assert fleet.gates[home].stop() == 0
    answer = fleet.sent_to(1 - home, one).call("fixture__count")
    assert (text(answer), renewed(answer)) == ("1", True)


def test_those_who_are_left_agree_where_a_session_is_from_now_on(own_gate, postgres, fixture):
    fleet = Fleet(own_gate, postgres, fixture, count=3)
    one, home = fleet.begun()
    assert fleet.gates[home].stop() == 0
    left = [which for which in range(3) if which != home]
    for which in left:
        until(lambda which=which: fleet.others(fleet.gates[which]) == 1)
    answers = [fleet.sent_to(left[turn % 2], one).call("fixture__count") for turn in range(4)]
    assert [(text(answer), renewed(answer)) for answer in answers] == [("1", True), ("2", False), ("3", False), ("4", False)]


def test_what_is_approved_at_one_instance_may_be_called_at_another(own_gate, postgres, fixture):
    fleet = Fleet(own_gate, postgres, fixture)
    for gate in fleet.gates:
        gate.config.write_text(gate.config.read_text() + "tools: { approvals: { tools: [fixture/add], wait_ms: 1 } }\n")
        gate.process.send_signal(signal.SIGHUP)
        until(lambda gate=gate: gate.logged("the configuration was reloaded"))
    clients = [Client(gate, "/fixture", key="sk-master") for gate in fleet.gates]
    for client in clients:
        client.begin()
        assert fault(client.call("add", a=1, b=2))["class"] == "approval_pending"
    listed = []
    # What is asked at one instance the others know within a second.
    until(lambda: listed.extend(json.loads(mcp_world.cli(fleet.gates[0], "approval", "list", "--json"))) or listed)
    pending = list({one["id"]: one for one in listed}.values())
    assert len(pending) == 1, "the same call is asked about once"
    other = post(f"{fleet.gates[0].url}/api/v1/keys", {"role": "admin"}, MASTER)[1]["key"]
    mcp_world.cli(fleet.gates[0], "approval", "approve", pending[0]["id"], key=other)
    until(lambda: "result" in clients[1].call("add", a=1, b=2))


def test_after_a_restart_a_session_goes_on_and_what_servers_forgot_is_said(own_gate, fixture):
    config = CONFIG.format(secret=SECRET, more="", program=PROGRAM, url=fixture.url)
    gate = own_gate(config=config)
    one = Client(gate, key="sk-master")
    one.begin()
    assert text(one.call("program__count")) == "1"
    gate.stop()
    again = own_gate(config=config, folder=str(gate.folder))
    other = Client(again, key="sk-master")
    other.headers = one.headers
    answer = other.call("program__count")
    assert (text(answer), renewed(answer)) == ("1", True)
    attempts = again.closed(other.answered["x-tollgate-call-id"])["attempts"]
    assert [attempt.get("fault") for attempt in attempts] == ["session_lost", None]
    answer = other.call("program__count")
    assert (text(answer), renewed(answer)) == ("2", False)


def test_what_no_instance_has_signed_is_not_taken(own_gate, postgres, fixture):
    """Otherwise anybody could say from which address they come."""
    fleet = Fleet(own_gate, postgres, fixture)
    gate = fleet.gates[0]
    digest = "0" * 64
    for header in ["", "10.0.0.1", f"10.0.0.1 {int(time.time())} 01234567-89ab-7def-8123-456789abcdef {digest} {digest}", "x" * 1_000]:
        status, _, _ = post(f"{gate.url}/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, {**MASTER, "x-tollgate-handed-on": header})
        assert status == 403, header
