//! Text: encodings, segmentation, printing of numbers, dates.

use crate::suite::Suite;
use crate::values::{arrays, values};

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/base64", |t| {
        use base64::Engine;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        t.bytes::<120, _, _>(
            |bytes: [u8; 31]| {
                let text = STANDARD.encode(bytes);
                let back = STANDARD.decode(&text).is_ok_and(|back| back == bytes);
                let wrong = URL_SAFE_NO_PAD.decode(&text).is_err();
                format!(
                    "{text} {back} {wrong} {}",
                    URL_SAFE_NO_PAD.encode(&bytes[..7])
                )
            },
            &arrays::<u8, 31>(40),
        )
    });
    suite.case("crates/hex", |t| {
        t.bytes::<120, _, _>(
            |bytes: [u8; 13]| {
                let text = hex::encode(bytes);
                let mut back = [0; 13];
                let ended = hex::decode_to_slice(&text, &mut back);
                format!(
                    "{text} {ended:?} {} {:?}",
                    back == bytes,
                    hex::decode(&text[1..])
                )
            },
            &arrays::<u8, 13>(40),
        )
    });
    suite.case("crates/itoa", |t| {
        t.bytes::<100, _, _>(
            |x: i128| {
                let mut buffer = itoa::Buffer::new();
                let mut small = itoa::Buffer::new();
                [buffer.format(x), small.format(x as i16)].join(" ")
            },
            &values::<i128>(60),
        )
    });
    suite.case("crates/ryu", |t| {
        t.bytes::<100, _, _>(
            |x: f64| {
                let mut buffer = ryu::Buffer::new();
                let mut small = ryu::Buffer::new();
                [buffer.format(x), small.format(x as f32)].join(" ")
            },
            &values::<f64>(200),
        )
    });
    suite.case("crates/unicode-segmentation", |t| {
        use unicode_segmentation::UnicodeSegmentation;
        const PIECES: [&str; 8] = [
            "e\u{301}",
            "🇩🇪",
            "👩\u{200d}🚀",
            "don't",
            " ",
            "ẞ",
            "한",
            "1.5",
        ];
        t.bytes::<200, _, _>(
            |seed: [u8; 9]| {
                let text: String = seed.iter().map(|s| PIECES[usize::from(s % 8)]).collect();
                let graphemes = text.graphemes(true).count();
                let words: Vec<_> = text.unicode_words().collect();
                format!(
                    "{graphemes} {} {:?}",
                    words.join("|"),
                    text.grapheme_indices(true).last().map(|g| g.0)
                )
            },
            &arrays::<u8, 9>(40),
        )
    });
    suite.case("crates/time", |t| {
        use time::{Date, Duration, Month, OffsetDateTime};
        t.bytes::<200, _, _>(
            |[a, b]: [u32; 2]| {
                let Ok(moment) = OffsetDateTime::from_unix_timestamp(i64::from(a) * 3) else {
                    return String::from("out of range");
                };
                let later = moment + Duration::minutes(i64::from(b % 1_000_000));
                let date = Date::from_calendar_date(
                    1900 + (a % 300) as i32,
                    Month::February,
                    (b % 32) as u8,
                );
                format!(
                    "{later} {:?} {} {:?} {date:?}",
                    later.weekday(),
                    later.ordinal(),
                    later.to_iso_week_date()
                )
            },
            &arrays::<u32, 2>(40),
        )
    });
    suite.case("crates/chrono", |t| {
        use chrono::{DateTime, Datelike, NaiveDate, TimeDelta};
        t.bytes::<300, _, _>(
            |[a, b]: [u32; 2]| {
                let moment = DateTime::from_timestamp(i64::from(a) * 2, b % 1_000_000_000)
                    .unwrap_or_default();
                let later = moment + TimeDelta::days(i64::from(b % 10_000));
                let date = NaiveDate::from_ymd_opt(1970 + (b % 100) as i32, 1 + a % 13, 1 + b % 31);
                let parsed =
                    NaiveDate::parse_from_str("2024-02-29", "%Y-%m-%d").map(|date| date.weekday());
                format!(
                    "{later} {} {:?} {date:?} {parsed:?}",
                    later.format("%A %j %e %b %Y %H:%M"),
                    later.iso_week()
                )
            },
            &arrays::<u32, 2>(40),
        )
    });
}
