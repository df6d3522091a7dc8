//! Keys that a schema does not declare but allows.
//!
//! They are written behind the declared ones, of small letters, digits and underscores, each greater than the one before
//! it: so none stands twice, and they are in order.

use super::{
    super::{
        grammar::{ObjectForm, Symbol},
        options::{ArgumentOrder, Notation},
    },
    Frame, Machine, Quoted, StackId, Stage,
};

/// Bytes of a key.
const LONGEST: usize = 40;

/// The greatest byte of a key.
const LAST: u8 = b'z';

impl Machine {
    /// Whether an undeclared key may come next.
    pub(super) fn may_have_extra(
        &self,
        object: &ObjectForm,
        done: usize,
        last: usize,
        depth: u32,
    ) -> bool {
        object.extra.is_some_and(|extra| self.fits(extra, depth))
            && self.may_close(object, done)
            && can_be_greater(b"", &self.key_before(object, done, last))
    }

    /// The key that an undeclared one has to be greater than.
    fn key_before(&self, object: &ObjectForm, done: usize, last: usize) -> Vec<u8> {
        if let Some(key) = self.keys.thing(last).filter(|key| !key.is_empty()) {
            return key.clone().into_bytes();
        }
        // Only where keys are sorted does it matter what was declared.
        if self.rules.order != ArgumentOrder::Sorted {
            return Vec::new();
        }
        let before = done.checked_sub(1).and_then(|at| object.fields.get(at));
        before.map_or_else(Vec::new, |field| field.key.to_lowercase().into_bytes())
    }

    /// `below`: the object that the key is of.
    pub(super) fn step_key(
        &mut self,
        key: usize,
        quoted: Quoted,
        below: StackId,
        symbol: Symbol,
        out: &mut Vec<StackId>,
    ) {
        let rules = self.rules.clone();
        let Some((object_frame, under)) = self.top(below) else {
            return;
        };
        let Frame::Object {
            shape, done, last, ..
        } = object_frame
        else {
            return;
        };
        let (Some(object), Symbol::Byte(byte)) = (rules.object(shape.node, shape.shape), symbol)
        else {
            return;
        };
        let before = self.key_before(object, done, last);
        let text = self.keys.thing(key).cloned().unwrap_or_default();
        let whole = is_whole(object, &text, &before);
        let json = rules.notation == Notation::Json;
        let ends = match quoted {
            Quoted::Before => {
                let quoted = Quoted::Within;
                let key = Frame::Key { key, quoted };
                out.extend((byte == b'"').then(|| self.push(key, below)));
                return;
            }
            Quoted::Within if json && byte == b'"' => {
                let quoted = Quoted::Behind;
                let key = Frame::Key { key, quoted };
                out.extend(whole.then(|| self.push(key, below)));
                return;
            }
            Quoted::Within => !json && byte == b':' && whole,
            Quoted::Behind => byte == b':',
        };
        if ends {
            let Some(extra) = object.extra else {
                return;
            };
            let behind = Frame::Object {
                shape,
                done: self.all_done(object),
                last: key,
                stage: Stage::Value,
            };
            let behind = self.push(behind, under);
            return out.push(self.push(Frame::Begin(extra), behind));
        }
        let letter = byte.is_ascii_lowercase() || byte == b'_';
        let fits = letter || (byte.is_ascii_digit() && !text.is_empty());
        if quoted == Quoted::Within && fits && text.len() < LONGEST {
            let mut text = text;
            text.push(char::from(byte));
            if can_be_greater(text.as_bytes(), &before)
                && (text.len() < LONGEST || is_whole(object, &text, &before))
            {
                let key = self.keys.number(text);
                out.push(self.push(Frame::Key { key, quoted }, below));
            }
        }
    }

    /// What completes a key and its colon. `below`: the object that the key is of.
    pub(super) fn finish_key(&self, key: usize, quoted: Quoted, below: StackId) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        let Some((
            Frame::Object {
                shape, done, last, ..
            },
            _,
        )) = self.top(below)
        else {
            return symbols;
        };
        let Some(object) = self.rules.object(shape.node, shape.shape) else {
            return symbols;
        };
        let before = self.key_before(object, done, last);
        let mut text = self.keys.thing(key).cloned().unwrap_or_default();
        let json = self.rules.notation == Notation::Json;
        if quoted == Quoted::Before {
            symbols.push(Symbol::Byte(b'"'));
        }
        if quoted != Quoted::Behind {
            while !is_whole(object, &text, &before) && text.len() < LONGEST {
                // Greater at once where that is possible; else as the key before, as far as it goes.
                let at = text.len();
                let tied = before.get(..at) == Some(text.as_bytes());
                let byte = match before.get(at) {
                    Some(byte) if tied && *byte < LAST => LAST,
                    Some(byte) if tied => *byte,
                    _ => b'a',
                };
                text.push(char::from(byte));
                symbols.push(Symbol::Byte(byte));
            }
            symbols.extend(json.then_some(Symbol::Byte(b'"')));
        }
        symbols.push(Symbol::Byte(b':'));
        symbols
    }
}

/// The key may end here.
fn is_whole(object: &ObjectForm, key: &str, before: &[u8]) -> bool {
    !key.is_empty() && key.as_bytes() > before && !object.declared.contains(key)
}

/// Some key that begins with `key` is greater than `before`.
fn can_be_greater(key: &[u8], before: &[u8]) -> bool {
    let Some(rest) = before.strip_prefix(key) else {
        return key > before;
    };
    match rest.iter().find(|byte| **byte != LAST) {
        Some(byte) => *byte < LAST,
        None => before.len() < LONGEST,
    }
}
