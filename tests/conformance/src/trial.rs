//! One case on one accelerator: runs a kernel there and as a plain function on the host, from the
//! same inputs, and compares every output.
//!
//! Outputs start poisoned and are longer than what the grid covers, so that a write beyond it, or
//! a missing one, is a difference like any other.

use legionella::code;
use legionella::prelude::*;
use legionella_abi::protocol::{Diagnostic, Problem};
use thiserror::Error;

use crate::bits::{Bits, Difference, Observed};
use crate::both::both;

/// Elements of an output that no work-item owns.
pub const CANARIES: usize = 37;

/// What did not hold.
#[derive(Debug, Error)]
pub enum Failure {
    /// The accelerator wrote something else than the host.
    #[error(
        "output `{output}` differs first at {}: host {}, accelerator {}",
        .difference.index, .difference.host, .difference.device
    )]
    Differs {
        /// Which output.
        output: &'static str,
        /// Where and how.
        difference: Difference,
    },

    /// The launch, or something around it, failed.
    #[error("{0}")]
    Launch(legionella::Error),

    /// The case has no meaning here, for this reason.
    #[error("{0}")]
    Inapplicable(&'static str),

    /// The launch ended in another way than it should have.
    #[error("expected {expected}; got {found}")]
    Unexpected {
        /// What should have happened.
        expected: String,
        /// What happened.
        found: String,
    },
}

impl From<legionella::Error> for Failure {
    fn from(error: legionella::Error) -> Self {
        match error {
            legionella::Error::Unsupported { what, .. } => Failure::Inapplicable(what),
            other if lacks_instructions(&other) => {
                Failure::Inapplicable("the machine has no instruction for what the kernel does")
            }
            other => Failure::Launch(other),
        }
    }
}

impl Failure {
    /// The launch ended in another way than it should have.
    pub fn unexpected(expected: impl ToString, found: impl ToString) -> Self {
        Failure::Unexpected {
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }
}

/// Whether a kernel was refused for nothing else than what the machine lacks.
fn lacks_instructions(error: &legionella::Error) -> bool {
    let legionella::Error::Code(error) = error else {
        return false;
    };
    let code::Error::Refused { diagnostics, .. } = &**error else {
        return false;
    };
    let lacking = |found: &Diagnostic| found.problem == Problem::MissingOperation;
    !diagnostics.is_empty() && diagnostics.iter().all(lacking)
}

/// Whether everything held.
pub type Verdict = Result<(), Failure>;

/// One case on one accelerator.
pub struct Trial<'run> {
    /// Where kernels are launched.
    pub accelerator: &'run Accelerator,
}

/// A poisoned output for `len` elements, with canaries behind them.
pub fn output<T: Bits>(len: usize) -> Vec<T> {
    vec![T::POISON; len + CANARIES]
}

impl<'run> Trial<'run> {
    /// A case's run on an accelerator.
    pub fn on(accelerator: &'run Accelerator) -> Self {
        Trial { accelerator }
    }

    /// Compares what both sides observed of the same outputs.
    #[inline(never)]
    pub fn compare(&self, host: &[Observed], device: &[Observed]) -> Verdict {
        for (host, device) in host.iter().zip(device) {
            if let Some(difference) = host.difference(device) {
                return Err(Failure::Differs {
                    output: host.name,
                    difference,
                });
            }
        }
        Ok(())
    }

    /// Compares what the host and the accelerator have of the same output.
    pub fn same<T: Bits>(&self, name: &'static str, host: Vec<T>, device: Vec<T>) -> Verdict {
        self.compare(&[Observed::new(name, host)], &[Observed::new(name, device)])
    }

    /// What a buffer holds.
    #[inline(never)]
    pub fn observe<T: Bits + DeviceData>(
        &self,
        name: &'static str,
        buffer: &Buffer<T>,
    ) -> Result<Observed, Failure> {
        let mut values = vec![T::POISON; buffer.len()];
        buffer.download(&mut values)?;
        Ok(Observed::new(name, values))
    }

    /// A function as a kernel: every work-item calls it with an input and stores the result.
    pub fn map<I: DeviceData, O: DeviceData + Bits>(
        &mut self,
        function: impl Fn(I) -> O + Copy + Send + Sync + 'static,
        inputs: &[I],
    ) -> Verdict {
        let kernel = move |at: Item, inputs: &[I], mut out: Disjoint<O>| {
            if let (Some(&input), Some(out)) = (inputs.get(at.global()), out.at(&at)) {
                *out = function(input);
            }
        };
        let out = output::<O>(inputs.len());
        both!(self, kernel, Grid::over(inputs.len()), [read inputs], [write out])
    }

    /// A function over slices as a kernel: every work-item is given `width` inputs and a row of
    /// `width` outputs.
    pub fn rows<I: DeviceData, O: DeviceData + Bits>(
        &mut self,
        function: impl Fn(&[I], &mut [O]) + Copy + Send + Sync + 'static,
        inputs: &[I],
        width: usize,
    ) -> Verdict {
        let kernel = move |at: Item, inputs: &[I], mut out: Rows<O>| {
            let width = out.width();
            let start = at.global() * width;
            if let Some(row) = out.at(&at) {
                function(&inputs[start..start + width], row);
            }
        };
        let count = inputs.len() / width;
        let out = output::<O>(count * width);
        both!(self, kernel, Grid::over(count), [read inputs], [rows width out])
    }

    /// A function that returns text or bytes as a kernel. A result may have up to `W - 2` bytes.
    pub fn bytes<const W: usize, I: DeviceData, B: AsRef<[u8]>>(
        &mut self,
        function: impl Fn(I) -> B + Copy + Send + Sync + 'static,
        inputs: &[I],
    ) -> Verdict {
        let kernel = move |at: Item, inputs: &[I], mut out: Tiles<u8, W>| {
            if let (Some(&input), Some(out)) = (inputs.get(at.global()), out.at(&at)) {
                let result = function(input);
                let bytes = result.as_ref();
                out[..2].copy_from_slice(&(bytes.len() as u16).to_le_bytes());
                out[2..2 + bytes.len()].copy_from_slice(bytes);
            }
        };
        let out = output::<u8>(inputs.len() * W);
        both!(self, kernel, Grid::over(inputs.len()), [read inputs], [tiles W out])
    }

    /// A function of one shared input as a kernel: a few work-items call it with the whole of it
    /// and their id. A result may have up to `W - 2` bytes.
    pub fn shared<const W: usize, I: DeviceData, B: AsRef<[u8]>>(
        &mut self,
        function: impl Fn(&[I], usize) -> B + Copy + Send + Sync + 'static,
        input: &[I],
        items: usize,
    ) -> Verdict {
        let kernel = move |at: Item, input: &[I], mut out: Tiles<u8, W>| {
            if let Some(out) = out.at(&at) {
                let result = function(input, at.global());
                let bytes = result.as_ref();
                out[..2].copy_from_slice(&(bytes.len() as u16).to_le_bytes());
                out[2..2 + bytes.len()].copy_from_slice(bytes);
            }
        };
        let out = output::<u8>(items * W);
        both!(self, kernel, Grid::over(items), [read input], [tiles W out])
    }
}
