//! The shortest way to the end.

use super::{
    super::{
        grammar::{ArrayForm, Field, Form, NodeId, ObjectForm, Symbol},
        options::Notation,
    },
    Calls, Frame, MAX_HEIGHT, Machine, StackId, Stage, StateId,
    step::ESCAPES,
};

impl Machine {
    /// The symbols that complete the text soonest.
    pub(in super::super) fn finish(&self, state: StateId) -> Vec<Symbol> {
        let best = (self.stacks_of(state).iter()).min_by_key(|stack| self.cost_of(**stack));
        self.finish_stack(best.copied().unwrap_or(0))
    }

    pub(in super::super) fn finish_stack(&self, mut stack: StackId) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        while let Some((frame, below)) = self.top(stack) {
            stack = self.finish_frame(frame, stack, below, &mut symbols);
        }
        symbols
    }

    /// Completes the innermost frame, and gives the stack that is left.
    fn finish_frame(
        &self,
        frame: Frame,
        stack: StackId,
        below: StackId,
        out: &mut Vec<Symbol>,
    ) -> StackId {
        let rules = &self.rules;
        match frame {
            Frame::Literal { id, at } => {
                out.extend_from_slice(rules.literal(id).get(at..).unwrap_or_default());
            }
            Frame::Begin(node) => self.value(node, self.depth_of(below), out),
            Frame::Text {
                shape,
                mut place,
                escaped,
            } => {
                if let Some(Form::Text { language }) = rules.form(shape.node, shape.shape) {
                    if escaped {
                        let next = |(letter, byte): &(u8, u8)| {
                            Some((*letter, language.step(place, *byte)?))
                        };
                        let best = (ESCAPES.iter().filter_map(next))
                            .min_by_key(|(_, next)| language.shortest_len(*next));
                        if let Some((letter, next)) = best {
                            out.push(Symbol::Byte(letter));
                            place = next;
                        }
                    }
                    self.text(&language.shortest(place), out);
                    out.push(self.quote());
                }
            }
            Frame::Word { shape, place } => {
                if let Some(Form::Word { language, .. }) = rules.form(shape.node, shape.shape) {
                    out.extend(language.shortest(place).into_iter().map(Symbol::Byte));
                }
            }
            Frame::Array {
                shape,
                count,
                stage,
            } => {
                if let Some(array) = rules.array(shape.node, shape.shape) {
                    self.items(array, (count, stage), self.depth_of(stack), out);
                }
            }
            Frame::Object {
                shape, done, stage, ..
            } => {
                if let Some(object) = rules.object(shape.node, shape.shape) {
                    self.fields(object, (done, stage), self.depth_of(stack), out);
                }
            }
            Frame::Key(key) => {
                out.extend(self.finish_key(key, below));
                if let Some((Frame::Object { shape, .. }, under)) = self.top(below) {
                    let object = rules.object(shape.node, shape.shape);
                    if let Some(extra) = object.and_then(|object| object.extra) {
                        self.value(extra, self.depth_of(below), out);
                    }
                    // An undeclared key comes only where nothing required is missing.
                    out.push(Symbol::Byte(b'}'));
                    return under;
                }
            }
            Frame::Prose { place, .. } => {
                let rest = self.prose.shortest(place);
                out.extend(rest.into_iter().map(Symbol::Byte));
                out.push(Symbol::EndAnswer);
            }
            Frame::Calls { made, calls } => {
                if made == 0 {
                    self.call(calls, out);
                }
                out.push(Symbol::EndCalls);
            }
            Frame::Answered => out.push(Symbol::EndAnswer),
        }
        below
    }

    /// The shortest value of a node that has room.
    fn value(&self, node: NodeId, depth: u32, out: &mut Vec<Symbol>) {
        let shapes = self
            .rules
            .node(node)
            .into_iter()
            .flat_map(|node| &node.shapes);
        let best = shapes
            .filter(|shape| shape.height + depth <= MAX_HEIGHT)
            .min_by_key(|shape| shape.cost);
        match best.map(|shape| &shape.form) {
            Some(Form::Text { language }) => {
                out.push(self.quote());
                self.text(&language.shortest(language.start()), out);
                out.push(self.quote());
            }
            Some(Form::Word { language, .. }) => {
                let word = language.shortest(language.start());
                out.extend(word.into_iter().map(Symbol::Byte));
            }
            Some(Form::Array(array)) => {
                out.push(Symbol::Byte(b'['));
                self.items(array, (0, Stage::Open), depth + 1, out);
            }
            Some(Form::Object(object)) => {
                out.push(Symbol::Byte(b'{'));
                self.fields(object, (0, Stage::Open), depth + 1, out);
            }
            None => {}
        }
    }

    /// The items that an array still needs, and its bracket.
    fn items(
        &self,
        array: &ArrayForm,
        (count, stage): (usize, Stage),
        depth: u32,
        out: &mut Vec<Symbol>,
    ) {
        for at in count..array.least {
            if at > count || stage == Stage::Value {
                out.push(Symbol::Byte(b','));
            }
            if let Some(item) = array.item(at) {
                self.value(item, depth, out);
            }
        }
        out.push(Symbol::Byte(b']'));
    }

    /// The fields that an object still needs, and its brace.
    fn fields(
        &self,
        object: &ObjectForm,
        (done, stage): (usize, Stage),
        depth: u32,
        out: &mut Vec<Symbol>,
    ) {
        let missing = |(at, field): &(usize, &Field)| field.required && !self.is_done(done, *at);
        let fields = object.fields.iter().enumerate().filter(missing);
        let mut needed: Vec<&Field> = fields.map(|(_, field)| field).collect();
        if needed.is_empty() && stage == Stage::Comma {
            // Behind a comma something has to come.
            let next = self.next_fields(object, done, depth).into_iter();
            let cheapest = next
                .filter_map(|at| object.fields.get(at))
                .min_by_key(|field| self.field_cost(field));
            needed.extend(cheapest);
        }
        for (i, field) in needed.into_iter().enumerate() {
            if i > 0 || stage == Stage::Value {
                out.push(Symbol::Byte(b','));
            }
            out.extend_from_slice(self.rules.literal(field.literal));
            self.value(field.value, depth, out);
        }
        out.push(Symbol::Byte(b'}'));
    }

    /// The shortest call.
    fn call(&self, calls: Calls, out: &mut Vec<Symbol>) {
        let functions = self.rules.functions.iter().enumerate();
        let best = functions
            .filter(|(at, _)| calls.only.is_none_or(|only| only == *at))
            .min_by_key(|(_, function)| self.call_cost(function));
        if let Some((_, function)) = best {
            out.push(Symbol::StartCall);
            out.extend_from_slice(self.rules.literal(function.literal));
            self.value(function.arguments, 0, out);
            out.push(Symbol::EndCall);
        }
    }

    /// The bytes of a string as they are written.
    fn text(&self, bytes: &[u8], out: &mut Vec<Symbol>) {
        let json = self.rules.notation == Notation::Json;
        for byte in bytes {
            match ESCAPES.iter().find(|(_, meant)| json && meant == byte) {
                Some((letter, _)) => out.extend([b'\\', *letter].map(Symbol::Byte)),
                None => out.push(Symbol::Byte(*byte)),
            }
        }
    }

    pub(super) fn field_cost(&self, field: &Field) -> u32 {
        let key = self.rules.literal(field.literal).len() as u32;
        (self.rules.cost_of(field.value)).saturating_add(key + 1)
    }
}

/// The sum of what may be endless.
pub(super) fn sum(parts: impl IntoIterator<Item = u32>) -> u32 {
    parts.into_iter().fold(0, u32::saturating_add)
}
