//! Where the driver is.
//!
//! Takes settings and the path that the linker step recorded, gives the first driver in the
//! documented order, or what was found at each place instead.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::code::{Searched, Settings};

/// The driver's file name.
const NAME: &str = "legionella-driver";

/// A driver's executable, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    size: u64,
    modified: (i64, i64),
}

impl Found {
    /// Changes whenever the driver does.
    pub fn identity(&self) -> Vec<u8> {
        let mut identity = self.path.as_os_str().as_encoded_bytes().to_vec();
        identity.extend_from_slice(&self.size.to_le_bytes());
        identity.extend_from_slice(&self.modified.0.to_le_bytes());
        identity.extend_from_slice(&self.modified.1.to_le_bytes());
        identity
    }
}

/// The driver to use. `recorded` is the path that the linker step noted.
pub fn find(settings: &Settings, recorded: &str) -> Result<Found, Vec<Searched>> {
    let mut searched = Vec::with_capacity(4);
    let mut missed = |place, found: String| searched.push(Searched { place, found });

    // Who names a driver means that one: another in its stead would hide the mistake.
    if let Some(path) = &settings.driver {
        match look(path) {
            Ok(found) => return Ok(found),
            Err(instead) => {
                missed(VARIABLE, instead);
                for place in [BESIDE, RECORDED, PATH] {
                    missed(
                        place,
                        "not looked at, since LEGIONELLA_DRIVER names a driver".into(),
                    );
                }
                return Err(searched);
            }
        }
    }
    missed(VARIABLE, "not set".into());

    match &settings.beside {
        Some(folder) => match look(&folder.join(NAME)) {
            Ok(found) => return Ok(found),
            Err(instead) => missed(BESIDE, instead),
        },
        None => missed(BESIDE, "the executable's folder is not known".into()),
    }

    if recorded.is_empty() {
        missed(RECORDED, "none was recorded".into());
    } else {
        match look(Path::new(recorded)) {
            Ok(found) => return Ok(found),
            Err(instead) => missed(RECORDED, instead),
        }
    }

    match &settings.path {
        Some(path) => {
            let mut folders = 0;
            for folder in std::env::split_paths(path) {
                if let Ok(found) = look(&folder.join(NAME)) {
                    return Ok(found);
                }
                folders += 1;
            }
            missed(PATH, format!("no `{NAME}` in any of its {folders} folders"));
        }
        None => missed(PATH, "not set".into()),
    }
    Err(searched)
}

const VARIABLE: &str = "LEGIONELLA_DRIVER";
const BESIDE: &str = "beside the executable";
const RECORDED: &str = "the path recorded when the program was linked";
const PATH: &str = "PATH";

/// The driver at a path, or what is there instead.
fn look(path: &Path) -> Result<Found, String> {
    let describe = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let metadata: Metadata = path.metadata().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => describe(&"no such file"),
        _ => describe(&error),
    })?;
    if !metadata.is_file() {
        return Err(describe(&"not a file"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(describe(&"not executable"));
    }
    Ok(Found {
        path: path.to_path_buf(),
        size: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}
