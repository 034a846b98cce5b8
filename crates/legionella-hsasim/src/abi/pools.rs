//! Memory pools and access to memory.

use std::ffi::c_void;

use crate::machine::agent::{Pool, PoolKind, agents, pool};
use crate::machine::memory::{Purpose, memory};

use super::agents::AgentHandle;
use super::{Status, give, initialized, status};

/// `hsa_amd_memory_pool_t`: the pool's number.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct PoolHandle {
    /// The number.
    pub handle: u64,
}

impl PoolHandle {
    fn pool(self) -> Option<&'static Pool> {
        pool(u32::try_from(self.handle).ok()?)
    }
}

fn flags(kind: PoolKind) -> u32 {
    match kind {
        PoolKind::Fine => 2,
        PoolKind::KernelArguments => 1 | 2,
        PoolKind::CoarseHost | PoolKind::Device => 4,
        PoolKind::Group => 0,
    }
}

/// Calls a function for each pool of an agent.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_agent_iterate_memory_pools(
    agent: AgentHandle,
    callback: Option<unsafe extern "C" fn(PoolHandle, *mut c_void) -> Status>,
    data: *mut c_void,
) -> Status {
    initialized!();
    let Some(agent) = agent.agent() else {
        return status::INVALID_AGENT;
    };
    let Some(callback) = callback else {
        return status::INVALID_ARGUMENT;
    };
    for pool in &agent.pools {
        // SAFETY: the header's contract.
        let result = unsafe {
            callback(
                PoolHandle {
                    handle: pool.number.into(),
                },
                data,
            )
        };
        if result != status::SUCCESS {
            return result;
        }
    }
    status::SUCCESS
}

/// Tells of a pool.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_memory_pool_get_info(
    pool: PoolHandle,
    attribute: u32,
    value: *mut c_void,
) -> Status {
    initialized!();
    let Some(pool) = pool.pool() else {
        return status::INVALID_MEMORY_POOL;
    };
    let global = pool.kind != PoolKind::Group;
    // SAFETY: the header's contract: the value has the attribute's type.
    unsafe {
        match attribute {
            0 => give(value, if global { 0u32 } else { 3 }),
            1 => give(value, flags(pool.kind)),
            2 => give(value, pool.size),
            5 => give(value, global),
            6 | 7 => give(value, if global { 4096usize } else { 0 }),
            15 => give(value, false),
            16 => give(value, if global { pool.size } else { 0 }),
            _ => status::INVALID_ARGUMENT,
        }
    }
}

/// Allocates memory of a pool, for its agent.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_memory_pool_allocate(
    pool: PoolHandle,
    size: usize,
    _flags: u32,
    address: *mut *mut c_void,
) -> Status {
    initialized!();
    let Some(pool) = pool.pool() else {
        return status::INVALID_MEMORY_POOL;
    };
    if size == 0 || address.is_null() {
        return status::INVALID_ARGUMENT;
    }
    if pool.kind == PoolKind::Group || size > pool.size {
        return status::INVALID_ALLOCATION;
    }
    if !pool.take(size) {
        return status::OUT_OF_RESOURCES;
    }
    match memory().allocate(size, Purpose::Pool(pool.number), 1 | 1 << pool.agent) {
        // SAFETY: the header's contract.
        Some(memory) => unsafe { give(address.cast(), memory.as_ptr()) },
        None => {
            pool.give(size);
            status::OUT_OF_RESOURCES
        }
    }
}

/// Gives memory back.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_amd_memory_pool_free(address: *mut c_void) -> Status {
    initialized!();
    if address.is_null() {
        return status::SUCCESS;
    }
    let Some(region) = memory().region(address as u64) else {
        return status::INVALID_ALLOCATION;
    };
    let Purpose::Pool(number) = region.purpose else {
        return status::INVALID_ALLOCATION;
    };
    if !memory().remove(address as u64, |purpose| purpose == Purpose::Pool(number)) {
        return status::INVALID_ALLOCATION;
    }
    if let Some(pool) = pool(number) {
        pool.give(region.size);
    }
    status::SUCCESS
}

/// Tells how an agent reaches a pool.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_agent_memory_pool_get_info(
    agent: AgentHandle,
    pool: PoolHandle,
    attribute: u32,
    value: *mut c_void,
) -> Status {
    initialized!();
    let (Some(agent), Some(pool)) = (agent.agent(), pool.pool()) else {
        return if agent.agent().is_none() {
            status::INVALID_AGENT
        } else {
            status::INVALID_MEMORY_POOL
        };
    };
    let own = agent.number == pool.agent;
    // SAFETY: the header's contract: the value has the attribute's type.
    unsafe {
        match attribute {
            0 if pool.kind == PoolKind::Group => give(value, 0u32),
            0 => give(value, if own { 1u32 } else { 2 }),
            1 => give(value, u32::from(!own)),
            _ => status::INVALID_ARGUMENT,
        }
    }
}

/// Gives agents access to memory, and takes it from others but the memory's own.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_agents_allow_access(
    count: u32,
    handles: *const AgentHandle,
    _flags: *const u32,
    address: *const c_void,
) -> Status {
    initialized!();
    if count == 0 || handles.is_null() || address.is_null() {
        return status::INVALID_ARGUMENT;
    }
    let Some(region) = memory().region(address as u64) else {
        return status::INVALID_ALLOCATION;
    };
    let mut access = 1;
    if let Purpose::Pool(number) = region.purpose
        && let Some(pool) = pool(number)
    {
        access |= 1 << pool.agent;
    }
    for at in 0..count as usize {
        // SAFETY: the header's contract: so many handles.
        let Some(agent) = unsafe { *handles.add(at) }.agent() else {
            return status::INVALID_AGENT;
        };
        access |= agent.bit();
    }
    region.allow(access);
    memory().touch();
    status::SUCCESS
}

/// Makes the host's memory reachable for agents; all if none are named.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_memory_lock(
    host: *mut c_void,
    size: usize,
    handles: *mut AgentHandle,
    count: i32,
    agent_address: *mut *mut c_void,
) -> Status {
    initialized!();
    if host.is_null() || size == 0 || agent_address.is_null() {
        return status::INVALID_ARGUMENT;
    }
    let mut access = 1;
    if handles.is_null() || count <= 0 {
        access = agents()
            .iter()
            .fold(0, |access, agent| access | agent.bit());
    } else {
        for at in 0..count as usize {
            // SAFETY: the header's contract: so many handles.
            let Some(agent) = unsafe { *handles.add(at) }.agent() else {
                return status::INVALID_AGENT;
            };
            access |= agent.bit();
        }
    }
    memory().lock(host as u64, size, access);
    // SAFETY: the header's contract.
    unsafe { give(agent_address.cast(), host) }
}

/// Takes back what `hsa_amd_memory_lock` gave.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_amd_memory_unlock(host: *mut c_void) -> Status {
    initialized!();
    if memory().remove(host as u64, |purpose| purpose == Purpose::Locked) {
        status::SUCCESS
    } else {
        status::INVALID_ARGUMENT
    }
}

/// `hsa_amd_pointer_info_t`.
#[derive(Debug)]
#[repr(C)]
pub struct PointerInfo {
    size: u32,
    kind: u32,
    agent_base: u64,
    host_base: u64,
    bytes: usize,
    user_data: *mut c_void,
    owner: AgentHandle,
    global_flags: u32,
}

/// Tells of an address.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_pointer_info(
    address: *const c_void,
    info: *mut PointerInfo,
    _allocate: *const c_void,
    accessible: *mut u32,
    _agents: *mut *mut AgentHandle,
) -> Status {
    initialized!();
    if info.is_null() || !accessible.is_null() {
        return status::INVALID_ARGUMENT;
    }
    // SAFETY: the header's contract: `size` says how much there is.
    let info = unsafe { &mut *info };
    if (info.size as usize) < size_of::<PointerInfo>() {
        return status::INVALID_ARGUMENT;
    }
    info.kind = 0;
    if let Some(region) = memory().region(address as u64) {
        let owner = match region.purpose {
            Purpose::Pool(number) => {
                info.kind = 1;
                pool(number)
            }
            Purpose::Locked => {
                info.kind = 2;
                None
            }
            Purpose::Control | Purpose::Code(_) => None,
        };
        info.agent_base = region.base;
        info.host_base = region.base;
        info.bytes = region.size;
        info.owner = AgentHandle {
            handle: owner.map_or(1, |pool| u64::from(pool.agent) + 1),
        };
        info.global_flags = owner.map_or(0, |pool| flags(pool.kind));
    }
    status::SUCCESS
}
