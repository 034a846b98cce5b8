//! How generated code for AMD's devices is launched: as [`gpu`](crate::gpu) says, with a [`Launch`] of
//! its own.
//!
//! The code of a kernel is a [`Header`], a code object with all kernel functions but
//! [`PANIC`](crate::gpu::PANIC), and, if there is any need of that, another with it. The functions have
//! explicit arguments only, of which [`Arguments`] says where they are in the kernel argument
//! segment ("User Guide for AMDGPU Backend", sections "Code Object V5 Metadata" and "Kernel Dispatch").
//! The argument block is always passed by value.

use crate::gpu;

/// What the code of a kernel begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the first code object, which follows.
    pub work: u64,
    /// Bytes of the second, which follows; 0 if there is none.
    pub panic: u64,
}

impl Header {
    /// Bytes of a header.
    pub const SIZE: usize = size_of::<Header>();

    /// The header as it stands in the code.
    pub fn to_bytes(self) -> [u8; Header::SIZE] {
        let mut bytes = [0; Header::SIZE];
        bytes[..8].copy_from_slice(&self.work.to_le_bytes());
        bytes[8..].copy_from_slice(&self.panic.to_le_bytes());
        bytes
    }

    /// The two code objects of a kernel's code; `None` if it is not what it should be.
    pub fn split(code: &[u8]) -> Option<(&[u8], &[u8])> {
        let (header, objects) = code.split_first_chunk::<{ Header::SIZE }>()?;
        let number = |at: usize| {
            let word = header[at..].first_chunk()?;
            usize::try_from(u64::from_le_bytes(*word)).ok()
        };
        let (work, panic) = (number(0)?, number(8)?);
        let (work, rest) = objects.split_at_checked(work)?;
        (rest.len() == panic).then_some((work, rest))
    }
}

/// Lanes of a wavefront in code for a processor.
pub fn lanes(processor: &str) -> u64 {
    if processor.starts_with("gfx9") {
        64
    } else {
        32
    }
}

/// The index space of a launch, or of a part of one that has less than 2^32 work-items in each
/// dimension.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What all kernel functions are told.
    pub launch: gpu::Launch,
    /// Work-items of a whole work-group in each dimension.
    pub group: [u32; 3],
    /// Not used.
    pub reserved: u32,
}

/// Where the arguments of a kernel function are in the kernel argument segment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The address of a [`State`](gpu::State).
    pub state: usize,
    /// The argument block.
    pub block: usize,
}

impl Arguments {
    /// What is launched has a first parameter of that size, and a block of that alignment.
    pub const fn new(first: usize, align: usize) -> Self {
        let state = first.next_multiple_of(8);
        Arguments {
            state,
            block: (state + 8).next_multiple_of(if align > 8 { align } else { 8 }),
        }
    }
}

/// Most work-items of a group of a usual launch, in the sense of [`gpu::LINE`]: code for small
/// groups has more registers.
pub const USUAL_GROUP: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_a_header_and_two_code_objects() {
        let header = Header { work: 3, panic: 2 };
        let mut code = header.to_bytes().to_vec();
        code.extend(b"abcde");
        assert_eq!(Header::split(&code), Some((&b"abc"[..], &b"de"[..])));
        code.pop();
        assert_eq!(Header::split(&code), None);
        assert_eq!(Header::split(b"short"), None);
    }

    #[test]
    fn arguments_are_aligned() {
        let arguments = Arguments::new(size_of::<Launch>(), 1);
        assert_eq!((arguments.state, arguments.block), (72, 80));
        assert_eq!(Arguments::new(64, 16).block, 80);
    }
}
