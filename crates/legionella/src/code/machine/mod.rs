//! What the cache and the choice of prebuilt code need to know of a machine.
//!
//! Gives a fingerprint, which two machines share only if code generated on one runs as well on
//! the other, and the machine's features in LLVM's names. Each processor architecture has a module.

use std::collections::BTreeSet;
use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use aarch64 as architecture;
#[cfg(target_arch = "x86_64")]
use x86_64 as architecture;

/// The machine that is to run the code: the host, or a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    fingerprint: [u8; 32],
    features: BTreeSet<String>,
}

impl Machine {
    /// The machine that this process runs on. Looked at once.
    pub fn host() -> &'static Machine {
        static HOST: OnceLock<Machine> = OnceLock::new();
        HOST.get_or_init(|| Machine::new(&architecture::model(), architecture::features()))
    }

    /// A machine of a model, with features in the names that the target's LLVM backend gives them.
    pub fn new<Feature: Into<String>>(
        model: &str,
        features: impl IntoIterator<Item = Feature>,
    ) -> Machine {
        let features: BTreeSet<String> = features.into_iter().map(Into::into).collect();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(model.len() as u64).to_le_bytes());
        hasher.update(model.as_bytes());
        for feature in &features {
            hasher.update(feature.as_bytes());
            hasher.update(&[0]);
        }
        Machine {
            fingerprint: *hasher.finalize().as_bytes(),
            features,
        }
    }

    /// Identifies machines that the same code suits.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Those of `required` that this machine lacks. A leading `+` is understood.
    pub fn missing<'name>(&self, required: &'name [String]) -> Vec<&'name str> {
        let mut missing: Vec<&str> = required
            .iter()
            .map(|name| name.strip_prefix('+').unwrap_or(name))
            .collect();
        missing.retain(|name| !self.features.contains(*name));
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn the_host_is_stable_and_has_its_baseline() {
        let host = Machine::host();
        #[cfg(target_arch = "x86_64")]
        let baseline = ["+sse2", "fxsr"];
        #[cfg(target_arch = "aarch64")]
        let baseline = ["+neon"];
        let required: Vec<String> = baseline.iter().map(|&name| name.into()).collect();
        assert!(host.missing(&required).is_empty());
        let unknown = ["no-such-feature".to_owned()];
        assert_eq!(host.missing(&unknown), ["no-such-feature"]);
    }

    #[test]
    fn model_and_features_both_count() {
        let machine = Machine::new("a", ["x"]);
        assert_eq!(machine, Machine::new("a", ["x"]));
        assert_ne!(
            machine.fingerprint(),
            Machine::new("b", ["x"]).fingerprint()
        );
        assert_ne!(
            machine.fingerprint(),
            Machine::new("a", ["y"]).fingerprint()
        );
        assert_ne!(
            Machine::new("a", ["xy"]).fingerprint(),
            Machine::new("a", ["x", "y"]).fingerprint()
        );
    }
}
