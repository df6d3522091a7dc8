//! A server that answers what a test tells it to, byte for byte and at the pace that is wanted, and keeps what it was asked.

use std::{
    collections::{HashMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, program, room};

/// One thing that it does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(Vec<u8>),
    Wait(Duration),
    /// Says no more until the other end closes, which is noted.
    Hold,
    /// Breaks the connection off.
    Reset,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Script {
    /// By path.
    gets: HashMap<String, Vec<Act>>,
    /// One after the other; the last one stays.
    posts: VecDeque<Vec<Act>>,
    asked: Vec<Asked>,
    closed: usize,
}

#[derive(Clone)]
pub(crate) struct Fake {
    script: Arc<Mutex<Script>>,
    pub(crate) url: String,
}

/// One connection.
pub(crate) trait Socket: Read + Write + Send {
    fn tcp(&self) -> Option<&TcpStream>;
}

impl Socket for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Socket for UnixStream {
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

impl Socket for StreamOwned<ServerConnection, TcpStream> {
    fn tcp(&self) -> Option<&TcpStream> {
        None
    }
}

impl Fake {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        Self::run(url, move || Box::new(listener.accept().unwrap().0))
    }

    pub(crate) fn on_socket(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let url = format!("unix:{}", path.display());
        Self::run(url, move || Box::new(listener.accept().unwrap().0))
    }

    /// Behind what `wrap` makes of each connection.
    pub(crate) fn behind<S: Socket + 'static>(
        wrap: impl Fn(TcpStream) -> S + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "https://localhost:{}/v1",
            listener.local_addr().unwrap().port()
        );
        Self::run(url, move || Box::new(wrap(listener.accept().unwrap().0)))
    }

    fn run(url: String, accept: impl Fn() -> Box<dyn Socket> + Send + 'static) -> Self {
        let fake = Self {
            script: Arc::default(),
            url,
        };
        let own = fake.clone();
        thread::spawn(move || {
            loop {
                let (fake, socket) = (own.clone(), accept());
                thread::spawn(move || fake.serve(socket));
            }
        });
        fake
    }

    fn serve(&self, mut socket: Box<dyn Socket>) {
        let Some(asked) = read(&mut *socket) else {
            return;
        };
        let path = asked.line.split(' ').nth(1).unwrap().to_owned();
        let acts = {
            let mut script = self.script.lock().unwrap();
            let get = asked.line.starts_with("GET");
            script.asked.push(asked);
            if get {
                let missing = || reply(404, "application/json", r#"{"error":"no such path"}"#);
                script.gets.get(&path).cloned().unwrap_or_else(missing)
            } else if script.posts.len() > 1 {
                script.posts.pop_front().unwrap()
            } else {
                script.posts.front().cloned().unwrap()
            }
        };
        for act in acts {
            match act {
                Act::Send(bytes) => {
                    if socket
                        .write_all(&bytes)
                        .and_then(|()| socket.flush())
                        .is_err()
                    {
                        break;
                    }
                }
                Act::Wait(time) => thread::sleep(time),
                Act::Hold => {
                    // The end, or an error: both mean that it is closed.
                    let _ = socket.read(&mut [0]);
                    self.script.lock().unwrap().closed += 1;
                }
                Act::Reset => {
                    if let Some(tcp) = socket.tcp() {
                        let none = Some(Duration::ZERO);
                        rustix::net::sockopt::set_socket_linger(tcp, none).unwrap();
                    }
                    return;
                }
            }
        }
    }

    /// What it answers to GET of a path.
    pub(crate) fn get(&self, path: &str, acts: Vec<Act>) {
        self.script.lock().unwrap().gets.insert(path.into(), acts);
    }

    /// What it answers to the next POSTs; the last answer stays.
    pub(crate) fn posts(&self, replies: impl IntoIterator<Item = Vec<Act>>) {
        self.script.lock().unwrap().posts = replies.into_iter().collect();
    }

    /// The POSTs that came since this was last asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let all = std::mem::take(&mut self.script.lock().unwrap().asked);
        (all.into_iter())
            .filter(|asked| asked.line.starts_with("POST"))
            .collect()
    }

    /// Waits until so many connections were closed by the other end.
    pub(crate) fn until_closed(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.script.lock().unwrap().closed < count {
            assert!(Instant::now() < deadline, "it is not closed");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A server that has one of this one's models as its default, by the name `far`.
    pub(crate) fn server(&self, flags: &[&str]) -> Server {
        serve(&format!("far=openai:{}#m", self.url), flags, &[])
    }
}

/// A server of ours with this `--model`.
pub(crate) fn serve(model: &str, flags: &[&str], environment: &[(&str, &str)]) -> Server {
    let room = room();
    let socket = room.path().join("s");
    let process = program()
        .args(["--model", model, "--socket"])
        .arg(&socket)
        .args(flags)
        .envs(environment.iter().copied())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let server = Server {
        process,
        socket,
        room,
    };
    server.connect();
    server
}

fn read(socket: &mut dyn Socket) -> Option<Asked> {
    let mut lines = BufReader::new(socket);
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        lines.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some(Asked {
        line: (!line.is_empty()).then(|| line.trim_end().to_owned())?,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

/// A whole answer.
pub(crate) fn reply(status: u16, media: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    vec![Act::Send(head.into())]
}

pub(crate) fn answer(body: &Value) -> Vec<Act> {
    reply(200, "application/json; charset=utf-8", &body.to_string())
}

/// The beginning of a streamed answer that ends with its connection.
pub(crate) fn head() -> Act {
    Act::Send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n".into(),
    )
}

/// A streamed answer in HTTP chunks of so many bytes.
pub(crate) fn chunked(text: &str, size: usize) -> Vec<Act> {
    let mut bytes =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
    for part in text.as_bytes().chunks(size) {
        bytes.extend(format!("{:x}\r\n", part.len()).into_bytes());
        bytes.extend(part);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    vec![Act::Send(bytes)]
}

/// Events, each of its own, and the last word.
pub(crate) fn events(chunks: &[Value]) -> String {
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    events.collect::<String>() + "data: [DONE]\n\n"
}

/// A piece of an answer.
pub(crate) fn piece(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "c", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

/// A whole answer of one message.
pub(crate) fn message(message: &Value, finish: &str) -> Value {
    json!({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}})
}

pub(crate) fn call(name: &str, arguments: &str) -> Value {
    json!({"id": "call_x", "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// A text, streamed in two pieces.
pub(crate) fn text(first: &str, second: &str) -> Vec<Value> {
    vec![
        piece(&json!({"role": "assistant", "content": first}), None),
        piece(&json!({"content": second}), None),
        piece(&json!({}), Some("stop")),
        json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}),
    ]
}

/// A tool with a bound that can be broken.
pub(crate) fn weather() -> Value {
    json!([{"name": "get_weather", "description": "The weather of a place", "parameters": {"type": "object",
        "properties": {"location": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}, "required": ["location"]}}])
}

/// A question that has a tool.
pub(crate) fn question() -> Value {
    json!({"chat": {"messages": [{"role": "user", "content": "How is the weather in Paris?"}]}, "tools": weather()})
}

/// All text and all fragments that were told before an answer's end, and that end.
pub(crate) fn told(frames: &[Value]) -> (String, Vec<Value>, Value) {
    let (last, deltas) = frames.split_last().unwrap();
    let deltas: Vec<&Value> = deltas.iter().map(|frame| &frame["delta"]).collect();
    let text = deltas.iter().filter_map(|delta| delta["text"].as_str());
    let calls = deltas
        .iter()
        .filter_map(|delta| delta["tool_calls"].as_array());
    (
        text.collect(),
        calls.flatten().cloned().collect(),
        last.clone(),
    )
}

pub(crate) fn ask(server: &Server, generate: &Value) -> (String, Vec<Value>, Value) {
    let mut wire = server.connect();
    wire.send(&json!({"id": 1, "generate": generate}));
    told(&wire.answer(1))
}

/// The same, streamed.
pub(crate) fn with(mut generate: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        generate[key] = value.clone();
    }
    generate
}
