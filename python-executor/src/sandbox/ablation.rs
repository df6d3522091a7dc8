//! Leaves one mechanism of the sandbox out, to show that the attacks that only it stops are real. Only in a program that
//! was built for that, with the feature `ablation`; in any other every mechanism is always there.

/// Names mechanisms, with commas between.
#[cfg(feature = "ablation")]
pub(crate) const VARIABLE: &str = "CALLSPAN_ABLATE";

/// Whether this mechanism is left out.
#[cfg(feature = "ablation")]
pub(crate) fn off(mechanism: &str) -> bool {
    named().split(',').any(|name| name == mechanism)
}

#[cfg(not(feature = "ablation"))]
pub(crate) const fn off(_mechanism: &str) -> bool {
    false
}

/// Whether any is left out: then nothing is claimed of the sandbox.
#[cfg(feature = "ablation")]
pub(crate) fn any() -> bool {
    !named().is_empty()
}

#[cfg(not(feature = "ablation"))]
pub(crate) const fn any() -> bool {
    false
}

#[cfg(feature = "ablation")]
pub(crate) fn named() -> String {
    std::env::var(VARIABLE).unwrap_or_default()
}
