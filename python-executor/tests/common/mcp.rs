//! A client of MCP by hand: it knows nothing but lines of JSON, so that what a test finds is what is on the wire.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

pub struct Mcp {
    pub reader: Lines<BufReader<OwnedReadHalf>>,
    pub writer: OwnedWriteHalf,
    next: u64,
    /// What came that nobody had asked for.
    pub notified: Vec<Value>,
}

impl Mcp {
    /// A connection, with nothing said.
    pub async fn connect(socket: &Path) -> Self {
        let (reader, writer) = UnixStream::connect(socket).await.unwrap().into_split();
        Self {
            reader: BufReader::new(reader).lines(),
            writer,
            next: 1,
            notified: Vec::new(),
        }
    }

    /// A connection of the revision before the newest, which begins with a handshake.
    pub async fn start(socket: &Path) -> Self {
        let mut mcp = Self::connect(socket).await;
        let about = json!({"name": "test", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about});
        let answer = mcp.ask("initialize", params).await;
        assert_eq!(
            answer["result"]["protocolVersion"], "2025-11-25",
            "{answer}"
        );
        mcp.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        mcp
    }

    pub async fn say(&mut self, message: &Value) {
        self.write(&format!("{message}\n")).await;
    }

    pub async fn write(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a request, and gives its id.
    pub async fn request(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .await;
        id
    }

    /// Nothing: the connection is at its end.
    pub async fn line(&mut self) -> Option<Value> {
        let line = timeout(Duration::from_secs(30), self.reader.next_line()).await;
        let line = line.expect("nothing came for 30 s").unwrap()?;
        let message: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        Some(message)
    }

    /// The answer to a request; what comes before is kept.
    pub async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.line().await.expect("the connection was closed");
            if message["id"] == id {
                return message;
            }
            self.notified.push(message);
        }
    }

    /// The next message of a method, of those that are there and those that come.
    pub async fn notification(&mut self, method: &str) -> Value {
        loop {
            let at = self.notified.iter().position(|one| one["method"] == method);
            if let Some(at) = at {
                return self.notified.remove(at);
            }
            let message = self.line().await.expect("the connection was closed");
            self.notified.push(message);
        }
    }

    pub async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        self.answer(id).await
    }

    /// A call's result.
    pub async fn call(&mut self, name: &str, arguments: Value) -> Value {
        let params = json!({"name": name, "arguments": arguments});
        let answer = self.ask("tools/call", params).await;
        answer
            .get("result")
            .unwrap_or_else(|| panic!("{answer}"))
            .clone()
    }
}

/// The text of a result.
pub fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}
