//! Archives: files in, one compressed file out. Knows nothing of what it packs.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use lzma_rust2::{XzOptions, XzWriterMt};

/// How hard `.tar.xz` is compressed. LLVM takes about twice as long at the next level that is smaller.
const XZ_LEVEL: u32 = 2;

/// Bytes that a thread compresses by themselves.
const XZ_BLOCK: NonZeroU64 = NonZeroU64::new(24 << 20).unwrap();

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `.tar.xz`
    Xz,
    /// `.tar.gz`
    Gzip,
    /// `.tar`
    Plain,
}

impl Format {
    /// The format that a file's name asks for.
    pub fn of(file: &Path) -> anyhow::Result<Self> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let endings = [
            (".tar.xz", Format::Xz),
            (".txz", Format::Xz),
            (".tar.gz", Format::Gzip),
            (".tgz", Format::Gzip),
            (".tar", Format::Plain),
        ];
        let found = endings
            .into_iter()
            .find(|(ending, _)| name.ends_with(ending));
        let Some((_, format)) = found else {
            bail!("`{name}` ends in none of .tar.xz, .tar.gz and .tar");
        };
        Ok(format)
    }
}

/// A file to pack.
pub(super) struct Member {
    from: PathBuf,
    to: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

impl Member {
    /// The file `from`, called `to` in the archive.
    ///
    /// # Errors
    /// If it is not there.
    pub fn new(from: &Path, to: PathBuf) -> anyhow::Result<Self> {
        let metadata = fs::metadata(from).with_context(|| format!("packing {}", from.display()))?;
        Ok(Member {
            from: from.to_owned(),
            to,
            size: metadata.len(),
        })
    }
}

/// Writes an archive and gives its size. What was there is replaced once the archive is whole.
pub(super) fn write(file: &Path, format: Format, members: &[Member]) -> anyhow::Result<u64> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let context = || format!("writing {}", file.display());
    let written = File::create(&unfinished).and_then(|output| {
        compress(BufWriter::new(output), format, members)?;
        fs::rename(&unfinished, file)?;
        Ok(fs::metadata(file)?.len())
    });
    if written.is_err() {
        // What went wrong is reported; that this may too is no news.
        let _ = fs::remove_file(&unfinished);
    }
    written.with_context(context)
}

fn compress(mut output: impl Write, format: Format, members: &[Member]) -> io::Result<()> {
    match format {
        Format::Xz => {
            let mut options = XzOptions::with_preset(XZ_LEVEL);
            options.set_block_size(Some(XZ_BLOCK));
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let writer = XzWriterMt::new(&mut output, options, threads as u32)?;
            pack(writer, members)?.finish()?;
        }
        Format::Gzip => {
            let level = flate2::Compression::new(6);
            let writer = flate2::write::GzEncoder::new(&mut output, level);
            pack(writer, members)?.finish()?;
        }
        Format::Plain => drop(pack(&mut output, members)?),
    }
    output.flush()
}

/// Writes the members one after the other.
fn pack<W: Write>(output: W, members: &[Member]) -> io::Result<W> {
    let progress = ProgressBar::new(members.iter().map(|member| member.size).sum());
    let style =
        ProgressStyle::with_template("packing {bar:30} {bytes} of {total_bytes}, {eta} left");
    progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut archive = tar::Builder::new(output);
    for member in members {
        let file = File::open(&member.from)?;
        let mut header = tar::Header::new_gnu();
        // Who built it and when is no part of it.
        header.set_metadata_in_mode(&file.metadata()?, tar::HeaderMode::Deterministic);
        archive.append_data(&mut header, &member.to, Counted(file, &progress))?;
    }
    progress.finish_and_clear();
    archive.into_inner()
}

/// A file whose reading moves the progress bar, which shows itself on terminals only.
struct Counted<'a>(File, &'a ProgressBar);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.inc(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(format: Format, archive: &Path) -> Vec<u8> {
        let file = File::open(archive).unwrap();
        let mut bytes = Vec::new();
        match format {
            Format::Xz => lzma_rust2::XzReader::new(file, true).read_to_end(&mut bytes),
            Format::Gzip => flate2::read::GzDecoder::new(file).read_to_end(&mut bytes),
            Format::Plain => (&file).read_to_end(&mut bytes),
        }
        .unwrap();
        bytes
    }

    #[test]
    fn archives_hold_what_was_packed_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        let contents: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        fs::write(&source, &contents).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&source, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        for name in ["a.tar", "a.tar.gz", "a.tar.xz"] {
            let archive = folder.path().join(name);
            let format = Format::of(&archive).unwrap();
            let members = [Member::new(&source, "a/bin/a".into()).unwrap()];
            let size = write(&archive, format, &members).unwrap();
            assert_eq!(size, fs::metadata(&archive).unwrap().len());
            let bytes = unpacked(format, &archive);
            let mut tar = tar::Archive::new(&*bytes);
            let mut entries = tar.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            assert_eq!(&*entry.path().unwrap(), Path::new("a/bin/a"));
            assert_eq!(entry.header().mode().unwrap() & 0o777, 0o755);
            let mut read = Vec::new();
            entry.read_to_end(&mut read).unwrap();
            assert!(read == contents, "{name}");
            assert!(entries.next().is_none());
        }
    }

    #[test]
    fn failures_leave_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tar.gz");
        fs::write(&archive, "old").unwrap();
        let gone = Member {
            from: folder.path().join("gone"),
            to: "gone".into(),
            size: 0,
        };
        assert!(write(&archive, Format::Gzip, &[gone]).is_err());
        assert_eq!(fs::read(&archive).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Format::of(Path::new("a.zip")).is_err());
    }
}
