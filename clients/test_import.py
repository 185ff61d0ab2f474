"""`tollgate import litellm`: from LiteLLM's tables in a PostgreSQL of our own, through a running gate."""

import datetime
import hashlib
import json
import subprocess

import openai
import pytest
import servers
import world

MASTER = "sk-master-1234"
CONFIG = f"""
master_key: {MASTER}
models:
  sim: [{{ provider: simulator, price: {{ input_usd_per_mtok: 1000, output_usd_per_mtok: 2000 }} }}]
routing: {{ retries: 0 }}
"""

TABLES = world.ROOT / "crates" / "tollgate-store" / "tests" / "litellm_tables" / "1.82.6.sql"

# Within the window of 30 days that is open.
RESETS = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=10)).strftime("%Y-%m-%d %H:%M:%S")


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


ROWS = f"""
INSERT INTO "LiteLLM_BudgetTable" (budget_id, soft_budget, created_by, updated_by) VALUES ('b', 3, 'x', 'x');
INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, created_by, updated_by) VALUES ('o', 'o', 'b', 'x', 'x');
INSERT INTO "LiteLLM_UserTable" (user_id, user_role, user_email, models) VALUES ('ann', 'proxy_admin_viewer', 'ann@example.com', '{{}}');
INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, models, max_budget, budget_duration, budget_reset_at, spend, members_with_roles)
    VALUES ('search', 'Search', '{{sim}}', 5, '30d', '{RESETS}', 4.999, '[{{"role": "admin", "user_id": "bob"}}]');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, team_id, user_id, models, spend, budget_id, metadata) VALUES
    ('{hashed("sk-of-ann-0123")}', 'sk-...0123', 'ann', null, 'ann', '{{}}', 0.25, 'b', '{{"app": "x"}}'),
    ('{hashed("sk-of-search-4567")}', 'sk-...4567', 'search', 'search', null, '{{all-team-models}}', 0, null, '{{}}'),
    ('{hashed("sk-of-guarded-89ab")}', 'sk-...89ab', 'guarded', null, null, '{{}}', 0, null, '{{"guardrails": ["pii"]}}');
"""


@pytest.fixture(scope="module")
def litellm():
    """LiteLLM's database."""
    server = servers.Postgres()
    server.start()
    for text in [TABLES.read_text(), ROWS]:
        command = [server.program("psql"), "-q", "-v", "ON_ERROR_STOP=1", server.url]
        # It listens before it answers.
        world.wait_for(lambda: subprocess.run([*command, "-c", ""], capture_output=True, check=False).returncode == 0, "postgres", server.process)
        subprocess.run(command, input=text, text=True, check=True)
    yield server.url
    server.remove()


def call(gate: world.Gate, key: str) -> int:
    client = openai.OpenAI(base_url=f"{gate.url}/v1", api_key=key, max_retries=0)
    try:
        client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "hello"}], max_tokens=10)
    except openai.APIStatusError as error:
        return error.status_code
    return 200


def test_keys_go_on_as_clients_have_them(own_gate, litellm):
    gate = own_gate(config=CONFIG)

    def take_over(*more: str, status: int = 0) -> str:
        return world.tollgate("import", "litellm", "--database-url", litellm, *more, gate=gate, env={"TOLLGATE_KEY": MASTER}, status=status)

    def info(path: str, key: str = MASTER) -> dict:
        return json.loads(world.get(f"{gate.url}{path}", {"authorization": f"Bearer {key}"})[1])

    said = take_over("--dry-run")
    assert "team  search" in said and "guardrails are not chosen by key" in said and "organizations have no equivalent: 1" in said, said
    assert "4 would be made, 1 left out" in said or "1 left out, 4 would be made" in said, said
    assert info("/user/list")["total"] == 0 and call(gate, "sk-of-ann-0123") == 401

    said = take_over(status=1)
    assert "spent 4.999 USD there, which counts" in said and "1 were left out" in said, said
    assert call(gate, "sk-of-ann-0123") == 200 and call(gate, "sk-of-guarded-89ab") == 401
    assert info("/user/list", key="sk-of-ann-0123")["total"] == 2, "ann sees everything, as at LiteLLM"
    assert call(gate, "sk-of-search-4567") == 429, "what was spent there leaves too little here"
    team = info("/team/info?team_id=search")["team_info"]
    assert team["spend"] == 4.999 and team["budget_reset_at"].startswith(RESETS.replace(" ", "T"))

    # What counts stands in the journal: it is known after a restart, and is not counted twice.
    assert gate.stop() == 0
    gate = own_gate(config=CONFIG, folder=str(gate.folder))
    assert "there already" in take_over(status=1)
    assert info("/team/info?team_id=search")["team_info"]["spend"] == 4.999
    assert call(gate, "sk-of-search-4567") == 429

    assert "made" in take_over("--lossy") and call(gate, "sk-of-guarded-89ab") == 200
    changes = [entry["detail"] for entry in gate.records("event") if entry["event"] == "change"]
    assert {change["holder"]["kind"] for change in changes} == {"user", "team", "key"}
    assert "password" not in world.journal(gate.folder / "data")


def test_a_database_that_is_not_there_is_said(own_gate):
    gate = own_gate(config=CONFIG)
    nowhere = f"postgres://nobody@127.0.0.1:{world.free_port()}/x"
    said = world.tollgate("import", "litellm", "--database-url", nowhere, gate=gate, env={"TOLLGATE_KEY": MASTER}, status=1)
    assert "the database" in said, said
