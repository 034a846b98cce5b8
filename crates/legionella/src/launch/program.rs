//! The loaded code of a kernel: a list in the kernel's cell, one node an accelerator.
//!
//! The list only grows at its head, and nodes live as long as the process, so that a warm launch
//! finds its code without lock or hash. Loading is rare and takes a lock.

use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use legionella_abi::record::Cell;

use crate::accelerator::Accelerator;
use crate::backend::Program;
use crate::code::{self, Kernel};
use crate::error::Result;

struct Node {
    accelerator: u64,
    program: Program,
    next: Option<&'static Node>,
}

fn head(cell: &Cell) -> Option<&'static Node> {
    let head = cell.loaded.load(Ordering::Acquire).cast::<Node>();
    // SAFETY: null, or a node that `load` leaked: nothing else writes this field.
    unsafe { head.as_ref() }
}

/// The code of a kernel on an accelerator, if it is loaded.
#[inline]
pub(super) fn loaded(cell: &Cell, accelerator: &Accelerator) -> Option<&'static Program> {
    let mut next = head(cell);
    while let Some(node) = next {
        if node.accelerator == accelerator.id() {
            return Some(&node.program);
        }
        next = node.next;
    }
    None
}

/// Loads the code of a kernel onto an accelerator, from wherever it is, generating it if need be.
#[cold]
pub(super) fn load(
    cell: Option<&'static Cell>,
    accelerator: &Accelerator,
    type_name: &str,
) -> Result<&'static Program> {
    static LOADING: Mutex<()> = Mutex::new(());
    code::initialise_log()?;
    let _span = tracing::info_span!("load", kernel = type_name, accelerator = accelerator.name());
    let _entered = _span.enter();
    let Some(cell) = cell else {
        return Err(code::Error::NotWrapped {
            kernel: type_name.to_owned(),
        }
        .into());
    };
    // SAFETY: the linker step defined the cell, or it would be null.
    let kernel = unsafe { Kernel::of(cell, type_name) }?;
    let backend = accelerator.backend();
    let code = code::obtain(&kernel, &backend.target(), backend.machine())?;
    let _loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = loaded(cell, accelerator) {
        return Ok(program);
    }
    let name: Arc<str> = kernel.name().into();
    // SAFETY: the code was generated for this backend's target, and verified.
    let code = unsafe { backend.load(&name, &code) }?;
    let node: &'static Node = Box::leak(Box::new(Node {
        accelerator: accelerator.id(),
        program: Program::new(name, code),
        next: head(cell),
    }));
    let node_address = ptr::from_ref(node).cast_mut().cast();
    cell.loaded.store(node_address, Ordering::Release);
    Ok(&node.program)
}
