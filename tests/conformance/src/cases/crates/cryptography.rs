//! Ciphers and random numbers.

use crate::suite::Suite;
use crate::values::{arrays, values};

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/aes", |t| {
        use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
        t.map(
            |[key, text]: [[u8; 16]; 2]| {
                let cipher = aes::Aes128::new(&key.into());
                let mut block = text.into();
                cipher.encrypt_block(&mut block);
                let encrypted: [u8; 16] = block.into();
                cipher.decrypt_block(&mut block);
                (encrypted, block[..] == text[..])
            },
            &keys(),
        )
    });
    suite.case("crates/aes_blocks", |t| {
        use aes::cipher::{BlockEncrypt, KeyInit};
        t.map(
            |[key, text]: [[u8; 16]; 2]| {
                let key: Vec<u8> = key.iter().chain(&text).copied().collect();
                let cipher = aes::Aes256::new_from_slice(&key).expect("32 bytes");
                let mut blocks = [aes::Block::from(text); 9];
                blocks[3][0] ^= 1;
                cipher.encrypt_blocks(&mut blocks);
                let first: [u8; 16] = blocks[0].into();
                let changed: [u8; 16] = blocks[3].into();
                (first, changed)
            },
            &keys(),
        )
    });
    suite.case("crates/chacha20", |t| {
        use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
        t.map(
            |key: [u8; 32]| {
                let mut cipher = chacha20::ChaCha20::new(&key.into(), &[9; 12].into());
                let mut text = [0u8; 200];
                cipher.apply_keystream(&mut text);
                cipher.seek(64u32);
                cipher.apply_keystream(&mut text[100..]);
                text
            },
            &arrays::<u8, 32>(30),
        )
    });
    suite.case("crates/rand_pcg", |t| {
        use rand_core::{Rng, SeedableRng};
        t.map(
            |seed: u64| {
                let mut pcg = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
                let mut other = rand_pcg::Lcg64Xsh32::new(seed, 3);
                let mut bytes = [0; 13];
                other.fill_bytes(&mut bytes);
                ([pcg.next_u64(), pcg.next_u64()], pcg.next_u32(), bytes)
            },
            &values::<u64>(50),
        )
    });
    suite.case("crates/rand_chacha", |t| {
        use rand_core::{Rng, SeedableRng};
        t.map(
            |seed: [u8; 32]| {
                let mut generator = rand_chacha::ChaCha8Rng::from_seed(seed);
                generator.set_stream(5);
                let drawn: [u64; 40] = std::array::from_fn(|_| generator.next_u64());
                (drawn, generator.next_u32())
            },
            &arrays::<u8, 32>(30),
        )
    });
    suite.case("crates/oorandom", |t| {
        t.map(
            |seed: u64| {
                let mut generator = oorandom::Rand64::new(u128::from(seed));
                (
                    generator.rand_range(3..1000),
                    generator.rand_float(),
                    generator.rand_i64(),
                )
            },
            &values::<u64>(50),
        )
    });
}

fn keys() -> Vec<[[u8; 16]; 2]> {
    arrays::<u8, 32>(30)
        .into_iter()
        .map(|bytes| {
            [
                std::array::from_fn(|i| bytes[i]),
                std::array::from_fn(|i| bytes[16 + i]),
            ]
        })
        .collect()
}
