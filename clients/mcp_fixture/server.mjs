// An MCP server for tests, over streamable HTTP: with sessions as in 2025-11-25 and before, and without as in 2026-07-28, at
// one address. Prints its port. What it is asked to do wrong it does wrong: POST /control {"mode": "twice"}. With --stdio it
// speaks over standard input and output instead.

import { randomUUID } from "node:crypto";
import http from "node:http";
import { Fixture } from "./fixture.mjs";
import { misbehave } from "./misbehave.mjs";
import * as stateless from "./stateless.mjs";
import { serve } from "./stdio.mjs";

const sessions = new Map();
const fixture = new Fixture(changed);
let mode = process.env.FIXTURE_MODE ?? "";

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});

async function answer(request, response) {
  if (!local(request)) return end(response, 403, { error: "not from here" });
  const body = request.method === "POST" ? await read(request) : undefined;
  if (request.url === "/control") {
    mode = body.mode ?? "";
    if (body.drift) fixture.drift(body.drift);
    changed("tools");
    return end(response, 200, { sessions: sessions.size });
  }
  const named = request.headers["mcp-protocol-version"];
  const meta = body?.params?._meta ?? {};
  if (mode && body?.method === "tools/call") return misbehave(mode, body, response);
  if (named === stateless.VERSION || meta["io.modelcontextprotocol/protocolVersion"]) {
    return stateless.answer(fixture, request, response, body);
  }
  const id = request.headers["mcp-session-id"];
  const session = sessions.get(id);
  if (request.method === "DELETE") {
    sessions.delete(id);
    return end(response, session ? 200 : 404);
  }
  if (body?.method === "initialize") return begin(response, body);
  if (!session) return end(response, id ? 404 : 400, failed(body?.id, -32600, "no such session"));
  if (request.method === "GET") return session.listen(response, request.headers["last-event-id"]);
  if (body.id === undefined || body.method === undefined) {
    session.told(body);
    return end(response, 202);
  }
  return session.asked(body, response);
}

// Tells everybody that there are other tools, or prompts, or that a resource is another.
function changed(kind, uri) {
  for (const session of sessions.values()) {
    if (uri) session.touched(uri);
    else session.listChanged(kind);
  }
  stateless.changed(kind, uri);
}

function begin(response, body) {
  if (body.params.capabilities?.refuse)
    return end(response, 200, failed(body.id, -32602, "I do not like this client"));
  const id = randomUUID();
  const session = fixture.session(body.params);
  sessions.set(id, session);
  response.setHeader("mcp-session-id", id);
  end(response, 200, { jsonrpc: "2.0", id: body.id, result: session.hello() });
}

const failed = (id, code, message) => ({ jsonrpc: "2.0", id: id ?? null, error: { code, message } });

function end(response, status, body) {
  response.statusCode = status;
  if (body === undefined) return response.end();
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(body));
}

async function read(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const text = Buffer.concat(pieces).toString();
  return text === "" ? {} : JSON.parse(text);
}

// A page that has rebound its name gives itself away.
function local(request) {
  const here = (host) => /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host ?? "");
  const origin = request.headers.origin;
  return here(request.headers.host) && (!origin || here(origin.replace(/^https?:\/\//, "")));
}

if (process.argv.includes("--stdio")) {
  serve(mode);
} else {
  server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
    console.log(server.address().port);
  });
}
