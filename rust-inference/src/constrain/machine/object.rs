//! Objects: which keys may come next.

use super::{
    super::{
        grammar::{ObjectForm, Symbol},
        options::ArgumentOrder,
    },
    Frame, Machine, StackId, Stage,
};

impl Machine {
    pub(super) fn step_object(
        &mut self,
        frame: Frame,
        (stack, below): (StackId, StackId),
        symbol: Symbol,
        out: &mut Vec<StackId>,
    ) {
        let rules = self.rules.clone();
        let Frame::Object {
            shape,
            done,
            used,
            stage,
        } = frame
        else {
            return;
        };
        let Some(object) = rules.object(shape.node, shape.shape) else {
            return;
        };
        let depth = self.depth_of(stack);
        let object_frame = |done, stage| Frame::Object {
            shape,
            done,
            used,
            stage,
        };
        if symbol == Symbol::Byte(b'}') && stage != Stage::Comma && self.may_close(object, done) {
            return out.push(below);
        }
        if stage == Stage::Value {
            if symbol == Symbol::Byte(b',') {
                let stack = self.push(object_frame(done, Stage::Comma), below);
                self.keys_from(object, done, stack, out);
            }
            return;
        }
        for at in self.next_fields(object, done, depth) {
            let Some(field) = object.fields.get(at) else {
                continue;
            };
            if rules.literal(field.literal).first() != Some(&symbol) {
                continue;
            }
            let done = self.done_with(object, done, at);
            let behind = self.push(object_frame(done, Stage::Value), below);
            let value = self.push(Frame::Begin(field.value), behind);
            let id = field.literal;
            let literal = self.push(Frame::Literal { id, at: 0 }, value);
            self.step_stack(literal, symbol, out);
        }
    }

    /// Adds what may stand where a key may come: the object itself, if a declared key may or it may close, and a key that
    /// is not declared. They are apart, because such a key is looked up like a text.
    pub(super) fn keys_from(
        &mut self,
        object: &ObjectForm,
        done: usize,
        stack: StackId,
        out: &mut Vec<StackId>,
    ) {
        let depth = self.depth_of(stack);
        let opened = matches!(
            self.top(stack),
            Some((
                Frame::Object {
                    stage: Stage::Open,
                    ..
                },
                _
            ))
        );
        if opened || !self.next_fields(object, done, depth).is_empty() {
            out.push(stack);
        }
        if self.may_have_extra(object, done, depth) {
            out.push(self.push(Frame::Key(self.no_key()), stack));
        }
    }

    /// No required field is missing.
    pub(super) fn may_close(&self, object: &ObjectForm, done: usize) -> bool {
        let mut fields = object.fields.iter().enumerate();
        !fields.any(|(at, field)| field.required && !self.is_done(done, at))
    }

    /// A field is behind us, written or passed over.
    pub(super) fn is_done(&self, done: usize, at: usize) -> bool {
        if self.rules.order == ArgumentOrder::Any {
            let word = self.sets.thing(done).and_then(|set| set.get(at / 64));
            word.is_some_and(|word| word >> (at % 64) & 1 == 1)
        } else {
            at < done
        }
    }

    /// The fields that may come next.
    pub(super) fn next_fields(&self, object: &ObjectForm, done: usize, depth: u32) -> Vec<usize> {
        let mut next = Vec::new();
        for (at, field) in object.fields.iter().enumerate() {
            if self.is_done(done, at) {
                continue;
            }
            if self.fits(field.value, depth) {
                next.push(at);
            }
            if field.required && self.rules.order != ArgumentOrder::Any {
                break;
            }
        }
        next
    }

    /// `done`, and the field `at`.
    fn done_with(&mut self, object: &ObjectForm, done: usize, at: usize) -> usize {
        if self.rules.order != ArgumentOrder::Any {
            return at + 1;
        }
        let mut set = self.sets.thing(done).cloned().unwrap_or_default();
        set.resize(object.fields.len().div_ceil(64), 0);
        if let Some(word) = set.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
        self.sets.number(set)
    }

    /// All fields are done with.
    pub(super) fn all_done(&mut self, object: &ObjectForm) -> usize {
        if self.rules.order == ArgumentOrder::Any {
            return self
                .sets
                .number(vec![u64::MAX; object.fields.len().div_ceil(64)]);
        }
        object.fields.len()
    }
}
