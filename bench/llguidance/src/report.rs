//! The figures as a Markdown table.

use crate::measure::{FEW, Figures};

/// What a column says in a row.
type Cell = fn(&Figures) -> String;

pub fn table(columns: &[(String, Figures)]) -> String {
    let mut rows: Vec<(&str, Cell)> = Vec::new();
    let mut row = |name, cell| rows.push((name, cell));
    row("calls, tokens of them", |f| {
        format!("{}, {}", f.calls, f.tokens)
    });
    row("made once for the vocabulary", |f| time(f.vocabulary_us));
    row("memory of that", |f| format!("{:.0} MiB", f.vocabulary_mib));
    row("compiling the tools", |f| time(f.compile_us));
    row("constraint time of a call, tools never seen before", |f| {
        time(f.cold_call_us)
    });
    row("the same, tools known, other texts", |f| time(f.call_us));
    row("a chosen token: median", |f| time(f.step_us[0]));
    row("a chosen token: p99", |f| time(f.step_us[1]));
    row("a chosen token: longest", |f| time(f.step_us[2]));
    row("tokens forced", |f| share(f.forced, f.tokens));
    row("tokens chosen of few candidates", |f| {
        share(f.few, f.tokens)
    });
    row("candidates: median", |f| format!("{:.0}", f.candidates[0]));
    row("candidates: p90", |f| format!("{:.0}", f.candidates[1]));
    row("candidates: most", |f| format!("{:.0}", f.candidates[2]));
    row("memory in all", |f| format!("{:.0} MiB", f.mib));
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let names = columns.iter().map(|(name, _)| name.clone());
    let mut table = line(std::iter::once(String::new()).chain(names).collect());
    table += &line(vec!["---".to_owned(); columns.len() + 1]);
    for (name, cell) in rows {
        let cells = columns.iter().map(|(_, figures)| cell(figures));
        table += &line(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    table
        + &format!("\nFew are at most {FEW} candidates; times are medians unless said otherwise.\n")
}

fn time(us: f64) -> String {
    match us {
        us if us < 100.0 => format!("{us:.1} µs"),
        us if us < 10_000.0 => format!("{us:.0} µs"),
        us => format!("{:.0} ms", us / 1000.0),
    }
}

fn share(part: usize, whole: usize) -> String {
    format!(
        "{part} ({:.0} %)",
        100.0 * part as f64 / whole.max(1) as f64
    )
}
