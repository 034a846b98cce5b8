//! Files in which a link leaves for the next one what took long to make.
//!
//! Takes any value with the [`Key`] of what it depends on; gives it back for an equal key. A file
//! that is missing, damaged or from another version is no use and no error.

use std::fs::{self, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Plan;
use crate::bitcode::{self, Index};

/// What a kept value depends on.
#[derive(Clone)]
pub(super) struct Key(blake3::Hasher);

impl Key {
    /// The compiler and this program.
    pub(super) fn of_compiler(plan: &Plan) -> Self {
        let mut key = Key(blake3::Hasher::new());
        key.add(plan.toolchain.rustc.as_bytes());
        key.add(plan.toolchain.sysroot.as_bytes());
        key.add(env!("CARGO_PKG_VERSION").as_bytes());
        key.add(&legionella_abi::VERSION.to_le_bytes());
        if let Ok(program) = std::env::current_exe() {
            key.add_stamp(&program);
        }
        key
    }

    /// Makes a value depend on some bytes.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Makes a value depend on when a file was written.
    fn add_stamp(&mut self, path: &Path) {
        self.add(path.as_os_str().as_encoded_bytes());
        let metadata = fs::metadata(path);
        self.add(&metadata.as_ref().map_or(0, Metadata::len).to_le_bytes());
        let changed = metadata.and_then(|metadata| metadata.modified()).ok();
        let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        self.add(&changed.unwrap_or_default().as_nanos().to_le_bytes());
    }

    fn digest(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// When the bitcode of all crates but the program's own was written. A store is replaced as a whole,
/// and its index is written then.
pub(super) fn stamps(plan: &Plan) -> [u8; 32] {
    let mut key = Key(blake3::Hasher::new());
    for store in plan.stores.get(1..).unwrap_or_default() {
        key.add_stamp(store);
        key.add_stamp(&store.join(Index::FILE));
    }
    for archive in &plan.sysroot_archives {
        key.add_stamp(archive);
    }
    key.digest()
}

/// What a file keeps for a key.
pub(super) fn read<T: DeserializeOwned>(file: &Path, key: &Key) -> Option<T> {
    let bytes = fs::read(file).ok()?;
    let (hash, bytes) = bytes.split_first_chunk::<32>()?;
    let (found, value) = bytes.split_first_chunk::<32>()?;
    if *found != key.digest() || blake3::hash(bytes) != *hash {
        return None;
    }
    postcard::from_bytes(value).ok()
}

/// Keeps a value. The next link is slower if that fails, and nothing else.
pub(super) fn write<T: Serialize>(file: &Path, key: &Key, value: &T) {
    let written = postcard::to_extend(value, key.digest().to_vec())
        .map_err(std::io::Error::other)
        .and_then(|bytes| {
            let hash = blake3::hash(&bytes);
            bitcode::replace(file, &[hash.as_bytes(), &bytes[..]].concat())
        });
    if let Err(error) = written {
        tracing::debug!(file = %file.display(), %error, "not kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_no_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kept");
        let key = |text: &str| {
            let mut key = Key(blake3::Hasher::new());
            key.add(text.as_bytes());
            key
        };
        let value = (7_u32, "text".to_owned());
        assert_eq!(read::<(u32, String)>(&file, &key("a")), None);
        write(&file, &key("a"), &value);
        assert_eq!(read(&file, &key("a")), Some(value));
        assert_eq!(read::<(u32, String)>(&file, &key("b")), None);
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&file, damaged).unwrap();
            assert_eq!(read::<(u32, String)>(&file, &key("a")), None, "byte {at}");
            fs::write(&file, &whole[..at]).unwrap();
            assert_eq!(read::<(u32, String)>(&file, &key("a")), None, "cut at {at}");
        }
    }

    #[test]
    fn a_key_tells_when_a_file_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let digest = || {
            let mut key = Key(blake3::Hasher::new());
            key.add_stamp(&file);
            key.digest()
        };
        let absent = digest();
        fs::write(&file, "1").unwrap();
        let first = digest();
        assert_ne!(first, absent);
        assert_eq!(first, digest());
        let later =
            fs::metadata(&file).unwrap().modified().unwrap() + std::time::Duration::from_nanos(1);
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert_ne!(first, digest());
    }
}
