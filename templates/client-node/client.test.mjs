// Tests against the real server, of CALLSPAN_BIN_DIR or PATH, with its built-in model: node --test.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";

import { TOOLS, chat } from "./chat.mjs";
import { Client } from "./client.mjs";

// An answer that lasts: so many numbers take the model seconds.
const ENDLESS = {
  chat: { messages: [{ role: "user", content: "Hello" }] },
  stream: true,
  response_format: {
    type: "json_schema",
    schema: {
      type: "object",
      properties: { numbers: { type: "array", items: { type: "integer" }, minItems: 1000 } },
      required: ["numbers"],
    },
  },
};

function find(name) {
  const where = process.env.CALLSPAN_BIN_DIR ?? process.env.PATH ?? "";
  for (const directory of where.split(path.delimiter)) {
    const program = path.join(directory, name);
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      // Perhaps in the next one.
    }
  }
  throw new Error(`${name} is not in ${where}: put Callspan's bin on PATH, or set CALLSPAN_BIN_DIR`);
}

/** Waits until `condition` gives something, and gives that. */
async function until(condition, what) {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    const value = await condition();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain for ${what}`);
}

let room, server, client;

before(async () => {
  const program = find("rust-inference");
  // Short, because the path of a Unix socket holds about 100 bytes.
  room = mkdtempSync("/tmp/cs-");
  const socket = path.join(room, "s");
  server = spawn(program, ["--socket", socket, "--max-tokens", "100000"], { stdio: ["ignore", "ignore", "inherit"] });
  client = await until(() => {
    if (server.exitCode !== null) throw new Error("rust-inference does not start; it says why on standard error");
    return Client.connect(socket, { timeoutMs: 60_000 }).catch(() => undefined);
  }, "rust-inference to listen");
});

after(() => {
  client?.close();
  server?.kill();
  if (room) rmSync(room, { recursive: true });
});

test("a call is valid by its schema", async () => {
  const request = { chat: { messages: [{ role: "user", content: "Wake me" }] }, tools: TOOLS };
  const { done } = await client.last({ generate: { ...request, tool_choice: "required", max_calls: 1 } });
  assert.equal(done.tool_calls.length, 1);
  assert.equal(done.tool_calls[0].name, "set_alarm");
  const { hour } = JSON.parse(done.tool_calls[0].arguments);
  assert.ok(Number.isInteger(hour) && hour >= 0 && hour <= 23, `${hour}`);
});

test("a tool is called and its result told", async () => {
  let shown = "";
  const answer = await chat(client, "Set an alarm for 7", (text) => (shown += text));
  assert.match(shown, /set_alarm \{"hour":\d+\} = \{"set":"\d\d:00"\}\n/);
  assert.ok(answer);
  assert.ok(shown.endsWith(`${answer}\n`), shown);
});

test("a stream is the answer in pieces", async () => {
  const request = { chat: { messages: [{ role: "user", content: "Hello, who are you?" }] }, stream: true };
  let pieces = "", whole;
  for await (const { delta, done } of client.ask({ generate: request })) {
    pieces += delta?.text ?? "";
    whole = done?.content;
  }
  assert.ok(whole);
  assert.equal(pieces, whole);
});

test("two requests at once get each its own answer", async () => {
  const [first, second] = await Promise.all(["one", "two"].map((payload) => client.last({ ping: { payload } })));
  assert.deepEqual([first.pong, second.pong], [{ payload: "one" }, { payload: "two" }]);
});

test("what is cancelled ends, and the connection goes on", async () => {
  const stop = new AbortController();
  const frames = client.ask({ generate: ENDLESS }, { signal: stop.signal });
  assert.ok((await frames.next()).value.delta);
  stop.abort();
  await assert.rejects(async () => {
    for await (const _ of frames);
  }, { code: "CANCELLED" });
  assert.deepEqual((await client.last({ ping: { payload: "here" } })).pong, { payload: "here" });
});

/** How many requests the server has counted as cancelled. */
async function cancelled() {
  const { text } = (await client.last({ metrics: {} })).metrics_report;
  return Number(/^callspan_inference_requests_total\{.*"cancelled".*\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

test("a stream that is left is cancelled", async () => {
  const before = await cancelled();
  for await (const _ of client.ask({ generate: ENDLESS })) break;
  await until(async () => (await cancelled()) > before, "the request to be cancelled");
});

test("line separators within a text break no frame", async () => {
  const payload = "one\u2028two\u2029three";
  assert.deepEqual((await client.last({ ping: { payload } })).pong, { payload });
});

test("a bad request is told", async () => {
  const request = { prompt: "x", tool_choice: "sometimes" };
  await assert.rejects(client.last({ generate: request }), /INVALID_ARGUMENT: .*sometimes/);
});

test("a server that is not there is named", async () => {
  await assert.rejects(Client.connect("/proc/nowhere"), /\/proc\/nowhere.*start it: rust-inference/);
});
