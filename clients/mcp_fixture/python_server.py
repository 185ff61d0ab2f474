"""A server made with the official Python SDK, which asks its client for all that it may be asked for. Told: a transport, and a port."""

import pathlib
import sys

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import SamplingMessage, TextContent
from pydantic import BaseModel

server = MCPServer("python-sdk")


class Name(BaseModel):
    """What a user is asked for."""

    name: str


@server.tool()
async def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
async def asks_the_model(question: str, ctx: Context) -> str:
    """Asks the client's model."""
    said = await ctx.session.create_message([SamplingMessage(role="user", content=TextContent(type="text", text=question))], max_tokens=10)
    return f"the model: {said.content.text}"


@server.tool()
async def asks_the_user(ctx: Context) -> str:
    """Asks the client's user."""
    said = await ctx.elicit("Who are you?", Name)
    return f"the user: {said.action} {said.data.name if said.action == 'accept' else ''}"


@server.tool()
async def asks_for_roots(ctx: Context) -> str:
    """Asks where it may look."""
    return ", ".join(str(root.uri) for root in (await ctx.session.list_roots()).roots)


@server.tool()
async def tells(ctx: Context) -> str:
    """Logs, and tells how far it is."""
    await ctx.info("on it")
    for at in (1, 2, 3):
        await ctx.report_progress(at, 3)
    return "told"


@server.tool()
async def waits(began: str, ended: str) -> str:
    """Waits to be cancelled, and leaves a file when it begins and when it is."""
    pathlib.Path(began).touch()
    try:
        await anyio.sleep_forever()
    finally:
        pathlib.Path(ended).touch()


@server.resource("notes://{name}")
def note(name: str) -> str:
    """A note."""
    return f"a note of {name}"


@server.prompt()
def greet(name: str) -> str:
    """A greeting."""
    return f"Say hello to {name}."


if __name__ == "__main__":
    transport, *port = sys.argv[1:]
    server.run(transport, **({"port": int(port[0])} if port else {}))
