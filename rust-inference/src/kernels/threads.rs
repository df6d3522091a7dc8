//! Threads that compute together: a pool for work that is split and joined again a hundred times a token.
//!
//! One decoded token is about ninety products of 20 to 50 µs each, one after the other. A general pool's wake-ups cost
//! 5 to 10 µs each, and a barrier waits for its slowest thread even if that one was not running at all. So here a
//! worker looks around for a moment before it sleeps, a shorter one where others want the processor as well, and the
//! tasks are claimed one by one: a thread that the kernel has put
//! aside between two tasks holds nobody up, because the others, the caller among them, take what it would have taken.

use std::{
    any::Any,
    cell::UnsafeCell,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
        },
    },
    thread::{self, JoinHandle, Thread},
    time::{Duration, Instant},
};

/// How long a thread that has nothing to do only looks for work: most of what lies between two products of one token is
/// shorter. With 5 µs a thread fell asleep 18 times a token on an idle machine, with this twice.
const SPIN: Duration = Duration::from_micros(40);
/// How long it then looks again and again, giving others the processor in between, before it sleeps: longer than what
/// lies between two products of one token, and two tokens, so that nobody sleeps while a model is at work.
const LINGER: Duration = Duration::from_micros(250);
/// Whoever gave way and came back only after this was not the only one who wanted the processor.
const OUSTED: Duration = Duration::from_micros(50);
/// How many times nobody lingers then. On a machine that is shared, lingering is taken off the time that the kernel
/// lets us compute: without it a token took about two thirds of the time there, and 1.6 times as long on an idle one.
const SHY: usize = 60;
/// Looks between two readings of the clock.
const LOOKS: usize = 32;

/// Threads that share the work of one caller at a time.
pub struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// A number that is written often, on cache lines of its own.
#[repr(align(128))]
struct Apart<T>(T);

struct Shared {
    /// Tasks of the present job that nobody has claimed. Whoever counts it down by one owns one task.
    unclaimed: Apart<AtomicUsize>,
    /// Tasks of the present job that have not ended. The caller stays until it is 0.
    unfinished: Apart<AtomicUsize>,
    /// Written by the thread that holds `taken`, while both counts are 0; read by those who own a task.
    job: UnsafeCell<Job>,
    /// Somebody's job is at work.
    taken: AtomicBool,
    stop: AtomicBool,
    /// For each worker, whether it must be woken.
    asleep: Box<[Apart<AtomicBool>]>,
    /// The caller, once it no longer spins.
    waiting: AtomicBool,
    /// How many times more nobody lingers.
    shy: AtomicUsize,
    caller: Mutex<Option<Thread>>,
    /// The first panic of the present job.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

#[derive(Clone, Copy)]
struct Job {
    tasks: usize,
    /// The lifetime is not 'static: it is the `run` that put it here, which stays until every task has ended.
    task: &'static (dyn Fn(usize) + Sync),
}

// SAFETY: everything but `job` is Sync by itself, and `job` is written by one thread while no other reads it: see
// `Shared::publish` and `Shared::work`.
unsafe impl Sync for Shared {}

impl Threads {
    /// A pool of `count` threads, the caller's included: 1 starts none.
    pub fn new(count: usize) -> io::Result<Self> {
        let others = count.saturating_sub(1);
        let shared = Arc::new(Shared {
            unclaimed: Apart(AtomicUsize::new(0)),
            unfinished: Apart(AtomicUsize::new(0)),
            job: UnsafeCell::new(Job {
                tasks: 0,
                task: &|_| (),
            }),
            taken: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asleep: (0..others).map(|_| Apart(AtomicBool::new(false))).collect(),
            waiting: AtomicBool::new(false),
            shy: AtomicUsize::new(0),
            caller: Mutex::new(None),
            panic: Mutex::new(None),
        });
        // Made first, so that those already started are stopped and joined if one cannot be.
        let mut threads = Self {
            shared,
            workers: Vec::with_capacity(others),
        };
        for index in 0..others {
            let shared = Arc::clone(&threads.shared);
            let worker = thread::Builder::new()
                .name(format!("compute-{index}"))
                .spawn(move || shared.serve(index))?;
            threads.workers.push(worker);
        }
        Ok(threads)
    }

    /// The number of threads, the caller's included.
    pub fn count(&self) -> usize {
        self.workers.len() + 1
    }

    /// Does `task(i)` once for each `i` below `tasks`, in no particular order, on whichever threads are free, this one
    /// among them; returns when all have ended. Called while another job is at work, by another thread or by a task of
    /// that job, the calling thread does the tasks alone.
    ///
    /// # Panics
    /// With the first panic of a task, after all have ended. The pool stays usable.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        // Acquire: what the last holder did to the job happened before.
        let alone = tasks < 2
            || self.workers.is_empty()
            || (shared.taken)
                .compare_exchange(false, true, Acquire, Relaxed)
                .is_err();
        if alone {
            return (0..tasks).for_each(task);
        }
        // SAFETY: `taken` was false and is ours; the borrow lasts until `finish` below has returned.
        unsafe { shared.publish(tasks, task) };
        let useful = self.workers.iter().take(tasks - 1);
        for (worker, asleep) in useful.zip(&shared.asleep) {
            // SeqCst: see `serve`.
            if asleep.0.load(SeqCst) && asleep.0.swap(false, SeqCst) {
                worker.thread().unpark();
            }
        }
        shared.work();
        shared.finish();
        let panic = lock(&shared.panic).take();
        shared.taken.store(false, Release);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Does `task(i, chunk)` for the i-th chunk of `size` values of `out`, of which the last may be shorter.
    ///
    /// # Panics
    /// As `run`, and when `size` is 0.
    pub fn chunks<T: Send>(
        &self,
        out: &mut [T],
        size: usize,
        task: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let (len, start) = (out.len(), Start(out.as_mut_ptr()));
        self.run(len.div_ceil(size), &|i| {
            let first = i * size;
            // SAFETY: `first` is below `len`, for `i` is below the number of chunks. Each `i` is done once, so that no
            // two of these slices overlap, and `out` is borrowed until `run` has returned. T is Send.
            let chunk = unsafe {
                std::slice::from_raw_parts_mut(start.get().add(first), size.min(len - first))
            };
            task(i, chunk);
        });
    }
}

/// Where the output begins, for all threads.
struct Start<T>(*mut T);

impl<T> Start<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: the threads make disjoint slices of what it points to, of a T that is Send.
unsafe impl<T: Send> Sync for Start<T> {}

impl Shared {
    /// Offers a job to all threads.
    ///
    /// # Safety
    /// The calling thread has set `taken`, and calls `finish` before `task` ends to be valid.
    unsafe fn publish(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes; the caller promises to outlast every use.
        let task = unsafe {
            std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(task)
        };
        // SAFETY: nobody else writes, for `taken` is ours. Nobody reads: readers own a task that has not ended, and the
        // last holder of `taken` stayed until there was none.
        unsafe { *self.job.get() = Job { tasks, task } };
        // Before a task can be claimed; whoever claims one sees it by the Release below.
        self.unfinished.0.store(tasks, Relaxed);
        // Release for the job and the count; SeqCst for the sleepers (see `serve`).
        self.unclaimed.0.store(tasks, SeqCst);
    }

    /// Does tasks until none is left to claim.
    fn work(&self) {
        // Acquire: reads what `publish` released, for all changes between it and here are such exchanges, which
        // continue its release sequence. It does not matter if the job changed since the count was first read: what
        // was claimed is then a task of the new one.
        while let Ok(left) =
            (self.unclaimed.0).fetch_update(Acquire, Relaxed, |left| left.checked_sub(1))
        {
            // SAFETY: a task is ours and has not ended, so the job stays as it is until we count it as ended.
            let job = unsafe { *self.job.get() };
            let done = catch_unwind(AssertUnwindSafe(|| (job.task)(job.tasks - left)));
            if let Err(panic) = done {
                match &mut *lock(&self.panic) {
                    first @ None => *first = Some(panic),
                    // Leaked, for its drop may panic as well.
                    Some(_) => std::mem::forget(panic),
                }
            }
            // Release: what the task wrote, for the caller. SeqCst: either the caller sees the 0, or we see that it
            // waits. If it is gone already, and in another job, it is woken in vain and looks again.
            if self.unfinished.0.fetch_sub(1, SeqCst) == 1
                && self.waiting.load(SeqCst)
                && let Some(caller) = &*lock(&self.caller)
            {
                caller.unpark();
            }
        }
    }

    /// Stays until every task of the job has ended.
    fn finish(&self) {
        // Acquire: all that the tasks wrote.
        if self.watch(|| self.unfinished.0.load(Acquire) == 0) {
            return;
        }
        *lock(&self.caller) = Some(thread::current());
        self.waiting.store(true, SeqCst);
        while self.unfinished.0.load(SeqCst) != 0 {
            thread::park();
        }
        self.waiting.store(false, Relaxed);
        *lock(&self.caller) = None;
    }

    /// Looks until something is so: false if it was not for as long as it is worth looking.
    fn watch(&self, is_so: impl Fn() -> bool) -> bool {
        let mut since = None;
        while since.get_or_insert_with(Instant::now).elapsed() < SPIN {
            for _ in 0..LOOKS {
                if is_so() {
                    return true;
                }
                std::hint::spin_loop();
            }
        }
        // Relaxed, and two threads may count one down together: it is a matter of taste, not of truth.
        let shy = self.shy.load(Relaxed);
        if shy > 0 {
            self.shy.store(shy - 1, Relaxed);
            return false;
        }
        let (since, mut last) = (Instant::now(), Duration::ZERO);
        while last < LINGER {
            thread::yield_now();
            if is_so() {
                return true;
            }
            let now = since.elapsed();
            if now.saturating_sub(last) > OUSTED {
                self.shy.store(SHY, Relaxed);
                return false;
            }
            last = now;
        }
        false
    }

    /// What a worker does all its life.
    fn serve(&self, index: usize) {
        let Some(asleep) = self.asleep.get(index) else {
            return;
        };
        let called = || self.unclaimed.0.load(SeqCst) != 0 || self.stop.load(SeqCst);
        while !self.stop.load(SeqCst) {
            self.work();
            if self.watch(called) {
                continue;
            }
            // One order of all four: either we see the work here, or whoever brought it sees that we sleep.
            asleep.0.store(true, SeqCst);
            while !called() {
                thread::park();
                asleep.0.store(true, SeqCst);
            }
            asleep.0.store(false, SeqCst);
        }
    }
}

/// Nothing that is done under these locks can panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // It does not panic: tasks' panics are caught.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("count", &self.count())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewer under miri, which is a thousand times slower.
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 5000 };

    fn each_once(threads: &Threads, tasks: usize) {
        let done: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        threads.run(tasks, &|i| {
            done[i].fetch_add(1, Relaxed);
        });
        assert!(done.iter().all(|done| done.load(Relaxed) == 1));
    }

    #[test]
    fn every_task_is_done_once_for_any_number_of_threads_and_tasks() {
        for count in [0, 1, 2, 3, 4, 7, 16] {
            let threads = Threads::new(count).unwrap();
            assert_eq!(threads.count(), count.max(1));
            for round in 0..ROUNDS / 10 {
                each_once(&threads, round % 37);
            }
        }
    }

    #[test]
    fn what_tasks_wrote_is_seen_by_the_caller_and_by_the_next_job() {
        let threads = Threads::new(3).unwrap();
        let mut values = vec![0usize; 100];
        for round in 0..ROUNDS {
            threads.chunks(&mut values, 7, &|i, chunk| {
                for (k, value) in chunk.iter_mut().enumerate() {
                    assert_eq!(*value, round * (i * 7 + k));
                    *value += i * 7 + k;
                }
            });
        }
        assert!(values.iter().enumerate().all(|(i, v)| *v == ROUNDS * i));
    }

    #[test]
    fn workers_that_fell_asleep_are_woken() {
        let threads = Threads::new(4).unwrap();
        for _ in 0..ROUNDS / 50 {
            thread::sleep(2 * LINGER);
            // Every task waits for the others: it takes all four threads at once.
            let met = std::sync::Barrier::new(4);
            threads.run(4, &|_| {
                met.wait();
            });
        }
    }

    #[test]
    fn a_caller_that_fell_asleep_is_woken() {
        let threads = Threads::new(2).unwrap();
        let caller = thread::current().id();
        for _ in 0..ROUNDS / 100 {
            let met = std::sync::Barrier::new(2);
            threads.run(2, &|_| {
                met.wait();
                if thread::current().id() != caller {
                    thread::sleep(5 * LINGER);
                }
            });
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_tasks_and_the_pool_stays_usable() {
        let threads = Threads::new(3).unwrap();
        for round in 0..ROUNDS / 50 {
            let done = AtomicUsize::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                threads.run(20, &|i| {
                    done.fetch_add(1, Relaxed);
                    if i == round % 20 {
                        resume_unwind(Box::new(i));
                    }
                });
            }));
            assert_eq!(
                *result.unwrap_err().downcast::<usize>().unwrap(),
                round % 20
            );
            assert_eq!(done.into_inner(), 20);
            each_once(&threads, 20);
        }
    }

    #[test]
    fn callers_at_the_same_time_and_inside_a_task_are_served() {
        let threads = Threads::new(3).unwrap();
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS / 10 {
                        threads.run(5, &|_| {
                            threads.run(3, &|i| {
                                sum.fetch_add(i, Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * (ROUNDS / 10) * 5 * 3);
    }

    #[test]
    fn one_task_is_done_by_the_caller() {
        let threads = Threads::new(4).unwrap();
        let caller = thread::current().id();
        threads.run(1, &|_| assert_eq!(thread::current().id(), caller));
    }

    #[test]
    fn a_pool_that_is_dropped_ends_its_threads() {
        for round in 0..ROUNDS / 50 {
            let threads = Threads::new(1 + round % 5).unwrap();
            each_once(&threads, round % 3);
            let shared = Arc::downgrade(&threads.shared);
            drop(threads);
            assert_eq!(shared.strong_count(), 0);
        }
    }
}
