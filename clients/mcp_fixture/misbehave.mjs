// Answers that no server should give.

export function misbehave(mode, { id }, response) {
  const result = { content: [{ type: "text", text: "one" }] };
  const said = (of, text) =>
    `event: message\ndata: ${JSON.stringify({ jsonrpc: "2.0", id: of, result: { ...result, content: [{ type: "text", text }] } })}\n\n`;
  const told = `event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"flood"}}\n\n`;
  switch (mode) {
    case "silent":
      return;
    case "twice":
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end(said(id, "one") + said(id, "two"));
    case "foreign":
      response.writeHead(200, { "content-type": "text/event-stream" });
      return response.end(said(`${id}-other`, "one"));
    case "flood":
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (let n = 0; n < 20_000; n++) response.write(told);
      return response.end(said(id, "after the flood"));
    case "huge": {
      response.writeHead(200, { "content-type": "application/json" });
      response.write(
        `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":"`,
      );
      const piece = "x".repeat(1 << 20);
      let left = 100;
      const more = () => {
        while (left-- > 0) if (!response.write(piece)) return response.once("drain", more);
        response.end(`"}]}}`);
      };
      return more();
    }
    case "cut":
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: message\ndata: {"jsonrpc":"2.0","id":${JSON.stringify(id)},"resu`);
      return setTimeout(() => response.destroy(), 20);
    case "garbage":
      response.writeHead(200, { "content-type": "application/json" });
      return response.end("{not json");
    case "html":
      response.writeHead(200, { "content-type": "text/html" });
      return response.end("<html></html>");
    default:
      response.writeHead(500);
      return response.end();
  }
}
