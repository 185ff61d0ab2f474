"""Runs every command of the documentation as a reader would, in order, and compares what it says it prints.

A fenced block marked `sh` is run by bash; a block marked `text` right after it is what it prints, where `…` stands
for anything. A block marked `yaml` whose first line is a comment naming a file is written to that file. Each page has
a folder of its own and a bash of its own; ports, the keys of providers and their addresses are put in its environment.
A block marked `console` needs what is not there, such as images from a registry: it is not run, and its page says so.
With names of pages (`tools.md README.md`) only these are run.
"""

import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import servers
import world

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def pages() -> list[pathlib.Path]:
    return [world.ROOT / "README.md", *sorted((world.ROOT / "docs").glob("*.md"))]


def script(page: pathlib.Path, folder: pathlib.Path) -> tuple[str, list[tuple[int, str, str]]]:
    """A bash script of the page's commands, and for each the number, the command and the output that it should have."""
    blocks = FENCE.findall(page.read_text())
    lines, expected = [], []
    for number, (kind, body) in enumerate(blocks):
        named = re.match(r"# (\S+\.ya?ml)\n", body)
        if kind == "yaml" and named:
            (folder / named[1]).write_text(body)
        if kind != "sh":
            continue
        output = blocks[number + 1][1] if number + 1 < len(blocks) and blocks[number + 1][0] == "text" else ""
        lines.append(f"{{\n{body}}} > out.{number} 2>&1 || {{ echo 'FAILED'; exit 1; }}")
        expected.append((number, body, output))
    return "set -e\n" + "\n".join(lines), expected


def matches(expected: str, got: str) -> bool:
    """Whether each expected line is found, in order; `…` stands for anything."""
    at = 0
    for line in filter(None, (line.strip() for line in expected.splitlines())):
        found = re.compile(".*?".join(re.escape(part) for part in line.split("…"))).search(got, at)
        if not found:
            return False
        at = found.end()
    return True


@contextlib.contextmanager
def stores(page: pathlib.Path):
    """The variables of a database and a Redis server, for the page that is about them."""
    if page.name != "instances.md":
        yield {}
        return
    postgres, redis = servers.Postgres(), servers.Redis()
    try:
        postgres.start()
        redis.start()
        yield {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
    finally:
        redis.remove()
        postgres.remove()


def run(page: pathlib.Path, mock: world.Aimock) -> tuple[int, list[str]]:
    with tempfile.TemporaryDirectory(prefix="tollgate-docs-") as name, stores(page) as databases:
        folder = pathlib.Path(name)
        text, expected = script(page, folder)
        if not expected:
            return 0, []
        binaries = folder / "bin"
        binaries.mkdir()
        (binaries / "tollgate").symlink_to(world.binary())
        # `make` builds for use; here the binary is there already.
        (binaries / "make").write_text('#!/bin/sh\n[ "$1" = demo ] && exec tollgate demo\necho "make $1: not run here"\n')
        (binaries / "make").chmod(0o755)
        env = {
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "HOME": str(folder),
            "OPENAI_BASE_URL": f"{mock.url}/v1",
            "ANTHROPIC_BASE_URL": mock.url,
            "OPENAI_API_KEY": "mock",
            "ANTHROPIC_API_KEY": "mock",
            "GEMINI_API_KEY": "mock",
            **databases,
        }
        done = subprocess.run(["bash", "-c", f"trap 'code=$?; kill $(jobs -p) 2>/dev/null || true; wait || true; exit $code' EXIT\n{text}"], cwd=folder, env=env, timeout=120, check=False, start_new_session=True)
        wrong = []
        for number, command, output in expected:
            path = folder / f"out.{number}"
            got = path.read_text() if path.exists() else "(was not run)"
            if not path.exists() or not matches(output, got) or (done.returncode and number == expected[-1][0]):
                wrong.append(f"{page.name}:\n{command}expected:\n{output}got:\n{got}")
        return len(expected), wrong


def main() -> int:
    mock = world.Aimock()
    try:
        results = [run(page, mock) for page in pages() if not sys.argv[1:] or page.name in sys.argv[1:]]
    finally:
        mock.stop()
    wrong = [text for _, texts in results for text in texts]
    print("\n".join(wrong))
    print(f"{sum(count for count, _ in results) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
