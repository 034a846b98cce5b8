//! Panics on the device: the compiled panic machinery is cut where it would enter `std`, and led
//! to the functions here, which format the message and hand it to the target.

use core::fmt::Write;
use core::panic::{Location, PanicInfo};

use legionella_abi::cpu::Panic;

use crate::intrinsic;

/// Longest panic message in bytes; what is longer is cut.
const MESSAGE: usize = 1024;

/// Text of bounded length: what doesn't fit is dropped at a character boundary.
struct Text {
    bytes: [u8; MESSAGE],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let mut fits = text.len().min(MESSAGE - self.len);
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        let end = self.len + fits;
        self.bytes[self.len..end].copy_from_slice(&text.as_bytes()[..fits]);
        self.len = end;
        if fits == text.len() {
            Ok(())
        } else {
            Err(core::fmt::Error)
        }
    }
}

impl Text {
    /// Adds some characters, as far as they fit.
    fn push(&mut self, characters: &[u8]) {
        for character in characters {
            if let Some(byte) = self.bytes.get_mut(self.len) {
                *byte = *character;
                self.len += 1;
            }
        }
    }

    /// Adds a number in decimal digits.
    fn push_number(&mut self, number: usize) {
        let mut power = 1;
        while number / power >= 10 {
            power *= 10;
        }
        while power > 0 {
            self.push(&[b'0' + (number / power % 10) as u8]);
            power /= 10;
        }
    }
}

fn report(message: &str, location: Option<&Location<'_>>) -> ! {
    let (file, line, column) = match location {
        Some(location) => (location.file(), location.line(), location.column()),
        None => ("", 0, 0),
    };
    intrinsic::panic(&Panic {
        message: message.as_ptr(),
        message_len: message.len(),
        file: file.as_ptr(),
        file_len: file.len(),
        line,
        column,
    })
}

/// Stands in for the `#[panic_handler]` of `std`.
#[unsafe(export_name = "legionella.panic_handler")]
#[inline(never)]
extern "C" fn panic_handler(info: &PanicInfo<'_>) -> ! {
    let message = info.message();
    if let Some(text) = message.as_str() {
        report(text, info.location());
    }
    let mut text = Text {
        bytes: [0; MESSAGE],
        len: 0,
    };
    // An error means that the text is full: what is there is the message.
    let _ = write!(text, "{message}");
    let text = core::str::from_utf8(&text.bytes[..text.len]).unwrap_or_default();
    report(text, info.location())
}

/// Stands in for `std::panicking::begin_panic::<&str>`, the panic of editions before 2021.
#[unsafe(export_name = "legionella.panic_str")]
#[inline(never)]
extern "C" fn panic_str(message: *const u8, len: usize, location: &Location<'_>) -> ! {
    // SAFETY: the arguments are the halves of the `&'static str` that `begin_panic` was given.
    let message = unsafe { core::slice::from_raw_parts(message, len) };
    report(
        core::str::from_utf8(message).unwrap_or_default(),
        Some(location),
    )
}

/// A collective operation that not all items of the group reach.
#[unsafe(export_name = "legionella.barrier_failed")]
#[inline(never)]
pub(crate) extern "C" fn barrier_failed(place: &Location<'_>, other: Option<&Location<'_>>) -> ! {
    let mut text = Text {
        bytes: [0; MESSAGE],
        len: 0,
    };
    let what = "barrier reached by only some work-items of the group";
    // An error means that the text is full: what is there is the message.
    let _ = match other {
        Some(other) => write!(text, "{what}: others wait at {other}"),
        None => write!(text, "{what}: others have ended"),
    };
    let text = core::str::from_utf8(&text.bytes[..text.len]).unwrap_or_default();
    report(text, Some(place))
}

/// Stands in for `std::alloc::handle_alloc_error`.
#[unsafe(export_name = "legionella.alloc_error")]
#[inline(never)]
pub(crate) extern "C" fn alloc_error(_align: usize, size: usize) -> ! {
    // Without `core::fmt`: all kernels that allocate come by here, and most format nothing else.
    let mut text = Text {
        bytes: [0; MESSAGE],
        len: 0,
    };
    text.push(b"memory allocation of ");
    text.push_number(size);
    text.push(b" bytes failed");
    // SAFETY: made of texts and digits.
    let text = unsafe { core::str::from_utf8_unchecked(text.bytes.get_unchecked(..text.len)) };
    report(text, Some(Location::caller()))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn numbers_have_all_their_digits() {
        for number in [0, 9, 10, 1_000_070, usize::MAX] {
            let mut text = Text {
                bytes: [0; MESSAGE],
                len: 0,
            };
            text.push_number(number);
            assert_eq!(&text.bytes[..text.len], std::format!("{number}").as_bytes());
        }
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let mut text = Text {
            bytes: [0; MESSAGE],
            len: MESSAGE - 1,
        };
        assert!(text.write_str("ü").is_err());
        assert_eq!(text.len, MESSAGE - 1);
        assert!(text.write_str("u").is_ok());
        assert_eq!(text.len, MESSAGE);
    }
}
