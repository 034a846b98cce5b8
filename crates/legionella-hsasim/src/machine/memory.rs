//! Memory that agents can reach: regions of the process's own, and who has access.
//!
//! An address is the same on the host and on every agent. A kernel looks regions up in a [`View`], which
//! keeps them mapped while it is used: memory that is freed while a kernel uses it is a fault, not a crash.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Allocated from a pool, by the pool's number.
    Pool(u32),
    /// Host memory that was locked.
    Locked,
    /// Signals, queues and doorbells: a write may have somebody waiting.
    Control,
    /// A loaded code object; the flag says whether kernels may write.
    Code(bool),
}

/// A region.
#[derive(Debug)]
pub struct Region {
    /// The first address.
    pub base: u64,
    /// Bytes.
    pub size: usize,
    /// What it is for.
    pub purpose: Purpose,
    /// A bit for each agent that has access.
    access: AtomicU64,
    /// Bytes that are mapped, if the region is.
    mapped: Option<usize>,
    /// Who has stored to its words, if that is looked at.
    stored: OnceLock<Option<Stored>>,
}

/// Who has stored to a word last: two numbers, of which the first is zero if nobody has.
#[derive(Debug, Default)]
pub struct Entry(pub [AtomicU64; 2]);

/// An entry for each word of a region, in pages that the system provides as they are used.
#[derive(Debug)]
struct Stored {
    entries: NonNull<Entry>,
    words: usize,
}

// SAFETY: the entries are atomic, and the mapping is the value's own.
unsafe impl Send for Stored {}
// SAFETY: as above.
unsafe impl Sync for Stored {}

impl Stored {
    fn new(words: usize) -> Option<Stored> {
        let mapped = map(words * size_of::<Entry>())?;
        Some(Stored {
            entries: mapped.cast(),
            words,
        })
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        // SAFETY: the mapping is the value's own.
        unsafe {
            libc::munmap(
                self.entries.as_ptr().cast(),
                self.words * size_of::<Entry>(),
            )
        };
    }
}

/// New memory of the process, which is zero. `None` if there is no more.
fn map(bytes: usize) -> Option<NonNull<u8>> {
    // SAFETY: a new mapping, anywhere.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return None;
    }
    NonNull::new(address.cast())
}

impl Region {
    /// Gives agents access, a bit each, and takes it from all others.
    pub fn allow(&self, agents: u64) {
        self.access.store(agents, Ordering::Release);
    }

    /// The agents that have access.
    pub fn access(&self) -> u64 {
        self.access.load(Ordering::Acquire)
    }

    fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.base) < self.size as u64
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Some(size) = self.mapped {
            // SAFETY: the mapping is the region's own, and nobody has the region any more.
            unsafe { libc::munmap(self.base as *mut libc::c_void, size) };
        }
    }
}

/// All regions, by address.
#[derive(Debug, Default)]
pub struct Memory {
    regions: RwLock<Arc<Vec<Arc<Region>>>>,
    /// Changes with every change of the regions.
    generation: AtomicU64,
}

/// The machine's memory.
pub fn memory() -> &'static Memory {
    static MEMORY: OnceLock<Memory> = OnceLock::new();
    MEMORY.get_or_init(Memory::default)
}

impl Memory {
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Arc<Region>>) -> T) -> T {
        let mut regions = self.regions.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(Arc::make_mut(&mut regions));
        self.generation.fetch_add(1, Ordering::Release);
        result
    }

    fn insert(&self, region: Region) {
        let region = Arc::new(region);
        self.change(|regions| {
            let at = regions.partition_point(|other| other.base < region.base);
            regions.insert(at, region);
        });
    }

    /// Maps new memory of so many bytes, which is zero. `None` if there is no more.
    pub fn allocate(&self, size: usize, purpose: Purpose, agents: u64) -> Option<NonNull<u8>> {
        let mapped = size.max(1).checked_next_multiple_of(4096)?;
        let address = map(mapped)?;
        self.insert(Region {
            base: address.as_ptr() as u64,
            size,
            purpose,
            access: AtomicU64::new(agents),
            mapped: Some(mapped),
            stored: OnceLock::new(),
        });
        Some(address)
    }

    /// Makes the host's own memory one of the regions.
    pub fn lock(&self, base: u64, size: usize, agents: u64) {
        self.insert(Region {
            base,
            size,
            purpose: Purpose::Locked,
            access: AtomicU64::new(agents),
            mapped: None,
            stored: OnceLock::new(),
        });
    }

    /// Takes out the region that begins at an address, if its purpose is as expected.
    pub fn remove(&self, base: u64, fits: impl Fn(Purpose) -> bool) -> bool {
        self.change(|regions| {
            let at = regions
                .iter()
                .position(|region| region.base == base && fits(region.purpose));
            at.map(|at| regions.remove(at)).is_some()
        })
    }

    /// The region of an address.
    pub fn region(&self, address: u64) -> Option<Arc<Region>> {
        let regions = self.regions.read().unwrap_or_else(PoisonError::into_inner);
        let at = regions.partition_point(|region| region.base <= address);
        regions[..at]
            .iter()
            .rev()
            .find(|region| region.holds(address))
            .cloned()
    }

    /// Access to regions has changed: views look again.
    pub fn touch(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }
}

/// Makes a part of a loaded code object a region of its own, where kernels may write.
pub fn lock_code(base: u64, size: usize, agents: u64) {
    memory().insert(Region {
        base,
        size,
        purpose: Purpose::Code(true),
        access: AtomicU64::new(agents),
        mapped: None,
        stored: OnceLock::new(),
    });
}

/// What an agent sees of memory.
#[derive(Debug)]
pub struct View {
    regions: Arc<Vec<Arc<Region>>>,
    generation: u64,
    /// The agent's bit.
    agent: u64,
    /// The region that was looked up last: base, size, and what may be done.
    base: u64,
    size: u64,
    writable: bool,
    /// Whether writes to it may have somebody waiting.
    control: bool,
    /// Its entries, if it has some, and how many.
    stored: *const Entry,
    words: usize,
}

// SAFETY: the entries are atomic, and of a region that the view keeps.
unsafe impl Send for View {}

impl View {
    /// What the agent of a bit sees.
    pub fn new(agent: u64) -> View {
        View {
            regions: Arc::default(),
            generation: u64::MAX,
            agent,
            base: 0,
            size: 0,
            writable: false,
            control: false,
            stored: std::ptr::null(),
            words: 0,
        }
    }

    /// That so many bytes at an address may be read or written.
    ///
    /// # Errors
    /// Why not.
    #[inline(always)]
    pub fn check(&mut self, address: u64, size: usize, write: bool) -> Result<(), &'static str> {
        let offset = address.wrapping_sub(self.base);
        if offset < self.size && self.size - offset >= size as u64 && (!write || self.writable) {
            return Ok(());
        }
        self.look_up(address, size, write)
    }

    /// Whether the region checked last is one where writes have to be told.
    #[inline(always)]
    pub fn is_control(&self) -> bool {
        self.control
    }

    /// Whether the region checked last has entries of who has stored to its words.
    #[inline(always)]
    pub fn has_entries(&self) -> bool {
        !self.stored.is_null()
    }

    /// The entry of a word of the region checked last, by its address over 4, if it has entries.
    #[inline(always)]
    pub fn entry(&self, word: u64) -> Option<&Entry> {
        let number = word.wrapping_sub(self.base >> 2) as usize;
        if self.stored.is_null() || number >= self.words {
            return None;
        }
        // SAFETY: the region has so many entries, and is one of those that the view keeps.
        Some(unsafe { &*self.stored.add(number) })
    }

    /// Gives the region checked last entries, if it has none and there is memory for them.
    #[cold]
    pub fn make_entries(&mut self) {
        let at = self
            .regions
            .partition_point(|region| region.base <= self.base);
        let region = self.regions[..at]
            .iter()
            .rev()
            .find(|region| region.base == self.base);
        if let Some(region) = region {
            let words = region.size / 4 + 2;
            region.stored.get_or_init(|| Stored::new(words));
            // Other views look again.
            memory().touch();
            self.take_entries(&Arc::clone(region));
        }
    }

    fn take_entries(&mut self, region: &Region) {
        let stored = region.stored.get().and_then(Option::as_ref);
        self.stored = stored.map_or(std::ptr::null(), |stored| stored.entries.as_ptr());
        self.words = stored.map_or(0, |stored| stored.words);
    }

    /// Forgets what has changed since; to be called before each instruction's accesses.
    #[inline(always)]
    pub fn refresh(&mut self) {
        if memory().generation.load(Ordering::Acquire) != self.generation {
            self.reload();
        }
    }

    #[cold]
    fn reload(&mut self) {
        let memory = memory();
        let regions = memory
            .regions
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        self.generation = memory.generation.load(Ordering::Acquire);
        self.regions = Arc::clone(&regions);
        // What was looked up last may be gone.
        (self.size, self.words) = (0, 0);
        self.stored = std::ptr::null();
    }

    #[cold]
    fn look_up(&mut self, address: u64, size: usize, write: bool) -> Result<(), &'static str> {
        let at = self
            .regions
            .partition_point(|region| region.base <= address);
        // Locked regions may lie within others: the nearest that holds the address counts.
        let region = self.regions[..at]
            .iter()
            .rev()
            .take(8)
            .find(|region| region.holds(address));
        let Some(region) = region.cloned() else {
            let end = |region: &Arc<Region>| region.base + region.size as u64;
            let near = at > 0 && address - end(&self.regions[at - 1]) < 4096;
            return Err(if near {
                "it lies beyond the end of the allocation before"
            } else {
                "there is no memory that was allocated for agents"
            });
        };
        if region.access.load(Ordering::Acquire) & self.agent == 0 {
            return Err("the agent was given no access to this memory");
        }
        self.base = region.base;
        self.size = region.size as u64;
        self.writable = region.purpose != Purpose::Code(false);
        self.control = region.purpose == Purpose::Control;
        self.take_entries(&region);
        if region.size as u64 - (address - region.base) < size as u64 {
            return Err("it reaches beyond the end of the allocation");
        }
        if write && !self.writable {
            return Err("the memory is that of code and constants");
        }
        Ok(())
    }
}
