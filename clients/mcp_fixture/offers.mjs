// What the fixture offers: tools, resources and prompts, by the names that the public conformance suite asks for.

export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

export const text = (value) => ({ content: [{ type: "text", text: value }] });
const image = () => ({ type: "image", data: PNG, mimeType: "image/png" });
const resource = (uri, mimeType, value) => ({
  type: "resource",
  resource: { uri, mimeType, text: value },
});
const none = { type: "object", properties: {} };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const string = { type: "string" };
const form = (message, properties, required) => ({
  message,
  requestedSchema: { type: "object", properties, ...(required ? { required } : {}) },
});

// Each: description, input schema, and what is done. `call` tells, asks, and knows what the client can do.
export const tools = {
  test_simple_text: ["Answers with a text.", none, () => text("This is a simple text response for testing.")],
  test_image_content: ["Answers with a picture.", none, () => ({ content: [image()] })],
  test_audio_content: [
    "Answers with a sound.",
    none,
    () => ({ content: [{ type: "audio", data: WAV, mimeType: "audio/wav" }] }),
  ],
  test_embedded_resource: [
    "Answers with a resource.",
    none,
    () => ({
      content: [resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")],
    }),
  ],
  test_multiple_content_types: [
    "Answers with a text, a picture and a resource.",
    none,
    () => ({
      content: [
        { type: "text", text: "Multiple content types test:" },
        image(),
        resource(
          "test://mixed-content-resource",
          "application/json",
          JSON.stringify({ test: "data", value: 123 }),
        ),
      ],
    }),
  ],
  test_tool_with_logging: [
    "Logs while it works.",
    none,
    async (_, call) => {
      for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
        call.log("info", data);
        await pause(20);
      }
      return text("Logged three times.");
    },
  ],
  test_tool_with_progress: [
    "Tells how far it is.",
    none,
    async (_, call) => {
      for (const progress of [0, 50, 100]) {
        call.progress(progress, 100);
        await pause(20);
      }
      return text("Done.");
    },
  ],
  test_error_handling: [
    "Fails.",
    none,
    () => ({ ...text("This tool intentionally returns an error for testing"), isError: true }),
  ],
  test_sampling: [
    "Asks the client's model.",
    { type: "object", properties: { prompt: string }, required: ["prompt"] },
    async ({ prompt }, call) => {
      const content = { type: "text", text: prompt };
      const said = await call.ask("sampling/createMessage", {
        messages: [{ role: "user", content }],
        maxTokens: 100,
      });
      return text(`LLM response: ${said.content?.text ?? JSON.stringify(said)}`);
    },
  ],
  test_elicitation: [
    "Asks the client's user.",
    { type: "object", properties: { message: string }, required: ["message"] },
    async ({ message }, call) => {
      const fields = {
        username: { type: "string", description: "User's response" },
        email: { type: "string", description: "User's email address" },
      };
      const said = await call.ask("elicitation/create", form(message, fields, ["username", "email"]));
      return text(`User response: action=${said.action}, content=${JSON.stringify(said.content ?? {})}`);
    },
  ],
  test_elicitation_sep1034_defaults: [
    "Asks with defaults.",
    none,
    async (_, call) => {
      const fields = {
        name: { type: "string", default: "John Doe" },
        age: { type: "integer", default: 30 },
        score: { type: "number", default: 95.5 },
        status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
        verified: { type: "boolean", default: true },
      };
      return completed(await call.ask("elicitation/create", form("Please check these.", fields, [])));
    },
  ],
  test_elicitation_sep1330_enums: [
    "Asks for choices.",
    none,
    async (_, call) => {
      const titled = (word) =>
        ["First", "Second", "Third"].map((n, at) => ({
          const: `value${at + 1}`,
          title: `${n} ${word}`,
        }));
      const plain = ["option1", "option2", "option3"];
      const fields = {
        untitledSingle: { type: "string", enum: plain },
        titledSingle: { type: "string", oneOf: titled("Option") },
        legacyEnum: {
          type: "string",
          enum: ["opt1", "opt2", "opt3"],
          enumNames: ["Option One", "Option Two", "Option Three"],
        },
        untitledMulti: { type: "array", items: { type: "string", enum: plain } },
        titledMulti: { type: "array", items: { anyOf: titled("Choice") } },
      };
      return completed(await call.ask("elicitation/create", form("Please choose.", fields, [])));
    },
  ],
  json_schema_2020_12_tool: [
    "Tool with JSON Schema 2020-12 features",
    {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: string, city: string },
        },
      },
      properties: { name: string, address: { $ref: "#/$defs/address" } },
      allOf: [{ anyOf: [{ required: ["name"] }, { required: ["address"] }] }],
      if: { properties: { name: { const: "x" } }, required: ["name"] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema, in data.
      then: { required: ["address"] },
      else: {},
      additionalProperties: false,
    },
    () => text("ok"),
  ],
  test_reconnection: [
    "Closes its stream before it answers.",
    none,
    async (_, call) => {
      call.closeStream();
      await pause(100);
      return text("Reconnection test completed successfully");
    },
  ],
  test_missing_capability: [
    "Needs a client that can sample.",
    none,
    (_, call) => {
      call.needs("sampling");
      return text("ok");
    },
  ],
  test_streaming_elicitation: [
    "Tells how far it is, and asks nothing.",
    none,
    (_, call) => {
      call.progress(1, 1);
      return text("ok");
    },
  ],
  test_logging_tool: [
    "Logs.",
    none,
    (_, call) => {
      call.log("info", "logged");
      return text("ok");
    },
  ],
  test_x_mcp_header: [
    "Has an argument that is repeated in a header.",
    {
      type: "object",
      properties: { region: { type: "string", "x-mcp-header": "Region" }, rows: { type: "integer" } },
    },
    ({ region }) => text(`region=${region}`),
  ],
  test_trigger_tool_change: ["Has one tool more, or one less.", none, () => text("the tools have changed")],
  test_touch_resource: [
    "Changes a resource.",
    { type: "object", properties: { uri: string }, required: ["uri"] },
    ({ uri }, call) => {
      call.touch?.(uri);
      return text("touched");
    },
  ],
  test_trigger_prompt_change: [
    "Has one prompt more, or one less.",
    none,
    () => text("the prompts have changed"),
  ],
  slow: [
    "Answers after a while.",
    { type: "object", properties: { ms: { type: "integer" } } },
    async ({ ms }) => {
      await pause(ms ?? 1000);
      return text("late");
    },
  ],
  tell_and_ask: [
    "Tells how far it is, and asks then.",
    none,
    async (_, call) => {
      call.progress(1, 2);
      const said = await call.ask("elicitation/create", form("Go on?", { go: { type: "boolean" } }));
      return text(`said ${said.action}`);
    },
  ],
  count: [
    "Counts how often this client has asked.",
    none,
    (_, call) => text(String(call.count?.() ?? "nobody counts without a session")),
  ],
  add: [
    "Adds two numbers.",
    {
      type: "object",
      properties: { a: { type: "number" }, b: { type: "number" } },
      required: ["a", "b"],
    },
    ({ a, b }) => ({ ...text(String(a + b)), structuredContent: { sum: a + b } }),
    { type: "object", properties: { sum: { type: "number" } }, required: ["sum"] },
  ],
};

// What changes when one of these is called.
export const triggers = { test_trigger_tool_change: "tools", test_trigger_prompt_change: "prompts" };

function completed(said) {
  return text(`Elicitation completed: action=${said.action}, content=${JSON.stringify(said.content ?? {})}`);
}

export const resources = {
  "test://static-text": {
    name: "static-text",
    description: "A text.",
    mimeType: "text/plain",
    text: "This is the content of the static text resource.",
  },
  "test://static-binary": {
    name: "static-binary",
    description: "A picture.",
    mimeType: "image/png",
    blob: PNG,
  },
  "test://watched-resource": {
    name: "watched-resource",
    description: "It changes.",
    mimeType: "text/plain",
    text: "Watched resource content",
  },
};

export const templates = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template",
    description: "By number.",
    mimeType: "application/json",
  },
];

export function read(uri) {
  const known = resources[uri];
  if (known) {
    const { mimeType, text: value, blob } = known;
    return { contents: [{ uri, mimeType, ...(blob ? { blob } : { text: value }) }] };
  }
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return undefined;
  const data = { id, templateTest: true, data: `Data for ID: ${id}` };
  return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify(data) }] };
}

const user = (content) => ({ role: "user", content });

export const prompts = {
  test_simple_prompt: [
    "A text.",
    [],
    () => [user({ type: "text", text: "This is a simple prompt for testing." })],
  ],
  test_prompt_with_arguments: [
    "A text with arguments.",
    ["arg1", "arg2"],
    ({ arg1, arg2 }) => [
      user({ type: "text", text: `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'` }),
    ],
  ],
  test_prompt_with_embedded_resource: [
    "A resource.",
    ["resourceUri"],
    ({ resourceUri }) => [
      user(resource(resourceUri, "text/plain", "Embedded resource content for testing.")),
      user({ type: "text", text: "Please process the embedded resource above." }),
    ],
  ],
  test_prompt_with_image: [
    "A picture.",
    [],
    () => [user(image()), user({ type: "text", text: "Please analyze the image above." })],
  ],
};
