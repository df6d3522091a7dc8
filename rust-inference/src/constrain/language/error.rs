//! Why a language cannot be had.

/// What is asked for is beyond what can be held to in bounded time and memory, or not regular.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LanguageError {
    #[error(
        "minLength and maxLength need too many lengths of this pattern: give the pattern its own bounds, or smaller ones here"
    )]
    Lengths,
    #[error(
        "together the patterns and formats make too large an automaton: use fewer or simpler ones"
    )]
    TooLarge,
}
