//! Who waits for the model: a bounded queue in which a place is free as soon as whoever had it gives up.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::Full;

/// A bounded queue with one taker.
#[derive(Debug)]
pub(super) struct Queue<T> {
    most: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<(u64, T)>,
    next: u64,
    /// What was taken last is not done yet.
    busy: bool,
    closed: bool,
}

/// A place in the queue. Dropped, the place is free, and what was in it is not taken any more.
#[derive(Debug)]
pub(super) struct Place<T> {
    queue: Arc<Queue<T>>,
    number: u64,
}

impl<T> Queue<T> {
    /// At most `most` wait beside the one that was taken.
    pub(super) fn new(most: usize) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            next: 0,
            busy: false,
            closed: false,
        };
        Self {
            most,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub(super) fn push(self: &Arc<Self>, item: T) -> Result<Place<T>, Full> {
        let mut state = self.lock();
        let waiting = state.waiting.len();
        if waiting + usize::from(state.busy) > self.most {
            return Err(Full { waiting });
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push_back((number, item));
        drop(state);
        self.changed.notify_one();
        Ok(Place {
            queue: self.clone(),
            number,
        })
    }

    /// Waits for the next; nothing comes after [`Queue::close`].
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        state.busy = false;
        loop {
            if let Some((_, item)) = state.waiting.pop_front() {
                state.busy = true;
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = (self.changed.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        usize::from(self.lock().busy)
    }

    /// The state is whole between any two statements, so one that a panic left behind is good.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        let at = (state.waiting).iter().position(|(n, _)| *n == self.number);
        let _given_up = at.and_then(|at| state.waiting.remove(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_given_up_is_free_at_once_and_nothing_in_it_is_taken() {
        let queue = Arc::new(Queue::new(1));
        let _first = queue.push(1).unwrap();
        let second = queue.push(2).unwrap();
        assert_eq!(queue.push(3).unwrap_err().waiting, 2);
        drop(second);
        let _third = queue.push(3).unwrap();
        assert_eq!(queue.take(), Some(1));
        assert_eq!((queue.waiting(), queue.running()), (1, 1));
        assert!(queue.push(4).is_err());
        assert_eq!(queue.take(), Some(3));
        queue.close();
        assert_eq!(queue.take(), None);
        assert_eq!(queue.running(), 0);
    }
}
