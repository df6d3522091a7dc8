//! What a constraint costs with a vocabulary of 262,144 tokens: our own and llguidance, on the same tools and
//! calls.
//!
//! `bench-constraint MODEL TOOLS CALLS` prints the table. Each column is measured in a process of its own, so that
//! the memory is its own too: the program starts itself with the engine and the number of tools in front.

mod calls;
mod lark;
mod measure;
mod memory;
mod ours;
mod report;
mod theirs;

use std::{env, error::Error, process::Command};

use calls::Workload;
use measure::{Figures, measure};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many of the tools are offered.
const SETS: [&str; 2] = ["6", "20"];

/// Ours, and llguidance with two notions of a string.
const ENGINES: [&str; 3] = ["ours", "llguidance", "llguidance, exact strings"];

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [model, tools, calls] => compare(&[model, tools, calls]),
        [engine, count, model, tools, calls] => {
            let workload = Workload::read(model, tools, calls, count.parse()?)?;
            let figures = match engine {
                "ours" => measure::<ours::Ours>(&workload)?,
                "llguidance" => measure::<theirs::Llguidance<false>>(&workload)?,
                _ => measure::<theirs::Llguidance<true>>(&workload)?,
            };
            println!("{}", serde_json::to_string(&figures)?);
            Ok(())
        }
        _ => Err("usage: bench-constraint MODEL TOOLS CALLS".into()),
    }
}

fn compare(files: &[&str]) -> Result<()> {
    let mut columns: Vec<(String, Figures)> = Vec::new();
    for count in SETS {
        for engine in ENGINES {
            let output = Command::new(env::current_exe()?)
                .args([engine, count])
                .args(files)
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
            }
            let figures = serde_json::from_slice(&output.stdout)?;
            columns.push((format!("{engine}, {count} tools"), figures));
        }
    }
    print!("{}", report::table(&columns));
    Ok(())
}
