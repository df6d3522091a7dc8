//! Why a language cannot be had.

/// What is asked for cannot be held to in bounded time and memory, or by looking at one byte after the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LanguageError {
    #[error(
        "minLength and maxLength need too many lengths of this pattern: give the pattern its own bounds, or smaller ones here"
    )]
    Lengths,
    #[error("it makes too large an automaton: use fewer or simpler constraints")]
    TooLarge,
    #[error("the pattern cannot be held to: {0}")]
    Pattern(String),
    #[error("all patterns and numbers together make too many automata: use fewer or simpler ones")]
    Spent,
    #[error("{0} is no number: write it as JSON does")]
    Number(String),
    #[error("multipleOf has to be greater than 0")]
    NoDivisor,
    #[error(
        "multipleOf is too large: of all divisors together, without their decimal points and the zeros at its end, the least common multiple may be {0} at most, with at most 64 digits after the points"
    )]
    Divisor(u64),
    #[error(
        "only numbers with more digits than are ever written lie within the bounds: use bounds that are nearer to 0 or farther from each other"
    )]
    OutOfReach,
}
