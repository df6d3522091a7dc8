//! Text as such: well-formed UTF-8.

use super::draft::{Classes, Draft};

/// What a well-formed text may go on with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Utf8 {
    Character,
    /// So many bytes of this character.
    More(u8),
    /// The first of these bytes lies between two bounds; so many after that.
    Within(u8, u8, u8),
}

/// Any text.
pub(super) fn utf8() -> Draft {
    let step = |&state: &Utf8, byte: u8| match (state, byte) {
        (Utf8::Character, ..0x80) | (Utf8::More(1), 0x80..=0xBF) => Some(Utf8::Character),
        (Utf8::Character, 0xC2..=0xDF) => Some(Utf8::More(1)),
        (Utf8::Character, 0xE0) => Some(Utf8::Within(0xA0, 0xBF, 1)),
        (Utf8::Character, 0xED) => Some(Utf8::Within(0x80, 0x9F, 1)),
        (Utf8::Character, 0xE1..=0xEF) => Some(Utf8::More(2)),
        (Utf8::Character, 0xF0) => Some(Utf8::Within(0x90, 0xBF, 2)),
        (Utf8::Character, 0xF1..=0xF3) => Some(Utf8::More(3)),
        (Utf8::Character, 0xF4) => Some(Utf8::Within(0x80, 0x8F, 2)),
        (Utf8::More(left), 0x80..=0xBF) => Some(Utf8::More(left - 1)),
        (Utf8::Within(from, to, left), _) if (from..=to).contains(&byte) => Some(Utf8::More(left)),
        _ => None,
    };
    let classes = Classes::by(|byte| match byte {
        ..0x80 => 0,
        0x80..=0x8F => 1,
        0x90..=0x9F => 2,
        0xA0..=0xBF => 3,
        0xC2..=0xDF => 4,
        0xE1..=0xEC | 0xEE | 0xEF => 5,
        0xF1..=0xF3 => 6,
        _ => byte,
    });
    let accepts = |state: &Utf8| *state == Utf8::Character;
    Draft::explore(classes, Utf8::Character, usize::MAX, accepts, step)
        .unwrap_or_else(Draft::nothing)
}

/// Any text of one-byte characters.
pub(super) fn ascii() -> Draft {
    let classes = Classes::by(|byte| byte.is_ascii());
    let step = |(): &(), byte: u8| byte.is_ascii().then_some(());
    Draft::explore(classes, (), 1, |()| true, step).unwrap_or_else(Draft::nothing)
}
