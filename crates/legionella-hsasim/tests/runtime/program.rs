//! What every HSA program begins with: agents, pools, a queue, code.

use std::ffi::{CString, c_void};
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use legionella_hsasim::abi::agents::{AgentHandle, hsa_agent_get_info, hsa_iterate_agents};
use legionella_hsasim::abi::executables::{
    ExecutableHandle, Reader, SymbolHandle, hsa_code_object_reader_create_from_memory,
    hsa_code_object_reader_destroy, hsa_executable_create_alt, hsa_executable_freeze,
    hsa_executable_get_symbol_by_name, hsa_executable_load_agent_code_object,
    hsa_executable_symbol_get_info,
};
use legionella_hsasim::abi::hsa_init;
use legionella_hsasim::abi::pools::{
    PoolHandle, hsa_amd_agent_iterate_memory_pools, hsa_amd_agents_allow_access,
    hsa_amd_memory_pool_allocate, hsa_amd_memory_pool_get_info,
};
use legionella_hsasim::abi::queues::{
    hsa_queue_add_write_index_relaxed, hsa_queue_create, hsa_queue_destroy,
    legionella_hsasim_report,
};
use legionella_hsasim::abi::signals::{
    SignalHandle, hsa_signal_create, hsa_signal_store_screlease, hsa_signal_wait_scacquire,
};
use legionella_hsasim::isa::Isa;
use legionella_hsasim::machine::queue::Shared;

/// All agents.
pub fn agents() -> Vec<AgentHandle> {
    unsafe extern "C" fn collect(agent: AgentHandle, list: *mut c_void) -> u32 {
        // SAFETY: the list that was passed below.
        unsafe { (*list.cast::<Vec<AgentHandle>>()).push(agent) };
        0
    }
    assert_eq!(hsa_init(), 0);
    let mut list = Vec::new();
    // SAFETY: the call-back takes the list.
    let status = unsafe { hsa_iterate_agents(Some(collect), (&raw mut list).cast()) };
    assert_eq!(status, 0);
    list
}

/// The name of an agent.
pub fn name(agent: AgentHandle) -> String {
    let mut name = [0u8; 64];
    // SAFETY: a name has 64 bytes.
    let status = unsafe { hsa_agent_get_info(agent, 0, name.as_mut_ptr().cast()) };
    assert_eq!(status, 0);
    String::from_utf8_lossy(&name)
        .trim_end_matches('\0')
        .to_owned()
}

/// The pools of an agent.
pub fn pools(agent: AgentHandle) -> Vec<PoolHandle> {
    unsafe extern "C" fn collect(pool: PoolHandle, list: *mut c_void) -> u32 {
        // SAFETY: the list that was passed below.
        unsafe { (*list.cast::<Vec<PoolHandle>>()).push(pool) };
        0
    }
    let mut list = Vec::new();
    // SAFETY: the call-back takes the list.
    let status =
        unsafe { hsa_amd_agent_iterate_memory_pools(agent, Some(collect), (&raw mut list).cast()) };
    assert_eq!(status, 0);
    list
}

/// Memory of the pool with certain flags (`hsa_amd_memory_pool_global_flag_t`).
pub fn try_allocate(agent: AgentHandle, flags: u32, bytes: usize) -> Result<*mut u8, u32> {
    let fits = |pool: &PoolHandle| {
        let mut found = 0u32;
        // SAFETY: the flags are 32 bits.
        unsafe { hsa_amd_memory_pool_get_info(*pool, 1, (&raw mut found).cast()) };
        found == flags
    };
    let pool = pools(agent).into_iter().find(fits).unwrap();
    let mut address = null_mut();
    // SAFETY: a place for an address.
    match unsafe { hsa_amd_memory_pool_allocate(pool, bytes, 0, &mut address) } {
        0 => Ok(address.cast()),
        status => Err(status),
    }
}

/// A program on one GPU.
pub struct Program {
    pub host: AgentHandle,
    pub gpu: AgentHandle,
    pub queue: *mut Shared,
    /// Codes with which the queue has failed.
    pub failures: &'static Mutex<Vec<u32>>,
}

unsafe extern "C" fn failed(status: u32, _: *mut Shared, failures: *mut c_void) {
    // SAFETY: the list that was given with the queue.
    unsafe { &*failures.cast::<Mutex<Vec<u32>>>() }
        .lock()
        .unwrap()
        .push(status);
}

/// Bytes of arguments.
#[derive(Default)]
pub struct Arguments(Vec<u8>);

impl Arguments {
    pub fn pointer(self, pointer: *mut u8) -> Self {
        self.bytes(8, &(pointer as u64).to_le_bytes())
    }

    pub fn word(self, word: u32) -> Self {
        self.bytes(4, &word.to_le_bytes())
    }

    pub fn long(self, word: u64) -> Self {
        self.bytes(8, &word.to_le_bytes())
    }

    fn bytes(mut self, align: usize, bytes: &[u8]) -> Self {
        self.0.resize(self.0.len().next_multiple_of(align), 0);
        self.0.extend(bytes);
        self
    }
}

/// A kernel: its object, and the sizes of a work-item's and a work-group's memory.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub object: u64,
    pub private: u32,
    pub group: u32,
}

impl Program {
    pub fn new(isa: Isa) -> Program {
        let agents = agents();
        let gpu = *agents
            .iter()
            .find(|agent| name(**agent) == isa.name())
            .unwrap();
        let failures: &'static Mutex<Vec<u32>> = Box::leak(Box::default());
        let mut queue = null_mut();
        // SAFETY: the call-back takes the list, which lives for ever.
        let status = unsafe {
            hsa_queue_create(
                gpu,
                64,
                0,
                Some(failed),
                (&raw const *failures).cast_mut().cast(),
                0,
                0,
                &mut queue,
            )
        };
        assert_eq!(status, 0);
        Program {
            host: agents[0],
            gpu,
            queue,
            failures,
        }
    }

    /// The device's memory, filled.
    pub fn device<T: Copy>(&self, values: &[T]) -> *mut T {
        let memory = try_allocate(self.gpu, 4, size_of_val(values))
            .unwrap()
            .cast::<T>();
        // SAFETY: the memory has room for the values.
        unsafe { memory.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        memory
    }

    /// The host's memory, which the device may reach.
    pub fn shared(&self, bytes: usize) -> *mut u8 {
        let memory = try_allocate(self.host, 2, bytes).unwrap();
        // SAFETY: one agent.
        let status = unsafe { hsa_amd_agents_allow_access(1, &self.gpu, null(), memory.cast()) };
        assert_eq!(status, 0);
        memory
    }

    pub fn signal(&self, value: i64) -> SignalHandle {
        let mut signal = SignalHandle { handle: 0 };
        // SAFETY: a place for a handle.
        let status = unsafe { hsa_signal_create(value, 0, null(), &mut signal) };
        assert_eq!(status, 0);
        signal
    }

    /// Loads a code object and finds a kernel.
    pub fn load(&self, bytes: &[u8], name: &str) -> Kernel {
        let (executable, symbol) = self.executable(bytes, &format!("{name}.kd")).unwrap();
        let _ = executable;
        let get = |attribute| {
            let mut value = 0u64;
            // SAFETY: no value has more than 8 bytes.
            let status = unsafe {
                hsa_executable_symbol_get_info(symbol, attribute, (&raw mut value).cast())
            };
            assert_eq!(status, 0);
            value
        };
        Kernel {
            object: get(22),
            private: get(14) as u32,
            group: get(13) as u32,
        }
    }

    pub fn executable(
        &self,
        bytes: &[u8],
        symbol: &str,
    ) -> Result<(ExecutableHandle, SymbolHandle), u32> {
        let mut reader = Reader { handle: 0 };
        let mut executable = ExecutableHandle { handle: 0 };
        let mut found = SymbolHandle { handle: 0 };
        let check = |status| if status == 0 { Ok(()) } else { Err(status) };
        let symbol = CString::new(symbol).unwrap();
        // SAFETY: places for handles; the bytes are only read.
        unsafe {
            check(hsa_code_object_reader_create_from_memory(
                bytes.as_ptr().cast(),
                bytes.len(),
                &mut reader,
            ))?;
            check(hsa_executable_create_alt(1, 0, null(), &mut executable))?;
            check(hsa_executable_load_agent_code_object(
                executable,
                self.gpu,
                reader,
                null(),
                null_mut(),
            ))?;
            check(hsa_executable_freeze(executable, null()))?;
            check(hsa_code_object_reader_destroy(reader))?;
            check(hsa_executable_get_symbol_by_name(
                executable,
                symbol.as_ptr(),
                &self.gpu,
                &mut found,
            ))?;
        }
        Ok((executable, found))
    }

    /// Writes a packet and rings the doorbell.
    pub fn submit(&self, words: [u64; 8]) {
        self.ring(self.write(words));
    }

    /// Rings the doorbell for a packet.
    pub fn ring(&self, number: u64) {
        // SAFETY: the queue lives.
        let handle = unsafe { &*self.queue }.doorbell;
        hsa_signal_store_screlease(SignalHandle { handle }, number as i64);
    }

    /// Writes a packet, the header last; gives its number.
    pub fn write(&self, words: [u64; 8]) -> u64 {
        // SAFETY: the queue lives; the slot is free, as tests submit fewer packets than the ring has.
        unsafe {
            let number = hsa_queue_add_write_index_relaxed(self.queue, 1);
            let shared = &*self.queue;
            let slot =
                (shared.ring as *mut u64).add(8 * (number % u64::from(shared.size)) as usize);
            for (at, &word) in words.iter().enumerate().skip(1) {
                slot.add(at).write_volatile(word);
            }
            (*(slot.byte_add(4) as *const AtomicU32))
                .store((words[0] >> 32) as u32, Ordering::Relaxed);
            (*(slot.byte_add(2) as *const AtomicU16))
                .store((words[0] >> 16) as u16, Ordering::Relaxed);
            (*(slot as *const AtomicU16)).store(words[0] as u16, Ordering::Release);
            number
        }
    }

    /// A packet that launches a kernel, in one dimension.
    pub fn dispatch(
        &self,
        kernel: Kernel,
        grid: u32,
        group: u32,
        arguments: Arguments,
        done: SignalHandle,
    ) -> [u64; 8] {
        let memory = self.shared(arguments.0.len().max(16));
        // SAFETY: the memory has room for the arguments.
        unsafe { memory.copy_from_nonoverlapping(arguments.0.as_ptr(), arguments.0.len()) };
        let header = 2u64 | (1 << 8) | (2 << 9) | (2 << 11);
        [
            header | (1 << 16) | (u64::from(group) << 32) | (1 << 48),
            1 | (u64::from(grid) << 32),
            1 | (1 << 32),
            u64::from(kernel.private) | (u64::from(kernel.group) << 32),
            kernel.object,
            memory as u64,
            0,
            done.handle,
        ]
    }

    /// Launches a kernel and waits for its end.
    pub fn run(&self, kernel: Kernel, grid: u32, group: u32, arguments: Arguments) {
        let done = self.signal(1);
        self.submit(self.dispatch(kernel, grid, group, arguments, done));
        assert!(self.wait(done), "{}", self.report());
    }

    /// Waits for a signal to become zero, at most for some seconds.
    pub fn wait(&self, signal: SignalHandle) -> bool {
        for _ in 0..2000 {
            if hsa_signal_wait_scacquire(signal, 0, 0, 1_000_000, 0) == 0 {
                return true;
            }
            if !self.failures.lock().unwrap().is_empty() {
                return false;
            }
        }
        panic!("nothing happened")
    }

    /// What the queue said of its failure.
    pub fn report(&self) -> String {
        let mut text = [0u8; 4096];
        // SAFETY: the buffer has so many bytes.
        unsafe { legionella_hsasim_report(self.queue, text.as_mut_ptr().cast(), text.len()) };
        String::from_utf8_lossy(&text)
            .trim_end_matches('\0')
            .to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        assert_eq!(hsa_queue_destroy(self.queue), 0);
    }
}
