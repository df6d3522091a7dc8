//! From what a model wrote to an answer: text and calls, where it ends, and what it cost.

pub(super) mod output;
pub(super) mod report;
pub(super) mod stops;
pub(super) mod vectors;
