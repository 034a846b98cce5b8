//! The tables' lines.

use legionella_hsasim::isa::Isa;

use super::comparisons::comparisons;

const TABLES: [(&str, &str); 5] = [
    ("scalar", include_str!("scalar.txt")),
    ("integer", include_str!("integer.txt")),
    ("float", include_str!("float.txt")),
    ("lanes", include_str!("lanes.txt")),
    ("memory", include_str!("memory.txt")),
];

/// A line of a table.
#[derive(Clone)]
pub struct Vector {
    pub place: String,
    pub only: Option<Isa>,
    pub text: String,
    pub before: Vec<(String, String)>,
    pub after: Vec<(String, String)>,
    pub fault: Option<String>,
}

fn assignments(text: &str) -> Vec<(String, String)> {
    let pair = |word: &str| {
        let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("{word}"));
        (name.to_owned(), value.to_owned())
    };
    let words = text.split_whitespace().filter(|word| *word != ".");
    words.map(pair).collect()
}

/// The texts that a text with alternatives stands for: `<a|b>` is one or the other, and of `{a|b}` all are the first or all
/// the second.
fn alternatives(text: &str) -> Vec<String> {
    let taken = |open: char, close: char| {
        let (before, rest) = text.split_once(open)?;
        let (list, after) = rest.split_once(close)?;
        Some((before, list.split('|').collect::<Vec<_>>(), after))
    };
    if let Some((before, list, after)) = taken('<', '>') {
        let one = |choice: &&str| alternatives(&format!("{before}{choice}{after}"));
        return list.iter().flat_map(one).collect();
    }
    let Some((_, list, _)) = taken('{', '}') else {
        return vec![text.to_owned()];
    };
    let choose = |number: usize| {
        let mut chosen = String::new();
        for (at, part) in text.split(['{', '}']).enumerate() {
            chosen.push_str(if at % 2 == 0 {
                part
            } else {
                part.split('|').nth(number).unwrap()
            });
        }
        chosen
    };
    (0..list.len()).map(choose).collect()
}

/// The lines of the tables.
pub fn vectors() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (table, text) in TABLES {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("{table}.txt:{}", number + 1);
            let parts: Vec<&str> = line.split(" | ").collect();
            let [text, before, after] = *parts else {
                panic!("{place}: {line}");
            };
            let fault = after
                .trim()
                .strip_prefix('!')
                .map(|text| text.trim().to_owned());
            for text in alternatives(text.trim()) {
                let named = |isa: &Isa| text.starts_with(&format!("{}: ", isa.name()));
                let only = Isa::ALL.into_iter().find(named);
                let text = only.map_or(&*text, |isa| &text[isa.name().len() + 2..]);
                vectors.push(Vector {
                    place: place.clone(),
                    only,
                    text: text.to_owned(),
                    before: assignments(before),
                    after: match fault {
                        Some(_) => Vec::new(),
                        None => assignments(after),
                    },
                    fault: fault.clone(),
                });
            }
        }
    }
    vectors.extend(comparisons());
    vectors
}
