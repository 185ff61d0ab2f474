"""Library mode: the examples of the Rust crate, at the independent mock and at a gate."""

import pathlib
import subprocess

import pytest
import world

EXAMPLES = pathlib.Path(world.binary()).parent / "examples"


def run(example: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run([EXAMPLES / example, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def keys(aimock):
    return {
        "OPENAI_API_KEY": "mock",
        "OPENAI_BASE_URL": f"{aimock.url}/v1",
        "ANTHROPIC_API_KEY": "mock",
        "ANTHROPIC_BASE_URL": aimock.url,
        "GEMINI_API_KEY": "mock",
        "GOOGLE_GEMINI_BASE_URL": aimock.url,
    }


@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"])
@pytest.mark.parametrize("example", ["completion", "stream"])
def test_a_model_answers(keys, example, model):
    done = run(example, model, "hello", env=keys)
    assert done.returncode == 0 and "Hello! How can I help you today?" in done.stdout, done
    if example == "completion":
        assert " cost 0.000" in done.stdout, done


def test_texts_become_vectors(keys):
    done = run("embedding", "openai/text-embedding-3-small", "one", "two", env=keys)
    assert done.returncode == 0 and done.stdout.count("numbers, beginning with Some(") == 2, done


def test_errors_say_what_to_do(keys):
    assert "OPENAI_API_KEY" in run("completion", "openai/gpt-4o", "hello", env={}).stderr
    assert "provider/model" in run("completion", "gpt-4o", "hello", env=keys).stderr
    assert "simulated status 503" in run("completion", "openai/gpt-4o", "broken\nsimulate: 503", env=keys).stderr


def test_it_leads_to_a_gate_as_well(gate):
    env = {"OPENAI_API_KEY": "unused", "OPENAI_BASE_URL": f"{gate.url}/v1"}
    done = run("completion", "openai/anthropic", "hello", env=env)
    assert done.returncode == 0 and "Hello!" in done.stdout, done
