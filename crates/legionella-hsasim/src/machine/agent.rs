//! Agents: the host's processor, and one for each simulated GPU; and the pools that memory comes from.
//!
//! `LEGIONELLA_HSA=sim:gfx1100,gfx942` names the GPUs; without names there is one of each instruction set.
//! `LEGIONELLA_HSASIM_MEMORY` gives the bytes of each GPU's memory, `LEGIONELLA_HSASIM_ARGUMENTS` those of the
//! host's for arguments of kernels.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::isa::Isa;
use crate::operation;

/// The variable that names the simulated GPUs.
pub const VARIABLE: &str = "LEGIONELLA_HSA";

/// The variable with the size of each GPU's memory.
pub const MEMORY_VARIABLE: &str = "LEGIONELLA_HSASIM_MEMORY";

/// The variable with the size of the host's memory for arguments of kernels.
pub const ARGUMENTS_VARIABLE: &str = "LEGIONELLA_HSASIM_ARGUMENTS";

/// An agent.
#[derive(Debug)]
pub struct Agent {
    /// Its number, which is its bit in masks too.
    pub number: u32,
    /// Its instruction set; `None` for the host's processor.
    pub isa: Option<Isa>,
    /// Its pools.
    pub pools: Vec<Pool>,
    /// Whether it has been lost, as a device that fell off its bus.
    lost: AtomicBool,
}

/// A pool that memory comes from.
#[derive(Debug)]
pub struct Pool {
    /// Its number among all agents' pools.
    pub number: u32,
    /// The agent's number.
    pub agent: u32,
    /// What memory it has.
    pub kind: PoolKind,
    /// Bytes.
    pub size: usize,
    used: AtomicUsize,
}

/// What memory a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The host's, coherent.
    Fine,
    /// The host's, coherent, for kernels' arguments.
    KernelArguments,
    /// The host's, coherent at the ends of kernels.
    CoarseHost,
    /// The device's.
    Device,
    /// Of work-groups; can't be allocated.
    Group,
}

impl Pool {
    /// Takes so many bytes of the pool.
    pub fn take(&self, bytes: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|&used| used <= self.size)
            })
            .is_ok()
    }

    /// Gives so many bytes back.
    pub fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Agent {
    /// Its bit in masks of agents.
    pub fn bit(&self) -> u64 {
        1 << self.number
    }

    /// Whether it has been lost.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Loses it: its queues fail from now on.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

/// All agents.
pub fn agents() -> &'static [Agent] {
    static AGENTS: OnceLock<Vec<Agent>> = OnceLock::new();
    AGENTS.get_or_init(|| {
        let isas = if operation::supported() {
            chosen()
        } else {
            Vec::new()
        };
        let size = |variable, usual| {
            let text = std::env::var(variable).ok();
            text.and_then(|text| text.parse().ok()).unwrap_or(usual)
        };
        let gpu_memory = size(MEMORY_VARIABLE, 16 << 30);
        let arguments = size(ARGUMENTS_VARIABLE, 64 << 20);
        let mut pools = 0;
        let mut pool = |agent, kind, size| {
            pools += 1;
            Pool {
                number: pools,
                agent,
                kind,
                size,
                used: AtomicUsize::new(0),
            }
        };
        let host = Agent {
            number: 0,
            isa: None,
            pools: vec![
                pool(0, PoolKind::Fine, 64 << 30),
                pool(0, PoolKind::KernelArguments, arguments),
                pool(0, PoolKind::CoarseHost, 64 << 30),
            ],
            lost: AtomicBool::new(false),
        };
        let gpus = isas.into_iter().zip(1..).map(|(isa, number)| Agent {
            number,
            isa: Some(isa),
            pools: vec![
                pool(number, PoolKind::Device, gpu_memory),
                pool(number, PoolKind::Group, isa.local_memory()),
            ],
            lost: AtomicBool::new(false),
        });
        std::iter::once(host).chain(gpus).collect()
    })
}

/// The instruction sets that the environment asks for.
fn chosen() -> Vec<Isa> {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    let names = value
        .strip_prefix("sim:")
        .unwrap_or_default()
        .split('@')
        .next()
        .unwrap_or_default();
    let isas: Vec<Isa> = names
        .split(',')
        .filter_map(|name| Isa::named(name.trim()))
        .take(60)
        .collect();
    for name in names.split(',').map(str::trim) {
        if !name.is_empty() && Isa::named(name).is_none() {
            eprintln!("legionella-hsasim: {VARIABLE} names {name}, which is not simulated");
        }
    }
    if names.is_empty() {
        Isa::ALL.to_vec()
    } else {
        isas
    }
}

/// The pool of a number.
pub fn pool(number: u32) -> Option<&'static Pool> {
    agents()
        .iter()
        .flat_map(|agent| &agent.pools)
        .find(|pool| pool.number == number)
}
