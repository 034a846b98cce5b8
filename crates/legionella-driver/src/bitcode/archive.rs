//! Bitcode in the archives of a sysroot: `libcore-….rlib` and the like, whose members have a section
//! `.llvmbc`.
//!
//! Takes an archive's bytes and gives where in it each module lies and which symbols it defines.
//! Nothing of that is kept on disk: the whole sysroot takes some milliseconds, no longer than
//! reading the same from a cache.

use std::ops::Range;

use object::read::archive::ArchiveFile;
use object::{Object as _, ObjectSection as _};

use super::{Malformed, Symbol, symbols};

/// Section of an object file that holds bitcode.
pub const SECTION: &str = ".llvmbc";

/// A module of bitcode in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'data> {
    /// Name of the object file that has it.
    pub name: String,
    /// Where in the archive the bitcode lies.
    pub range: Range<usize>,
    /// What it defines and refers to.
    pub symbols: Vec<Symbol<'data>>,
}

/// Why the bitcode of an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The archive or an object file in it is damaged.
    #[error("{0}")]
    Archive(#[from] object::Error),
    /// The bitcode of a member is damaged.
    #[error("{member}: {reason}")]
    Bitcode {
        /// Name of the object file.
        member: String,
        /// What is wrong.
        reason: Malformed,
    },
}

/// The modules of bitcode in an archive. Members without, such as an rlib's metadata and what was
/// compiled from C, are left out.
///
/// # Errors
/// If the archive or a module in it is damaged.
pub fn members(archive: &[u8]) -> Result<Vec<Member<'_>>, Unreadable> {
    let mut members = Vec::new();
    for member in ArchiveFile::parse(archive)?.members() {
        let member = member?;
        let (start, _) = member.file_range();
        let data = member.data(archive)?;
        let Ok(file) = object::File::parse(data) else {
            continue;
        };
        let Some(section) = file.section_by_name(SECTION) else {
            continue;
        };
        let Some((offset, len)) = section.file_range() else {
            continue;
        };
        let name = String::from_utf8_lossy(member.name()).into_owned();
        let symbols = match symbols(section.data()?) {
            Ok(symbols) => symbols,
            Err(reason) => {
                return Err(Unreadable::Bitcode {
                    member: name,
                    reason,
                });
            }
        };
        let start = (start + offset) as usize;
        members.push(Member {
            name,
            range: start..start + len as usize,
            symbols,
        });
    }
    Ok(members)
}
