"""The client that the conformance suite tests: a gate whose tool server is the suite's, and somebody who connects their account there."""

import json
import os
import re
import sys
import urllib.parse

import account_world
import requests
import sign_in_world
import world


def issuer_of(url: str) -> str | None:
    """The authorization server that the tool server at `url` names."""
    challenge = requests.post(url, json={}, timeout=10).headers.get("www-authenticate", "")
    said = re.search(r'resource_metadata="([^"]+)"', challenge)
    parts = urllib.parse.urlsplit(url)
    below = "/.well-known/oauth-protected-resource"
    for place in [*([said[1]] if said else []), f"{parts.scheme}://{parts.netloc}{below}{parts.path}", f"{parts.scheme}://{parts.netloc}{below}"]:
        answer = requests.get(place, timeout=10)
        if answer.ok and answer.json().get("authorization_servers"):
            return answer.json()["authorization_servers"][0]
    return None


def main(url: str):
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    # The suite's authorization server is inside, and without TLS: an operator names such a one.
    known = {"issuer": issuer_of(url), **{name: given[name] for name in ["client_id", "client_secret"] if name in given}}
    account = ", ".join(f"{name}: {json.dumps(value)}" for name, value in known.items() if value)
    server = f'  suite: {{ url: "{url}", auth: {{ account: {{ {account} }} }} }}\n'
    gate = account_world.gate(world.Gate, server)
    try:
        browser = sign_in_world.invite(gate, "ann")
        key = account_world.key(gate, "anns", "ann")
        page = browser.open(f"{gate.issuer}/oauth/connections")
        back = account_world.brought_back(browser, browser.submit(page, button="connect"))
        sys.stderr.write(f"{back.page.text}\n")
        account_world.call(gate, key, "suite", "test-tool")
    finally:
        gate.process.kill()


if __name__ == "__main__":
    main(sys.argv[-1])
