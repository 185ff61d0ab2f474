"""LiteLLM's management routes from outside: plain HTTP, as scripts send it, and an SDK with the keys that they make."""

import json
import urllib.parse

import openai
import pytest
import world

MASTER = "sk-master-1234"
CONFIG = f"""
master_key: {MASTER}
models:
  sim: [{{ provider: simulator, price: {{ input_usd_per_mtok: 1000, output_usd_per_mtok: 2000 }} }}]
  other: [{{ provider: simulator, price: {{ input_usd_per_mtok: 1000, output_usd_per_mtok: 2000 }} }}]
routing: {{ retries: 0 }}
"""


class Api:
    """LiteLLM's routes, as whoever holds `key`."""

    def __init__(self, gate: world.Gate, key: str = MASTER):
        self.gate, self.key = gate, key

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def sent(self, path: str, **body) -> tuple[int, dict]:
        status, _, answer = world.post(f"{self.gate.url}{path}", body, self.headers())
        return status, json.loads(answer)

    def post(self, path: str, **body) -> dict:
        status, answer = self.sent(path, **body)
        assert status == 200, (path, status, answer)
        return answer

    def get(self, path: str, **query) -> dict:
        status, answer = self.got(path, **query)
        assert status == 200, (path, status, answer)
        return answer

    def got(self, path: str, **query) -> tuple[int, dict]:
        status, answer = world.get(f"{self.gate.url}{path}?{urllib.parse.urlencode(query)}", self.headers())
        return status, json.loads(answer)


def call(gate: world.Gate, key: str, model: str = "sim", text: str = "hello") -> int:
    """The status of a call through the SDK."""
    client = openai.OpenAI(base_url=f"{gate.url}/v1", api_key=key, max_retries=0)
    try:
        answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], max_tokens=10)
    except openai.APIStatusError as error:
        return error.status_code
    assert answer.choices[0].message.content
    return 200


@pytest.fixture
def api(own_gate):
    return Api(own_gate(config=CONFIG))


def test_the_life_of_a_key(api):
    made = api.post("/key/generate", key_alias="ci", models=["sim"], max_budget=10, budget_duration="30d", metadata={"app": "x"})
    key, token = made["key"], made["token"]
    assert call(api.gate, key) == 200
    assert call(api.gate, key, model="other") == 403
    info = api.get("/key/info", key=key)
    assert info["key"] == token and 0 < info["info"]["spend"] < 1 and info["info"]["budget_reset_at"]
    assert api.get("/key/info", key=token)["info"]["key_alias"] == "ci"
    assert Api(api.gate, key).get("/key/info")["info"]["spend"] == info["info"]["spend"], "a key sees itself"
    assert api.post("/key/update", key=key, models=["other"], rpm_limit=2)["max_budget"] == 10
    assert call(api.gate, key) == 403
    assert [call(api.gate, key, model="other") for _ in range(3)] == [200, 200, 429]
    api.post("/key/update", key=key, rpm_limit=None)
    api.post("/key/block", key=key)
    assert call(api.gate, key, model="other") == 403
    api.post("/key/unblock", key=key)
    assert call(api.gate, key, model="other") == 200
    renewed = api.post(f"/key/{token}/regenerate")
    assert call(api.gate, key, model="other") == 401 and call(api.gate, renewed["key"], model="other") == 200
    assert api.get("/key/info", key=renewed["key"])["info"]["spend"] > info["info"]["spend"], "what was spent stays"
    assert api.get("/key/list", key_alias="ci")["keys"] == [renewed["token"]]
    assert api.post("/key/delete", keys=[renewed["key"]])
    assert call(api.gate, renewed["key"], model="other") == 401
    assert api.get("/key/list") == {"keys": [], "total_count": 0, "current_page": 1, "total_pages": 0}
    secrets = world.journal(api.gate.folder / "data")
    assert key not in secrets and renewed["key"] not in secrets and token not in secrets


def test_a_key_that_clients_have_already(api):
    chosen = "sk-of-long-ago-0123456789"
    assert api.post("/key/generate", key=chosen)["key"] == chosen
    assert call(api.gate, chosen) == 200
    status, answer = api.sent("/key/generate", key="sk-short")
    assert (status, answer["error"]["param"], answer["error"]["type"]) == (422, "key", "validation_error")
    assert chosen not in world.journal(api.gate.folder / "data")


def test_a_teams_budget_refuses(api):
    team = api.post("/team/new", team_alias="search", max_budget=0.06, members_with_roles=[{"user_id": "ann", "role": "admin"}])
    team_id = team["team_id"]
    keys = [api.post("/key/generate", team_id=team_id, models=["all-team-models"])["key"] for _ in range(2)]
    statuses = [call(api.gate, keys[at % 2]) for at in range(8)]
    assert statuses[0] == 200 and statuses[-1] == 429, statuses
    info = api.get("/team/info", team_id=team_id)
    assert info["team_info"]["spend"] > 0 and len(info["keys"]) == 2
    api.post("/team/update", team_id=team_id, max_budget=100)
    assert call(api.gate, keys[0]) == 200
    api.post("/team/block", team_id=team_id)
    assert call(api.gate, keys[1]) == 403
    api.post("/team/unblock", team_id=team_id)
    assert call(api.gate, keys[1]) == 200

    admin = api.post("/key/generate", team_id=team_id, user_id="ann")
    as_admin = Api(api.gate, admin["key"])
    assert as_admin.post("/key/generate", key_alias="by ann")["team_id"] == team_id
    assert as_admin.sent("/team/update", team_id=team_id, max_budget=1000)[0] == 403
    added = api.post("/team/member_add", team_id=team_id, member={"role": "user", "user_email": "bob@example.com"})
    assert [member["role"] for member in added["members_with_roles"]] == ["admin", "user"]
    api.post("/team/member_delete", team_id=team_id, user_id="ann")
    assert as_admin.got("/key/list")[0] == 401, "with the member go the member's keys"
    assert [team["team_id"] for team in api.get("/team/list")] == [team_id]
    assert api.post("/team/delete", team_ids=[team_id]) == {"deleted_teams": [team_id]}
    assert call(api.gate, keys[0]) == 401


def test_users_have_keys_and_roles(api):
    made = api.post("/user/new", user_id="eve@example.com", user_email="eve@example.com", user_role="proxy_admin_viewer", max_budget=5)
    viewer = Api(api.gate, made["key"])
    assert viewer.get("/user/list")["total"] == 1
    assert viewer.sent("/key/generate")[0] == 403
    assert call(api.gate, made["key"]) == 200
    info = api.get("/user/info", user_id="eve@example.com")
    assert info["user_info"]["spend"] > 0 and info["user_info"]["user_role"] == "proxy_admin_viewer" and len(info["keys"]) == 1
    assert api.post("/user/update", user_email="eve@example.com", user_role="proxy_admin")["data"]["user_role"] == "proxy_admin"
    assert viewer.sent("/key/generate", user_id="eve@example.com")[0] == 200, "the key's role follows"
    assert api.post("/user/delete", user_ids=["eve@example.com"]) == 1
    assert call(api.gate, made["key"]) == 401


def test_what_is_wrong_is_said_in_their_envelope(api):
    for path, body, status, kind, param in [
        ("/key/generate", {"guardrails": ["pii"]}, 422, "validation_error", "guardrails"),
        ("/key/generate", {"max_budgets": 5}, 422, "validation_error", "max_budgets"),
        ("/key/generate", {"max_budget": -5}, 422, "validation_error", "max_budget"),
        ("/key/update", {"key": "sk-nobody-knows-this-one"}, 404, "not_found_error", "key"),
        ("/key/what", {}, 404, "not_found_error", None),
        ("/spend/what", {}, 404, "not_found_error", None),
        ("/spend/logs", {}, 405, "bad_request_error", None),
    ]:
        got, answer = api.sent(path, **body)
        error = answer["error"]
        assert (got, error["type"], error["param"], error["code"]) == (status, kind, param, str(status)), (path, answer)
    status, answer = Api(api.gate, "sk-nobody").sent("/key/generate")
    assert status == 401 and answer["error"]["message"]


def test_models_and_health(api):
    models = api.get("/v1/model/info")["data"]
    assert {model["model_name"] for model in models} == {"sim", "other"}
    assert models[0]["model_info"]["input_cost_per_token"] == 0.001
    health = api.get("/health")
    assert (health["healthy_count"], health["unhealthy_count"]) == (2, 0)
    key = api.post("/key/generate", models=["sim"])["key"]
    assert [model["model_name"] for model in Api(api.gate, key).get("/model/info")["data"]] == ["sim"]
    assert Api(api.gate, key).got("/health")[0] == 403
    for path in ["/health/liveliness", "/health/liveness", "/health/readiness"]:
        assert world.get(api.gate.url + path)[0] == 200


def test_who_has_spent_what(api):
    made = api.post("/key/generate", key_alias="ci", user_id="ann")
    assert call(api.gate, made["key"]) == 200
    closed = [entry for entry in api.gate.records() if entry["outcome"] == "ok"]
    cost, day = closed[0]["cost_nano_usd"] / 1e9, closed[0]["at"][:10]
    world.wait_for(lambda: api.get("/spend/keys"), "the index", api.gate.process)
    keys = api.get("/spend/keys")
    assert [(key["key_alias"], key["spend"]) for key in keys] == [("ci", cost)]
    assert [(user["user_id"], user["spend"]) for user in api.get("/spend/users")] == [("ann", cost)]
    [row] = api.get("/spend/logs", api_key=made["key"])
    assert (row["request_id"], row["spend"], row["user"]) == (closed[0]["call_id"], cost, "ann")
    assert api.get("/spend/logs", request_id=row["request_id"]) == [row]
    [summed] = api.get("/spend/logs", start_date=day, end_date=day)
    assert summed == {"startTime": day, "spend": cost, "users": {"ann": cost}, "models": {"sim": cost}}
    assert api.get("/spend/tags") == []
    # A key without a role sees its own.
    own = Api(api.gate, made["key"])
    assert [key["spend"] for key in own.get("/spend/keys")] == [cost]
    assert own.got("/spend/logs")[0] == 403
