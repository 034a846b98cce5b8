//! LLVM's C functions, from whichever `libLLVM` the process is told to load.
//!
//! Takes the path of a `libLLVM` and gives the functions that `llvm-sys` declares, and so `inkwell`.
//! The driver is not linked with LLVM: this module defines a trampoline for every function of the C
//! API, which jumps to the address in its slot, and [`load`] fills the slots. One driver thereby
//! works with the library of any toolchain. Knows nothing of kernels.

use std::ffi::{CStr, OsStr, c_char};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use libloading::os::unix::{Library, RTLD_LAZY, RTLD_LOCAL};

use crate::error::Error;

pub(crate) mod diagnostics;
#[cfg(target_arch = "aarch64")]
mod trampolines_aarch64;
#[cfg(target_arch = "x86_64")]
mod trampolines_x86_64;

/// The environment variable that names the library to load.
pub const VARIABLE: &str = "LEGIONELLA_LLVM";

/// Names of the functions that have trampolines, in the order of [`SLOTS`].
static NAMES: &[&CStr] = include!(concat!(env!("OUT_DIR"), "/names.rs"));

const COUNT: usize = NAMES.len();

type Code = unsafe extern "C" fn();

unsafe extern "C" {
    /// Calls [`missing`] with the index that the trampoline left in its scratch register.
    fn legionella_llvm_missing();
}

/// Where the trampolines jump to.
static SLOTS: [Slot; COUNT] = [const { Slot::new() }; COUNT];

/// An address of code. Readable as one aligned pointer, which is all that a trampoline does.
#[repr(transparent)]
struct Slot(AtomicPtr<()>);

impl Slot {
    const fn new() -> Self {
        Slot(AtomicPtr::new(legionella_llvm_missing as Code as *mut ()))
    }
}

/// What a call of a function ends in that the loaded library does not have.
extern "C" fn missing(index: u32) -> ! {
    let name = NAMES
        .get(index as usize)
        .map_or("a function", |name| name.to_str().unwrap_or("a function"));
    match LOADED.get() {
        Some(Ok(llvm)) => eprintln!("{} does not have {name}", llvm.path.display()),
        _ => eprintln!("{name} was called before LLVM was loaded"),
    }
    std::process::abort()
}

/// The library that the process has loaded. Having one proves that LLVM can be called.
#[derive(Debug)]
pub struct Llvm {
    path: PathBuf,
    version: (u32, u32, u32),
}

impl Llvm {
    /// The file that was loaded.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// LLVM's version: major, minor, patch.
    pub fn version(&self) -> (u32, u32, u32) {
        self.version
    }
}

static LOADED: OnceLock<Result<Llvm, Error>> = OnceLock::new();

/// Loads LLVM into the process, once: later calls give the library of the first.
///
/// # Errors
/// If the file cannot be loaded or is not an LLVM 22, and on later calls if the first failed or was
/// for another file.
pub fn load(path: &Path) -> Result<&'static Llvm, Error> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match LOADED.get_or_init(|| open(&path)) {
        Ok(llvm) if llvm.path == path => Ok(llvm),
        Ok(llvm) => Err(Error::LlvmLoad {
            path,
            reason: format!("{} is loaded already", llvm.path.display()),
        }),
        Err(error) => Err(error.clone()),
    }
}

fn open(path: &Path) -> Result<Llvm, Error> {
    let failed = |reason: String| Error::LlvmLoad {
        path: path.to_owned(),
        reason,
    };
    // Lazy binding: LLVM has some 10^5 relocations to its own functions, of which few are called.
    // SAFETY: LLVM's initialisers only register command-line options and passes.
    let library = unsafe { Library::open(Some(path), RTLD_LAZY | RTLD_LOCAL) }
        .map_err(|error| failed(error.to_string()))?;
    for (name, slot) in NAMES.iter().zip(&SLOTS) {
        // SAFETY: the symbol is a function; its address is only ever called through `llvm-sys`'s
        // declaration of it.
        if let Ok(function) = unsafe { library.get::<Code>(name.to_bytes_with_nul()) } {
            slot.0.store(*function as *mut (), Ordering::Release);
        }
    }
    // The library stays: unloading LLVM while its statics are in use cannot be made safe.
    std::mem::forget(library);

    let mut version = (0, 0, 0);
    // SAFETY: the three pointers are valid for writes.
    unsafe {
        llvm_sys::core::LLVMGetVersion(&mut version.0, &mut version.1, &mut version.2);
    }
    if version.0 != 22 {
        return Err(failed(format!(
            "it is LLVM {}.{}.{}, and this driver is made for LLVM 22",
            version.0, version.1, version.2
        )));
    }
    // SAFETY: LLVM is loaded, no thread uses it yet, and the handler never returns.
    unsafe { llvm_sys::error_handling::LLVMInstallFatalErrorHandler(Some(fatal)) };
    parse_options(OPTIONS);
    Ok(Llvm {
        path: path.to_owned(),
        version,
    })
}

/// Options given to LLVM on loading, as on a command line.
///
/// Straight-line strength reduction of LLVM 22 rewrites one address in terms of another with a
/// wrong stride where an index is a sign-extended bit, so it is switched off. So is the recognition
/// of loops that search a zero, whose place a call of the C library would take, which devices lack.
///
/// Scalar registers of AMD's devices are allocated without splitting what lives in them. Where the greedy
/// allocator splits, it puts copies and constants at the head of a block, before the instruction there that
/// switches lanes on again; and when vector registers are split later, `SIInstrInfo::isBasicBlockPrologue` takes
/// the head to end at these, so that their copies are made for some of the lanes only.
///
/// For the same devices, scalar registers that don't suffice are kept in memory, not in lanes of vector registers. Those
/// lanes LLVM 22 takes for undefined at the head of a loop in which they are first used, and loses what they carry
/// from turn to turn (`SILowerSGPRSpills::updateLaneVGPRDomInstr`, mended in LLVM's pull request 186348); and where it
/// splits such vector registers, the heads of blocks go wrong in the same way as above (pull request 117544).
///
/// For AMD's devices, LLVM has a call cost less by 4,000 times 11 for each variable on the stack whose address it is
/// given, and so inlines all of what big numbers, say, are computed by, several times: 350,000 lines of which code takes
/// minutes to make. With 90 times 11 it still inlines what is not very long.
const OPTIONS: &[&CStr] = &[
    c"legionella-driver",
    c"-opt-disable=slsr",
    c"-disable-loop-idiom-strlen",
    c"-disable-loop-idiom-wcslen",
    c"-sgpr-regalloc=basic",
    c"-amdgpu-spill-sgpr-to-vgpr=0",
    c"-amdgpu-inline-arg-alloca-cost=90",
];

fn parse_options(options: &[&CStr]) {
    let arguments: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
    // SAFETY: the count is that of the array, whose elements are terminated strings.
    unsafe {
        llvm_sys::support::LLVMParseCommandLineOptions(
            arguments.len() as i32,
            arguments.as_ptr(),
            std::ptr::null(),
        );
    }
}

/// What LLVM calls on code that it cannot compile.
extern "C" fn fatal(reason: *const c_char) {
    // SAFETY: LLVM passes a terminated string.
    let reason = unsafe { CStr::from_ptr(reason) };
    eprintln!("LLVM: {}", reason.to_string_lossy());
    std::process::abort()
}

/// Finds the `libLLVM` to load: [`VARIABLE`], then beside the running program or in `../lib` from
/// there, then the given sysroot, then the sysroot of the `rustc` on `PATH`.
///
/// # Errors
/// If there is none in any of these places; the error names them.
pub fn find(sysroot: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let mut tried = Vec::new();
    let mut look = |directory: PathBuf| {
        let found = library_in(&directory);
        tried.push(directory);
        found
    };
    if let Ok(program) = std::env::current_exe()
        && let Some(directory) = program.parent()
    {
        if let Some(found) = look(directory.to_owned()) {
            return Ok(found);
        }
        if let Some(above) = directory.parent()
            && let Some(found) = look(above.join("lib"))
        {
            return Ok(found);
        }
    }
    if let Some(sysroot) = sysroot
        && let Some(found) = look(sysroot.join("lib"))
    {
        return Ok(found);
    }
    if let Some(sysroot) = sysroot_of(OsStr::new("rustc"))
        && let Some(found) = look(sysroot.join("lib"))
    {
        return Ok(found);
    }
    Err(Error::LlvmNotFound { tried })
}

/// The sysroot that a compiler reports, if it can be run.
pub fn sysroot_of(rustc: &OsStr) -> Option<PathBuf> {
    let output = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| PathBuf::from(text.trim_end()))
}

/// The `libLLVM*.so*` in a directory; the largest, since a linker script may lie beside it.
pub fn library_in(directory: &Path) -> Option<PathBuf> {
    fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let name = name.to_str()?;
            if !name.starts_with("libLLVM") || !name.contains(".so") {
                return None;
            }
            Some((fs::metadata(entry.path()).ok()?.len(), entry.path()))
        })
        .max()
        .map(|(_, path)| path)
}
