//! The tile registers of the processor, by their instructions: the compiler has no stable functions for them. A process
//! asks the kernel for them once, and each thread sets their shapes before it uses them.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::Tiles;

/// The tile registers of this thread, eight tiles of 16 rows of 64 bytes; let go when dropped, so that the kernel need
/// not keep their contents.
pub struct Registers {
    _of_this_thread: PhantomData<*const ()>,
}

impl Registers {
    /// None without the instructions, or without the kernel's permission.
    pub fn take() -> Option<Self> {
        static THERE: LazyLock<bool> = LazyLock::new(|| processor_has_them() && kernel_permits());
        if !*THERE {
            return None;
        }
        // SAFETY: the instruction is there and permitted. It reads the 64 bytes of the configuration, and changes
        // registers that nothing but this file uses.
        unsafe {
            asm!(
                "ldtilecfg [{}]",
                in(reg) &raw const CONFIGURATION,
                options(nostack, preserves_flags, readonly),
            );
        }
        Some(Self {
            _of_this_thread: PhantomData,
        })
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: as there are registers, the instruction is there; it touches nothing else.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) }
    }
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

const _: () = assert!(size_of::<Configuration>() == 64);

/// AMX-TILE and AMX-BF16, and a kernel that keeps the state of tiles.
fn processor_has_them() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const TILE_AND_BF16: u32 = 1 << 24 | 1 << 22;
    const TILE_STATES: u64 = 1 << 17 | 1 << 18;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // SAFETY: OSXSAVE says that the instruction is there.
    let states = unsafe { enabled_states() };
    __cpuid_count(7, 0).edx & TILE_AND_BF16 == TILE_AND_BF16 && states & TILE_STATES == TILE_STATES
}

/// # Safety
/// The processor has XSAVE and the kernel has turned it on.
#[target_feature(enable = "xsave")]
unsafe fn enabled_states() -> u64 {
    // SAFETY: the caller's promise.
    unsafe { _xgetbv(0) }
}

/// Ask Linux to let this process use tiles: their state is large, and kept only for those who ask.
fn kernel_permits() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call takes two numbers, changes what this process may use, and touches no memory of it. A kernel that
    // does not know it answers with an error.
    unsafe {
        asm!(
            "syscall",
            inout("rax") result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

// The registers keep their values from one statement to the next: none that the compiler emits touches tiles.
impl Tiles for Registers {
    #[inline(always)]
    fn zero<const TILE: u8>(&mut self) {
        // SAFETY: as there are registers, the instruction is there; it touches nothing else.
        unsafe { asm!("tilezero tmm{}", const TILE, options(nostack, preserves_flags, nomem)) }
    }

    #[inline(always)]
    fn load<const TILE: u8>(&mut self, words: &[u32], stride: usize) {
        assert!(15 * stride + 16 <= words.len());
        // SAFETY: the instruction is there, and the 16 rows of 16 words that it reads lie in the slice.
        unsafe {
            asm!(
                "tileloadd tmm{}, [{} + {} * 1]",
                const TILE,
                in(reg) words.as_ptr(),
                in(reg) 4 * stride,
                options(nostack, preserves_flags, readonly),
            );
        }
    }

    #[inline(always)]
    fn multiply<const SUMS: u8, const A: u8, const B: u8>(&mut self) {
        // SAFETY: as there are registers, the instruction is there; it touches nothing else.
        unsafe {
            asm!(
                "tdpbf16ps tmm{}, tmm{}, tmm{}",
                const SUMS,
                const A,
                const B,
                options(nostack, preserves_flags, nomem),
            );
        }
    }

    #[inline(always)]
    fn store<const TILE: u8>(&self, values: &mut [f32], stride: usize) {
        assert!(15 * stride + 16 <= values.len());
        // SAFETY: the instruction is there, and the 16 rows of 16 values that it writes lie in the slice.
        unsafe {
            asm!(
                "tilestored [{} + {} * 1], tmm{}",
                in(reg) values.as_mut_ptr(),
                in(reg) 4 * stride,
                const TILE,
                options(nostack, preserves_flags),
            );
        }
    }
}
