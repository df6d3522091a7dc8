//! Why a level cannot be had on this machine, and what its administrator can do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One mechanism that is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lack {
    pub(crate) mechanism: String,
    pub(crate) why: String,
    pub(crate) cure: String,
}

impl Lack {
    pub(crate) fn new(mechanism: &str, why: impl fmt::Display, cure: impl Into<String>) -> Self {
        Self {
            mechanism: mechanism.to_owned(),
            why: why.to_string(),
            cure: cure.into(),
        }
    }
}

/// What a level lacks here; never empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unavailable(pub(crate) Vec<Lack>);

impl Unavailable {
    #[cfg(zygotes)]
    pub(super) fn of(lack: Lack) -> Self {
        Self(vec![lack])
    }

    pub(crate) fn why(&self) -> String {
        let words: Vec<String> = self
            .0
            .iter()
            .map(|lack| format!("{}: {}", lack.mechanism, lack.why))
            .collect();
        words.join("; ")
    }

    pub(crate) fn cure(&self) -> String {
        let cures: Vec<&str> = self.0.iter().map(|lack| lack.cure.as_str()).collect();
        cures.join("; ")
    }
}
