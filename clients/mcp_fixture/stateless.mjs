// The stateless revision: every request says who asks, and is answered by itself.

import { Fault } from "./fixture.mjs";
import { mismatch, plain } from "./mirrored.mjs";
import { tools, triggers } from "./offers.mjs";
import { open, rounds } from "./rounds.mjs";
import * as tasks from "./tasks.mjs";

export const VERSION = "2026-07-28";
const META = "io.modelcontextprotocol/";
const CACHED = [
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "server/discover",
];

const NAMED = { "tools/call": "name", "prompts/get": "name", "resources/read": "uri" };

const listeners = new Set();

export function changed(kind, uri) {
  for (const listener of listeners) listener(kind, uri);
}

export async function answer(fixture, request, response, body) {
  if (request.method !== "POST") {
    response.statusCode = 405;
    return response.end();
  }
  if (body.id === undefined) {
    response.statusCode = 202;
    return response.end();
  }
  const said = { jsonrpc: "2.0", id: body.id };
  let status = 200;
  try {
    const client = checked(fixture, request, body);
    if (body.method === "subscriptions/listen") return listen(response, body);
    if (body.method === "tools/call" && tools[body.params.name]) {
      if (triggers[body.params.name]) fixture.turn(triggers[body.params.name]);
      return await call(fixture, response, body, client);
    }
    const result = await answered(fixture, body, client);
    const cached = CACHED.includes(body.method) ? { ttlMs: 0, cacheScope: "private" } : {};
    said.result = { resultType: "complete", ...cached, ...result };
  } catch (error) {
    status = error.status ?? 200;
    said.error = { code: error.code ?? -32603, message: error.message, data: error.data };
  }
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(said));
}

const refuse = (status, code, message, data) => Object.assign(new Fault(code, message, data), { status });

function checked(fixture, request, { method, params }) {
  const meta = params?._meta;
  const version = meta?.[`${META}protocolVersion`];
  const can = meta?.[`${META}clientCapabilities`];
  if (typeof version !== "string" || typeof can !== "object") {
    throw refuse(400, -32602, "the request does not say who asks");
  }
  const client = { can, level: meta[`${META}logLevel`] };
  if (!request.headers) return client;
  if (request.headers["mcp-protocol-version"] !== version) {
    throw refuse(400, -32020, "MCP-Protocol-Version is not what the body says");
  }
  if (version !== VERSION) {
    const data = { supported: [VERSION], requested: version };
    throw refuse(400, -32022, "Unsupported protocol version", data);
  }
  const named = tasks.METHODS.includes(method) ? "taskId" : NAMED[method];
  const name = request.headers["mcp-name"] ?? "";
  if (request.headers["mcp-method"] !== method || (named && plain(name) !== params[named])) {
    throw refuse(400, -32020, "the headers are not what the body says");
  }
  if (method === "tools/call") {
    const tool = fixture.tools(true).find((tool) => tool.name === params.name);
    const wrong = mismatch(request.headers, tool?.inputSchema, params.arguments);
    if (wrong) throw refuse(400, -32020, wrong);
  }
  return client;
}

function answered(fixture, { method, params }, { can }) {
  const listed = fixture.list(method, true);
  if (listed) return listed;
  switch (method) {
    case "server/discover":
      return {
        supportedVersions: [VERSION],
        capabilities: {
          tools: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          prompts: { listChanged: true },
          completions: {},
          extensions: { [tasks.EXTENSION]: {} },
        },
        instructions: "A server for tests.",
        _meta: { [`${META}serverInfo`]: { name: "fixture", version: "1.0.0" } },
      };
    case "resources/read":
      return fixture.read(params, true);
    case "prompts/get":
      return fixture.prompt(params, true);
    case "completion/complete":
      return fixture.complete(params);
    case "tools/call":
      return tasks.call(params, can) ?? round(params, can);
  }
  const of = tasks.method(method, params, can);
  if (of) return of;
  throw refuse(404, -32601, `no method ${method}`);
}

function round({ name, inputResponses, requestState }, can) {
  const tool = rounds[name];
  if (!tool) throw new Fault(-32602, `no tool ${name}`);
  const state = requestState === undefined ? undefined : open(requestState);
  if (requestState !== undefined && state === undefined) {
    throw new Fault(-32602, "requestState was altered");
  }
  const answers = typeof inputResponses === "object" ? (inputResponses ?? {}) : {};
  return tool(answers, state, can);
}

async function call(fixture, response, { id, params }, { can, level }) {
  const send = (message) => {
    if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
  };
  const token = params._meta?.progressToken;
  const context = {
    closeStream: () => {},
    touch: (uri) => fixture.touch(uri),
    log: (of, data) => {
      if (level) send({ jsonrpc: "2.0", method: "notifications/message", params: { level: of, data } });
    },
    progress: (progress, total) => {
      if (token !== undefined) {
        send({
          jsonrpc: "2.0",
          method: "notifications/progress",
          params: { progressToken: token, progress, total },
        });
      }
    },
    needs: (capability) => {
      if (!can[capability]) {
        const data = { requiredCapabilities: { [capability]: {} } };
        throw refuse(400, -32021, `the client cannot do ${capability}`, data);
      }
    },
    ask: () => {
      throw new Fault(-32603, "this tool asks in another way");
    },
  };
  const said = { jsonrpc: "2.0", id };
  try {
    said.result = {
      resultType: "complete",
      ...(await tools[params.name][2](params.arguments ?? {}, context)),
    };
  } catch (error) {
    said.error = { code: error.code ?? -32603, message: error.message, data: error.data };
    if (error.status && !response.headersSent) {
      response.writeHead(error.status, { "content-type": "application/json" });
      return response.end(JSON.stringify(said));
    }
  }
  send(said);
  response.end();
}

function listen(response, { id, params }) {
  const wanted = params.notifications ?? {};
  const meta = { [`${META}subscriptionId`]: id };
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (method, more) =>
    response.write(
      `event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", method, params: { _meta: meta, ...more } })}\n\n`,
    );
  send("notifications/subscriptions/acknowledged", { notifications: wanted });
  const listener = (kind, uri) => {
    if (wanted[`${kind}ListChanged`]) send(`notifications/${kind}/list_changed`);
    if (wanted.resourceSubscriptions?.includes(uri)) send("notifications/resources/updated", { uri });
  };
  listeners.add(listener);
  response.on("close", () => listeners.delete(listener));
}
