//! Which tokens may come next.

use std::sync::Arc;

use rustc_hash::FxHashMap as HashMap;

use super::{
    grammar::{Form, Symbol},
    language::{Language, State as Place},
    machine::{DEAD, Frame, Key, Machine, Quoted, StackId, StateId},
    next::Candidates,
    options::Notation,
    text_tokens::{TextTokens, candidates},
    vocabulary::Vocabulary,
};
use crate::tokenizer::{Tokens, Tree};

/// Masks and lists that are kept.
const MAX_KEPT: usize = 4096;

const CONTROLS: [Symbol; 5] = [
    Symbol::Escape,
    Symbol::StartCall,
    Symbol::EndCall,
    Symbol::EndCalls,
    Symbol::EndAnswer,
];

/// Tokens that lead to one state.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) to: StateId,
    pub(super) ids: Arc<[u32]>,
}

/// What may be chosen in a state.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    pub(super) candidates: Arc<Candidates>,
    /// Within a text that may go on with most tokens.
    pub(super) free: bool,
}

/// The machine, and what was found out with it. Shared by the generations with the same tools.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) machine: Machine,
    known: HashMap<StateId, Choices>,
    /// By the tokens of a text and the control tokens beside them, so that states that differ in their number of
    /// characters only share a mask.
    masks: HashMap<(usize, Vec<u32>), Mask>,
    sole: HashMap<StateId, Option<(Symbol, StateId)>>,
    /// Tokens to the end, by stack.
    pub(super) needed: HashMap<StackId, u32>,
}

#[derive(Debug)]
struct Mask {
    /// Kept, so that its address does not come to mean another.
    _of: Arc<Candidates>,
    with_controls: Arc<Candidates>,
}

/// A text that is being written.
struct Text {
    language: Language,
    place: Place,
    frame: Frame,
    below: StackId,
}

impl Work {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            machine,
            known: HashMap::default(),
            masks: HashMap::default(),
            sole: HashMap::default(),
            needed: HashMap::default(),
        }
    }

    /// The one symbol that may come next, if there is only one, and the state behind it.
    pub(super) fn sole(&mut self, state: StateId) -> Option<(Symbol, StateId)> {
        if let Some(known) = self.sole.get(&state) {
            return *known;
        }
        let bytes = (0..=u8::MAX).map(Symbol::Byte);
        let mut found = None;
        for symbol in CONTROLS.into_iter().chain(bytes) {
            let next = self.machine.step(state, symbol);
            if next != DEAD && found.replace((symbol, next)).is_some() {
                found = None;
                break;
            }
        }
        self.sole.insert(state, found);
        found
    }

    /// The state behind some bytes.
    pub(super) fn step_bytes(&mut self, state: StateId, bytes: &[u8]) -> StateId {
        let step = |state, byte: &u8| self.machine.step(state, Symbol::Byte(*byte));
        bytes.iter().fold(state, step)
    }

    pub(super) fn choices(&mut self, vocabulary: &Vocabulary, state: StateId) -> Choices {
        if let Some(known) = self.known.get(&state) {
            return known.clone();
        }
        let choices = self.find(vocabulary, state);
        if self.known.len() >= MAX_KEPT {
            self.known.clear();
            self.masks.clear();
        }
        self.known.insert(state, choices.clone());
        choices
    }

    fn find(&mut self, vocabulary: &Vocabulary, state: StateId) -> Choices {
        let (texts, others) = self.parts(state);
        let controls = self.controls(vocabulary, state);
        if let [text] = texts.as_slice()
            && others.is_empty()
            && ends_with_control(text, self.machine.rules.notation)
        {
            let tokens = vocabulary.text_tokens(&text.language, text.place.node, false);
            if let Some((all, _)) = tokens.all(&text.language, text.place.count) {
                return self.with_controls(all, controls, vocabulary.size);
            }
        }
        let mut parts: Vec<Arc<[u32]>> = vec![controls.into()];
        for text in &texts {
            let groups = self.groups(vocabulary, text);
            parts.extend(groups.into_iter().map(|(_, ids)| ids));
        }
        parts.extend(
            self.walked(vocabulary, &texts, others)
                .into_iter()
                .map(|choice| choice.ids),
        );
        let count = parts.iter().map(|ids| ids.len()).sum();
        let candidates = candidates(parts.iter().map(|ids| &**ids), count, vocabulary.size);
        Choices {
            free: matches!(candidates, Candidates::Mask(_)),
            candidates: Arc::new(candidates),
        }
    }

    fn with_controls(&mut self, all: &Arc<Candidates>, controls: Vec<u32>, size: usize) -> Choices {
        let key = (Arc::as_ptr(all).addr(), controls);
        let made = |controls: &[u32]| {
            let mut candidates = (**all).clone();
            match &mut candidates {
                Candidates::All => {}
                Candidates::List(list) => {
                    list.extend(controls);
                    list.sort_unstable();
                }
                Candidates::Mask(mask) => {
                    debug_assert_eq!(mask.len(), size.div_ceil(64));
                    for id in controls {
                        if let Some(word) = mask.get_mut(*id as usize / 64) {
                            *word |= 1 << (id % 64);
                        }
                    }
                }
            }
            Arc::new(candidates)
        };
        let known = self.masks.get(&key).map(|mask| mask.with_controls.clone());
        let candidates = known.unwrap_or_else(|| {
            let made = made(&key.1);
            let mask = Mask {
                _of: all.clone(),
                with_controls: made.clone(),
            };
            self.masks.insert(key, mask);
            made
        });
        Choices {
            free: matches!(*candidates, Candidates::Mask(_)),
            candidates,
        }
    }

    /// All choices with the states that they lead to.
    pub(super) fn leading(&mut self, vocabulary: &Vocabulary, state: StateId) -> Vec<Choice> {
        let (texts, others) = self.parts(state);
        let mut choices = Vec::new();
        for symbol in CONTROLS {
            let to = self.machine.step(state, symbol);
            if to != DEAD {
                let ids = vocabulary.control(symbol).into();
                choices.push(Choice { to, ids });
            }
        }
        for text in &texts {
            for (place, ids) in self.groups(vocabulary, text) {
                let frame = match text.frame {
                    Frame::Text { shape, escaped, .. } => Frame::Text {
                        shape,
                        place,
                        escaped,
                    },
                    Frame::Prose { calls, .. } => Frame::Prose { place, calls },
                    // Its text would be another; what completes it is as long.
                    Frame::Key(key) => Frame::Key(Key { place, ..key }),
                    other => other,
                };
                let stack = self.machine.push(frame, text.below);
                let to = self.machine.state(vec![stack]);
                choices.push(Choice { to, ids });
            }
        }
        choices.extend(self.walked(vocabulary, &texts, others));
        choices
    }

    /// The tokens that have to be walked through, because they end a text or stand outside of one.
    fn walked(
        &mut self,
        vocabulary: &Vocabulary,
        texts: &[Text],
        others: Vec<StackId>,
    ) -> Vec<Choice> {
        let mut choices: HashMap<StateId, Vec<u32>> = HashMap::default();
        let mut walk = |tree: Tree<'_>, start: StateId, machine: &mut Machine| {
            let step = |state, byte| {
                Some(machine.step(state, Symbol::Byte(byte))).filter(|state| *state != DEAD)
            };
            tree.walk(start, step, |id, state| {
                choices.entry(state).or_default().push(id);
            });
        };
        if !others.is_empty() {
            let start = self.machine.state(others);
            walk(vocabulary.tree(Tokens::All), start, &mut self.machine);
        }
        let notation = self.machine.rules.notation;
        let stacks = (texts
            .iter()
            .filter(|text| !ends_with_control(text, notation)))
        .map(|text| self.machine.push(text.frame, text.below))
        .collect::<Vec<_>>();
        if !stacks.is_empty() {
            let tokens = match notation {
                Notation::Json => Tokens::Quoting,
                Notation::Call => Tokens::Colons,
            };
            let start = self.machine.state(stacks);
            walk(vocabulary.tree(tokens), start, &mut self.machine);
        }
        (choices.into_iter())
            .map(|(to, ids)| Choice {
                to,
                ids: ids.into(),
            })
            .collect()
    }

    /// The tokens within a text, with the place behind each.
    fn groups(&mut self, vocabulary: &Vocabulary, text: &Text) -> Vec<(Place, Arc<[u32]>)> {
        let tokens = self.tokens(vocabulary, text);
        let groups = tokens.groups(&text.language, text.place.count);
        let mut groups: Vec<(Place, Arc<[u32]>)> =
            groups.map(|(place, ids)| (place, ids.clone())).collect();
        if let Frame::Key(key) = text.frame {
            // A key that can get no longer must not be one that stands there already.
            let taken = self.machine.taken(key, text.below);
            for (place, ids) in groups.iter_mut().filter(|_| !taken.is_empty()) {
                let full = (0..=u8::MAX).all(|byte| text.language.step(*place, byte).is_none());
                if full {
                    let fits = |id: &u32| {
                        let bytes = vocabulary.tokenizer.bytes(*id);
                        !taken.iter().any(|taken| taken == bytes)
                    };
                    *ids = ids.iter().copied().filter(fits).collect();
                }
            }
            groups.retain(|(_, ids)| !ids.is_empty());
        }
        groups
    }

    fn tokens(&self, vocabulary: &Vocabulary, text: &Text) -> Arc<TextTokens> {
        let json = self.machine.rules.notation == Notation::Json
            && matches!(text.frame, Frame::Text { .. });
        vocabulary.text_tokens(&text.language, text.place.node, json)
    }

    /// The texts that are being written, and the stacks where none is.
    fn parts(&self, state: StateId) -> (Vec<Text>, Vec<StackId>) {
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for stack in self.machine.stacks_of(state) {
            let Some((frame, below)) = self.machine.top(*stack) else {
                continue;
            };
            let language = match frame {
                Frame::Text {
                    shape,
                    place,
                    escaped: false,
                } => match self.machine.rules.form(shape.node, shape.shape) {
                    Some(Form::Text { language }) => Some((language.clone(), place)),
                    _ => None,
                },
                Frame::Prose { place, .. } => Some((self.machine.prose.clone(), place)),
                Frame::Key(Key {
                    place,
                    quoted: Quoted::Within,
                    ..
                }) => Some((self.machine.keys.clone(), place)),
                _ => None,
            };
            match language {
                Some((language, place)) => texts.push(Text {
                    language,
                    place,
                    frame,
                    below,
                }),
                None => others.push(*stack),
            }
        }
        (texts, others)
    }

    fn controls(&mut self, vocabulary: &Vocabulary, state: StateId) -> Vec<u32> {
        let mut ids = Vec::new();
        for symbol in CONTROLS {
            if self.machine.step(state, symbol) != DEAD {
                ids.extend_from_slice(vocabulary.control(symbol));
            }
        }
        ids.sort_unstable();
        ids
    }
}

/// Whether the token that ends the text is a control token.
fn ends_with_control(text: &Text, notation: Notation) -> bool {
    match text.frame {
        Frame::Prose { .. } => true,
        Frame::Text { .. } => notation == Notation::Call,
        _ => false,
    }
}
