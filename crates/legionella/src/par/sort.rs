//! Elements in order of a key: radix sort from the least significant digit on, which keeps the order of
//! equal keys.
//!
//! For each digit, every item counts those of a chunk; how many smaller ones there are, and equal ones
//! in chunks before, says where each element of a chunk goes, in order. Where items should rather access
//! neighbours ([`together`]), a group does that for a chunk, and all places' digits are counted at once.

use legionella_device::{DeviceData, Item, Tiles};

use super::{ByColumns, Digits, ItemOf, Key, Par, Source};
use crate::buffer::Buffer;
use crate::error::Result;

mod together;

/// Values of a digit.
const VALUES: usize = 256;
/// Least elements of a chunk.
const LEAST: usize = 1 << 12;
/// Most chunks.
const CHUNKS: usize = 1 << 10;

impl<'a, S: Source> Par<'a, S> {
    /// The elements in order. Floats have that of [`f32::total_cmp`].
    ///
    /// # Errors
    /// Of the launches; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn sort(self) -> Result<Buffer<ItemOf<S>>>
    where
        ItemOf<S>: Key,
    {
        // SAFETY: there is nothing to write.
        let values = unsafe { Buffer::<()>::uninitialised(self.accelerator, self.len()) }?;
        // Bits of keys that aren't this crate's may be others each time.
        let twice = self.accelerator.backend().coalesces();
        let held = match <ItemOf<S> as Key>::KNOWN {
            // SAFETY: all launches have ended when the sort returns.
            Some(_) if twice => unsafe { self.source.hold() }?,
            _ => None,
        };
        let (keys, held) = match held {
            Some((source, held)) => (self.from(|_| source), Some(held)),
            None => (self, None),
        };
        let keys = keys.map(Key::to_bits);
        // SAFETY: keys that are held, whose bits are known.
        let (keys, _) = unsafe { keys.in_order(held.is_some(), values, Key::from_bits) }?;
        Ok(keys)
    }

    /// The elements in order of a key, and as they were where keys are equal.
    ///
    /// ```no_run
    /// # use std::cmp::Reverse;
    /// # use legionella::prelude::*;
    /// # fn main() -> legionella::Result<()> {
    /// # let accelerator = Accelerator::best()?;
    /// let points = accelerator.upload(&[[1.0f32, 2.0], [0.0, 3.0], [5.0, 2.0]])?;
    /// let by_height = points.par().sort_by_key(|[_, y]| Reverse(y))?;
    /// assert_eq!(by_height.to_vec()?, [[0.0, 3.0], [1.0, 2.0], [5.0, 2.0]]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`sort`](Par::sort).
    pub fn sort_by_key<K: Key, F>(self, key: F) -> Result<Buffer<ItemOf<S>>>
    where
        F: Fn(ItemOf<S>) -> K + Copy + Send + 'static,
    {
        let keys = self.map(key).map(Key::to_bits);
        // SAFETY: they are not said to be steady.
        let (_, elements) = unsafe { keys.in_order(false, self.collect()?, |key| key) }?;
        Ok(elements)
    }

    /// The elements in order, with a value each, as far as both go; values are as they were where
    /// elements are equal.
    ///
    /// # Errors
    /// As for [`sort`](Par::sort).
    #[allow(clippy::type_complexity, reason = "two buffers")]
    pub fn sort_with<R: Source>(
        self,
        values: Par<'a, R>,
    ) -> Result<(Buffer<ItemOf<S>>, Buffer<ItemOf<R>>)>
    where
        ItemOf<S>: Key,
    {
        let both = self.zip(values);
        let keys = both.map(|(key, _)| key.to_bits());
        let values = both.map(|(_, value)| value).collect()?;
        // SAFETY: they are not said to be steady.
        unsafe { keys.in_order(false, values, Key::from_bits) }
    }

    /// What a function makes of each of the elements in order, which are keys, with as many values. All launches that read
    /// the elements have then ended, also if it fails.
    ///
    /// # Safety
    /// If the keys are `steady`, each is the same whenever it is read, and reading it doesn't panic.
    unsafe fn in_order<T: DeviceData, U: DeviceData, F>(
        self,
        steady: bool,
        values: Buffer<T>,
        finish: F,
    ) -> Result<(Buffer<U>, Buffer<T>)>
    where
        ItemOf<S>: Digits,
        F: Fn(ItemOf<S>) -> U + Copy + Send + 'static,
    {
        if self.accelerator.backend().coalesces() && self.len() > 1 {
            // SAFETY: the caller's promise.
            return unsafe { together::in_order(self, steady, values, finish) };
        }
        let (keys, values) = self.in_order_by_chunks(self.collect()?, values)?;
        Ok((self.of(&keys).map(finish).collect()?, values))
    }

    /// Keys in order, with as many values; an item has a chunk of them.
    fn in_order_by_chunks<K: Digits, T: DeviceData>(
        &self,
        mut keys: Buffer<K>,
        mut values: Buffer<T>,
    ) -> Result<(Buffer<K>, Buffer<T>)> {
        let len = keys.len();
        if len < 2 {
            return Ok((keys, values));
        }
        // SAFETY: both are written in full before they are read.
        let (mut keys_to, mut values_to) = unsafe {
            (
                Buffer::uninitialised(self.accelerator, len)?,
                Buffer::uninitialised(self.accelerator, len)?,
            )
        };
        let chunk = len.div_ceil(CHUNKS).clamp(LEAST, u32::MAX as usize);
        let chunks = len.div_ceil(chunk);
        for place in 0..K::COUNT {
            let counts = self.counts(place, chunk, chunks, &keys)?;
            let by_digit = self.of(&counts).from(|of| ByColumns {
                of,
                width: VALUES,
                height: chunks,
            });
            let starts = by_digit
                .map(|count| count as usize)
                .exclusive_scan(0, |a, b| a + b)?;
            let (from, to) = ((&keys, &values), (&mut keys_to, &mut values_to));
            // SAFETY: `starts` are the running sums of how many of the elements have each digit in each
            // chunk, by digit and then by chunk, of launches that ended well and read the same keys.
            unsafe { self.distribute(place, chunk, from, &starts, to)? };
            std::mem::swap(&mut keys, &mut keys_to);
            std::mem::swap(&mut values, &mut values_to);
        }
        Ok((keys, values))
    }

    /// Counts how many keys of each chunk have each digit: a row of counts for each chunk.
    fn counts<K: Digits>(
        &self,
        place: u32,
        chunk: usize,
        chunks: usize,
        keys: &Buffer<K>,
    ) -> Result<Buffer<u32>> {
        let mut counts = self.accelerator.zeroed::<u32>(chunks * VALUES)?;
        let arguments = (place, chunk, keys, counts.tiles::<VALUES>());
        self.accelerator
            .launch(count::<K>, self.grid(chunks), arguments)?
            .wait()?;
        Ok(counts)
    }

    /// Moves keys and values to where `starts` says that those of each digit and chunk begin.
    ///
    /// # Safety
    /// `starts` are the running sums of what [`counts`](Par::counts) gave for the same keys and place, by
    /// digit and then by chunk. There are as many values, and room for as many of both.
    unsafe fn distribute<K: Digits, T: DeviceData>(
        &self,
        place: u32,
        chunk: usize,
        (keys, values): (&Buffer<K>, &Buffer<T>),
        starts: &Buffer<usize>,
        (keys_to, values_to): (&mut Buffer<K>, &mut Buffer<T>),
    ) -> Result<()> {
        let grid = self.grid(keys.len().div_ceil(chunk));
        let arguments = (
            (place, chunk),
            keys,
            values,
            starts,
            keys_to.as_slice_mut().address_of_all(),
            values_to.as_slice_mut().address_of_all(),
        );
        // SAFETY: items write ranges that don't overlap and together are the outputs.
        unsafe {
            self.accelerator
                .launch_unchecked(distribute::<K, T>, grid, arguments)
        }?
        .wait()
    }
}

/// Counts the digits of a chunk.
fn count<K: Digits>(
    at: Item,
    place: u32,
    chunk: usize,
    keys: &[K],
    mut counts: Tiles<u32, VALUES>,
) {
    if let Some(counts) = counts.at(&at) {
        let start = at.global() * chunk;
        for key in &keys[start..keys.len().min(start + chunk)] {
            counts[key.digit(place)] += 1;
        }
    }
}

/// Moves the elements of a chunk to where those with their digit begin, one after the other.
fn distribute<K: Digits, T: DeviceData>(
    at: Item,
    (place, chunk): (u32, usize),
    keys: &[K],
    values: &[T],
    starts: &[usize],
    keys_to: *mut K,
    values_to: *mut T,
) {
    let chunks = at.grid_len();
    let mut next = [0; VALUES];
    for (digit, next) in next.iter_mut().enumerate() {
        *next = starts[digit * chunks + at.global()];
    }
    let start = at.global() * chunk;
    let end = keys.len().min(start + chunk);
    for (key, value) in keys[start..end].iter().zip(&values[start..end]) {
        let next = &mut next[key.digit(place)];
        // SAFETY: of each digit the chunk has as many as lie between its start and that of the next
        // chunk or digit, and what lies between is this item's.
        unsafe {
            keys_to.add(*next).write(*key);
            values_to.add(*next).write(*value);
        }
        *next += 1;
    }
}
