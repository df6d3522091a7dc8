//! What is not even begun on this machine: a level that it cannot give, or one that is another system's.

use super::{
    Isolation, landlock, seccomp,
    unavailable::{Lack, Unavailable},
};

/// Why tools cannot be confined as asked, and what to do; nothing if they may be.
pub(crate) fn refusal(asked: Isolation) -> Option<(String, String)> {
    if asked == Isolation::SeatbeltUnverified {
        return Some((
            "seatbelt-unverified is for macOS, which has neither Landlock nor seccomp".to_owned(),
            "leave --isolation out: the best that this machine gives is taken".to_owned(),
        ));
    }
    let missing = Unavailable(missing());
    if asked == Isolation::None || missing.0.is_empty() {
        return None;
    }
    Some((
        format!("tools cannot be confined here; missing: {}", missing.why()),
        format!(
            "{}, or, if you trust every tool, say --isolation none",
            missing.cure()
        ),
    ))
}

/// What this machine lacks for `reduced`, and so for every level but `none`.
pub(super) fn missing() -> Vec<Lack> {
    let mut missing = Vec::new();
    if landlock::version() < 1 {
        missing.push(Lack::new(
            "Landlock",
            "the kernel has none",
            "use a kernel of 5.13 or newer, with landlock among its security modules",
        ));
    }
    if !seccomp::available() {
        missing.push(Lack::new(
            "seccomp",
            "the kernel has none",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ));
    }
    missing
}
