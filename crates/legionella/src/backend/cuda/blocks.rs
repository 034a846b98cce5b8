//! Blocks of the device's memory, kept from one use to the next.
//!
//! A block that is freed is no more in use by the device, whose launches keep what they use until they have
//! ended. So it can be given out again at once, without a word to the driver, whose own pool would have to
//! be waited for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::api::{Address, Pool, Stream};
use super::device::Device;
use crate::error::{Error, Result};

/// What the driver aligns all memory to, and the least size of a block.
pub(super) const ALIGN: usize = 256;

/// From what size on blocks have a size that is a multiple of this step.
const LARGE: usize = 32 << 20;
const STEP: usize = 2 << 20;

/// A block may be larger than what is asked for by one in so many.
const WASTE: usize = 8;

/// The blocks of one device.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Where they come from, if there is one, and in whose order.
    pool: Option<Pool>,
    stream: Stream,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The sizes of those in use.
    used: HashMap<Address, usize>,
    /// Those that are not, by size.
    free: BTreeMap<usize, Vec<Address>>,
}

// SAFETY: streams and pools may be used by any thread.
unsafe impl Send for Blocks {}
// SAFETY: as above.
unsafe impl Sync for Blocks {}

impl Blocks {
    /// Blocks that come from a pool, if there is one, in the order of a stream.
    pub(super) fn new(pool: Option<Pool>, stream: Stream) -> Self {
        Blocks {
            pool,
            stream,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of at least that size, which nothing uses. The context is current.
    pub(super) fn take(&self, device: &Device, size: usize) -> Result<Address> {
        let none = || Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes: size,
        };
        let size = rounded(size).ok_or_else(none)?;
        if let Some(block) = self.lock().reuse(size) {
            return Ok(block);
        }
        let block = match self.make(device, size) {
            Err(Error::Device { .. }) => {
                self.give_up(device)?;
                self.make(device, size)
            }
            made => made,
        };
        match block {
            Ok(block) => {
                self.lock().used.insert(block, size);
                Ok(block)
            }
            Err(Error::Device { .. }) => Err(none()),
            Err(lost) => Err(lost),
        }
    }

    /// Takes a block back that nothing uses any more.
    pub(super) fn put(&self, block: Address) {
        let mut state = self.lock();
        if let Some(size) = state.used.remove(&block) {
            state.free.entry(size).or_default().push(block);
        }
    }

    /// A block from the driver.
    fn make(&self, device: &Device, size: usize) -> Result<Address> {
        let api = device.api();
        let mut block: Address = 0;
        // SAFETY: valid for writes; the stream is the device's, whose context is current.
        unsafe {
            if self.pool.is_some() {
                device.check((api.allocate_async)(&mut block, size, self.stream))?;
                device.check((api.wait_stream)(self.stream))?;
            } else {
                device.check((api.allocate)(&mut block, size))?;
            }
        }
        Ok(block)
    }

    /// Gives the driver back all that nobody uses. That may wait for what the device runs.
    fn give_up(&self, device: &Device) -> Result<()> {
        let api = device.api();
        let free = std::mem::take(&mut self.lock().free);
        for block in free.into_values().flatten() {
            // SAFETY: a block that was made so and that nothing uses.
            device.check(unsafe {
                match self.pool {
                    Some(_) => (api.free_async)(block, self.stream),
                    None => (api.free)(block),
                }
            })?;
        }
        // SAFETY: the stream and the pool are the device's.
        unsafe {
            device.check((api.wait_stream)(self.stream))?;
            match self.pool {
                Some(pool) => device.check((api.trim_pool)(pool, 0)),
                None => Ok(()),
            }
        }
    }
}

impl State {
    /// A block that is free and hardly larger.
    fn reuse(&mut self, size: usize) -> Option<Address> {
        let mut fitting = self
            .free
            .range_mut(size..=size.saturating_add(size / WASTE));
        let (&size, blocks) = fitting.find(|(_, blocks)| !blocks.is_empty())?;
        let block = blocks.pop()?;
        self.used.insert(block, size);
        Some(block)
    }
}

/// The size of the block for that many bytes: for small ones one of eight between powers of two.
fn rounded(size: usize) -> Option<usize> {
    if size >= LARGE {
        return size.checked_next_multiple_of(STEP);
    }
    let step = (size.max(1).ilog2() as usize).saturating_sub(3);
    Some(size.next_multiple_of(ALIGN.max(1 << step)))
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, LARGE, STEP, rounded};

    #[test]
    fn sizes_are_few_and_hardly_larger() {
        assert_eq!(rounded(0), Some(0));
        assert_eq!(rounded(1), Some(ALIGN));
        assert_eq!(rounded(LARGE + 1), Some(LARGE + STEP));
        assert_eq!(rounded(usize::MAX), None);
        let mut sizes = Vec::new();
        for size in (4096..1 << 20).step_by(77) {
            let rounded = rounded(size).unwrap();
            assert!(rounded >= size && rounded - size <= size / 8, "{size}");
            sizes.push(rounded);
        }
        sizes.dedup();
        assert!(sizes.len() <= 8 * 8 + 1, "{}", sizes.len());
    }
}
