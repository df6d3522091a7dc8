//! Manual pages: `clap_mangen`'s, but that examples stay line by line.

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use ipc::program::Failure;

use crate::text::paragraphs;

const PROGRAMS: [&str; 4] = ["callspan", "ipc", "python-executor", "rust-inference"];

/// A page for the program and one for each of its subcommands, by their names.
pub(crate) fn pages(program: &Command) -> Result<Vec<(String, String)>, Failure> {
    let source = format!(
        "{} {}",
        program.get_name(),
        program.get_version().unwrap_or_default()
    );
    let mut built = program.clone().disable_help_subcommand(true);
    built.build();
    let mut pages = Vec::new();
    add(&built, &source, &mut pages)
        .map_err(|error| Failure::new(format!("{}: {error}", program.get_name()), ""))?;
    Ok(pages)
}

fn add(command: &Command, source: &str, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let mut page = Vec::new();
    // Its own section of what stands behind the help would fill the lines of examples.
    Man::new(command.clone().after_help(None::<&'static str>))
        .title(name)
        .source(source)
        .manual("Callspan")
        .render(&mut page)?;
    // An empty date is left out of its line, and what follows would stand in its place.
    let page = String::from_utf8_lossy(&page);
    let mut page = page.replacen(" 1  \"", " 1 \"\" \"", 1);
    let behind = behind(command, source, name).render();
    // Without what each roff document begins with: the page has that.
    if let Some((_, sections)) = behind.split_once(".SH ") {
        page.push_str(".SH ");
        page.push_str(sections);
    }
    pages.push((name.to_owned(), page));

    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        add(sub, source, pages)?;
    }
    Ok(())
}

/// What stands behind the help, and where to read on.
fn behind(command: &Command, source: &str, name: &str) -> Roff {
    let mut roff = Roff::new();
    if let Some(more) = command.get_after_help() {
        roff.control("SH", ["NOTES"]);
        for paragraph in paragraphs(&more.to_string()) {
            roff.control("PP", []);
            if !paragraph.prose.is_empty() {
                roff.text([roman(paragraph.prose)]);
            }
            if !paragraph.lines.is_empty() {
                roff.control("RS", ["4"]).control("nf", []);
                for line in paragraph.lines {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []).control("RE", []);
            }
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    let program = source.split(' ').next().unwrap_or_default();
    let mut others = Vec::new();
    for other in PROGRAMS {
        // A subcommand's is its program, a program's are the others.
        if (other == program) != (name == program) {
            if !others.is_empty() {
                others.push(roman(", "));
            }
            others.extend([bold(other), roman("(1)")]);
        }
    }
    roff.text(others);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subcommand_has_a_page_and_examples_stay_lines() {
        let program = Command::new("ipc")
            .version("1")
            .after_help("Examples:\n  one\n  two")
            .subcommand(Command::new("tap").about("Watch"))
            .subcommand(Command::new("inside").hide(true));
        let pages = pages(&program).unwrap();
        let names: Vec<_> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ipc", "ipc-tap"]);
        let all: String = pages.into_iter().map(|(_, page)| page).collect();
        assert!(all.contains(".RS 4\n.nf\none\ntwo\n.fi\n.RE\n"), "{all}");
        assert!(all.contains("ipc\\-tap \\- Watch"), "{all}");
        assert!(
            all.contains(".TH ipc-tap 1 \"\" \"ipc 1\" Callspan\n"),
            "{all}"
        );
        assert!(!all.contains("inside"), "{all}");
    }
}
