//! Calls of kernel functions: which functions of a kernel's code run a launch, and in how many parts.

use legionella_abi::cpu::Launch as Space;
use legionella_abi::nvptx;

use super::api::Function;
use super::panics::Panics;

/// Largest grid of the device, in work-groups.
const LARGEST: [u64; 3] = [(1 << 31) - 1, 65535, 65535];

/// From how many work-items on threads run several each: fewer would leave much of a large device
/// without any.
const MANY: u64 = 1 << 20;

/// Kernel functions of one module.
pub(super) struct Functions {
    /// For any launch.
    pub(super) any: Function,
    /// For usual launches of one dimension, in the sense of [`nvptx::LINE`].
    pub(super) line: Option<Function>,
    /// For usual launches of two dimensions.
    pub(super) plane: Option<Function>,
    /// For large ones of one dimension, with several items a thread.
    pub(super) wide: Option<Function>,
    /// Which words of the argument block a usual launch has aligned, a bit each.
    pub(super) addresses: u64,
    /// Size of the argument block, if it is passed by address.
    pub(super) block: Option<usize>,
    /// Bytes of shared memory that a launch gives in front of its own; `None` if it gives none.
    pub(super) shared: Option<u64>,
    /// Whether launches that come later may run before a panic is told.
    pub(super) settled: bool,
    /// For panics.
    pub(super) panics: Panics,
}

// SAFETY: functions of a module may be launched by any thread.
unsafe impl Send for Functions {}
// SAFETY: as above.
unsafe impl Sync for Functions {}

/// One call of a function, besides its parameters.
pub(super) struct Call {
    pub(super) function: Function,
    /// Work-groups in each dimension.
    pub(super) groups: [u32; 3],
    /// Work-items of a group in each dimension.
    pub(super) group: [u32; 3],
    /// Bytes of shared memory that it gives.
    pub(super) shared: u32,
    /// The first parameter.
    pub(super) part: nvptx::Launch,
}

impl Functions {
    /// Bytes that a launch gives to each group, if its arguments ask for so many.
    pub(super) fn shared_memory(&self, asked: u64) -> u64 {
        self.shared.map_or(0, |front| front.saturating_add(asked))
    }

    /// The calls that a launch is made of: one, or as many as the device takes its grid in.
    ///
    /// # Safety
    /// `block` is the launch's argument block.
    pub(super) unsafe fn for_each_call<E>(
        &self,
        space: &Space,
        block: *const u8,
        number: u64,
        mut call: impl FnMut(Call) -> Result<(), E>,
    ) -> Result<(), E> {
        let shared = self.shared_memory(space.shared) as u32;
        let mut start = |function, first_group: [u64; 3], groups: [u64; 3]| {
            call(Call {
                function,
                groups: groups.map(|count| count as u32),
                group: space.group.map(|size| size as u32),
                shared,
                part: nvptx::Launch {
                    grid: space.grid,
                    first_group,
                    number,
                },
            })
        };
        // SAFETY: the caller's promise.
        if unsafe { self.is_usual(space, block) } {
            let is_single = |d: usize| space.grid[d] == 1 && space.group[d] == 1;
            let (plane, line) = (is_single(2), is_single(1) && is_single(2));
            let many = line && space.grid[0] >= MANY;
            if let Some(wide) = self.wide.filter(|_| many) {
                let items = space.group[0] * nvptx::WIDTH;
                return start(wide, [0; 3], [space.grid[0].div_ceil(items), 1, 1]);
            }
            let usual = if line { self.line } else { self.plane };
            if let Some(function) = usual.filter(|_| plane) {
                return start(function, [0; 3], space.groups);
            }
        }
        let starts = |d: usize| (0..space.groups[d]).step_by(LARGEST[d] as usize);
        for z in starts(2) {
            for y in starts(1) {
                for x in starts(0) {
                    let first = [x, y, z];
                    let left = |d: usize| (space.groups[d] - first[d]).min(LARGEST[d]);
                    start(self.any, first, [0, 1, 2].map(left))?;
                }
            }
        }
        Ok(())
    }

    /// Whether a launch is a usual one, in the sense of [`nvptx::LINE`].
    ///
    /// # Safety
    /// `block` is the launch's argument block.
    unsafe fn is_usual(&self, space: &Space, block: *const u8) -> bool {
        let small = (0..3).all(|d| space.grid[d] <= nvptx::SMALL && space.groups[d] <= LARGEST[d]);
        let mut addresses = self.addresses;
        let mut aligned = true;
        while addresses != 0 {
            let word = addresses.trailing_zeros() as usize;
            addresses &= addresses - 1;
            // SAFETY: the code has an address there, so that the block is as long; it is aligned to
            // whatever is in it.
            let address = unsafe { block.cast::<u64>().add(word).read_unaligned() };
            aligned &= address.is_multiple_of(nvptx::ALIGN);
        }
        small && aligned
    }
}
