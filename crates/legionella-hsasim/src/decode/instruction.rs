//! A decoded instruction: what is done, to which operands.

use crate::operation::scalar::ScalarOperation;
use crate::operation::{Comparison, Operation};

use super::matrix::Product;
use super::operand::{Operand, Register};
use super::plain::Plain;

/// An instruction, ready to be executed.
#[derive(Debug)]
pub struct Instruction {
    /// What it does.
    pub kind: Kind,
    /// The result's register.
    pub destination: Operand,
    /// Where carries and conditions go, of instructions that give one beside their result.
    pub carry: Operand,
    /// The sources.
    pub sources: [Operand; 4],
    /// What is done to sources and result on the way.
    pub modifiers: Option<Box<Modifiers>>,
    /// The slot of the instruction that follows.
    pub next: u32,
    /// The registers that it reads or writes, for the check of waits.
    pub uses: Box<[(Register, u8)]>,
}

/// What is done to the sources and the result of a vector instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// A bit a source: its sign is dropped.
    pub absolute: u8,
    /// A bit a source: its sign changes.
    pub negate: u8,
    /// A bit a source: its upper half is taken (of packed ones, for the lower half of the result); bit 3: the
    /// result goes into the upper half.
    pub select: u8,
    /// A bit a source of packed instructions: its upper half is taken for the upper half of the result.
    pub select_high: u8,
    /// As `negate`, for the upper half of the result.
    pub negate_high: u8,
    /// The result is limited to the range from 0 to 1, or saturated.
    pub clamp: bool,
    /// The result is multiplied by 2, 4 or ½: 1, 2, 3.
    pub multiply: u8,
    /// The first source comes from other lanes.
    pub permute: Option<Permute>,
    /// Parts of the sources and the result are addressed.
    pub parts: Option<Parts>,
}

/// How the first source of an instruction comes from other lanes (DPP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permute {
    /// Which lane a lane gets.
    pub pattern: Pattern,
    /// Rows of 16 lanes that take part, a bit each.
    pub rows: u8,
    /// Banks of 4 lanes in each row that take part, a bit each.
    pub banks: u8,
    /// Lanes without a source get zero, instead of keeping their old value.
    pub zero: bool,
    /// Lanes may read from lanes that are switched off.
    pub inactive: bool,
}

/// Patterns of lanes, within rows of 16 unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Each of four gets one of its four.
    Quad([u8; 4]),
    /// Each of eight gets one of its eight.
    Eight([u8; 8]),
    /// From the lane that many above.
    ShiftLeft(u8),
    /// From the lane that many below.
    ShiftRight(u8),
    /// From the lane that many below, around.
    RotateRight(u8),
    /// The row reversed.
    Mirror,
    /// Each half of the row reversed.
    HalfMirror,
    /// From one lane of the row.
    Share(u8),
    /// From the lane whose number differs in these bits.
    Xor(u8),
    /// From the last lane of the row before, for rows 1 and 3.
    Broadcast15,
    /// From lane 31, for rows 2 and 3.
    Broadcast31,
    /// From the lane above, in the whole wave.
    WaveShiftLeft,
    /// From the lane below, in the whole wave.
    WaveShiftRight,
    /// From the lane above, in the whole wave, around.
    WaveRotateLeft,
    /// From the lane below, in the whole wave, around.
    WaveRotateRight,
}

/// Which bits of a register take part (SDWA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first bit.
    pub shift: u8,
    /// How many.
    pub bits: u8,
}

impl Part {
    /// All bits.
    pub const WHOLE: Part = Part { shift: 0, bits: 32 };
}

/// Parts of the sources and of the result (SDWA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Of the first two sources.
    pub sources: [Part; 2],
    /// A bit a source: extended by its sign.
    pub extend: u8,
    /// Of the result.
    pub destination: Part,
    /// What becomes of the result's other bits.
    pub rest: Rest,
}

/// What becomes of bits of the destination that are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Zero.
    Zero,
    /// The sign of what is written, above it; zero below.
    Sign,
    /// They stay.
    Keep,
}

/// What an instruction does.
#[derive(Debug)]
pub enum Kind {
    /// Not decodable, or unknown: executing it is a fault with this text.
    Unknown(Box<str>),
    /// Hints, cache controls and what else changes nothing here.
    Nothing,
    /// Computes in all lanes.
    Vector(&'static Operation),
    /// As `Vector`, in the usual form.
    Plain(Box<Plain>),
    /// As `Dual`, of two in the usual form.
    DualPlain(Box<[Plain; 2]>),
    /// As `Vector`, in the unit that has no modifiers and no masks: reads one lane's worth into scalars.
    Packed(&'static Operation),
    /// Two operations of 32 bits on the two registers of each operand.
    PackedWords(&'static Operation),
    /// `v_fma_mix`: sources are whole registers or halves of them.
    Mixed(&'static Operation),
    /// Computes, and gives a bit a lane beside: the second operation's lowest bit.
    VectorAndMask(&'static Operation, &'static Operation),
    /// One of two operations, by a lane's bit of `vcc`.
    VectorByMask(&'static Operation, &'static Operation),
    /// Adds or subtracts with carries.
    Carry {
        /// Subtracts.
        subtract: bool,
        /// The second source is the minuend.
        reverse: bool,
        /// Takes a carry in, from the third source.
        carry_in: bool,
    },
    /// Compares; the condition mask goes to `carry`, and to the execution mask if `exec`.
    Compare {
        /// The comparison.
        test: &'static Comparison,
        /// `v_cmpx`.
        exec: bool,
    },
    /// One of two sources, by a lane's bit of the third.
    Select {
        /// 16 bits each.
        half: bool,
    },
    /// Exchanges two registers.
    Swap,
    /// A lane's value to a scalar register.
    ReadLane,
    /// The first active lane's value to a scalar register.
    ReadFirstLane,
    /// A scalar value to a lane.
    WriteLane,
    /// Counts a mask's bits below the lane: of the lower or the upper half of the wave.
    CountBelow {
        /// The mask is of lanes 32 and up.
        high: bool,
    },
    /// A lane of the row for each lane (`v_permlane16`), or of the neighbouring row (`v_permlanex16`).
    PermuteRow {
        /// Of the neighbouring row.
        across: bool,
    },
    /// Exchanges the halves of a wave of 64.
    PermuteHalves,
    /// Moves to or from a vector register that `m0` selects.
    MoveRelative {
        /// The source is selected, otherwise the destination.
        source: bool,
    },
    /// Two instructions at once, which read before either writes.
    Dual(Box<[Instruction; 2]>),
    /// Multiplies matrices.
    Matrix(Product),
    /// Computes on scalars.
    Scalar(&'static ScalarOperation),
    /// Computes a new execution mask.
    SaveExec {
        /// The new mask, of source and old mask.
        run: fn(u64, u64) -> u64,
        /// Masks have 64 bits.
        wide: bool,
        /// What goes to the destination is the new mask, not the old one.
        write: bool,
    },
    /// Goes on elsewhere, if a condition holds.
    Branch {
        /// The condition.
        condition: Condition,
        /// The slot.
        target: u32,
    },
    /// The program counter to scalar registers.
    GetPc,
    /// Goes on where scalar registers say.
    SetPc,
    /// As `SetPc`; the program counter goes to scalar registers.
    SwapPc,
    /// Goes on at the slot; the program counter goes to scalar registers.
    Call(u32),
    /// Reads a field of a hardware register.
    GetRegister(HardwareField),
    /// Writes a field of a hardware register.
    SetRegister(HardwareField),
    /// A clock.
    Time {
        /// The constant-rate clock.
        real: bool,
    },
    /// Loads scalars.
    ScalarLoad {
        /// Registers.
        words: u8,
        /// Bytes added to the address.
        offset: i64,
    },
    /// Loads, stores or changes memory, a lane at a time.
    Memory(Access),
    /// Exchanges values between lanes by the crossbar of the work-group's memory.
    Crossbar(Crossbar),
    /// Waits until at most so many accesses are under way.
    Wait {
        /// Loads of vectors (and stores, where these have no counter of their own).
        vector: Option<u8>,
        /// Accesses of the work-group's memory, loads of scalars, messages.
        local: Option<u8>,
        /// Stores of vectors.
        store: Option<u8>,
    },
    /// Waits for the other waves of the work-group.
    Barrier,
    /// Ends the wave.
    End,
    /// Stops the kernel.
    Trap(u32),
    /// Gives way to other waves.
    Sleep,
}

/// Conditions of branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// The condition code is 0, or 1.
    Scc(bool),
    /// `vcc` is zero, or not.
    VccZero(bool),
    /// The execution mask is zero, or not.
    ExecZero(bool),
}

/// A field of a hardware register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwareField {
    /// Which.
    pub register: Hardware,
    /// The first bit.
    pub offset: u8,
    /// How many.
    pub bits: u8,
}

/// Hardware registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// The modes of the floating-point unit.
    Mode,
    /// Where the wave runs.
    Id,
    /// Cycles, 20 bits.
    Cycles,
}

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which memory.
    pub space: Space,
    /// What is done.
    pub action: Action,
    /// Bytes added to the address; of two-address forms, of the first.
    pub offset: i64,
    /// Bytes added to the second address.
    pub second: Option<i64>,
}

/// Memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// That of the agent and the host.
    Global,
    /// The address says which.
    Flat,
    /// That of the work-item.
    Scratch,
    /// As `Scratch`, through a buffer's descriptor.
    Buffer,
    /// That of the work-group.
    Local,
}

/// What is done to memory.
///
/// Addresses are the first source, data the second, a comparison's value the third; a scalar base is
/// the fourth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Into the destination.
    Load {
        /// Bytes of memory.
        bytes: u8,
        /// Extended by the sign.
        signed: bool,
        /// Into the lower or the upper half of a register, whose other half stays.
        half: Option<bool>,
    },
    /// From the second source.
    Store {
        /// Bytes of memory.
        bytes: u8,
        /// From the upper half of the register.
        high: bool,
    },
    /// Changes a value in one step.
    Atomic {
        /// How.
        operation: Atomic,
        /// Bytes of memory.
        bytes: u8,
        /// The old value goes to the destination.
        returns: bool,
    },
}

/// Atomic operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Atomic {
    Swap,
    CompareSwap,
    Add,
    Subtract,
    ReverseSubtract,
    MinSigned,
    MinUnsigned,
    MaxSigned,
    MaxUnsigned,
    And,
    Or,
    Xor,
    Increment,
    Decrement,
    AddFloat,
    MinFloat,
    MaxFloat,
    AddHalves,
}

/// How the crossbar exchanges values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crossbar {
    /// Each lane sends (`ds_permute`).
    Forward(i64),
    /// Each lane fetches (`ds_bpermute`).
    Backward(i64),
    /// A fixed pattern (`ds_swizzle`).
    Swizzle(u16),
}
