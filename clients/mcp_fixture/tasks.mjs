// The extension for tasks of the stateless revision: calls that are answered later, and asked for (`tasks/get`) until then.

import { randomUUID } from "node:crypto";
import { Fault } from "./fixture.mjs";
import { text } from "./offers.mjs";
import { ask, elicit } from "./rounds.mjs";

export const EXTENSION = "io.modelcontextprotocol/tasks";
export const METHODS = ["tasks/get", "tasks/update", "tasks/cancel"];
const known = new Map();

const object = (properties = {}) => ({ type: "object", properties });
const string = { type: "string" };

export const schemas = {
  greet: ["Greets at once.", object({ name: string })],
  slow_compute: ["Takes its time.", object({ seconds: { type: "number" }, label: string })],
  failing_job: ["Fails, later.", object()],
  protocol_error_job: ["Breaks, later.", object()],
  confirm_delete: ["Asks before it is done.", object({ filename: string })],
  multi_input: ["Asks two things at once.", object()],
  test_tool_with_task: ["Asks, then takes its time.", object()],
};

const yes = { confirm: { type: "boolean" } };

// Each: what the client sends, and whether it knows of tasks. A result, or a task.
const jobs = {
  greet: ({ arguments: { name } }) => text(`Hello, ${name}!`),
  slow_compute: ({ arguments: { seconds = 1 } }, can) => {
    const computed = text(`computed for ${seconds} s`);
    if (seconds === 0) return computed;
    if (can) return begun({ after: seconds * 1000, result: computed });
    return new Promise((done) => setTimeout(done, seconds * 1000, computed));
  },
  failing_job: () => begun({ after: 50, result: { ...text("it failed"), isError: true } }),
  protocol_error_job: () => begun({ after: 50, error: { code: -32603, message: "it broke" } }),
  confirm_delete: ({ arguments: { filename } }) =>
    begun({ asks: { confirm: elicit(`Delete ${filename}?`, yes) }, result: text(`deleted ${filename}`) }),
  multi_input: () =>
    begun({ asks: { one: elicit("One?", yes), two: elicit("Two?", yes) }, result: text("both are done") }),
  test_tool_with_task: ({ inputResponses }) => {
    const name = inputResponses?.user_name?.content?.name;
    if (!name) return ask({ user_name: elicit("What is your name?", { name: string }) });
    return begun({ after: 50, result: text(`Hello, ${name}!`) });
  },
};

// A call of one of these tools.
export function call(params, { extensions = {} }) {
  const job = jobs[params.name];
  if (!job) return undefined;
  const can = Boolean(extensions[EXTENSION]);
  if (!can && params.name !== "greet" && params.name !== "slow_compute") throw undeclared();
  return job({ ...params, arguments: params.arguments ?? {} }, can);
}

// A method of the extension, or undefined.
export function method(named, { taskId, inputResponses = {} }, { extensions = {} }) {
  if (!METHODS.includes(named)) return undefined;
  if (!extensions[EXTENSION]) throw undeclared();
  const task = known.get(taskId);
  if (!task) throw new Fault(-32602, `no task ${taskId}`);
  if (named === "tasks/get") return shown(task);
  if (named === "tasks/cancel") {
    if (!over(task)) settle(task, { status: "cancelled" });
    return {};
  }
  for (const key of Object.keys(inputResponses)) delete task.inputRequests?.[key];
  if (task.inputRequests && Object.keys(task.inputRequests).length === 0) settle(task, task.end);
  return {};
}

const over = ({ status }) => ["completed", "failed", "cancelled"].includes(status);

function undeclared() {
  const data = { requiredCapabilities: { extensions: { [EXTENSION]: {} } } };
  return Object.assign(new Fault(-32021, "the client does not know of tasks", data), { status: 400 });
}

function begun({ after, asks, ...done }) {
  const now = new Date().toISOString();
  const status = asks ? "input_required" : "working";
  const end = { status: done.error ? "failed" : "completed", ...done };
  const task = { taskId: randomUUID(), status, createdAt: now, lastUpdatedAt: now, end, inputRequests: asks };
  if (after) task.timer = setTimeout(settle, after, task, end);
  known.set(task.taskId, task);
  const { taskId } = task;
  return {
    resultType: "task",
    taskId,
    status: "working",
    createdAt: now,
    lastUpdatedAt: now,
    ttlMs: 60_000,
    pollIntervalMs: 50,
  };
}

function settle(task, end) {
  clearTimeout(task.timer);
  delete task.inputRequests;
  Object.assign(task, end, { lastUpdatedAt: new Date().toISOString() });
}

function shown({ taskId, status, createdAt, lastUpdatedAt, inputRequests, result, error }) {
  return {
    taskId,
    status,
    createdAt,
    lastUpdatedAt,
    ttlMs: 60_000,
    pollIntervalMs: 50,
    inputRequests,
    result,
    error,
  };
}
