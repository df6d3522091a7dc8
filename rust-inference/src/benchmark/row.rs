//! What is printed: one line for each figure, as soon as it is known.

use std::io::{self, Write as _};

use ipc::program::Failure;
use rust_inference::kernels::Kernel;
use serde::Serialize;

use super::sample::Sample;

/// One figure, and the conditions that it holds for.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    model: String,
    weights: String,
    threads: usize,
    kernel: &'static str,
    test: &'static str,
    /// Tokens, clients, or bytes that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<usize>,
    /// Positions that were there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    unit: &'static str,
    #[serde(flatten)]
    sample: Sample,
    /// Of the bytes that could have been read meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    of_bandwidth: Option<f64>,
    /// Tokens that an answer had.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<u32>,
}

impl Row {
    pub(super) fn new(test: &'static str, sample: Sample, unit: &'static str) -> Self {
        Self {
            test,
            unit,
            sample,
            ..Self::default()
        }
    }

    pub(super) fn size(mut self, size: usize) -> Self {
        self.size = Some(size);
        self
    }

    pub(super) fn depth(mut self, depth: usize) -> Self {
        self.depth = Some(depth);
        self
    }

    pub(super) fn of_bandwidth(mut self, part: f64) -> Self {
        self.of_bandwidth = Some(part);
        self
    }

    pub(super) fn tokens(mut self, tokens: u32) -> Self {
        self.tokens = Some(tokens);
        self
    }

    fn line(&self) -> String {
        let number = |n: Option<usize>| n.map_or_else(String::new, |n| n.to_string());
        let bandwidth = (self.of_bandwidth).map_or_else(String::new, |part| {
            format!("{:.0} % of the bandwidth", 100.0 * part)
        });
        let tokens = (self.tokens).map_or_else(String::new, |tokens| format!("{tokens} tokens"));
        let Sample {
            median,
            least,
            most,
            p99,
            runs,
        } = self.sample;
        let line = format!(
            "{:<12} {:>10} {:>6} {:>7} {:>3}   {median:>9.2} {least:>9.2} {most:>9.2} {p99:>9.2} {runs:>4}  {:<6} {bandwidth}{tokens}",
            self.test,
            number(self.size),
            number(self.depth),
            self.weights,
            self.threads,
            self.unit,
        );
        line.trim_end().to_owned()
    }
}

/// Where rows go.
#[derive(Debug)]
pub(super) struct Rows {
    json: bool,
    told_heading: bool,
    /// What all rows have in common, until the next begin.
    common: Row,
}

impl Rows {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            told_heading: json,
            common: Row::default(),
        }
    }

    /// The rows that follow are of this model.
    pub(super) fn begin(&mut self, model: &str, weights: String, threads: usize) {
        self.common = Row {
            model: model.to_owned(),
            weights,
            threads,
            kernel: Kernel::chosen().name(),
            ..Row::default()
        };
    }

    pub(super) fn add(&mut self, mut row: Row) -> Result<(), Failure> {
        row.model.clone_from(&self.common.model);
        row.weights.clone_from(&self.common.weights);
        row.threads = self.common.threads;
        row.kernel = self.common.kernel;
        if !self.told_heading {
            self.told_heading = true;
            print(&format!(
                "model: {}, kernel: {}\n{:<12} {:>10} {:>6} {:>7} {:>3}   {:>9} {:>9} {:>9} {:>9} {:>4}  unit",
                row.model,
                row.kernel,
                "test",
                "size",
                "depth",
                "weights",
                "thr",
                "median",
                "least",
                "most",
                "p99",
                "runs"
            ))?;
        }
        if self.json {
            let line = serde_json::to_string(&row).map_err(|error| Failure::new(error, ""))?;
            print(&line)
        } else {
            print(&row.line())
        }
    }
}

fn print(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(|error| {
        Failure::new(
            format!("cannot write what was measured: {error}"),
            "keep standard output open",
        )
    })
}
