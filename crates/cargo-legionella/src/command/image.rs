//! The bundle in an executable or shared library, for the subcommands that look into one.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use legionella_abi::{bundle, record};
use memmap2::Mmap;
use object::{Object as _, ObjectSection as _};

/// An executable or shared library with kernels.
pub(super) struct Image {
    path: PathBuf,
    map: Mmap,
}

impl Image {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("reading {}", path.display());
        let file = File::open(path).with_context(context)?;
        if !file.metadata().with_context(context)?.is_file() {
            bail!("{} is not a file", path.display());
        }
        // SAFETY: whoever changes the file meanwhile gets a wrong listing; nothing is executed.
        let map = unsafe { Mmap::map(&file) }.with_context(context)?;
        Ok(Image {
            path: path.to_owned(),
            map,
        })
    }

    /// The file's bundle.
    ///
    /// # Errors
    /// If the file is of another kind, or has no bundle; the error says which, and what to do.
    pub fn bundle(&self) -> anyhow::Result<bundle::Bundle<'_>> {
        let name = self.path.display();
        if self.map.starts_with(b"!<arch>\n") {
            bail!(
                "{name} is a static library: kernels get their device code when an executable or a \
                 shared library is linked"
            );
        }
        if !self.map.starts_with(b"\x7fELF") {
            bail!("{name} is not an ELF file: name an executable or a shared library");
        }
        let file = object::File::parse(&*self.map).with_context(|| format!("{name} is damaged"))?;
        let Some(section) = file.section_by_name(bundle::SECTION) else {
            if file.section_by_name(record::SECTION).is_some() {
                bail!(
                    "{name} has kernels and no device code, because it was built without the wrapper: \
                     build it with `cargo legionella build`, or run `cargo legionella init` once in \
                     the project"
                );
            }
            bail!(
                "{name} has no device code: it launches no kernel, or was built without the wrapper \
                 (`cargo legionella build` builds with it)"
            );
        };
        let bytes = section
            .data()
            .with_context(|| format!("{name} is damaged"))?;
        bundle::Bundle::parse(bytes).with_context(|| format!("the device code of {name}"))
    }
}
