//! Any frame: what the codecs are tried with.
#![allow(
    unreachable_pub,
    reason = "a part of the test that says so, in a file of its own"
)]
use ipc::proto::{self, Frame, Meta, frame::Body};
use proptest::{collection::vec, option, prelude::*};

fn call() -> impl Strategy<Value = proto::ToolCall> {
    (".*", ".*", ".*").prop_map(|(id, name, arguments)| proto::ToolCall {
        id,
        name,
        arguments,
    })
}

fn generate() -> impl Strategy<Value = Body> {
    let sampling = (
        any::<f32>().prop_filter("finite", |x| x.is_finite()),
        any::<u32>(),
        0.0f32..1.0,
        any::<Option<u64>>(),
        0.0f32..1.0,
    )
        .prop_map(|(temperature, top_k, top_p, seed, min_p)| proto::Sampling {
            temperature,
            top_k,
            top_p,
            seed,
            min_p,
        });
    let message =
        (".*", ".*", vec(call(), 0..3)).prop_map(|(role, content, tool_calls)| proto::Message {
            role,
            content,
            tool_calls,
            ..Default::default()
        });
    let input = prop_oneof![
        ".*".prop_map(proto::generate::Input::Prompt),
        vec(message, 0..3)
            .prop_map(|messages| proto::generate::Input::Chat(proto::Chat { messages })),
    ];
    let tool = (".*", ".*").prop_map(|(name, parameters)| proto::Tool {
        name,
        parameters,
        ..Default::default()
    });
    (
        option::of(input),
        vec(tool, 0..3),
        any::<u32>(),
        any::<bool>(),
        option::of(sampling),
        vec(".*", 0..3),
        choice(),
    )
        .prop_map(
            |(input, tools, max_tokens, stream, sampling, stop, choice)| {
                Body::Generate(proto::Generate {
                    input,
                    tools,
                    max_tokens,
                    stream,
                    sampling,
                    stop,
                    ..choice
                })
            },
        )
}

/// What a request says of the form of its answer.
fn choice() -> impl Strategy<Value = proto::Generate> {
    let format = (".*", ".*").prop_map(|(r#type, schema)| proto::ResponseFormat { r#type, schema });
    (
        ".*",
        any::<Option<bool>>(),
        option::of(format),
        any::<bool>(),
        any::<Option<u32>>(),
        vec(".*", 0..3),
        ".*",
    )
        .prop_map(
            |(
                tool_choice,
                parallel_tool_calls,
                response_format,
                lenient,
                logprobs,
                without,
                adapter,
            )| {
                proto::Generate {
                    tool_choice,
                    parallel_tool_calls,
                    response_format,
                    lenient,
                    logprobs,
                    without,
                    adapter,
                    ..Default::default()
                }
            },
        )
}

fn fragment() -> impl Strategy<Value = proto::ToolCallDelta> {
    (any::<u32>(), ".*", ".*", ".*").prop_map(|(index, id, name, arguments)| proto::ToolCallDelta {
        index,
        id,
        name,
        arguments,
    })
}

fn delta() -> impl Strategy<Value = Body> {
    let progress = (option::of(-1e300f64..1e300), ".*")
        .prop_map(|(fraction, message)| proto::Progress { fraction, message });
    let log = (".*", ".*", ".*").prop_map(|(level, logger, message)| proto::LogRecord {
        level,
        logger,
        message,
    });
    (
        ".*",
        vec(call(), 0..3),
        ".*",
        vec(fragment(), 0..3),
        option::of(progress),
        vec(log, 0..3),
    )
        .prop_map(|(text, tool_calls, stderr, call_deltas, progress, logs)| {
            Body::Delta(proto::Delta {
                text,
                tool_calls,
                stderr,
                call_deltas,
                progress,
                logs,
                ..Default::default()
            })
        })
}

fn tool_result() -> impl Strategy<Value = Body> {
    let artefact = (".*", ".*", vec(any::<u8>(), 0..100)).prop_map(|(name, media_type, data)| {
        proto::Artefact {
            name,
            media_type,
            data,
        }
    });
    let isolation = (".*", vec(".*", 0..3)).prop_map(|(level, cures)| proto::Isolation {
        level,
        cures,
        ..Default::default()
    });
    (
        vec(artefact, 0..3),
        option::of(isolation),
        ".*",
        any::<u32>(),
        ".*",
    )
        .prop_map(|(artefacts, isolation, start, queue_us, session)| {
            Body::ToolResult(proto::ToolResult {
                artefacts,
                isolation,
                start,
                queue_us,
                session,
                ..Default::default()
            })
        })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        generate(),
        delta(),
        tool_result(),
        (".*", ".*", any::<bool>(), ".*", any::<bool>()).prop_map(
            |(code, session, end_session, call_id, decides)| Body::RunCode(proto::RunCode {
                code,
                session,
                end_session,
                call_id,
                decides,
            })
        ),
        vec((".*", ".*", ".*"), 0..3).prop_map(|infos| Body::Tools(proto::Tools {
            details: infos
                .into_iter()
                .map(|(name, file, policy)| proto::ToolInfo { name, file, policy })
                .collect(),
            ..Default::default()
        })),
        vec((".*", any::<u64>(), any::<bool>(), vec(".*", 0..3)), 0..3).prop_map(|models| {
            let one = |(name, memory_bytes, default, adapters)| proto::ModelInfo {
                name,
                memory_bytes,
                default,
                adapters,
                ..Default::default()
            };
            Body::ModelList(proto::ModelList {
                models: models.into_iter().map(one).collect(),
            })
        }),
        (0i32..17, ".*", any::<u32>()).prop_map(|(code, message, retry_after_ms)| Body::Error(
            proto::Error {
                code,
                message,
                retry_after_ms,
                ..Default::default()
            }
        )),
        (".*", vec((".*", ".*"), 0..4)).prop_map(|(status, details)| Body::HealthReport(
            proto::HealthReport {
                status,
                details: details.into_iter().collect(),
                ..Default::default()
            }
        )),
        vec(any::<u8>(), 0..200).prop_map(|descriptor_set| Body::Description(proto::Description {
            descriptor_set,
            ..Default::default()
        })),
        Just(Body::Cancel(proto::Cancel {})),
    ]
}

pub fn frame() -> impl Strategy<Value = Frame> {
    let meta = (".*", any::<u32>()).prop_map(|(traceparent, timeout_ms)| Meta {
        traceparent,
        timeout_ms,
    });
    (any::<u32>(), option::of(body()), option::of(meta)).prop_map(|(id, body, meta)| Frame {
        id,
        body,
        meta,
    })
}
