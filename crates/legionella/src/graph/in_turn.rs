//! Replays of graphs as launches of what they consist of.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use super::{NAME, ONE};
use crate::backend::{Code, Node, Program};
use crate::error::{Error, Result};
use crate::schedule::slot::{Binding, Owned, Running, Runs, Ticket};

/// Code that replays a graph so.
pub(super) fn code(nodes: &Arc<[Node]>) -> Box<dyn Code> {
    Box::new(InTurn {
        nodes: Arc::clone(nodes),
    })
}

struct InTurn {
    nodes: Arc<[Node]>,
}

impl Code for InTurn {
    fn start(&self, launch: Running) {
        if launch.is_cancelled() {
            let kernel = launch.program().kernel.clone();
            return launch.finish(Err(Error::Cancelled { kernel }));
        }
        let mut parts: Vec<Owned> = Vec::with_capacity(self.nodes.len());
        for node in &*self.nodes {
            let binding = Binding::new();
            binding.will_run(node.program);
            for &before in &node.after {
                parts[before].ticket().precedes(binding.ticket());
            }
            let runs = Runs::Kernel(node.program);
            let block = node.block.address();
            // SAFETY: the node has the block that its program takes. The graph's launch keeps the memory
            // that all nodes use until it has ended, and nodes that conflict come after each other.
            parts.push(unsafe { binding.submit(runs, node.space, block, node.layout, None) });
        }
        let tickets: Vec<Ticket> = parts.iter().map(Owned::ticket).collect();
        launch.consists_of(&tickets);
        let end = Binding::new();
        for ticket in &tickets {
            ticket.precedes(end.ticket());
        }
        let code = Box::new(End(Mutex::new(Some((launch, parts)))));
        let runs = Runs::Made(Arc::new(Program::new(NAME.into(), code)));
        let (block, layout) = (NonNull::dangling().as_ptr(), Layout::new::<()>());
        // SAFETY: it has no block and uses no memory.
        drop(unsafe { end.submit(runs, ONE, block, layout, None) });
    }
}

/// What comes after all nodes of one replay.
struct End(Mutex<Option<(Running, Vec<Owned>)>>);

impl Code for End {
    fn start(&self, launch: Running) {
        let replay = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((graph, parts)) = replay {
            graph.finish(outcome(&parts));
        }
        launch.finish(Ok(()));
    }
}

/// The failure of the first that failed.
fn outcome(parts: &[Owned]) -> Result<()> {
    match parts.iter().find_map(Owned::failure) {
        Some(failure) => Err(failure.report()),
        None => Ok(()),
    }
}
