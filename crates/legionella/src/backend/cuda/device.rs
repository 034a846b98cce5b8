//! One device: its context, and what its driver's results mean.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::api::{self, Api, Code, Context, Pool, Stream};
use crate::error::{Error, Result};

/// Stack of a thread where the code doesn't tell how much it needs, with recursion and calls through
/// pointers: the share of the device's memory that it takes, within limits. The driver sets it aside
/// for every thread that the device can hold at once.
const DEEP_STACK: usize = 64 << 10;
const LEAST_STACK: usize = 4 << 10;
const STACK_SHARE: usize = 8;

/// Most that a thread can have: 512 KiB of memory of its own, with what the compiler adds.
const DEEPEST_STACK: usize = 448 << 10;

/// Threads that a multiprocessor holds at most.
const RESIDENT: usize = 2048;

/// A device whose primary context is in use.
pub(super) struct Device {
    api: &'static Api,
    name: String,
    number: api::Device,
    context: Context,
    /// In bytes.
    memory: usize,
    /// What stacks were given last, in bytes.
    depth: Mutex<usize>,
    lost: OnceLock<String>,
}

// SAFETY: a context may be used by any thread; the driver locks by itself.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// Retains the context of a device.
    pub(super) fn open(api: &'static Api, name: &str, number: api::Device) -> Result<Self> {
        let mut device = Device {
            api,
            name: name.to_owned(),
            number,
            context: null_mut(),
            memory: 0,
            depth: Mutex::new(0),
            lost: OnceLock::new(),
        };
        let (mut context, mut memory) = (null_mut(), 0);
        // SAFETY: valid for writes; a device that the driver counts.
        device.check(unsafe { (api.retain_context)(&mut context, number) })?;
        device.context = context;
        // SAFETY: valid for writes.
        device.check(unsafe { (api.device_memory)(&mut memory, number) })?;
        device.memory = memory;
        Ok(device)
    }

    /// Gives threads deep stacks, with room for `variables` bytes. The context is current.
    pub(super) fn deepen_stacks(&self, variables: usize) -> Result<()> {
        let mut depth = self.depth.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = self.attribute(api::MULTIPROCESSORS)?.max(1) as usize * RESIDENT;
        let share = (self.memory / STACK_SHARE / threads).clamp(LEAST_STACK, DEEP_STACK);
        let needed = variables.saturating_add(LEAST_STACK).min(DEEPEST_STACK);
        let mut stack = share.max(needed).next_multiple_of(LEAST_STACK);
        while stack > *depth {
            // SAFETY: sets a number of the context that is current.
            let set = self.check(unsafe { (self.api.set_limit)(api::LIMIT_STACK_SIZE, stack) });
            match set {
                Ok(()) => *depth = stack,
                // Others have the memory.
                Err(Error::Device { .. }) if stack > LEAST_STACK => stack -= LEAST_STACK,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn api(&self) -> &'static Api {
        self.api
    }

    /// The driver's number of it.
    pub(super) fn number(&self) -> api::Device {
        self.number
    }

    pub(super) fn context(&self) -> Context {
        self.context
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// Whether the context is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Destroys the context of a lost device, so that the next to open it gets a new one.
    pub(super) fn reset(&self) -> Result<()> {
        // SAFETY: the context is lost for everyone in the process.
        match unsafe { (self.api.reset_context)(self.number) } {
            0 => Ok(()),
            code => Err(self.lost_because(&self.api.describe(code))),
        }
    }

    /// Calls the driver with the device's context current, unless that is lost.
    pub(super) fn with_context<T>(
        &self,
        call: impl FnOnce(&'static Api) -> Result<T>,
    ) -> Result<T> {
        if let Some(reason) = self.lost.get() {
            return Err(self.lost_because(reason));
        }
        // SAFETY: a context that is retained.
        self.check(unsafe { (self.api.set_context)(self.context) })?;
        call(self.api)
    }

    #[cold]
    fn lost_because(&self, reason: &str) -> Error {
        Error::DeviceLost {
            accelerator: self.name.clone(),
            reason: reason.to_owned(),
        }
    }

    /// What a result of the driver means; takes note if the context is gone.
    #[inline]
    pub(super) fn check(&self, code: Code) -> Result<()> {
        match code {
            0 => Ok(()),
            _ => Err(self.error(code)),
        }
    }

    #[cold]
    fn error(&self, code: Code) -> Error {
        let reason = self.api.describe(code);
        if api::is_fatal(code) {
            let reason = self.lost.get_or_init(|| reason).clone();
            return self.lost_because(&reason);
        }
        Error::Device {
            accelerator: self.name.clone(),
            reason,
        }
    }

    /// A stream of its own.
    ///
    /// # Safety
    /// The context is current.
    pub(super) unsafe fn new_stream(&self) -> Result<Stream> {
        let mut stream = null_mut();
        // SAFETY: valid for writes; the caller's promise.
        self.check(unsafe { (self.api.create_stream)(&mut stream, api::STREAM_NON_BLOCKING) })?;
        Ok(stream)
    }

    /// The device's pool of memory, if it has one, which then keeps what is freed.
    ///
    /// # Safety
    /// The context is current.
    pub(super) unsafe fn keep_pool(&self) -> Result<Option<Pool>> {
        let pool = self.pool()?;
        if let Some(pool) = pool {
            let mut all = u64::MAX;
            let value = (&raw mut all).cast::<c_void>();
            let threshold = api::POOL_RELEASE_THRESHOLD;
            // SAFETY: readable; the caller's promise.
            self.check(unsafe { (self.api.pool_set)(pool, threshold, value) })?;
        }
        Ok(pool)
    }

    /// The device's pool of memory, if it has one.
    pub(super) fn pool(&self) -> Result<Option<Pool>> {
        if self.attribute(api::MEMORY_POOLS)? == 0 {
            return Ok(None);
        }
        let mut pool = null_mut();
        // SAFETY: valid for writes.
        self.check(unsafe { (self.api.device_pool)(&mut pool, self.number) })?;
        Ok(Some(pool))
    }

    pub(super) fn attribute(&self, attribute: u32) -> Result<c_int> {
        let mut value = 0;
        // SAFETY: valid for writes.
        self.check(unsafe { (self.api.device_attribute)(&mut value, attribute, self.number) })?;
        Ok(value)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}
