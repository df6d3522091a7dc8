//! How many threads compute unless somebody says otherwise: one for each physical core that this process may use. Two
//! threads of one core share its arithmetic units, which the kernels keep busy with one.

use std::{collections::BTreeSet, fs, thread::available_parallelism};

/// The physical cores that this process may use, at most the processors that its control group pays for.
pub fn physical_cores() -> usize {
    // The standard library looks at the affinity and the control groups' quotas, of both versions.
    let processors = available_parallelism().map_or(1, usize::from);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap_or_default();
    let core_of = |processor| {
        // The processors of its core, as a list: the same for each of them.
        let of = |name| {
            fs::read_to_string(format!(
                "/sys/devices/system/cpu/cpu{processor}/topology/{name}"
            ))
        };
        // Kernels before 5.4 know only the older name.
        of("core_cpus_list")
            .or_else(|_| of("thread_siblings_list"))
            .ok()
    };
    cores(allowed, core_of).map_or(processors, |cores| cores.min(processors))
}

/// How many different cores the processors of a list have; `None` if it cannot be known.
fn cores(allowed: &str, core_of: impl Fn(usize) -> Option<String>) -> Option<usize> {
    let mut seen = BTreeSet::new();
    for range in allowed.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        for processor in first.parse().ok()?..=last.parse().ok()? {
            seen.insert(core_of(processor)?);
        }
    }
    Some(seen.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_core_count_once_and_only_where_the_process_may_run() {
        // Four cores of two threads: 0 and 4, 1 and 5, …
        let core_of = |processor: usize| {
            (processor < 8).then(|| format!("{},{}\n", processor % 4, processor % 4 + 4))
        };
        assert_eq!(cores("\t0-7\n", core_of), Some(4));
        assert_eq!(cores("0,4", core_of), Some(1));
        assert_eq!(cores("0-1,5-6", core_of), Some(3));
        assert_eq!(cores("0-8", core_of), None);
        assert_eq!(cores("", core_of), None);
        assert_eq!(cores("many", core_of), None);
    }

    #[test]
    fn no_more_than_the_processors_and_at_least_one() {
        let most = available_parallelism().map_or(1, usize::from);
        assert!((1..=most).contains(&physical_cores()));
    }
}
