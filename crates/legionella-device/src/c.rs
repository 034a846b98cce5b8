//! What `std` calls of the C library when it writes down an error, which much code can do that never
//! meets one. The driver leads those calls here (contract: [`legionella_abi::intrinsic::C_PREFIX`]).

use core::ffi::{c_char, c_int};

/// What stands for the text of every error of an operating system; `std` adds its number.
const TEXT: &core::ffi::CStr = c"error of an operating system";

/// C's `strlen`: bytes of a text before its zero.
///
/// # Safety
/// `text` points to bytes that end with a zero.
#[unsafe(export_name = "legionella.c.strlen")]
#[inline(never)]
unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    let mut len = 0;
    // SAFETY: the zero lies at or behind this byte.
    while unsafe { *text.add(len) } != 0 {
        len += 1;
    }
    len
}

/// POSIX' `strerror_r`: writes a text for an error number. Gives 0, or 34 (`ERANGE`) if it is cut.
///
/// # Safety
/// `len` bytes from `buffer` on are valid for writes.
#[unsafe(export_name = "legionella.c.strerror_r")]
#[inline(never)]
unsafe extern "C" fn strerror_r(_error: c_int, buffer: *mut c_char, len: usize) -> c_int {
    const RANGE: c_int = 34;
    let text = TEXT.to_bytes_with_nul();
    let Some(room) = len.checked_sub(1) else {
        return RANGE;
    };
    let fits = room.min(text.len() - 1);
    for (index, byte) in text[..fits].iter().enumerate() {
        // SAFETY: the index is below `len`.
        unsafe { *buffer.add(index) = *byte as c_char };
    }
    // SAFETY: as above.
    unsafe { *buffer.add(fits) = 0 };
    if fits == text.len() - 1 { 0 } else { RANGE }
}

/// The GNU C library's name for [`strerror_r`].
///
/// # Safety
/// As there.
#[unsafe(export_name = "legionella.c.__xpg_strerror_r")]
#[inline(never)]
unsafe extern "C" fn xpg_strerror_r(error: c_int, buffer: *mut c_char, len: usize) -> c_int {
    // SAFETY: passed on.
    unsafe { strerror_r(error, buffer, len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_terminated_and_cut_where_they_must() {
        let all = TEXT.to_bytes().len();
        for (len, written, result) in [(0, 0, 34), (1, 0, 34), (5, 4, 34), (128, all, 0)] {
            let mut buffer = [1; 128];
            // SAFETY: the buffer is longer than any of the lengths.
            assert_eq!(unsafe { strerror_r(2, buffer.as_mut_ptr(), len) }, result);
            if len > 0 {
                // SAFETY: it was terminated just now.
                assert_eq!(unsafe { strlen(buffer.as_ptr()) }, written);
            }
            assert!(buffer[len..].iter().all(|byte| *byte == 1));
        }
    }
}
