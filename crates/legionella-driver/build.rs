//! Lists the C functions of LLVM that the building toolchain's `libLLVM` exports.
//!
//! Takes `rustc`'s sysroot; gives two files in `OUT_DIR` for `src/llvm`: `names.rs`, a slice of the
//! functions' names, and `trampolines.s`, one line `trampoline INDEX NAME` for each. Nothing is
//! linked: which library's functions stand behind the names is decided when the driver runs.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use object::{Object as _, ObjectSymbol as _};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let library = library(&sysroot()?)?;
    println!("cargo::rerun-if-changed={}", library.display());
    let names = functions(&library)?;

    let mut table = String::from("&[\n");
    let mut trampolines = String::new();
    for (index, name) in names.iter().enumerate() {
        writeln!(table, "    c\"{name}\",")?;
        writeln!(trampolines, "trampoline {index} {name}")?;
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("names.rs"), table)?;
    fs::write(out.join("trampolines.s"), trampolines)?;
    Ok(())
}

fn sysroot() -> Result<PathBuf, Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").ok_or("cargo sets RUSTC")?;
    let output = Command::new(&rustc).args(["--print", "sysroot"]).output()?;
    if !output.status.success() {
        return Err(format!("`{} --print sysroot` failed", rustc.display()).into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}

/// The sysroot's `libLLVM`. A linker script of a similar name may lie beside it: the library is
/// the larger file.
fn library(sysroot: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut largest = None;
    for entry in fs::read_dir(sysroot.join("lib"))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("libLLVM") && name.contains(".so") {
            let size = fs::metadata(entry.path())?.len();
            largest = largest.max(Some((size, entry.path())));
        }
    }
    let (_, path) = largest.ok_or_else(|| {
        format!(
            "no libLLVM in {}/lib: build with a toolchain from rustup, whose LLVM is a shared \
             library",
            sysroot.display()
        )
    })?;
    Ok(path)
}

fn functions(library: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let bytes = object::ReadCache::new(fs::File::open(library)?);
    let file = object::File::parse(&bytes)?;
    let mut names = Vec::new();
    for symbol in file.dynamic_symbols() {
        let name = symbol.name()?;
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if symbol.is_definition() && name.starts_with("LLVM") && plain {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err(format!("{} exports no LLVM C API", library.display()).into());
    }
    Ok(names)
}
