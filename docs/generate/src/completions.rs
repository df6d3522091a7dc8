//! Completions for the shells.

use clap::Command;
use clap_complete::{
    Generator,
    aot::{Bash, Fish, Zsh, generate},
};

/// The scripts of a program, each by the name of its file.
pub(crate) fn scripts(program: &Command) -> Vec<(String, String)> {
    vec![
        script(Bash, program),
        script(Fish, program),
        script(Zsh, program),
    ]
}

fn script(shell: impl Generator, program: &Command) -> (String, String) {
    let name = program.get_name();
    let file = shell.file_name(name);
    let mut script = Vec::new();
    generate(shell, &mut visible(program), name, &mut script);
    let script = String::from_utf8_lossy(&script);
    // For bash clap_complete names the cases of a program with a hyphen so, and looks for them the other way.
    let script = script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    // For fish it gives up at an option that still waits for its value, and does not offer the values.
    let script = script.replace(
        "    or return\n    if set -q",
        "    or return 0\n    if set -q",
    );
    (file, script)
}

/// The command without what its help hides, which the generators would offer.
fn visible(command: &Command) -> Command {
    let mut copy = Command::new(command.get_name().to_owned().leak() as &'static str)
        .disable_help_subcommand(command.is_disable_help_subcommand_set());
    if let Some(about) = command.get_about() {
        copy = copy.about(about.clone());
    }
    if let Some(version) = command.get_version() {
        copy = copy.version(version.to_owned().leak() as &'static str);
    }
    let arguments = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let subcommands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    copy.disable_help_flag(command.is_disable_help_flag_set())
        .disable_version_flag(command.is_disable_version_flag_set())
        .args(arguments.cloned())
        .subcommands(subcommands.map(visible))
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn a_program_with_a_hyphen_has_its_subcommands_completed() {
        let program = Command::new("a-program").subcommand(Command::new("visit"));
        let scripts = scripts(&program);
        let (_, bash) = scripts
            .iter()
            .find(|(file, _)| file == "a-program.bash")
            .unwrap();
        assert_eq!(
            bash.matches("a__program__subcmd__visit").count(),
            2,
            "{bash}"
        );
    }

    #[test]
    fn fish_offers_the_values_of_an_option_before_any_subcommand() {
        let program = Command::new("program")
            .arg(Arg::new("format").long("format").value_parser(["json"]))
            .subcommand(Command::new("visit"));
        let scripts = scripts(&program);
        let (_, fish) = scripts
            .iter()
            .find(|(file, _)| file == "program.fish")
            .unwrap();
        assert!(fish.contains("or return 0\n"), "{fish}");
    }

    #[test]
    fn what_is_hidden_is_not_offered() {
        let program = Command::new("program")
            .arg(Arg::new("shown").long("shown"))
            .arg(Arg::new("internal").long("internal").hide(true))
            .subcommand(Command::new("visit"))
            .subcommand(Command::new("inside").hide(true));
        for (name, script) in scripts(&program) {
            for word in ["shown", "visit"] {
                assert!(script.contains(word), "{name} lacks {word}");
            }
            for word in ["internal", "inside"] {
                assert!(!script.contains(word), "{name} has {word}");
            }
        }
    }
}
