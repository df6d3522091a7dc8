//! The command line: what can be typed. What is done then is in the program; this is here, so that its reference can be
//! made from its own definition.

mod bench;
mod models;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    constrain::ArgumentOrder,
    http::{Address, Key},
    kernels::{Kernel, Weights},
    scheduler::Capacity,
};

pub use self::{
    bench::{Bench, Part},
    models::{Kind, Models, Named},
};

/// What the weights are kept as unless somebody says otherwise.
const DEFAULT_WEIGHTS: &str = "q8";

/// Serves a Gemma 3 model for function calling over a Unix domain socket.
#[derive(Debug, Parser)]
#[command(name = "rust-inference", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Serve,
}

const EXAMPLES: &str = "\
Examples:
  rust-inference --socket /tmp/inf.sock              serve the built-in model
  rust-inference --http 127.0.0.1:8080               speak OpenAI's API as well: http://127.0.0.1:8080/v1
  rust-inference --model google/functiongemma-270m-it  serve a model of Hugging Face, downloaded once
  rust-inference --model ~/my-model --adapter home=~/lora  serve a directory, and an adapter that requests may name
  rust-inference --model small=built-in --model big=~/my-model  serve several: requests name one, or get the first
  rust-inference --model qwen=openai:http://localhost:11434/v1#qwen3:0.6b  serve a model of another server, here Ollama's
  rust-inference bench --threads 1,2,4               measure how fast this machine runs it
  rust-inference render --input chat.json            print the prompt of {\"messages\": […], \"tools\": […]}
  rust-inference parse --tools tools.json < text     print the calls in a model's text
  rust-inference accept --tools tools.json < text    say whether the model could have written it
  rust-inference schema --tools tools.json           print how the schemas are understood
  rust-inference parse --batch < texts.jsonl         the same for a line {\"id\", \"tools\", \"text\"} after the other";

#[derive(Args, Debug)]
pub struct Serve {
    /// Where to listen [default: `$XDG_RUNTIME_DIR/callspan/inference.sock`]
    #[arg(long, value_name = "PATH", env = "CALLSPAN_INFERENCE_SOCKET")]
    pub socket: Option<PathBuf>,
    #[command(flatten)]
    pub models: Models,
    /// Requests that are worked on at once: they share the reading of the weights
    #[arg(long, value_name = "N", default_value_t = Capacity::default().parallel, env = "CALLSPAN_PARALLEL", value_parser = parallel)]
    pub parallel: usize,
    /// MiB of memory for the KV caches of requests at work; each reserves the most that it can come to need, and waits if
    /// that is not free
    #[arg(long, value_name = "N", default_value_t = Capacity::default().kv_bytes >> 20, env = "CALLSPAN_KV_CACHE_MIB", value_parser = at_least_one)]
    pub kv_cache_mib: usize,
    /// Requests that may wait for the model; more are refused
    #[arg(long, value_name = "N", default_value_t = Capacity::default().queue, env = "CALLSPAN_QUEUE", value_parser = at_least_one)]
    pub queue: usize,
    /// Threads that compute [default: the physical cores that it may use]
    #[arg(long, value_name = "N", env = "CALLSPAN_THREADS", value_parser = threads)]
    pub threads: Option<usize>,
    /// What the weights are kept as in memory: q4 is the smallest and q8 nearly as good as all, bf16 is as exact as most
    /// checkpoints are, f32 also computes attention exactly
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = DEFAULT_WEIGHTS,
        env = "CALLSPAN_WEIGHTS"
    )]
    pub weights: WeightsFormat,
    /// Instructions to compute with: auto (the best that the processor has), portable, avx2, avxvnni or avx512vnni
    #[arg(long, value_name = "NAME", default_value = "auto", env = "CALLSPAN_KERNEL", value_parser = Kernel::named)]
    pub kernel: Kernel,
    /// Most tokens of one answer
    #[arg(long, value_name = "N", default_value_t = 1024, env = "CALLSPAN_MAX_TOKENS", value_parser = at_least_one)]
    pub max_tokens: usize,
    /// MiB of memory for what was computed of earlier requests, so that a prompt that begins like one of them need only
    /// compute its end; 0 keeps nothing
    #[arg(long, value_name = "N", default_value_t = Capacity::default().prefix_bytes >> 20, env = "CALLSPAN_PREFIX_CACHE_MIB", value_parser = mib)]
    pub prefix_cache_mib: usize,
    /// Speak OpenAI's API as well, on this Unix socket
    #[arg(long, value_name = "PATH", env = "CALLSPAN_HTTP_SOCKET")]
    pub http_socket: Option<PathBuf>,
    /// Speak OpenAI's API as well, on 127.0.0.1:PORT (port 0: any); on an address that other machines reach only with --api-key
    #[arg(long, value_name = "ADDR", env = "CALLSPAN_HTTP", value_parser = Address::tcp)]
    pub http: Option<Address>,
    /// What HTTP's clients must show as Authorization: Bearer KEY, on every path but /health; on the command line others can
    /// see it, in the environment they cannot
    #[arg(long, value_name = "KEY", env = "CALLSPAN_API_KEY", hide_env_values = true, value_parser = Key::new)]
    pub api_key: Option<Key>,
    /// Answer GET /metrics for Prometheus on 127.0.0.1:PORT, or on a Unix socket (a path with a / in it)
    #[arg(long, value_name = "ADDR", env = "CALLSPAN_METRICS")]
    pub metrics: Option<Address>,
    /// Let --metrics listen where other machines can reach it
    #[arg(long)]
    pub metrics_public: bool,
    /// Do not keep packed weights on disk (beside the model, or in `$XDG_CACHE_HOME/callspan`) for a faster next start
    #[arg(long, env = "CALLSPAN_NO_PACKED_CACHE", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_packed_cache: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure how fast this machine runs the model, beside how fast it could
    Bench(Bench),
    /// Print the exact prompt of a conversation, and nothing else
    Render {
        /// A file with {"messages": […], "tools": […]} as OpenAI writes them; - is standard input
        #[arg(long, value_name = "FILE", default_value = "-")]
        input: PathBuf,
        /// Answer each line {"id", "tools", "messages"} by a line {"id", "ok", "result" | "error"}
        #[arg(long)]
        batch: bool,
    },
    /// Print the text and the calls of what a model wrote, from standard input, as JSON; exit 1 if a call is not valid
    Parse {
        /// A file with the tools that were offered, as OpenAI writes them: […] or {"tools": […]}
        #[arg(long, value_name = "FILE", required_unless_present = "batch")]
        tools: Option<PathBuf>,
        /// Answer each line {"id", "tools", "text"} by a line {"id", "ok", "result" | "error"}; --tools is for lines without
        #[arg(long)]
        batch: bool,
    },
    /// Say whether a text is one that the constraint accepts: exit 0 if it is, 1 with the byte and what was expected if not,
    /// 2 if the schemas cannot be kept to
    Accept(Accept),
    /// Print the logits of texts, to compare them with another engine's: for each line of standard input, a JSON string in
    /// the model's own format, a line {"ids", "columns"}, then a row of little-endian f32 for each id
    Logits(Logits),
    /// Print what was understood of the tools' schemas, and what was refused; exit 1 if anything was
    Schema {
        /// A file with tools, as OpenAI writes them: […] or {"tools": […]}
        #[arg(long, value_name = "FILE", required_unless_present = "batch")]
        tools: Option<PathBuf>,
        /// Leave out of the schemas what cannot be kept to, and say so
        #[arg(long)]
        lenient: bool,
        /// Answer each line {"id", "tools"} by a line {"id", "ok", "result" | "error"}; --tools is for lines without
        #[arg(long)]
        batch: bool,
    },
}

fn mib(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n <= 1 << 20 => Ok(n),
        Ok(_) => Err("give at most 1048576".to_owned()),
        Err(_) => Err("give a whole number of MiB, 0 to keep nothing".to_owned()),
    }
}

#[derive(Args, Debug)]
pub struct Logits {
    /// As when serving [default: the small model that is built in]
    #[arg(long, value_name = "MODEL", env = "CALLSPAN_MODEL")]
    pub model: Option<PathBuf>,
    /// What the weights are kept as in memory
    #[arg(long, value_name = "FORMAT", default_value = "f32")]
    pub weights: WeightsFormat,
}

#[derive(Args, Debug)]
pub struct Accept {
    /// A file with the tools that were offered, as OpenAI writes them: […] or {"tools": […]}
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    pub tools: Option<PathBuf>,
    /// The text; - is standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub input: PathBuf,
    /// Answer each line {"id", "tools", "text"} by a line {"id", "ok", "result" | "error"}; --tools is for lines without
    #[arg(long)]
    pub batch: bool,
    /// Whether and what may be called: auto, required, none, or the name of a function
    #[arg(long, value_name = "CHOICE", default_value = "auto")]
    pub tool_choice: String,
    /// Most calls of one answer
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub max_calls: Option<usize>,
    /// The order of arguments
    #[arg(long, value_name = "ORDER", default_value = "sorted")]
    pub argument_order: Order,
    /// Leave out of the schemas what cannot be kept to, instead of refusing them
    #[arg(long)]
    pub lenient: bool,
    /// The Hugging Face directory of a model: count the text in its tokens, and see that they can spell it
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Order {
    /// By name, ignoring case
    Sorted,
    /// As the schema lists its properties
    Declared,
    /// Any
    Any,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WeightsFormat {
    Q4,
    Q8,
    Bf16,
    F32,
}

impl From<WeightsFormat> for Weights {
    fn from(format: WeightsFormat) -> Self {
        match format {
            WeightsFormat::Q4 => Self::Q4,
            WeightsFormat::Q8 => Self::Q8,
            WeightsFormat::F32 => Self::F32,
            WeightsFormat::Bf16 => Self::Bf16,
        }
    }
}

impl From<Order> for ArgumentOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Sorted => Self::Sorted,
            Order::Declared => Self::Declared,
            Order::Any => Self::Any,
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("give 1 or more".to_owned()),
        Ok(n) if n <= 1 << 20 => Ok(n),
        Ok(_) => Err("give at most 1048576".to_owned()),
        Err(_) => Err("give a whole number".to_owned()),
    }
}

/// Each has a row of the head in every pass, as long as the vocabulary.
fn parallel(text: &str) -> Result<usize, String> {
    match at_least_one(text)? {
        n if n <= 256 => Ok(n),
        _ => Err("give at most 256".to_owned()),
    }
}

/// More threads than any machine has processors do nothing but use it up.
fn threads(text: &str) -> Result<usize, String> {
    match at_least_one(text)? {
        n if n <= 1024 => Ok(n),
        _ => Err("give at most 1024".to_owned()),
    }
}
