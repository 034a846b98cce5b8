//! Memory of work-items: a stack for each lane, and which bytes of it have been written.
//!
//! Words at one place of all stacks lie beside each other, as the hardware has them: lanes mostly access the same place,
//! which is one row then. Knows nothing of addresses' spaces or of instructions.

use crate::lanes::{LANES, Lanes};

use super::wave::POISON;

/// Rows of a page.
const PAGE: usize = 64;

/// A place's word of 32 lanes.
#[derive(Clone, Copy, Debug)]
struct Row {
    words: Lanes,
    /// Of each byte of the words, the lanes that have written it.
    written: [u32; 4],
}

/// A row that nobody has written to.
const UNWRITTEN: Row = Row {
    words: Lanes([POISON; LANES]),
    written: [0; 4],
};

/// The stacks of a wave's lanes, which start undefined.
#[derive(Debug)]
pub struct Stacks {
    /// For each place, the rows of all halves.
    rows: Vec<Row>,
    /// Pages of rows that have been written to.
    touched: Vec<bool>,
    halves: usize,
    bytes: usize,
}

impl Stacks {
    /// Stacks of so many bytes for each lane of so many halves.
    pub fn new(bytes: usize, halves: usize) -> Stacks {
        let rows = bytes.div_ceil(4) * halves;
        Stacks {
            rows: vec![UNWRITTEN; rows],
            touched: vec![false; rows.div_ceil(PAGE)],
            halves,
            bytes,
        }
    }

    /// Bytes of a lane's stack.
    #[inline(always)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes all undefined again.
    pub fn poison(&mut self) {
        for (page, touched) in self.rows.chunks_mut(PAGE).zip(&mut self.touched) {
            if std::mem::take(touched) {
                page.fill(UNWRITTEN);
            }
        }
    }

    /// The words at a place, a multiple of 4 within the stacks, of a half's lanes; and of which lanes any byte has been written:
    /// code copies words of which only some bytes mean something.
    #[inline(always)]
    pub fn row(&self, half: usize, at: usize) -> (&Lanes, u32) {
        let row = &self.rows[at / 4 * self.halves + half];
        let [a, b, c, d] = row.written;
        (&row.words, a | b | c | d)
    }

    /// Writes a half's words at a place, a multiple of 4 within the stacks, for some lanes.
    #[inline(always)]
    pub fn write_row(&mut self, half: usize, at: usize, exec: u32, words: &Lanes, defined: u32) {
        let number = at / 4 * self.halves + half;
        self.touched[number / PAGE] = true;
        let row = &mut self.rows[number];
        if exec == u32::MAX {
            row.words = *words;
            row.written = [defined; 4];
            return;
        }
        row.words.replace(exec, words);
        for written in &mut row.written {
            *written = (*written & !exec) | (defined & exec);
        }
    }

    /// A lane's value of up to 8 bytes, and whether any of it has been written. It lies within the lane's stack.
    #[inline(always)]
    pub fn read(&self, lane: usize, at: usize, size: usize) -> (u64, bool) {
        let (half, lane) = (lane / LANES, lane % LANES);
        if size == 4 && at.is_multiple_of(4) {
            let (words, written) = self.row(half, at);
            return (words.0[lane].into(), (written >> lane) & 1 == 1);
        }
        let (mut value, mut written) = (0, 0);
        for byte in 0..size {
            let at = at + byte;
            let row = &self.rows[at / 4 * self.halves + half];
            let bits = u64::from(row.words.0[lane] >> (8 * (at % 4))) & 255;
            value |= bits << (8 * byte);
            written |= row.written[at % 4] >> lane;
        }
        (value, written & 1 == 1)
    }

    /// Writes a lane's value of up to 8 bytes. It lies within the lane's stack.
    #[inline(always)]
    pub fn write(&mut self, lane: usize, at: usize, size: usize, value: u64, defined: bool) {
        let (half, lane) = (lane / LANES, lane % LANES);
        for byte in 0..size {
            let at = at + byte;
            let number = at / 4 * self.halves + half;
            self.touched[number / PAGE] = true;
            let row = &mut self.rows[number];
            let (word, shift) = (&mut row.words.0[lane], 8 * (at % 4));
            *word = (*word & !(255 << shift)) | (((value >> (8 * byte)) as u32 & 255) << shift);
            let written = &mut row.written[at % 4];
            *written = (*written & !(1 << lane)) | (u32::from(defined) << lane);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_lanes_are_the_same_memory() {
        let mut stacks = Stacks::new(16, 2);
        let words = Lanes(std::array::from_fn(|lane| 0x0403_0200 + lane as u32));
        stacks.write_row(1, 8, 0xff, &words, 0x7f);
        assert_eq!(stacks.read(37, 8, 4), (0x0403_0205, true));
        // Lane 7 has stored what is undefined, lane 8 nothing, and the other half nothing either.
        assert!(!stacks.read(39, 8, 4).1 && !stacks.read(40, 8, 4).1 && !stacks.read(5, 8, 4).1);
        // Across two words, of which one was written.
        assert_eq!(stacks.read(37, 6, 4), (0x0205_dead, true));
        stacks.write(40, 11, 2, 0xbbaa, true);
        let (row, written) = stacks.row(1, 8);
        assert_eq!((row.0[8], written), (0xaaad_beef, 0x17f));
        assert_eq!(stacks.read(40, 12, 4), (0xdead_bebb, true));
        assert!(!stacks.read(40, 13, 2).1 && !stacks.read(40, 8, 2).1);
        stacks.poison();
        assert_eq!((stacks.row(1, 8).1, stacks.row(1, 12).1), (0, 0));
    }
}
