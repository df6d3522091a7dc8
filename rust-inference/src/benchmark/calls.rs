//! What somebody who asks waits for: a function call, and answers beside others'.

use std::{sync::Arc, time::Instant};

use ipc::{
    program::Failure,
    proto::{Chat, Generate, Message, Tool, generate::Input},
};
use rust_inference::model::Model;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    progress,
    row::{Row, Rows},
    sample::Sample,
    server::{Answered, Server},
};
use crate::cli::{Bench, Part};

const TOOLS: &str = include_str!("../../../bench/tools/levers.json");
/// Its schema leaves a model little choice of how much it writes.
const CALLED: &str = "create_event";
/// That each of several clients asks for.
const TOKENS: u32 = 32;

#[derive(Deserialize)]
struct Declared {
    name: String,
    description: String,
    parameters: Box<RawValue>,
}

pub(super) fn measure(plan: &Bench, model: Arc<Model>, rows: &mut Rows) -> Result<(), Failure> {
    let most = plan.clients.iter().copied().max().unwrap_or(1);
    let server = Server::start(model, most)?;
    let mut measured = Ok(());
    if plan.wants(Part::Call) {
        measured = calls(plan, &server, rows);
    }
    if plan.wants(Part::Clients) {
        measured = measured.and_then(|()| clients(plan, &server, rows));
    }
    server.stop();
    measured
}

fn calls(plan: &Bench, server: &Server, rows: &mut Rows) -> Result<(), Failure> {
    progress("function calls");
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    let tools = tools()?;
    for run in 0..=plan.runs {
        // A prompt that begins as none before: nothing of it is kept.
        let ask = |day: &str| server.ask(call(run, day, &tools));
        cold.push(ask("the first of May")?);
        warm.push(ask("the third of June")?);
    }
    for (test, answers) in [("call cold", cold), ("call warm", warm)] {
        let counted = answers.get(1..).unwrap_or_default();
        let times = Sample::of(counted.iter().map(|a| milliseconds(a.whole)).collect());
        let tokens = counted.last().map_or(0, tokens);
        rows.add(Row::new(test, times, "ms").tokens(tokens))?;
    }
    Ok(())
}

fn clients(plan: &Bench, server: &Server, rows: &mut Rows) -> Result<(), Failure> {
    for &count in &plan.clients {
        progress(&format!("{count} clients"));
        let (mut rates, mut firsts) = (Vec::new(), Vec::new());
        for run in 0..=plan.runs {
            let requests = (0..count).map(|client| text(count, run, client)).collect();
            let since = Instant::now();
            let answers = server.ask_at_once(requests)?;
            let seconds = since.elapsed().as_secs_f64();
            if run > 0 {
                rates.push(f64::from(answers.iter().map(tokens).sum::<u32>()) / seconds);
                firsts.extend(answers.iter().map(|answer| milliseconds(answer.first)));
            }
        }
        rows.add(Row::new("clients", Sample::of(rates), "tok/s").size(count))?;
        rows.add(Row::new("first token", Sample::of(firsts), "ms").size(count))?;
    }
    Ok(())
}

fn milliseconds(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn tokens(answer: &Answered) -> u32 {
    let usage = answer.done.usage.as_ref();
    usage.map_or(0, |usage| usage.completion_tokens)
}

fn tools() -> Result<Vec<Tool>, Failure> {
    let declared: Vec<Declared> = serde_json::from_str(TOOLS)
        .map_err(|error| Failure::new(format!("the tools built in are damaged: {error}"), ""))?;
    let tool = |tool: Declared| Tool {
        name: tool.name,
        description: tool.description,
        parameters: tool.parameters.get().to_owned(),
    };
    Ok(declared.into_iter().map(tool).collect())
}

fn message(role: &str, content: String) -> Message {
    Message {
        role: role.to_owned(),
        content,
        ..Message::default()
    }
}

fn call(session: usize, day: &str, tools: &[Tool]) -> Generate {
    let developer = format!(
        "Session {session:04}. You are a model that can do function calling with the following functions"
    );
    let user = format!("Please put lunch with the new team into my calendar, {day}");
    Generate {
        input: Some(Input::Chat(Chat {
            messages: vec![message("developer", developer), message("user", user)],
        })),
        tools: tools.to_vec(),
        tool_choice: format!("function:{CALLED}"),
        max_calls: 1,
        max_tokens: 128,
        ..Generate::default()
    }
}

/// A question that nobody has asked before.
fn text(clients: usize, run: usize, client: usize) -> Generate {
    let question = format!(
        "{clients} of us ask for the {run}. time, and I am number {client}: tell us something about the sea that we do not know"
    );
    Generate {
        input: Some(Input::Chat(Chat {
            messages: vec![message("user", question)],
        })),
        max_tokens: TOKENS,
        stream: true,
        ..Generate::default()
    }
}
