//! Characters, strings, parsing and formatting.

use std::fmt;

use crate::suite::Suite;
use crate::values::{arrays, pairs, values};

/// Text of any characters, one to four bytes each.
fn text_of(seeds: &[u16]) -> String {
    const LETTERS: [char; 12] = [
        'a', 'Z', '7', ' ', 'ß', 'é', 'Σ', 'я', '中', '\u{3000}', '🦀', '\n',
    ];
    seeds
        .iter()
        .map(|seed| LETTERS[usize::from(*seed) % LETTERS.len()])
        .collect()
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        if f.alternate() {
            f.write_str("h")
        } else {
            Ok(())
        }
    }
}

#[derive(Debug, Clone, Copy)]
#[allow(dead_code)] // Read by `Debug` alone.
enum Record {
    Unit,
    Tuple(i32, Option<&'static str>),
    Fields { x: f32, name: char },
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("text/chars", |t| {
        t.map(
            |code: u32| {
                let letter = char::from_u32(code % 0x3000).unwrap_or('?');
                (
                    letter,
                    (
                        letter.is_alphabetic(),
                        letter.is_numeric(),
                        letter.is_whitespace(),
                        letter.is_control(),
                    ),
                    letter.to_uppercase().map(|c| c as u32).sum::<u32>(),
                    letter.to_lowercase().count() as u8,
                    letter.to_digit(36),
                    (
                        letter.is_ascii_punctuation(),
                        letter.to_ascii_uppercase(),
                        letter.len_utf16() as u8,
                    ),
                )
            },
            &(0..0x3000u32).step_by(7).collect::<Vec<_>>(),
        )
    });
    suite.case("text/search", |t| {
        t.map(
            |seeds: [u16; 20]| {
                let text = text_of(&seeds);
                (
                    text.len() as u8,
                    text.chars().count() as u8,
                    text.find('ß').map(|at| at as u8),
                    text.find("中🦀").map(|at| at as u8),
                    text.rfind(char::is_whitespace).map(|at| at as u8),
                    text.matches("a").count() as u8,
                    (
                        text.contains("яa"),
                        text.is_char_boundary(5),
                        text.starts_with(char::is_alphabetic),
                    ),
                )
            },
            &arrays::<u16, 20>(100),
        )
    });
    suite.case("text/change", |t| {
        t.bytes::<200, _, _>(
            |seeds: [u16; 14]| {
                let text = text_of(&seeds);
                let mut out = text.to_uppercase();
                out.push('|');
                out.push_str(&text.replace('a', "<a>"));
                out.insert(0, '»');
                out.extend(text.split_whitespace().rev());
                out.truncate(out.char_indices().nth(30).map_or(out.len(), |(at, _)| at));
                out.retain(|c| c != '7');
                out
            },
            &arrays::<u16, 14>(60),
        )
    });
    suite.case("text/split", |t| {
        t.bytes::<130, _, _>(
            |seeds: [u16; 16]| {
                let text = text_of(&seeds);
                let words: Vec<&str> = text.split([' ', '\n', '\u{3000}']).map(str::trim).collect();
                let (before, after) = text.split_once('Z').unwrap_or(("none", ""));
                format!(
                    "{}/{before}/{}",
                    words.join("_"),
                    after.chars().rev().collect::<String>()
                )
            },
            &arrays::<u16, 16>(60),
        )
    });
    suite.case("text/utf8", |t| {
        t.map(
            |bytes: [u8; 6]| {
                let checked = std::str::from_utf8(&bytes);
                let lossy = String::from_utf8_lossy(&bytes);
                (
                    checked.is_ok(),
                    checked
                        .err()
                        .map(|e| (e.valid_up_to() as u8, e.error_len().map(|len| len as u8))),
                    lossy.len() as u8,
                    lossy.chars().map(u32::from).fold(0, u32::wrapping_add),
                )
            },
            &arrays::<u8, 6>(500),
        )
    });
    suite.case("text/parse_integers", |t| {
        t.map(
            |x: i64| {
                let text = x.to_string();
                let cut = &text[text.len() / 3..];
                (
                    (
                        text.parse::<i64>().ok(),
                        text.parse::<i32>().ok(),
                        text.parse::<u16>().ok(),
                    ),
                    cut.parse::<u64>().ok(),
                    i128::from_str_radix(&text, 12).ok(),
                    "12x".parse::<u8>().is_err(),
                    format!("{x:x}").len() as u8,
                )
            },
            &values::<i64>(200),
        )
    });
    suite.case("text/parse_floats", |t| {
        t.map(
            |[a, b]: [u32; 2]| {
                let text = format!("{}.{}e{}", a, b, (b % 80) as i32 - 40);
                (
                    text.parse::<f64>().ok(),
                    text.parse::<f32>().ok(),
                    "nan".parse::<f32>().ok(),
                    "1e".parse::<f64>().is_err(),
                )
            },
            &pairs::<u32>(),
        )
    });
    suite.case("text/print_integers", |t| {
        t.bytes::<250, _, _>(
            |x: i128| {
                let small = x as i32;
                format!("{x} {small:+} {:#x} {:#010b} {:o} {small:>12}|{small:<12}|{small:^12}|{:08}|{:e}", x as u64, x as u8, x as u16, x as i16, x as u32)
            },
            &values::<i128>(60),
        )
    });
    suite.case("text/print_f32", |t| {
        t.bytes::<250, _, _>(
            |x: f32| format!("{x} {x:?} {x:e} {x:.3} {x:+09.2}|{x:>15.1e}"),
            &values::<f32>(150),
        )
    });
    suite.case("text/print_f64", |t| {
        t.bytes::<1900, _, _>(
            |x: f64| format!("{x} {x:?} {x:E} {x:.4} {x:<20.1}|{}", x.to_string().len()),
            &values::<f64>(120),
        )
    });
    suite.case("text/debug", |t| {
        t.bytes::<700, _, _>(
            |[a, b]: [u16; 2]| {
                let record = match a % 3 {
                    0 => Record::Unit,
                    1 => Record::Tuple(i32::from(b), (b % 2 == 0).then_some("a \"quoted\"\ttext")),
                    _ => Record::Fields {
                        x: f32::from(a) / 4.0,
                        name: text_of(&[b]).chars().next().unwrap_or('-'),
                    },
                };
                format!(
                    "{record:?} {record:#?} {:?} {:?}",
                    [record; 2],
                    ((a, "é\u{7}"), Some(()))
                )
            },
            &pairs::<u16>()[..60],
        )
    });
    suite.case("text/write", |t| {
        t.bytes::<100, _, _>(
            |bytes: [u8; 9]| {
                use std::fmt::Write;
                let mut out = String::new();
                let width = usize::from(bytes[0] % 20);
                let written = write!(
                    out,
                    "{} {:#} {:>width$}",
                    Hex(&bytes),
                    Hex(&bytes[..2]),
                    bytes[1],
                    width = width
                );
                out.push(if written.is_ok() { 'y' } else { 'n' });
                out
            },
            &arrays::<u8, 9>(60),
        )
    });
}
