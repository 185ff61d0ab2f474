// The same server over standard input and output, a message a line. It misbehaves as FIXTURE_MODE says.

import { createInterface } from "node:readline";
import { Fixture } from "./fixture.mjs";
import { misbehave } from "./misbehave.mjs";
import * as stateless from "./stateless.mjs";

const META = "io.modelcontextprotocol/protocolVersion";

// Takes what would be said over HTTP, as JSON or as events, and says it in lines. It has no end: there is one stream.
class Lines {
  #stream = false;
  #rest = "";
  writableEnded = false;

  setHeader() {}

  writeHead(_, headers) {
    this.headersSent = true;
    this.#stream = headers?.["content-type"] === "text/event-stream";
  }

  write(piece) {
    if (!this.#stream) return process.stdout.write(piece);
    const events = (this.#rest + piece).split("\n\n");
    this.#rest = events.pop();
    const said = events.map((event) => /^data: (.+)$/m.exec(event)?.[1]).filter(Boolean);
    return said.length === 0 || process.stdout.write(`${said.join("\n")}\n`);
  }

  end(piece) {
    if (piece) this.write(piece);
    if (piece && !this.#stream) process.stdout.write("\n");
  }

  once(event, then) {
    process.stdout.once(event, then);
  }

  on() {}

  // The connection breaks: the program ends, in the middle of what it was saying.
  destroy() {
    process.stdout.write(/data: (.*)$/s.exec(this.#rest)?.[1] ?? "", () => process.exit(0));
  }
}

export function serve(mode) {
  let session;
  const fixture = new Fixture((kind, uri) => (uri ? session?.touched(uri) : session?.listChanged(kind)));
  createInterface({ input: process.stdin }).on("line", (line) => {
    const body = JSON.parse(line);
    if (mode && body.method === "tools/call") return misbehave(mode, body, new Lines());
    if (body.params?._meta?.[META]) return stateless.answer(fixture, { method: "POST" }, new Lines(), body);
    if (body.method === "initialize") {
      session = fixture.session(body.params);
      session.listen(new Lines());
      return process.stdout.write(
        `${JSON.stringify({ jsonrpc: "2.0", id: body.id, result: session.hello() })}\n`,
      );
    }
    if (body.id === undefined || body.method === undefined) return session?.told(body);
    if (session) return session.asked(body, new Lines());
    const error = { code: -32600, message: "no session has begun" };
    return process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: body.id, error })}\n`);
  });
}
