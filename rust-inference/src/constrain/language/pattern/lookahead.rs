//! Lookahead at the start of a text.
//!
//! No automaton looks ahead, but what has to follow the start of a text, or must not, is a condition on the whole of it:
//! `^(?=.*\\d)(?!\\s*$).+` asks for three things at once. Schemas have it in this form almost always.

/// A pattern as several.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) ahead: Vec<Ahead>,
    pub(super) rest: String,
}

#[derive(Debug)]
pub(super) struct Ahead {
    /// It has to be found, or else must not be.
    pub(super) wanted: bool,
    pub(super) pattern: String,
}

/// Lookahead anywhere else stays where it is.
pub(super) fn split(pattern: &str) -> Split {
    let (flags, start) = match pattern.strip_prefix("(?i)") {
        Some(rest) => ("(?i)", rest),
        None => ("", pattern),
    };
    let mut ahead = Vec::new();
    let mut rest = start.strip_prefix('^');
    while let Some(text) = rest {
        let (wanted, opened) = match (text.strip_prefix("(?="), text.strip_prefix("(?!")) {
            (Some(opened), _) => (true, opened),
            (_, Some(opened)) => (false, opened),
            _ => break,
        };
        let Some((inner, after)) = closing(opened).and_then(|at| opened.split_at_checked(at))
        else {
            break;
        };
        ahead.push(Ahead {
            wanted,
            pattern: format!("{flags}^(?:{inner})"),
        });
        rest = after.strip_prefix(')');
    }
    match rest {
        // Of several alternatives only the first would be held to it, and what is repeated need not be there.
        Some(rest) if !ahead.is_empty() && is_one(rest) => Split {
            ahead,
            rest: format!("{flags}^{rest}"),
        },
        _ => Split {
            ahead: Vec::new(),
            rest: pattern.to_owned(),
        },
    }
}

/// Whether there are no alternatives, and nothing that repeats what came before.
fn is_one(pattern: &str) -> bool {
    let repeats = pattern.starts_with(['*', '+', '?', '{']);
    !repeats && !depths(pattern).any(|(_, char, depth)| depth == 0 && char == '|')
}

/// Where the parenthesis is closed that was opened before.
fn closing(pattern: &str) -> Option<usize> {
    depths(pattern).find_map(|(at, char, depth)| (depth < 0 && char == ')').then_some(at))
}

/// The characters that mean something, each with its place and the depth of parentheses there.
fn depths(pattern: &str) -> impl Iterator<Item = (usize, char, i32)> {
    let (mut depth, mut escaped, mut in_class) = (0, false, false);
    pattern.char_indices().filter_map(move |(at, char)| {
        if escaped {
            escaped = false;
            return None;
        }
        match char {
            '\\' => escaped = true,
            ']' if in_class => in_class = false,
            _ if in_class => {}
            '[' => in_class = true,
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        (!escaped && !in_class).then_some((at, char, depth))
    })
}
