//! HTTP written and read by hand, so that nothing between the test and the socket is clever.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    process::Stdio,
};

use serde_json::{Value, json};

use crate::common::{PATIENCE, Server, program, room};

/// A server with HTTP on a Unix socket and on TCP, and where the latter is.
pub struct Front {
    pub server: Server,
    pub address: String,
}

impl Front {
    pub fn start(flags: &[&str]) -> Self {
        let room = room();
        let socket = room.path().join("s");
        let mut process = program()
            .arg("--socket")
            .arg(&socket)
            .arg("--http-socket")
            .arg(room.path().join("h"))
            .args(["--http", "127.0.0.1:0"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, url) = line.split_once("http at http://")?;
            Some(url.strip_suffix("/v1").unwrap().to_owned())
        });
        let server = Server {
            process,
            socket,
            room,
        };
        Self {
            server,
            address: address.unwrap(),
        }
    }

    pub fn tcp(&self) -> Wire<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire::new(stream)
    }

    pub fn unix(&self) -> Wire<UnixStream> {
        let stream = UnixStream::connect(self.server.room.path().join("h")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire::new(stream)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let mut wire = self.tcp();
        wire.send(&post(path, body));
        wire.answer()
    }

    pub fn get(&self, path: &str) -> Answer {
        let mut wire = self.tcp();
        wire.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        wire.answer()
    }

    /// A chat of one sentence, with more fields.
    pub fn chat(&self, sentence: &str, more: &Value) -> Answer {
        self.post("/v1/chat/completions", &chat(sentence, more))
    }

    /// The events of a stream, the last of them `[DONE]`.
    pub fn stream(&self, sentence: &str, more: &Value) -> Vec<Value> {
        let mut body = chat(sentence, more);
        body["stream"] = json!(true);
        let answer = self.post("/v1/chat/completions", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let mut events = answer.data();
        assert_eq!(events.pop().as_deref(), Some("[DONE]"));
        let parsed = events
            .iter()
            .map(|text| serde_json::from_str(text).unwrap());
        parsed.collect()
    }
}

pub fn post(path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn chat(sentence: &str, more: &Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": sentence}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A tool of the kind that the built-in model knows.
pub fn convert_units() -> Value {
    json!({"type": "function", "function": crate::common::convert_units()})
}

/// What keeps the model writing for a thousand tokens: JSON that is not valid before.
pub fn endless() -> Value {
    let list = json!({"type": "array", "items": {"type": "integer"}, "minItems": 2000});
    let schema = json!({"name": "numbers", "schema": list});
    json!({"response_format": {"type": "json_schema", "json_schema": schema}, "stream": true})
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// What stands behind `data:`.
    pub fn data(&self) -> Vec<String> {
        let lines = self.body.lines();
        let data = lines.filter_map(|line| line.strip_prefix("data: "));
        data.map(str::to_owned).collect()
    }

    /// The error, if it is one of this status.
    pub fn error(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"));
        let error = self.json()["error"].clone();
        for name in ["message", "type", "param", "code"] {
            assert!(error.get(name).is_some(), "{name} of {error}");
        }
        error
    }
}

/// A connection.
pub struct Wire<S: Read> {
    pub stream: BufReader<S>,
}

impl<S: Read + Write> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line
    }

    /// The head of an answer: the status, and all of it in lower case.
    pub fn head(&mut self) -> (u16, String) {
        let mut head = String::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "closed after {head:?}");
            if line == "\r\n" {
                break;
            }
            head.push_str(&line.to_lowercase().replace("\r\n", "\n"));
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head)
    }

    /// The next answer, whole.
    pub fn answer(&mut self) -> Answer {
        let (status, head) = self.head();
        let mut answer = Answer {
            status,
            head,
            body: String::new(),
        };
        let mut body = Vec::new();
        if answer.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut body).unwrap();
        } else {
            self.stream.read_to_end(&mut body).unwrap();
        }
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    /// The next chunk; nothing at the end.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        let size = usize::from_str_radix(line.trim_end(), 16)
            .unwrap_or_else(|_| panic!("no chunk: {line:?}"));
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).unwrap();
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// Whether the server has closed it, and said nothing more.
    pub fn is_closed(&mut self) -> bool {
        self.stream.read(&mut [0]).unwrap_or(0) == 0
    }
}
