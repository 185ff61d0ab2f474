// Promise 1: the OpenAI, Anthropic and Google SDKs for JavaScript, with nothing changed but the base URL.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const url = process.env.TOLLGATE_URL;
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 });
const google = new GoogleGenAI({ apiKey: "unused", httpOptions: { baseUrl: url } });
const models = process.env.TOLLGATE_MODELS.split(" ");

const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const names = ["get_weather", "get_time"];
const ask = [{ role: "user", content: "please call get_weather and get_time about the weather in Paris" }];
const hello = [{ role: "user", content: "hello" }];

for (const model of models) {
  describe(`OpenAI's SDK at ${model}`, () => {
    const tools = names.map((name) => ({ type: "function", function: { name, parameters: schema } }));

    it("answers", async () => {
      const answer = await openai.chat.completions.create({ model, messages: hello });
      assert.match(answer.choices[0].message.content, /ello/);
      assert.equal(answer.choices[0].finish_reason, "stop");
    });

    it("streams", async () => {
      const stream = await openai.chat.completions.create({ model, messages: hello, stream: true });
      let text = "";
      for await (const chunk of stream) text += chunk.choices[0].delta.content ?? "";
      assert.match(text, /ello/);
    });

    it("calls tools, whole and streamed", async () => {
      const whole = await openai.chat.completions.create({ model, messages: ask, tools });
      const streamed = await openai.chat.completions
        .stream({ model, messages: ask, tools })
        .finalChatCompletion();
      for (const answer of [whole, streamed]) {
        const calls = answer.choices[0].message.tool_calls;
        assert.deepEqual(
          calls.map((call) => call.function.name),
          names,
        );
        for (const call of calls) assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
      }
    });

    it("tells errors", async () => {
      const broken = [{ role: "user", content: "broken\nsimulate: 503" }];
      await assert.rejects(
        openai.chat.completions.create({ model, messages: broken }),
        OpenAI.InternalServerError,
      );
    });
  });

  describe(`Anthropic's SDK at ${model}`, () => {
    const tools = names.map((name) => ({ name, input_schema: schema }));
    const base = { model, max_tokens: 200 };

    it("answers", async () => {
      const answer = await anthropic.messages.create({ ...base, messages: hello });
      assert.match(answer.content[0].text, /ello/);
      assert.equal(answer.stop_reason, "end_turn");
    });

    it("streams", async () => {
      const answer = await anthropic.messages.stream({ ...base, messages: hello }).finalMessage();
      assert.match(answer.content[0].text, /ello/);
      assert.ok(answer.usage.output_tokens > 0);
    });

    it("calls tools, whole and streamed", async () => {
      const whole = await anthropic.messages.create({ ...base, messages: ask, tools });
      const streamed = await anthropic.messages.stream({ ...base, messages: ask, tools }).finalMessage();
      for (const answer of [whole, streamed]) {
        const calls = answer.content.filter((block) => block.type === "tool_use");
        assert.deepEqual(
          calls.map((call) => [call.name, call.input]),
          names.map((name) => [name, { city: "Paris" }]),
        );
      }
    });

    it("tells errors", async () => {
      const messages = [{ role: "user", content: "broken\nsimulate: 503" }];
      await assert.rejects(anthropic.messages.create({ ...base, messages }), { status: 503 });
    });
  });

  describe(`Google's SDK at ${model}`, () => {
    const declarations = names.map((name) => ({ name, parametersJsonSchema: schema }));
    const config = { tools: [{ functionDeclarations: declarations }] };
    const asked = ask[0].content;

    it("answers", async () => {
      const answer = await google.models.generateContent({ model, contents: "hello" });
      assert.match(answer.text, /ello/);
      assert.equal(answer.candidates[0].finishReason, "STOP");
    });

    it("streams", async () => {
      let text = "";
      for await (const piece of await google.models.generateContentStream({ model, contents: "hello" }))
        text += piece.text ?? "";
      assert.match(text, /ello/);
    });

    it("calls tools, whole and streamed", async () => {
      const whole = await google.models.generateContent({ model, contents: asked, config });
      const streamed = [];
      for await (const piece of await google.models.generateContentStream({ model, contents: asked, config }))
        streamed.push(...(piece.functionCalls ?? []));
      for (const calls of [whole.functionCalls, streamed])
        assert.deepEqual(
          calls.map((call) => [call.name, call.args]),
          names.map((name) => [name, { city: "Paris" }]),
        );
    });

    it("tells errors", async () => {
      const contents = "broken\nsimulate: 503";
      await assert.rejects(google.models.generateContent({ model, contents }), { status: 503 });
    });
  });

  describe(`OpenAI's Responses at ${model}`, () => {
    const tools = names.map((name) => ({ type: "function", name, parameters: schema, strict: false }));

    it("answers", async () => {
      const answer = await openai.responses.create({ model, input: "hello" });
      assert.match(answer.output_text, /ello/);
    });

    it("streams", async () => {
      const answer = await openai.responses.stream({ model, input: "hello" }).finalResponse();
      assert.match(answer.output_text, /ello/);
      assert.equal(answer.status, "completed");
    });

    it("calls tools, whole and streamed", async () => {
      const whole = await openai.responses.create({ model, input: ask, tools });
      const streamed = await openai.responses.stream({ model, input: ask, tools }).finalResponse();
      for (const answer of [whole, streamed]) {
        const calls = answer.output.filter((item) => item.type === "function_call");
        assert.deepEqual(
          calls.map((call) => [call.name, JSON.parse(call.arguments)]),
          names.map((name) => [name, { city: "Paris" }]),
        );
      }
    });

    it("tells errors", async () => {
      const input = "broken\nsimulate: 503";
      await assert.rejects(openai.responses.create({ model, input }), OpenAI.InternalServerError);
    });
  });
}
