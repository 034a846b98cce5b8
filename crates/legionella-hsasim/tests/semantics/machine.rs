//! A wave that executes a few lines of assembly.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use legionella_hsasim::decode::Code;
use legionella_hsasim::error::Fault;
use legionella_hsasim::interpret::access::Reach;
use legionella_hsasim::interpret::fences::Unfenced;
use legionella_hsasim::interpret::local::Bytes;
use legionella_hsasim::interpret::run::{Stop, run};
use legionella_hsasim::interpret::vector::Halves;
use legionella_hsasim::interpret::wave::Wave;
use legionella_hsasim::isa::Isa;
use legionella_hsasim::lanes::LANES;
use legionella_hsasim::machine::memory::View;

use crate::assembler::assemble;

/// A wave, with what it reaches.
pub struct Machine {
    isa: Isa,
    pub wave: Wave,
    pub local: Bytes,
}

fn decoded(isa: Isa, text: &str) -> &'static Code {
    static CODES: OnceLock<Mutex<HashMap<(&'static str, String), &'static Code>>> = OnceLock::new();
    let codes = CODES.get_or_init(Mutex::default);
    let mut codes = codes.lock().unwrap_or_else(PoisonError::into_inner);
    codes
        .entry((isa.name(), text.to_owned()))
        .or_insert_with(|| {
            let bytes = assemble(isa.name(), &format!("{text}\ns_endpgm\n"));
            Box::leak(Box::new(
                Code::decode(isa, isa.wave(), &bytes, 0x1000).unwrap(),
            ))
        })
}

impl Machine {
    /// All lanes active, nothing written.
    pub fn new(isa: Isa) -> Machine {
        let mut wave = Wave::new(isa.wave() / LANES, isa.vector_registers(), 256, 0);
        wave.set_mask(126, u64::MAX);
        Machine {
            isa,
            wave,
            local: Bytes::new(1024),
        }
    }

    /// RDNA 3, waves of 32.
    pub fn rdna() -> Machine {
        Machine::new(Isa::Gfx1100)
    }

    /// CDNA 3, waves of 64.
    pub fn cdna() -> Machine {
        Machine::new(Isa::Gfx942)
    }

    /// A vector register, the same in all lanes.
    pub fn v(mut self, number: u16, value: u32) -> Machine {
        self.set(number, |_| value);
        self
    }

    /// Two vector registers.
    pub fn v64(self, number: u16, value: u64) -> Machine {
        self.v(number, value as u32)
            .v(number + 1, (value >> 32) as u32)
    }

    /// A vector register, by lane.
    pub fn set(&mut self, number: u16, value: impl Fn(usize) -> u32) {
        for half in 0..self.wave.halves {
            let place = self.wave.place(half, number, 1).unwrap();
            for lane in 0..LANES {
                self.wave.vectors[place].0[lane] = value(half * LANES + lane);
            }
            self.wave.defined[place] = u32::MAX;
        }
    }

    /// As `set`, in a chain.
    pub fn with(mut self, number: u16, value: impl Fn(usize) -> u32) -> Machine {
        self.set(number, value);
        self
    }

    /// A scalar register.
    pub fn s(mut self, number: u16, value: u32) -> Machine {
        self.wave.set_scalar(number, value);
        self
    }

    /// Two scalar registers.
    pub fn s64(self, number: u16, value: u64) -> Machine {
        self.s(number, value as u32)
            .s(number + 1, (value >> 32) as u32)
    }

    /// The execution mask.
    pub fn exec(mut self, mask: u64) -> Machine {
        self.wave.set_mask(126, mask);
        self
    }

    /// Executes the text.
    pub fn try_run(mut self, text: &str) -> Result<Machine, Fault> {
        let code = decoded(self.isa, text);
        let mut memory = View::new(1);
        let mut reach = Reach {
            memory: &mut memory,
            local: &mut self.local,
            counts_stores: self.isa.counts_stores(),
            unfenced: &Unfenced::default(),
            order: None,
            wave: 0,
            buffer_scale: 64,
        };
        let halves = Halves {
            keep: self.isa.keeps_halves(),
        };
        self.wave.slot = 0;
        match run(&mut self.wave, code, &mut reach, halves, 100_000)? {
            Stop::End => Ok(self),
            stop => panic!("{stop:?}"),
        }
    }

    /// Executes the text, which has to go well.
    #[track_caller]
    pub fn run(self, text: &str) -> Machine {
        self.try_run(text)
            .unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    /// A lane of a vector register.
    pub fn lane(&self, number: u16, lane: usize) -> u32 {
        let place = self.wave.place(lane / LANES, number, 1).unwrap();
        self.wave.vectors[place].0[lane % LANES]
    }

    /// Lane 5 of a vector register.
    pub fn get(&self, number: u16) -> u32 {
        self.lane(number, 5)
    }

    /// Lane 5 of two vector registers.
    pub fn get64(&self, number: u16) -> u64 {
        u64::from(self.get(number)) | (u64::from(self.get(number + 1)) << 32)
    }

    /// A scalar register.
    pub fn scalar(&self, number: u16) -> u32 {
        self.wave.scalars[usize::from(number)]
    }

    /// Two scalar registers.
    pub fn scalar64(&self, number: u16) -> u64 {
        u64::from(self.scalar(number)) | (u64::from(self.scalar(number + 1)) << 32)
    }
}

/// The result in `v0` of an instruction on `v1`, `v2`, `v3`.
#[track_caller]
pub fn of(isa: Isa, text: &str, sources: &[u32]) -> u32 {
    let mut machine = Machine::new(isa).v(0, 0x5555_5555);
    for (at, &value) in sources.iter().enumerate() {
        machine = machine.v(at as u16 + 1, value);
    }
    machine.run(text).get(0)
}

/// The result in `v[0:1]` of an instruction on `v[2:3]`, `v[4:5]`, `v[6:7]`.
#[track_caller]
pub fn of64(isa: Isa, text: &str, sources: &[u64]) -> u64 {
    let mut machine = Machine::new(isa).v64(0, 0);
    for (at, &value) in sources.iter().enumerate() {
        machine = machine.v64(2 * at as u16 + 2, value);
    }
    machine.run(text).get64(0)
}
