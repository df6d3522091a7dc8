//! The instruction sets that loops over floats are compiled for.

use super::Kernel;

/// See [`super::lanes`] for what is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Whatever the compiler may assume of every processor of the target.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The level of the kernel that was chosen.
    pub(crate) fn best() -> Self {
        Kernel::chosen().level()
    }

    /// All levels of this processor, the best last.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let mut levels: Vec<_> = Kernel::available().into_iter().map(Kernel::level).collect();
        levels.dedup();
        levels
    }
}
