//! What a work-item of a GPU left of its panic (contract: [`legionella_abi::gpu`]), as an error.

use std::sync::Arc;

use legionella_abi::cpu::Launch;
use legionella_abi::gpu::{Panicked, Record, TEXT};
use legionella_abi::protocol::Source;

use crate::error::Error;

/// What the function for panics is told of a panic that was left as a place, by the launch of that number.
pub(in crate::backend) fn panicked(record: &Record, space: &Launch, number: u64) -> Panicked {
    let local = record.local.map(u64::from);
    Panicked {
        place: record.place.into(),
        carried: record.carried,
        ids: [
            item(record, space),
            space.grid,
            local,
            record.group,
            space.group,
        ],
        number,
    }
}

/// Global ids of the work-item that panicked.
pub(in crate::backend) fn item(record: &Record, space: &Launch) -> [u64; 3] {
    [0, 1, 2].map(|d| {
        let first = record.group[d].wrapping_mul(space.group[d]);
        first.wrapping_add(record.local[d].into())
    })
}

/// The error of a panic with everything in its record.
pub(in crate::backend) fn error(record: &Record, item: [u64; 3], kernel: &Arc<str>) -> Error {
    Error::KernelPanicked {
        kernel: Arc::clone(kernel),
        message: text(&record.message, record.message_len),
        source_location: Source {
            file: text(&record.file, record.file_len),
            line: record.line,
            column: record.column,
        },
        item: item.map(|id| id as usize),
    }
}

/// The error of a panic of which no more can be said than who panicked.
pub(in crate::backend) fn unspoken(why: &Error, item: [u64; 3], kernel: &Arc<str>) -> Error {
    Error::KernelPanicked {
        kernel: Arc::clone(kernel),
        message: format!("the message can't be told: {why}"),
        source_location: Source {
            file: String::new(),
            line: 0,
            column: 0,
        },
        item: item.map(|id| id as usize),
    }
}

/// The bytes of a text; one that was cut off may end within a character.
fn text(bytes: &[u8; TEXT], len: u32) -> String {
    let bytes = &bytes[..(len as usize).min(TEXT)];
    let whole = match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    String::from_utf8_lossy(whole).into_owned()
}
