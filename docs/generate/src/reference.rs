//! A program's reference page.

use std::fmt::Write as _;

use clap::{Arg, Command};

use crate::text::{cell, paragraphs, sentence};

/// What stands at the top of each page that is made, with what it is made of.
pub(crate) fn made_from(what: &str) -> String {
    format!("<!-- Made of {what} by `make docs-reference`: change that, not this. -->\n\n")
}

pub(crate) fn page(program: &Command) -> String {
    let mut built = program.clone().disable_help_subcommand(true);
    built.build();
    let name = built.get_name().to_owned();
    let mut page = format!("# `{name}`\n\n{}", made_from("the program's command line"));
    let root = built.clone();
    section(&mut built, &root, &mut page);
    page
}

/// A command and those below it. Options that `root` has as well are only named.
fn section(command: &mut Command, root: &Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    if command.get_name() != root.get_name() {
        let _ = writeln!(page, "## `{name}`\n");
    }
    if let Some(about) = command.get_about() {
        let _ = writeln!(page, "{}\n", sentence(&about.to_string()));
    }
    let usage = command.render_usage().to_string();
    let usage: Vec<_> = usage
        .trim_start_matches("Usage:")
        .lines()
        .map(str::trim)
        .collect();
    let _ = writeln!(page, "```text\n{}\n```\n", usage.join("\n").trim());

    let below = command.get_name() != root.get_name();
    let (known, new): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        // Every program has them.
        .filter(|arg| !matches!(arg.get_long(), Some("help" | "version")))
        .partition(|arg| below && root.get_arguments().any(|other| same(other, arg)));
    if !new.is_empty() {
        page.push_str("| | |\n|---|---|\n");
        for arg in new {
            let _ = writeln!(page, "| {} | {} |", cell(&shown(arg)), meaning(arg));
        }
        page.push('\n');
    }
    if !known.is_empty() {
        let names: Vec<_> = known
            .iter()
            .map(|arg| format!("`{}`", short(arg)))
            .collect();
        let _ = writeln!(page, "And as above: {}.\n", names.join(", "));
    }
    if let Some(more) = command.get_after_help() {
        for paragraph in paragraphs(&more.to_string()) {
            if !paragraph.prose.is_empty() {
                let _ = writeln!(page, "{}\n", cell(&paragraph.prose));
            }
            if !paragraph.lines.is_empty() {
                let _ = writeln!(page, "```text\n{}\n```\n", paragraph.lines.join("\n"));
            }
        }
    }
    for sub in command
        .get_subcommands_mut()
        .filter(|sub| !sub.is_hide_set())
    {
        section(sub, root, page);
    }
}

fn same(one: &Arg, other: &Arg) -> bool {
    one.get_id() == other.get_id()
        && one.get_help() == other.get_help()
        && one.get_env() == other.get_env()
        && one.get_default_values() == other.get_default_values()
}

/// `--name`, or a positional's name.
pub(crate) fn short(arg: &Arg) -> String {
    match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => values(arg),
    }
}

fn shown(arg: &Arg) -> String {
    if arg.is_positional() {
        return format!("`{}`", values(arg));
    }
    let mut shown = String::new();
    if let (Some(letter), Some(_)) = (arg.get_short(), arg.get_long()) {
        let _ = write!(shown, "`-{letter}`, ");
    }
    let takes_value = arg.get_action().takes_values();
    let value = if takes_value {
        format!(" {}", values(arg))
    } else {
        String::new()
    };
    let _ = write!(shown, "`{}{value}`", short(arg));
    shown
}

fn values(arg: &Arg) -> String {
    match arg.get_value_names() {
        Some(names) => names.join(" "),
        None => arg.get_id().as_str().to_uppercase(),
    }
}

/// What it is for, its values, its default and its variable.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut meaning = vec![cell(&sentence(
        &help.map(ToString::to_string).unwrap_or_default(),
    ))];
    if arg.get_action().takes_values() {
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({})", value.get_name(), cell(&help.to_string())),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !values.is_empty() && !arg.is_hide_possible_values_set() {
            meaning.push(format!("One of {}.", values.join(", ")));
        }
        let defaults: Vec<_> = arg
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        if !defaults.is_empty() && !arg.is_hide_default_value_set() {
            meaning.push(format!("Default: `{}`.", defaults.join(",")));
        }
    }
    if let Some(name) = arg.get_env() {
        meaning.push(format!("Variable: `{}`.", name.to_string_lossy()));
    }
    meaning.retain(|part| !part.is_empty());
    meaning.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    #[test]
    fn a_page_tells_every_option_once_with_its_default_and_its_variable() {
        let tools = Arg::new("tools")
            .long("tools")
            .value_name("DIR")
            .help("Where | are")
            .env("TOOLS");
        let program = Command::new("run")
            .about("Runs")
            .arg(tools.clone())
            .arg(Arg::new("hidden").long("hidden").hide(true))
            .after_help("Examples:\n  run --tools x")
            .subcommand(
                Command::new("check")
                    .about("Checks")
                    .arg(tools)
                    .arg(
                        Arg::new("format")
                            .long("format")
                            .short('f')
                            .value_parser(["a", "b"])
                            .default_value("a"),
                    )
                    .arg(Arg::new("quiet").long("quiet").action(ArgAction::SetTrue))
                    .arg(
                        Arg::new("dir")
                            .value_name("DIR")
                            .required(true)
                            .help("The directory"),
                    ),
            );
        let page = page(&program);
        for line in [
            "# `run`",
            "| `--tools DIR` | Where \\| are. Variable: `TOOLS`. |",
            "```text\nrun --tools x\n```",
            "## `run check`",
            "| `-f`, `--format FORMAT` | One of `a`, `b`. Default: `a`. |",
            "| `--quiet` |  |",
            "| `DIR` | The directory. |",
            "And as above: `--tools`.",
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
        assert!(!page.contains("hidden"), "{page}");
        assert_eq!(page.matches("Where").count(), 1);
    }
}
