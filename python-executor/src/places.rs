//! How many calls may run at once, and who is next. More of them wait, and too many are refused, so that neither the
//! machine's memory nor a caller's patience is used up unseen. Places are shared fairly among clients: whoever calls
//! what hangs waits for himself. A client may take another place, to run or to wait in, as long as it has fewer than
//! are free: so some stay free for those who come later, a few greedy clients get equal shares, and one that is alone
//! gets half. Those who had a place a moment ago and have none now find one when they come back. Clients that wait are
//! served in turn, each one's calls in the order they came.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipc::Status;
use tokio::sync::oneshot;

/// A client: its process, whose connections are not told apart.
pub(crate) type Who = u32;

/// How long a place is kept for a client that comes and goes.
const KEPT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Places {
    taken: Mutex<Taken>,
    pub(crate) most: usize,
    most_waiting: usize,
}

#[derive(Debug, Default)]
struct Taken {
    running: HashMap<Who, usize>,
    /// When those who have nothing running had something.
    gone: HashMap<Who, Instant>,
    /// Clients that wait, the next first.
    waiting: VecDeque<Queue>,
    all_running: usize,
    all_waiting: usize,
    last: u64,
}

/// The calls of one client that wait.
#[derive(Debug)]
struct Queue {
    who: Who,
    /// Each one's number, and how it is told of its place.
    calls: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A place to run in, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    who: Who,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(self.who);
    }
}

/// A call that waits; it leaves the queue when it is given up.
struct Waiting<'a> {
    places: &'a Places,
    who: Who,
    number: u64,
    told: oneshot::Receiver<()>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if taken.forget(self.who, self.number) {
            return;
        }
        drop(taken);
        // Its place was given to it, and it never came to know.
        if self.told.try_recv().is_ok() {
            self.places.give_back(self.who);
        }
    }
}

impl Places {
    pub(crate) fn new(most: usize, most_waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            most,
            most_waiting,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a call of this client.
    pub(crate) async fn take(self: &Arc<Self>, who: Who) -> Result<Place, Status> {
        let place = || Place {
            places: self.clone(),
            who,
        };
        let mut waiting = {
            let mut taken = self.lock();
            if taken.waits(who) == 0 && taken.may_run(who, self.most) {
                taken.run(who);
                return Ok(place());
            }
            let free = self.most_waiting.saturating_sub(taken.all_waiting);
            if taken.waits(who) >= free {
                return Err(taken.refusal(who));
            }
            let (number, told) = taken.wait(who);
            Waiting {
                places: self,
                who,
                number,
                told,
            }
        };
        (&mut waiting.told)
            .await
            .map_err(|_closed| Status::unavailable("the server is stopping"))?;
        Ok(place())
    }

    fn give_back(&self, who: Who) {
        let mut taken = self.lock();
        taken.stop(who);
        taken.next(self.most);
    }

    pub(crate) fn running(&self) -> usize {
        self.lock().all_running
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().all_waiting
    }
}

impl Taken {
    fn may_run(&self, who: Who, most: usize) -> bool {
        let free = most.saturating_sub(self.all_running);
        match self.running.get(&who) {
            None => free > 0,
            Some(running) => running + self.kept(most) < free,
        }
    }

    /// Places that are kept for those who come and go: a quarter of all at most.
    fn kept(&self, most: usize) -> usize {
        let recent = self.gone.values().filter(|gone| gone.elapsed() < KEPT);
        recent.count().min(most / 4)
    }

    fn run(&mut self, who: Who) {
        self.gone.remove(&who);
        *self.running.entry(who).or_default() += 1;
        self.all_running += 1;
    }

    fn stop(&mut self, who: Who) {
        self.all_running -= 1;
        if let Some(running) = self.running.get_mut(&who) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(&who);
                self.gone.retain(|_, gone| gone.elapsed() < KEPT);
                self.gone.insert(who, Instant::now());
            }
        }
    }

    fn waits(&self, who: Who) -> usize {
        let queue = self.waiting.iter().find(|queue| queue.who == who);
        queue.map_or(0, |queue| queue.calls.len())
    }

    fn refusal(&self, who: Who) -> Status {
        Status::resource_exhausted(format!(
            "{} calls are running and {} are waiting already, {} of them this client's",
            self.all_running,
            self.all_waiting,
            self.waits(who)
        ))
        .with_hint("try again later, or start the server with a larger --max-calls or --queue")
        .with_retry_after_ms(100)
    }

    fn wait(&mut self, who: Who) -> (u64, oneshot::Receiver<()>) {
        let (sender, told) = oneshot::channel();
        self.last += 1;
        self.all_waiting += 1;
        let call = (self.last, sender);
        match self.waiting.iter_mut().find(|queue| queue.who == who) {
            Some(queue) => queue.calls.push_back(call),
            None => self.waiting.push_back(Queue {
                who,
                calls: VecDeque::from([call]),
            }),
        }
        (self.last, told)
    }

    /// Takes a call out of its queue; false: it has a place.
    fn forget(&mut self, who: Who, number: u64) -> bool {
        let Some(queue) = self.waiting.iter_mut().find(|queue| queue.who == who) else {
            return false;
        };
        let before = queue.calls.len();
        queue.calls.retain(|(of, _)| *of != number);
        let gone = before - queue.calls.len();
        self.all_waiting -= gone;
        self.waiting.retain(|queue| !queue.calls.is_empty());
        gone > 0
    }

    /// Gives what is free to those who wait: each client in turn, if its share has room.
    fn next(&mut self, most: usize) {
        while let Some(at) = self
            .waiting
            .iter()
            .position(|queue| self.may_run(queue.who, most))
        {
            let Some(mut queue) = self.waiting.remove(at) else {
                return;
            };
            if let Some((_, sender)) = queue.calls.pop_front() {
                self.all_waiting -= 1;
                self.run(queue.who);
                // Who gives up just now gives the place back.
                let _ = sender.send(());
            }
            if !queue.calls.is_empty() {
                self.waiting.push_back(queue);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, poll_fn},
        pin::Pin,
        task::Poll,
    };

    use super::*;

    const NICE: Who = 1;
    const GREEDY: Who = 2;

    async fn now<F: Future + Unpin>(taking: &mut F) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *taking).poll(cx))).await
    }

    /// A place, if this client gets one at once.
    async fn at_once(places: &Arc<Places>, who: Who) -> Option<Place> {
        match now(&mut Box::pin(places.take(who))).await {
            Poll::Ready(place) => place.ok(),
            Poll::Pending => None,
        }
    }

    async fn as_many_as_possible(places: &Arc<Places>, who: Who) -> Vec<Place> {
        let mut held = Vec::new();
        while let Some(place) = at_once(places, who).await {
            held.push(place);
        }
        held
    }

    #[tokio::test]
    async fn a_greedy_client_leaves_half_of_the_places() {
        let places = Places::new(16, 256);
        let held = as_many_as_possible(&places, GREEDY).await;
        assert_eq!(held.len(), 8);
        assert!(at_once(&places, NICE).await.is_some());
        drop(held);
        assert_eq!((places.running(), places.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn several_greedy_clients_come_to_equal_shares_and_leave_some() {
        let places = Places::new(16, 256);
        let mut waiting: Vec<_> = (2..7)
            .flat_map(|who| std::iter::repeat_n(who, 30))
            .map(|who| Box::pin(places.take(who)))
            .collect();
        let mut held = VecDeque::new();
        for _ in 0..64 {
            let mut still = Vec::new();
            for mut taking in waiting {
                match now(&mut taking).await {
                    Poll::Ready(place) => held.extend(place.ok()),
                    Poll::Pending => still.push(taking),
                }
            }
            waiting = still;
            held.pop_front();
        }
        assert!(!waiting.is_empty(), "they were not greedy enough");
        for who in 2..7 {
            let share = held.iter().filter(|place| place.who == who).count();
            assert!((2..=3).contains(&share), "{who} has {share}");
        }
        assert!(at_once(&places, NICE).await.is_some());
    }

    #[tokio::test]
    async fn who_comes_and_goes_finds_a_place_beside_greedy_clients() {
        let places = Places::new(16, 256);
        let nice = 10..14;
        for who in nice.clone() {
            drop(at_once(&places, who).await);
        }
        let mut held = Vec::new();
        for _ in 0..8 {
            for who in 2..8 {
                held.extend(at_once(&places, who).await);
            }
        }
        let mut together = Vec::new();
        for who in nice {
            together.push(at_once(&places, who).await.expect("a place was kept"));
        }
    }

    #[tokio::test]
    async fn one_place_is_enough() {
        let places = Places::new(1, 1);
        let place = at_once(&places, NICE).await;
        assert!(place.is_some());
        assert!(at_once(&places, GREEDY).await.is_none());
        drop(place);
        assert!(at_once(&places, GREEDY).await.is_some());
    }

    #[tokio::test]
    async fn those_who_wait_are_served_client_by_client() {
        let places = Places::new(1, 256);
        let place = places.take(GREEDY).await.unwrap();
        let mut greedy: Vec<_> = (0..100).map(|_| Box::pin(places.take(GREEDY))).collect();
        for waiting in &mut greedy {
            assert!(now(waiting).await.is_pending());
        }
        let mut nice = Box::pin(places.take(NICE));
        assert!(now(&mut nice).await.is_pending());
        assert_eq!(places.waiting(), 101);
        drop(place);
        let next = greedy.remove(0).await.unwrap();
        drop(next);
        // Not the hundredth: the second.
        assert!(now(&mut nice).await.is_ready());
    }

    #[tokio::test]
    async fn a_greedy_client_is_refused_while_others_may_still_wait() {
        let places = Places::new(1, 8);
        let _place = places.take(GREEDY).await.unwrap();
        let mut greedy: Vec<_> = (0..8).map(|_| Box::pin(places.take(GREEDY))).collect();
        let mut refused = 0;
        for waiting in &mut greedy {
            refused += usize::from(now(waiting).await.is_ready());
        }
        assert_eq!((refused, places.waiting()), (4, 4));
        let mut nice = Box::pin(places.take(NICE));
        assert!(now(&mut nice).await.is_pending());
        drop(greedy);
        assert_eq!(places.waiting(), 1);
    }

    #[tokio::test]
    async fn a_place_given_to_who_gave_up_is_given_on() {
        let places = Places::new(1, 8);
        let place = places.take(GREEDY).await.unwrap();
        let mut gone = Box::pin(places.take(GREEDY));
        let mut nice = Box::pin(places.take(NICE));
        assert!(now(&mut gone).await.is_pending());
        assert!(now(&mut nice).await.is_pending());
        drop(place);
        drop(gone);
        assert!(now(&mut nice).await.is_ready());
    }
}
