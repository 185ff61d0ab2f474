"""The public conformance suite, direct against our fixture server and through the gate: what passes direct passes through."""

import collections
import json
import pathlib
import subprocess

import mcp_world
import pytest
import world
import yaml

MODULES = world.HERE / "node_modules"
EXPECTED = yaml.safe_load((world.HERE / "mcp_fixture" / "expected-failures.yaml").read_text())
FIRST, NEXT = "@modelcontextprotocol/conformance", "mcp-conformance-next"
# By name: the package, what it is told to run, the server's name at the gate, and how many checks there are at least.
SUITES = {
    "0.1.16 all": (FIRST, ["--suite", "all"], "fixture", 46),
    "2025-11-25": (NEXT, ["--requirements", "2025-11-25"], "fixture", 83),
    "2026-07-28": (NEXT, ["--requirements", "2026-07-28"], "stateless", 196),
}


@pytest.fixture(scope="module")
def gate(fixture):
    servers = f'fixture: {{ url: "{fixture.url}/mcp" }}\n  stateless: {{ url: "{fixture.url}/mcp", revision: "2026-07-28" }}'
    gate = world.Gate(config=f"tool_servers:\n  {servers}\n")
    yield gate
    assert gate.stop() == 0


def run(suite: str, url: str, folder: pathlib.Path) -> tuple[collections.Counter, dict]:
    """How often each check of each scenario has passed at `url`, and why others have not."""
    package, arguments, _, _ = SUITES[suite]
    command = [world.NODE, MODULES / package / "dist" / "index.js", "server", "--url", url, *arguments, "-o", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    files = list(folder.rglob("checks.json"))
    assert files, done.stdout + done.stderr
    passed, failed = collections.Counter(), {}
    for file in files:
        scenario = file.parent.name.removeprefix("server-").rsplit("-2026", 1)[0]
        for check in json.loads(file.read_text()):
            if check["status"] == "SUCCESS":
                passed[scenario, check["id"]] += 1
            elif check["status"] != "INFO":
                failed[scenario, check["id"]] = check.get("errorMessage", check["status"])
    return passed, failed


@pytest.mark.parametrize("suite", SUITES)
def test_what_passes_direct_passes_through_the_gate(gate, fixture, tmp_path, suite):
    _, _, server, least = SUITES[suite]
    direct, failed = run(suite, f"{fixture.url}/mcp", tmp_path / "direct")
    assert set(failed) == {(e["scenario"], e["check"]) for e in EXPECTED["direct"] if e["suite"] == suite}, failed
    assert sum(direct.values()) >= least
    through, why = run(suite, f"{gate.url}/mcp/{server}", tmp_path / "through")
    lost = {check for check in direct if through[check] < direct[check]}
    scenarios = {scenario for scenario, _ in direct}
    expected = {(e["scenario"], e["check"]) for e in EXPECTED["through"] if e["scenario"] in scenarios}
    assert lost - expected == set(), {check: why.get(check, "it was not run") for check in lost - expected}
    assert expected - lost == set(), "a reason that no longer holds is to be taken out"
