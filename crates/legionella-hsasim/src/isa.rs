//! The instruction sets that agents have.

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// RDNA 3: waves of 32 or 64.
    Gfx1100,
    /// CDNA 3: waves of 64.
    Gfx942,
    /// CDNA 2: waves of 64, scratch memory through buffers.
    Gfx90a,
}

impl Isa {
    /// All.
    pub const ALL: [Isa; 3] = [Isa::Gfx1100, Isa::Gfx942, Isa::Gfx90a];

    /// LLVM's name of the processor.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Gfx1100 => "gfx1100",
            Isa::Gfx942 => "gfx942",
            Isa::Gfx90a => "gfx90a",
        }
    }

    /// The instruction set of a processor's name.
    pub fn named(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }

    /// Of a code object's header, the machine's number (`EF_AMDGPU_MACH`).
    pub fn machine(self) -> u32 {
        match self {
            Isa::Gfx1100 => 0x41,
            Isa::Gfx942 => 0x4c,
            Isa::Gfx90a => 0x3f,
        }
    }

    /// Features that the disassembler is to have for waves of this size.
    pub fn features(self, wave: usize) -> &'static str {
        match (self, wave) {
            (Isa::Gfx1100, 32) => "+wavefrontsize32,-wavefrontsize64",
            (Isa::Gfx1100, _) => "-wavefrontsize32,+wavefrontsize64",
            _ => "",
        }
    }

    /// Lanes of a wave, unless a kernel asks otherwise.
    pub fn wave(self) -> usize {
        match self {
            Isa::Gfx1100 => 32,
            Isa::Gfx942 | Isa::Gfx90a => 64,
        }
    }

    /// Whether stores of vectors have a counter of their own.
    pub fn counts_stores(self) -> bool {
        self == Isa::Gfx1100
    }

    /// Whether stores have to be written back before all work-groups of the agent see them.
    pub fn writes_back(self) -> bool {
        self == Isa::Gfx942
    }

    /// Whether results of 16 bits leave the other half of a register as it is.
    pub fn keeps_halves(self) -> bool {
        self == Isa::Gfx1100
    }

    /// Bytes of a work-group's memory.
    pub fn local_memory(self) -> usize {
        64 << 10
    }

    /// Vector registers that a wave can have.
    pub fn vector_registers(self) -> usize {
        match self {
            Isa::Gfx1100 => 256,
            Isa::Gfx942 | Isa::Gfx90a => 512,
        }
    }

    /// Compute units of the simulated agent.
    pub fn compute_units(self) -> u32 {
        match self {
            Isa::Gfx1100 => 96,
            Isa::Gfx942 => 304,
            Isa::Gfx90a => 104,
        }
    }

    /// The name that the agent has as a product.
    pub fn product(self) -> &'static str {
        match self {
            Isa::Gfx1100 => "Legionella simulator of RDNA 3",
            Isa::Gfx942 => "Legionella simulator of CDNA 3",
            Isa::Gfx90a => "Legionella simulator of CDNA 2",
        }
    }
}
