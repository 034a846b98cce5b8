//! What kernels that are called on the host launch: values, for whoever called the kernel to launch by.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;

use legionella_device::enqueue::Table;
use legionella_device::{DeviceData, Enqueue, Item, Signal};

use super::{ByReference, HostArgument};

/// Takes what a kernel launches that takes an [`Enqueue<T>`](Enqueue): see [`enqueued`].
pub struct Enqueued<T: DeviceData> {
    table: UnsafeCell<Box<Table>>,
    values: Vec<MaybeUninit<T>>,
}

/// Room for that many values of launches that a kernel makes. The kernel that it would launch isn't called: call it
/// for each of the [values](Enqueued::take).
///
/// ```
/// use legionella::host;
/// use legionella::prelude::*;
///
/// fn odd(at: Item, more: Enqueue<u32>) {
///     if at.global() % 2 == 1 {
///         let _ = more.enqueue(at.global() as u32);
///     }
/// }
///
/// let mut more = host::enqueued(10);
/// host::launch(odd, 6, (&more,));
/// assert_eq!(more.take(), [1, 3, 5]);
/// ```
pub fn enqueued<T: DeviceData>(capacity: usize) -> Enqueued<T> {
    let mut values = vec![MaybeUninit::uninit(); capacity];
    Enqueued {
        table: UnsafeCell::new(Box::new(table(&mut values))),
        values,
    }
}

fn table<T: DeviceData>(values: &mut [MaybeUninit<T>]) -> Table {
    let (count, start) = (values.len() as u64, values.as_mut_ptr().cast());
    // SAFETY: as many values; who has the table keeps them, and uses them by it alone until it takes them.
    unsafe { Table::new(count, start, size_of::<T>() as u64) }
}

impl<T: DeviceData> Enqueued<T> {
    /// The values of launches that were made and not taken yet, in the order in which they were.
    pub fn take(&mut self) -> Vec<T> {
        let count = self.table.get_mut().enqueued() as usize;
        let taken = (self.values[..count].iter())
            // SAFETY: as many have been written, by kernels that have returned.
            .map(|value| unsafe { value.assume_init() })
            .collect();
        **self.table.get_mut() = table(&mut self.values);
        taken
    }
}

impl<T: DeviceData> fmt::Debug for Enqueued<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueued").finish_non_exhaustive()
    }
}

// SAFETY: all work-items may use a table at once.
unsafe impl<'a, T: DeviceData> HostArgument<Enqueue<'a, T>, ByReference> for &'a Enqueued<T> {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> Enqueue<'a, T> {
        // SAFETY: a table for such values, which is lent for 'a.
        unsafe { Enqueue::new(&*self.table.get()) }
    }
}

// SAFETY: all work-items may use a signal at once.
unsafe impl<'a> HostArgument<&'a Signal, ByReference> for &'a Signal {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> &'a Signal {
        self
    }
}
