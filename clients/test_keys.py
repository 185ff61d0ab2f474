"""Keys, budgets and limits from outside: made by the command line, met by the real SDK, still there after a crash."""

import json

import openai
import pytest
import world

MASTER = {"TOLLGATE_KEY": "sk-master-key"}

# A call of `hello` with 20 tokens at most costs 0.054 USD, and 0.06 are held for it.
CONFIG = """
master_key: sk-master-key
models:
  sim: [{ provider: simulator, price: { input_usd_per_mtok: 1000, output_usd_per_mtok: 2000 } }]
  other: [{ provider: simulator, price: { input_usd_per_mtok: 1000, output_usd_per_mtok: 2000 } }]
"""


def run(gate, *arguments, key: str | None = None, status: int = 0) -> str:
    """What a command prints, without the end of its last line."""
    return world.tollgate(*arguments, gate=gate, env={"TOLLGATE_KEY": key} if key else MASTER, status=status).rstrip("\n")


def client(gate, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gate.url}/v1", api_key=key)


def hello(gate, key: str, model: str = "sim") -> str:
    answer = client(gate, key).chat.completions.create(model=model, max_tokens=20, messages=[{"role": "user", "content": "hello"}])
    return answer.choices[0].message.content


def spend(gate, *arguments, calls: int) -> dict:
    """Who spent what, once the index has seen so many calls."""
    ask = lambda: json.loads(run(gate, "spend", "--json", *arguments))  # noqa: E731
    return world.wait_for(lambda: (got := ask())["total"]["calls"] >= calls and got, "the index", gate.process)


def test_a_key_meets_its_budget_and_the_sdk_does_not_try_again(own_gate):
    gate = own_gate(config=CONFIG)
    key = run(gate, "key", "create", "bot", "--budget", "0.1/day", "--models", "sim", "--quiet")
    assert key.startswith("sk-tg-") and "\n" not in key, "the secret alone"
    assert "hello" in hello(gate, key)
    with pytest.raises(openai.RateLimitError) as refused:
        hello(gate, key)
    assert refused.value.code == "budget_exceeded" and refused.value.response.headers["x-should-retry"] == "false"
    assert "of 0.1 USD today, 0.054 are spent" in refused.value.message and "this call may cost 0.06 USD" in refused.value.message
    outcomes = [entry["outcome"] for entry in gate.records()]
    assert outcomes == ["ok", "refused"], "the SDK has tried once"
    with pytest.raises(openai.PermissionDeniedError, match="may not call the model `other`"):
        hello(gate, key, "other")
    run(gate, "budget", "raise", "key/bot", "day", "--by", "1", "--until", "1h")
    assert "hello" in hello(gate, key)
    listed = json.loads(run(gate, "budget", "list", "key/bot", "--json"))
    assert (listed["standing"][0]["of"], listed["standing"][0]["spent"]) == ("1.1", "0.108")
    run(gate, "budget", "set", "key/bot", "0.1/day")
    with pytest.raises(openai.RateLimitError):
        hello(gate, key)


def test_a_limit_says_how_long_to_wait(own_gate):
    gate = own_gate(config=CONFIG)
    run(gate, "team", "create", "red", "--limit", "requests=2/day")
    keys = [run(gate, "key", "create", "--team", "red", "--quiet") for _ in range(2)]
    for key in keys:
        hello(gate, key)
    with pytest.raises(openai.RateLimitError) as refused:
        client(gate, keys[0]).with_options(max_retries=0).chat.completions.create(model="sim", messages=[{"role": "user", "content": "hello"}])
    assert refused.value.code == "rate_limit_exceeded" and "the limit `requests-day` of team `red` is reached" in refused.value.message
    assert 0 < int(refused.value.response.headers["retry-after"]) <= 86_400
    assert "x-should-retry" not in refused.value.response.headers


def test_a_key_is_blocked_rotated_and_deleted(own_gate):
    gate = own_gate(config=CONFIG)
    key = run(gate, "key", "create", "--id", "bot", "--quiet")
    run(gate, "key", "block", "bot")
    with pytest.raises(openai.PermissionDeniedError, match="the key `bot` is blocked"):
        hello(gate, key)
    run(gate, "key", "unblock", "bot")
    new = run(gate, "key", "rotate", "bot", "--grace", "1h", "--quiet")
    assert new != key and hello(gate, key) == hello(gate, new)
    newest = run(gate, "key", "rotate", "bot", "--quiet")
    for gone in [key, new]:
        with pytest.raises(openai.AuthenticationError):
            hello(gate, gone)
    assert "hello" in hello(gate, newest)
    run(gate, "key", "delete", "bot")
    with pytest.raises(openai.AuthenticationError):
        hello(gate, newest)
    assert "there is no key `bot`" in run(gate, "key", "show", "bot", status=1)
    kept = b"".join(path.read_bytes() for path in (gate.folder / "data").rglob("*") if path.is_file())
    assert not any(secret.encode() in kept for secret in [key, new, newest]), "no secret is kept"


def test_keys_and_what_they_spent_outlive_a_crash(own_gate):
    gate = own_gate(config=CONFIG)
    run(gate, "team", "create", "red", "--budget", "0.2/month")
    key = run(gate, "key", "create", "bot", "--team", "red", "--quiet")
    hello(gate, key)
    hello(gate, key, "other")
    gate.process.kill()
    gate.process.wait()
    again = own_gate(config=CONFIG, folder=str(gate.folder))
    assert "0.108" in run(again, "budget", "list", "team/red")
    hello(again, key)
    with pytest.raises(openai.RateLimitError, match="of 0.2 USD this month, 0.162 are spent"):
        hello(again, key)
    spent = spend(again, "--by", "model,team", calls=4)
    rows = [(row["model"], row["team"], row["calls"], row["failed_calls"], row["cost_nano_usd"]) for row in spent["rows"]]
    assert rows == [("sim", "red", 2, 0, 108_000_000), ("other", "red", 1, 0, 54_000_000), ("", "red", 1, 1, 0)]
    table = run(again, "spend", "--by", "model,team").splitlines()
    assert table[0].split() == ["team", "model", "calls", "failed", "tokens", "in", "out", "USD"] and table[-1].endswith("0.162")
    assert run(again, "spend", "--by", "key", "--csv").splitlines()[1] == "bot,4,1,60,51,0.162,0"
    # An index that is made anew counts nothing twice, and the folder of a stopped gate answers too.
    assert again.stop() == 0
    data = gate.folder / "data"
    for more in [[], ["--spend"]]:
        world.tollgate("journal", "reindex", "--data-dir", data, *more)
        assert json.loads(world.tollgate("spend", "--by", "model,team", "--json", "--data-dir", data)) == spent


def test_everybody_sees_what_is_theirs(own_gate):
    gate = own_gate(config=CONFIG)
    for team in ["red", "blue"]:
        run(gate, "team", "create", team)
    key = {name: run(gate, "key", "create", name, *more, "--quiet") for name, more in {
        "root": ["--role", "admin"],
        "lead": ["--role", "team_admin", "--team", "red"],
        "red": ["--team", "red"],
        "blue": ["--team", "blue"],
    }.items()}
    for name in ["red", "blue"]:
        hello(gate, key[name])
    spend(gate, calls=2)
    seen = lambda who, *more: run(gate, "spend", "--by", "key", "--csv", *more, key=key[who]).splitlines()[1:]  # noqa: E731
    red, blue = "red,1,0,20,17,0.054,0", "blue,1,0,20,17,0.054,0"
    assert sorted(seen("root")) == [blue, red] and seen("lead") == [red] and seen("red") == [red] and seen("blue") == [blue]
    assert "sees the spend of the team `red` only" in run(gate, "spend", "--team", "blue", key=key["lead"], status=1)
    assert [item["id"] for item in json.loads(run(gate, "key", "list", "--json", key=key["lead"]))] == ["lead", "red"]
    made = run(gate, "key", "create", "more", "--quiet", key=key["lead"])
    assert "hello" in hello(gate, made)
    assert "may not" in run(gate, "key", "create", key=key["red"], status=1)
    assert "no calls" in run(gate, "calls", "--team", "green", key=key["root"])


def test_end_users_and_tags_are_counted(own_gate):
    gate = own_gate(config=CONFIG)
    key = run(gate, "key", "create", "app", "--quiet")
    for user, tags in [("u1", "batch,night"), ("u2", "batch"), ("u1", "")]:
        client(gate, key).chat.completions.create(model="sim", user=user, messages=[{"role": "user", "content": "hello"}], extra_headers={"x-tollgate-tags": tags})
    rows = lambda by, of: [(row[of], row["calls"]) for row in spend(gate, "--by", by, calls=3)["rows"]]  # noqa: E731
    assert rows("end_user,key", "end_user") == [("u1", 2), ("u2", 1)] and rows("tag", "tag") == [("batch", 2), ("night", 1)]


def test_what_makes_no_sense_is_said_so(own_gate):
    gate = own_gate(config=CONFIG)
    for wrong in [["--budget", "10"], ["--budget", "10/fortnight"], ["--limit", "requests=many/day"], ["--role", "god"], ["--expires", "soonish"]]:
        assert "--help" in run(gate, "key", "create", *wrong, status=2), wrong
    assert "write key/ID" in run(gate, "budget", "list", "bot", status=2)
    assert "spend is not known by" in run(gate, "spend", "--by", "colour", status=2)
    assert "there is no team" in run(gate, "key", "create", "--team", "nobody", status=1)
    run(gate, "team", "create", "red")
    run(gate, "key", "create", "k", "--team", "red")
    assert "already" in run(gate, "key", "create", "k", status=1)
    assert "1 keys belong to it" in run(gate, "team", "delete", "red", status=1)
    assert "TOLLGATE_KEY" in run(gate, "key", "list", key="sk-wrong", status=1)
