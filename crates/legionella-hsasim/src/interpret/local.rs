//! Memory of a work-group or a work-item: bytes, and which of them have been written.

use crate::lanes::{LANES, Lanes};

/// Bytes that start undefined.
#[derive(Debug)]
pub struct Bytes {
    bytes: Vec<u8>,
    written: Vec<u8>,
    /// Pages that have been written to.
    touched: Vec<bool>,
}

/// Bytes of a page, a power of two.
const PAGE: usize = 4096;

impl Bytes {
    /// So many bytes.
    pub fn new(size: usize) -> Bytes {
        Bytes {
            bytes: vec![0; size],
            written: vec![0; size],
            touched: vec![false; size.div_ceil(PAGE) + 1],
        }
    }

    /// Makes all undefined again.
    pub fn poison(&mut self) {
        for (page, touched) in self.touched.iter_mut().enumerate() {
            if std::mem::take(touched) {
                let end = ((page + 1) * PAGE).min(self.written.len());
                self.written[(page * PAGE).min(end)..end].fill(0);
            }
        }
    }

    /// How many there are.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A value of up to 8 bytes, and whether any of it has been written: code copies words of which
    /// only some bytes mean something. The range is in bounds.
    #[inline(always)]
    pub fn read(&self, at: usize, size: usize) -> (u64, bool) {
        if size == 4 {
            let word: [u8; 4] = self.bytes[at..at + 4].try_into().unwrap_or_default();
            let written: [u8; 4] = self.written[at..at + 4].try_into().unwrap_or_default();
            return (u64::from(u32::from_le_bytes(word)), written != [0; 4]);
        }
        let mut value = [0; 8];
        value[..size].copy_from_slice(&self.bytes[at..at + size]);
        let written = self.written[at..at + size].contains(&1);
        (u64::from_le_bytes(value), written)
    }

    /// Writes a value of up to 8 bytes. The range is in bounds.
    #[inline(always)]
    pub fn write(&mut self, at: usize, size: usize, value: u64, defined: bool) {
        self.touched[at / PAGE] = true;
        self.touched[(at + size) / PAGE] = true;
        if size == 4 {
            self.bytes[at..at + 4].copy_from_slice(&(value as u32).to_le_bytes());
            self.written[at..at + 4].copy_from_slice(&[u8::from(defined); 4]);
            return;
        }
        self.bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        self.written[at..at + size].fill(u8::from(defined));
    }

    /// Words in each of 32 ranges behind each other that are in bounds, and a bit for each that has been written.
    #[inline(always)]
    pub fn strided(&self, first: usize, stride: usize, words: &mut Lanes) -> u32 {
        let end = first + stride * (LANES - 1) + 4;
        let (bytes, written) = (&self.bytes[first..end], &self.written[first..end]);
        if stride == 4 {
            let mut all = 1;
            for (word, bytes) in words.0.iter_mut().zip(bytes.chunks_exact(4)) {
                *word = u32::from_le_bytes(bytes.try_into().unwrap_or_default());
            }
            for byte in written {
                all &= byte;
            }
            if all == 1 {
                return u32::MAX;
            }
        }
        let (bytes, written) = (bytes.as_ptr(), written.as_ptr());
        let mut all = true;
        for (lane, word) in words.0.iter_mut().enumerate() {
            // SAFETY: four bytes of the slices, which end with those of the last lane.
            all &= unsafe {
                let bytes = bytes.add(stride * lane).cast::<[u8; 4]>();
                *word = u32::from_le_bytes(bytes.read());
                written.add(stride * lane).cast::<u32>().read_unaligned() != 0
            };
        }
        if all {
            return u32::MAX;
        }
        (0..LANES).fold(0, |defined, lane| {
            // SAFETY: as above.
            let written = unsafe { written.add(stride * lane).cast::<u32>().read_unaligned() };
            defined | u32::from(written != 0) << lane
        })
    }

    /// Writes words into each of 32 ranges behind each other that are in bounds, with a bit for each that is defined.
    #[inline(always)]
    pub fn write_strided(&mut self, first: usize, stride: usize, words: &Lanes, defined: u32) {
        let end = first + stride * (LANES - 1) + 4;
        self.touched[first / PAGE..=end / PAGE].fill(true);
        let bytes = self.bytes[first..end].as_mut_ptr();
        let written = self.written[first..end].as_mut_ptr();
        for (lane, word) in words.0.iter().enumerate() {
            let is_written = ((defined >> lane) & 1) * 0x0101_0101;
            // SAFETY: four bytes of the slices, which end with those of the last lane.
            unsafe {
                let bytes = bytes.add(stride * lane).cast::<[u8; 4]>();
                bytes.write(word.to_le_bytes());
                let written = written.add(stride * lane).cast::<u32>();
                written.write_unaligned(is_written);
            }
        }
    }

    /// Writes words beside each other, which are in bounds.
    #[inline(always)]
    pub fn write_words(&mut self, first: usize, words: &Lanes) {
        let end = first + 4 * LANES;
        (self.touched[first / PAGE], self.touched[end / PAGE]) = (true, true);
        for (bytes, word) in self.bytes[first..end].chunks_exact_mut(4).zip(&words.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        self.written[first..end].fill(1);
    }

    /// Words at a place in each of 32 ranges that are in bounds, and a bit for each that has been written.
    #[inline(always)]
    pub fn gather(&self, places: &[u64; LANES], offset: usize, words: &mut Lanes) -> u32 {
        let mut defined = 0;
        for (lane, &place) in places.iter().enumerate() {
            let at = place as usize + offset;
            let word: [u8; 4] = self.bytes[at..at + 4].try_into().unwrap_or_default();
            let written: [u8; 4] = self.written[at..at + 4].try_into().unwrap_or_default();
            words.0[lane] = u32::from_le_bytes(word);
            defined |= u32::from(written != [0; 4]) << lane;
        }
        defined
    }
}
