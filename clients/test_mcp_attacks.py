"""What one caller may try to do with what is another's, and what a call may do that had to wait."""

import json
import signal
import threading
import time

import mcp_world
import pytest
import world
from mcp_world import Client, Heard, cli, fault, text, until, who, without_session

MASTER = {"authorization": "Bearer sk-master"}
META = who(elicitation={"form": {}})
PROGRAM = json.dumps([str(world.NODE), str(mcp_world.FIXTURE), "--stdio"])
@pytest.fixture
def fixtures():
    """Makes servers."""
    made = []

    def make() -> mcp_world.Fixture:
        made.append(mcp_world.Fixture())
        return made[-1]

    yield make
    for fixture in made:
        fixture.stop()


def key(gate, name: str, *more: str) -> str:
    """A new key."""
    return cli(gate, "key", "create", name, *more, "--quiet").strip()


def stateless(client: Client, tool: str, arguments: dict, **more) -> dict:
    """Calls a tool without a session."""
    params = {"name": tool, "arguments": arguments, "_meta": META, **more}
    return client.ask("tools/call", params, **without_session("tools/call", tool))


HELD = """
master_key: sk-master
tool_servers:
  fixture: {{ url: "{url}/mcp", effects: {{ count: destructive, add: read }} }}
tools: {{ approvals: {{ hold: [destructive], wait_ms: 20000 }} }}
"""


def waiting(gate, client: Client) -> tuple[threading.Thread, list, str]:
    """A call that waits for somebody's approval, its answer when it comes, and the approval."""
    answers = []
    calling = threading.Thread(target=lambda: answers.append(client.call("count")))
    calling.start()
    pending = until(lambda: [one for one in json.loads(cli(gate, "approval", "list", "--json")) if one["state"] == "pending"])
    return calling, answers, pending[-1]["id"]


@pytest.mark.parametrize("change", [("key", "block", "bot"), ("key", "delete", "bot"), ("key", "set", "bot", "--tools", "fixture/add")])
def test_what_a_caller_may_do_is_asked_again_after_a_call_has_waited(own_gate, fixtures, change):
    gate = own_gate(config=HELD.format(url=fixtures().url))
    calling, answers, approval = waiting(gate, Client(gate, "/fixture", key=key(gate, "bot")))
    cli(gate, *change)
    cli(gate, "approval", "approve", approval)
    calling.join()
    assert fault(answers[0])["class"] in ("unauthenticated", "forbidden", "route_not_found"), answers


def test_a_call_that_waited_does_not_go_to_a_server_that_is_another_by_now(own_gate, fixtures):
    before, after = fixtures(), fixtures()
    gate = own_gate(config=HELD.format(url=before.url))
    client = Client(gate, "/fixture", key=key(gate, "bot"))
    calling, answers, approval = waiting(gate, client)
    gate.config.write_text(HELD.format(url=after.url))
    gate.process.send_signal(signal.SIGHUP)
    until(lambda: gate.logged("the configuration was reloaded"))
    cli(gate, "approval", "approve", approval)
    calling.join()
    assert fault(answers[0])["class"] == "tool_held"


def test_a_call_that_its_client_calls_off_while_it_waits_is_not_made(own_gate, fixtures):
    gate = own_gate(config=HELD.format(url=fixtures().url))
    client = Client(gate, "/fixture", key=key(gate, "bot"))
    client.begin()
    calling, answers, approval = waiting(gate, client)
    told = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 2}}
    assert mcp_world.post(client.url, told, client.headers)[0] == 202
    calling.join(10)
    assert fault(answers[0])["class"] == "client_gone"
    cli(gate, "approval", "approve", approval)
    assert not [record for record in gate.records("opened") if (record.get("tool") or {}).get("name") == "count"]


def test_what_a_shared_server_asks_is_nobodys_who_only_listens(own_gate):
    gate = own_gate(config=f"master_key: sk-master\ntool_servers: {{ p: {{ command: {PROGRAM}, shared: true, effects: {{ add: read }} }} }}")
    eve = Client(gate, "/p", key=key(gate, "eve", "--tools", "p/add"))
    eve.begin(capabilities={"elicitation": {}})
    heard = Heard(eve.url, eve.headers)
    assert text(eve.call("add", a=1, b=1)) == "2"
    asking = []
    for name in ("ann", "bob"):
        client = Client(gate, "/p", key=key(gate, name))
        client.begin(capabilities={"elicitation": {}})
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_elicitation", "arguments": {"message": f"{name}'s secret"}}}
        asking.append(Heard(client.url, client.headers, body))
    time.sleep(2)
    said = []
    while not heard.said.empty():
        said.append(heard.said.get())
    assert not [message for message in said if "elicitation" in message.get("method", "")], said
    ann = Client(gate, "/p", key=key(gate, "ann2"))
    ann.begin()
    assert ann.ask("resources/subscribe", {"uri": "test://watched-resource"})["result"] == {}
    assert text(ann.call("test_touch_resource", uri="test://watched-resource")) == "touched"
    time.sleep(0.5)
    assert heard.said.empty(), "what another has subscribed to is nobody else's"


def test_a_call_that_waits_for_an_answer_goes_on_at_its_own_server_only(own_gate, fixtures):
    gate = own_gate(
        config=f"""
master_key: sk-master
tool_servers:
  a: {{ url: "{fixtures().url}/mcp", revision: "2025-11-25", effects: {{ test_elicitation: {{ effect: write, undo: {{ tool: add, arguments: {{ a: 1, b: 2 }} }} }} }} }}
  b: {{ url: "{fixtures().url}/mcp", revision: "2025-11-25", effects: {{ test_elicitation: read }} }}
"""
    )
    bot = key(gate, "bot")
    at = {name: Client(gate, f"/{name}", key=bot) for name in ("a", "b")}
    asked = stateless(at["a"], "test_elicitation", {"message": "who?"})["result"]
    parked = at["a"].answered["x-tollgate-call-id"]
    answer = {"requestState": asked["requestState"], "inputResponses": {"1": {"action": "accept", "content": {"username": "u", "email": "e"}}}}
    assert fault(stateless(at["b"], "test_elicitation", {"message": "who?"}, **answer))["class"] == "session_over"
    assert gate.closed(parked)["tool"]["question"] is True
    until(lambda: world.get(f"{gate.url}/api/v1/traces/{parked}", MASTER)[0] == 200)
    shown = cli(gate, "undo", parked)
    assert "of which nobody knows" in shown and "it may have happened" in shown, "nobody has answered, and nobody knows what it did"
    assert "u" in text(stateless(at["a"], "test_elicitation", {"message": "who?"}, **answer))


def test_a_question_after_something_was_told_ends_the_stream_and_the_call_goes_on(own_gate, fixtures):
    gate = own_gate(config=f'tool_servers: {{ fixture: {{ url: "{fixtures().url}/mcp", revision: "2025-11-25" }} }}')
    headers = without_session("tools/call", "tell_and_ask")
    params = {"name": "tell_and_ask", "arguments": {}, "_meta": {**META, "progressToken": 7}}
    heard = Heard(f"{gate.url}/mcp/fixture", headers, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    assert heard.said.get(timeout=10)["method"] == "notifications/progress"
    asked = heard.said.get(timeout=10)["result"]
    assert asked["resultType"] == "input_required" and heard.said.get(timeout=10) is None
    more = {"requestState": asked["requestState"], "inputResponses": {"1": {"action": "accept", "content": {"go": True}}}}
    assert text(Client(gate, "/fixture").ask("tools/call", {**params, **more}, **headers)) == "said accept"


def test_a_client_that_servers_do_not_like_locks_out_no_other(own_gate, fixtures):
    gate = own_gate(config=f'master_key: sk-master\ntool_servers: {{ fixture: {{ url: "{fixtures().url}/mcp", revision: "2025-11-25" }} }}')
    assert text(Client(gate, "/fixture", key="sk-master").call("add", a=1, b=1)) == "2"
    eve = Client(gate, "/fixture", key=key(gate, "eve"))
    eve.begin(capabilities={"refuse": {}})
    assert "error" in eve.call("add", a=1, b=1)
    ann = Client(gate, "/fixture", key=key(gate, "ann"))
    ann.begin()
    assert text(ann.call("add", a=1, b=1)) == "2"


def test_a_stream_ends_with_the_right_to_it(own_gate, fixtures):
    gate = own_gate(config=f'master_key: sk-master\ntool_servers: {{ fixture: {{ url: "{fixtures().url}/mcp" }} }}')
    client = Client(gate, "/fixture", key=key(gate, "bot"))
    client.begin()
    heard = Heard(client.url, client.headers)
    assert text(client.call("add", a=1, b=1)) == "2"
    cli(gate, "key", "delete", "bot")
    until(lambda: client.ask("tools/list").get("error"))
    Client(gate, "/fixture", key="sk-master").call("test_trigger_tool_change")
    assert heard.said.get(timeout=15) is None, "it says nothing more"


def test_a_tool_that_asks_goes_on_after_its_caller_was_asked(own_gate, fixtures):
    gate = own_gate(
        config=f"""
master_key: sk-master
tool_servers:
  fixture: {{ url: "{fixtures().url}/mcp", revision: "2025-11-25", effects: {{ test_elicitation: destructive }} }}
tools: {{ approvals: {{ hold: [destructive], approver: caller, wait_ms: 300 }} }}
"""
    )
    client = Client(gate, "/fixture", key="sk-master")
    said, answers = {}, {"allow": {"action": "accept", "content": {"allow": True}}, "1": {"action": "accept", "content": {"username": "ann", "email": "a@b.c"}}}
    for _ in range(4):
        result = stateless(client, "test_elicitation", {"message": "who?"}, **said)["result"]
        if result["resultType"] == "complete":
            break
        said = {"requestState": result["requestState"], "inputResponses": {name: answers[name] for name in result["inputRequests"]}}
    assert "ann" in text({"result": result})
