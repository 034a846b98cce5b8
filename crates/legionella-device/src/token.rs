//! What the first parameter of a kernel may be.

use crate::{Group, Item};

/// A token of the work-item that runs, which a kernel receives first: an [`Item`], or a [`Group`]
/// if the items of a work-group are to wait for each other.
#[diagnostic::on_unimplemented(
    message = "the first parameter of a kernel is an `Item` or a `Group`, not a `{Self}`",
    label = "takes a `{Self}` first"
)]
pub trait Token: Sized + sealed::Token {
    /// The work-item that runs, from the target's own registers. For entry shims.
    ///
    /// # Safety
    /// Only in device code, and once a call of the kernel.
    #[doc(hidden)]
    unsafe fn current() -> Self;

    /// The work-item.
    #[doc(hidden)]
    fn item(&self) -> &Item;
}

mod sealed {
    pub trait Token {}
}

impl sealed::Token for Item {}

impl Token for Item {
    #[inline(always)]
    unsafe fn current() -> Self {
        // SAFETY: passed on.
        unsafe { Item::current() }
    }

    #[inline(always)]
    fn item(&self) -> &Item {
        self
    }
}

impl sealed::Token for Group<'_> {}

impl Token for Group<'_> {
    #[inline(always)]
    unsafe fn current() -> Self {
        // SAFETY: passed on.
        unsafe { Group::current() }
    }

    #[inline(always)]
    fn item(&self) -> &Item {
        Group::item(self)
    }
}
