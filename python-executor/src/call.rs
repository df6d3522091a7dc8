//! One task from its start to its result: what the child says and prints is passed on and kept, what it asks is
//! answered, and its time is bounded. The truth comes from the kernel and from our clock; what the child says is input
//! like any other.

use std::{future::Future, os::fd::OwnedFd, pin::Pin, time::Duration};

use ipc::proto::Artefact;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    course::{Asked, Course},
    protocol::{
        channel::{Kind, frame},
        work::{Failure, Note, Question, Refused, Work},
    },
    sandbox::Group,
    supervisor::{Child, Output, PATIENCE, Usage},
};

/// How long a child that gave its result may take to end.
pub(crate) const GOING: Duration = Duration::from_millis(500);
/// A call that takes longer gives way to those that are quicker.
const QUICK: Duration = Duration::from_millis(20);
/// How long output is waited for that something else than the child holds open.
const GRACE: Duration = Duration::from_millis(100);

/// Which stream a piece of output was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Who hears what a child says while it works, and answers what it asks.
pub(crate) trait Listener: Sync {
    fn output(&self, stream: Stream, text: &str);
    fn note(&self, note: Note);
    /// The answer to a question, as text.
    fn ask(&self, question: Question) -> impl Future<Output = String> + Send;
    /// A connection, if the policy allows it.
    fn connect(&self, address: String) -> impl Future<Output = Result<OwnedFd, Refused>> + Send;
}

/// How long a task may take, and how much of each stream is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) wall: Duration,
    pub(crate) output: usize,
    /// How long its answer is waited for awake.
    pub(crate) watched: Duration,
}

/// How a task ended, and what it left.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) truncated: bool,
    pub(crate) artefacts: Vec<Artefact>,
    pub(crate) wall: Duration,
    pub(crate) used: Option<Usage>,
    /// Processor time since the child began, by which the kernel ends it.
    pub(crate) child_cpu_us: u64,
    /// It was killed because it and what it wrote took more memory than it may.
    pub(crate) out_of_memory: bool,
    /// The child did not go when it was killed: its zygote is stuck.
    pub(crate) stuck: bool,
}

#[derive(Debug)]
pub(crate) enum End {
    /// JSON text.
    Result(String),
    Failure(Failure),
    TimedOut,
    Cancelled,
    ZygoteLost,
    /// The child said nothing that counts, and ended with this wait status.
    Died(i32),
    /// It wrote something else than the protocol's frames to its channel.
    Protocol(String),
}

/// What is being found out for the child.
enum Answer {
    Text(String),
    Connection(Result<OwnedFd, Refused>),
}

type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Runs one piece of work in a child. A session's child is there for more afterwards, if it gave an answer.
pub(crate) async fn run(
    child: &mut Child,
    work: &Work,
    bounds: Bounds,
    cancelled: &CancellationToken,
    listener: &impl Listener,
) -> Finished {
    let started = Instant::now();
    let stay = matches!(work, Work::Code { stay: true, .. });
    let mut course = Course::new(child.warm);
    let mut answering: Option<Answering<'_>> = None;
    // While others decide for the tool its time stands still. What it waits for by itself, as for a connection, is its own.
    let mut deadline = started + bounds.wall;
    let mut asked: Option<Instant> = None;
    // What happens if nothing else does: a child that was to go is killed, one that was killed is given up.
    let mut next_step: Option<Instant> = None;
    let mut stuck = false;
    let mut calm_at = Some(started + QUICK);
    if let Ok(json) = serde_json::to_vec(work) {
        let frame = frame(&[], Kind::Work, &[&json]);
        child.channel.write(frame, None);
        child.channel.watch(bounds.watched);
    }
    loop {
        for (stream, output) in [Stream::Out, Stream::Err]
            .into_iter()
            .zip(&mut child.outputs)
        {
            if let Some(text) = output.pass() {
                listener.output(stream, text);
            }
        }
        let printed = child.outputs.iter().all(Output::is_done);
        let all_said = child.channel.is_silent() && printed;
        // One that cannot be asked what it used is waited for: the kernel tells it at the end.
        let done = stay || course.used.is_some();
        if (course.answered() && done && course.stopped.is_none())
            || (child.process.is_over() && all_said)
            || stuck
        {
            break;
        }
        let Child {
            channel,
            outputs: [stdout, stderr],
            process,
            ..
        } = &mut *child;
        tokio::select! {
            biased;
            () = cancelled.cancelled(), if course.stopped.is_none() => {
                course.stopped = Some(End::Cancelled);
                process.kill();
                next_step = Some(Instant::now() + PATIENCE);
            }
            // Before all that the child does: whoever floods us has no longer than others.
            () = time::sleep_until(deadline), if course.stopped.is_none() && !course.answered() && asked.is_none() => {
                course.stopped = Some(End::TimedOut);
                process.kill();
                next_step = Some(Instant::now() + PATIENCE);
            }
            () = until(next_step), if next_step.is_some() => {
                if process.is_over() || course.killed {
                    stuck = !process.is_over();
                    break;
                }
                course.killed = true;
                process.kill();
                next_step = Some(Instant::now() + PATIENCE);
            }
            () = until(calm_at), if calm_at.is_some() => {
                calm_at = None;
                process.calm();
            }
            said = channel.next(), if !channel.is_silent() => {
                match course.hear(said) {
                    Asked::Nothing => {}
                    Asked::Note(note) => listener.note(note),
                    _ if answering.is_some() => {
                        course.wrong("a question was asked before another was answered");
                    }
                    Asked::Question(question) => {
                        asked = Some(Instant::now());
                        answering = Some(Box::pin(async { Answer::Text(listener.ask(question).await) }));
                    }
                    Asked::Connection(address) => {
                        answering = Some(Box::pin(async { Answer::Connection(listener.connect(address).await) }));
                    }
                }
                if course.answered() && course.used.is_none() {
                    course.used = process.used();
                    if course.used.is_none() && !stay {
                        channel.close();
                        next_step = Some(Instant::now() + GOING);
                    }
                }
                if course.stopped.is_some() {
                    process.kill();
                    next_step = Some(Instant::now() + PATIENCE);
                }
            }
            () = stdout.ready() => stdout.read(bounds.output),
            () = stderr.ready() => stderr.read(bounds.output),
            answer = async { match &mut answering { Some(answering) => answering.await, None => std::future::pending().await } } => {
                answering = None;
                deadline += asked.take().map_or(Duration::ZERO, |asked| asked.elapsed());
                let (kind, content, descriptor) = match answer {
                    Answer::Text(text) => (Kind::Answer, text.into_bytes(), None),
                    Answer::Connection(Ok(descriptor)) => (Kind::Connection, Vec::new(), Some(descriptor)),
                    Answer::Connection(Err(refused)) => {
                        (Kind::Connection, serde_json::to_vec(&refused).unwrap_or_default(), None)
                    }
                };
                channel.write(frame(&[], kind, &[&content]), descriptor);
            }
            _ = process.over(), if !process.is_over() => next_step = Some(Instant::now() + GRACE),
        }
    }
    conclude(child, course, bounds, started.elapsed(), stuck)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn conclude(
    child: &mut Child,
    mut course: Course,
    bounds: Bounds,
    wall: Duration,
    stuck: bool,
) -> Finished {
    for output in &mut child.outputs {
        output.read(bounds.output);
    }
    if course.answered() && child.channel.has_more() {
        course.wrong("something was written behind the result");
    }
    let [(stdout, cut), (stderr, cut_too)] = child.outputs.each_mut().map(Output::collect);
    let group = child.group.as_ref().map(Group::usage).unwrap_or_default();
    let before = child.cpu_before_us;
    let used = child.process.end().map_or(course.used, |end| {
        Some(Usage {
            cpu_us: end.cpu_us,
            max_rss_kib: end.max_rss_kib,
        })
    });
    // What is not in the process, such as its scratch directory, counts as well where the kernel counts it.
    let used = used.map(|used| Usage {
        max_rss_kib: used
            .max_rss_kib
            .max(group.peak_memory.map_or(0, |bytes| bytes >> 10)),
        ..used
    });
    child.warm |= course.warm;
    child.cpu_before_us = used.map_or(before, |used| used.cpu_us);
    Finished {
        artefacts: std::mem::take(&mut course.artefacts),
        end: course.end(child.process.end(), child.process.is_over()),
        stdout,
        stderr,
        truncated: cut || cut_too,
        wall,
        out_of_memory: group.out_of_memory,
        used: used.map(|used| Usage {
            cpu_us: used.cpu_us.saturating_sub(before),
            ..used
        }),
        child_cpu_us: child.cpu_before_us,
        stuck,
    }
}
