// A client of Callspan's servers: lines of JSON over a Unix socket, with nothing but Node's own modules.
//
// A request is a frame, {"id": 1, "generate": {…}}; the frames of its answer carry its id. The last of them is the one
// that is no `delta`. What may stand in a frame: `ipc call SOCKET describe`.
import { once } from "node:events";
import net from "node:net";
import path from "node:path";

// The most that the protocol carries in a line.
const MOST_CHARACTERS = 0xffffff;

/** The server's own word on why a request failed, with what to do about it. */
export class ServerError extends Error {
  constructor({ code = "UNKNOWN", message = "", hint = "" }) {
    super(`${code}: ${message}${hint && ` (${hint})`}`);
    this.code = code;
  }
}

/** Where rust-inference listens if it is told nothing else. */
export function defaultSocket({ CALLSPAN_INFERENCE_SOCKET: given, XDG_RUNTIME_DIR: directory } = process.env) {
  if (given) return given;
  if (directory) return path.join(directory, "callspan", "inference.sock");
  throw new Error("neither CALLSPAN_INFERENCE_SOCKET nor XDG_RUNTIME_DIR says where the server is");
}

/** A connection, with any number of requests at once. */
export class Client {
  #socket;
  #timeoutMs;
  #last = -1;
  #line = "";
  /** Of each request under way: what came and was not read yet, and what to do when more comes. */
  #waiting = new Map();
  /** Why there is no connection any more. */
  #gone;

  /** Connects; the server gives up on a request that takes longer than the time. */
  static async connect(socketPath, { timeoutMs = 120_000 } = {}) {
    const socket = net.connect(socketPath);
    try {
      await once(socket, "connect");
    } catch (error) {
      throw new Error(`${socketPath}: ${error.message}; start it: rust-inference --socket ${socketPath}`);
    }
    return new Client(socket, timeoutMs);
  }

  constructor(socket, timeoutMs) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.setEncoding("utf8");
    socket.on("data", (text) => this.#read(text));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("the server is gone")));
  }

  /**
   * Sends a request, such as `ask({ generate: {…} })`, and gives the frames of its answer as they come. Who leaves the
   * loop before the last one cancels the request; so does the signal, and then the answer ends in CANCELLED.
   */
  async *ask(body, { signal } = {}) {
    if (this.#gone) throw this.#gone;
    this.#last += 2;
    const id = this.#last;
    const inbox = { frames: [], wake: () => {} };
    const cancel = () => this.#send({ id, cancel: {} });
    this.#waiting.set(id, inbox);
    this.#send({ id, ...body, meta: { timeout_ms: this.#timeoutMs } });
    signal?.addEventListener("abort", cancel);
    if (signal?.aborted) cancel();
    let ended = false;
    try {
      while (!ended) {
        if (inbox.frames.length === 0) {
          if (this.#gone) throw this.#gone;
          await new Promise((resolve) => (inbox.wake = resolve));
          continue;
        }
        const frame = inbox.frames.shift();
        ended = !("delta" in frame);
        if (frame.error) throw new ServerError(frame.error);
        yield frame;
      }
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#waiting.delete(id);
      if (!ended && !this.#gone) cancel();
    }
  }

  /** Sends a request and gives the last frame of its answer. */
  async last(body, options) {
    let last;
    for await (const frame of this.ask(body, options)) last = frame;
    return last;
  }

  /** Hangs up, which cancels what is under way. */
  close() {
    this.#socket.destroy();
  }

  #send(frame) {
    this.#socket.write(`${JSON.stringify(frame)}\n`);
  }

  // Not by node:readline, which also breaks lines at U+2028 and U+2029: JSON has these as they are.
  #read(text) {
    const [first, ...more] = text.split("\n");
    this.#line += first;
    try {
      for (const next of more) {
        this.#take(JSON.parse(this.#line));
        this.#line = next;
      }
    } catch (error) {
      this.#socket.destroy(new Error(`the server sent what is no frame: ${error.message}`));
    }
    if (this.#line.length > MOST_CHARACTERS) this.#socket.destroy(new Error("the server's line is too long"));
  }

  #take(frame) {
    const id = frame.id ?? 0;
    // 0 is the connection's own: an error there ends it.
    if (id === 0 && frame.error) this.#end(new ServerError(frame.error));
    // One that is not there is of a request that was left.
    const inbox = this.#waiting.get(id);
    inbox?.frames.push(frame);
    inbox?.wake();
  }

  #end(error) {
    this.#gone ??= error;
    for (const inbox of this.#waiting.values()) inbox.wake();
  }
}
