//! Accelerators, the libraries of their vendors, and the cache.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use legionella::Accelerator;
use legionella::backend::Runtime;
use legionella::code::{Settings, maths};

use super::findings::{Report, State};

const ACCELERATORS: &str = "Accelerators";

/// What programs can run kernels on.
pub(super) fn accelerators(report: &mut Report) {
    match Accelerator::list() {
        Ok(all) => {
            for accelerator in all {
                let found = match accelerator.name() {
                    "cpu" => processor(),
                    _ => accelerator.description(),
                };
                report.add(ACCELERATORS, accelerator.name(), State::Good, found);
            }
        }
        Err(error) => {
            report.add(ACCELERATORS, "list", State::Missing, error.to_string());
        }
    }
}

/// Name, features and threads of the CPU.
fn processor() -> String {
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = information
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(':'))
        .map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = legionella::code::Machine::host();
    let notable = [
        "sse4.2",
        "avx",
        "avx2",
        "fma",
        "bmi2",
        "f16c",
        "avx512f",
        "avx512vl",
        "avx512bf16",
        "avx10.1",
        "amx-tile",
        "neon",
        "sve",
        "sve2",
        "bf16",
        "i8mm",
    ]
    .map(str::to_owned);
    let missing = machine.missing(&notable);
    let has: Vec<&str> = notable
        .iter()
        .map(String::as_str)
        .filter(|feature| !missing.contains(feature))
        .collect();
    format!("{name}, {threads} threads, {}", has.join(" "))
}

/// Software of vendors by which programs reach devices, or will.
pub(super) fn vendor_libraries(report: &mut Report) {
    for (target, runtime) in legionella::backend::runtimes() {
        let (state, found) = match runtime {
            Runtime::Works(found) => (State::Good, found),
            Runtime::Absent(found) => (State::Note, found),
            Runtime::Broken(found) => (State::Warning, found),
        };
        let finding = report.add(ACCELERATORS, target, state, found);
        if state == State::Warning {
            finding.advise("programs run on the CPU; install the vendor's current driver");
        }
    }
    let libraries = [("spirv (Vulkan)", "libvulkan.so.1")];
    for (target, library) in libraries {
        // SAFETY: vendors' libraries have initialisers that are made to run in any process.
        let found = match unsafe { libloading::Library::new(library) } {
            Ok(opened) => {
                // Not all of them can be unloaded.
                std::mem::forget(opened);
                format!("{library} found, target not supported yet")
            }
            Err(_) => format!("target not supported yet ({library} not found)"),
        };
        report.add(ACCELERATORS, target, State::Note, found);
    }
    for target in ["bpf (Linux kernel)", "hls (hardware synthesis)"] {
        report.add(
            ACCELERATORS,
            target,
            State::Note,
            "target not supported yet",
        );
    }
}

/// Vendors' libraries of mathematical functions, for kernels that ask for them.
pub(super) fn maths(report: &mut Report) {
    match maths::libraries(std::env::var_os) {
        Ok(libraries) => {
            for target in ["nvptx", "amdgpu"] {
                let found = match libraries.get(target) {
                    Some(library) => library.path.clone(),
                    None => "none, so the device library's are used everywhere".to_owned(),
                };
                let what = format!("{target}, mathematical functions");
                report.add(ACCELERATORS, what, State::Note, found);
            }
        }
        Err(error) => {
            report
                .add(
                    ACCELERATORS,
                    "mathematical functions",
                    State::Missing,
                    error.to_string(),
                )
                .advise("unset the variable: no program can launch kernels like this");
        }
    }
}

/// The disk cache.
pub(super) fn cache(report: &mut Report) {
    let part = "Cache of generated code";
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(error) => {
            report
                .add(part, "settings", State::Missing, error.to_string())
                .advise("unset the variable: no program can launch kernels like this");
            return;
        }
    };
    let Some(folder) = settings.cache else {
        let found = match std::env::var_os("LEGIONELLA_CACHE") {
            Some(_) => "off by LEGIONELLA_CACHE",
            None => "none, since neither HOME nor XDG_CACHE_HOME is set",
        };
        report
            .add(part, "folder", State::Warning, found)
            .advise("programs work, and generate their code anew each time they are started");
        return;
    };
    let what = folder.display().to_string();
    let (files, bytes) = contents(&folder);
    let room = format!(
        "{:.1} of {:.0} MB",
        bytes as f64 / 1e6,
        settings.cache_size as f64 / 1e6
    );
    match writable(&folder) {
        Ok(true) => {
            let found = format!("writable, {files} files, {room}");
            report.add(part, what, State::Good, found);
        }
        Ok(false) => {
            report.add(part, what, State::Good, "not there yet; made when it is needed");
        }
        Err(reason) => report
            .add(part, what, State::Warning, format!("not writable: {reason}"))
            .advise("programs work, and generate their code anew; LEGIONELLA_CACHE names another folder"),
    }
}

/// Number of files in a folder, and their size.
fn contents(folder: &Path) -> (usize, u64) {
    let sizes: Vec<u64> = (folder.read_dir().into_iter().flatten().flatten())
        .filter_map(|entry| entry.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .collect();
    (sizes.len(), sizes.iter().sum())
}

/// Whether a folder that is to be written to exists; an error if that can't be, or if the folder
/// does not exist and can't be made.
fn writable(folder: &Path) -> std::io::Result<bool> {
    let existing = folder.ancestors().find(|folder| folder.exists());
    let existing = existing.unwrap_or(Path::new("/"));
    let mut name = OsString::from(".legionella-doctor-");
    name.push(std::process::id().to_string());
    let file = existing.join(name);
    fs::write(&file, [])?;
    fs::remove_file(&file)?;
    Ok(existing == folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_tried_by_writing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(writable(folder.path()).unwrap());
        assert!(!writable(&folder.path().join("new/deep")).unwrap());
        assert!(writable(Path::new("/proc/self/nothing")).is_err());
        assert_eq!(contents(folder.path()), (0, 0));
    }
}
