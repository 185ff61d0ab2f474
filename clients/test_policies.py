"""Rules for calls, in CEL: of tools and of models."""

import subprocess

import mcp_world
import pytest
import world
from mcp_world import Client, cli, fault, post, text

MASTER = {"authorization": "Bearer sk-master"}

CONFIG = """
master_key: sk-master
models: {{ cheap: [{{ provider: simulator }}], dear: [{{ provider: simulator }}] }}
tool_servers:
  fixture: {{ url: "{url}/mcp", effects: {{ add: read, test_simple_text: write }} }}
policies:
  - name: interns-read
    deny: 'principal.team == "interns" && surface == "mcp" && method == "tools/call" && effect != "read"'
    message: interns may only read
  - name: cheap-models
    deny: 'principal.team == "interns" && model == "dear"'
  - name: small-numbers
    deny: 'tool == "add" && arguments.a > 100'
  - name: large-sums
    hold: 'tool == "add" && arguments.b > 100'
  - name: asked-for
    deny: 'tool == "slow" && trace.asked == "no"'
  - name: careless
    deny: 'tool == "test_image_content" && arguments.missing == 1'
tools: {{ approvals: {{ wait_ms: 1 }} }}
"""


@pytest.fixture(scope="module")
def gate():
    fixture = mcp_world.Fixture()
    gate = world.Gate(config=CONFIG.format(url=fixture.url))
    post(f"{gate.url}/api/v1/teams", {"id": "interns"}, MASTER)
    yield gate
    assert gate.stop() == 0
    fixture.stop()


def intern(gate) -> str:
    """A key of the team of interns."""
    return post(f"{gate.url}/api/v1/keys", {"team": "interns"}, MASTER)[1]["key"]


def test_a_tool_that_may_not_be_called_is_not_listed_and_not_called(gate):
    ann = Client(gate, "/fixture", key=intern(gate))
    assert ann.tools() == ["add"]
    assert len(Client(gate, "/fixture", key="sk-master").tools()) > 10
    refused = ann.call("test_simple_text")
    assert fault(refused)["class"] == "forbidden"
    assert "interns may only read (policy `interns-read`)" in refused["error"]["message"]
    record = gate.closed(fault(refused)["call_id"])
    assert (record["outcome"], record["tool"]["name"], record["fault"]["class"]) == ("refused", "test_simple_text", "forbidden")
    assert text(ann.call("add", a=1, b=2)) == "3"


def test_rules_see_arguments_and_traces(gate):
    boss = Client(gate, "/fixture", key="sk-master")
    assert text(boss.call("add", a=100, b=1)) == "101"
    assert "small-numbers" in boss.call("add", a=101, b=1)["error"]["message"]
    assert "asked-for" in boss.call("slow", ms=1)["error"]["message"], "no model asked for it"
    held = boss.call("add", a=1, b=101)
    assert fault(held)["class"] == "approval_pending"
    assert "the policy `large-sums` says so" in cli(gate, "approval", "list", "--json")


def test_a_rule_that_cannot_be_decided_refuses(gate):
    careless = Client(gate, "/fixture", key="sk-master").call("test_image_content")
    assert "cannot be decided of this call" in careless["error"]["message"]
    assert "test_image_content" in Client(gate, "/fixture", key="sk-master").tools(), "it might be called otherwise"


def test_what_a_rule_says_of_arguments_does_not_concern_calls_without_any(own_gate):
    fixture = mcp_world.Fixture()
    config = CONFIG.format(url=fixture.url).split("policies:")[0] + "policies: [{ name: small, deny: 'arguments.a > 100' }]"
    gate = own_gate(config=config)
    boss = Client(gate, "/fixture", key="sk-master")
    assert "add" in boss.tools()
    assert text(boss.call("add", a=1, b=1)) == "2"
    assert "policy `small`" in boss.call("add", a=101, b=1)["error"]["message"]
    assert "cannot be decided" in boss.call("test_simple_text")["error"]["message"], "it has arguments, and not this one"
    body = {"model": "dear", "messages": [{"role": "user", "content": "hello"}]}
    assert post(f"{gate.url}/v1/chat/completions", body, MASTER)[0] == 200
    fixture.stop()


def test_models_have_rules_too(gate):
    auth = {"authorization": f"Bearer {intern(gate)}"}
    prompt = {"messages": [{"role": "user", "content": "hello"}]}
    assert post(f"{gate.url}/v1/chat/completions", {"model": "cheap", **prompt}, auth)[0] == 200
    status, body, _ = post(f"{gate.url}/v1/chat/completions", {"model": "dear", **prompt}, auth)
    assert status == 403 and "cheap-models" in body["error"]["message"]
    assert post(f"{gate.url}/v1/chat/completions", {"model": "dear", **prompt}, MASTER)[0] == 200


def test_what_can_be_called_how_often_depends_on_what_it_can_change(gate):
    bob = cli(gate, "key", "create", "bob", "--limit", "requests:write+destructive=2/hour", "--quiet").strip()
    client = Client(gate, "/fixture", key=bob)
    assert text(client.call("test_simple_text")).startswith("This is")
    for _ in range(5):
        assert text(client.call("add", a=1, b=1)) == "2", "reads are not counted"
    assert text(client.call("test_simple_text")).startswith("This is")
    refused = fault(client.call("test_simple_text"))
    assert refused["class"] == "limit_exceeded" and refused["retry_after_ms"] > 0
    assert text(client.call("add", a=1, b=1)) == "2"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{ name: a, deny: 'now > 3' }", "there is no `now`"),
        ("{ name: a, deny: 'tool ==' }", "the policy `a`"),
        ("{ name: a }", "either `deny` or `hold`"),
        ("{ name: a, deny: 'true', hold: 'true' }", "either `deny` or `hold`"),
        ("{ name: a, deny: 'true' }, { name: a, deny: 'true' }", "two policies `a`"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_before_anything_starts(tmp_path, rule, said):
    file = tmp_path / "tollgate.yaml"
    file.write_text(f"models: {{ m: [{{ provider: simulator }}] }}\npolicies: [{rule}]\n")
    done = subprocess.run([world.binary(), "check", file], capture_output=True, text=True)
    assert done.returncode != 0 and said in done.stderr, done.stderr
