//! Replays of graphs as launches of what they consist of.

use std::sync::Arc;

use crate::backend::{Code, Node};
use crate::error::Error;
use crate::schedule::parts;
use crate::schedule::slot::{Binding, Owned, Running, Runs};

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
        let mut all: Vec<Owned> = Vec::with_capacity(self.nodes.len());
        for node in &*self.nodes {
            let binding = Binding::new();
            binding.will_run(node.program);
            for &before in &node.after {
                all[before].ticket().precedes(binding.ticket());
            }
            let runs = Runs::Kernel(node.program);
            let block = node.block.address();
            // SAFETY: the node has the block that its program takes. The graph's launch keeps the memory
            // that all nodes use until it has ended, and nodes that conflict come after each other.
            all.push(unsafe { binding.submit(runs, node.space, block, node.layout, None) });
        }
        parts::finish_behind(launch, all, Ok(()));
    }
}
