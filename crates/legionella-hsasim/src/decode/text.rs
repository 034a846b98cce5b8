//! Takes a line of the disassembler apart: mnemonic, operands, modifiers.

/// A line, in parts that are slices of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The mnemonic, with the suffix of its encoding.
    pub mnemonic: &'a str,
    /// What stands between commas.
    pub operands: Vec<&'a str>,
    /// What follows the last operand: names, with what stands after the colon.
    pub modifiers: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Line<'a> {
    /// Takes a line apart.
    pub fn parse(text: &'a str) -> Line<'a> {
        let text = text.trim();
        let (mnemonic, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let mut operands = Vec::new();
        let mut modifiers = Vec::new();
        let chunks = split(rest.trim(), ',');
        let last = chunks.len().saturating_sub(1);
        for (index, chunk) in chunks.into_iter().enumerate() {
            let mut words = split(chunk.trim(), ' ')
                .into_iter()
                .filter(|word| !word.is_empty());
            if let Some(word) = words.next() {
                operands.push(word);
            }
            if index == last {
                modifiers.extend(words.map(|word| match word.split_once(':') {
                    Some((name, value)) => (name, Some(value)),
                    None => (word, None),
                }));
            }
        }
        Line {
            mnemonic,
            operands,
            modifiers,
        }
    }

    /// The value of a modifier.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.modifiers
            .iter()
            .find(|(other, _)| *other == name)
            .and_then(|(_, value)| *value)
    }

    /// Whether there is a modifier of that name.
    pub fn has(&self, name: &str) -> bool {
        self.modifiers.iter().any(|(other, _)| *other == name)
    }
}

/// Splits at a character that is not inside of brackets.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (index, character) in text.char_indices() {
        match character {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            _ if character == at && depth == 0 => {
                parts.push(&text[start..index]);
                start = index + at.len_utf8();
            }
            _ => {}
        }
    }
    if !text.is_empty() {
        parts.push(&text[start..]);
    }
    parts
}

/// A number in decimal or hexadecimal notation, with or without a sign.
pub fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok()? as i64,
        None => digits.parse().ok()?,
    };
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

/// The numbers of a list in brackets.
pub fn list(text: &str) -> Option<Vec<u8>> {
    text.strip_prefix('[')?
        .strip_suffix(']')?
        .split(',')
        .map(|item| number(item.trim()).and_then(|value| u8::try_from(value).ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_apart() {
        let line = Line::parse("\tv_pk_add_f16 v0, |v1|, -v[2:3] op_sel:[0,1] clamp");
        assert_eq!(line.mnemonic, "v_pk_add_f16");
        assert_eq!(line.operands, ["v0", "|v1|", "-v[2:3]"]);
        assert_eq!(line.value("op_sel"), Some("[0,1]"));
        assert!(line.has("clamp") && !line.has("v0"));
        let line = Line::parse("s_getreg_b32 s0, hwreg(HW_REG_MODE, 4, 2)");
        assert_eq!(line.operands, ["s0", "hwreg(HW_REG_MODE, 4, 2)"]);
        let line = Line::parse("s_barrier");
        assert!(line.operands.is_empty() && line.modifiers.is_empty());
    }

    #[test]
    fn numbers() {
        assert_eq!(number("0xfffb"), Some(0xfffb));
        assert_eq!(number("-16"), Some(-16));
        assert_eq!(number("v0"), None);
        assert_eq!(list("[0,1,2,3]"), Some(vec![0, 1, 2, 3]));
    }
}
