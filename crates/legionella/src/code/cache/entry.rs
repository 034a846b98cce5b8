//! One cache entry as bytes.
//!
//! | field | size |
//! | --- | --- |
//! | magic | 8 |
//! | BLAKE3 hash of the key and all that follows | 32 |
//! | length of the required features, little-endian | 8 |
//! | length of the code, little-endian | 8 |
//! | required features, each terminated by a line feed | as stated |
//! | code | as stated |
//!
//! The hash covers the key, so an entry under another's name is not taken for it.

use legionella_abi::protocol::Code;

use super::Key;

/// Extension of entries in the cache's folder.
pub const EXTENSION: &str = "code";

const MAGIC: [u8; 8] = *b"LGNCODE\x01";
const HASHED: usize = 8 + 32;

/// The bytes of an entry.
pub fn encode(key: &Key, code: &Code) -> Vec<u8> {
    let requires: String = code
        .requires
        .iter()
        .flat_map(|feature| [feature.as_str(), "\n"])
        .collect();
    let mut bytes = Vec::with_capacity(HASHED + 16 + requires.len() + code.bytes.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[0; 32]);
    bytes.extend_from_slice(&(requires.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(code.bytes.len() as u64).to_le_bytes());
    bytes.extend_from_slice(requires.as_bytes());
    bytes.extend_from_slice(&code.bytes);
    let hash = hash(key, &bytes[HASHED..]);
    bytes[8..HASHED].copy_from_slice(&hash);
    bytes
}

/// The code of an entry; `None` if these bytes are not exactly an entry of `key`.
pub fn decode(key: &Key, bytes: &[u8]) -> Option<Code> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (stated, body) = rest.split_first_chunk::<32>()?;
    if *magic != MAGIC || hash(key, body) != *stated {
        return None;
    }
    let (requires_len, rest) = body.split_first_chunk::<8>()?;
    let (code_len, rest) = rest.split_first_chunk::<8>()?;
    let requires_len = usize::try_from(u64::from_le_bytes(*requires_len)).ok()?;
    let (requires, code) = rest.split_at_checked(requires_len)?;
    if code.len() as u64 != u64::from_le_bytes(*code_len) {
        return None;
    }
    let requires = std::str::from_utf8(requires).ok()?;
    Some(Code {
        bytes: code.to_vec(),
        requires: requires.lines().map(str::to_owned).collect(),
    })
}

fn hash(key: &Key, body: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new()
        .update(&key.0)
        .update(body)
        .finalize()
        .as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Key, Code, Vec<u8>) {
        let key = Key([7; 32]);
        let code = Code {
            bytes: (0..200).collect(),
            requires: vec!["avx2".into(), "fma".into()],
        };
        let bytes = encode(&key, &code);
        (key, code, bytes)
    }

    #[test]
    fn comes_back_as_it_was() {
        let (key, code, bytes) = sample();
        assert_eq!(decode(&key, &bytes), Some(code));
        assert_eq!(decode(&Key([8; 32]), &bytes), None, "another key's entry");
    }

    #[test]
    fn every_truncation_extension_and_flipped_bit_is_noticed() {
        let (key, _, bytes) = sample();
        for len in 0..bytes.len() {
            assert_eq!(decode(&key, &bytes[..len]), None, "cut to {len} bytes");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(decode(&key, &longer), None);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&key, &damaged), None, "bit {bit} flipped");
        }
    }
}
