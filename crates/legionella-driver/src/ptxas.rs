//! NVIDIA's assembler, where it is installed: what code for its devices needs of them.
//!
//! Takes a PTX text; gives what `ptxas` says of each kernel in it, and how many of a multiprocessor's
//! warps can be resident by that. Nothing else needs it: devices' drivers bring an assembler along.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use tempfile::NamedTempFile;

/// Variable with the assembler's path, for where it is not on `PATH`.
pub const VARIABLE: &str = "PTXAS";

/// How to get the assembler.
const ADVICE: &str =
    "no ptxas found: `pip install nvidia-cuda-nvcc`, and put its ptxas on PATH or name it in PTXAS";

/// Variable with the path of an assembler that knows devices which that of CUDA 13 doesn't.
const VARIABLE_FOR_OLD: &str = "PTXAS_12";

/// How to get it.
const ADVICE_FOR_OLD: &str = "no ptxas of CUDA 12 found: `pip install nvidia-cuda-nvcc-cu12`, and name its ptxas in PTXAS_12";

/// The oldest architecture that the assembler of CUDA 13 knows.
const OLDEST_OF_13: u32 = 75;

/// The assembler for an architecture, such as `sm_90`, if it is installed: where [`VARIABLE`] says, or on `PATH`; for those
/// older than `sm_75`, which that of CUDA 13 doesn't know, where `PTXAS_12` says.
///
/// # Errors
/// How to get it, if it isn't installed.
pub fn find_for(architecture: &str) -> Result<PathBuf, &'static str> {
    let number = architecture.trim_start_matches("sm_").parse::<u32>();
    if number.is_ok_and(|number| number < OLDEST_OF_13) {
        return named(VARIABLE_FOR_OLD).ok_or(ADVICE_FOR_OLD);
    }
    let on_path = || {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut on_path = env::split_paths(&path).map(|folder| folder.join("ptxas"));
        on_path.find(|file| file.is_file())
    };
    named(VARIABLE).or_else(on_path).ok_or(ADVICE)
}

fn named(variable: &str) -> Option<PathBuf> {
    let path = env::var_os(variable).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// What one kernel needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The kernel's symbol.
    pub kernel: String,
    /// Registers of 32 bits that a thread has.
    pub registers: u32,
    /// Bytes that a thread writes to and reads from memory because registers don't suffice, in the kernel
    /// and in functions that it calls.
    pub spill_stores: u32,
    /// See `spill_stores`.
    pub spill_loads: u32,
    /// Bytes of a thread's stack in the kernel itself.
    pub stack: u32,
    /// Bytes of shared memory of a group whose size the code knows.
    pub shared: u32,
}

impl Usage {
    /// Bytes that are spilled, either way.
    pub fn spills(&self) -> u32 {
        self.spill_stores + self.spill_loads
    }
}

/// Why a text can't be assembled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The assembler doesn't run.
    #[error("{path}: {reason}")]
    Run {
        /// Of the assembler or its input.
        path: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The assembler doesn't take it, and says this.
    #[error("{0}")]
    Refused(String),
}

/// Assembles a text for an architecture, such as `sm_90`.
///
/// # Errors
/// If the assembler can't be run or refuses the text.
pub fn assemble(assembler: &Path, architecture: &str, text: &[u8]) -> Result<Vec<Usage>, Error> {
    assemble_with(assembler, architecture, text, &[])
}

/// The same of a text that is to be linked with others.
///
/// # Errors
/// See [`assemble`].
pub fn assemble_part(
    assembler: &Path,
    architecture: &str,
    text: &[u8],
) -> Result<Vec<Usage>, Error> {
    assemble_with(assembler, architecture, text, &["--compile-only"])
}

fn assemble_with(
    assembler: &Path,
    architecture: &str,
    text: &[u8],
    options: &[&str],
) -> Result<Vec<Usage>, Error> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        |reason| Error::Run { path, reason }
    };
    let mut file = NamedTempFile::new().map_err(failed(&env::temp_dir()))?;
    file.write_all(text).map_err(failed(file.path()))?;
    let output = Command::new(assembler)
        .args(["--verbose", "--gpu-name", architecture])
        .args(["--output-file", "/dev/null"])
        .args(options)
        .arg(file.path())
        .output()
        .map_err(failed(assembler))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if output.status.success() {
        Ok(read(&said))
    } else {
        Err(Error::Refused(said.into_owned()))
    }
}

/// What the assembler told of each kernel, with `--verbose`.
fn read(said: &str) -> Vec<Usage> {
    let mut all: Vec<Usage> = Vec::new();
    let mut in_kernel = false;
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let kernel = rest.split('\'').next().unwrap_or_default().to_owned();
            all.push(Usage {
                kernel,
                ..Usage::default()
            });
        }
        let Some(usage) = all.last_mut() else {
            continue;
        };
        if let Some((_, function)) = line.split_once("Function properties for ") {
            in_kernel = function.trim() == usage.kernel;
        }
        for part in line.split([',', ':']) {
            let part = part.trim().trim_start_matches("Used ");
            let Some((number, what)) = part.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u32>() else {
                continue;
            };
            match what {
                "bytes spill stores" => usage.spill_stores += number,
                "bytes spill loads" => usage.spill_loads += number,
                "bytes stack frame" if in_kernel => usage.stack = number,
                "registers" => usage.registers = number,
                "bytes smem" => usage.shared = number,
                _ => {}
            }
        }
    }
    all
}

/// What a multiprocessor has (CUDA C++ Programming Guide, "Compute Capabilities", table "Technical
/// Specifications per Compute Capability").
struct Multiprocessor {
    /// Of the architecture, as in `sm_NUMBER`.
    number: u32,
    warps: u32,
    groups: u32,
    /// KiB.
    shared: u32,
}

const fn multiprocessor(number: u32, warps: u32, groups: u32, shared: u32) -> Multiprocessor {
    Multiprocessor {
        number,
        warps,
        groups,
        shared,
    }
}

const MULTIPROCESSORS: [Multiprocessor; 12] = [
    multiprocessor(70, 64, 32, 96),
    multiprocessor(72, 64, 32, 96),
    multiprocessor(75, 32, 16, 64),
    multiprocessor(80, 64, 32, 164),
    multiprocessor(86, 48, 16, 100),
    multiprocessor(87, 48, 16, 164),
    multiprocessor(89, 48, 24, 100),
    multiprocessor(90, 64, 32, 228),
    multiprocessor(100, 64, 32, 228),
    multiprocessor(103, 64, 32, 228),
    multiprocessor(120, 48, 24, 100),
    multiprocessor(121, 48, 24, 100),
];

/// Registers of a multiprocessor, and how many a warp is given at once.
const REGISTERS: u32 = 65_536;
const REGISTER_UNIT: u32 = 256;

/// Threads of a warp.
const WARP: u32 = 32;

/// A multiprocessor's four parts share its warps.
const PARTS: u32 = 4;

/// Share of a multiprocessor's warps that can be resident with groups of that many work-items; `None`
/// for an architecture that isn't known.
pub fn occupancy(architecture: &str, usage: &Usage, group: u32) -> Option<f64> {
    let number = architecture
        .strip_prefix("sm_")?
        .trim_end_matches(['a', 'f']);
    let number = number.parse::<u32>().ok()?;
    let has = MULTIPROCESSORS.iter().find(|has| has.number == number)?;
    let warps = group.div_ceil(WARP).max(1);
    let of_warp = (usage.registers.max(1) * WARP).next_multiple_of(REGISTER_UNIT);
    let by_registers = REGISTERS / PARTS / of_warp * PARTS / warps;
    // From compute capability 8 on, the system has some of each group's.
    let (unit, system) = if number < 80 { (256, 0) } else { (128, 1024) };
    let shared = (usage.shared + system).next_multiple_of(unit);
    let by_shared = (has.shared * 1024).checked_div(shared).unwrap_or(u32::MAX);
    let groups = (has.warps / warps)
        .min(has.groups)
        .min(by_registers)
        .min(by_shared);
    Some(f64::from(groups * warps) / f64::from(has.warps))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
ptxas info    : 64 bytes gmem
ptxas info    : Compiling entry function 'legionella_panic' for 'sm_90'
ptxas info    : Function properties for legionella_panic
    48 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 56 registers, used 0 barriers, 48 bytes cumulative stack size, 32 bytes smem
ptxas info    : Compile time = 249.123 ms
ptxas info    : Function properties for write
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Compiling entry function 'legionella_line' for 'sm_90'
ptxas info    : Function properties for legionella_line
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 14 registers, used 0 barriers
";

    #[test]
    fn usage_is_read_by_kernel() {
        let [panic, line] = read(SAID).try_into().unwrap();
        assert_eq!(panic.kernel, "legionella_panic");
        assert_eq!((panic.registers, panic.stack, panic.shared), (56, 48, 32));
        assert_eq!((panic.spill_stores, panic.spill_loads), (12, 8));
        assert_eq!(
            (&*line.kernel, line.registers, line.spills()),
            ("legionella_line", 14, 0)
        );
    }

    #[test]
    fn occupancy_is_as_in_nvidias_calculator() {
        let of = |registers, shared, group, architecture| {
            let usage = Usage {
                registers,
                shared,
                ..Usage::default()
            };
            occupancy(architecture, &usage, group)
        };
        assert_eq!(of(32, 0, 256, "sm_90"), Some(1.0));
        assert_eq!(of(64, 0, 256, "sm_90a"), Some(0.5));
        assert_eq!(of(255, 0, 256, "sm_80"), Some(0.125));
        // 42 registers are 1,536 of a warp: 10 of them fit into each of the four parts.
        assert_eq!(of(42, 0, 128, "sm_90"), Some(40.0 / 64.0));
        // 3 groups of 65 KiB fit into 228 KiB.
        assert_eq!(of(16, 64 * 1024, 256, "sm_90"), Some(24.0 / 64.0));
        assert_eq!(of(16, 0, 32, "sm_86"), Some(16.0 / 48.0));
        // Two groups of 48 KiB fit into 96 KiB, as the system has none of them there.
        assert_eq!(of(16, 48 * 1024, 256, "sm_70"), Some(16.0 / 64.0));
        assert_eq!(of(64, 0, 256, "sm_70"), Some(0.5));
        assert_eq!(of(16, 0, 256, "sm_1"), None);
    }
}
