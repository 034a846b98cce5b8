//! What can go wrong: in loading code, and in a kernel that runs.

use crate::decode::Register;

/// Why code can't be loaded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// LLVM, which decodes instructions, is not to be had.
    #[error("LLVM's disassembler can't be used: {reason}")]
    Llvm {
        /// What failed, and where it was looked for.
        reason: String,
    },
    /// A code object is not what it should be.
    #[error("the code object can't be loaded: {reason}")]
    CodeObject {
        /// What is wrong with it.
        reason: String,
    },
}

/// What stopped a kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// An instruction that the interpreter doesn't know, or of a form that it doesn't know.
    #[error("the simulator doesn't know {0}")]
    Unknown(String),
    /// Execution left the code.
    #[error("execution goes on at {0:#x}, where there is no code")]
    NoCode(u64),
    /// An access to memory that isn't there, or that the agent has no access to.
    #[error("{what} of {size} bytes at {address:#x} of lane {lane}: {why}")]
    Memory {
        /// The kind of access.
        what: &'static str,
        /// Where.
        address: u64,
        /// How much.
        size: usize,
        /// By which lane of the wave.
        lane: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// An access beyond a work-group's or a work-item's own memory.
    #[error(
        "{what} of {size} bytes at offset {offset:#x} of lane {lane}: {segment} has {limit} bytes"
    )]
    Aperture {
        /// The kind of access.
        what: &'static str,
        /// Which memory.
        segment: &'static str,
        /// Where in it.
        offset: u64,
        /// How much.
        size: usize,
        /// The size of the memory.
        limit: usize,
        /// By which lane of the wave.
        lane: usize,
    },
    /// An address that its access's alignment forbids.
    #[error("{what} of {size} bytes at {address:#x} of lane {lane} is not aligned")]
    Misaligned {
        /// The kind of access.
        what: &'static str,
        /// Where.
        address: u64,
        /// How much.
        size: usize,
        /// By which lane of the wave.
        lane: usize,
    },
    /// A register that nothing has written decides where or whether something happens.
    #[error("{0} is used as {1}, but was never written")]
    Undefined(Register, &'static str),
    /// A register is used that a memory instruction has yet to write or read, without a wait between.
    #[error("{0} is used while {1} is under way: an s_waitcnt is missing")]
    MissingWait(Register, &'static str),
    /// A register that the kernel doesn't have.
    #[error("{0} is beyond the registers that the kernel asked for")]
    NoRegister(Register),
    /// `s_trap`.
    #[error("the kernel stopped itself by s_trap {0}")]
    Trap(u32),
    /// A mode of the floating-point unit that is not there.
    #[error("the simulator doesn't have the floating-point mode {0:#x}")]
    Mode(u32),
    /// A value that another wave of the work-group stored before a barrier, without waiting for the store.
    #[error(
        "a load at {address:#x} of lane {lane}: wave {wave} has stored there before a barrier, at which it had \
         not waited for the store: a fence is missing"
    )]
    MissingFence {
        /// Where.
        address: u64,
        /// The lane that loads.
        lane: usize,
        /// The wave that stored.
        wave: usize,
        /// The slot of its instruction.
        slot: u32,
    },
    /// A value that another work-group stored, without what brings it to this one.
    #[error(
        "a load at {address:#x} of lane {lane}: work-group number {group} has stored there, and {lacks}, so that the \
         load may give what was there before: a fence is missing"
    )]
    MissingOrder {
        /// Where.
        address: u64,
        /// The lane that loads.
        lane: usize,
        /// The work-group that stored, by its number in the grid.
        group: u64,
        /// The slot of its instruction.
        slot: u32,
        /// What was not done.
        lacks: &'static str,
    },
    /// A product of matrices for which all lanes have to be active.
    #[error("matrices are multiplied while lanes are off")]
    LanesOff,
    /// A product of matrices whose factors both halves of the wave must have.
    #[error("lane {0} has another part of a matrix than the lane 16 below it")]
    Halves(usize),
    /// A wave has executed more instructions than it may.
    #[error(
        "a wave has executed {0} instructions, which is as many as LEGIONELLA_HSASIM_LIMIT lets it"
    )]
    Endless(u64),
}
