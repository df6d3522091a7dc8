//! A running rust-inference, spoken to in JSON lines as by hand: the real program, socket and model.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test file is a crate of its own and uses its part of these helpers"
)]

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(1);

pub struct Server {
    pub process: Child,
    pub socket: PathBuf,
    pub room: tempfile::TempDir,
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rust-inference"));
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A directory whose path leaves room for a socket's name.
pub fn room() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("cs-")
        .tempdir_in("/tmp")
        .unwrap()
}

impl Server {
    pub fn start(flags: &[&str]) -> Self {
        let room = room();
        let socket = room.path().join("s");
        let process = program()
            .arg("--socket")
            .arg(&socket)
            .args(flags)
            .spawn()
            .unwrap();
        let server = Self {
            process,
            socket,
            room,
        };
        server.connect();
        server
    }

    /// A connection, as soon as there can be one.
    pub fn connect(&self) -> Wire {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return Wire::new(stream),
                Err(error) => assert!(Instant::now() < deadline, "no connection: {error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The terminal answer to one request.
    pub fn ask(&self, request: &Value) -> Value {
        self.connect().ask(request)
    }

    pub fn generate(&self, generate: &Value) -> Value {
        self.ask(&json!({"id": 1, "generate": generate}))
    }

    /// One of the details of health.
    pub fn detail(&self, name: &str) -> String {
        let report = self.ask(&json!({"id": 1, "health": {}}));
        report["health_report"]["details"][name]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until one of the details of health is so.
    pub fn until(&self, name: &str, value: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.detail(name) != value {
            assert!(Instant::now() < deadline, "{name} is never {value}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One connection.
pub struct Wire {
    pub stream: UnixStream,
    lines: BufReader<UnixStream>,
    /// Terminal answers that came while another was waited for.
    ends: Vec<Value>,
}

impl Wire {
    fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let ends = Vec::new();
        Self {
            stream,
            lines,
            ends,
        }
    }

    pub fn send(&mut self, frame: &Value) {
        self.write(format!("{frame}\n").as_bytes());
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next frame; nothing if the server has closed the connection.
    pub fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    /// All frames of an answer, the last one terminal.
    pub fn answer(&mut self, id: u64) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self
                .next()
                .unwrap_or_else(|| panic!("closed after {frames:?}"));
            let terminal = frame.get("delta").is_none();
            if frame["id"] == id {
                frames.push(frame);
                if terminal {
                    return frames;
                }
            }
        }
    }

    /// The terminal answer to one of several requests.
    pub fn wait_for(&mut self, id: u64) -> Value {
        loop {
            if let Some(at) = self.ends.iter().position(|end| end["id"] == id) {
                return self.ends.remove(at);
            }
            let frame = self.next().unwrap();
            if frame.get("delta").is_none() {
                self.ends.push(frame);
            }
        }
    }

    pub fn ask(&mut self, request: &Value) -> Value {
        self.send(request);
        self.answer(request["id"].as_u64().unwrap()).pop().unwrap()
    }
}

/// A chat of one sentence.
pub fn chat(sentence: &str) -> Value {
    json!({"messages": [{"role": "user", "content": sentence}]})
}

/// A tool of the kind that the built-in model knows.
pub fn convert_units() -> Value {
    json!({"name": "convert_units", "description": "Convert a value from one unit to another.", "parameters": {
        "type": "object",
        "properties": {
            "value": {"type": "number", "description": "The value"},
            "from_unit": {"type": "string", "description": "The unit to convert from"},
            "to_unit": {"type": "string", "description": "The unit to convert to"}},
        "required": ["value", "from_unit", "to_unit"]}})
}

/// A request that keeps the model busy for seconds, each time anew: its prompt nearly fills the context.
pub fn long() -> Value {
    json!({"prompt": "word ".repeat(2000), "max_tokens": 1, "without": ["prefix"]})
}
