"""Runs the tests of the JavaScript SDKs, `sdks.test.mjs`, against the same gate."""

import os
import subprocess

import world


def test_javascript_sdks(gate):
    command = [world.NODE, "--test", "--test-reporter=tap", world.HERE / "sdks.test.mjs"]
    done = subprocess.run(command, env={**os.environ, "TOLLGATE_URL": gate.url, "TOLLGATE_MODELS": " ".join(world.ALL)}, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"# pass {16 * len(world.ALL)}" in done.stdout and "# skipped 0" in done.stdout, done.stdout[-800:]
