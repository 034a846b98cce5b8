//! Agents and instruction sets.

use std::ffi::{CStr, c_char, c_void};

use crate::isa::Isa;
use crate::machine::agent::{Agent, agents};

use super::{Status, give, give_text, initialized, status};

/// `hsa_agent_t`: one more than the agent's number.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AgentHandle {
    /// The number.
    pub handle: u64,
}

/// `hsa_isa_t`: one more than the place in [`Isa::ALL`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct IsaHandle {
    /// The number.
    pub handle: u64,
}

impl AgentHandle {
    /// The handle of an agent.
    pub fn of(agent: &Agent) -> AgentHandle {
        AgentHandle {
            handle: u64::from(agent.number) + 1,
        }
    }

    /// The agent.
    pub fn agent(self) -> Option<&'static Agent> {
        agents().get(usize::try_from(self.handle.checked_sub(1)?).ok()?)
    }
}

impl IsaHandle {
    fn of(isa: Isa) -> IsaHandle {
        let place = Isa::ALL
            .iter()
            .position(|&other| other == isa)
            .unwrap_or_default();
        IsaHandle {
            handle: place as u64 + 1,
        }
    }

    fn isa(self) -> Option<Isa> {
        Isa::ALL
            .get(usize::try_from(self.handle.checked_sub(1)?).ok()?)
            .copied()
    }
}

/// The name of an instruction set, as HSA has it.
fn name(isa: Isa) -> String {
    let features = match isa {
        Isa::Gfx1100 => "",
        Isa::Gfx942 | Isa::Gfx90a => ":sramecc+:xnack-",
    };
    format!("amdgcn-amd-amdhsa--{}{features}", isa.name())
}

/// Calls a function for each agent.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_iterate_agents(
    callback: Option<unsafe extern "C" fn(AgentHandle, *mut c_void) -> Status>,
    data: *mut c_void,
) -> Status {
    initialized!();
    let Some(callback) = callback else {
        return status::INVALID_ARGUMENT;
    };
    for agent in agents() {
        // SAFETY: the header's contract.
        let result = unsafe { callback(AgentHandle::of(agent), data) };
        if result != status::SUCCESS {
            return result;
        }
    }
    status::SUCCESS
}

/// Tells of an agent.
///
/// # Safety
/// As `hsa.h` and `hsa_ext_amd.h` say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_agent_get_info(
    agent: AgentHandle,
    attribute: u32,
    value: *mut c_void,
) -> Status {
    initialized!();
    let Some(agent) = agent.agent() else {
        return status::INVALID_AGENT;
    };
    let gpu = agent.isa;
    let for_gpu = |number: u32| if gpu.is_some() { number } else { 0 };
    // SAFETY: the header's contract: the value has the attribute's type.
    unsafe {
        match attribute {
            0 => give_text(value, gpu.map_or("host processor", Isa::name), 64),
            1 => give_text(value, if gpu.is_some() { "AMD" } else { "CPU" }, 64),
            2 => give(value, for_gpu(1)),
            3 => give(value, 1u32),
            4 => give(value, u32::from(gpu.is_none())),
            5 => give(value, 2u32),
            6 => give(value, gpu.map_or(0, Isa::wave) as u32),
            7 => give(value, gpu.map_or([0u16; 3], |_| [1024; 3])),
            8 => give(value, for_gpu(1024)),
            9 => give(value, [for_gpu(u32::MAX); 3]),
            10 => give(value, for_gpu(u32::MAX)),
            11 => give(value, for_gpu(32)),
            12 => give(value, for_gpu(128)),
            13 => give(value, for_gpu(64)),
            14 => give(value, for_gpu(131_072)),
            15 => give(value, 0u32),
            16 => give(value, agent.number),
            17 => give(value, u32::from(gpu.is_some())),
            18 => give(value, [16_384u32, 4 << 20, 0, 0]),
            19 => give(value, gpu.map_or(0, |isa| IsaHandle::of(isa).handle)),
            20 => give_text(value, "", 128),
            21 | 22 => give(value, 1u16),
            24 => give(value, gpu.is_some()),
            0xA000 => give(value, gpu.map_or(0, Isa::machine)),
            0xA001 => give(value, 64u32),
            0xA002 => give(value, gpu.map_or_else(processors, Isa::compute_units)),
            0xA003 => give(value, for_gpu(2000)),
            0xA004 => give(value, agent.number),
            0xA005 => give(value, 0u32),
            0xA006 => give(value, agent.number << 8),
            0xA007 => give(value, 4096u32),
            0xA008 => give(value, 1000u32),
            0xA009 => give_text(value, gpu.map_or("host processor", Isa::product), 64),
            0xA00A => give(value, for_gpu(32)),
            0xA00B => give(value, for_gpu(4)),
            0xA00C => give(value, for_gpu(1)),
            0xA00D => give(value, for_gpu(1)),
            0xA00F => give(value, 0u32),
            0xA010 => give(value, false),
            0xA011 => give_text(value, &uuid(agent), 21),
            0xA012 => give(value, 0u32),
            0xA013 => give(value, true),
            0xA014 => give(value, 0u32),
            _ => status::INVALID_ARGUMENT,
        }
    }
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

fn uuid(agent: &Agent) -> String {
    match agent.isa {
        Some(isa) => format!("GPU-5e61{:08x}{:04x}", isa.machine(), agent.number),
        None => "CPU-XX".to_owned(),
    }
}

/// Calls a function for each instruction set of an agent.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_agent_iterate_isas(
    agent: AgentHandle,
    callback: Option<unsafe extern "C" fn(IsaHandle, *mut c_void) -> Status>,
    data: *mut c_void,
) -> Status {
    initialized!();
    let Some(agent) = agent.agent() else {
        return status::INVALID_AGENT;
    };
    match (agent.isa, callback) {
        // SAFETY: the header's contract.
        (Some(isa), Some(callback)) => unsafe { callback(IsaHandle::of(isa), data) },
        (None, Some(_)) => status::SUCCESS,
        (_, None) => status::INVALID_ARGUMENT,
    }
}

/// The instruction set of a name.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_isa_from_name(text: *const c_char, handle: *mut IsaHandle) -> Status {
    initialized!();
    if text.is_null() || handle.is_null() {
        return status::INVALID_ARGUMENT;
    }
    // SAFETY: the header's contract: a terminated string.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let target = text.strip_prefix("amdgcn-amd-amdhsa--").unwrap_or_default();
    let processor = target.split(':').next().unwrap_or_default();
    match Isa::named(processor) {
        // SAFETY: the header's contract.
        Some(isa) => unsafe { give(handle.cast(), IsaHandle::of(isa)) },
        None => status::INVALID_ISA_NAME,
    }
}

/// Tells of an instruction set.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_isa_get_info_alt(
    isa: IsaHandle,
    attribute: u32,
    value: *mut c_void,
) -> Status {
    initialized!();
    let Some(isa) = isa.isa() else {
        return status::INVALID_ISA;
    };
    let text = name(isa);
    // SAFETY: the header's contract: the value has the attribute's type.
    unsafe {
        match attribute {
            0 => give(value, text.len() as u32 + 1),
            1 => give_text(value, &text, text.len() + 1),
            5 => give(value, [false, true]),
            6 => give(value, [true, false]),
            9 => give(value, true),
            12 => give(value, [1024u16; 3]),
            13 => give(value, 1024u32),
            14 => give(value, [u32::MAX; 3]),
            16 => give(value, u64::from(u32::MAX)),
            17 => give(value, 32u32),
            _ => status::INVALID_ARGUMENT,
        }
    }
}

/// Loses an agent, as a device that fell off its bus: for tests of what programs do then. Not in ROCm.
#[unsafe(no_mangle)]
pub extern "C" fn legionella_hsasim_lose(agent: AgentHandle) -> Status {
    match agent.agent() {
        Some(agent) if agent.isa.is_some() => {
            agent.lose();
            status::SUCCESS
        }
        _ => status::INVALID_AGENT,
    }
}
