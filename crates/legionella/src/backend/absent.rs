//! Why a machine has no devices of a kind: what a vendor's library, opened at run time, says of itself.

use super::Runtime;

/// A vendor's software that can't be used.
#[derive(Clone, Debug)]
pub(super) enum Absent {
    /// There is none, or no device: nothing is wrong.
    Nothing(String),
    /// It is there, and can't be used.
    Broken(String),
}

impl Absent {
    /// Logs it, if something is wrong.
    pub(super) fn warn_of(&self, software: &str) {
        if let Absent::Broken(reason) = self {
            tracing::warn!(reason, "{software} can't be used");
        }
    }
}

impl From<Absent> for Runtime {
    fn from(absent: Absent) -> Self {
        match absent {
            Absent::Nothing(reason) => Runtime::Absent(reason),
            Absent::Broken(reason) => Runtime::Broken(reason),
        }
    }
}
