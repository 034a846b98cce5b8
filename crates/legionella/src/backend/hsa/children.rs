//! Launches that kernels make by themselves: what the device needs for them, and what they leave.
//!
//! A kernel that was told so ([`Table::by_packets`](legionella_device::enqueue::Table::by_packets)) writes packets behind
//! its own, each with a place for arguments that was filled for it but for its value, and a place for its panic.

use std::any::Any;
use std::ptr;
use std::sync::Arc;

use legionella_abi::amdgpu;
use legionella_abi::hsa::Queue;

use super::Program;
use super::api::Signal;
use super::arguments::Arguments;
use super::flights::Panicking;
use super::functions::Functions;
use super::launches::{Launches, dispatch, told, write_arguments};
use super::packets::Packet;
use super::parts::Parts;
use super::states::{Place, States};
use crate::backend::{self, Node};
use crate::error::Result;
use crate::schedule::followup::Followup;
use crate::schedule::slot::Running;

/// Launches of one kind that another may make.
pub(super) struct Children {
    followup: Arc<Followup>,
    functions: Arc<Functions>,
    /// For all of them, `stride` bytes apart.
    pub(super) arguments: Arguments,
    stride: usize,
    /// Where each leaves its panic.
    places: Vec<Place>,
}

/// What of arguments is in front of their block.
fn block_at(functions: &Functions) -> usize {
    amdgpu::Arguments::new(size_of::<amdgpu::Launch>(), functions.align).block
}

impl Launches {
    /// Gives a launch what its kernel may launch with, in the queue that it is about to be given to. What the device
    /// can't be left with stays the host's.
    pub(super) fn let_launch(&self, launch: &Running, queue: *mut Queue) -> Result<Vec<Children>> {
        let mut all = Vec::new();
        for followup in launch.followups() {
            let Some((node, functions)) = followup.node().and_then(|node| self.suited(node)) else {
                continue;
            };
            let functions = Arc::clone(functions);
            let children = self.prepare(followup, node, functions, queue)?;
            all.push(children);
        }
        Ok(all)
    }

    /// The functions of what can be launched without the host: by one packet, without text to print, and with nothing to
    /// be told before the next may run.
    fn suited<'n>(&self, node: &'n Node) -> Option<(&'n Node, &'n Arc<Functions>)> {
        let code: &dyn Any = node.program.code();
        let program = code.downcast_ref::<Program>()?;
        let functions = &program.functions;
        let (_, width) = functions.choose(&node.space, node.block.address());
        let suits = ptr::eq(&*program.launches, self)
            && backend::Code::printer(program).is_none()
            && functions.settled
            && Parts::of(&node.space, width).count() == 1;
        suits.then_some((node, functions))
    }

    fn prepare(
        &self,
        followup: &Arc<Followup>,
        node: &Node,
        functions: Arc<Functions>,
        queue: *mut Queue,
    ) -> Result<Children> {
        let space = &node.space;
        let (kernel, width) = functions.choose(space, node.block.address());
        let parts = Parts::of(space, width);
        let stride = kernel.arguments.next_multiple_of(functions.align.max(64));
        let count = followup.capacity as usize;
        let arguments = self.arguments.take(&self.device, (count * stride).max(1))?;
        let places = (0..count)
            .map(|_| self.states.take(&self.device, &self.memory))
            .collect::<Result<Vec<_>>>()?;
        let (start, at) = (arguments.start.as_ptr(), block_at(&functions));
        for (index, place) in places.iter().enumerate() {
            // SAFETY: there is room for as many, and the node's block is what the function takes.
            unsafe {
                let to = start.add(index * stride);
                let told = told(space, [0; 3], to.add(at).addr() as u64);
                write_arguments(&functions, to, &told, *place, node.block.address());
            }
        }
        // SAFETY: the table of a launch whose turn has come, which nobody changes.
        let pending = unsafe { (*followup.table()).pending() };
        let pending = Signal(ptr::from_ref(pending).expose_provenance() as u64);
        let groups = parts.groups([0; 3]);
        let packet = dispatch(&functions, &kernel, space, groups, start, pending);
        let packet = Packet::dispatch(packet, true).words();
        // SAFETY: arguments whose block begins with the value; the queue is the device's, and one for several
        // producers. The launch has not begun.
        unsafe {
            followup.by_packets(packet, queue, start.add(at), stride as u64);
        }
        Ok(Children {
            followup: Arc::clone(followup),
            functions,
            arguments,
            stride,
            places,
        })
    }
}

impl Children {
    /// Whether some that were made have not ended.
    pub(super) fn run(&self) -> bool {
        // SAFETY: the table lives as long as the launch that uses it.
        unsafe { (*self.followup.table()).pending() }.get() > 0
    }

    /// Asks those that wait for the host to end.
    pub(super) fn cancel(&self, states: &States) {
        for place in &self.places {
            states.cancel(*place);
        }
    }

    /// What they left, which have all ended: the first failure.
    pub(super) fn left(&self, launches: &Launches) -> Result<()> {
        let Some(node) = self.followup.node() else {
            return Ok(());
        };
        let first = self.arguments.start.as_ptr();
        let mut left = Ok(());
        for (index, place) in self.places.iter().enumerate() {
            let block = first.wrapping_add(index * self.stride + block_at(&self.functions));
            let panicking = Panicking {
                kernel: &node.program.kernel,
                functions: &self.functions,
                space: &node.space,
                block,
            };
            left = left.and(launches.left_at(*place, &panicking));
        }
        left
    }
}
