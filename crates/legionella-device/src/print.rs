//! Text from work-items to the host: formatted here, whole, and sent through a bounded channel.
//!
//! A message is what one `print!` writes. It is sent in *pieces* of some cells of a [`Ring`], of which
//! most messages have one. Either all of a message's pieces get through, or the message is counted as
//! lost. The host puts the messages of each work-item together to lines.

use core::fmt::{self, Write};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::atomic::InSystem;
use crate::channel::ring::Ring;
use crate::intrinsic;

/// Bytes of a cell.
pub const CELL: usize = 120;

/// The most cells of a piece.
const CELLS: usize = 8;

/// Bytes of text of a piece.
const TEXT: usize = CELL * CELLS - size_of::<Head>();

/// What a piece starts with; its text follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// Which launch, and the work-item's linear id in it: what [`intrinsic::running_item`] gave.
    pub from: [u64; 2],
    /// Bytes of text.
    pub len: u32,
    /// [`FIRST`], [`LAST`] and [`ERROR`].
    pub flags: u32,
}

/// The piece is its message's first.
pub const FIRST: u32 = 1;
/// The piece is its message's last.
pub const LAST: u32 = 2;
/// The message is for standard error.
pub const ERROR: u32 = 4;

impl Head {
    /// How many cells the piece takes.
    pub fn cells(&self) -> u64 {
        (size_of::<Head>() + self.len as usize).div_ceil(CELL) as u64
    }

    /// As the bytes at the start of the piece.
    pub fn to_bytes(&self) -> [u8; size_of::<Head>()] {
        let mut bytes = [0; size_of::<Head>()];
        bytes[..8].copy_from_slice(&self.from[0].to_le_bytes());
        bytes[8..16].copy_from_slice(&self.from[1].to_le_bytes());
        bytes[16..20].copy_from_slice(&self.len.to_le_bytes());
        bytes[20..].copy_from_slice(&self.flags.to_le_bytes());
        bytes
    }

    /// From the bytes of a piece's first cell.
    pub fn from_bytes(cell: &[u8; CELL]) -> Self {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&cell[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        Head {
            from: [word(0), word(8)],
            len: word(16) as u32,
            flags: (word(16) >> 32) as u32,
        }
    }
}

/// Where work-items send what they print.
#[derive(Debug)]
#[repr(C)]
pub struct Port {
    /// The channel.
    pub ring: Ring<[u8; CELL]>,
    /// Messages that were lost. Only work-items write it: the host's own operations on memory that a device
    /// changes atomically need not be atomic to that.
    pub lost: AtomicU64,
    /// How many of them the host has told of, which alone writes it.
    pub told: AtomicU64,
}

impl Port {
    /// Messages that were lost and that the host has not told of.
    pub fn untold(&self) -> u64 {
        let [lost, told] = [&self.lost, &self.told].map(|count| InSystem::of(count).load(Relaxed));
        lost.wrapping_sub(told)
    }
}

// SAFETY: a ring is for any number of producers; the consumer is the host's to see to.
unsafe impl Sync for Port {}
// SAFETY: as above.
unsafe impl Send for Port {}

/// How often a work-item waits for room before its message is lost.
const PATIENCE: u32 = 10_000;

/// A message on its way.
struct Message<'p> {
    port: &'p Port,
    from: [u64; 2],
    flags: u32,
    len: usize,
    text: [MaybeUninit<u8>; TEXT],
    lost: bool,
}

impl Message<'_> {
    /// Sends what there is of the message. If there is no room, the whole message is lost.
    fn send(&mut self, last: bool) {
        let flags = self.flags | if last { LAST } else { 0 };
        let head = Head {
            from: self.from,
            len: self.len as u32,
            flags,
        };
        self.flags &= !FIRST;
        if !self.lost && !self.deliver(head) {
            self.lost = true;
            self.port.lost.fetch_add(1, Relaxed);
        }
        self.len = 0;
    }

    /// Puts the text behind its head into the ring, and waits for a while if the host takes out what is
    /// there. Where messages have been lost already, nobody waits.
    fn deliver(&self, head: Head) -> bool {
        for _ in 0..PATIENCE {
            if self.put(head) {
                return true;
            }
            // SAFETY: a port's ring is valid.
            if !unsafe { self.port.ring.door().is_live() } || self.port.untold() != 0 {
                return false;
            }
            intrinsic::pause();
        }
        false
    }

    /// Puts the text behind its head into the ring if there is room. A function of its own: where lanes
    /// run in lockstep, those that have claimed their place would otherwise write it behind the loop that
    /// others wait in, and the host never get to it.
    #[inline(never)]
    fn put(&self, head: Head) -> bool {
        let count = head.cells();
        // SAFETY: a port's ring is valid.
        let Some(first) = (unsafe { self.port.ring.claim(count) }) else {
            return false;
        };
        let head = head.to_bytes();
        let mut at = 0;
        for position in first..first.wrapping_add(count) {
            let mut cell = [0; CELL];
            for byte in &mut cell {
                if let Some(of_head) = head.get(at) {
                    *byte = *of_head;
                } else if at - head.len() < self.len {
                    // SAFETY: the text was written up to its length.
                    *byte = unsafe { self.text[at - head.len()].assume_init() };
                }
                at += 1;
            }
            // SAFETY: claimed above.
            unsafe { self.port.ring.write(position, cell) };
        }
        for position in first..first.wrapping_add(count) {
            // SAFETY: claimed and written above.
            unsafe { self.port.ring.publish(position) };
        }
        true
    }
}

impl Write for Message<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.len == TEXT {
                self.send(false);
            }
            self.text[self.len] = MaybeUninit::new(byte);
            self.len += 1;
        }
        Ok(())
    }
}

/// Prints in a kernel, and says whether this is one: if not, nothing is done. `flags` is 0 or
/// [`ERROR`].
#[doc(hidden)]
#[inline(always)]
pub fn print(text: fmt::Arguments<'_>, flags: u32) -> bool {
    let on_device = intrinsic::on_device();
    if on_device {
        print_from_item(text, flags);
    }
    on_device
}

#[cold]
#[inline(never)]
fn print_from_item(text: fmt::Arguments<'_>, flags: u32) {
    let mut from = [0; 2];
    intrinsic::running_item(&mut from);
    // SAFETY: null, or a port that stays while kernels run.
    if let Some(port) = unsafe { intrinsic::print_port().as_ref() } {
        send(port, from, text, flags);
    }
}

/// Sends what one `print!` writes.
pub fn send(port: &Port, from: [u64; 2], text: fmt::Arguments<'_>, flags: u32) {
    let mut message = Message {
        port,
        from,
        flags: flags | FIRST,
        len: 0,
        text: [MaybeUninit::uninit(); TEXT],
        lost: false,
    };
    // Of a value that can't be formatted, what there is of its text is printed.
    let _ = message.write_fmt(text);
    message.send(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_from_their_bytes() {
        let head = Head {
            from: [u64::MAX - 5, 1 << 40],
            len: 937,
            flags: FIRST | ERROR,
        };
        let mut cell = [0; CELL];
        cell[..24].copy_from_slice(&head.to_bytes());
        assert_eq!(Head::from_bytes(&cell), head);
        assert_eq!(head.cells(), 9);
        assert_eq!(
            Head {
                len: TEXT as u32,
                ..head
            }
            .cells(),
            CELLS as u64
        );
        assert_eq!(Head { len: 0, ..head }.cells(), 1);
    }
}
