// The official npm package, over TCP and over a Unix socket: chat, streams, tools, structured output, responses, errors
// and what is hung up on.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { openFront, until } from "./front.mjs";

const HELLO = [{ role: "user", content: "Hello, who are you?" }];
const CONVERT = [{ role: "user", content: "How many miles is 12 km?" }];
const TWO = [{ role: "user", content: "12 km to miles and 5 kg to pounds" }];
const CONVERSION = { from_unit: "km", to_unit: "miles", value: 12 };
const UNITS = {
  name: "convert_units",
  description: "Convert a value from one unit to another.",
  parameters: {
    type: "object",
    properties: {
      value: { type: "number", description: "The value" },
      from_unit: { type: "string", description: "The unit to convert from" },
      to_unit: { type: "string", description: "The unit to convert to" },
    },
    required: ["value", "from_unit", "to_unit"],
    additionalProperties: false,
  },
};
const TOOLS = [{ type: "function", function: UNITS }];
// Lasts as long as it is let.
const LONG = {
  name: "numbers",
  schema: {
    type: "object",
    properties: { numbers: { type: "array", items: { type: "integer" }, minItems: 1000 } },
    required: ["numbers"],
  },
};

let front;
let model;
before(async () => {
  front = await openFront("--max-tokens", "100000");
  model = (await front.client("tcp").models.list()).data[0].id;
});
after(() => front.close());

for (const way of ["tcp", "unix"]) {
  describe(`over ${way}`, () => {
    let client;
    before(() => (client = front.client(way)));

    const chat = (settings) => client.chat.completions.create({ model, temperature: 0, ...settings });

    test("a chat is answered, whole and in a stream", async () => {
      const whole = await chat({ messages: HELLO });
      assert.equal(whole.choices[0].finish_reason, "stop");
      assert.ok(whole.choices[0].message.content);
      assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);

      let text = "";
      let usage;
      for await (const chunk of await chat({
        messages: HELLO,
        stream: true,
        stream_options: { include_usage: true },
      })) {
        text += chunk.choices[0]?.delta.content ?? "";
        usage = chunk.usage ?? usage;
      }
      assert.equal(text, whole.choices[0].message.content);
      assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
    });

    test("the stream helper tells each piece and puts them together", async () => {
      const stream = client.chat.completions.stream({ model, messages: HELLO, temperature: 0 });
      const seen = { content: "", chunks: 0, message: 0, end: 0 };
      stream.on("content", (delta) => (seen.content += delta));
      stream.on("chunk", () => (seen.chunks += 1));
      stream.on("message", () => (seen.message += 1));
      stream.on("end", () => (seen.end += 1));
      const final = await stream.finalChatCompletion();
      await stream.done();
      assert.equal(seen.content, final.choices[0].message.content);
      assert.ok(seen.chunks > 1);
      assert.deepEqual([seen.message, seen.end], [1, 1]);
    });

    test("the stream helper puts calls together", async () => {
      const stream = client.chat.completions.stream({ model, messages: TWO, tools: TOOLS, temperature: 0 });
      const done = [];
      stream.on("tool_calls.function.arguments.done", (call) => done.push([call.index, call.name, call.arguments]));
      const [choice] = (await stream.finalChatCompletion()).choices;
      const [whole] = (await chat({ messages: TWO, tools: TOOLS })).choices;
      assert.equal(choice.finish_reason, "tool_calls");
      const functions = (calls) => calls.map((call) => [call.function.name, call.function.arguments]);
      assert.deepEqual(functions(choice.message.tool_calls), functions(whole.message.tool_calls));
      assert.deepEqual(
        done,
        functions(whole.message.tool_calls).map((call, index) => [index, ...call]),
      );
      assert.equal(new Set(choice.message.tool_calls.map((call) => call.id)).size, 2);
    });

    test("a call goes out and its result becomes an answer", async () => {
      const { message } = (await chat({ messages: CONVERT, tools: TOOLS })).choices[0];
      const [call] = message.tool_calls;
      assert.deepEqual(JSON.parse(call.function.arguments), CONVERSION);
      const result = { role: "tool", tool_call_id: call.id, content: '{"value": 7.456, "unit": "miles"}' };
      const answer = await chat({ messages: [...CONVERT, message, result], tools: TOOLS });
      assert.match(answer.choices[0].message.content, /7\.456/);
    });

    for (const stream of [false, true]) {
      test(`runTools calls the function and goes on to the answer, ${stream ? "streamed" : "whole"}`, async () => {
        const asked = [];
        const tool = {
          type: "function",
          function: {
            ...UNITS,
            parse: JSON.parse,
            function: (conversion) => {
              asked.push(conversion);
              return { value: 7.456, unit: "miles" };
            },
          },
        };
        const runner = client.chat.completions.runTools({
          model,
          messages: CONVERT,
          tools: [tool],
          temperature: 0,
          ...(stream ? { stream: true } : {}),
        });
        assert.match(await runner.finalContent(), /7\.456/);
        assert.deepEqual(asked, [CONVERSION]);
      });
    }

    test("an answer is parsed by the schema that described it", async () => {
      const Lamp = z.object({ room: z.enum(["kitchen", "hall"]), percent: z.number().int(), on: z.boolean() });
      const asked = { model, messages: HELLO, temperature: 0, max_tokens: 120 };
      const answer = await client.chat.completions.parse({
        ...asked,
        response_format: zodResponseFormat(Lamp, "lamp"),
      });
      const { parsed, content } = answer.choices[0].message;
      assert.deepEqual(parsed, Lamp.parse(JSON.parse(content)));

      const response = await client.responses.parse({
        model,
        input: HELLO,
        temperature: 0,
        max_output_tokens: 120,
        text: { format: zodTextFormat(Lamp, "lamp") },
      });
      assert.deepEqual(response.output_parsed, parsed);
    });

    test("responses stream their events and end with the whole", async () => {
      const tools = [{ type: "function", strict: true, ...UNITS }];
      const stream = client.responses.stream({ model, input: CONVERT, tools, temperature: 0 });
      let pieces = "";
      stream.on("response.function_call_arguments.delta", (event) => (pieces += event.delta));
      const final = await stream.finalResponse();
      const [call] = final.output;
      assert.equal(call.type, "function_call");
      assert.equal(call.arguments, pieces);
      assert.deepEqual(JSON.parse(pieces), CONVERSION);

      const output = '{"value": 7.456, "unit": "miles"}';
      const answer = await client.responses.create({
        model,
        input: [...CONVERT, ...final.output, { type: "function_call_output", call_id: call.call_id, output }],
        tools,
        temperature: 0,
      });
      assert.match(answer.output_text, /7\.456/);
    });

    test("vectors are unpacked", async () => {
      const packed = await client.embeddings.create({ model, input: ["Hello", "Tokyo"] });
      const plain = await client.embeddings.create({ model, input: ["Hello", "Tokyo"], encoding_format: "float" });
      assert.equal(packed.data.length, 2);
      for (const [index, { embedding }] of packed.data.entries()) {
        assert.equal(embedding.length, plain.data[index].embedding.length);
        const square = embedding.reduce((sum, value) => sum + value * value, 0);
        assert.ok(Math.abs(square - 1) < 1e-3, `${square}`);
        embedding.forEach((value, at) => assert.ok(Math.abs(value - plain.data[index].embedding[at]) < 1e-6));
      }
    });

    test("what goes wrong has the class and the field that the documents give it", async () => {
      await assert.rejects(chat({ messages: HELLO, model: "no-such-model" }), (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError);
        assert.equal(error.code, "model_not_found");
        return true;
      });
      await assert.rejects(chat({ messages: HELLO, presence_penalty: 1, stream: true }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.equal(error.param, "presence_penalty");
        return true;
      });
    });

    test("a stream that is aborted frees the model", async () => {
      const before = (await front.counts()).cancelled;
      const free = () => until(async () => (await front.counts()).running === 0, "the model to be free", 10_000);
      const asked = { messages: HELLO, response_format: { type: "json_schema", json_schema: LONG }, stream: true };
      const stream = await chat(asked);
      let aborted = false;
      // What had come before is still told.
      for await (const chunk of stream) {
        if (aborted || !chunk.choices[0]?.delta.content) continue;
        assert.equal((await front.counts()).running, 1);
        stream.controller.abort();
        aborted = true;
      }
      assert.ok(aborted);
      await free();

      // The helper's stream as well, which says that it was aborted.
      const helper = client.chat.completions.stream({ model, ...asked, stream: undefined });
      helper.on("content", () => helper.abort());
      await assert.rejects(helper.done(), OpenAI.APIUserAbortError);
      await free();
      // Neither was written to its end, which an answer of this length has somewhere. What ended is counted a moment later.
      await until(async () => (await front.counts()).cancelled === before + 2, "both to count as cancelled", 10_000);
    });
  });
}

test("a key that is asked for must be shown", async () => {
  const guarded = await openFront("--api-key", "sesame");
  try {
    assert.ok((await guarded.client("unix", { apiKey: "sesame" }).models.list()).data.length > 0);
    await assert.rejects(guarded.client("unix").models.list(), OpenAI.AuthenticationError);
  } finally {
    await guarded.close();
  }
});
