//! Copies and fills as launches of code that each accelerator has by itself.
//!
//! Takes a [`Transfer`] as the argument block. Backends that have no code of their own for that do it by
//! calls of [`Backend`] that return when it is done.

use std::iter;
use std::sync::Arc;

use super::{Backend, Code};
use crate::error::{Error, Result};
use crate::schedule::slot::Running;

/// What launches of it are called.
pub(crate) const NAME: &str = "copy";

/// What is copied or filled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transfer {
    /// Between places that don't overlap, in memory of the device or of the host that the device sees.
    Copy {
        from: *const u8,
        to: *mut u8,
        len: usize,
    },
    /// `count` copies of a pattern of `size` bytes, which lies that far into the argument block.
    Fill {
        pattern: usize,
        size: usize,
        to: *mut u8,
        count: usize,
    },
}

/// The argument block of a fill.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Fill<T> {
    pub(crate) transfer: Transfer,
    pub(crate) pattern: T,
}

/// The copies by which what is filled doubles each time, given how many bytes of `len` are filled by other means: where
/// each goes and how many bytes of the start it takes there.
pub(crate) fn doublings(filled: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let places = iter::successors(Some(filled), |filled| filled.checked_mul(2));
    places
        .take_while(move |filled| *filled < len)
        .map(move |filled| (filled, filled.min(len - filled)))
}

impl Transfer {
    /// The transfer of an argument block.
    ///
    /// # Safety
    /// The block is one.
    pub(crate) unsafe fn of(block: *const u8) -> Transfer {
        // SAFETY: the caller's promise.
        unsafe { block.cast::<Transfer>().read() }
    }

    /// Does it and waits for it.
    ///
    /// # Safety
    /// As for the functions of [`Backend`]; `block` is where the transfer was.
    unsafe fn run(self, backend: &dyn Backend, block: *const u8) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Transfer::Copy { from, to, len } => backend.copy(from, to, len),
                Transfer::Fill {
                    pattern,
                    size,
                    to,
                    count,
                } => backend.fill(block.add(pattern), size, to, count),
            }
        }
    }
}

/// Code for transfers on any device.
pub(crate) struct Transfers {
    backend: Arc<dyn Backend>,
}

impl Transfers {
    pub(crate) fn new(backend: &Arc<dyn Backend>) -> Self {
        Transfers {
            backend: Arc::clone(backend),
        }
    }
}

impl Code for Transfers {
    fn start(&self, launch: Running) {
        if launch.is_cancelled() {
            let kernel = launch.program().kernel.clone();
            return launch.finish(Err(Error::Cancelled { kernel }));
        }
        let block = launch.block();
        // SAFETY: launched with such a block, by those who keep the memory and whose turn it is.
        let outcome = unsafe { Transfer::of(block).run(&*self.backend, block) };
        launch.finish(outcome);
    }
}
