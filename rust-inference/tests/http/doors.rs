//! Who is let in: by key, by this machine's names, by the socket's owner; never by accident.

use std::{os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::json;

use crate::{
    by_hand::{Front, chat, post},
    common::{program, room},
};

fn refused(arguments: &[&str]) -> String {
    let room = room();
    let output = program()
        .arg("--socket")
        .arg(room.path().join("s"))
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn other_machines_are_let_in_with_a_key_only() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let said = refused(&["--http", address]);
        assert!(said.contains("CALLSPAN_API_KEY"), "{said}");
    }
    let said = refused(&["--http", "0.0.0.0:0", "--api-key", ""]);
    assert!(said.contains("give a key"), "{said}");
    let said = refused(&["--http", "/tmp/socket"]);
    assert!(said.contains("127.0.0.1:PORT"), "{said}");
}

#[test]
fn the_key_is_wanted_on_every_path_but_health_and_is_not_told() {
    let front = Front::start(&["--api-key", "sk-right"]);
    let ask = |path: &str, header: &str| {
        let mut wire = front.tcp();
        // With a key no page can ask, whatever it is called.
        wire.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: models.example\r\n{header}\r\n"
        ));
        wire.answer()
    };
    let right = "Authorization: Bearer sk-right\r\n";
    for path in ["/v1/models", "/metrics", "/v1/chat/completions", "/nothing"] {
        for header in [
            "",
            "Authorization: Bearer sk-wrong\r\n",
            "Authorization: Basic sk-right\r\n",
        ] {
            let answer = ask(path, header);
            assert_eq!(answer.header("www-authenticate"), Some("bearer"));
            let error = answer.error(401);
            assert_eq!(error["code"], "invalid_api_key");
            assert!(!error.to_string().contains("sk-right"));
        }
        assert_ne!(ask(path, right).status, 401, "{path}");
    }
    assert_eq!(ask("/health", "").json(), json!({"status": "SERVING"}));
    assert!(ask("/health", right).json()["details"].is_object());
    let mut wire = front.unix();
    wire.send(&post("/v1/chat/completions", &chat("Hello", &json!({}))));
    wire.answer().error(401);
    let help = Command::new(env!("CARGO_BIN_EXE_rust-inference"))
        .arg("--help")
        .env("CALLSPAN_API_KEY", "sk-right")
        .output()
        .unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("sk-right"));
}

#[test]
fn without_a_key_no_page_of_the_web_is_answered() {
    let front = Front::start(&[]);
    let ask = |headers: &str| {
        let mut wire = front.tcp();
        wire.send(&format!("GET /v1/models HTTP/1.1\r\n{headers}\r\n"));
        wire.answer()
    };
    let port = front.address.rsplit_once(':').unwrap().1;
    for fine in [
        format!("Host: {}\r\n", front.address),
        format!("Host: localhost:{port}\r\n"),
        "Host: localhost\r\nOrigin: http://localhost:3000\r\n".to_owned(),
    ] {
        assert_eq!(ask(&fine).status, 200, "{fine}");
    }
    for foreign in [
        "Host: evil.example\r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
        "",
    ] {
        let answer = ask(foreign);
        assert!(!answer.head.contains("access-control"), "{answer:?}");
        assert_eq!(answer.error(403)["code"], "foreign_origin", "{foreign}");
    }
}

#[test]
fn the_socket_is_its_owners_alone_and_goes_with_the_server() {
    let mut front = Front::start(&[]);
    let path = front.server.room.path().join("h");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    front.server.terminate();
    assert!(front.server.process.wait().unwrap().success());
    assert!(!path.exists());
}
