//! Texts of a help, which are laid out for a terminal: what in them is prose, and what is to stay line by line.

/// A part of a text between empty lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Paragraph {
    /// What may be filled anew.
    pub(crate) prose: String,
    /// Lines that were indented, as they were but for that: commands.
    pub(crate) lines: Vec<String>,
}

pub(crate) fn paragraphs(text: &str) -> Vec<Paragraph> {
    text.split("\n\n")
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let mut paragraph = Paragraph::default();
            for line in part.lines() {
                if let Some(command) = line.strip_prefix("  ") {
                    paragraph.lines.push(command.to_owned());
                } else {
                    paragraph.prose.push_str(line);
                    paragraph.prose.push(' ');
                }
            }
            paragraph.prose.truncate(paragraph.prose.trim_end().len());
            paragraph
        })
        .collect()
}

/// Text as a cell of a Markdown table. What is in backticks stays code.
pub(crate) fn cell(text: &str) -> String {
    let mut cell = String::new();
    let mut code = false;
    let words: Vec<_> = text.split_whitespace().collect();
    for c in words.join(" ").chars() {
        code ^= c == '`';
        match c {
            // GitHub and mdBook split cells before they look for code.
            '|' => cell.push_str("\\|"),
            '<' | '*' if !code => {
                cell.push('\\');
                cell.push(c);
            }
            _ => cell.push(c),
        }
    }
    cell
}

/// With a stop at its end, which a help's sentences lack.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let stopped = text.is_empty() || text.ends_with(['.', '!', '?']);
    format!("{text}{}", if stopped { "" } else { "." })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stay_lines_and_prose_is_filled() {
        let found = paragraphs("One\ntwo.\n\nExamples:\n  a b\n  c\n");
        assert_eq!(
            found,
            [
                Paragraph {
                    prose: "One two.".to_owned(),
                    lines: vec![]
                },
                Paragraph {
                    prose: "Examples:".to_owned(),
                    lines: vec!["a b".to_owned(), "c".to_owned()]
                },
            ]
        );
    }

    #[test]
    fn a_cell_shows_what_the_text_says() {
        assert_eq!(cell("a|b `x|<y>` <z>\n*"), r"a\|b `x\|<y>` \<z> \*");
    }
}
