//! A lock between processes on one key: a file that exists while code is generated.
//!
//! The lock is the operating system's on the open file (`flock`), so it ends with the process that
//! holds it, however that ends. The file is removed by its holder; a process that had opened it
//! before then holds a lock on a file without a name, sees that, and starts again.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Extension of locks in the cache's folder.
pub const EXTENSION: &str = "lock";

/// The exclusive right to generate code for a key. Dropping it gives it up.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    // Closing the file ends the lock.
    _file: File,
}

impl Lock {
    /// Waits for the lock; `None` if that takes longer than `patience`.
    pub fn acquire(
        path: PathBuf,
        patience: Duration,
        tick: &mut dyn FnMut(),
    ) -> io::Result<Option<Lock>> {
        let since = Instant::now();
        // There is no waiting for a lock with a limit, so this asks again, soon at first.
        let mut pause = Duration::from_millis(1);
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(Lock { path, _file: file })),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if since.elapsed() >= patience {
                return Ok(None);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(25));
            tick();
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While the lock is held, so that nobody else's file is removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the open file is still the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => open.ino() == named.ino() && open.dev() == named.dev(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_others_until_dropped_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.lock");
        let acquire = |patience| {
            Lock::acquire(path.clone(), Duration::from_millis(patience), &mut || ()).unwrap()
        };
        let held = acquire(0).unwrap();
        assert!(acquire(20).is_none());
        drop(held);
        assert!(!path.exists());
        let again = acquire(0);
        assert!(again.is_some());
    }

    #[test]
    fn a_removed_file_is_not_taken_for_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.lock");
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path));
        let _other = File::create(&path).unwrap();
        assert!(!is_at(&file, &path));
    }
}
