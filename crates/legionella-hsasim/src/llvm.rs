//! LLVM's disassembler for AMD's instruction sets, from the toolchain's `libLLVM`.
//!
//! The library is looked for as Legionella's driver looks for it, and opened when the first code object
//! is loaded. Takes bytes and gives text; knows nothing of what instructions mean.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libloading::Library;

use crate::error::Error;

/// The environment variable that names the library to open.
pub const VARIABLE: &str = "LEGIONELLA_LLVM";

/// LLVM's name of the operating system and machine of HSA code objects.
pub const TRIPLE: &CStr = c"amdgcn-amd-amdhsa";

type Create = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const c_char,
    *mut c_void,
    c_int,
    *const c_void,
    *const c_void,
) -> *mut c_void;
type Disassemble =
    unsafe extern "C" fn(*mut c_void, *mut u8, u64, u64, *mut c_char, usize) -> usize;

struct Functions {
    create: Create,
    disassemble: Disassemble,
    dispose: unsafe extern "C" fn(*mut c_void),
    /// Keeps the functions where they are.
    _library: Library,
}

static FUNCTIONS: OnceLock<Result<Functions, Error>> = OnceLock::new();

fn functions() -> Result<&'static Functions, Error> {
    FUNCTIONS.get_or_init(open).as_ref().map_err(Clone::clone)
}

fn open() -> Result<Functions, Error> {
    let path = find()?;
    let failed = |error: libloading::Error| Error::Llvm {
        reason: format!("{}: {error}", path.display()),
    };
    // SAFETY: LLVM's initialisers only register options; the symbols are functions of these
    // signatures (llvm-c/Disassembler.h, llvm-c/Target.h).
    unsafe {
        let library = Library::new(&path).map_err(failed)?;
        for initialiser in [
            c"LLVMInitializeAMDGPUTargetInfo",
            c"LLVMInitializeAMDGPUTargetMC",
            c"LLVMInitializeAMDGPUDisassembler",
        ] {
            let call: libloading::Symbol<'_, unsafe extern "C" fn()> = library
                .get(initialiser.to_bytes_with_nul())
                .map_err(failed)?;
            call();
        }
        Ok(Functions {
            create: *library
                .get(b"LLVMCreateDisasmCPUFeatures\0")
                .map_err(failed)?,
            disassemble: *library.get(b"LLVMDisasmInstruction\0").map_err(failed)?,
            dispose: *library.get(b"LLVMDisasmDispose\0").map_err(failed)?,
            _library: library,
        })
    }
}

/// A disassembler for one instruction set.
#[derive(Debug)]
pub struct Disassembler {
    handle: *mut c_void,
}

impl Disassembler {
    /// For the processor and features of these names.
    ///
    /// # Errors
    /// If there is no `libLLVM`, or it doesn't know the processor.
    pub fn new(processor: &str, features: &str) -> Result<Disassembler, Error> {
        let functions = functions()?;
        let failed = || Error::Llvm {
            reason: format!("it has no disassembler for {processor} ({features})"),
        };
        let processor_name = CString::new(processor).map_err(|_| failed())?;
        let features_text = CString::new(features).map_err(|_| failed())?;
        // SAFETY: the strings are terminated; no call-backs are given.
        let handle = unsafe {
            (functions.create)(
                TRIPLE.as_ptr(),
                processor_name.as_ptr(),
                features_text.as_ptr(),
                std::ptr::null_mut(),
                0,
                std::ptr::null(),
                std::ptr::null(),
            )
        };
        if handle.is_null() {
            return Err(failed());
        }
        Ok(Disassembler { handle })
    }

    /// The instruction at the beginning of `bytes`, which lie at `address`: its size and its text.
    pub fn instruction(&mut self, bytes: &[u8], address: u64) -> Option<(usize, String)> {
        let functions = functions().ok()?;
        let mut text = [0 as c_char; 512];
        // SAFETY: the lengths are those of the buffers; the bytes are only read.
        let size = unsafe {
            (functions.disassemble)(
                self.handle,
                bytes.as_ptr().cast_mut(),
                bytes.len() as u64,
                address,
                text.as_mut_ptr(),
                text.len(),
            )
        };
        // SAFETY: LLVM terminates the text.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) };
        (size != 0).then(|| (size, text.to_string_lossy().trim().to_owned()))
    }
}

impl Drop for Disassembler {
    fn drop(&mut self) {
        if let Ok(functions) = functions() {
            // SAFETY: the handle came from `create` and is used no more.
            unsafe { (functions.dispose)(self.handle) };
        }
    }
}

/// Finds the `libLLVM`: [`VARIABLE`], then beside the running program or in `../lib` from there, then the
/// sysroot of the `rustc` on `PATH`.
///
/// # Errors
/// If there is none in any of these places.
pub fn find() -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let mut tried = Vec::new();
    if let Ok(program) = std::env::current_exe() {
        for directory in program.ancestors().skip(1).take(2) {
            tried.push(directory.to_owned());
            tried.push(directory.join("lib"));
        }
    }
    if let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).output()
        && output.status.success()
    {
        let sysroot = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        tried.push(Path::new(&sysroot).join("lib"));
    }
    tried
        .iter()
        .find_map(|directory| library_in(directory))
        .ok_or_else(|| Error::Llvm {
            reason: format!("there is no libLLVM in {tried:?}: set {VARIABLE} to its path"),
        })
}

/// The `libLLVM*.so*` in a directory; the largest, since a linker script may lie beside it.
fn library_in(directory: &Path) -> Option<PathBuf> {
    std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let name = name.to_str()?;
            let fits = name.starts_with("libLLVM") && name.contains(".so");
            fits.then_some((std::fs::metadata(entry.path()).ok()?.len(), entry.path()))
        })
        .max()
        .map(|(_, path)| path)
}
