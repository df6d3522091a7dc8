//! mistral.rs as a backend: for graphics processors, and for models that our own engine cannot run.
//!
//! It only computes logits. The prompt, the constraint, the choice of each token and the parser are ours ([`Pilot`]), so
//! what is guaranteed is guaranteed here too.

mod config;
mod pilot;

use std::{
    fmt,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use ipc::{
    Status,
    proto::{Done, Embed, Embeddings, Generate, Score, Scores},
};
use mistralrs::{
    Model, ModelBuilder, ModelDType, NormalRequest, Request, RequestMessage, Response,
    SamplingParams, StopTokens,
};
use tokio::sync::mpsc;

use self::{config::Config, pilot::Pilot};
use super::{About, Answering, Backend, Load, Task, prompted::Prompted};
use crate::{scheduler::Job, tokenizer::Tokenizer};

/// Why a model cannot be served by mistral.rs.
#[derive(Debug, thiserror::Error)]
pub enum MistralRsError {
    #[error("{file}: {what}")]
    File { file: String, what: String },
    #[error(
        "its tokenizer has no {0}, so it does not know FunctionGemma's format: serve it by another program, and name that with openai:URL"
    )]
    Format(&'static str),
    #[error("mistral.rs cannot load it: {0}")]
    Load(String),
}

/// Control tokens without which no chat can be rendered.
const NEEDED: [&str; 3] = ["<bos>", "<start_of_turn>", "<end_of_turn>"];

/// One model that mistral.rs computes.
pub struct MistralRs {
    model: Model,
    prompted: Prompted,
    /// Where it is computed.
    device: &'static str,
    bytes: usize,
    running: Arc<AtomicUsize>,
}

impl fmt::Debug for MistralRs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MistralRs")
            .field("prompted", &self.prompted)
            .finish_non_exhaustive()
    }
}

impl MistralRs {
    /// Bytes of a directory's weights.
    pub fn bytes(dir: &Path) -> usize {
        config::weights(dir)
    }

    /// Loads the Hugging Face directory `dir` under a name, with room for so many requests at once. Blocks.
    pub fn load(
        name: &str,
        dir: &Path,
        parallel: usize,
        max_tokens: usize,
    ) -> Result<Self, MistralRsError> {
        let config = Config::read(dir)?;
        let json = config::read(dir, "tokenizer.json")?;
        let tokenizer = Tokenizer::load(&json, config.vocabulary);
        let tokenizer = tokenizer.map_err(|error| MistralRsError::File {
            file: "tokenizer.json".to_owned(),
            what: error.to_string(),
        })?;
        if let Some(missing) = NEEDED.iter().find(|text| tokenizer.control(text).is_none()) {
            return Err(MistralRsError::Format(missing));
        }
        let prompted = Prompted::new(
            name.to_owned(),
            Arc::new(tokenizer),
            &config.ends,
            config.vocabulary,
            config.context,
            max_tokens,
        );
        let mut builder = ModelBuilder::new(dir.display()).with_max_num_seqs(parallel);
        if !cfg!(any(feature = "mistralrs-cuda", feature = "mistralrs-metal")) {
            // As exact as the weights are; it is not the way to be fast.
            builder = builder.with_force_cpu().with_dtype(ModelDType::F32);
        }
        Ok(Self {
            model: built(builder)?,
            prompted,
            device: device(),
            bytes: config.bytes,
            running: Arc::default(),
        })
    }

    async fn write(&self, asked: Generate, task: &Task) -> Result<Done, Status> {
        if !asked.adapter.is_empty() {
            return Err(
                Status::not_found(format!("there is no adapter {:?} here", asked.adapter))
                    .with_hint("leave `adapter` out: mistral.rs serves the model as it is"),
            );
        }
        if !asked.without.is_empty() {
            return Err(
                Status::invalid_argument("`without` means nothing to mistral.rs")
                    .with_hint("leave it out: those are levers of this program's own engine"),
            );
        }
        let submit = |job| self.submit(job);
        self.prompted.generate(asked, task, None, submit).await
    }

    fn submit(&self, mut job: Job) -> Result<Running, Status> {
        let failed = |error: &dyn fmt::Display| {
            Status::unavailable(format!("mistral.rs takes no request: {error}"))
        };
        let runner = self.model.inner();
        let sender = runner.get_sender(None).map_err(|error| failed(&error))?;
        let prompt = std::mem::take(&mut job.prompt);
        let sampling = SamplingParams {
            stop_toks: Some(StopTokens::Ids(job.stop_ids.clone())),
            // The pilot says when it is enough; one for the token that ends it.
            max_len: Some(job.max_tokens + 1),
            ..SamplingParams::neutral()
        };
        let pilot = Pilot::new(job, self.prompted.context);
        let (told, responses) = mpsc::channel(1);
        let request = NormalRequest {
            logits_processors: Some(vec![Arc::new(pilot.processor())]),
            ..NormalRequest::new_simple(
                RequestMessage::CompletionTokens(prompt),
                sampling,
                told,
                runner.next_request_id(),
                None,
                None,
            )
        };
        sender
            .try_send(Request::Normal(Box::new(request)))
            .map_err(|error| failed(&error))?;
        tokio::spawn(until_done(responses));
        self.running.fetch_add(1, Ordering::Relaxed);
        Ok(Running(self.running.clone()))
    }
}

/// A request under way.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The tokens came by the pilot; what is told here is only whether something went wrong.
async fn until_done(mut responses: mpsc::Receiver<Response>) {
    let wrong = match responses.recv().await {
        Some(Response::InternalError(error) | Response::ValidationError(error)) => {
            error.to_string()
        }
        Some(Response::ModelError(error, _) | Response::CompletionModelError(error, _)) => error,
        _ => return,
    };
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "rust-inference: mistral.rs: {wrong}");
}

/// On a thread of its own: it blocks, and must not be in anybody's runtime.
fn built(builder: ModelBuilder) -> Result<Model, MistralRsError> {
    let build = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime
            .block_on(builder.build())
            .map_err(|error| format!("{error:#}"))
    };
    let built = thread::Builder::new()
        .name("mistralrs".to_owned())
        .spawn(build);
    built
        .map_err(|error| MistralRsError::Load(error.to_string()))?
        .join()
        .unwrap_or_else(|_| Err("it panicked; standard error says where".to_owned()))
        .map_err(MistralRsError::Load)
}

const fn device() -> &'static str {
    if cfg!(feature = "mistralrs-cuda") {
        "cuda"
    } else if cfg!(feature = "mistralrs-metal") {
        "metal"
    } else {
        "cpu"
    }
}

/// What it has no means for.
fn unimplemented(what: &str) -> Status {
    Status::unimplemented(format!("mistral.rs does not answer {what} for this model"))
        .with_hint("ask a model of the native backend")
}

impl Backend for MistralRs {
    fn generate<'a>(&'a self, asked: Generate, task: &'a Task) -> Answering<'a, Done> {
        Box::pin(self.write(asked, task))
    }

    fn embed<'a>(&'a self, _asked: Embed, _task: &'a Task) -> Answering<'a, Embeddings> {
        Box::pin(async { Err(unimplemented("embed")) })
    }

    fn score<'a>(&'a self, _asked: Score, _task: &'a Task) -> Answering<'a, Scores> {
        Box::pin(async { Err(unimplemented("score")) })
    }

    fn about(&self) -> About {
        About {
            context: self.prompted.context,
            adapters: Vec::new(),
            memory_bytes: self.bytes,
            details: vec![
                ("device", self.device.to_owned()),
                ("max_tokens", self.prompted.max_tokens.to_string()),
                (
                    "lost",
                    "forced tokens in batches, candidate rows, speculation, adapters, embed, score"
                        .to_owned(),
                ),
            ],
        }
    }

    fn load(&self) -> Option<Load> {
        Some(Load {
            running: self.running.load(Ordering::Relaxed),
            waiting: 0,
            kv_bytes: 0,
            prefix_bytes: 0,
            prefix_entries: 0,
        })
    }
}
