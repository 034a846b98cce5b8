//! Checksums and hashes.

use std::hash::{Hash, Hasher};

use crate::suite::Suite;
use crate::values::arrays;

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/adler2", |t| {
        t.map(
            |bytes: [u8; 100]| adler2::adler32_slice(&bytes),
            &arrays::<u8, 100>(50),
        )
    });
    suite.case("crates/blake3", |t| {
        t.map(
            |bytes: [u8; 200]| {
                let mut hasher = blake3::Hasher::new_keyed(&[7; 32]);
                hasher.update(&bytes[..50]).update(&bytes[50..]);
                (
                    *blake3::hash(&bytes).as_bytes(),
                    *hasher.finalize().as_bytes(),
                )
            },
            &arrays::<u8, 200>(20),
        )
    });
    suite.case("crates/blake3_many_chunks", |t| {
        t.map(
            |seed: u32| {
                let bytes: Vec<u8> = (0..9000u32).map(|i| (i ^ seed) as u8).collect();
                *blake3::hash(&bytes).as_bytes()
            },
            &[1, 2, 3],
        )
    });
    suite.case("crates/crc32fast", |t| {
        t.map(
            |bytes: [u8; 300]| {
                let mut hasher = crc32fast::Hasher::new_with_initial(1);
                hasher.update(&bytes[17..]);
                (crc32fast::hash(&bytes), hasher.finalize())
            },
            &arrays::<u8, 300>(30),
        )
    });
    suite.case("crates/fnv", |t| {
        t.map(
            |bytes: [u8; 30]| {
                let mut hasher = fnv::FnvHasher::default();
                (bytes[0], &bytes[1..], "text").hash(&mut hasher);
                hasher.finish()
            },
            &arrays::<u8, 30>(30),
        )
    });
    suite.case("crates/sha2", |t| {
        use sha2::{Digest, Sha256, Sha512};
        t.map(
            |bytes: [u8; 150]| {
                let mut hasher = Sha256::new();
                hasher.update(&bytes[..70]);
                hasher.update(&bytes[70..]);
                let short: [u8; 32] = hasher.finalize().into();
                let long: [u8; 64] = Sha512::digest(bytes).into();
                (short, long)
            },
            &arrays::<u8, 150>(30),
        )
    });
    suite.case("crates/sha3", |t| {
        use sha3::digest::{ExtendableOutput, Update, XofReader};
        use sha3::{Digest, Sha3_256, Shake128};
        t.map(
            |bytes: [u8; 150]| {
                let fixed: [u8; 32] = Sha3_256::digest(bytes).into();
                let mut open = [0; 77];
                let mut hasher = Shake128::default();
                hasher.update(&bytes);
                hasher.finalize_xof().read(&mut open);
                (fixed, open)
            },
            &arrays::<u8, 150>(30),
        )
    });
    suite.case("crates/siphasher", |t| {
        use siphasher::sip::SipHasher13;
        use siphasher::sip128::{Hasher128, SipHasher24};
        t.map(
            |bytes: [u8; 41]| {
                let mut short = SipHasher13::new_with_keys(1, 2);
                bytes.hash(&mut short);
                let mut long = SipHasher24::new_with_keys(3, 4);
                bytes[..9].hash(&mut long);
                (short.finish(), long.finish128().as_u128())
            },
            &arrays::<u8, 41>(30),
        )
    });
    suite.case("crates/xxhash-rust", |t| {
        use xxhash_rust::{xxh3, xxh64};
        t.map(
            |bytes: [u8; 400]| {
                (
                    xxh3::xxh3_64(&bytes[..11]),
                    xxh3::xxh3_64_with_seed(&bytes[..150], 5),
                    xxh3::xxh3_128(&bytes),
                    xxh64::xxh64(&bytes, 9),
                )
            },
            &arrays::<u8, 400>(30),
        )
    });
}
