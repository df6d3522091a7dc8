//! Which instructions the integer products use: the best that the processor has, or what somebody asked for.

use std::sync::OnceLock;

use crate::kernels::Level;

use super::{
    activations,
    lanes::{Lanes, Plain},
    rows::{self, RowsJob},
    tile::{self, Bits, Job},
};
#[cfg(target_arch = "x86_64")]
use super::{
    lanes_avx2::{Avx2, AvxVnni},
    lanes_avx512::Avx512Vnni,
};

static CHOSEN: OnceLock<Kernel> = OnceLock::new();

/// A kernel that this processor can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain loops, as the compiler makes them for every processor of the target.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
}

impl Kernel {
    /// The kernels of this processor, the best last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
        let mut kernels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            kernels.push(Self::Avx2);
            if is_x86_feature_detected!("avxvnni") {
                kernels.push(Self::AvxVnni);
            }
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni")
            {
                kernels.push(Self::Avx512Vnni);
            }
        }
        kernels
    }

    /// The best kernel of this processor.
    fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }

    /// The kernel that everything runs on: the best one, unless another was chosen before anything was computed.
    pub fn chosen() -> Self {
        *CHOSEN.get_or_init(Self::best)
    }

    /// Has everything run on this kernel. Only the first choice counts.
    pub fn choose(self) {
        CHOSEN.get_or_init(|| self);
    }

    /// The kernel of this name, or the best for `auto`. Tells what there is if this processor has no such kernel.
    pub fn named(name: &str) -> Result<Self, String> {
        let available = Self::available();
        if name == "auto" {
            return Ok(Self::best());
        }
        let found = available.iter().find(|kernel| kernel.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = available.into_iter().map(Self::name).collect();
            format!(
                "this processor has no kernel of that name; give auto, {}",
                names.join(", ")
            )
        })
    }

    /// The instructions that floats are computed with beside it.
    pub(in crate::kernels) fn level(self) -> Level {
        match self {
            Self::Portable => Level::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::AvxVnni => Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Level::Avx512,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => "avx512vnni",
        }
    }

    /// See [`Lanes::WIDE`].
    pub(in crate::kernels) fn wide(self) -> bool {
        match self {
            Self::Portable => Plain::WIDE,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::WIDE,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => AvxVnni::WIDE,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Avx512Vnni::WIDE,
        }
    }

    /// # Safety
    /// `job.x` was made for this kernel and has as many columns as the tiles; `job.out` is for this call alone, with room for
    /// `job.rows` results a token.
    pub(in crate::kernels) unsafe fn multiply(self, job: &Job<'_>) {
        // SAFETY: as for this function; a kernel is only made where the processor has its instructions.
        unsafe {
            match self {
                Self::Portable => tile::multiply::<Plain>(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => multiply_avx2(job),
                #[cfg(target_arch = "x86_64")]
                Self::AvxVnni => multiply_avxvnni(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Vnni => multiply_avx512vnni(job),
            }
        }
    }

    /// # Safety
    /// `job.x` was made for this kernel; `job.out` is for this call alone, with room for as many results a token as there are rows.
    pub(in crate::kernels) unsafe fn multiply_rows(self, job: &RowsJob<'_>) {
        // SAFETY: as for this function; a kernel is only made where the processor has its instructions.
        unsafe {
            match self {
                Self::Portable => rows::multiply::<Plain>(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => rows_avx2(job),
                #[cfg(target_arch = "x86_64")]
                Self::AvxVnni => rows_avxvnni(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Vnni => rows_avx512vnni(job),
            }
        }
    }

    /// A token's activations as this kernel wants them.
    pub(in crate::kernels) fn quantise(self, x: &[f32], line: &mut [u32], bits: Bits) {
        // SAFETY: a kernel is only made where the processor has its instructions.
        unsafe {
            match self {
                Self::Portable => activations::quantise::<Plain>(x, line, bits),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => quantise_avx2::<Avx2>(x, line, bits),
                #[cfg(target_arch = "x86_64")]
                Self::AvxVnni => quantise_avx2::<AvxVnni>(x, line, bits),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Vnni => quantise_avx512(x, line, bits),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn multiply_avx2(job: &Job<'_>) {
    // SAFETY: as for `Kernel::multiply`.
    unsafe { tile::multiply::<Avx2>(job) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn multiply_avxvnni(job: &Job<'_>) {
    // SAFETY: as for `Kernel::multiply`.
    unsafe { tile::multiply::<AvxVnni>(job) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn multiply_avx512vnni(job: &Job<'_>) {
    // SAFETY: as for `Kernel::multiply`.
    unsafe { tile::multiply::<Avx512Vnni>(job) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn quantise_avx2<L: Lanes>(x: &[f32], line: &mut [u32], bits: Bits) {
    // SAFETY: as for `Kernel::quantise`.
    unsafe { activations::quantise::<L>(x, line, bits) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
unsafe fn quantise_avx512(x: &[f32], line: &mut [u32], bits: Bits) {
    // SAFETY: as for `Kernel::quantise`.
    unsafe { activations::quantise::<Avx512Vnni>(x, line, bits) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn rows_avx2(job: &RowsJob<'_>) {
    // SAFETY: as for `Kernel::multiply_rows`.
    unsafe { rows::multiply::<Avx2>(job) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn rows_avxvnni(job: &RowsJob<'_>) {
    // SAFETY: as for `Kernel::multiply_rows`.
    unsafe { rows::multiply::<AvxVnni>(job) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn rows_avx512vnni(job: &RowsJob<'_>) {
    // SAFETY: as for `Kernel::multiply_rows`.
    unsafe { rows::multiply::<Avx512Vnni>(job) }
}
