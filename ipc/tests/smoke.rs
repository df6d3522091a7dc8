//! The two ends over a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::time::Duration;

use common::{Server, text};
use ipc::{
    Status,
    client::Client,
    codec::Encoding,
    proto::{self, Code, Meta, frame::Body},
};

#[tokio::test]
async fn the_library_answers_what_needs_no_service() {
    let server = Server::start();
    for encoding in [Encoding::Binary, Encoding::JsonLines] {
        let client = Client::connect_with(&server.path, encoding, Duration::from_secs(5))
            .await
            .unwrap();
        let welcome = client
            .ask(Body::from_name("hello").unwrap(), Meta::default())
            .await
            .unwrap();
        let Body::Welcome(welcome) = welcome else {
            panic!("{welcome:?}")
        };
        assert_eq!((welcome.server.as_str(), welcome.protocol), ("test", 1));
        assert!(
            welcome.methods.iter().any(|name| name == "generate"),
            "{welcome:?}"
        );
        let ping = Body::Ping(proto::Ping {
            payload: "żółw".into(),
        });
        assert_eq!(
            client.ask(ping, Meta::default()).await.unwrap(),
            Body::Pong(proto::Pong {
                payload: "żółw".into()
            })
        );
        let health = client
            .ask(Body::from_name("health").unwrap(), Meta::default())
            .await
            .unwrap();
        let Body::HealthReport(health) = health else {
            panic!("{health:?}")
        };
        assert_eq!(
            (health.status.as_str(), health.pid),
            ("SERVING", std::process::id())
        );
        let described = client
            .ask(Body::from_name("describe").unwrap(), Meta::default())
            .await
            .unwrap();
        let Body::Description(described) = described else {
            panic!("{described:?}")
        };
        assert_eq!(described.descriptor_set, ipc::DESCRIPTOR_SET);
    }
}

#[tokio::test]
async fn deltas_come_in_order_and_then_the_answer() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    let mut call = client
        .call(common::count(100), Meta::default())
        .await
        .unwrap();
    let mut got = String::new();
    loop {
        match call.next().await.unwrap().unwrap() {
            Body::Delta(delta) => got.push_str(&delta.text),
            Body::Done(done) => break assert_eq!(done.content, text(100)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got, text(100));
    assert!(call.next().await.is_none());
}

#[tokio::test]
async fn a_method_that_the_server_lacks_is_unimplemented() {
    let server = Server::start();
    let client = Client::connect(&server.path).await.unwrap();
    let Status { code, message, .. } = client
        .ask(Body::from_name("list_tools").unwrap(), Meta::default())
        .await
        .unwrap_err();
    assert_eq!(code, Code::Unimplemented);
    assert!(message.contains("list_tools"), "{message}");
}
