//! The libraries of mathematical functions that vendors of devices have, for kernels that may have them
//! ([`Relaxed::vendor`](crate::Relaxed::vendor)): where they are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use legionella_abi::protocol::MathsLibrary;

use super::Error;

/// What is installed, by the name of the target that it is for.
pub type Libraries = BTreeMap<String, MathsLibrary>;

/// A library, and where it may be.
struct Known {
    target: &'static str,
    /// The variable with its path.
    variable: &'static str,
    /// Variables with the folder that the vendor's tools are in, and where it is in that.
    homes: &'static [&'static str],
    within: &'static str,
    /// Where installers put it.
    paths: &'static [&'static str],
    expected: &'static str,
}

const KNOWN: [Known; 2] = [
    Known {
        target: "nvptx",
        variable: "LEGIONELLA_LIBDEVICE",
        homes: &["CUDA_HOME", "CUDA_PATH"],
        within: "nvvm/libdevice/libdevice.10.bc",
        paths: &[
            "/usr/local/cuda/nvvm/libdevice/libdevice.10.bc",
            "/opt/cuda/nvvm/libdevice/libdevice.10.bc",
            "/usr/lib/nvidia-cuda-toolkit/libdevice/libdevice.10.bc",
        ],
        expected: "the path of CUDA's `libdevice.10.bc`",
    },
    Known {
        target: "amdgpu",
        variable: "LEGIONELLA_OCML",
        homes: &["ROCM_PATH"],
        within: "amdgcn/bitcode/ocml.bc",
        paths: &[
            "/opt/rocm/amdgcn/bitcode/ocml.bc",
            "/usr/lib/x86_64-linux-gnu/amdgcn/bitcode/ocml.bc",
            "/usr/lib64/amdgcn/bitcode/ocml.bc",
            "/usr/lib/amdgcn/bitcode/ocml.bc",
        ],
        expected: "the path of ROCm's `ocml.bc`",
    },
];

/// The libraries that the variables name, and of others those that are where installers put them.
///
/// # Errors
/// [`Error::Setting`] if a variable names what is no file.
pub fn libraries(variable: impl Fn(&'static str) -> Option<OsString>) -> Result<Libraries, Error> {
    let variable = |name| variable(name).filter(|value: &OsString| !value.is_empty());
    let mut libraries = Libraries::new();
    for known in KNOWN {
        let found = match variable(known.variable) {
            Some(path) => {
                let library = library(Path::new(&path)).ok_or_else(|| Error::Setting {
                    variable: known.variable,
                    value: path.to_string_lossy().into_owned(),
                    expected: known.expected,
                })?;
                Some(library)
            }
            None => {
                let homes = known.homes.iter().copied().filter_map(variable);
                homes
                    .map(|home| Path::new(&home).join(known.within))
                    .chain(known.paths.iter().map(PathBuf::from))
                    .find_map(|path| library(&path))
            }
        };
        libraries.extend(found.map(|library| (known.target.to_owned(), library)));
    }
    Ok(libraries)
}

/// The library at a path, if there is a file.
fn library(path: &Path) -> Option<MathsLibrary> {
    let path = std::fs::canonicalize(path).ok()?;
    let file = std::fs::metadata(&path)
        .ok()
        .filter(|file| file.is_file())?;
    let changed = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(MathsLibrary {
        version: (file.len(), changed.as_nanos() as u64),
        path: path.into_os_string().into_string().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_comes_before_the_vendor_s_folder_and_must_name_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("cuda");
        let within = home.join(KNOWN[0].within);
        std::fs::create_dir_all(within.parent().unwrap()).unwrap();
        std::fs::write(&within, "installed").unwrap();
        let own = folder.path().join("own.bc");
        std::fs::write(&own, "mine").unwrap();

        let found = |own: Option<&Path>| {
            let found = libraries(|name| match name {
                "LEGIONELLA_LIBDEVICE" => own.map(OsString::from),
                "CUDA_HOME" => Some(home.clone().into()),
                _ => None,
            });
            found.map(|all| all["nvptx"].clone())
        };
        let installed = found(None).unwrap();
        assert!(installed.path.ends_with(KNOWN[0].within) && installed.version.0 == 9);
        assert!(found(Some(&own)).unwrap().path.ends_with("own.bc"));
        let error = found(Some(&folder.path().join("nothing")))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("LEGIONELLA_LIBDEVICE") && error.contains("libdevice.10.bc"),
            "{error}"
        );
    }
}
