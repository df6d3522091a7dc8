//! Keys that a schema does not declare but allows. They are written behind the declared ones, and none twice.

use super::{
    super::{
        grammar::{ObjectForm, Symbol},
        language::State as Place,
        options::Notation,
    },
    Frame, Machine, Quoted, StackId, Stage,
};

/// What is known of a key while it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) struct Key {
    /// The number of its text.
    pub(in super::super) text: usize,
    /// Where that stands in the language of keys.
    pub(in super::super) place: Place,
    pub(in super::super) quoted: Quoted,
}

impl Machine {
    /// Whether an undeclared key may come next.
    pub(super) fn may_have_extra(&self, object: &ObjectForm, done: usize, depth: u32) -> bool {
        object.extra.is_some_and(|extra| self.fits(extra, depth)) && self.may_close(object, done)
    }

    /// A key of which nothing is written.
    pub(super) fn no_key(&self) -> Key {
        Key {
            text: 0,
            place: self.keys.start(),
            quoted: match self.rules.notation {
                Notation::Call => Quoted::Within,
                Notation::Json => Quoted::Before,
            },
        }
    }

    /// The text may be a key of its own.
    fn is_new(&self, object: &ObjectForm, used: usize, text: usize) -> bool {
        let used = self.used.thing(used);
        !used.is_some_and(|used| used.contains(&text))
            && !(self.texts.thing(text)).is_some_and(|text| is_declared(object, text))
    }

    /// What would make of a key one that stands in its object, `below`, or is declared there.
    pub(in super::super) fn taken(&self, key: Key, below: StackId) -> Vec<Vec<u8>> {
        let Some((Frame::Object { shape, used, .. }, _)) = self.top(below) else {
            return Vec::new();
        };
        let object = self.rules.object(shape.node, shape.shape);
        let declared = object.into_iter().flat_map(|object| &object.declared);
        let used = self.used.thing(used).into_iter().flatten();
        let used = used.filter_map(|text| self.texts.thing(*text));
        let own = self.texts.thing(key.text).map_or(&[][..], Vec::as_slice);
        (declared
            .map(String::as_bytes)
            .chain(used.map(Vec::as_slice)))
        .filter_map(|key| Some(key.strip_prefix(own)?.to_vec()))
        .filter(|rest| !rest.is_empty())
        .collect()
    }

    /// `below`: the object that the key is of.
    pub(super) fn step_key(
        &mut self,
        key: Key,
        below: StackId,
        symbol: Symbol,
        out: &mut Vec<StackId>,
    ) {
        let rules = self.rules.clone();
        let Some((Frame::Object { shape, used, .. }, under)) = self.top(below) else {
            return;
        };
        let (Some(object), Symbol::Byte(byte)) = (rules.object(shape.node, shape.shape), symbol)
        else {
            return;
        };
        let json = rules.notation == Notation::Json;
        let whole = self.keys.accepts(key.place) && self.is_new(object, used, key.text);
        let next = match (key.quoted, byte) {
            (Quoted::Before, b'"') => Some(Key {
                quoted: Quoted::Within,
                ..key
            }),
            (Quoted::Within, b'"') if json => whole.then_some(Key {
                quoted: Quoted::Behind,
                ..key
            }),
            (Quoted::Behind, b':') => return self.end_key(key, below, under, out),
            (Quoted::Within, b':') if !json => {
                if whole {
                    self.end_key(key, below, under, out);
                }
                return;
            }
            (Quoted::Within, _) => self.keys.step(key.place, byte).and_then(|place| {
                let mut text = self.texts.thing(key.text).cloned().unwrap_or_default();
                text.push(byte);
                let text = self.texts.number(text);
                // The last character must not leave a key that stands there already.
                let open = || (0..=u8::MAX).any(|byte| self.keys.step(place, byte).is_some());
                (self.is_new(object, used, text) || open()).then_some(Key { text, place, ..key })
            }),
            _ => None,
        };
        out.extend(next.map(|key| self.push(Frame::Key(key), below)));
    }

    /// Behind the colon the value comes.
    fn end_key(&mut self, key: Key, below: StackId, under: StackId, out: &mut Vec<StackId>) {
        let rules = self.rules.clone();
        let Some((Frame::Object { shape, used, .. }, _)) = self.top(below) else {
            return;
        };
        let Some(object) = rules.object(shape.node, shape.shape) else {
            return;
        };
        let Some(extra) = object.extra else {
            return;
        };
        let mut keys = self.used.thing(used).cloned().unwrap_or_default();
        keys.push(key.text);
        keys.sort_unstable();
        let behind = Frame::Object {
            shape,
            done: self.all_done(object),
            used: self.used.number(keys),
            stage: Stage::Value,
        };
        let behind = self.push(behind, under);
        out.push(self.push(Frame::Begin(extra), behind));
    }

    /// What completes a key and its colon. `below`: the object that the key is of.
    pub(super) fn finish_key(&self, key: Key, below: StackId) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        let Some((Frame::Object { shape, used, .. }, _)) = self.top(below) else {
            return Vec::new();
        };
        let Some(object) = self.rules.object(shape.node, shape.shape) else {
            return Vec::new();
        };
        if key.quoted == Quoted::Before {
            symbols.push(b'"');
        }
        if key.quoted != Quoted::Behind {
            let own = self.texts.thing(key.text).cloned().unwrap_or_default();
            let mut text = [own.clone(), self.keys.shortest(key.place)].concat();
            // One more letter until it is a key of its own.
            while self
                .texts
                .known(&text)
                .is_some_and(|text| !self.is_new(object, used, text))
                || is_declared(object, &text)
            {
                text.push(b'a');
            }
            symbols.extend_from_slice(text.get(own.len()..).unwrap_or_default());
            symbols.extend((self.rules.notation == Notation::Json).then_some(b'"'));
        }
        symbols.push(b':');
        symbols.into_iter().map(Symbol::Byte).collect()
    }
}

fn is_declared(object: &ObjectForm, key: &[u8]) -> bool {
    std::str::from_utf8(key).is_ok_and(|key| object.declared.contains(key))
}
