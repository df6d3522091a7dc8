//! What a frame says, in a few words: the part that a person looks for first, not all of it.
use crate::{
    codec::json,
    proto::{
        Artefact, Chat, Code, Frame, LogRecord, ModelInfo, Progress, ToolCall, ToolCallDelta,
        ToolResult, frame::Body, generate::Input, score,
    },
};

/// Characters of a tool's result: what it cost is seen behind it, however long it is.
const RESULT: usize = 48;

/// A body in a few words, unescaped.
pub(super) fn summary(body: &Body) -> String {
    match body {
        Body::Generate(generate) => {
            let text = match &generate.input {
                Some(Input::Prompt(prompt)) => prompt.as_str(),
                Some(Input::Chat(chat)) => last_content(chat),
                None => "",
            };
            match generate.tools.len() {
                0 => text.to_owned(),
                1 => format!("{text} (1 tool)"),
                tools => format!("{text} ({tools} tools)"),
            }
        }
        Body::Delta(delta) => parts([
            delta.text.clone(),
            calls(&delta.tool_calls),
            fragments(&delta.call_deltas),
            labelled("stdout", &delta.stdout),
            labelled("stderr", &delta.stderr),
            delta.progress.as_ref().map(progress).unwrap_or_default(),
            logs(&delta.logs),
        ]),
        Body::Done(done) => parts([
            done.finish_reason.clone(),
            done.error
                .as_ref()
                .map(|error| error.message.clone())
                .unwrap_or_default(),
            calls(&done.tool_calls),
            done.content.clone(),
        ]),
        Body::Embed(embed) => embed.input.join(" · "),
        Body::Embeddings(answer) => {
            let count = answer.vectors.len();
            format!("{count} × {} dimensions", answer.dimensions)
        }
        Body::Score(score) => {
            let before = match &score.input {
                Some(score::Input::Prompt(prompt)) => prompt.as_str(),
                Some(score::Input::Chat(chat)) => last_content(chat),
                None => "",
            };
            let ids = match score.completion_ids.len() {
                0 => String::new(),
                ids => format!("{ids} tokens"),
            };
            parts([before.to_owned(), score.completion.clone(), ids])
        }
        Body::Scores(scores) => format!("{} over {} tokens", scores.sum, scores.count),
        Body::MetricsReport(report) => format!("{} bytes", report.text.len()),
        Body::Models(asked) => parts([
            labelled("load", &asked.load),
            labelled("unload", &asked.unload),
            labelled("reload", &asked.reload),
        ]),
        Body::ModelList(list) => {
            let one = |model: &ModelInfo| format!("{} {}", model.name, model.state);
            list.models.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        Body::RunCode(run) => parts([labelled("session", &run.session), run.code.clone()]),
        Body::CallTool(call) => format!("{}({})", call.name, call.arguments),
        Body::ToolResult(result) => tool_result(result),
        Body::ToolRequest(ask) => parts([ask.kind.clone(), calls(ask.call.as_slice())]),
        Body::ToolDecision(decision) => parts([
            decision.verdict.clone(),
            decision.result.clone(),
            decision.reason.clone(),
        ]),
        Body::Error(error) => {
            let code = Code::try_from(error.code).map_or("UNKNOWN", |code| code.as_str_name());
            format!("{code}: {}", error.message)
        }
        Body::Tools(tools) => {
            let names: Vec<_> = tools.tools.iter().map(|tool| tool.name.as_str()).collect();
            names.join(", ")
        }
        Body::HealthReport(report) => {
            format!("{} {} {}", report.status, report.server, report.version)
        }
        Body::Welcome(welcome) => format!("{} {}", welcome.server, welcome.version),
        Body::Hello(hello) => hello.client.clone(),
        Body::Ping(ping) => ping.payload.clone(),
        Body::Pong(pong) => pong.payload.clone(),
        Body::GoAway(away) => away.reason.clone(),
        Body::Description(description) => description.help.clone(),
        Body::Cancel(_)
        | Body::Health(_)
        | Body::Metrics(_)
        | Body::Describe(_)
        | Body::ListTools(_) => String::new(),
    }
}

fn tool_result(result: &ToolResult) -> String {
    parts([
        result.outcome.clone(),
        shortened(&result.result),
        result
            .error
            .as_ref()
            .map(|error| shortened(&format!("{}: {}", error.r#type, error.message)))
            .unwrap_or_default(),
        artefacts(&result.artefacts),
        cost(result),
    ])
}

/// What a call took, and what ran it; nothing where the server tells nothing.
fn cost(result: &ToolResult) -> String {
    let ms = |us: u32| format!("{:.1} ms", f64::from(us) / 1e3);
    let told = |what: String, is: bool| is.then_some(what);
    let level = result.isolation.as_ref().map(|told| told.level.clone());
    let told: Vec<_> = [
        told(ms(result.wall_us), result.wall_us > 0),
        told(format!("cpu {}", ms(result.cpu_us)), result.cpu_us > 0),
        told(
            format!("{:.1} MiB", f64::from(result.max_rss_kib) / 1024.0),
            result.max_rss_kib > 0,
        ),
        told(result.start.clone(), !result.start.is_empty()),
        level,
    ]
    .into_iter()
    .flatten()
    .collect();
    told.join(", ")
}

/// Files by what they are; what is in them does not belong on a line.
fn artefacts(files: &[Artefact]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|file| {
            format!(
                "{} ({}, {} bytes)",
                file.name,
                file.media_type,
                file.data.len()
            )
        })
        .collect();
    files.join(" ")
}

fn progress(told: &Progress) -> String {
    let far = told
        .fraction
        .map(|fraction| format!("{:.0} %", fraction * 100.0));
    let what = [far.unwrap_or_default(), told.message.clone()].join(" ");
    labelled("progress", what.trim())
}

fn logs(records: &[LogRecord]) -> String {
    let records: Vec<_> = records
        .iter()
        .map(|record| format!("{} {}: {}", record.level, record.logger, record.message))
        .collect();
    records.join(" · ")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(RESULT) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
        None => text.to_owned(),
    }
}

/// What was said last.
fn last_content(chat: &Chat) -> &str {
    (chat.messages.last()).map_or("", |message| message.content.as_str())
}

/// A frame whose body this protocol does not know.
pub(super) fn of_unknown(frame: &Frame) -> String {
    json::to_line(frame).unwrap_or_default()
}

fn parts<const N: usize>(parts: [String; N]) -> String {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}

fn labelled(name: &str, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("{name}: {text}")
    }
}

fn calls(calls: &[ToolCall]) -> String {
    let calls: Vec<_> = calls
        .iter()
        .map(|call| format!("{}({})", call.name, call.arguments))
        .collect();
    calls.join(" ")
}

/// Pieces of calls, as they were cut.
fn fragments(parts: &[ToolCallDelta]) -> String {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| match part.name.as_str() {
            "" => format!("…{}", part.arguments),
            name => format!("{name}({}", part.arguments),
        })
        .collect();
    parts.join(" ")
}
