// A rust-inference with its front door open, and the official client over TCP and over the Unix socket.
//
// undici's own fetch is given to the client, because only it takes a dispatcher of the same undici's.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import OpenAI from "openai";
import { Agent, fetch } from "undici";

const PROGRAM = fileURLToPath(new URL("../../../bin/rust-inference", import.meta.url));
const PATIENCE_MS = 60_000;

/** Waits until `condition` gives something, and gives that. */
export async function until(condition, what, patienceMs = PATIENCE_MS) {
  const deadline = Date.now() + patienceMs;
  while (Date.now() < deadline) {
    const value = await condition();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited ${patienceMs} ms in vain for ${what}`);
}

export async function openFront(...flags) {
  const room = await mkdtemp(path.join(tmpdir(), "cs-"));
  const socketPath = path.join(room, "http");
  const server = spawn(
    PROGRAM,
    ["--socket", path.join(room, "s"), "--http", "127.0.0.1:0", "--http-socket", socketPath, ...flags],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  server.stderr.setEncoding("utf8").on("data", (text) => (said += text));
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const address = await until(() => {
    if (server.exitCode !== null) throw new Error(`the server ended: ${said}`);
    return /http at (http:\/\/\S+\/v1)\s/.exec(said)?.[1];
  }, "the address of HTTP");
  const agents = { tcp: new Agent(), unix: new Agent({ connect: { socketPath } }) };

  return {
    client: (way, options = {}) =>
      new OpenAI({
        apiKey: "unused",
        maxRetries: 0,
        baseURL: way === "tcp" ? address : "http://localhost/v1",
        fetch,
        fetchOptions: { dispatcher: agents[way] },
        ...options,
      }),
    /** How many requests the model is at work on, and how many were cancelled. */
    async counts() {
      const text = await (await fetch(new URL("/metrics", address))).text();
      return {
        running: Number(/^callspan_inference_requests_running(?:\{[^}]*\})? (\d+)/m.exec(text)[1]),
        cancelled: Number(/^callspan_inference_requests_total\{.*"cancelled".*\} (\d+)/m.exec(text)?.[1] ?? 0),
      };
    },
    async close() {
      await Promise.all(Object.values(agents).map((agent) => agent.destroy()));
      server.kill();
      await ended;
      await rm(room, { recursive: true });
    },
  };
}
