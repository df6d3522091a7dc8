//! What `bench` can be told to measure.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{WeightsFormat, at_least_one, threads};
use crate::kernels::Kernel;

#[derive(Args, Debug)]
pub struct Bench {
    /// As when serving [default: the small model that is built in]
    #[arg(long, value_name = "MODEL", env = "CALLSPAN_MODEL")]
    pub model: Option<PathBuf>,
    /// What the weights are kept as, one after the other
    #[arg(long, value_name = "FORMAT,…", value_delimiter = ',', default_value = super::DEFAULT_WEIGHTS)]
    pub weights: Vec<WeightsFormat>,
    /// Threads that compute, one number after the other [default: the physical cores that it may use]
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = threads)]
    pub threads: Vec<usize>,
    /// Instructions to compute with: auto (the best that the processor has), portable, avx2, avxvnni or avx512vnni
    #[arg(long, value_name = "NAME", default_value = "auto", env = "CALLSPAN_KERNEL", value_parser = Kernel::named)]
    pub kernel: Kernel,
    /// Measure only these
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',')]
    pub only: Vec<Part>,
    /// Tokens of prompts
    #[arg(short = 'p', long, value_name = "N,…", value_delimiter = ',', default_value = "64,512,2048", value_parser = at_least_one)]
    pub prefill: Vec<usize>,
    /// Tokens that are written one by one, each of the whole vocabulary
    #[arg(short = 'n', long, value_name = "N,…", value_delimiter = ',', default_value = "64", value_parser = at_least_one)]
    pub decode: Vec<usize>,
    /// Positions that are there already, for --decode and --batch
    #[arg(
        short = 'd',
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "0,512,4096"
    )]
    pub depth: Vec<usize>,
    /// Tokens that go through the model together and need no head, as forced ones do
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,2,4,8,16", value_parser = at_least_one)]
    pub batch: Vec<usize>,
    /// Clients that each ask for 32 tokens at the same time
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,4,16", value_parser = at_least_one)]
    pub clients: Vec<usize>,
    /// Runs of each measurement, behind one that does not count
    #[arg(short = 'r', long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub runs: usize,
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

impl Bench {
    pub fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Reading a prompt
    Prefill,
    /// Writing token by token
    Decode,
    /// Small batches without the head
    Batch,
    /// A function call over the socket, its tools never seen before and seen before
    Call,
    /// Several clients at once
    Clients,
}
