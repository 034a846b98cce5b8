//! Kernels as their images describe them.
//!
//! Takes a kernel's cell, gives the image's parsed bundle and the kernel's entry in it. A bundle
//! is parsed once per image, when the image's first kernel is first launched.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use legionella_abi::bundle::{self, Bundle};
use legionella_abi::record::Cell;

use super::Error;

/// One kernel of a loaded image.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    image: &'static Bundle<'static>,
    index: usize,
    module: (&'static bundle::Module, &'static [u8]),
}

impl Kernel {
    /// The kernel of a cell. `name` is what errors call it when there is no bundle to ask.
    ///
    /// # Errors
    /// [`Error::NotWrapped`] if `cell` is null, [`Error::BadBundle`] if its bundle is unreadable.
    ///
    /// # Safety
    /// `cell` is null or points to a cell that the linker step defined: its bundle is readable
    /// for as long as the process lives.
    pub unsafe fn of(cell: *const Cell, name: &str) -> Result<Kernel, Error> {
        // SAFETY: the caller's promise.
        let Some(cell) = (unsafe { cell.as_ref() }) else {
            return Err(Error::NotWrapped {
                kernel: name.to_owned(),
            });
        };
        let (Ok(len), Ok(index)) = (
            usize::try_from(cell.bundle_len),
            usize::try_from(cell.kernel),
        ) else {
            return Err(Error::BadBundle {
                reason: format!("the cell of kernel `{name}` is malformed"),
            });
        };
        if cell.bundle.is_null() {
            return Err(Error::NotWrapped {
                kernel: name.to_owned(),
            });
        }
        // SAFETY: the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(cell.bundle, len) };
        Kernel::in_bundle(bytes, index)
    }

    /// A kernel of a bundle, by its index in the manifest.
    ///
    /// # Errors
    /// [`Error::BadBundle`] if the bundle is unreadable or has no such kernel.
    pub fn in_bundle(bytes: &'static [u8], index: usize) -> Result<Kernel, Error> {
        let image = image(bytes)?;
        let Some(entry) = image.manifest.kernels.get(index) else {
            return Err(Error::BadBundle {
                reason: format!(
                    "it has {} kernels, and a launch asked for number {index}",
                    image.manifest.kernels.len()
                ),
            });
        };
        let Some(module) = image.module(entry) else {
            return Err(Error::BadBundle {
                reason: format!("it lacks the module of kernel `{}`", entry.name),
            });
        };
        Ok(Kernel {
            image,
            index,
            module,
        })
    }

    /// The whole bundle of the kernel's image.
    pub fn bundle(&self) -> &'static Bundle<'static> {
        self.image
    }

    /// Index of the kernel in the manifest.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What the manifest says of the kernel.
    pub fn entry(&self) -> &'static bundle::Kernel {
        &self.image.manifest.kernels[self.index]
    }

    /// The module that has the kernel's bitcode, and that as compressed.
    pub fn module(&self) -> (&'static bundle::Module, &'static [u8]) {
        self.module
    }

    /// Demangled path of the kernel function.
    pub fn name(&self) -> &'static str {
        &self.entry().name
    }
}

/// The parsed bundle at an address. Parsed bundles are never freed: there is one an image.
fn image(bytes: &'static [u8]) -> Result<&'static Bundle<'static>, Error> {
    type Images = Mutex<HashMap<(usize, usize), &'static Bundle<'static>>>;
    static IMAGES: OnceLock<Images> = OnceLock::new();
    let mut images = IMAGES
        .get_or_init(Images::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let key = (bytes.as_ptr() as usize, bytes.len());
    if let Some(image) = images.get(&key) {
        return Ok(image);
    }
    let image: &'static Bundle<'static> = Box::leak(Box::new(Bundle::parse(bytes)?));
    images.insert(key, image);
    Ok(image)
}
