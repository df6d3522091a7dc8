//! What the server tells of the beginnings it keeps.
#![allow(
    clippy::indexing_slicing,
    reason = "a missing field of an answer is a failed test"
)]
mod common;

use common::{Server, chat, convert_units};
use serde_json::json;

#[test]
fn a_second_question_is_told_what_was_cached_and_health_what_is_kept() {
    for (flags, keeps) in [(&[][..], true), (&["--prefix-cache-mib", "0"][..], false)] {
        let server = Server::start(flags);
        let cached = |sentence| {
            let asked =
                json!({"chat": chat(sentence), "tools": [convert_units()], "max_tokens": 64});
            let usage = server.generate(&asked)["done"]["usage"].clone();
            let count = |field: &str| usage[field].as_u64().unwrap_or(0);
            assert!(count("cached_tokens") < count("prompt_tokens"), "{usage}");
            count("cached_tokens")
        };
        assert_eq!(server.detail("prefix_cache_entries"), "0");
        assert_eq!(cached("How many miles is 12 km?"), 0);
        // The tools' declarations, and little more.
        assert_eq!(cached("How many feet are 3 yards?") > 50, keeps);
        assert_eq!(
            server.detail("prefix_cache_entries"),
            if keeps { "3" } else { "0" }
        );
        assert_eq!(server.detail("prefix_cache_bytes") != "0", keeps);
    }
}
