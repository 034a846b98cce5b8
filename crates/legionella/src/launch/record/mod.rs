//! What a launch site leaves for the linker step, and the cell that it reads.
//!
//! Format and purpose: [`legionella_abi::record`]. The directives are those of ELF assemblers; how
//! the cell's address is taken is a module an architecture.

use std::arch::asm;

use legionella_abi::record::{Cell, MAGIC};

use super::arity::{Enter, entry};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64::address_of_cell;
#[cfg(target_arch = "x86_64")]
use x86_64::address_of_cell;

/// The cell of a kernel; `None` if no linker step defined it, because the program was built without
/// the wrapper.
///
/// Instantiating this function is what makes the record.
#[inline(never)]
pub(super) fn cell<K, B: Enter<K, P>, P>() -> Option<&'static Cell> {
    let cell: *const Cell;
    // SAFETY: the directives add data to a section of their own, which is not loaded, and declare
    // a symbol; the instructions write `cell` and nothing else. An undefined weak symbol is null.
    unsafe {
        asm!(
            ".pushsection .legionella.kernels,\"R\",@progbits",
            ".long {magic}, {size}, {align}, {count}",
            ".long {o0}, {s0}, {a0}, {o1}, {s1}, {a1}, {o2}, {s2}, {a2}, {o3}, {s3}, {a3}",
            ".long {o4}, {s4}, {a4}, {o5}, {s5}, {a5}, {o6}, {s6}, {a6}, {o7}, {s7}, {a7}",
            ".long {o8}, {s8}, {a8}, {o9}, {s9}, {a9}, {o10}, {s10}, {a10}, {o11}, {s11}, {a11}",
            ".asciz \"{entry}\"",
            ".popsection",
            ".weak legionella_cell.{entry}",
            ".hidden legionella_cell.{entry}",
            address_of_cell!(),
            entry = sym entry::<K, B, P>,
            cell = lateout(reg) cell,
            magic = const MAGIC,
            size = const size_of::<B>(),
            align = const align_of::<B>(),
            count = const B::COUNT,
            o0 = const B::ARGUMENTS[0].offset,
            s0 = const B::ARGUMENTS[0].size,
            a0 = const B::ARGUMENTS[0].align,
            o1 = const B::ARGUMENTS[1].offset,
            s1 = const B::ARGUMENTS[1].size,
            a1 = const B::ARGUMENTS[1].align,
            o2 = const B::ARGUMENTS[2].offset,
            s2 = const B::ARGUMENTS[2].size,
            a2 = const B::ARGUMENTS[2].align,
            o3 = const B::ARGUMENTS[3].offset,
            s3 = const B::ARGUMENTS[3].size,
            a3 = const B::ARGUMENTS[3].align,
            o4 = const B::ARGUMENTS[4].offset,
            s4 = const B::ARGUMENTS[4].size,
            a4 = const B::ARGUMENTS[4].align,
            o5 = const B::ARGUMENTS[5].offset,
            s5 = const B::ARGUMENTS[5].size,
            a5 = const B::ARGUMENTS[5].align,
            o6 = const B::ARGUMENTS[6].offset,
            s6 = const B::ARGUMENTS[6].size,
            a6 = const B::ARGUMENTS[6].align,
            o7 = const B::ARGUMENTS[7].offset,
            s7 = const B::ARGUMENTS[7].size,
            a7 = const B::ARGUMENTS[7].align,
            o8 = const B::ARGUMENTS[8].offset,
            s8 = const B::ARGUMENTS[8].size,
            a8 = const B::ARGUMENTS[8].align,
            o9 = const B::ARGUMENTS[9].offset,
            s9 = const B::ARGUMENTS[9].size,
            a9 = const B::ARGUMENTS[9].align,
            o10 = const B::ARGUMENTS[10].offset,
            s10 = const B::ARGUMENTS[10].size,
            a10 = const B::ARGUMENTS[10].align,
            o11 = const B::ARGUMENTS[11].offset,
            s11 = const B::ARGUMENTS[11].size,
            a11 = const B::ARGUMENTS[11].align,
            options(nomem, nostack, pure, preserves_flags),
        );
    }
    // SAFETY: a cell that the linker step defined lives as long as the image, and images with
    // kernels are not unloaded.
    unsafe { cell.as_ref() }
}
