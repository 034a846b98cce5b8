//! Calls of kernel functions: which functions of a kernel's code run a launch, in how many parts, and with
//! what parameters.

use std::ffi::c_void;
use std::hint::cold_path;
use std::ptr::null_mut;
use std::sync::Arc;

use legionella_abi::cpu::Launch as Space;
use legionella_abi::nvptx;
use legionella_device::Index;

use super::super::groups;
use super::api::{Address, Function, Stream};
use super::device::Device;
use super::panics::Panics;
use super::states::{Place, parameter};
use crate::error::Result;

/// Largest grid of the device, in work-groups.
const LARGEST: [u64; 3] = [(1 << 31) - 1, 65535, 65535];

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
    /// For large ones of two dimensions, likewise.
    pub(super) wide_plane: Option<Function>,
    /// How many items a thread of these two runs.
    pub(super) width: u64,
    /// Which words of the argument block a usual launch has aligned, a bit each.
    pub(super) addresses: u64,
    /// Size of the argument block, if it is passed by address.
    pub(super) block: Option<usize>,
    /// Bytes of shared memory that a launch gives in front of its own; `None` if it gives none.
    pub(super) shared: Option<u64>,
    /// Whether launches that come later may run before a panic is told.
    pub(super) settled: bool,
    /// Whether work-items may wait for what the host does.
    pub(super) waits: bool,
    /// Work-items of a group where a launch doesn't say.
    pub(super) sizes: Sizes,
    /// For panics.
    pub(super) panics: Panics,
}

/// For each function, a size of groups with which a multiprocessor holds most work-items.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) any: usize,
    pub(super) line: usize,
    pub(super) plane: usize,
    pub(super) wide: usize,
    pub(super) wide_plane: usize,
}

// SAFETY: functions of a module may be launched by any thread.
unsafe impl Send for Functions {}
// SAFETY: as above.
unsafe impl Sync for Functions {}

/// A launch of a kernel.
pub(super) struct Called<'a> {
    /// The kernel's name.
    pub(super) kernel: &'a Arc<str>,
    pub(super) functions: &'a Functions,
    pub(super) space: &'a Space,
    /// The argument block.
    pub(super) block: *const u8,
    /// By which it is told from others in flight: see [`nvptx::Launch::number`].
    pub(super) number: u64,
}

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

impl Called<'_> {
    /// Gives the launch to a stream, in as many parts as the device takes its grid in. The context is
    /// current.
    ///
    /// # Safety
    /// The block is what the functions take; what it points to is valid until they have ended, and nothing
    /// that conflicts runs meanwhile.
    #[inline]
    pub(super) unsafe fn issue(&self, device: &Device, place: Place, stream: Stream) -> Result<()> {
        let with_block = |block| {
            let call = |call: Call| {
                let parameters = [parameter(&call.part), parameter(&place.state), block];
                let sizes = [call.groups, call.group];
                let (function, shared) = (call.function, call.shared);
                // SAFETY: the parameters are those of the contract.
                unsafe { launch(device, function, sizes, shared, parameters, stream) }
            };
            // SAFETY: the block is the launch's.
            unsafe { self.for_each_call(call) }
        };
        // SAFETY: the caller's promise.
        unsafe { self.with_block(device, stream, with_block) }
    }

    /// Runs the function for panics as a single work-item. The context is current.
    ///
    /// # Safety
    /// As for [`Called::issue`].
    pub(super) unsafe fn issue_panic(
        &self,
        device: &Device,
        function: Function,
        panicked: &nvptx::Panicked,
        place: Place,
        stream: Stream,
    ) -> Result<()> {
        let call = |block| {
            let parameters = [parameter(panicked), parameter(&place.state), block];
            // SAFETY: the parameters are those of the contract.
            unsafe { launch(device, function, [[1; 3]; 2], 0, parameters, stream) }
        };
        // SAFETY: the caller's promise.
        unsafe { self.with_block(device, stream, call) }
    }

    /// Gives the argument block as a parameter: itself, or its address on the device.
    ///
    /// # Safety
    /// The block is readable.
    unsafe fn with_block(
        &self,
        device: &Device,
        stream: Stream,
        call: impl FnOnce(*mut c_void) -> Result<()>,
    ) -> Result<()> {
        let Some(size) = self.functions.block else {
            return call(self.block.cast_mut().cast());
        };
        cold_path();
        let api = device.api();
        let mut copied: Address = 0;
        // SAFETY: the block is readable for its size. In the stream's order the copy lives until
        // what `call` launches has ended.
        unsafe {
            device.check((api.allocate_async)(&mut copied, size, stream))?;
            let uploaded = (api.upload)(copied, self.block.cast(), size, stream);
            let called = device
                .check(uploaded)
                .and_then(|()| call((&raw mut copied).cast()));
            called.and(device.check((api.free_async)(copied, stream)))
        }
    }

    /// The calls that the launch is made of: one, or as many as the device takes its grid in.
    ///
    /// # Safety
    /// The block is readable.
    pub(super) unsafe fn for_each_call(&self, call: impl FnMut(Call) -> Result<()>) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            let Called { space, block, .. } = *self;
            self.functions
                .for_each_call(space, block, self.number, call)
        }
    }
}

/// Gives a stream one call. The context is current.
///
/// # Safety
/// The parameters are what the function takes; of a block without bytes nothing is read.
unsafe fn launch(
    device: &Device,
    function: Function,
    [groups, group]: [[u32; 3]; 2],
    shared: u32,
    mut parameters: [*mut c_void; 3],
    stream: Stream,
) -> Result<()> {
    let ([x, y, z], [width, height, depth]) = (groups, group);
    let parameters = parameters.as_mut_ptr();
    // SAFETY: the caller's promise. The driver copies the parameters before it returns.
    device.check(unsafe {
        (device.api().launch)(
            function,
            x,
            y,
            z,
            width,
            height,
            depth,
            shared,
            stream,
            parameters,
            null_mut(),
        )
    })
}

impl Functions {
    /// The size of groups, in items, for a grid that doesn't say.
    pub(super) fn group_items(&self, grid: Index) -> usize {
        let grid_items = grid.map(|extent| extent as u64);
        match grid {
            [_, 1, 1] if self.wide(grid_items).is_some() => self.sizes.wide,
            [_, 1, 1] => self.sizes.line,
            [_, _, 1] if self.wide(grid_items).is_some() => self.sizes.wide_plane,
            [_, _, 1] => self.sizes.plane,
            _ => self.sizes.any,
        }
    }

    /// As in [`groups::wide`].
    fn wide(&self, grid: [u64; 3]) -> Option<Function> {
        groups::wide(self.wide, self.wide_plane, self.width, grid)
    }

    /// Bytes that a launch gives to each group, if its arguments ask for so many.
    pub(super) fn shared_memory(&self, asked: u64) -> u64 {
        self.shared.map_or(0, |front| front.saturating_add(asked))
    }

    /// The calls that a launch is made of: one, or as many as the device takes its grid in.
    ///
    /// # Safety
    /// `block` is the launch's argument block.
    unsafe fn for_each_call(
        &self,
        space: &Space,
        block: *const u8,
        number: u64,
        mut call: impl FnMut(Call) -> Result<()>,
    ) -> Result<()> {
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
        if let Some((function, groups)) = unsafe { self.at_once(space, block) } {
            return start(function, [0; 3], groups);
        }
        cold_path();
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

    /// The function for a launch, and its groups, if the device takes the grid as a whole.
    ///
    /// # Safety
    /// `block` is the launch's argument block.
    unsafe fn at_once(&self, space: &Space, block: *const u8) -> Option<(Function, [u64; 3])> {
        // SAFETY: the caller's promise.
        if unsafe { self.is_usual(space, block) } {
            let is_single = |d: usize| space.grid[d] == 1 && space.group[d] == 1;
            let (plane, line) = (is_single(2), is_single(1) && is_single(2));
            if let Some(wide) = self.wide(space.grid).filter(|_| plane) {
                let items = space.group[0] * self.width;
                let [_, rows, _] = space.groups;
                return Some((wide, [space.grid[0].div_ceil(items), rows, 1]));
            }
            let usual = if line { self.line } else { self.plane };
            if let Some(function) = usual.filter(|_| plane) {
                return Some((function, space.groups));
            }
        }
        let fits = (0..3).all(|d| space.groups[d] <= LARGEST[d]);
        fits.then_some((self.any, space.groups))
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
