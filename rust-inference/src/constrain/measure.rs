//! How long and how deep the values of a grammar are at the least. What turns out to have no end (a value that needs
//! itself, an array of too few possible items) is taken out.

use super::grammar::{Form, MAX_HEIGHT, NEVER, NodeId, Rules};

impl Rules {
    /// Measures every node, from the flattest up, until nothing gets shorter any more.
    pub(super) fn measure(&mut self) {
        loop {
            let mut changed = false;
            // Nodes refer mostly to those behind them.
            for id in (0..self.nodes.len()).rev() {
                let shapes = self.nodes.get(id).map_or(0, |node| node.shapes.len());
                for at in 0..shapes {
                    let (cost, height) = self.measured(id, at);
                    if let Some(node) = self.nodes.get_mut(id)
                        && let Some(shape) = node.shapes.get_mut(at)
                        && (cost < shape.cost || height < shape.height)
                    {
                        shape.cost = shape.cost.min(cost);
                        shape.height = shape.height.min(height);
                        node.cost = node.cost.min(cost);
                        node.height = node.height.min(height);
                        changed = true;
                    }
                }
            }
            if !changed {
                break;
            }
        }
        self.prune();
        let shapes = self.nodes.iter().flat_map(|node| &node.shapes);
        let costs = shapes.map(|shape| shape.cost);
        let literals = self.literals.iter().map(|literal| literal.len() as u32);
        let most = costs.max().unwrap_or(0);
        let most = most.saturating_add(literals.max().unwrap_or(0));
        self.spread = self.spread.max(most);
    }

    fn measured(&self, id: NodeId, at: usize) -> (u32, u32) {
        const NOT: (u32, u32) = (NEVER, NEVER);
        let sum = |a: u32, b: u32| a.saturating_add(b);
        match self.form(id, at) {
            None => NOT,
            Some(Form::Text { language }) => {
                (sum(2, language.shortest_len(language.start()) as u32), 0)
            }
            Some(Form::Word { language, .. }) => {
                (language.shortest_len(language.start()) as u32, 0)
            }
            Some(Form::Array(array)) => {
                if array.least > array.most {
                    return NOT;
                }
                let own = array.least.min(array.first.len());
                let (mut cost, mut height) = (2, 0);
                for item in array.first.iter().take(own) {
                    cost = sum(cost, sum(self.cost_of(*item), 1));
                    height = height.max(self.height_of(*item));
                }
                if array.least > own {
                    let Some(rest) = array.rest else {
                        return NOT;
                    };
                    let each = sum(self.cost_of(rest), 1);
                    let more = u32::try_from(array.least - own).unwrap_or(NEVER);
                    cost = sum(cost, each.saturating_mul(more));
                    height = height.max(self.height_of(rest));
                }
                (cost, sum(height, 1))
            }
            Some(Form::Object(object)) => {
                let (mut cost, mut height) = (2, 0);
                for field in object.fields.iter().filter(|field| field.required) {
                    let key = self.literal(field.literal).len() as u32;
                    cost = sum(cost, sum(sum(key, 1), self.cost_of(field.value)));
                    height = height.max(self.height_of(field.value));
                }
                (cost, sum(height, 1))
            }
        }
    }

    fn prune(&mut self) {
        let possible: Vec<bool> = (self.nodes.iter())
            .map(|node| node.cost != NEVER && node.height <= MAX_HEIGHT)
            .collect();
        let can = |id: NodeId| possible.get(id).copied().unwrap_or(false);
        for node in &mut self.nodes {
            (node.shapes).retain(|shape| shape.cost != NEVER && shape.height <= MAX_HEIGHT);
            for shape in &mut node.shapes {
                match &mut shape.form {
                    Form::Array(array) => {
                        array.rest = array.rest.filter(|rest| can(*rest));
                        if let Some(end) = array.first.iter().position(|item| !can(*item)) {
                            array.most = array.most.min(end);
                        }
                    }
                    Form::Object(object) => {
                        object.fields.retain(|field| can(field.value));
                        object.extra = object.extra.filter(|extra| can(*extra));
                    }
                    Form::Text { .. } | Form::Word { .. } => {}
                }
            }
            if node.shapes.is_empty() {
                (node.cost, node.height) = (NEVER, NEVER);
            }
        }
    }
}
