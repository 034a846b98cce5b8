//! Launches that a kernel makes ([`legionella_device::enqueue`]), as their launch's backend and the host see them.
//!
//! A backend may have its device take them ([`Followup::by_packets`]); those that it doesn't are launched here, one after
//! the other, when the launch that made them has ended. That ends when they have.

use std::sync::Arc;

use legionella_device::enqueue::Table;

use super::block::Block;
use super::parts;
use super::slot::{Binding, Owned, Running, Runs};
use crate::backend::Node;
use crate::buffer::Allocation;
use crate::error::{Error, Result};

/// What launches that a kernel makes in one way have in common.
pub(crate) struct Followup {
    /// What they run; `None` if that has no work-items. Their value is at the start of the argument block.
    node: Option<Node>,
    /// Bytes of the value.
    size: usize,
    /// The table, with room for values behind it.
    memory: Arc<Allocation>,
    pub(crate) capacity: u64,
    values: usize,
    stride: usize,
}

// SAFETY: the table's memory belongs to the launch in flight that uses it, of which there is one at a time.
unsafe impl Send for Followup {}
// SAFETY: as above.
unsafe impl Sync for Followup {}

impl Followup {
    /// `memory` has a table and, from `values` bytes on, room for `capacity` values `stride` bytes apart; `size` bytes are
    /// those of one.
    pub(crate) fn new(
        node: Option<Node>,
        size: usize,
        memory: Arc<Allocation>,
        capacity: u64,
        [values, stride]: [usize; 2],
    ) -> Self {
        Followup {
            node,
            size,
            memory,
            capacity,
            values,
            stride,
        }
    }

    /// The memory of the table.
    pub(crate) fn memory(&self) -> &Arc<Allocation> {
        &self.memory
    }

    /// The table, which kernels are given.
    pub(crate) fn table(&self) -> *mut Table {
        self.memory.start().cast()
    }

    /// What such launches run.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Empties the table for a launch that is about to begin.
    pub(super) fn begin(&self) {
        // SAFETY: the memory is as large; the launch whose turn has come is the only one to use it.
        unsafe {
            let values = self.memory.start().add(self.values);
            (self.table()).write(Table::new(self.capacity, values, self.stride as u64));
        }
    }

    /// Has the kernel give its launches to the device itself: as [`Table::by_packets`].
    ///
    /// # Safety
    /// As there. The launch that is told has not begun.
    pub(crate) unsafe fn by_packets(
        &self,
        packet: [u32; 16],
        queue: *const legionella_abi::hsa::Queue,
        values: *mut u8,
        stride: u64,
    ) {
        // SAFETY: the caller's promise.
        unsafe { (*self.table()).by_packets(packet, queue, values, stride) };
    }

    /// Launches what the host is to launch, after those in `before`.
    fn launch(&self, before: &mut Vec<Owned>) {
        // SAFETY: the launch that used the table has ended.
        let table = unsafe { &*self.table() };
        let Some(node) = self.node.as_ref().filter(|_| !table.is_by_packets()) else {
            return;
        };
        for index in 0..table.enqueued() {
            let mut block = Block::new();
            // SAFETY: the node's block has that layout, and begins with room for the value. As many values have been
            // written as were claimed by the launch that has ended.
            unsafe {
                let value = (self.memory.start()).add(self.values + index as usize * self.stride);
                block.store(node.block.address(), node.layout);
                block.begin_with(value, self.size);
            }
            let binding = Binding::new();
            binding.will_run(node.program);
            if let Some(last) = before.last() {
                last.ticket().precedes(binding.ticket());
            }
            let runs = Runs::Kernel(node.program);
            let address = block.address();
            // SAFETY: the block is what the program takes. The launch that made this one keeps the memory that it uses,
            // and others that were made come before or after it.
            before.push(unsafe { binding.submit(runs, node.space, address, node.layout, None) });
        }
    }
}

/// Finishes a launch that has ended, once what it has left to the host to launch has ended too.
pub(super) fn finish(launch: Running, followups: &[Arc<Followup>], outcome: Result<()>) {
    let mut parts = Vec::new();
    let ran = matches!(outcome, Ok(()) | Err(Error::KernelPanicked { .. }));
    if ran && !launch.is_cancelled() {
        for followup in followups {
            followup.launch(&mut parts);
        }
    }
    match parts.is_empty() {
        true => launch.finish(outcome),
        false => parts::finish_behind(launch, parts, outcome),
    }
}
