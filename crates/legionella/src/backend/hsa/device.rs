//! One device: its agent, memory pools and queues, and what the runtime's results mean.

use std::ffi::{CStr, c_void};
use std::ptr::{self, null, null_mut};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use legionella_abi::amdgpu;
use legionella_abi::hsa::Queue;

use super::api::{self, Agent, Api, Code, Isa, Pool, Signal};
use super::recycled::Recycled;
use crate::error::{Error, Result};

/// Packets that a queue holds, if the device allows for as many.
const QUEUE_SIZE: u32 = 1024;

/// How long a signal is waited for before the device is asked whether it is lost.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many signals are made at a time.
const SIGNALS: usize = 16;

/// What the runtime has of agents.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) agent: Agent,
    /// The processor's name, such as `gfx942`.
    pub(super) processor: String,
    pub(super) product: String,
    pub(super) compute_units: u32,
    /// Bytes of memory on the device.
    pub(super) memory: usize,
    /// Bytes of shared memory that a work-group can have.
    pub(super) shared: usize,
    pub(super) pools: Pools,
    /// All devices of the runtime.
    pub(super) all: Arc<[Agent]>,
    /// Units in a second in which waits are limited.
    pub(super) frequency: u64,
}

/// Where memory comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pools {
    /// The host's agent.
    pub(super) host: Agent,
    /// On the device.
    pub(super) device: Pool,
    /// On the host, coherent with the device.
    pub(super) visible: Pool,
    /// On the host, for arguments of kernels.
    pub(super) arguments: Pool,
}

/// Calls the runtime's function that goes through a list, and gives what is in that.
macro_rules! list {
    ($item:ty, $call:expr) => {{
        extern "C" fn keep(item: $item, all: *mut c_void) -> Code {
            // SAFETY: the vector that was passed along, which nothing else uses meanwhile.
            unsafe { (*all.cast::<Vec<$item>>()).push(item) };
            0
        }
        let mut all: Vec<$item> = Vec::new();
        // SAFETY: the function of the runtime calls `keep` before it returns only.
        let code = unsafe { $call(keep, (&raw mut all).cast()) };
        match code {
            0 | api::BREAK => Ok(all),
            code => Err(code),
        }
    }};
}

fn succeed(code: Code) -> std::result::Result<(), Code> {
    if code == 0 { Ok(()) } else { Err(code) }
}

/// All devices that the runtime has.
pub(super) fn find(api: &Api) -> std::result::Result<Vec<Found>, Code> {
    let agents = list!(Agent, |keep, all| (api.agents)(keep, all))?;
    let kind = |agent: Agent| agent_info::<u32>(api, agent, api::AGENT_DEVICE);
    let mut host = None;
    for agent in &agents {
        if kind(*agent)? == api::DEVICE_CPU {
            let pools = pools(api, *agent)?;
            let global = |flag| {
                let of = |pool: &&PoolInfo| pool.is_global && pool.flags & flag != 0;
                pools.iter().find(of).map(|pool| pool.pool)
            };
            if let (Some(arguments), Some(visible)) =
                (global(api::POOL_KERNARG), global(api::POOL_FINE))
            {
                host = Some((*agent, visible, arguments));
                break;
            }
        }
    }
    let Some((host, visible, arguments)) = host else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for agent in agents {
        if kind(agent)? == api::DEVICE_GPU {
            all.push(agent);
        }
    }
    let all: Arc<[Agent]> = all.into();
    let frequency = api.frequency()?;
    let mut found = Vec::new();
    for &agent in &*all {
        let pools = pools(api, agent)?;
        let local = |pool: &&PoolInfo| pool.is_global && pool.flags & api::POOL_COARSE != 0;
        let shared = pools.iter().find(|pool| pool.segment == api::SEGMENT_GROUP);
        let (Some(local), Some(processor)) = (pools.iter().find(local), processor(api, agent)?)
        else {
            continue;
        };
        found.push(Found {
            agent,
            processor,
            product: text(api, agent, api::AGENT_PRODUCT_NAME),
            compute_units: agent_info(api, agent, api::AGENT_COMPUTE_UNITS)?,
            memory: local.size,
            shared: shared.map_or(64 << 10, |pool| pool.size),
            pools: Pools {
                host,
                device: local.pool,
                visible,
                arguments,
            },
            all: Arc::clone(&all),
            frequency,
        });
    }
    Ok(found)
}

fn agent_info<T: Default>(api: &Api, agent: Agent, what: u32) -> std::result::Result<T, Code> {
    let mut value = T::default();
    // SAFETY: valid for writes of what is asked for, which callers name the type of.
    succeed(unsafe { (api.agent_info)(agent, what, (&raw mut value).cast()) })?;
    Ok(value)
}

/// A text of an agent, of which there are at most 64 bytes.
fn text(api: &Api, agent: Agent, what: u32) -> String {
    let mut bytes = [0u8; 65];
    // SAFETY: valid for writes of as many bytes as texts of agents have.
    let code = unsafe { (api.agent_info)(agent, what, bytes.as_mut_ptr().cast()) };
    let text = CStr::from_bytes_until_nul(&bytes)
        .ok()
        .filter(|_| code == 0);
    text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
}

/// The name of an agent's processor, out of that of its instruction set:
/// `amdgcn-amd-amdhsa--gfx942:sramecc+:xnack-`.
fn processor(api: &Api, agent: Agent) -> std::result::Result<Option<String>, Code> {
    let isas = list!(Isa, |keep, all| (api.isas)(agent, keep, all))?;
    let Some(isa) = isas.first() else {
        return Ok(None);
    };
    let mut len = 0u32;
    // SAFETY: valid for writes; the name is given as many bytes as it is said to have.
    let name = unsafe {
        succeed((api.isa_info)(
            *isa,
            api::ISA_NAME_LENGTH,
            (&raw mut len).cast(),
        ))?;
        let mut name = vec![0u8; len as usize + 1];
        succeed((api.isa_info)(
            *isa,
            api::ISA_NAME,
            name.as_mut_ptr().cast(),
        ))?;
        name
    };
    let name = String::from_utf8_lossy(&name).into_owned();
    let name = name.trim_end_matches('\0');
    let processor = name.rsplit_once("--").map(|(_, processor)| processor);
    Ok(processor
        .and_then(|text| text.split(':').next())
        .map(str::to_owned))
}

struct PoolInfo {
    pool: Pool,
    segment: u32,
    /// Of the segment of global memory, and open to allocations.
    is_global: bool,
    flags: u32,
    size: usize,
}

fn pools(api: &Api, agent: Agent) -> std::result::Result<Vec<PoolInfo>, Code> {
    let all = list!(Pool, |keep, all| (api.pools)(agent, keep, all))?;
    all.into_iter()
        .map(|pool| {
            let (mut segment, mut flags, mut size, mut may) = (0u32, 0u32, 0usize, false);
            // SAFETY: valid for writes of what is asked for.
            unsafe {
                let get = |what, to| succeed((api.pool_info)(pool, what, to));
                get(api::POOL_SEGMENT, (&raw mut segment).cast())?;
                get(api::POOL_SIZE, (&raw mut size).cast())?;
                if segment == api::SEGMENT_GLOBAL {
                    get(api::POOL_FLAGS, (&raw mut flags).cast())?;
                    get(api::POOL_MAY_ALLOCATE, (&raw mut may).cast())?;
                }
            }
            Ok(PoolInfo {
                pool,
                segment,
                is_global: segment == api::SEGMENT_GLOBAL && may,
                flags,
                size,
            })
        })
        .collect()
}

/// What happened in queues, for the runtime to write to.
#[derive(Debug, Default)]
struct Faults {
    lost: OnceLock<String>,
}

/// A device that is in use.
pub(super) struct Device {
    api: &'static Api,
    name: String,
    found: Found,
    faults: &'static Faults,
    queues: Mutex<Vec<*mut Queue>>,
    /// Signals of value 1 that nothing uses.
    signals: Recycled<Signal>,
}

// SAFETY: agents, queues and signals may be used by any thread.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    pub(super) fn open(api: &'static Api, name: &str, found: &Found) -> Self {
        Device {
            api,
            name: name.to_owned(),
            found: found.clone(),
            // Queues may tell of faults for as long as they exist, and some do to the end.
            faults: Box::leak(Box::default()),
            queues: Mutex::default(),
            signals: Recycled::default(),
        }
    }

    pub(super) fn api(&self) -> &'static Api {
        self.api
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn agent(&self) -> Agent {
        self.found.agent
    }

    /// All devices of the runtime.
    pub(super) fn all(&self) -> &[Agent] {
        &self.found.all
    }

    pub(super) fn pools(&self) -> Pools {
        self.found.pools
    }

    /// Lanes of a wavefront.
    pub(super) fn lanes(&self) -> u32 {
        amdgpu::lanes(&self.found.processor) as u32
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.found.memory
    }

    /// Whether something went wrong in one of its queues: nothing more is given to it.
    pub(super) fn is_lost(&self) -> bool {
        self.faults.lost.get().is_some()
    }

    /// Gives the device up.
    pub(super) fn lose(&self, reason: String) {
        let _ = self.faults.lost.set(reason);
    }

    /// An error if the device is lost.
    pub(super) fn alive(&self) -> Result<()> {
        match self.faults.lost.get() {
            None => Ok(()),
            Some(reason) => Err(Error::DeviceLost {
                accelerator: self.name.clone(),
                reason: reason.clone(),
            }),
        }
    }

    /// What a result of the runtime means.
    pub(super) fn check(&self, code: Code) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        self.alive()?;
        Err(Error::Device {
            accelerator: self.name.clone(),
            reason: self.api.describe(code),
        })
    }

    /// A queue of its own, which stays until the device is lost, for packets of several threads or of one.
    pub(super) fn new_queue(&self, kind: u32) -> Result<*mut Queue> {
        let mut most = 0u32;
        let mut queue = null_mut();
        // SAFETY: valid for writes; what is told of faults stays for as long as the process. How much
        // scratch memory kernels need, packets say.
        unsafe {
            let agent = self.agent();
            let to = (&raw mut most).cast();
            self.check((self.api.agent_info)(agent, api::AGENT_QUEUE_MAX_SIZE, to))?;
            self.check((self.api.create_queue)(
                agent,
                QUEUE_SIZE.min(most),
                kind,
                report,
                ptr::from_ref(self.faults).cast_mut().cast(),
                u32::MAX,
                u32::MAX,
                &mut queue,
            ))?;
        }
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(queue);
        Ok(queue)
    }

    /// A signal of value 1.
    pub(super) fn take_signal(&self) -> Result<Signal> {
        self.signals.take(|| {
            let new = || {
                let mut signal = Signal::default();
                // SAFETY: valid for writes; anyone may wait for it.
                let made = unsafe { (self.api.create_signal)(1, 0, null(), &mut signal) };
                self.check(made).map(|()| signal)
            };
            let mut all = vec![new()?];
            // The runtime may have no more than that.
            all.extend((1..SIGNALS).map_while(|_| new().ok()));
            Ok(all)
        })
    }

    /// Sets a signal that nobody waits for yet.
    pub(super) fn prepare_signal(&self, signal: Signal, value: i64) {
        // SAFETY: a signal of this device, as its owner says.
        unsafe { (self.api.set_signal_silently)(signal, value) };
    }

    /// Takes a signal back that nothing uses any more. Here it is set for the next who asks, which is no matter of
    /// who launches.
    pub(super) fn give_back_signal(&self, signal: Signal) {
        self.prepare_signal(signal, 1);
        self.signals.give_back(signal);
    }

    /// Whether a signal has been set by what completes it.
    pub(super) fn is_set(&self, signal: Signal) -> bool {
        // SAFETY: a signal of this device.
        unsafe { (self.api.load_signal)(signal) < 1 }
    }

    /// Waits at most so long for a signal to be set, without looking all the time; whether it is.
    pub(super) fn wait(&self, signal: Signal, longest: Duration) -> bool {
        let ticks = u128::from(self.found.frequency) * longest.as_nanos() / 1_000_000_000;
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
        let (condition, state) = (api::CONDITION_LESS, api::WAIT_BLOCKED);
        // SAFETY: a signal of this device.
        let value = unsafe { (self.api.wait_signal)(signal, condition, 1, ticks, state) };
        value < 1
    }

    /// Waits until a signal is set.
    pub(super) fn outwait(&self, signal: Signal) -> Result<()> {
        while !self.wait(signal, PATIENCE) {
            self.alive()?;
        }
        Ok(())
    }

    /// Destroys the queues of a lost device: nothing that they were given runs any more.
    pub(super) fn destroy_queues(&self) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.drain(..) {
            // SAFETY: the queue exists, and as the device is lost, nobody gives it anything.
            let code = unsafe { (self.api.destroy_queue)(queue) };
            if code != 0 {
                tracing::debug!(reason = self.api.describe(code), "a queue stays");
            }
        }
    }
}

/// Notes what happened in a queue.
extern "C" fn report(code: Code, queue: *mut Queue, faults: *mut c_void) {
    // SAFETY: what `new_queue` passed along, which stays.
    let faults = unsafe { &*faults.cast::<Faults>() };
    let Ok(api) = api::api() else {
        return;
    };
    // SAFETY: the runtime calls with a queue that exists, or with none.
    let more = unsafe { (!queue.is_null()).then(|| api.report(queue)).flatten() };
    let reason = match more {
        Some(more) => format!("{}: {more}", api.describe(code)),
        None => api.describe(code),
    };
    let _ = faults.lost.set(reason);
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name)
            .field("lost", &self.faults.lost)
            .finish_non_exhaustive()
    }
}
