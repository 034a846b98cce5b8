//! Accesses under way, and the registers that have to wait for them.
//!
//! Values are there at once in the simulator, unlike in hardware. So that code that forgets to wait is
//! found, a register that a load writes counts as busy until a wait covers the load: any use of it
//! before is a fault. Counters count as the hardware's: vector loads end in order, those of
//! scalars in any order. (RDNA3 ISA, "S_WAITCNT"; LLVM, AMDGPU usage, "Memory model".)

use crate::decode::Register;
use crate::error::Fault;

/// A destination of an access under way.
#[derive(Clone, Copy, Debug)]
struct Busy {
    register: Register,
    words: u8,
}

/// Bits of registers: vector ones first.
const VECTORS: usize = 512;
const BITS: usize = (VECTORS + 144).div_ceil(64);

/// The accesses under way of a wave.
#[derive(Debug)]
pub struct Waits {
    /// By the counter of vector accesses, oldest first; `None` of accesses that write no register.
    vector: Vec<Option<Busy>>,
    /// By the counter of local memory and scalars.
    local: Vec<Option<Busy>>,
    /// Whether one of these may end out of order.
    unordered: bool,
    busy: [u64; BITS],
    any: bool,
}

impl Default for Waits {
    fn default() -> Self {
        Waits {
            vector: Vec::new(),
            local: Vec::new(),
            unordered: false,
            busy: [0; BITS],
            any: false,
        }
    }
}

fn bit(register: Register) -> usize {
    match register {
        Register::Vector(number) => usize::from(number),
        Register::Scalar(number) => VECTORS + usize::from(number),
    }
}

impl Waits {
    /// Whether any register is busy.
    #[inline(always)]
    pub fn any(&self) -> bool {
        self.any
    }

    /// A vector access begins.
    pub fn begin_vector(&mut self, destination: Option<(Register, u8)>) {
        Self::begin(&mut self.vector, &mut self.busy, &mut self.any, destination);
    }

    /// An access of local memory, or a load of scalars, begins.
    pub fn begin_local(&mut self, destination: Option<(Register, u8)>, unordered: bool) {
        Self::begin(&mut self.local, &mut self.busy, &mut self.any, destination);
        self.unordered |= unordered;
    }

    fn begin(
        queue: &mut Vec<Option<Busy>>,
        busy: &mut [u64; BITS],
        any: &mut bool,
        destination: Option<(Register, u8)>,
    ) {
        // Hardware's counters saturate at 63: an older access has ended by then.
        if queue.len() >= 64 {
            queue.remove(0);
        }
        if let Some((register, words)) = destination {
            for at in bit(register)..bit(register) + usize::from(words) {
                busy[at / 64] |= 1 << (at % 64);
            }
            *any = true;
        }
        queue.push(destination.map(|(register, words)| Busy { register, words }));
    }

    /// Waits until at most so many accesses are under way, by each counter.
    #[inline(always)]
    pub fn wait(&mut self, vector: Option<u8>, local: Option<u8>) {
        if self.any || !self.vector.is_empty() || !self.local.is_empty() {
            self.retire(vector, local);
        }
    }

    fn retire(&mut self, vector: Option<u8>, local: Option<u8>) {
        if let Some(count) = vector
            && self.vector.len() > usize::from(count)
        {
            self.vector.drain(..self.vector.len() - usize::from(count));
        }
        if let Some(count) = local {
            if count == 0 {
                self.local.clear();
                self.unordered = false;
            } else if !self.unordered && self.local.len() > usize::from(count) {
                self.local.drain(..self.local.len() - usize::from(count));
            }
        }
        self.busy = [0; BITS];
        self.any = false;
        for busy in self.vector.iter().chain(&self.local).flatten() {
            self.any = true;
            for at in bit(busy.register)..bit(busy.register) + usize::from(busy.words) {
                self.busy[at / 64] |= 1 << (at % 64);
            }
        }
    }

    /// That none of these registers is busy.
    ///
    /// # Errors
    /// The first that is.
    pub fn check(&self, uses: &[(Register, u8)]) -> Result<(), Fault> {
        for &(register, words) in uses {
            let first = bit(register);
            for at in first..first + usize::from(words) {
                if (self.busy[at / 64] >> (at % 64)) & 1 == 1 {
                    let offset = (at - first) as u16;
                    return Err(match register {
                        Register::Vector(number) => {
                            Fault::MissingWait(Register::Vector(number + offset), "a load of it")
                        }
                        Register::Scalar(number) => {
                            Fault::MissingWait(Register::Scalar(number + offset), "a load of it")
                        }
                    });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V: fn(u16) -> Register = Register::Vector;

    #[test]
    fn vector_loads_end_in_order() {
        let mut waits = Waits::default();
        waits.begin_vector(Some((V(1), 2)));
        waits.begin_vector(Some((V(8), 1)));
        assert!(waits.check(&[(V(0), 1)]).is_ok());
        assert!(waits.check(&[(V(2), 1)]).is_err());
        waits.wait(Some(1), None);
        assert!(waits.check(&[(V(1), 2)]).is_ok());
        assert!(waits.check(&[(V(7), 2)]).is_err());
        waits.wait(Some(0), None);
        assert!(!waits.any());
    }

    #[test]
    fn scalar_loads_end_in_any_order() {
        let mut waits = Waits::default();
        waits.begin_local(Some((Register::Scalar(4), 2)), true);
        waits.begin_local(Some((V(3), 1)), false);
        waits.wait(None, Some(1));
        assert!(waits.check(&[(Register::Scalar(5), 1)]).is_err());
        waits.wait(None, Some(0));
        assert!(waits.check(&[(Register::Scalar(5), 1), (V(3), 1)]).is_ok());
    }
}
