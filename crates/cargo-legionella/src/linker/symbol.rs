//! Mangled names in Rust's v0 scheme, as far as needed to find where the name proper ends.
//!
//! A v0 symbol is `_R`, the path of an item, and for an item that several crates can instantiate
//! the path of the crate that did. Two symbols that differ in the latter only are the same item
//! with the same code. Back references count from the start of the symbol and point backwards, so
//! equal items have equal bytes. The grammar is
//! <https://doc.rust-lang.org/rustc/symbol-mangling/v0.html>.

/// The symbol up to the path of the instantiating crate; the whole symbol if there is no such path
/// or it is not in the v0 scheme.
pub(super) fn without_instantiating_crate(symbol: &str) -> &str {
    let Some(mangled) = symbol.strip_prefix("_R") else {
        return symbol;
    };
    let mut parser = Parser {
        rest: mangled.as_bytes(),
    };
    match parser.path() {
        Some(()) => &symbol[..symbol.len() - parser.rest.len()],
        None => symbol,
    }
}

/// Skips over productions of the grammar. `None` means that the text does not follow it.
struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn accept(&mut self, byte: u8) -> bool {
        let accepted = self.rest.first() == Some(&byte);
        if accepted {
            self.rest = &self.rest[1..];
        }
        accepted
    }

    /// Items until an `E`.
    fn list(&mut self, item: fn(&mut Self) -> Option<()>) -> Option<()> {
        while !self.accept(b'E') {
            item(self)?;
        }
        Some(())
    }

    fn base_62(&mut self) -> Option<()> {
        loop {
            match self.next()? {
                b'_' => return Some(()),
                byte if byte.is_ascii_alphanumeric() => {}
                _ => return None,
            }
        }
    }

    fn disambiguator(&mut self) -> Option<()> {
        match self.accept(b's') {
            true => self.base_62(),
            false => Some(()),
        }
    }

    fn binder(&mut self) -> Option<()> {
        match self.accept(b'G') {
            true => self.base_62(),
            false => Some(()),
        }
    }

    fn identifier(&mut self) -> Option<()> {
        self.disambiguator()?;
        self.plain_identifier()
    }

    fn plain_identifier(&mut self) -> Option<()> {
        self.accept(b'u');
        let mut len = 0usize;
        let mut digits = 0;
        while let Some(digit) = self.rest.first().filter(|byte| byte.is_ascii_digit()) {
            len = len
                .checked_mul(10)?
                .checked_add(usize::from(digit - b'0'))?;
            self.rest = &self.rest[1..];
            digits += 1;
            if len == 0 {
                break;
            }
        }
        if digits == 0 {
            return None;
        }
        self.accept(b'_');
        self.rest = self.rest.get(len..)?;
        Some(())
    }

    fn path(&mut self) -> Option<()> {
        match self.next()? {
            b'C' => self.identifier(),
            b'M' => {
                self.disambiguator()?;
                self.path()?;
                self.ty()
            }
            b'X' => {
                self.disambiguator()?;
                self.path()?;
                self.ty()?;
                self.path()
            }
            b'Y' => {
                self.ty()?;
                self.path()
            }
            b'N' => {
                self.next()?;
                self.path()?;
                self.identifier()
            }
            b'I' => {
                self.path()?;
                self.list(Self::generic_argument)
            }
            b'B' => self.base_62(),
            _ => None,
        }
    }

    fn generic_argument(&mut self) -> Option<()> {
        match self.rest.first()? {
            b'L' => self.lifetime(),
            b'K' => {
                self.next();
                self.constant()
            }
            _ => self.ty(),
        }
    }

    fn lifetime(&mut self) -> Option<()> {
        match self.next()? {
            b'L' => self.base_62(),
            _ => None,
        }
    }

    fn ty(&mut self) -> Option<()> {
        match self.rest.first()? {
            b'a'..=b'z' => self.next().map(drop),
            b'A' => {
                self.next();
                self.ty()?;
                self.constant()
            }
            b'S' | b'P' | b'O' => {
                self.next();
                self.ty()
            }
            b'R' | b'Q' => {
                self.next();
                if self.rest.first() == Some(&b'L') {
                    self.lifetime()?;
                }
                self.ty()
            }
            b'T' => {
                self.next();
                self.list(Self::ty)
            }
            b'F' => {
                self.next();
                self.function()
            }
            b'D' => {
                self.next();
                self.binder()?;
                self.list(Self::dyn_trait)?;
                self.lifetime()
            }
            b'W' => {
                self.next();
                self.ty()?;
                self.pattern()
            }
            _ => self.path(),
        }
    }

    fn function(&mut self) -> Option<()> {
        self.binder()?;
        self.accept(b'U');
        if self.accept(b'K') && !self.accept(b'C') {
            self.plain_identifier()?;
        }
        self.list(Self::ty)?;
        self.ty()
    }

    fn dyn_trait(&mut self) -> Option<()> {
        self.path()?;
        while self.accept(b'p') {
            self.plain_identifier()?;
            self.ty()?;
        }
        Some(())
    }

    fn pattern(&mut self) -> Option<()> {
        match self.next()? {
            b'R' => {
                self.constant()?;
                self.constant()
            }
            b'O' => self.list(Self::pattern),
            b'N' => Some(()),
            _ => None,
        }
    }

    fn constant(&mut self) -> Option<()> {
        match self.next()? {
            b'p' => Some(()),
            b'B' => self.base_62(),
            b'R' | b'Q' => self.constant(),
            b'A' | b'T' => self.list(Self::constant),
            b'V' => {
                self.path()?;
                match self.next()? {
                    b'U' => Some(()),
                    b'T' => self.list(Self::constant),
                    b'S' => self.list(Self::field),
                    _ => None,
                }
            }
            b'a'..=b'z' => {
                self.accept(b'n');
                while self.next()? != b'_' {}
                Some(())
            }
            _ => None,
        }
    }

    fn field(&mut self) -> Option<()> {
        self.identifier()?;
        self.constant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_instantiating_crates() {
        for (item, krate) in [
            ("_RINvCs1234_7mycrate3foopE", "Cs9_5other"),
            ("_RNvNtNtCsbmNqQUJIY6D_4core3fmt5write1a", ""),
            (
                "_RINvNtCsgStHSCytQ6I_7mycrate3bar3fooRShNtNtB4_3baz3QuxE",
                "B4_",
            ),
            (
                "_RNvXs5_NtCs4fqI2P2rA04_5alloc6stringNtB5_6StringNtNtCs_4core3fmt5Write9write_str",
                "Cs_3app",
            ),
            ("_RINvCs_3lib1fKj10_Kb1_KRe616263_E", "Cs_3app"),
            ("_RINvCs_3lib1fDNtB4_1Ap4ItemmEL_E", "Cs_3app"),
            ("_RINvCs_3lib1fFG_UKCRL0_hEuE", "B4_"),
            ("_RINvCs_3lib1fTmjAhj20_QSmOhPuEE", "Cs_3app"),
            ("_RNCNvCs_3app4mains0_0", "B5_"),
            ("_RINvCs_3lib1fKVNtB4_3EnuS1ap1bKp_E", ""),
        ] {
            let symbol = format!("{item}{krate}");
            if krate.is_empty() {
                assert!(symbol.starts_with(without_instantiating_crate(&symbol)));
            } else {
                assert_eq!(without_instantiating_crate(&symbol), item);
            }
        }
    }

    #[test]
    fn leaves_other_names_alone() {
        for name in [
            "memcpy",
            "_ZN4core3fmt5write17h0123456789abcdefE",
            "_R",
            "_RX",
        ] {
            assert_eq!(without_instantiating_crate(name), name);
        }
    }
}
