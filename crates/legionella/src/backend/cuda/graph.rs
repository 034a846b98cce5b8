//! Recorded launches as graphs of the driver.
//!
//! An *instance* is a graph that the driver can launch. All its parameters are fixed, among them where its
//! kernels leave their panics, so that each replay in flight has an instance of its own; there are as many as
//! there were replays in flight at a time, up to [`MOST`], for a free one of which further replays wait.

use std::any::Any;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::{NonNull, null_mut, slice_from_raw_parts};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::transfers::{Transfer, doublings};
use super::super::{Code, Node};
use super::api::{self, Address, CopyNode, FillNode, GraphExec, GraphNode, KernelNode, Stream};
use super::calls::{Call, Called, Functions};
use super::states::{Place, parameter};
use super::transfers::Transfers;
use super::{Opened, Program, memory};
use crate::error::{Error, Result};
use crate::schedule::slot::{Lane, Running};

/// Most instances of a graph.
const MOST: usize = 8;

/// What a replay got.
pub(super) enum Taken {
    /// An instance.
    Instance(Running, Box<Instance>),
    /// Nothing yet: it is kept until there is one.
    Later,
    /// Nothing, for this reason.
    Refused(Running, Error),
}

/// A recorded graph.
pub(super) struct Graph {
    opened: Arc<Opened>,
    nodes: Arc<[Node]>,
    instances: Mutex<Instances>,
}

#[derive(Default)]
struct Instances {
    #[expect(
        clippy::vec_box,
        reason = "they go to launches in flight, which are small"
    )]
    free: Vec<Box<Instance>>,
    /// How many there are in all.
    made: usize,
    /// Replays that wait for one.
    waiting: VecDeque<Running>,
}

/// A graph that can be launched.
pub(super) struct Instance {
    exec: GraphExec,
    /// Where each node leaves a panic; `None` for those that can't.
    places: Vec<Option<Place>>,
    /// The addresses of these are the numbers of the nodes' launches.
    numbers: Box<[u8]>,
    /// Memory of the device that nodes read.
    memory: Vec<NonNull<u8>>,
}

// SAFETY: a graph that can be launched may be used by any thread, one at a time.
unsafe impl Send for Instance {}

impl Graph {
    /// A graph of these nodes, if all of them can be in one.
    pub(super) fn new(opened: &Arc<Opened>, nodes: &Arc<[Node]>) -> Result<Option<Graph>> {
        let fits = |node: &Node| match kernel(node) {
            // What panics of others depend on could be overwritten before they are told.
            Some(functions) => functions.settled,
            None => is_transfer(node),
        };
        if !nodes.iter().all(fits) {
            return Ok(None);
        }
        let graph = Graph {
            opened: Arc::clone(opened),
            nodes: Arc::clone(nodes),
            instances: Mutex::default(),
        };
        let first = opened.device.with_context(|_| graph.instantiate())?;
        let mut instances = graph.lock();
        instances.made = 1;
        instances.free.push(first);
        drop(instances);
        Ok(Some(graph))
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        (self.instances.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance for a replay, which is kept if it has to wait for one. The context is current.
    pub(super) fn take(&self, replay: Running) -> Taken {
        let mut instances = self.lock();
        if let Some(instance) = instances.free.pop() {
            return Taken::Instance(replay, instance);
        }
        if instances.made >= MOST {
            instances.waiting.push_back(replay);
            return Taken::Later;
        }
        match self.instantiate() {
            Ok(instance) => {
                instances.made += 1;
                Taken::Instance(replay, instance)
            }
            Err(error) => Taken::Refused(replay, error),
        }
    }

    /// Takes an instance back that doesn't run, and gives a replay that waited for one.
    pub(super) fn give_back(&self, instance: Box<Instance>) -> Option<Running> {
        let mut instances = self.lock();
        instances.free.push(instance);
        instances.waiting.pop_front()
    }

    /// The replay is about to run.
    pub(super) fn begins(&self) {
        self.nodes.iter().for_each(|node| node.program.begins());
    }

    /// Gives a stream an instance. The context is current.
    pub(super) fn launch(&self, instance: &Instance, stream: Stream) -> Result<()> {
        let device = &self.opened.device;
        // SAFETY: a graph that does not run; what it uses is kept by the replay.
        device.check(unsafe { (device.api().launch_instance)(instance.exec, stream) })
    }

    /// Asks the work-items of an instance that wait for the host to end.
    pub(super) fn cancel(&self, instance: &Instance) {
        let places = instance.places.iter().flatten();
        places.for_each(|place| self.opened.launches.states().cancel(*place));
    }

    /// How the replay of an instance ended, which has. The context is current.
    pub(super) fn outcome(&self, instance: &Instance) -> Result<()> {
        let Opened {
            device, launches, ..
        } = &*self.opened;
        let mut outcome = Ok(());
        for (index, node) in self.nodes.iter().enumerate() {
            let (Some(place), Some(functions)) = (instance.places[index], kernel(node)) else {
                continue;
            };
            let left = launches.states().left(device, place);
            let called = instance.called(index, node, functions);
            let told = left.and_then(|left| launches.told(left, &called));
            outcome = outcome.and(told);
        }
        outcome
    }

    /// What a replay has printed, which has ended, is printed.
    pub(super) fn ended(&self, instance: &Instance) {
        for (index, node) in self.nodes.iter().enumerate() {
            node.program.ended(instance.number(index));
        }
    }

    /// A replay that waits for an instance.
    pub(super) fn waiting(&self) -> Option<Running> {
        self.lock().waiting.pop_front()
    }

    /// Makes an instance. The context is current.
    fn instantiate(&self) -> Result<Box<Instance>> {
        let device = &self.opened.device;
        let api = device.api();
        let mut building = Building {
            graph: self,
            handle: null_mut(),
            instance: Instance {
                exec: null_mut(),
                places: Vec::new(),
                numbers: vec![0; self.nodes.len()].into_boxed_slice(),
                memory: Vec::new(),
            },
            ends: Vec::new(),
        };
        // SAFETY: valid for writes; the context is current.
        device.check(unsafe { (api.create_graph)(&mut building.handle, 0) })?;
        let built = (0..self.nodes.len()).try_for_each(|index| building.add(index));
        let built = built.and_then(|()| {
            let exec = &mut building.instance.exec;
            // SAFETY: valid for writes; a graph.
            device.check(unsafe { (api.instantiate_graph)(exec, building.handle, 0) })
        });
        // SAFETY: an instance doesn't need the graph that it was made of.
        unsafe { (api.destroy_graph)(building.handle) };
        let instance = building.instance;
        match built {
            Ok(()) => {
                let aside = self.opened.launches.aside();
                // SAFETY: so that the first replay doesn't take longer; a stream of the device.
                device.check(unsafe { (api.upload_instance)(instance.exec, aside) })?;
                Ok(Box::new(instance))
            }
            Err(error) => {
                self.discard(instance);
                Err(error)
            }
        }
    }

    /// Destroys an instance that doesn't run. The context is current, if it isn't lost.
    fn discard(&self, instance: Instance) {
        let Opened {
            device,
            memory,
            launches,
        } = &*self.opened;
        if !instance.exec.is_null() {
            // SAFETY: nobody uses it any more.
            unsafe { (device.api().destroy_instance)(instance.exec) };
        }
        for memory_of_node in instance.memory {
            // SAFETY: allocated for the instance.
            unsafe { memory.free(memory_of_node) };
        }
        for place in instance.places.into_iter().flatten() {
            launches.states().put(place);
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let free = std::mem::take(&mut self.lock().free);
        // A lost device has nothing left to destroy.
        let _lost = self.opened.device.with_context(|_| {
            free.into_iter()
                .for_each(|instance| self.discard(*instance));
            Ok(())
        });
    }
}

impl Instance {
    /// A node as a launch of its kernel.
    fn called<'a>(&self, index: usize, node: &'a Node, functions: &'a Functions) -> Called<'a> {
        Called {
            kernel: &node.program.kernel,
            functions,
            space: &node.space,
            block: node.block.address(),
            number: self.number(index),
        }
    }

    /// The number of a node's launch.
    fn number(&self, node: usize) -> u64 {
        (&raw const self.numbers[node]).addr() as u64
    }
}

/// The functions of a node that is a kernel.
fn kernel(node: &Node) -> Option<&'static Functions> {
    let code: &dyn Any = node.program.code();
    code.downcast_ref::<Program>()
        .map(|program| program.functions)
}

fn is_transfer(node: &Node) -> bool {
    let code: &dyn Any = node.program.code();
    code.is::<Transfers>()
}

/// An instance that is being made.
struct Building<'g> {
    graph: &'g Graph,
    handle: api::Graph,
    instance: Instance,
    /// The driver's nodes that end each node.
    ends: Vec<Vec<GraphNode>>,
}

impl Building<'_> {
    fn add(&mut self, index: usize) -> Result<()> {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let before = node.after.iter().flat_map(|&before| &self.ends[before]);
        let before: Vec<GraphNode> = before.copied().collect();
        let ends = match kernel(node) {
            Some(functions) => self.add_kernel(functions, index, &before)?,
            None => {
                self.instance.places.push(None);
                self.add_transfer(node, &before)?
            }
        };
        self.ends.push(ends);
        Ok(())
    }

    fn add_kernel(
        &mut self,
        functions: &Functions,
        index: usize,
        before: &[GraphNode],
    ) -> Result<Vec<GraphNode>> {
        let opened = &self.graph.opened;
        let node = &self.graph.nodes[index];
        let place = opened.launches.states().take(&opened.device)?;
        self.instance.places.push(Some(place));
        let copied: Address;
        let block = match functions.block {
            None => node.block.address().cast_mut().cast(),
            Some(size) => {
                // SAFETY: the block is readable for its size.
                copied = unsafe { self.keep(node.block.address(), size) }?;
                (&raw const copied).cast_mut().cast::<c_void>()
            }
        };
        let mut ends = Vec::new();
        let add = |call: Call| {
            let mut parameters = [parameter(&call.part), parameter(&place.state), block];
            let kernel = KernelNode {
                function: call.function,
                groups: call.groups,
                group: call.group,
                shared: call.shared,
                parameters: parameters.as_mut_ptr(),
                extra: null_mut(),
            };
            let mut added = null_mut();
            // SAFETY: the parameters are those of the contract, and are copied by the call.
            opened.device.check(unsafe {
                let (handle, count) = (self.handle, before.len());
                (opened.device.api().add_kernel)(
                    &mut added,
                    handle,
                    before.as_ptr(),
                    count,
                    &kernel,
                )
            })?;
            ends.push(added);
            Ok(())
        };
        let called = self.instance.called(index, node, functions);
        // SAFETY: the block is the launch's.
        unsafe { called.for_each_call(add) }?;
        Ok(ends)
    }

    fn add_transfer(&mut self, node: &Node, before: &[GraphNode]) -> Result<Vec<GraphNode>> {
        let block = node.block.address();
        // SAFETY: a transfer's block.
        let end = match unsafe { Transfer::of(block) } {
            Transfer::Copy { from, to, len } => {
                self.copy(from.addr() as Address, to.addr() as Address, len, before)?
            }
            Transfer::Fill {
                pattern,
                size,
                to,
                count,
            } => {
                // SAFETY: the pattern is in the block.
                let pattern = unsafe { &*slice_from_raw_parts(block.add(pattern), size) };
                self.fill(pattern, to.addr() as Address, count, before)?
            }
        };
        Ok(vec![end])
    }

    fn copy(
        &self,
        from: Address,
        to: Address,
        len: usize,
        before: &[GraphNode],
    ) -> Result<GraphNode> {
        let device = &self.graph.opened.device;
        let copy = CopyNode {
            from: api::Place::at(from),
            to: api::Place::at(to),
            width: len,
            height: 1,
            depth: 1,
        };
        let mut added = null_mut();
        // SAFETY: all are valid while the call lasts.
        device.check(unsafe {
            let (count, context) = (before.len(), device.context());
            (device.api().add_copy)(
                &mut added,
                self.handle,
                before.as_ptr(),
                count,
                &copy,
                context,
            )
        })?;
        Ok(added)
    }

    fn fill(
        &mut self,
        pattern: &[u8],
        to: Address,
        count: usize,
        before: &[GraphNode],
    ) -> Result<GraphNode> {
        let device = &self.graph.opened.device;
        if let Some((value, element, width)) = memory::simple(pattern, count) {
            let fill = FillNode {
                to,
                pitch: 0,
                value,
                element,
                width,
                height: 1,
            };
            let mut added = null_mut();
            // SAFETY: all are valid while the call lasts.
            device.check(unsafe {
                let (count, context) = (before.len(), device.context());
                (device.api().add_fill)(
                    &mut added,
                    self.handle,
                    before.as_ptr(),
                    count,
                    &fill,
                    context,
                )
            })?;
            return Ok(added);
        }
        // What is filled doubles each time, as in `memory`.
        let len = pattern.len() * count;
        let start = memory::repeated(pattern, count);
        // SAFETY: the bytes are readable.
        let kept = unsafe { self.keep(start.as_ptr(), start.len()) }?;
        let mut last = self.copy(kept, to, start.len(), before)?;
        for (place, more) in doublings(start.len(), len) {
            last = self.copy(to, to + place as Address, more, &[last])?;
        }
        Ok(last)
    }

    /// A copy of bytes on the device, for as long as the instance.
    ///
    /// # Safety
    /// There are as many.
    unsafe fn keep(&mut self, from: *const u8, size: usize) -> Result<Address> {
        let Opened { device, memory, .. } = &*self.graph.opened;
        let layout =
            std::alloc::Layout::from_size_align(size, 1).map_err(|_| Error::OutOfMemory {
                accelerator: device.name().to_owned(),
                bytes: size,
            })?;
        let kept = memory.allocate(device, layout, false)?;
        self.instance.memory.push(kept);
        // SAFETY: both have as many bytes, and nobody else has the memory.
        unsafe { memory.upload(device, from, kept.as_ptr(), size) }?;
        Ok(kept.as_ptr().addr() as Address)
    }
}

/// Code that replays a graph.
pub(super) struct Replays(pub(super) Arc<Graph>);

impl Code for Replays {
    fn order(&self) -> Option<NonZeroUsize> {
        self.0.opened.launches.order()
    }

    fn hasten(&self, lane: Lane) {
        self.0.opened.launches.hasten(lane);
    }

    fn watch_over(&self, lane: Lane) {
        self.0.opened.launches.watch_over(lane);
    }

    fn look(&self, lane: Lane) {
        self.0.opened.launches.land_reached(lane);
    }

    fn start(&self, launch: Running) {
        self.0.opened.launches.start_graph(&self.0, launch);
    }
}
