//! A service that is called from its own process: it sees and gives what it would over a socket.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of the tests' own functions"
)]
mod common;

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use common::{Steered, count, prompt, text};
use ipc::{
    proto::{Code, Meta, frame::Body},
    server::{Local, ServerInfo},
};
use tokio_util::sync::CancellationToken;

fn local() -> (Local<Steered>, Arc<Steered>) {
    let service = Arc::new(Steered::default());
    let info = ServerInfo {
        name: "test".into(),
        methods: vec!["generate"],
        ..ServerInfo::default()
    };
    let shutdown = CancellationToken::new();
    (Local::new(info, service.clone(), shutdown), service)
}

#[tokio::test]
async fn deltas_come_in_order_and_then_the_answer_and_nothing_more() {
    let (local, _) = local();
    let mut call = local.call(count(100), Meta::default());
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
async fn what_a_connection_refuses_is_refused_here() {
    let (local, _) = local();
    let ask = |name| local.call(Body::from_name(name).unwrap(), Meta::default());
    assert_eq!(
        ask("embed").done().await.unwrap_err().code,
        Code::Unimplemented
    );
    assert!(matches!(
        ask("health").done().await,
        Ok(Body::HealthReport(_))
    ));
    // There is no client who could be asked.
    let asked = local.call(prompt("ask"), Meta::default()).done().await;
    assert_eq!(asked.unwrap_err().code, Code::Unavailable);
    let late = Meta {
        timeout_ms: 50,
        ..Meta::default()
    };
    let late = local.call(prompt("deaf"), late).done().await;
    assert_eq!(late.unwrap_err().code, Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_call_that_is_dropped_is_stopped() {
    let (local, service) = local();
    let mut call = local.call(prompt("hang"), Meta::default());
    let silent = tokio::time::timeout(Duration::from_millis(50), call.next()).await;
    assert!(silent.is_err());
    drop(call);
    tokio::time::timeout(Duration::from_secs(5), async {
        while service.stopped.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_bounded_memory_and_hears_why_it_was_cut_off() {
    let (local, service) = local();
    let mut call = local.call(prompt("flood 1000000"), Meta::default());
    // What waits is one delta, so the producer is stopped without anybody having read.
    tokio::time::timeout(Duration::from_secs(20), async {
        while service.flooded.load(Ordering::SeqCst) <= 4096 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    let Some(Ok(Body::Delta(delta))) = call.next().await else {
        panic!("no delta")
    };
    assert!(delta.text.len() <= (4 << 20) + 1024, "{}", delta.text.len());
    let status = call.next().await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted);
}
