//! What is to be recorded, and which of it comes after which.

use std::alloc::Layout;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use legionella_device::DeviceData;

use super::ONE;
use crate::accelerator::Accelerator;
use crate::backend::{Node, Program};
use crate::buffer::{Allocation, Slice, SliceMut};
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::{self, Binder, Launch, Purpose};
use crate::schedule::block::Block;
use crate::schedule::hazards::{Access, Use};

/// Takes what a [`Graph`](super::Graph) is to consist of: see [`Accelerator::record`].
pub struct Recorder<'a> {
    accelerator: &'a Accelerator,
    nodes: Vec<Node>,
    /// What all of them use.
    uses: Vec<Use>,
    last: HashMap<*const Allocation, Last>,
}

/// Who used an allocation last.
#[derive(Default)]
struct Last {
    readers: Vec<(Range<usize>, usize)>,
    writers: Vec<(Range<usize>, usize)>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(accelerator: &'a Accelerator) -> Self {
        Recorder {
            accelerator,
            nodes: Vec::new(),
            uses: Vec::new(),
            last: HashMap::new(),
        }
    }

    pub(super) fn finish(self) -> (Vec<Node>, Vec<Use>) {
        (self.nodes, self.uses)
    }

    /// Where the graph will run.
    pub fn accelerator(&self) -> &'a Accelerator {
        self.accelerator
    }

    /// Records a launch: see [`Accelerator::launch`].
    ///
    /// # Errors
    /// As there.
    pub fn launch<K, A, P>(&mut self, kernel: K, grid: impl Into<Grid>, arguments: A) -> Result<()>
    where
        K: Launch<A, P>,
    {
        let _ = kernel;
        launch::bind::<K, A, P>(
            self.accelerator,
            grid.into(),
            arguments,
            Purpose::Record,
            |binder, program, space, block, layout| {
                if space.groups.contains(&0) {
                    return;
                }
                let mut kept = Block::new();
                // SAFETY: the block is readable for its layout.
                unsafe { kept.store(block, layout) };
                self.add(binder, program, space, kept, layout);
            },
        )
    }

    /// Records a copy of elements: see [`Accelerator::copy`].
    ///
    /// # Errors
    /// As there.
    pub fn copy<'b, 'c, T: DeviceData>(
        &mut self,
        from: impl Into<Slice<'b, T>>,
        to: impl Into<SliceMut<'c, T>>,
    ) -> Result<()> {
        let mut binder = Binder::new(self.accelerator, Vec::new());
        let transfer = to.into().copied_from(from.into(), &mut binder)?;
        self.transfer(binder, &transfer)
    }

    /// Records that elements are overwritten with one value: see [`Accelerator::fill`].
    ///
    /// # Errors
    /// As there.
    pub fn fill<'b, T: DeviceData>(
        &mut self,
        to: impl Into<SliceMut<'b, T>>,
        value: T,
    ) -> Result<()> {
        let mut binder = Binder::new(self.accelerator, Vec::new());
        let transfer = to.into().filled_with(value, &mut binder)?;
        self.transfer(binder, &transfer)
    }

    fn transfer<B: Copy>(&mut self, binder: Binder<'_>, block: &B) -> Result<()> {
        if binder.uses().iter().all(|used| used.bytes.is_empty()) {
            return Ok(());
        }
        let program = self.accelerator.transfers()?;
        let mut kept = Block::new();
        let layout = Layout::new::<B>();
        // SAFETY: a value is readable for its layout.
        unsafe { kept.store(std::ptr::from_ref(block).cast(), layout) };
        self.add(binder, program, ONE, kept, layout);
        Ok(())
    }

    fn add(
        &mut self,
        binder: Binder<'_>,
        program: &'static Program,
        space: legionella_abi::cpu::Launch,
        block: Block,
        layout: Layout,
    ) {
        let node = self.nodes.len();
        let mut after = Vec::new();
        for used in binder.into_uses() {
            let last = self.last.entry(Arc::as_ptr(&used.allocation)).or_default();
            last.add(&used, node, &mut after);
            keep(&mut self.uses, used);
        }
        after.sort_unstable();
        after.dedup();
        self.nodes.push(Node {
            program,
            space,
            block,
            layout,
            after,
        });
    }
}

#[cfg(test)]
impl Recorder<'_> {
    /// Records a launch of a program that no cell has.
    pub(crate) fn launch_program<B: Copy>(
        &mut self,
        program: &'static Program,
        grid: Grid,
        block: impl FnOnce(&mut Binder<'_>) -> Result<B>,
    ) -> Result<()> {
        let mut binder = Binder::new(self.accelerator, Vec::new());
        let block = block(&mut binder)?;
        let space = launch::space_of(&binder, program, grid)?;
        let mut kept = Block::new();
        let layout = Layout::new::<B>();
        // SAFETY: a value is readable for its layout.
        unsafe { kept.store((&raw const block).cast(), layout) };
        self.add(binder, program, space, kept, layout);
        Ok(())
    }
}

impl Last {
    /// Takes note of a use by a node, and adds to `after` those that it comes after.
    fn add(&mut self, used: &Use, node: usize, after: &mut Vec<usize>) {
        let bytes = &used.bytes;
        let mut comes_after = |others: &mut Vec<(Range<usize>, usize)>, covered: bool| {
            others.retain(|(range, other)| {
                let overlaps = range.start < bytes.end && bytes.start < range.end;
                if *other == node || !overlaps {
                    return true;
                }
                after.push(*other);
                // Whoever conflicts with it from now on conflicts with this node too.
                !(covered && bytes.start <= range.start && range.end <= bytes.end)
            });
        };
        match used.access {
            Access::Read => {
                comes_after(&mut self.writers, false);
                self.readers.push((bytes.clone(), node));
            }
            Access::Write => {
                comes_after(&mut self.writers, true);
                comes_after(&mut self.readers, true);
                self.writers.push((bytes.clone(), node));
            }
        }
    }
}

/// Adds a use to those of the whole graph, unless others include it.
fn keep(all: &mut Vec<Use>, used: Use) {
    let includes = |other: &Use, used: &Use| {
        Arc::ptr_eq(&other.allocation, &used.allocation)
            && (other.access == used.access || other.access == Access::Write)
            && other.bytes.start <= used.bytes.start
            && used.bytes.end <= other.bytes.end
    };
    if !all.iter().any(|other| includes(other, &used)) {
        all.retain(|other| !includes(&used, other));
        all.push(used);
    }
}

impl fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("recorded", &self.nodes.len())
            .finish_non_exhaustive()
    }
}
