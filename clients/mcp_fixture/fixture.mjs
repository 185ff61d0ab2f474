// What the fixture answers, whatever the transport; and a session of a stateful client.

import { prompts, read, resources, templates, tools, triggers } from "./offers.mjs";
import { promptRound, schemas } from "./rounds.mjs";
import * as tasks from "./tasks.mjs";

const VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

export class Fault extends Error {
  constructor(code, message, data) {
    super(message);
    Object.assign(this, { code, data });
  }
}

export class Fixture {
  #changed = {};
  #more = { tools: false, prompts: false };
  #tell;

  // `tell` is told what has changed: tools or prompts.
  constructor(tell) {
    this.#tell = tell;
  }

  // There is one more of a kind, or one less.
  turn(kind) {
    this.#more[kind] = !this.#more[kind];
    this.#tell(kind);
  }

  // A resource has changed.
  touch(uri) {
    this.#tell("resource", uri);
  }

  // A tool's definition is another from now on.
  drift(changed) {
    this.#changed = changed;
  }

  tools(stateless) {
    const all = { ...tools, ...(stateless ? { ...schemas, ...tasks.schemas } : {}) };
    if (this.#more.tools) all.sometimes = tools.test_simple_text;
    return Object.entries(all).map(([name, [description, inputSchema, , outputSchema]]) => ({
      name,
      description,
      inputSchema,
      ...(outputSchema ? { outputSchema } : {}),
      ...(this.#changed[name] ?? {}),
    }));
  }

  prompts(stateless) {
    const all = Object.entries(prompts).map(([name, [description, names]]) => ({
      name,
      description,
      arguments: names.map((of) => ({ name: of, description: of, required: true })),
    }));
    if (this.#more.prompts) all.push({ name: "sometimes", description: "Comes and goes.", arguments: [] });
    if (stateless) {
      all.push({ name: "test_input_required_result_prompt", description: "Asks first.", arguments: [] });
    }
    return all;
  }

  list(method, stateless) {
    switch (method) {
      case "tools/list":
        return { tools: this.tools(stateless) };
      case "prompts/list":
        return { prompts: this.prompts(stateless) };
      case "resources/list":
        return {
          resources: Object.entries(resources).map(([uri, { name, description, mimeType }]) => ({
            uri,
            name,
            description,
            mimeType,
          })),
        };
      case "resources/templates/list":
        return { resourceTemplates: templates };
    }
    return undefined;
  }

  prompt({ name, arguments: given, inputResponses }, stateless) {
    if (stateless && name === "test_input_required_result_prompt") {
      return promptRound(inputResponses ?? {});
    }
    const known = prompts[name];
    if (!known) throw new Fault(-32602, `no prompt ${name}`);
    return { messages: known[2](given ?? {}) };
  }

  read({ uri }, stateless) {
    const found = read(uri);
    if (found) return found;
    throw new Fault(stateless ? -32602 : -32002, "Resource not found", { uri });
  }

  complete({ argument }) {
    const values = ["paris", "park", "party"].filter((value) => value.startsWith(argument.value));
    return { completion: { values, total: values.length, hasMore: false } };
  }

  session(params) {
    return new Session(this, params);
  }
}

class Session {
  #fixture;
  #params;
  #waiting = new Map();
  #next = 1;
  #level = "debug";
  #count = 0;
  #listener;
  #kept = new Map();
  #subscribed = new Set();

  constructor(fixture, params) {
    this.#fixture = fixture;
    this.#params = params;
  }

  hello() {
    const asked = this.#params.protocolVersion;
    return {
      protocolVersion: VERSIONS.includes(asked) ? asked : VERSIONS.at(-1),
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      serverInfo: { name: "fixture", version: "1.0.0" },
      instructions: "A server for tests.",
    };
  }

  can(capability) {
    return this.#params.capabilities?.[capability] !== undefined;
  }

  listChanged(kind) {
    this.#listener?.write(
      `event: message\ndata: {"jsonrpc":"2.0","method":"notifications/${kind}/list_changed"}\n\n`,
    );
  }

  touched(uri) {
    if (!this.#subscribed.has(uri)) return;
    const said = { jsonrpc: "2.0", method: "notifications/resources/updated", params: { uri } };
    this.#listener?.write(`event: message\ndata: ${JSON.stringify(said)}\n\n`);
  }

  listen(response, last) {
    const kept = last ? this.#kept.get(last) : undefined;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": here\n\n");
    if (!kept) {
      this.#listener = response;
      return;
    }
    kept.then((event) => response.end(event));
  }

  told(body) {
    const waiting = this.#waiting.get(body.id);
    if (!waiting) return;
    this.#waiting.delete(body.id);
    if (body.error) waiting.reject(new Fault(body.error.code, body.error.message));
    else waiting.resolve(body.result);
  }

  async asked({ id, method, params = {} }, response) {
    if (method === "tools/call") return this.#call(id, params, response);
    const said = { jsonrpc: "2.0", id };
    try {
      said.result = this.#result(method, params);
    } catch (error) {
      said.error = { code: error.code ?? -32603, message: error.message, data: error.data };
    }
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(said));
  }

  #result(method, params) {
    const listed = this.#fixture.list(method, false);
    if (listed) return listed;
    switch (method) {
      case "ping":
        return {};
      case "resources/subscribe":
        this.#subscribed.add(params.uri);
        return {};
      case "resources/unsubscribe":
        this.#subscribed.delete(params.uri);
        return {};
      case "logging/setLevel":
        this.#level = params.level;
        return {};
      case "resources/read":
        return this.#fixture.read(params, false);
      case "prompts/get":
        return this.#fixture.prompt(params, false);
      case "completion/complete":
        return this.#fixture.complete(params);
    }
    throw new Fault(-32601, `no method ${method}`);
  }

  async #call(id, params, response) {
    const event = `${id}-${this.#next++}`;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`id: ${event}\nretry: 50\ndata: \n\n`);
    const send = (message) => response.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
    const said = this.#said(id, params, send, () => {
      this.#kept.set(
        event,
        said.then((message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`),
      );
      response.end();
    });
    const message = await said;
    if (!response.writableEnded) {
      send(message);
      response.end();
    }
  }

  async #said(id, { name, arguments: given, _meta: meta }, send, closeStream) {
    await Promise.resolve();
    const tell = (method, params) => send({ jsonrpc: "2.0", method, params });
    const token = meta?.progressToken;
    const call = {
      closeStream,
      count: () => ++this.#count,
      touch: (uri) => this.#fixture.touch(uri),
      log: (level, data) => {
        if (this.#level !== "emergency") tell("notifications/message", { level, data });
      },
      progress: (progress, total) => {
        if (token !== undefined) {
          tell("notifications/progress", { progressToken: token, progress, total });
        }
      },
      needs: (capability) => {
        if (!this.can(capability)) throw new Fault(-32600, `the client cannot do ${capability}`);
      },
      ask: (method, params) => {
        call.needs(method.split("/")[0]);
        const own = `q${this.#next++}`;
        const answered = new Promise((resolve, reject) => {
          this.#waiting.set(own, { resolve, reject });
        });
        send({ jsonrpc: "2.0", id: own, method, params });
        return answered;
      },
    };
    const tool = tools[name];
    if (triggers[name]) this.#fixture.turn(triggers[name]);
    if (!tool) return { jsonrpc: "2.0", id, error: { code: -32602, message: `no tool ${name}` } };
    try {
      return { jsonrpc: "2.0", id, result: await tool[2](given ?? {}, call) };
    } catch (error) {
      return { jsonrpc: "2.0", id, error: { code: error.code ?? -32603, message: error.message } };
    }
  }
}
