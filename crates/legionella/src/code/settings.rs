//! What the environment says about caching, the driver and its limits.
//!
//! | variable | meaning | unless set |
//! | --- | --- | --- |
//! | `LEGIONELLA_CACHE` | folder of the disk cache; `off` for none | `$XDG_CACHE_HOME/legionella`, else `~/.cache/legionella` |
//! | `LEGIONELLA_CACHE_SIZE` | its size cap: bytes, or a number with `K`, `M` or `G` (powers of 1024) | `1G` |
//! | `LEGIONELLA_DRIVER` | path of the driver | looked for (see [`super::Error::NoDriver`]) |
//! | `LEGIONELLA_TIMEOUT` | seconds that the driver may take for one request | `120` |
//! | `LEGIONELLA_DUMP` | folder for the IR of every stage; code is then always generated anew | no dump |
//! | `LEGIONELLA_HEAP` | bytes of the heap that kernels allocate from, likewise | CPU: the program's allocator; NVIDIA: 1/16 of the memory, at most `1G` |
//! | `LEGIONELLA_LIBDEVICE`, `LEGIONELLA_OCML` | paths of NVIDIA's `libdevice.10.bc` and AMD's `ocml.bc` ([`crate::Relaxed::vendor`]) | where CUDA and ROCm have them |
//! | `LEGIONELLA_LOG` | what to log to standard error ([`super::initialise_log`]) | nothing |
//!
//! The environment is read once, when the process first needs code.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use super::maths::{self, Libraries};

/// Where code is cached and how it is generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Folder of the disk cache; `None` for no disk cache.
    pub cache: Option<PathBuf>,
    /// Bytes that the disk cache may take.
    pub cache_size: u64,
    /// The driver that the user asked for.
    pub driver: Option<PathBuf>,
    /// The folder that holds the running program.
    pub beside: Option<PathBuf>,
    /// The user's `PATH`.
    pub path: Option<OsString>,
    /// How long the driver may take for one request.
    pub timeout: Duration,
    /// Folder for the IR of every stage.
    pub dump: Option<String>,
    /// Libraries of mathematical functions.
    pub maths: Libraries,
}

impl Settings {
    /// What this process's environment says.
    ///
    /// # Errors
    /// [`Error::Setting`] if a variable has a value that means nothing.
    pub fn from_environment() -> Result<Settings, Error> {
        Settings::from_variables(env::var_os)
    }

    /// What a set of variables says. An empty value counts as unset.
    ///
    /// # Errors
    /// [`Error::Setting`] if a variable has a value that means nothing.
    pub fn from_variables(
        variable: impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Settings, Error> {
        let variable = |name| variable(name).filter(|value: &OsString| !value.is_empty());
        let maths = maths::libraries(variable)?;
        let folder = |value: &OsStr| std::path::absolute(value).unwrap_or_else(|_| value.into());
        let cache = match variable("LEGIONELLA_CACHE") {
            Some(value) if value == "off" => None,
            Some(value) => Some(folder(&value)),
            None => variable("XDG_CACHE_HOME")
                .map(PathBuf::from)
                // The specification says that a relative path is to be ignored.
                .filter(|path| path.is_absolute())
                .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
                .map(|path| path.join("legionella")),
        };
        let parsed = |name, parse: &dyn Fn(&str) -> Option<u64>, default, expected| {
            let Some(value) = variable(name) else {
                return Ok(default);
            };
            value
                .to_str()
                .and_then(parse)
                .ok_or_else(|| Error::Setting {
                    variable: name,
                    value: value.to_string_lossy().into_owned(),
                    expected,
                })
        };
        Ok(Settings {
            cache,
            cache_size: parsed(
                "LEGIONELLA_CACHE_SIZE",
                &bytes,
                1 << 30,
                "a size such as `1073741824`, `512M` or `1G`",
            )?,
            driver: variable("LEGIONELLA_DRIVER").map(|value| folder(&value)),
            beside: env::current_exe()
                .ok()
                .and_then(|executable| executable.parent().map(Path::to_path_buf)),
            path: variable("PATH"),
            timeout: Duration::from_millis(parsed(
                "LEGIONELLA_TIMEOUT",
                &milliseconds,
                120_000,
                "a positive number of seconds",
            )?),
            dump: variable("LEGIONELLA_DUMP")
                .map(|value| {
                    let folder = folder(&value).into_os_string();
                    folder.into_string().map_err(|folder| Error::Setting {
                        variable: "LEGIONELLA_DUMP",
                        value: folder.to_string_lossy().into_owned(),
                        expected: "a path in UTF-8",
                    })
                })
                .transpose()?,
            maths,
        })
    }
}

/// Variable with the bytes of the heap that kernels allocate from.
pub(crate) const HEAP: &str = "LEGIONELLA_HEAP";

/// How large the heap of accelerators is that aren't given another; `None` if that isn't said.
pub(crate) fn heap() -> Result<Option<usize>, Error> {
    let Some(value) = env::var_os(HEAP).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.to_string_lossy().into_owned();
    let size = bytes(&value).and_then(|bytes| usize::try_from(bytes).ok());
    match size.filter(|size| *size > 0) {
        Some(size) => Ok(Some(size)),
        None => Err(no_heap(value)),
    }
}

/// The error of a size of the heap that is none.
pub(crate) fn no_heap(value: String) -> Error {
    Error::Setting {
        variable: HEAP,
        value,
        expected: "a size from 256K to what there is memory for",
    }
}

/// A size with an optional suffix, in bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let shift = match text.as_bytes().last()? {
        b'K' | b'k' => 10,
        b'M' | b'm' => 20,
        b'G' | b'g' => 30,
        _ => 0,
    };
    let number = if shift == 0 {
        text
    } else {
        text[..text.len() - 1].trim_end()
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A positive number of seconds, in milliseconds.
fn milliseconds(text: &str) -> Option<u64> {
    let seconds: f64 = text.trim().parse().ok()?;
    let milliseconds = (seconds * 1000.0).round();
    (milliseconds >= 1.0 && milliseconds <= f64::from(u32::MAX)).then_some(milliseconds as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::from_variables(|name| {
            variables
                .iter()
                .find(|(set, _)| *set == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn cache_folder_follows_the_documented_order() {
        let all = [
            ("LEGIONELLA_CACHE", "/own"),
            ("XDG_CACHE_HOME", "/xdg"),
            ("HOME", "/home/a"),
        ];
        let cache = |variables| settings(variables).unwrap().cache;
        assert_eq!(cache(&all), Some("/own".into()));
        assert_eq!(cache(&all[1..]), Some("/xdg/legionella".into()));
        assert_eq!(cache(&all[2..]), Some("/home/a/.cache/legionella".into()));
        assert_eq!(cache(&[]), None);
        assert_eq!(cache(&[("LEGIONELLA_CACHE", "off"), ("HOME", "/h")]), None);
        assert_eq!(
            cache(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")]),
            Some("/h/.cache/legionella".into())
        );
        let relative = cache(&[("LEGIONELLA_CACHE", "here")]).unwrap();
        assert!(relative.is_absolute());
    }

    #[test]
    fn a_dump_goes_to_an_absolute_path_that_a_message_can_carry() {
        use std::os::unix::ffi::OsStringExt;
        let dump = settings(&[("LEGIONELLA_DUMP", "ir")])
            .unwrap()
            .dump
            .unwrap();
        assert!(dump.starts_with('/') && dump.ends_with("/ir"), "{dump}");
        let error = Settings::from_variables(|name| {
            (name == "LEGIONELLA_DUMP").then(|| OsString::from_vec(vec![b'/', 0xff]))
        });
        assert!(error.is_err());
    }

    #[test]
    fn numbers_are_read_and_nonsense_is_an_error() {
        let size = |text| settings(&[("LEGIONELLA_CACHE_SIZE", text)]).map(|s| s.cache_size);
        assert_eq!(size("4096").unwrap(), 4096);
        assert_eq!(size("64K").unwrap(), 64 << 10);
        assert_eq!(size("2 G").unwrap(), 2 << 30);
        assert!(size("many").is_err());
        assert!(size("99999999999G").is_err());
        let limit = |text| settings(&[("LEGIONELLA_TIMEOUT", text)]).map(|s| s.timeout);
        assert_eq!(limit("0.25").unwrap(), Duration::from_millis(250));
        for wrong in ["0", "-1", "NaN", "soon", "inf"] {
            let error = limit(wrong).unwrap_err().to_string();
            assert!(error.contains("LEGIONELLA_TIMEOUT") && error.contains(wrong));
        }
        assert_eq!(settings(&[]).unwrap().timeout, Duration::from_secs(120));
    }
}
