"""The gate as an OAuth client of tool servers, by the scenarios that the public conformance suite has for clients."""

import subprocess
import sys

import pytest
import world

CONFORMANCE = world.HERE / "node_modules" / "mcp-conformance-next" / "dist" / "index.js"

# Not among them: `scope-step-up` and `scope-retry-limit` (people connect, and the gate does not send them anywhere during a call),
# `authorization-server-migration` (whoever has connected does so again), `basic-cimd` (the document is of a gate with TLS).
SCENARIOS = [
    "metadata-default",
    "metadata-var2",
    "metadata-var3",
    "scope-from-www-authenticate",
    "scope-omitted-when-undefined",
    "token-endpoint-auth-basic",
    "token-endpoint-auth-post",
    "pre-registration",
    "resource-mismatch",
    "iss-supported",
    "iss-supported-missing",
    "iss-wrong-issuer",
    "iss-unexpected",
    "metadata-issuer-mismatch",
    "offline-access-scope",
]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_gate_is_a_client_as_the_suite_has_it(scenario):
    client = f"{sys.executable} {world.HERE / 'conformance_client.py'}"
    command = [world.NODE, CONFORMANCE, "client", "--scenario", f"auth/{scenario}", "--spec-version", "2026-07-28", "--timeout", "50000", "--command", client]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False)
    assert done.returncode == 0 and "OVERALL: PASSED" in done.stdout, done.stdout[-3000:]
