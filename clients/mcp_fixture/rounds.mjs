// Tools and a prompt of the stateless revision that ask before they answer (2026-07-28, multi round-trip requests).

import { createHmac, timingSafeEqual } from "node:crypto";
import { text } from "./offers.mjs";

const SECRET = "fixture";
const none = { type: "object", properties: {} };

export const ask = (inputRequests, requestState) => ({
  resultType: "input_required",
  inputRequests,
  ...(requestState ? { requestState } : {}),
});
export const elicit = (message, properties) => ({
  method: "elicitation/create",
  params: {
    message,
    requestedSchema: { type: "object", properties, required: Object.keys(properties) },
  },
});
const sample = (question, maxTokens) => ({
  method: "sampling/createMessage",
  params: {
    messages: [{ role: "user", content: { type: "text", text: question } }],
    maxTokens,
  },
});
const roots = { method: "roots/list", params: {} };
const name = () => elicit("What is your name?", { name: { type: "string" } });

export const seal = (value) => {
  const body = Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("base64url")}`;
};

// What was sealed, or undefined where it was altered.
export const open = (sealed) => {
  const [body, mark] = String(sealed ?? "").split(".");
  const own = createHmac("sha256", SECRET)
    .update(body ?? "")
    .digest("base64url");
  const same = mark?.length === own.length && timingSafeEqual(Buffer.from(mark), Buffer.from(own));
  return same ? JSON.parse(Buffer.from(body, "base64url").toString()) : undefined;
};

const accepted = (said, member) => said?.action === "accept" && typeof said.content?.[member] === "string";

// Each takes the answers, the state that came back, and what the client can do.
export const rounds = {
  test_input_required_result_elicitation: (answers) =>
    accepted(answers.user_name, "name")
      ? text(`Hello, ${answers.user_name.content.name}!`)
      : ask({ user_name: name() }),
  test_input_required_result_sampling: (answers) =>
    answers.capital_question
      ? text(answers.capital_question.content?.text ?? "")
      : ask({ capital_question: sample("What is the capital of France?", 100) }),
  test_input_required_result_list_roots: (answers) =>
    answers.client_roots
      ? text(`Roots: ${(answers.client_roots.roots ?? []).map((root) => root.uri).join(", ")}`)
      : ask({ client_roots: roots }),
  test_input_required_result_request_state: (answers, state) =>
    answers.confirm && state?.of === "confirm"
      ? text("state-ok")
      : ask({ confirm: elicit("Please confirm", { ok: { type: "boolean" } }) }, seal({ of: "confirm" })),
  test_input_required_result_multiple_inputs: (answers, state) =>
    answers.user_name && answers.greeting && answers.client_roots && state
      ? text("Everything was answered.")
      : ask(
          { user_name: name(), greeting: sample("Generate a greeting", 50), client_roots: roots },
          seal({ of: "multiple" }),
        ),
  test_input_required_result_multi_round: (answers, state) => {
    if (state?.round === 2 && answers.step2) return text("Both steps are done.");
    if (state?.round === 1 && answers.step1) {
      const step2 = elicit("Step 2: What is your favorite color?", { color: { type: "string" } });
      return ask({ step2 }, seal({ round: 2 }));
    }
    const step1 = elicit("Step 1: What is your name?", { name: { type: "string" } });
    return ask({ step1 }, seal({ round: 1 }));
  },
  test_input_required_result_tampered_state: (answers, state) =>
    answers.confirm && state
      ? text("state-ok")
      : ask({ confirm: elicit("Please confirm", { ok: { type: "boolean" } }) }, seal({ of: "tampered" })),
  test_input_required_result_capabilities: (answers, _, can) => {
    if (Object.keys(answers).length > 0) return text("ok");
    const asked = {};
    if (can.sampling) asked.sampled = sample("Say something", 10);
    if (can.elicitation) asked.name = name();
    return ask(asked, seal({ of: "capabilities" }));
  },
};

export const schemas = Object.fromEntries(Object.keys(rounds).map((tool) => [tool, ["Asks first.", none]]));

export const promptRound = (answers) =>
  answers.user_context
    ? {
        messages: [
          {
            role: "user",
            content: { type: "text", text: `Context: ${answers.user_context.content?.context}` },
          },
        ],
      }
    : ask({
        user_context: elicit("What context should the prompt use?", {
          context: { type: "string" },
        }),
      });
