//! The disk cache: code by the hash of everything that it depends on.
//!
//! Takes a [`Key`] and code, gives the code back later, in this process or another. It is a folder
//! of files that any number of processes share:
//!
//! * an entry appears whole, by being renamed into place, and says what it is by its own hash;
//!   whatever is not exactly that is not there ([`entry`]);
//! * processes that miss the same key at the same time agree on one of them ([`lock`]);
//! * what was not used for longest goes when the folder outgrows its cap ([`evict`]).
//!
//! Nothing here is an error to the caller: where the disk is full, read-only or broken, code is
//! used from memory and generated again by the next process, and one warning is logged.

mod entry;
mod evict;
mod lock;

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use legionella_abi::protocol::Code;
use tracing::{debug, warn};

pub use lock::Lock;

/// Everything that code depends on, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub [u8; 32]);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A folder of generated code.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    cap: u64,
    writes: AtomicU64,
    warned: AtomicBool,
}

/// Last use of an entry is noted this coarsely, so that most hits write nothing.
const RECENT: Duration = Duration::from_secs(60);

/// Writes of one process between two looks at the folder's size.
const WRITES_BETWEEN_EVICTIONS: u64 = 32;

impl Cache {
    /// The cache in a folder, which need not exist, limited to `cap` bytes.
    pub fn new(folder: PathBuf, cap: u64) -> Self {
        Cache {
            folder,
            cap,
            writes: AtomicU64::new(0),
            warned: AtomicBool::new(false),
        }
    }

    /// The code of a key, if a whole entry for it is there.
    pub fn lookup(&self, key: &Key) -> Option<Code> {
        let path = self.path(key);
        match read(&path) {
            Ok((file, bytes)) => {
                let code = entry::decode(key, &bytes);
                match code {
                    Some(_) => note_use(&file),
                    None => warn!(entry = %path.display(), "damaged cache entry is ignored"),
                }
                code
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.warn("cannot be read", &error);
                None
            }
        }
    }

    /// Keeps code for a key.
    pub fn store(&self, key: &Key, code: &Code) {
        let bytes = entry::encode(key, code);
        if bytes.len() as u64 > self.cap {
            debug!(
                size = bytes.len(),
                cap = self.cap,
                "code is larger than the cache"
            );
            return;
        }
        if let Err(error) = self.write(key, &bytes) {
            self.warn("cannot be written", &error);
            return;
        }
        let earlier = self.writes.fetch_add(1, Ordering::Relaxed);
        if earlier.is_multiple_of(WRITES_BETWEEN_EVICTIONS) {
            evict::shrink(&self.folder, self.cap);
        }
    }

    /// Waits until no other process generates code for `key`, and keeps others from it until the
    /// lock is dropped. `None` if that cannot be had within `patience` or at all, in which case
    /// two processes may generate the same code: wasteful, not wrong.
    pub fn lock(&self, key: &Key, patience: Duration, tick: &mut dyn FnMut()) -> Option<Lock> {
        let path = self.folder.join(format!("{key}.{}", lock::EXTENSION));
        match self
            .create_folder()
            .and_then(|()| Lock::acquire(path, patience, tick))
        {
            Ok(lock) => lock,
            Err(error) => {
                self.warn("cannot be locked", &error);
                None
            }
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{key}.{}", entry::EXTENSION))
    }

    fn create_folder(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
    }

    /// Writes a file of its own and renames it into place, which replaces what is there.
    fn write(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        static WRITTEN: AtomicU64 = AtomicU64::new(0);
        self.create_folder()?;
        // Processes in different containers may share a number, hence the time.
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let unfinished = self.folder.join(format!(
            "{key}-{}-{}-{}.{}",
            process::id(),
            WRITTEN.fetch_add(1, Ordering::Relaxed),
            now.subsec_nanos(),
            evict::UNFINISHED
        ));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        let written = file
            .write_all(bytes)
            .and_then(|()| fs::rename(&unfinished, self.path(key)));
        if written.is_err() {
            // Whatever stays is removed by a later eviction.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn warn(&self, what: &str, error: &io::Error) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                folder = %self.folder.display(),
                "the code cache {what} ({error}): code is used from memory; \
                 LEGIONELLA_CACHE names another folder or turns the cache `off`"
            );
        }
    }
}

/// The contents of a regular file.
fn read(path: &Path) -> io::Result<(File, Vec<u8>)> {
    // Opening a named pipe without this flag would wait for a writer.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other(format!(
            "{} is not a file",
            path.display()
        )));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).min(1 << 24));
    file.read_to_end(&mut bytes)?;
    Ok((file, bytes))
}

/// Makes the file's modification time its time of last use.
fn note_use(file: &File) {
    let now = SystemTime::now();
    let recent = file
        .metadata()
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age < RECENT));
    if !recent {
        // In a read-only cache nothing is evicted either.
        let _ = file.set_modified(now);
    }
}
