//! Who waits for the model: a bounded queue in which a place is free as soon as whoever had it gives up.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// A bounded queue with one taker, at which several are at work at once.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// How many may be at work or wait.
    most: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// By number; the taker may have what is at the front in its hand.
    waiting: VecDeque<(u64, Option<T>)>,
    next: u64,
    running: usize,
    closed: bool,
}

/// A place in the queue. Dropped, the place is free, and what was in it is not admitted any more.
#[derive(Debug)]
pub(super) struct Place<T> {
    queue: Arc<Queue<T>>,
    number: u64,
}

/// What is at the front.
#[derive(Debug)]
pub(super) enum Front<T> {
    /// Under this number, which it is admitted by.
    Next(u64, T),
    Nobody,
    /// And nobody will come.
    Closed,
}

impl<T> Queue<T> {
    /// At most `parallel` are at work, and `queue` wait beside them.
    pub(super) fn new(parallel: usize, queue: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            next: 0,
            running: 0,
            closed: false,
        };
        Self {
            most: parallel.saturating_add(queue),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Says how many wait, if there is no room.
    pub(super) fn push(self: &Arc<Self>, item: T) -> Result<Place<T>, usize> {
        let mut state = self.lock();
        let waiting = state.waiting.len();
        if waiting + state.running >= self.most {
            return Err(waiting);
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push_back((number, Some(item)));
        drop(state);
        self.changed.notify_one();
        Ok(Place {
            queue: self.clone(),
            number,
        })
    }

    /// Puts what is at the front into the taker's hand; it keeps its place until it is admitted. `wait`: until there is
    /// something, or the queue is closed.
    pub(super) fn front(&self, wait: bool) -> Front<T> {
        let mut state = self.lock();
        loop {
            if let Some((number, item)) = state.waiting.front_mut()
                && let Some(item) = item.take()
            {
                return Front::Next(*number, item);
            }
            if state.closed {
                return Front::Closed;
            }
            if !wait {
                return Front::Nobody;
            }
            state = (self.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether its place was not given up.
    pub(super) fn waits(&self, number: u64) -> bool {
        self.lock().waiting.iter().any(|(n, _)| *n == number)
    }

    /// Counts it among those at work, unless its place was given up.
    pub(super) fn admit(&self, number: u64) -> bool {
        let mut state = self.lock();
        let found = state.remove(number);
        state.running += usize::from(found);
        found
    }

    /// One of those at work has ended.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        self.lock().running
    }

    /// The state is whole between any two statements, so one that a panic left behind is good.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn remove(&mut self, number: u64) -> bool {
        let at = self.waiting.iter().position(|(n, _)| *n == number);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        self.queue.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next<T>(queue: &Queue<T>) -> (u64, T) {
        match queue.front(false) {
            Front::Next(number, item) => (number, item),
            _ => panic!("nothing is there"),
        }
    }

    #[test]
    fn a_place_given_up_is_free_at_once_and_nothing_in_it_is_taken() {
        let queue = Arc::new(Queue::new(1, 1));
        let _first = queue.push(1).unwrap();
        let second = queue.push(2).unwrap();
        assert_eq!(queue.push(3).unwrap_err(), 2);
        drop(second);
        let _third = queue.push(3).unwrap();
        let (number, first) = next(&queue);
        assert_eq!((first, queue.admit(number)), (1, true));
        assert_eq!((queue.waiting(), queue.running()), (1, 1));
        assert!(queue.push(4).is_err());
        queue.leave();
        assert_eq!(next(&queue).1, 3);
        queue.close();
        assert_eq!(queue.running(), 0);
    }

    #[test]
    fn who_is_at_the_front_keeps_his_place_until_he_is_admitted() {
        let queue = Arc::new(Queue::new(2, 1));
        let places: Vec<_> = (0..3).map(|i| queue.push(i).unwrap()).collect();
        let (number, item) = next(&queue);
        assert_eq!((item, queue.waiting(), queue.running()), (0, 3, 0));
        assert!(queue.push(3).is_err());
        // Nobody overtakes whoever is in the taker's hand.
        assert!(matches!(queue.front(false), Front::Nobody));
        assert!(queue.admit(number) && !queue.waits(number));
        let (number, item) = next(&queue);
        assert_eq!((item, queue.waits(number)), (1, true));
        drop(places);
        assert!(!queue.waits(number) && !queue.admit(number));
        assert_eq!((queue.waiting(), queue.running()), (0, 1));
        queue.close();
        assert!(matches!(queue.front(true), Front::Closed));
    }
}
