//! Bitcode stores: the pre-optimisation bitcode of a crate, kept beside its artifact.
//!
//! A store is a folder `STEM.legionella` in the compiler's output folder: one file `UNIT.bc` for
//! each codegen unit, and [`CONTENTS`], which says what the store belongs to. Stores are written
//! whole in a folder of their own and moved into place, so a reader sees all of one or none of it.
//! This module knows files; it must not know what is in the bitcode.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// File in a store that holds its [`Contents`].
const CONTENTS: &str = "contents";

/// File in a compilation's own folder that says that its store has been made.
const COMMITTED: &str = "committed";

/// What a store belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// Finished session of the incremental cache whose codegen units these are.
    pub session: Option<String>,
    /// Artifacts of the crates that this one refers to.
    pub externs: Vec<PathBuf>,
}

/// Where the store beside an artifact is: `libfoo-1.rlib`, `libfoo-1.rmeta` and `libfoo-1.so` have
/// theirs in `libfoo-1.legionella`.
pub(crate) fn beside(artifact: &Path) -> PathBuf {
    artifact.with_extension("legionella")
}

/// The contents of the store in a folder; `None` if there is no store.
pub(crate) fn contents(store: &Path) -> Option<Contents> {
    let bytes = fs::read(store.join(CONTENTS)).ok()?;
    postcard::from_bytes(&bytes).ok()
}

/// The codegen units of a crate after a compiler run.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// Those that were compiled, and where their bitcode is.
    pub fresh: BTreeMap<String, PathBuf>,
    /// Those that were taken from the incremental cache.
    pub reused: BTreeSet<String>,
}

impl Units {
    /// Looks through a folder of temporary files for those of the crate `name` (with its extra
    /// file name, such as `foo-0123456789abcdef`), and in the finished session of the crate's
    /// incremental cache, which has a file of every codegen unit.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn find(temps: &Path, name: &str, session: Option<&Path>) -> io::Result<Self> {
        let mut units = Units::default();
        for entry in fs::read_dir(temps)? {
            let entry = entry?;
            let file_name = entry.file_name();
            if let Some(unit) = file_name.to_str().and_then(|file| unit(file, name)) {
                units.fresh.insert(unit.to_owned(), entry.path());
            }
        }
        let Some(session) = session else {
            return Ok(units);
        };
        for entry in fs::read_dir(session)? {
            let file = entry?.file_name();
            let kinds = [".o", ".pre-lto.bc", ".bc"];
            let Some(unit) = file
                .to_str()
                .and_then(|file| kinds.iter().find_map(|kind| file.strip_suffix(kind)))
            else {
                continue;
            };
            if !units.fresh.contains_key(unit) {
                units.reused.insert(unit.to_owned());
            }
        }
        Ok(units)
    }
}

/// The codegen unit of a file `NAME.UNIT[.RANDOM].rcgu.no-opt.bc`. Units are called by a hash in
/// incremental compilations, which is when there is a random part, and otherwise `CRATE-cgu.NUMBER`.
fn unit<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    let rest = file.strip_prefix(name)?.strip_prefix('.')?;
    let stem = rest.strip_suffix(".rcgu.no-opt.bc")?;
    match stem.rsplit_once('.') {
        Some((unit, _random)) if !unit.ends_with("-cgu") => Some(unit),
        _ => Some(stem),
    }
}

/// The bitcode of a compiler run that is to become a store. It is shared by the wrapper and the
/// linker step that runs within the same compilation; whichever needs the store first makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Where the store is to be.
    pub store: PathBuf,
    /// The compiler's folder of temporary files.
    pub temps: PathBuf,
    /// What the names of its files start with.
    pub name: String,
    /// Folder of this compilation's own for files on their way, on the store's file system.
    pub scratch: PathBuf,
    /// The compiler's incremental cache for this crate alone.
    pub incremental: Option<PathBuf>,
    /// Artifacts of the crates that this one refers to.
    pub externs: Vec<PathBuf>,
}

impl Pending {
    /// Makes the store, unless that has been done. To be called when code generation has ended.
    ///
    /// # Errors
    /// If files cannot be moved.
    pub fn commit(&self) -> io::Result<Committed> {
        let done = self.scratch.join(COMMITTED);
        if done.exists() {
            return Ok(Committed::Complete);
        }
        let session = self.incremental.as_deref().and_then(newest_session);
        let units = Units::find(&self.temps, &self.name, session.as_deref())?;
        let contents = Contents {
            session: session.as_deref().and_then(session_name),
            externs: self.externs.clone(),
        };
        let committed = commit(&self.store, &self.scratch, &units, &contents)?;
        if committed == Committed::Complete {
            fs::write(done, [])?;
        }
        Ok(committed)
    }

    /// Whether the compiler left anything to make a store of, or someone made it.
    ///
    /// # Errors
    /// If the folder of temporary files cannot be read.
    pub fn exists(&self) -> io::Result<bool> {
        let units = Units::find(&self.temps, &self.name, None)?;
        Ok(!units.fresh.is_empty() || self.scratch.join(COMMITTED).exists())
    }
}

/// What became of [`commit`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// The store has the bitcode of all codegen units.
    Complete,
    /// The crate has codegen units of which neither the compiler nor the old store has bitcode.
    Incomplete,
}

/// Replaces the store at `store` by the bitcode of `units`, with the old store's files for those
/// that were reused. `scratch` is an empty or absent folder on the same file system.
///
/// # Errors
/// If files cannot be moved.
pub(crate) fn commit(
    store: &Path,
    scratch: &Path,
    units: &Units,
    contents: &Contents,
) -> io::Result<Committed> {
    let new = scratch.join("new");
    let old = scratch.join("old");
    fs::create_dir_all(&new)?;
    for unit in &units.reused {
        let file = format!("{unit}.bc");
        match fs::hard_link(store.join(&file), new.join(&file)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::remove_dir_all(&new)?;
                return Ok(Committed::Incomplete);
            }
            Err(_) => drop(fs::copy(store.join(&file), new.join(&file))?),
        }
    }
    for (unit, path) in &units.fresh {
        fs::rename(path, new.join(format!("{unit}.bc")))?;
    }
    let bytes = postcard::to_allocvec(contents).map_err(io::Error::other)?;
    fs::write(new.join(CONTENTS), bytes)?;
    match fs::rename(store, &old) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::rename(&new, store)?;
    match fs::remove_dir_all(&old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(Committed::Complete),
    }
}

/// Folder of the newest finished session of an incremental cache; `None` if there is none.
///
/// The compiler continues from this one. The folder is `CRATE/s-TIME-RANDOM-HASH`, with the time
/// in base 36; that of a session that was not finished ends in `-working`.
pub(crate) fn newest_session(incremental: &Path) -> Option<PathBuf> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for krate in fs::read_dir(incremental).ok()?.flatten() {
        let Ok(sessions) = fs::read_dir(krate.path()) else {
            continue;
        };
        for session in sessions.flatten() {
            let name = session.file_name();
            let Some(time) = name.to_str().and_then(time_of_finished) else {
                continue;
            };
            if newest.as_ref().is_none_or(|(newest, _)| *newest < time) {
                newest = Some((time, session.path()));
            }
        }
    }
    newest.map(|(_, path)| path)
}

/// What a session is called in [`Contents`].
pub(crate) fn session_name(session: &Path) -> Option<String> {
    session.file_name()?.to_str().map(str::to_owned)
}

fn time_of_finished(session: &str) -> Option<u64> {
    let mut parts = session.strip_prefix("s-")?.split('-');
    let time = u64::from_str_radix(parts.next()?, 36).ok()?;
    let _random = parts.next()?;
    let hash = parts.next()?;
    (hash != "working" && parts.next().is_none()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_temporary_files() {
        let name = "foo-12";
        let unit = |file| unit(file, name);
        assert_eq!(unit("foo-12.0kl9.09oh.rcgu.no-opt.bc"), Some("0kl9"));
        let file = "foo-12.foo.7c2b-cgu.0.09oh.rcgu.no-opt.bc";
        assert_eq!(unit(file), Some("foo.7c2b-cgu.0"));
        let file = "foo-12.foo.7c2b-cgu.10.rcgu.no-opt.bc";
        assert_eq!(unit(file), Some("foo.7c2b-cgu.10"));
        assert_eq!(unit("foo-12.0kl9.09oh.rcgu.bc"), None);
        assert_eq!(unit("foo-123.0kl9.09oh.rcgu.no-opt.bc"), None);
    }

    #[test]
    fn commit_keeps_reused_units_and_drops_vanished_ones() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let run = |time: &str, fresh: &[(&str, &str)], all: &[&str]| {
            for name in ["temps", "scratch"] {
                let _ = fs::remove_dir_all(at(name));
                fs::create_dir(at(name)).unwrap();
            }
            for (unit, text) in fresh {
                let file = format!("foo-1.{unit}.r1.rcgu.no-opt.bc");
                fs::write(at("temps").join(file), text).unwrap();
            }
            let session = at("cache").join("foo-3fge").join(format!("s-{time}-r-h"));
            fs::create_dir_all(&session).unwrap();
            for unit in all {
                fs::write(session.join(format!("{unit}.o")), "").unwrap();
                fs::write(session.join(format!("{unit}.pre-lto.bc")), "").unwrap();
            }
            let pending = Pending {
                store: at("libfoo-1.legionella"),
                temps: at("temps"),
                name: "foo-1".into(),
                scratch: at("scratch"),
                incremental: Some(at("cache")),
                externs: vec![],
            };
            assert_eq!(pending.exists().unwrap(), !fresh.is_empty());
            pending.commit().unwrap()
        };
        let store = at("libfoo-1.legionella");
        let read = |unit: &str| fs::read_to_string(store.join(format!("{unit}.bc"))).ok();
        let session = || contents(&store).unwrap().session;

        let first = [("a", "a1"), ("b", "b1"), ("c", "c1")];
        assert_eq!(run("1", &first, &["a", "b", "c"]), Committed::Complete);
        let second = [("a", "a2")];
        assert_eq!(run("2", &second, &["a", "b"]), Committed::Complete);
        assert_eq!(read("a").as_deref(), Some("a2"));
        assert_eq!(read("b").as_deref(), Some("b1"));
        assert_eq!(read("c"), None);
        assert_eq!(session().as_deref(), Some("s-2-r-h"));
        assert_eq!(run("3", &second, &["a", "z"]), Committed::Incomplete);
        assert_eq!(session().as_deref(), Some("s-2-r-h"));
    }

    #[test]
    fn newest_finished_session_counts() {
        let folder = tempfile::tempdir().unwrap();
        let krate = folder.path().join("foo-3fge");
        for session in [
            "s-hoeeznwi7m-1lw8mvd-7mdq",
            "s-hoeezo375r-0mj17ew-7mdq",
            "s-hoeezz375r-0mj17ew-working",
        ] {
            fs::create_dir_all(krate.join(session)).unwrap();
        }
        fs::write(krate.join("s-hoefzo375r-0mj17ew.lock"), "").unwrap();
        assert_eq!(
            newest_session(folder.path()),
            Some(krate.join("s-hoeezo375r-0mj17ew-7mdq"))
        );
        assert_eq!(newest_session(&folder.path().join("absent")), None);
    }
}
