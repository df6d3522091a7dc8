//! One frame from a client: answered here, refused, or started as a request whose handler is then watched, so that it
//! ends at its deadline and when it is cancelled even if the service takes no notice.
use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    STOP_GRACE, Server, Service,
    request::{Active, Answer, Board, Request},
};
use crate::{
    Status,
    codec::Inbound,
    proto::{Frame, Meta, frame::Body},
    trace::TraceParent,
};

/// Answers a frame, or starts the request that it is.
pub(super) fn receive<S: Service>(server: &Arc<Server<S>>, board: &Arc<Board>, inbound: Inbound) {
    let Inbound {
        frame: Frame { id, body, meta },
        unknown,
    } = inbound;
    let meta = meta.unwrap_or_default();
    let echo = meta
        .traceparent
        .parse::<TraceParent>()
        .is_ok()
        .then(|| Meta {
            traceparent: meta.traceparent.clone(),
            timeout_ms: 0,
        });
    let reply = |id, body| {
        board.outbox.push(Frame {
            id,
            body: Some(body),
            meta: echo.clone(),
        });
    };
    let refuse = |status: Status| reply(id, status.into_body());
    if id == 0 {
        let status = Status::invalid_argument(
            "a request without an id, or with id 0, which is the connection's own",
        );
        return refuse(
            status.with_hint("give each request a number of its own, such as {\"id\":1,…}"),
        );
    }
    let Some(body) = body else {
        let what = if unknown.is_empty() {
            "an unknown or missing method".to_owned()
        } else {
            unknown.join(", ")
        };
        return refuse(server.unimplemented(&what));
    };
    match body {
        Body::Cancel(_) => match board.find(id) {
            Some(active) => active.stop(Status::cancelled("the client cancelled the request")),
            None => refuse(Status::not_found(format!(
                "no request {id} is under way: nothing to cancel"
            ))),
        },
        Body::ToolDecision(decision) => {
            if !board.decide(id, decision) {
                refuse(Status::not_found(format!(
                    "no question {id} is open: nothing to decide"
                )));
            }
        }
        body => {
            if board.find(id).is_some() {
                let status = Status::already_exists(format!(
                    "request {id} is under way: its id cannot be used again yet"
                ));
                return reply(
                    0,
                    status
                        .with_hint("give each request a number of its own")
                        .into_body(),
                );
            }
            if let Some(answer) = server.answer(&body) {
                return reply(id, answer);
            }
            if !server.info.methods.contains(&body.name()) {
                return refuse(server.unimplemented(body.name()));
            }
            start(
                server,
                board,
                Frame {
                    id,
                    body: Some(body),
                    meta: None,
                },
                meta,
                echo.clone(),
                unknown,
            );
        }
    }
}

fn start<S: Service>(
    server: &Arc<Server<S>>,
    board: &Arc<Board>,
    frame: Frame,
    meta: Meta,
    echo: Option<Meta>,
    unknown_fields: Vec<String>,
) {
    let (id, Some(body)) = (frame.id, frame.body) else {
        return;
    };
    let Ok(slot) = board.slots.clone().try_acquire_owned() else {
        let status =
            Status::resource_exhausted("too many requests are under way on this connection")
                .with_hint("wait for some of them to end")
                .with_retry_after_ms(100);
        return board.outbox.push(Frame {
            id,
            body: Some(status.into_body()),
            meta: echo,
        });
    };
    // `receive` made sure that the id is free, and only it opens requests.
    let Some(active) = board.open(id, echo) else {
        return;
    };
    let deadline = (meta.timeout_ms > 0)
        .then(|| Instant::now() + Duration::from_millis(meta.timeout_ms.into()));
    let request = Request {
        id,
        body,
        meta,
        cancelled: active.cancelled.clone(),
        deadline,
        unknown_fields,
        client: board.client,
        active: active.clone(),
    };
    let handler = server.service.clone().handle(
        request,
        Answer {
            active: active.clone(),
        },
    );
    tokio::spawn(async move {
        watch(handler, &active, deadline).await;
        drop(slot);
    });
}

/// Runs a request's handler, stops it at its deadline, and ends the request in its stead if it does not end.
async fn watch(handler: impl Future<Output = ()>, active: &Active, deadline: Option<Instant>) {
    tokio::pin!(handler);
    let late = async {
        match deadline {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = &mut handler => return,
        () = active.cancelled.cancelled() => {}
        () = late => active.stop(
            Status::deadline_exceeded("the request's time is up").with_hint("give it a larger meta.timeout_ms"),
        ),
    }
    tokio::select! {
        () = &mut handler => return,
        () = sleep(STOP_GRACE) => active.end(active.stop_status().into_body()),
    }
    // It keeps its slot until it returns: handlers that do not stop cannot pile up.
    handler.await;
}
