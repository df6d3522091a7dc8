//! The grammar at work: where a text stands in it, and what may come next.
//!
//! A position is a stack of frames, what was begun and is not finished, the innermost on top. Several stacks may fit
//! what was written so far (a key that two fields begin with, the branches of an `anyOf`): together they are a state.
//! Stacks and states are kept under numbers and made only when they are reached, so that a state met again costs
//! nothing. From every state the text can be completed: nothing that would lead to a dead end is ever allowed.

mod cost;
mod extra;
mod finish;
mod object;
mod step;

pub(super) use extra::Key;

use std::{hash::Hash, sync::Arc};

use rustc_hash::FxHashMap as HashMap;

use super::{
    grammar::{MAX_HEIGHT, NodeId, Rules, Symbol},
    language::{Language, State as Place},
};

/// A stack of frames. 0: nothing is left to be written.
pub(super) type StackId = u32;

/// A set of stacks. 0: the empty one, where nothing fits.
pub(super) type StateId = u32;

pub(super) const DEAD: StateId = 0;

/// What was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Frame {
    /// A literal up to its symbol `at`.
    Literal {
        id: usize,
        at: usize,
    },
    /// A value that begins here.
    Begin(NodeId),
    /// Within a string. `escaped`: behind a backslash, in JSON.
    Text {
        shape: ShapeId,
        place: Place,
        escaped: bool,
    },
    Word {
        shape: ShapeId,
        place: Place,
    },
    /// `count` items were begun.
    Array {
        shape: ShapeId,
        count: usize,
        stage: Stage,
    },
    Object {
        shape: ShapeId,
        /// Fields up to this one are done with; where any order goes, the number of a set of them.
        done: usize,
        /// The number of the set of keys that stand in it undeclared; 0: there are none.
        used: usize,
        stage: Stage,
    },
    /// A key that is not declared, of the object below.
    Key(Key),
    /// An answer in prose. `calls`: it may turn to calls.
    Prose {
        place: Place,
        calls: Option<Calls>,
    },
    /// Between calls.
    Calls {
        made: usize,
        calls: Calls,
    },
    /// Behind an answer's JSON value.
    Answered,
}

/// One shape of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ShapeId {
    pub(super) node: NodeId,
    pub(super) shape: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Behind the opening bracket.
    Open,
    /// Behind a comma.
    Comma,
    /// Behind a value.
    Value,
}

/// Where a key stands to its quotes, in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Quoted {
    Before,
    Within,
    Behind,
}

/// Which calls are possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Calls {
    /// Only this function; else all.
    pub(super) only: Option<usize>,
    pub(super) most: usize,
}

#[derive(Clone, Copy, Debug)]
struct Stack {
    frame: Frame,
    below: StackId,
    /// Arrays and objects in it.
    depth: u32,
    /// At most this many symbols complete it.
    cost: u32,
}

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) rules: Arc<Rules>,
    pub(super) prose: Language,
    /// Of keys that are not declared.
    pub(super) keys: Language,
    stacks: Vec<Stack>,
    stack_ids: HashMap<(Frame, StackId), StackId>,
    states: Vec<Box<[StackId]>>,
    state_ids: HashMap<Box<[StackId]>, StateId>,
    steps: HashMap<(StateId, Symbol), StateId>,
    /// The texts of keys that are not declared, as far as they are written.
    texts: Numbered<Vec<u8>>,
    /// Sets of such keys.
    used: Numbered<Vec<usize>>,
    /// Sets of fields, where any order goes.
    sets: Numbered<Vec<u64>>,
}

impl Machine {
    pub(super) fn new(rules: Arc<Rules>, prose: Language, keys: Language) -> Self {
        let mut machine = Self {
            rules,
            prose,
            keys,
            stacks: Vec::new(),
            stack_ids: HashMap::default(),
            states: Vec::new(),
            state_ids: HashMap::default(),
            steps: HashMap::default(),
            texts: Numbered::default(),
            used: Numbered::default(),
            sets: Numbered::default(),
        };
        machine.texts.number(Vec::new());
        machine.used.number(Vec::new());
        machine.sets.number(Vec::new());
        machine.state(Vec::new());
        machine
    }

    /// The state in which these frames are to be written, the last of them first.
    pub(super) fn start(&mut self, frames: &[Frame]) -> StateId {
        let stack = (frames.iter()).fold(0, |below, frame| self.push(*frame, below));
        self.state(vec![stack])
    }

    /// Stacks and steps that are kept.
    pub(super) fn size(&self) -> usize {
        self.stacks.len() + self.steps.len()
    }

    /// The state behind a symbol; [`DEAD`] where it does not fit.
    pub(super) fn step(&mut self, state: StateId, symbol: Symbol) -> StateId {
        if let Some(known) = self.steps.get(&(state, symbol)) {
            return *known;
        }
        let mut next = Vec::new();
        for at in 0..self.stacks_of(state).len() {
            if let Some(stack) = self.stacks_of(state).get(at).copied() {
                self.step_stack(stack, symbol, &mut next);
            }
        }
        if next.is_empty() {
            return DEAD;
        }
        let next = self.state(next);
        self.steps.insert((state, symbol), next);
        next
    }

    /// Nothing is left to be written.
    pub(super) fn is_complete(&self, state: StateId) -> bool {
        self.stacks_of(state) == [0]
    }

    /// At most this many symbols complete the text.
    pub(super) fn cost(&self, state: StateId) -> u32 {
        let costs = self
            .stacks_of(state)
            .iter()
            .map(|stack| self.cost_of(*stack));
        costs.min().unwrap_or(0)
    }

    pub(super) fn stacks_of(&self, state: StateId) -> &[StackId] {
        self.states.get(state as usize).map_or(&[], |set| set)
    }

    /// The innermost frame, and what is below it.
    pub(super) fn top(&self, stack: StackId) -> Option<(Frame, StackId)> {
        let stack = self.stack(stack)?;
        Some((stack.frame, stack.below))
    }

    pub(super) fn state(&mut self, mut stacks: Vec<StackId>) -> StateId {
        stacks.sort_unstable();
        stacks.dedup();
        let stacks = stacks.into_boxed_slice();
        if let Some(known) = self.state_ids.get(&stacks) {
            return *known;
        }
        let id = self.states.len() as StateId;
        self.states.push(stacks.clone());
        self.state_ids.insert(stacks, id);
        id
    }

    pub(super) fn push(&mut self, frame: Frame, below: StackId) -> StackId {
        if let Some(known) = self.stack_ids.get(&(frame, below)) {
            return *known;
        }
        let deeper = matches!(frame, Frame::Array { .. } | Frame::Object { .. });
        let depth = self.depth_of(below) + u32::from(deeper);
        let cost = (self.frame_cost(frame, depth, below)).saturating_add(self.cost_of(below));
        self.stacks.push(Stack {
            frame,
            below,
            depth,
            cost,
        });
        let id = self.stacks.len() as StackId;
        self.stack_ids.insert((frame, below), id);
        id
    }

    fn stack(&self, stack: StackId) -> Option<&Stack> {
        self.stacks.get((stack as usize).checked_sub(1)?)
    }

    fn depth_of(&self, stack: StackId) -> u32 {
        self.stack(stack).map_or(0, |stack| stack.depth)
    }

    pub(super) fn cost_of(&self, stack: StackId) -> u32 {
        self.stack(stack).map_or(0, |stack| stack.cost)
    }

    /// A value of the node has room below `depth` levels.
    fn fits(&self, node: NodeId, depth: u32) -> bool {
        self.rules.height_of(node).saturating_add(depth) <= MAX_HEIGHT
    }
}

/// Things that get a number the first time they are seen.
#[derive(Debug)]
struct Numbered<T> {
    things: Vec<T>,
    numbers: HashMap<T, usize>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            things: Vec::new(),
            numbers: HashMap::default(),
        }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn number(&mut self, thing: T) -> usize {
        if let Some(known) = self.numbers.get(&thing) {
            return *known;
        }
        let number = self.things.len();
        self.things.push(thing.clone());
        self.numbers.insert(thing, number);
        number
    }

    fn known(&self, thing: &T) -> Option<usize> {
        self.numbers.get(thing).copied()
    }

    fn thing(&self, number: usize) -> Option<&T> {
        self.things.get(number)
    }
}
