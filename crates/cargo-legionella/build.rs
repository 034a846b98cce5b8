//! Tells versions of the wrapper apart by what they make of a crate and of an image.
//!
//! Takes the sources of the wrapper, of the linker step and of what extracts closures; gives their hash
//! as `LEGIONELLA_SOURCES`. Without it each change to the driver would have all crates compiled anew.

use std::collections::BTreeSet;
use std::error::Error;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Relative to this package. Those of another package are only there in the repository; where
/// packages come from a registry, their versions tell.
const SOURCES: [&str; 6] = [
    "src/linker",
    "src/store.rs",
    "src/wrapper",
    "../legionella-driver/src/bitcode",
    "../legionella-driver/src/extract",
    "../legionella-driver/src/link",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets it")?);
    println!("cargo::rerun-if-changed=build.rs");
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        let path = root.join(source);
        if path.exists() {
            println!("cargo::rerun-if-changed={source}");
            hash(&path, &mut hasher)?;
        }
    }
    println!(
        "cargo::rustc-env=LEGIONELLA_SOURCES={:016x}",
        hasher.finish()
    );
    Ok(())
}

/// Adds a file, or all that are in a folder, in the order of their names.
fn hash(path: &Path, hasher: &mut DefaultHasher) -> Result<(), Box<dyn Error>> {
    if !path.is_dir() {
        hasher.write(&fs::read(path)?);
        return Ok(());
    }
    let entries: Result<BTreeSet<PathBuf>, _> = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    for entry in entries? {
        hasher.write(entry.file_name().unwrap_or_default().as_encoded_bytes());
        hash(&entry, hasher)?;
    }
    Ok(())
}
