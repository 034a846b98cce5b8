//! The functions of a module that can be launched, and which of them a launch takes.

use legionella_abi::cpu::Launch as Space;
use legionella_abi::{amdgpu, gpu};

use super::super::groups;
use super::panics::Panics;

/// A function that can be launched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// The address of its descriptor.
    pub(super) object: u64,
    /// Bytes of its arguments.
    pub(super) arguments: usize,
    /// Bytes of shared memory that it has by itself.
    pub(super) shared: u32,
    /// Bytes of scratch memory of a work-item.
    pub(super) private: u32,
}

/// Kernel functions of one module.
pub(super) struct Functions {
    /// For any launch.
    pub(super) any: Kernel,
    /// For usual launches of one dimension, in the sense of [`gpu::LINE`].
    pub(super) line: Option<Kernel>,
    /// For usual launches of two dimensions.
    pub(super) plane: Option<Kernel>,
    /// For large ones of one dimension, with several items a lane.
    pub(super) wide: Option<Kernel>,
    /// For large ones of two dimensions, likewise.
    pub(super) wide_plane: Option<Kernel>,
    /// How many items a lane of these two runs.
    pub(super) width: u64,
    /// Which words of the argument block a usual launch has aligned, a bit each.
    pub(super) addresses: u64,
    /// Size and alignment of the argument block.
    pub(super) arguments: usize,
    pub(super) align: usize,
    /// Bytes of shared memory that a launch gives in front of its own; `None` if it gives none.
    pub(super) shared: Option<u64>,
    /// Whether launches that come later may run before a panic is told.
    pub(super) settled: bool,
    /// For panics.
    pub(super) panics: Panics,
}

impl Functions {
    /// Bytes of shared memory that each group of a launch has in all, if its arguments ask for so many.
    pub(super) fn shared_memory(&self, kernel: &Kernel, asked: u64) -> u64 {
        let own = u64::from(kernel.shared);
        match self.shared {
            None => own,
            Some(front) => {
                let start =
                    own.next_multiple_of(legionella_abi::intrinsic::DYNAMIC_SHARED_ALIGN as u64);
                start.saturating_add(front).saturating_add(asked)
            }
        }
    }

    /// The function for launches of a form.
    pub(super) fn choose(&self, space: &Space, block: *const u8) -> (Kernel, u64) {
        let is_single = |d: usize| space.grid[d] == 1 && space.group[d] == 1;
        let (plane, line) = (is_single(2), is_single(1) && is_single(2));
        if plane && is_usual(self, space, block) {
            if let Some(wide) = groups::wide(self.wide, self.wide_plane, self.width, space.grid) {
                return (wide, self.width);
            }
            if let Some(usual) = if line { self.line } else { self.plane } {
                return (usual, 1);
            }
        }
        (self.any, 1)
    }
}

/// Whether a launch is a usual one, in the sense of [`gpu::LINE`].
fn is_usual(functions: &Functions, space: &Space, block: *const u8) -> bool {
    let items: u64 = space.group.iter().product();
    let small = items <= amdgpu::USUAL_GROUP && space.grid.iter().all(|size| *size <= gpu::SMALL);
    let mut addresses = functions.addresses;
    let mut aligned = true;
    while addresses != 0 {
        let word = addresses.trailing_zeros() as usize;
        addresses &= addresses - 1;
        // SAFETY: the code has an address there, so that the block is as long.
        let address = unsafe { block.cast::<u64>().add(word).read_unaligned() };
        aligned &= address.is_multiple_of(gpu::ALIGN);
    }
    small && aligned
}
