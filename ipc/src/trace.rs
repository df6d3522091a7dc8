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
