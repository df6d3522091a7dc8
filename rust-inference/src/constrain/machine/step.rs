//! One symbol further.

use super::{
    super::{
        grammar::{Form, Symbol},
        language::State as Place,
        options::Notation,
    },
    Calls, Frame, MAX_HEIGHT, Machine, ShapeId, StackId, Stage,
};

impl Machine {
    /// Adds the stacks behind `symbol`.
    pub(super) fn step_stack(&mut self, stack: StackId, symbol: Symbol, out: &mut Vec<StackId>) {
        let Some((frame, below)) = self.top(stack) else {
            return;
        };
        match frame {
            Frame::Literal { id, at } => {
                let literal = self.rules.literal(id);
                if literal.get(at) == Some(&symbol) {
                    let ends = at + 1 == literal.len();
                    out.push(if ends {
                        below
                    } else {
                        self.push(Frame::Literal { id, at: at + 1 }, below)
                    });
                }
            }
            Frame::Begin(node) => {
                let rules = self.rules.clone();
                let depth = self.depth_of(below);
                let shapes = rules.node(node).into_iter().flat_map(|node| &node.shapes);
                for (at, shape) in shapes.enumerate() {
                    if shape.height + depth > MAX_HEIGHT {
                        continue;
                    }
                    let id = ShapeId { node, shape: at };
                    let Some(frame) = self.begin(id, &shape.form, symbol) else {
                        continue;
                    };
                    let stack = self.push(frame, below);
                    match &shape.form {
                        Form::Object(object) => self.keys_from(object, 0, stack, out),
                        _ => out.push(stack),
                    }
                }
            }
            Frame::Text {
                shape,
                place,
                escaped,
            } => self.step_text(shape, (place, escaped), below, symbol, out),
            Frame::Word { shape, place } => {
                let rules = self.rules.clone();
                let Some(Form::Word { language, .. }) = rules.form(shape.node, shape.shape) else {
                    return;
                };
                if let Symbol::Byte(byte) = symbol
                    && let Some(place) = language.step(place, byte)
                {
                    out.push(self.push(Frame::Word { shape, place }, below));
                }
                if language.accepts(place) {
                    self.step_stack(below, symbol, out);
                }
            }
            Frame::Array {
                shape,
                count,
                stage,
            } => self.step_array(shape, (count, stage), (stack, below), symbol, out),
            Frame::Object { .. } => self.step_object(frame, (stack, below), symbol, out),
            Frame::Key(key) => self.step_key(key, below, symbol, out),
            Frame::Prose { place, calls } => match (symbol, calls) {
                (Symbol::Byte(byte), _) => {
                    let next = self.prose.step(place, byte);
                    out.extend(next.map(|place| self.push(Frame::Prose { place, calls }, below)));
                }
                (Symbol::EndAnswer, _) if self.prose.accepts(place) => out.push(below),
                (Symbol::StartCall, Some(calls)) if self.prose.accepts(place) => {
                    self.start_call(1, calls, below, out);
                }
                _ => {}
            },
            Frame::Calls { made, calls } => match symbol {
                Symbol::StartCall if made < calls.most => {
                    self.start_call(made + 1, calls, below, out);
                }
                Symbol::EndCalls if made > 0 => out.push(below),
                _ => {}
            },
            Frame::Answered => out.extend((symbol == Symbol::EndAnswer).then_some(below)),
        }
    }

    /// The frame of a value that begins with `symbol`.
    fn begin(&self, shape: ShapeId, form: &Form, symbol: Symbol) -> Option<Frame> {
        let stage = Stage::Open;
        match (form, symbol) {
            (Form::Text { language }, _) if symbol == self.quote() => Some(Frame::Text {
                shape,
                place: language.start(),
                escaped: false,
            }),
            (Form::Word { language, .. }, Symbol::Byte(byte)) => {
                let place = language.step(language.start(), byte)?;
                Some(Frame::Word { shape, place })
            }
            (Form::Array(_), Symbol::Byte(b'[')) => Some(Frame::Array {
                shape,
                count: 0,
                stage,
            }),
            (Form::Object(_), Symbol::Byte(b'{')) => Some(Frame::Object {
                shape,
                done: 0,
                used: 0,
                stage,
            }),
            _ => None,
        }
    }

    /// What a string stands between.
    pub(super) fn quote(&self) -> Symbol {
        match self.rules.notation {
            Notation::Call => Symbol::Escape,
            Notation::Json => Symbol::Byte(b'"'),
        }
    }

    fn step_text(
        &mut self,
        shape: ShapeId,
        (place, escaped): (Place, bool),
        below: StackId,
        symbol: Symbol,
        out: &mut Vec<StackId>,
    ) {
        let rules = self.rules.clone();
        let Some(Form::Text { language }) = rules.form(shape.node, shape.shape) else {
            return;
        };
        if symbol == self.quote() && !escaped {
            out.extend(language.accepts(place).then_some(below));
            return;
        }
        let Symbol::Byte(byte) = symbol else {
            return;
        };
        let json = rules.notation == Notation::Json;
        let (next, escaped) = if json && escaped {
            let meant = ESCAPES.iter().find(|(letter, _)| *letter == byte);
            (
                meant.and_then(|(_, byte)| language.step(place, *byte)),
                false,
            )
        } else if json && byte == b'\\' {
            let any = ESCAPES
                .iter()
                .any(|(_, byte)| language.step(place, *byte).is_some());
            (any.then_some(place), true)
        } else if json && byte < 0x20 {
            (None, false)
        } else {
            (language.step(place, byte), false)
        };
        if let Some(place) = next {
            let text = Frame::Text {
                shape,
                place,
                escaped,
            };
            out.push(self.push(text, below));
        }
    }

    fn step_array(
        &mut self,
        shape: ShapeId,
        (count, stage): (usize, Stage),
        (stack, below): (StackId, StackId),
        symbol: Symbol,
        out: &mut Vec<StackId>,
    ) {
        let rules = self.rules.clone();
        let Some(array) = rules.array(shape.node, shape.shape) else {
            return;
        };
        if symbol == Symbol::Byte(b']') && count >= array.least {
            return out.push(below);
        }
        let Some(item) = array
            .item(count)
            .filter(|item| self.fits(*item, self.depth_of(stack)))
        else {
            return;
        };
        // Behind all that tells one item from the next they need not be counted.
        let enough = array.least.max(array.first.len()) + 1;
        let count = if array.most == usize::MAX {
            (count + 1).min(enough)
        } else {
            count + 1
        };
        let frame = Frame::Array {
            shape,
            count,
            stage: Stage::Value,
        };
        if stage == Stage::Open {
            let array = self.push(frame, below);
            let begin = self.push(Frame::Begin(item), array);
            self.step_stack(begin, symbol, out);
        } else if symbol == Symbol::Byte(b',') {
            let array = self.push(frame, below);
            out.push(self.push(Frame::Begin(item), array));
        }
    }

    fn start_call(&mut self, made: usize, calls: Calls, below: StackId, out: &mut Vec<StackId>) {
        let rules = self.rules.clone();
        let behind = self.push(Frame::Calls { made, calls }, below);
        let id = rules.end_call;
        let end = self.push(Frame::Literal { id, at: 0 }, behind);
        for (at, function) in rules.functions.iter().enumerate() {
            if calls.only.is_none_or(|only| only == at) {
                let arguments = self.push(Frame::Begin(function.arguments), end);
                let id = function.literal;
                out.push(self.push(Frame::Literal { id, at: 0 }, arguments));
            }
        }
    }
}

/// What stands behind a backslash in JSON, and what it means.
pub(super) const ESCAPES: [(u8, u8); 7] = [
    (b'"', b'"'),
    (b'\\', b'\\'),
    (b'n', b'\n'),
    (b't', b'\t'),
    (b'r', b'\r'),
    (b'b', 8),
    (b'f', 12),
];
