//! A program written with Haskell's optparse-applicative, told in clap's words from its `--help`, so that its pages and
//! completions are made as all others are.

use std::{path::Path, process::Command as Process};

use clap::{Arg, ArgAction, Command};
use ipc::program::Failure;

/// The program and its subcommands, each asked for its help.
pub(crate) fn program(name: &'static str, path: &Path) -> Result<Command, Failure> {
    let version = said(path, &["--version"])?;
    let version = version.trim().trim_start_matches(name).trim().to_owned();
    let version: &'static str = version.leak();
    Ok(command(name, &|words: &[&str]| said(path, words), &[])?.version(version))
}

fn said(program: &Path, words: &[&str]) -> Result<String, Failure> {
    let shown = format!("{} {}", program.display(), words.join(" "));
    let output = Process::new(program)
        .args(words)
        .output()
        .map_err(|error| Failure::new(format!("{shown}: {error}"), "make build"))?;
    if !output.status.success() {
        return Err(Failure::new(format!("{shown}: {}", output.status), ""));
    }
    String::from_utf8(output.stdout).map_err(|error| Failure::new(format!("{shown}: {error}"), ""))
}

/// What `said` of the words that lead to a subcommand, and of those below it.
fn command(
    name: &'static str,
    said: &dyn Fn(&[&str]) -> Result<String, Failure>,
    words: &[&str],
) -> Result<Command, Failure> {
    let text = said(&[words, &["--help"]].concat())?;
    let help = Help::read(&text).map_err(|line| {
        Failure::new(
            format!("the help of {name} has the line {line:?}"),
            "teach optparse.rs what it is",
        )
    })?;
    // clap's own would say the same in other words.
    let usage = help.usage.clone();
    let mut command = Command::new(name)
        .about(help.about)
        .override_usage(help.usage)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true);
    if !help.footer.is_empty() {
        command = command.after_help(help.footer);
    }
    for (names, what) in help.options {
        let needed = usage.split(' ').any(|word| word == names);
        command = command.arg(argument(&names, what).required(needed));
    }
    for (sub, what) in help.commands {
        let sub: &'static str = sub.leak();
        let words = [words, &[sub]].concat();
        command = command.subcommand(self::command(sub, said, &words)?.about(what));
    }
    Ok(command)
}

/// `-v,--verbose`, `--tools DIR` or `QUESTION`.
fn argument(names: &str, what: String) -> Arg {
    let (flags, value) = names.split_once(' ').unwrap_or((names, ""));
    let id: &'static str = flags.to_owned().leak();
    let mut argument = Arg::new(id).help(what);
    for flag in id.split(',') {
        if let Some(long) = flag.strip_prefix("--") {
            argument = argument.long(long);
        } else if let Some(short) = flag.strip_prefix('-') {
            argument = argument.short(short.chars().next());
        } else {
            return argument.value_name(id);
        }
    }
    if value.is_empty() {
        argument.action(ArgAction::SetTrue)
    } else {
        argument.value_name(value.to_owned().leak() as &'static str)
    }
}

/// What a help says, unwrapped.
#[derive(Debug, Default, PartialEq, Eq)]
struct Help {
    usage: String,
    about: String,
    options: Vec<(String, String)>,
    commands: Vec<(String, String)>,
    footer: String,
}

impl Help {
    /// Err: a line that cannot be told what it is.
    fn read(text: &str) -> Result<Self, String> {
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum Part {
            Usage,
            About,
            Options,
            Commands,
            Footer,
        }
        let mut help = Self::default();
        let mut part = Part::Usage;
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some(usage) = words.strip_prefix("Usage: ") {
                usage.clone_into(&mut help.usage);
                continue;
            }
            part = match line {
                "" => continue,
                "Available options:" => Part::Options,
                "Available commands:" => Part::Commands,
                _ if indent == 0 => Part::Footer,
                // The usage goes on far to the right.
                _ if part == Part::Usage && indent == 2 => Part::About,
                _ => part,
            };
            let entries = match part {
                Part::Usage => {
                    join(&mut help.usage, &words);
                    continue;
                }
                Part::About => {
                    join(&mut help.about, &words);
                    continue;
                }
                // Of a heading that is not known here: what stands below it would be lost.
                Part::Footer if indent > 0 => return Err(line.to_owned()),
                Part::Footer => {
                    join(&mut help.footer, &words);
                    continue;
                }
                Part::Options => &mut help.options,
                Part::Commands => &mut help.commands,
            };
            if line.ends_with(':') && indent == 0 {
                continue;
            }
            if indent == 2 {
                let (names, what) = line.trim().split_once("  ").unwrap_or((line.trim(), ""));
                entries.push((names.to_owned(), what.trim().to_owned()));
            } else if let Some((_, what)) = entries.last_mut() {
                join(what, &words);
            } else {
                return Err(line.to_owned());
            }
        }
        if help.usage.is_empty() || help.options.is_empty() {
            return Err(text.lines().next().unwrap_or_default().to_owned());
        }
        Ok(help)
    }
}

fn join(text: &mut String, words: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "\
Usage: callspan COMMAND [--version]
  One sentence in.

Available options:
  --version                Show the version
  -h,--help                Show this help text

Available commands:
  ask                      Answers QUESTION with the help of tools: asks the
                           model what to call.

Try: callspan ask \"How many miles is 12 km?\"
";
    const ASK: &str = "\
Usage: callspan ask QUESTION [--tools DIR]
                    [-v|--verbose]

  Answers QUESTION.

Available options:
  QUESTION                 A sentence; quote it
  --tools DIR              Python files with the tools (default: the
                           examples)
  -v,--verbose             Show more
  --a-name-that-is-long NUMBER
                           It stands below
";

    #[test]
    fn a_help_is_read_with_what_was_wrapped() {
        let said =
            |words: &[&str]| Ok(if words == ["ask", "--help"] { ASK } else { TOP }.to_owned());
        let top = command("callspan", &said, &[]).unwrap();
        assert_eq!(top.get_about().unwrap().to_string(), "One sentence in.");
        let ask = top.find_subcommand("ask").unwrap();
        assert!(
            ask.get_about()
                .unwrap()
                .to_string()
                .ends_with("model what to call.")
        );
        let usage = ask.get_overridden_usage().unwrap().to_string();
        assert_eq!(usage, "callspan ask QUESTION [--tools DIR] [-v|--verbose]");
        let told: Vec<_> = ask
            .get_arguments()
            .map(|arg| {
                (
                    arg.get_long(),
                    arg.get_short(),
                    arg.get_help().unwrap().to_string(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (None, None, "A sentence; quote it".to_owned()),
                (
                    Some("tools"),
                    None,
                    "Python files with the tools (default: the examples)".to_owned()
                ),
                (Some("verbose"), Some('v'), "Show more".to_owned()),
                (
                    Some("a-name-that-is-long"),
                    None,
                    "It stands below".to_owned()
                ),
            ]
        );
        top.debug_assert();
    }

    #[test]
    fn what_is_no_help_is_refused() {
        assert!(Help::read("something else\n").is_err());
        assert!(Help::read("Usage: x\n\nAvailable options:\n      nothing before\n").is_err());
        assert!(Help::read(&format!("{TOP}\nOther options:\n  --unread     So\n")).is_err());
    }
}
