//! Names of answers and what is in them. Drawn, not counted: clients keep them over restarts and servers, and expect no two
//! alike.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

/// `PREFIX-` or `PREFIX_`, whichever the prefix ends with, and 24 letters that nobody else has.
pub(super) fn id(prefix: &str) -> String {
    let mut id = prefix.to_owned();
    // Writing to a String does not fail.
    let _ = write!(id, "{:024x}", rand::random::<u128>() >> 32);
    id
}

/// The call of an answer with this id. The protocol counts calls anew in each answer; here they stand side by side in a
/// conversation.
pub(super) fn call_id(answer: &str, choice: usize, index: u32) -> String {
    let unique = answer.split(['-', '_']).next_back().unwrap_or_default();
    format!("call_{unique}{choice:02}{index}")
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        let (a, b) = (id("chatcmpl-"), id("chatcmpl-"));
        assert_ne!(a, b);
        assert_eq!(a.len(), "chatcmpl-".len() + 24);
        let calls = [
            call_id(&a, 0, 0),
            call_id(&a, 0, 1),
            call_id(&a, 1, 0),
            call_id(&b, 0, 0),
        ];
        for (index, call) in calls.iter().enumerate() {
            assert!(call.starts_with("call_") && !calls[..index].contains(call));
        }
    }
}
