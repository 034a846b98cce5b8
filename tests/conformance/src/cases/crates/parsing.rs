//! Parsers of formats, and what they are made of.

use crate::suite::Suite;
use crate::values::{arrays, values};

/// An arithmetic expression of numbers below 100, as text.
fn expression(seed: &[u8]) -> String {
    let mut text = String::new();
    for (index, pair) in seed.chunks(2).enumerate() {
        if index > 0 {
            text.push([' ', '+', '*', '-', '('][usize::from(pair[0] % 5)]);
        }
        text.push_str(&(pair[pair.len() - 1] % 100).to_string());
    }
    text
}

mod with_nom {
    use nom::branch::alt;
    use nom::character::complete::{char, digit1, multispace0};
    use nom::combinator::{all_consuming, map_res};
    use nom::multi::fold_many0;
    use nom::sequence::{delimited, preceded};
    use nom::{IResult, Parser};

    fn number(text: &str) -> IResult<&str, i64> {
        let digits = map_res(digit1, |digits: &str| digits.parse());
        delimited(multispace0, digits, multispace0).parse(text)
    }

    fn term(text: &str) -> IResult<&str, i64> {
        let (rest, first) = number(text)?;
        fold_many0(
            preceded(char('*'), number),
            move || first,
            i64::wrapping_mul,
        )
        .parse(rest)
    }

    pub fn sum(text: &str) -> Option<i64> {
        let (rest, first) = term(text).ok()?;
        let operation = (alt((char('+'), char('-'))), term);
        let terms = fold_many0(
            operation,
            move || first,
            |sum: i64, (sign, value)| match sign {
                '+' => sum + value,
                _ => sum - value,
            },
        );
        Some(all_consuming(terms).parse(rest).ok()?.1)
    }
}

mod with_winnow {
    use winnow::Result;
    use winnow::ascii::{digit1, multispace0};
    use winnow::combinator::{delimited, preceded, repeat};
    use winnow::prelude::*;
    use winnow::token::one_of;

    fn number(text: &mut &str) -> Result<i64> {
        delimited(multispace0, digit1.parse_to(), multispace0).parse_next(text)
    }

    fn term(text: &mut &str) -> Result<i64> {
        let first = number.parse_next(text)?;
        repeat(0.., preceded('*', number))
            .fold(move || first, i64::wrapping_mul)
            .parse_next(text)
    }

    fn sum_of_terms(text: &mut &str) -> Result<i64> {
        let first = term.parse_next(text)?;
        repeat(0.., (one_of(['+', '-']), term))
            .fold(
                move || first,
                |sum: i64, (sign, value)| {
                    if sign == '+' {
                        sum + value
                    } else {
                        sum - value
                    }
                },
            )
            .parse_next(text)
    }

    pub fn sum(text: &str) -> std::result::Result<i64, String> {
        sum_of_terms.parse(text).map_err(|error| error.to_string())
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/nom", |t| {
        t.map(
            |seed: [u8; 12]| with_nom::sum(&expression(&seed)),
            &arrays::<u8, 12>(60),
        )
    });
    suite.case("crates/winnow", |t| {
        t.bytes::<200, _, _>(
            |seed: [u8; 12]| match with_winnow::sum(&expression(&seed)) {
                Ok(sum) => sum.to_string(),
                Err(error) => error,
            },
            &arrays::<u8, 12>(60),
        )
    });
    suite.case("crates/serde_json", |t| {
        t.bytes::<300, _, _>(
            |seed: [u16; 6]| {
                let text = format!(
                    r#"{{"name": "caf\u00e9 {}", "list": [{}, -{}.5e-3, null, {}], "deep": {{"x": []}} {}"#,
                    seed[0], seed[1], seed[2], seed[3] % 2 == 0, if seed[4] % 5 == 0 { "" } else { "}" },
                );
                match serde_json::from_str::<serde_json::Value>(&text) {
                    Ok(mut value) => {
                        value["more"] = serde_json::json!({ "half": f64::from(seed[5]) / 2.0 });
                        value.to_string()
                    }
                    Err(error) => error.to_string(),
                }
            },
            &arrays::<u16, 6>(40),
        )
    });
    suite.case("crates/postcard", |t| {
        t.bytes::<120, _, _>(
            |[a, b, c]: [u32; 3]| {
                let value = (
                    a,
                    Some(i64::from(b) - 5),
                    [c as u16; 3],
                    "text",
                    (c % 2 == 0, 'é'),
                );
                let mut bytes = [0; 60];
                let written = postcard::to_slice(&value, &mut bytes).expect("it fits");
                let read: Result<(u32, Option<i64>, [u16; 3], &str, (bool, char)), _> =
                    postcard::from_bytes(written);
                let back = read == Ok(value);
                let short: Result<(u32, u32, u64), _> = postcard::from_bytes(&written[..2]);
                format!("{back} {short:?} {:x?}", &written[..8])
            },
            &arrays::<u32, 3>(40),
        )
    });
    suite.case("crates/httparse", |t| {
        t.bytes::<300, _, _>(
            |seed: [u16; 3]| {
                let text = format!(
                    "GET /page/{} HTTP/1.{}\r\nHost: example.org\r\nContent-Length: {}\r\nAccept: */*{}",
                    seed[0], seed[1] % 3, seed[1], if seed[2] % 2 == 0 { "\r\n\r\n" } else { "" },
                );
                let mut headers = [httparse::EMPTY_HEADER; 8];
                let mut request = httparse::Request::new(&mut headers);
                let parsed = request.parse(text.as_bytes());
                format!("{parsed:?} {:?} {:?} {}", request.method, request.path, request.headers.len())
            },
            &arrays::<u16, 3>(40),
        )
    });
    suite.case("crates/memchr", |t| {
        t.map(
            |bytes: [u8; 200]| {
                let finder = memchr::memmem::Finder::new(&bytes[120..123]);
                (
                    memchr::memchr(7, &bytes).map(|at| at as u32),
                    memchr::memrchr2(9, 200, &bytes).map(|at| at as u32),
                    memchr::memchr3_iter(1, 2, 3, &bytes).count() as u32,
                    finder.find(&bytes).map(|at| at as u32),
                )
            },
            &arrays::<u8, 200>(40),
        )
    });
    suite.case("crates/semver", |t| {
        t.bytes::<200, _, _>(
            |[a, b, c]: [u8; 3]| {
                let text = format!("{}.{}.{}-beta.{}", a % 5, b % 20, c, a);
                let version = semver::Version::parse(&text);
                let wanted = semver::VersionReq::parse(">=1.2.3-alpha, <4");
                match (version, wanted) {
                    (Ok(version), Ok(wanted)) => format!("{version} {}", wanted.matches(&version)),
                    (version, wanted) => format!("{version:?} {wanted:?}"),
                }
            },
            &arrays::<u8, 3>(60),
        )
    });
    suite.case("crates/roxmltree", |t| {
        t.bytes::<300, _, _>(
            |[a, b]: [u16; 2]| {
                let text = format!(
                    "<?xml version='1.0'?><list kind='x&amp;y'>{}<item n='{b}'>text &#x41;</item>{}",
                    "<e/>".repeat(usize::from(a % 5)),
                    if b % 4 == 0 { "</lost>" } else { "</list>" },
                );
                match roxmltree::Document::parse(&text) {
                    Ok(document) => {
                        let count = document.descendants().count();
                        let words: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
                        format!("{count} {words:?} {:?}", document.root_element().attribute("kind"))
                    }
                    Err(error) => error.to_string(),
                }
            },
            &arrays::<u16, 2>(40),
        )
    });
    suite.case("crates/regex-automata", |t| {
        use crate::both::both;
        use legionella::prelude::*;
        use regex_automata::Input;
        use regex_automata::dfa::{Automaton, dense};

        fn search(at: Item, automaton: &[u32], texts: &[[u8; 24]], mut y: Disjoint<(u32, u32)>) {
            if let (Some(text), Some(y)) = (texts.get(at.global()), y.at(&at)) {
                // SAFETY: any number is four bytes.
                let (_, bytes, _) = unsafe { automaton.align_to::<u8>() };
                let (automaton, _) = dense::DFA::from_bytes(bytes).expect("an automaton");
                let found = automaton
                    .try_search_fwd(&Input::new(text))
                    .expect("no quit bytes");
                *y = found.map_or((77, 0), |half| {
                    (half.offset() as u32, half.pattern().as_u32())
                });
            }
        }
        let built = dense::DFA::new_many(&[r"[a-c]+\d{2}", r"(?i)q\w*z", r"(?-u:\bfoo|bar\b)"]);
        let (bytes, padding) = built
            .expect("the patterns are fine")
            .to_bytes_native_endian();
        let automaton: Vec<u32> = bytes[padding..]
            .chunks_exact(4)
            .map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
            .collect();
        let mut texts: Vec<[u8; 24]> = arrays::<u8, 24>(50)
            .into_iter()
            .map(|bytes| bytes.map(|byte| b"abcdefoqzZ 1234567890"[usize::from(byte % 21)]))
            .collect();
        texts.push(*b"there is a foo in here..");
        let y = crate::trial::output::<(u32, u32)>(texts.len());
        both!(t, search, Grid::over(texts.len()), [read automaton], [read texts], [write y])
    });
    suite.case("crates/uuid", |t| {
        t.bytes::<200, _, _>(
            |bits: u128| {
                let uuid = uuid::Uuid::from_u128(bits);
                let text = uuid.hyphenated().to_string();
                let cut = uuid::Uuid::try_parse(&text[..text.len() - 1 - (bits % 3) as usize / 2]);
                format!(
                    "{text} {} {:?} {cut:?}",
                    uuid.simple(),
                    uuid::Uuid::parse_str(&text) == Ok(uuid)
                )
            },
            &values::<u128>(40),
        )
    });
}
