//! What an application and its driver process say to each other, as [frames](crate::frame) over
//! the driver's standard input and output.
//!
//! The driver speaks first ([`Response::Ready`]), whether or not requests have been sent by then; then every request gets exactly
//! one response, in order. The driver ends when its standard input does.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

/// Position in a source file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Path as the compiler recorded it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if not known.
    pub column: u32,
}

impl core::fmt::Display for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.file.is_empty() {
            return f.write_str("a place unknown");
        }
        write!(f, "{}:{}", self.file, self.line)?;
        if self.column != 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// What code is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TargetSpec {
    /// Name of the target's module in the driver, such as `cpu`.
    pub kind: String,
    /// The machine within the target, in LLVM's names; empty for the machine at hand.
    pub cpu: String,
}

/// How code is generated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// Folder for the IR of every stage, one file each.
    pub dump: Option<String>,
    /// The mathematical functions of the device's vendor, for kernels that may have them.
    pub maths: Option<MathsLibrary>,
}

/// A library of mathematical functions, as LLVM bitcode in a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MathsLibrary {
    /// Where it is.
    pub path: String,
    /// Its length in bytes, and when it was last changed, in nanoseconds since 1970: code that was
    /// generated with another is not this one's.
    pub version: (u64, u64),
}

/// From the application to the driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The device IR of an image, to be referred to by its hash from now on.
    Image {
        /// BLAKE3 hash of the bitcode.
        hash: [u8; 32],
        /// The bitcode, compressed as raw deflate.
        module: Vec<u8>,
        /// Length of the bitcode in bytes.
        bitcode_len: u64,
    },
    /// Generate the code of one kernel.
    Generate {
        /// An image that was sent before.
        image: [u8; 32],
        /// Symbol of the kernel's entry shim.
        entry: String,
        /// What to generate code for.
        target: TargetSpec,
        /// How to generate it.
        options: Options,
    },
}

/// From the driver to the application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The driver has started.
    Ready {
        /// [`crate::VERSION`] of the driver.
        version: u32,
        /// Path of the LLVM library that it loaded.
        llvm: String,
    },
    /// The image is known.
    Image,
    /// The kernel's code.
    Code(Code),
    /// The kernel cannot be lowered to the target, for all these reasons.
    Refused(Vec<Diagnostic>),
    /// The request failed for a reason that is not the kernel's.
    Failed(String),
}

/// Generated code of one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// In the target's own form: a shared object, a PTX text, a code object.
    pub bytes: Vec<u8>,
    /// Machine features that must be present to run it, in LLVM's names.
    pub requires: Vec<String>,
}

/// What kind of thing a target can't do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Problem {
    /// `asm!`.
    InlineAssembly,
    /// An operation of `core::arch`.
    ArchitectureIntrinsic,
    /// A call to a function outside Rust, or of the operating system.
    ForeignFunction,
    /// A function of `std` that needs an operating system.
    OperatingSystem,
    /// A static that is mutable or has interior mutability.
    MutableStatic,
    /// `thread_local!`.
    ThreadLocal,
    /// A function whose crate was compiled without the wrapper.
    MissingBitcode,
    /// An operation that the machine has no instruction for, nor anything to make it of.
    MissingOperation,
    /// An operation of a whole work-group in a function that can't be inlined.
    Collective,
    /// An operation of a whole work-group where never all of its items come.
    Divergent,
    /// The backend failed on the lowered code.
    CodeGeneration,
}

/// One thing that a kernel does and a target can't.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// What kind of thing.
    pub problem: Problem,
    /// The culprit, demangled: a function, a static, an assembly text.
    pub what: String,
    /// What to do instead.
    pub advice: String,
    /// From the kernel to the culprit, outermost first.
    pub chain: Vec<Call>,
}

/// A step of a call chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Demangled name of the calling function.
    pub function: String,
    /// Where in that function the next step happens.
    pub source: Option<Source>,
}
