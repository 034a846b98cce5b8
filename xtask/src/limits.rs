//! How much the benchmarks' kernels may spill.
//!
//! Takes a file with one line a kernel, `ARCHITECTURE NAME BYTES`; kernels that it doesn't name may not
//! spill at all. A kernel that spills is slower than it looks, and nothing else tells.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use legionella_driver::ptxas::Usage;

/// The file, from the repository's root.
pub const LIMITS: &str = "benches/spills.txt";

/// Most bytes that a kernel may spill, by architecture and name.
pub struct Limits(HashMap<(String, String), u32>);

impl Limits {
    /// Reads the file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let context = || path.display().to_string();
        let text = fs::read_to_string(path).with_context(context)?;
        Self::of(&text).with_context(context)
    }

    fn of(text: &str) -> anyhow::Result<Self> {
        let mut limits = HashMap::new();
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // Names may have spaces in them.
            let parts = line
                .split_once(' ')
                .and_then(|(architecture, rest)| Some((architecture, rest.rsplit_once(' ')?)));
            let Some((architecture, (name, bytes))) = parts else {
                bail!("`{line}` is not `ARCHITECTURE NAME BYTES`");
            };
            let bytes = bytes.parse().with_context(|| format!("`{line}`"))?;
            limits.insert((architecture.to_owned(), name.trim().to_owned()), bytes);
        }
        Ok(Limits(limits))
    }

    /// What of a kernel's functions spills more than it may, if one does.
    pub fn excess(&self, kernel: &str, architecture: &str, usages: &[Usage]) -> Option<String> {
        let key = (architecture.to_owned(), kernel.to_owned());
        let limit = self.0.get(&key).copied().unwrap_or(0);
        let usage = usages.iter().find(|usage| usage.spills() > limit)?;
        Some(format!(
            "{} spills {} bytes, and may {limit} (with {} registers); {LIMITS} has the limits",
            usage.kernel,
            usage.spills(),
            usage.registers
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_keep_to_their_limits() {
        let limits = Limits::of("# why\n\nsm_90 a::f<u8, u16> 16\n").unwrap();
        let spilling = |spill_stores| Usage {
            kernel: "legionella_line".to_owned(),
            registers: 255,
            spill_stores,
            ..Usage::default()
        };
        let excess = |kernel, architecture, bytes| {
            limits.excess(kernel, architecture, &[spilling(0), spilling(bytes)])
        };
        assert_eq!(excess("a::f<u8, u16>", "sm_90", 16), None);
        assert!(
            excess("a::f<u8, u16>", "sm_90", 20)
                .unwrap()
                .contains("20 bytes, and may 16")
        );
        assert!(excess("a::f<u8, u16>", "sm_80", 4).is_some());
        assert!(excess("a::g", "sm_90", 4).is_some());
        assert_eq!(excess("a::g", "sm_90", 0), None);
        assert!(Limits::of("sm_90 a::f").is_err() && Limits::of("sm_90 a::f many").is_err());
    }
}
