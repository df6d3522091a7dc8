//! The page of environment variables: those of the command lines' options, and those of the registry, which is for what
//! no option has. A name stands in one of the two.

use std::{collections::BTreeMap, fmt::Write as _};

use clap::Command;
use ipc::program::Failure;
use serde::Deserialize;

use crate::{
    reference::{made_from, short},
    text::{cell, sentence},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registry {
    group: Vec<Group>,
}

/// Variables that are read for one purpose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Group {
    title: String,
    /// Not by our own code, which does not name them.
    #[serde(default)]
    by_libraries: bool,
    variables: BTreeMap<String, Variable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    /// Who reads it.
    by: String,
    says: String,
}

/// A variable of options: their names, and what the first of them is for.
type Options = BTreeMap<String, (Vec<String>, String)>;

pub(crate) fn page(programs: &[Command], registry: &str) -> Result<String, Failure> {
    let registry: Registry = toml::from_str(registry)
        .map_err(|error| Failure::new(format!("docs/environment.toml: {error}"), ""))?;
    let mut options = Options::new();
    for program in programs {
        collect(program, program.get_name(), &mut options);
    }

    let mut page = format!(
        "# Environment variables\n\n{}",
        made_from("the command lines and docs/environment.toml")
    );
    page.push_str("Of an option and its variable the option counts.\n\n## Options\n\n");
    table(
        &mut page,
        options
            .iter()
            .map(|(name, (flags, help))| (name.as_str(), flags.join(", "), help.as_str())),
    );
    for group in &registry.group {
        let mut names = group.variables.keys();
        if let Some(name) = names.find(|name| options.contains_key(*name)) {
            return Err(Failure::new(
                format!("docs/environment.toml: {name} is the variable of an option"),
                "remove it there",
            ));
        }
        let _ = writeln!(page, "## {}\n", group.title);
        if group.by_libraries {
            page.push_str("Libraries of the programs read these, and no code here names them.\n\n");
        }
        table(
            &mut page,
            group.variables.iter().map(|(name, variable)| {
                (name.as_str(), variable.by.clone(), variable.says.as_str())
            }),
        );
    }
    Ok(page)
}

fn table<'a>(page: &mut String, rows: impl Iterator<Item = (&'a str, String, &'a str)>) {
    page.push_str("| variable | read by | |\n|---|---|---|\n");
    for (name, by, says) in rows {
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} |",
            cell(&by),
            cell(&sentence(says))
        );
    }
    page.push('\n');
}

fn collect(command: &Command, program: &str, options: &mut Options) {
    for arg in command.get_arguments() {
        if let Some(name) = arg.get_env() {
            let flag = format!("`{program} {}`", short(arg));
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let (flags, _) = options
                .entry(name.to_string_lossy().into_owned())
                .or_insert_with(|| (Vec::new(), help));
            if !flags.contains(&flag) {
                flags.push(flag);
            }
        }
    }
    for sub in command.get_subcommands() {
        collect(sub, program, options);
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    const REGISTRY: &str =
        "[[group]]\ntitle = 'Other'\n[group.variables]\nB = { by = 'all', says = 'Colour' }\n";

    fn program() -> Command {
        let arg = Arg::new("tools").long("tools").env("A").help("Where");
        Command::new("run")
            .arg(arg.clone())
            .subcommand(Command::new("check").arg(arg))
    }

    #[test]
    fn each_variable_is_told_once() {
        let page = page(&[program()], REGISTRY).unwrap();
        assert!(page.contains("## Options\n\n| variable | read by | |\n|---|---|---|\n| `A` | `run --tools` | Where. |\n"), "{page}");
        assert!(page.contains("| `B` | all | Colour. |"), "{page}");
    }

    #[test]
    fn what_is_an_option_s_is_not_the_registry_s_as_well() {
        let failure = page(&[program()], &REGISTRY.replace("B =", "A =")).unwrap_err();
        assert!(
            failure.what.contains("A is the variable of an option"),
            "{}",
            failure.what
        );
        assert!(page(&[], &REGISTRY.replace("says", "said")).is_err());
    }
}
