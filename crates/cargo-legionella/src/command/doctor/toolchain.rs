//! Compiler, LLVM, linkers and drivers.

use std::env;
use std::path::{Path, PathBuf};

use legionella::code::Settings;
use legionella_driver::llvm;

use super::findings::{Report, State};
use super::probe;
use crate::command::places;

const TOOLCHAIN: &str = "Rust toolchain";
/// What LLVM is called in the findings.
const LIBRARY: &str = "libLLVM";

const DRIVER: &str = "Driver (the process that generates code)";

/// The oldest compiler that works, and where there is one.
const GET_RUST: &str = "get Rust 1.95 or later by rustup: https://rustup.rs";

/// What this program is and where.
pub(super) fn this_program(report: &mut Report) {
    let part = "Legionella";
    let version = env!("CARGO_PKG_VERSION");
    let found = match env::current_exe() {
        Ok(path) => format!("{version}, {}", path.display()),
        Err(error) => format!("{version}, in an unknown place: {error}"),
    };
    report.add(part, "cargo-legionella", State::Good, found);
    match places::on_path("cargo-legionella") {
        Some(path) => report.add(part, "on PATH", State::Good, path.display().to_string()),
        None => {
            let finding = report.add(part, "on PATH", State::Warning, "no cargo-legionella");
            finding.advise(
                "`cargo legionella` works only if it is; `cargo install cargo-legionella` puts it \
                 into ~/.cargo/bin, which belongs on PATH",
            );
            finding
        }
    };
}

/// The compiler; gives its sysroot.
pub(super) fn compiler(report: &mut Report) -> Option<PathBuf> {
    let cargo = env::var_os("CARGO")
        .map(PathBuf::from)
        .or_else(|| places::on_path("cargo"));
    tool(report, "cargo", cargo);
    let rustc = env::var_os("RUSTC")
        .map(PathBuf::from)
        .or_else(|| places::on_path("rustc"));
    let rustc = tool(report, "rustc", rustc);
    let linker = places::on_path("cc");
    match linker {
        Some(path) => {
            report.add(
                TOOLCHAIN,
                "linker `cc`",
                State::Good,
                path.display().to_string(),
            );
        }
        None => report
            .add(TOOLCHAIN, "linker `cc`", State::Missing, "not on PATH")
            .advise("rustc links by it: install a C compiler, such as Debian's package gcc"),
    }
    other_toolchains(report);
    let sysroot = rustc.and_then(|rustc| llvm::sysroot_of(rustc.as_os_str()));
    if let Some(sysroot) = &sysroot {
        report.add(
            TOOLCHAIN,
            "sysroot",
            State::Good,
            sysroot.display().to_string(),
        );
    }
    sysroot
}

/// A program of the toolchain; gives it if it works.
fn tool(report: &mut Report, name: &str, found: Option<PathBuf>) -> Option<PathBuf> {
    let Some(path) = found else {
        let installed = places::cargo_home().map(|home| home.join("bin").join(name));
        let advice = match installed.filter(|path| places::is_executable(path)) {
            Some(path) => format!("there is {}: put its folder on PATH", path.display()),
            None => GET_RUST.to_owned(),
        };
        report
            .add(TOOLCHAIN, name, State::Missing, "not on PATH")
            .advise(advice);
        return None;
    };
    match probe::output(&path, &["--version"]) {
        Ok(version) => {
            let found = format!("{version}, {}", path.display());
            report.add(TOOLCHAIN, name, State::Good, found);
            Some(path)
        }
        Err(reason) => {
            let found = format!("{}: {reason}", path.display());
            report
                .add(TOOLCHAIN, name, State::Missing, found)
                .advise(GET_RUST);
            None
        }
    }
}

/// Toolchains that rustup has beside the active one.
fn other_toolchains(report: &mut Report) {
    let Some(rustup) = places::on_path("rustup") else {
        report.add(TOOLCHAIN, "rustup", State::Note, "not on PATH");
        return;
    };
    match probe::output(&rustup, &["toolchain", "list"]) {
        Ok(list) => {
            let list: Vec<&str> = list.lines().collect();
            report.add(
                TOOLCHAIN,
                "installed by rustup",
                State::Note,
                list.join(", "),
            );
        }
        Err(reason) => {
            report.add(TOOLCHAIN, "rustup", State::Note, reason);
        }
    }
}

/// LLVM and the linker in the compiler's sysroot.
pub(super) fn libraries(report: &mut Report, sysroot: Option<&Path>) {
    let part = "LLVM (from the toolchain)";
    let advice = "toolchains by rustup have it; those of Linux distributions link LLVM in another way. \
                  LEGIONELLA_LLVM names another libLLVM.so of version 22";
    match llvm::find(sysroot) {
        Ok(library) => match probe::llvm_version(&library) {
            Ok(version) => {
                let found = format!("{version}, {}", library.display());
                report.add(part, LIBRARY, State::Good, found);
            }
            Err(reason) => report
                .add(
                    part,
                    LIBRARY,
                    State::Missing,
                    format!("{}: {reason}", library.display()),
                )
                .advise(advice),
        },
        Err(error) => report
            .add(part, LIBRARY, State::Missing, error.to_string())
            .advise(if sysroot.is_some() { advice } else { GET_RUST }),
    }
    let linker = sysroot
        .and_then(rust_lld)
        .or_else(|| places::on_path("rust-lld"));
    let what = "rust-lld";
    match linker {
        Some(path) => match probe::output(&path, &["-flavor", "gnu", "--version"]) {
            Ok(version) => {
                let found = format!("{version}, {}", path.display());
                report.add(part, what, State::Good, found);
            }
            Err(reason) => {
                let found = format!("{}: {reason}", path.display());
                report
                    .add(part, what, State::Missing, found)
                    .advise(GET_RUST);
            }
        },
        None => report
            .add(
                part,
                what,
                State::Missing,
                "not in the sysroot, not on PATH",
            )
            .advise(GET_RUST),
    }
}

/// The linker of a sysroot.
fn rust_lld(sysroot: &Path) -> Option<PathBuf> {
    let targets = sysroot.join("lib/rustlib").read_dir().ok()?;
    targets
        .filter_map(Result::ok)
        .map(|target| target.path().join("bin/rust-lld"))
        .find(|path| path.is_file())
}

/// The drivers in the places where applications look.
pub(super) fn drivers(report: &mut Report, sysroot: Option<&Path>) {
    let name = format!("legionella-driver{}", env::consts::EXE_SUFFIX);
    let asked = Settings::from_environment()
        .ok()
        .and_then(|settings| settings.driver);
    let beside = env::current_exe()
        .ok()
        .map(|this| this.with_file_name(&name));
    let places = [
        ("named by LEGIONELLA_DRIVER", asked, "not set"),
        // Programs record this one when they are linked.
        (
            "driver beside cargo-legionella",
            beside.filter(|path| path.is_file()),
            "none",
        ),
        ("driver on PATH", places::on_path(&name), "none"),
    ];
    let no_llvm = (report.findings.iter())
        .any(|finding| finding.what == LIBRARY && finding.state == State::Missing);
    let advice = if no_llvm {
        "it needs LLVM: see above"
    } else {
        "`cargo install cargo-legionella` installs one that fits, beside cargo-legionella"
    };
    let mut found_one = false;
    for (place, path, otherwise) in places {
        let Some(path) = path else {
            report.add(DRIVER, place, State::Note, otherwise);
            continue;
        };
        let result = probe::driver(&path, sysroot);
        // Applications take the first that is there, and no other if that is broken.
        let broken = if found_one {
            State::Warning
        } else {
            State::Missing
        };
        found_one = true;
        match result {
            Ok(llvm) => {
                let found = format!("{}\nstarts, and loads {llvm}", path.display());
                report.add(DRIVER, place, State::Good, found);
            }
            Err(reason) => report
                .add(
                    DRIVER,
                    place,
                    broken,
                    format!("{}: {reason}", path.display()),
                )
                .advise(advice),
        }
    }
    if !found_one {
        report
            .add(
                DRIVER,
                "legionella-driver",
                State::Missing,
                "in none of these places",
            )
            .advise(advice);
    }
}
