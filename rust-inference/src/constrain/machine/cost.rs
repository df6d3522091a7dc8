//! How many symbols a frame needs to its end, at most: quick to tell, because every step of a generation asks.

use super::{
    super::{
        grammar::{Form, Function, NEVER},
        options::Notation,
    },
    Calls, Frame, Machine, StackId, Stage,
    finish::sum,
};

/// No undeclared key is longer than this, its colon and quotes included.
const KEY_COST: u32 = 72;

impl Machine {
    /// Of a frame in a stack that is `depth` deep with it, above `below`.
    pub(super) fn frame_cost(&self, frame: Frame, depth: u32, below: StackId) -> u32 {
        let rules = &self.rules;
        match frame {
            Frame::Literal { id, at } => rules.literal(id).len().saturating_sub(at) as u32,
            Frame::Begin(node) => rules.cost_of(node),
            Frame::Text { shape, place, .. } => match rules.form(shape.node, shape.shape) {
                Some(Form::Text { language }) => {
                    // In JSON a character may take two, and one may have been begun.
                    let each = 1 + u32::from(rules.notation == Notation::Json);
                    sum([
                        2,
                        (language.shortest_len(place) as u32).saturating_mul(each),
                    ])
                }
                _ => NEVER,
            },
            Frame::Word { shape, place } => match rules.form(shape.node, shape.shape) {
                Some(Form::Word { language, .. }) => language.shortest_len(place) as u32,
                _ => NEVER,
            },
            Frame::Array { shape, count, .. } => {
                let Some(array) = rules.array(shape.node, shape.shape) else {
                    return NEVER;
                };
                let own = array.least.min(array.first.len());
                let first = array.first.iter().take(own).skip(count);
                let more = u32::try_from(array.least - own.max(count).min(array.least));
                let rest = array
                    .rest
                    .map_or(NEVER, |rest| sum([rules.cost_of(rest), 1]));
                let rest = match more {
                    Ok(0) => 0,
                    Ok(more) => rest.saturating_mul(more),
                    Err(_) => NEVER,
                };
                sum([1, rest]
                    .into_iter()
                    .chain(first.map(|item| sum([rules.cost_of(*item), 1]))))
            }
            Frame::Object {
                shape, done, stage, ..
            } => {
                let Some(object) = rules.object(shape.node, shape.shape) else {
                    return NEVER;
                };
                let fields = object.fields.iter().enumerate();
                let needed = fields.filter(|(at, f)| f.required && !self.is_done(done, *at));
                let needed = sum(needed.map(|(_, field)| self.field_cost(field)));
                if needed > 0 || stage != Stage::Comma {
                    return sum([1, needed]);
                }
                let next = self.next_fields(object, done, depth).into_iter();
                let next = next.filter_map(|at| object.fields.get(at));
                let cheapest = next.map(|field| self.field_cost(field)).min();
                // None: only a key that is not declared, which counts for itself.
                sum([1, cheapest.unwrap_or(0)])
            }
            Frame::Key(_) => {
                let extra = match self.top(below) {
                    Some((Frame::Object { shape, .. }, _)) => rules
                        .object(shape.node, shape.shape)
                        .and_then(|object| object.extra),
                    _ => None,
                };
                extra.map_or(NEVER, |id| sum([rules.cost_of(id), KEY_COST]))
            }
            Frame::Prose { place, .. } => self.prose.shortest_len(place) as u32 + 1,
            Frame::Calls { made, calls } => {
                if made > 0 {
                    return 1;
                }
                self.cheapest_call(calls)
            }
            Frame::Answered => 1,
        }
    }

    fn cheapest_call(&self, calls: Calls) -> u32 {
        let functions = self.rules.functions.iter().enumerate();
        let possible = functions.filter(|(at, _)| calls.only.is_none_or(|only| only == *at));
        let cheapest = possible.map(|(_, function)| self.call_cost(function)).min();
        cheapest.map_or(NEVER, |cost| sum([cost, 1]))
    }

    pub(super) fn call_cost(&self, function: &Function) -> u32 {
        let name = self.rules.literal(function.literal).len() as u32;
        sum([name, self.rules.cost_of(function.arguments), 2])
    }
}
