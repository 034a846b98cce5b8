//! Compression, both ways.

use crate::suite::Suite;
use crate::values::arrays;

/// Bytes that compress: few different ones, with repetitions.
fn repetitive(seed: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = seed.iter().map(|byte| byte % 11 + b'a').collect();
    bytes.extend_from_within(3..40);
    bytes.extend_from_within(10..60);
    bytes.extend([b'z'; 40]);
    bytes
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/miniz_oxide", |t| {
        t.bytes::<400, _, _>(
            |seed: [u8; 64]| {
                let bytes = repetitive(&seed);
                let mut packed = miniz_oxide::deflate::compress_to_vec_zlib(&bytes, 6);
                let unpacked = miniz_oxide::inflate::decompress_to_vec_zlib(&packed);
                packed.push(u8::from(unpacked.is_ok_and(|unpacked| unpacked == bytes)));
                packed.push(u8::from(
                    miniz_oxide::inflate::decompress_to_vec(&bytes).is_err(),
                ));
                packed
            },
            &arrays::<u8, 64>(10),
        )
    });
    suite.case("crates/lz4_flex", |t| {
        t.bytes::<400, _, _>(
            |seed: [u8; 64]| {
                let bytes = repetitive(&seed);
                let mut packed = lz4_flex::compress_prepend_size(&bytes);
                let unpacked = lz4_flex::decompress_size_prepended(&packed);
                packed.push(u8::from(unpacked.is_ok_and(|unpacked| unpacked == bytes)));
                packed
            },
            &arrays::<u8, 64>(10),
        )
    });
}
