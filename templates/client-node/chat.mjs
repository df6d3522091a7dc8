// A conversation with a tool that is a function of this program: node chat.mjs "Set an alarm for 7".
import { pathToFileURL } from "node:url";

import { Client, defaultSocket } from "./client.mjs";

const MOST_ROUNDS = 4;

// What the model is told of the tool. Its calls are valid by this schema: no hour but these is ever written.
export const TOOLS = [
  {
    name: "set_alarm",
    description: "Set an alarm.",
    parameters: {
      type: "object",
      properties: { hour: { type: "integer", description: "The hour", minimum: 0, maximum: 23 } },
      required: ["hour"],
    },
  },
];

const FUNCTIONS = new Map([["set_alarm", ({ hour }) => ({ set: `${String(hour).padStart(2, "0")}:00` })]]);

/** Asks, runs the calls that the model makes, tells it their results, until it answers; gives the answer. */
export async function chat(client, question, show) {
  const messages = [{ role: "user", content: question }];
  for (let turn = 0; turn < MOST_ROUNDS; turn++) {
    let done;
    for await (const frame of client.ask({ generate: { chat: { messages }, tools: TOOLS, stream: true } })) {
      show(frame.delta?.text ?? "");
      done = frame.done;
    }
    if (done.finish_reason === "invalid_call") throw new Error(done.error.message);
    if (done.finish_reason !== "tool_calls") {
      show("\n");
      return done.content ?? "";
    }
    // The model's ids begin anew in each turn, and results are matched by them.
    const calls = done.tool_calls.map((call) => ({ ...call, id: `${turn}-${call.id}` }));
    messages.push({ role: "assistant", content: done.content ?? "", tool_calls: calls });
    for (const call of calls) {
      const content = JSON.stringify(await run(call.name, JSON.parse(call.arguments)));
      show(`${call.name} ${call.arguments} = ${content}\n`);
      messages.push({ role: "tool", content, tool_call_id: call.id, name: call.name });
    }
  }
  throw new Error(`no answer after ${MOST_ROUNDS} rounds`);
}

/** Calls the function; the model is told of a failure as of a result. */
async function run(name, args) {
  try {
    return await FUNCTIONS.get(name)(args);
  } catch (error) {
    return { error: error.message };
  }
}

async function main([question, ...more]) {
  if (question === undefined || more.length > 0) {
    console.error('usage: node chat.mjs "Set an alarm for 7"');
    return 2;
  }
  let client;
  try {
    client = await Client.connect(defaultSocket());
    await chat(client, question, (text) => process.stdout.write(text));
    return 0;
  } catch (error) {
    console.error(`error: ${error.message}`);
    return 1;
  } finally {
    client?.close();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exitCode = await main(process.argv.slice(2));
