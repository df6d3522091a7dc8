//! W3C Trace Context: one id through all processes. Parsing and making a `traceparent`, and no more: spans are derived
//! from recorded frames, so nothing here needs a tracing library.
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    str::FromStr,
};

/// A `traceparent`, version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    pub trace_id: u128,
    pub span_id: u64,
    pub flags: u8,
}

/// The text is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent: expected 00-<32 hex>-<16 hex>-<2 hex>, lower case, ids not all zero")]
pub struct BadTraceParent;

impl TraceParent {
    /// A new trace, sampled.
    pub fn root() -> Self {
        let high = u128::from(random());
        Self {
            trace_id: high << 64 | u128::from(random()),
            span_id: random(),
            flags: 1,
        }
    }

    /// A new span in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span_id: random(),
            ..self
        }
    }
}

/// Never 0. The seeds of the standard hasher come from the system: random enough for ids that nothing trusts.
fn random() -> u64 {
    RandomState::new()
        .hash_one(std::time::Instant::now())
        .max(1)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.span_id, self.flags
        )
    }
}

impl FromStr for TraceParent {
    type Err = BadTraceParent;

    fn from_str(text: &str) -> Result<Self, BadTraceParent> {
        let hex = |part: &str, length: usize| {
            let good = part.len() == length
                && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            good.then(|| u128::from_str_radix(part, 16).ok())
                .flatten()
                .ok_or(BadTraceParent)
        };
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(BadTraceParent);
        let (version, trace, span, flags) = (next()?, next()?, next()?, next()?);
        // A later version may append fields; version 00 may not, and ff is no version.
        hex(version, 2)?;
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(BadTraceParent);
        }
        let parent = Self {
            trace_id: hex(trace, 32)?,
            span_id: hex(span, 16)? as u64,
            flags: hex(flags, 2)? as u8,
        };
        if parent.trace_id == 0 || parent.span_id == 0 {
            Err(BadTraceParent)
        } else {
            Ok(parent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_written_alike() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent: TraceParent = text.parse().unwrap();
        assert_eq!(parent.to_string(), text);
        let child = parent.child();
        assert_eq!((child.trace_id, child.flags), (parent.trace_id, 1));
        assert_ne!(child.span_id, parent.span_id);
        let root = TraceParent::root();
        assert_eq!(root.to_string().parse(), Ok(root));
        assert_ne!(root.trace_id, TraceParent::root().trace_id);
        // A later version may say more; what is known of it is read.
        assert_eq!(
            text.replace("00-4b", "01-4b").parse::<TraceParent>(),
            Ok(parent)
        );
        assert!(
            (text.replace("00-4b", "01-4b") + "-more")
                .parse::<TraceParent>()
                .is_ok()
        );
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-żbf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(BadTraceParent), "{bad}");
        }
    }
}
