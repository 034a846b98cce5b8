//! Keeps the cache's folder below its cap.
//!
//! Only touches files that the cache itself made, by their names: the folder may be anyone's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::debug;

use super::{entry, lock};

/// Extension of entries that are being written.
pub const UNFINISHED: &str = "unfinished";

/// After this time a file that is being written, or a lock, was left by a process that died.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Removes what was left behind, then the entries that were not used for longest until the rest
/// takes nine tenths of `cap`. Files that other processes remove meanwhile are no matter.
pub fn shrink(folder: &Path, cap: u64) {
    let now = SystemTime::now();
    let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = file.path();
        let (Some(kind), Ok(metadata)) = (kind(&path), file.metadata()) else {
            continue;
        };
        let used = metadata.modified().unwrap_or(now);
        match kind {
            Kind::Entry => entries.push((used, metadata.len(), path)),
            Kind::Temporary => {
                if now.duration_since(used).is_ok_and(|age| age > ABANDONED) {
                    let _ = fs::remove_file(&path);
                }
            }
        }
    }
    let mut total: u64 = entries.iter().map(|(_, len, _)| len).sum();
    if total <= cap {
        return;
    }
    entries.sort();
    let goal = cap / 10 * 9;
    for (_, len, path) in entries {
        if total <= goal {
            break;
        }
        if fs::remove_file(&path).is_ok() {
            debug!(entry = %path.display(), "evicted from the code cache");
        }
        total -= len;
    }
}

enum Kind {
    Entry,
    Temporary,
}

/// What a file of the cache is; `None` for a file that is not the cache's.
fn kind(path: &Path) -> Option<Kind> {
    let stem = path.file_stem()?.to_str()?;
    let (key, rest) = stem.split_at_checked(64)?;
    if !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match (path.extension()?.to_str()?, rest) {
        (entry::EXTENSION, "") => Some(Kind::Entry),
        (lock::EXTENSION, "") => Some(Kind::Temporary),
        (UNFINISHED, rest) if rest.starts_with('-') => Some(Kind::Temporary),
        _ => None,
    }
}
