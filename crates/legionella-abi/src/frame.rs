//! Messages as bytes: a length (`u64`, little-endian), then the value in `postcard` form.

use alloc::vec::Vec;

use serde::{Serialize, de::DeserializeOwned};

/// Bytes before the body of a frame.
pub const HEADER: usize = 8;

/// Largest body that a reader accepts, in bytes: far above any program's device code.
pub const MAX_BODY: u64 = 1 << 32;

/// A body that is not a message of the expected type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(postcard::Error);

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "malformed message: {}", self.0)
    }
}

impl core::error::Error for Malformed {}

/// The whole frame of a message.
///
/// # Panics
/// If the type's own serialisation fails, which none of this crate's does.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = alloc::vec![0; HEADER];
    bytes = postcard::to_extend(message, bytes).expect("messages serialise into memory");
    let body = (bytes.len() - HEADER) as u64;
    bytes[..HEADER].copy_from_slice(&body.to_le_bytes());
    bytes
}

/// Length of the body that follows a frame's header; `None` if it is beyond [`MAX_BODY`].
pub fn body_len(header: [u8; HEADER]) -> Option<usize> {
    let len = u64::from_le_bytes(header);
    (len <= MAX_BODY).then_some(len as usize)
}

/// Reads a message from the body of a frame.
///
/// # Errors
/// If the body is not a message of that type.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Malformed> {
    postcard::from_bytes(body).map_err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_round_trips_and_truncation_is_an_error() {
        let frame = encode(&("kernel", 7u64));
        let (header, body) = frame.split_first_chunk::<HEADER>().unwrap();
        assert_eq!(body_len(*header), Some(body.len()));
        let (name, number): (alloc::string::String, u64) = decode(body).unwrap();
        assert_eq!((name.as_str(), number), ("kernel", 7));
        assert!(decode::<(alloc::string::String, u64)>(&body[..body.len() - 1]).is_err());
    }

    #[test]
    fn absurd_lengths_are_refused() {
        assert_eq!(body_len(u64::MAX.to_le_bytes()), None);
    }
}
