"""The official Python client of MCP as it goes through OAuth by itself: what it keeps, and who sits before it."""

import asyncio

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

CALLBACK = "http://127.0.0.1:9/callback"


class Kept:
    """Where the client keeps what it gets."""

    def __init__(self):
        self.tokens, self.client, self.all = None, None, []

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        self.all.append(tokens)

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def provider(url: str, kept: Kept, opens) -> OAuthClientProvider:
    """The SDK's own way through OAuth; it registers first. `opens` is whoever sits before it: what they bring back of an address."""
    told = {}

    async def browse(address: str):
        told.update(await asyncio.to_thread(opens, address))

    async def called_back() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=told["code"], state=told["state"], iss=told.get("iss"))

    said = OAuthClientMetadata(client_name="of a test", redirect_uris=[CALLBACK], token_endpoint_auth_method="none")
    return OAuthClientProvider(url, said, kept, browse, called_back)
