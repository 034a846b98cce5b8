//! Machines that code can be generated for: compute capabilities, in NVIDIA's names.
//!
//! PTX for one runs on every later one, except where the name ends in a letter. The version of PTX
//! is as old as the architecture allows, so that older drivers take the code (PTX ISA, section
//! "Release Notes", table "PTX Release History").

use legionella_abi::intrinsic;

/// For messages about other names.
pub(super) const ADVICE: &str = "use sm_70, sm_72, sm_75, sm_80, sm_86, sm_87, sm_89, sm_90, \
     sm_90a, sm_100, sm_103, sm_120 or sm_121; a later one takes the code of the last";

/// An architecture that LLVM knows.
struct Architecture {
    /// Its number in `sm_NUMBER`.
    number: u32,
    /// The version of PTX that code for it is written in, in LLVM's form: 78 is 7.8.
    ptx: u32,
}

/// In ascending order.
const ALL: [Architecture; 12] = [
    Architecture {
        number: 70,
        ptx: 78,
    },
    Architecture {
        number: 72,
        ptx: 78,
    },
    Architecture {
        number: 75,
        ptx: 78,
    },
    Architecture {
        number: 80,
        ptx: 78,
    },
    Architecture {
        number: 86,
        ptx: 78,
    },
    Architecture {
        number: 87,
        ptx: 78,
    },
    Architecture {
        number: 89,
        ptx: 78,
    },
    Architecture {
        number: 90,
        ptx: 83,
    },
    Architecture {
        number: 100,
        ptx: 86,
    },
    Architecture {
        number: 103,
        ptx: 88,
    },
    Architecture {
        number: 120,
        ptx: 87,
    },
    Architecture {
        number: 121,
        ptx: 88,
    },
];

/// The one architecture of those whose code runs nowhere else that code is generated for.
const HOPPER_ONLY: &str = "sm_90a";

/// The oldest architecture with operations on 128 bits at once.
const WIDE_EXCHANGE: u32 = 90;

/// What older machines have not, of what [`Target::lacking`](super::Target::lacking) may name.
pub(super) fn lacking(cpu: &str) -> Vec<&'static str> {
    if number(cpu) < WIDE_EXCHANGE {
        vec![intrinsic::EXCHANGE_IF_U128]
    } else {
        Vec::new()
    }
}

/// Whether a machine combines values within warps by one instruction (PTX ISA, "redux.sync").
pub(super) fn combines_in_warps(cpu: &str) -> bool {
    number(cpu) >= 80
}

/// Whether a machine multiplies matrices of 16 rows, and brings them from shared memory into the lanes that
/// multiply them (PTX ISA, "mma" and "ldmatrix").
pub(super) fn has_matrices(cpu: &str) -> bool {
    number(cpu) >= 75
}

/// Whether a machine multiplies matrices of all types, and deep ones at once (PTX ISA, "mma").
pub(super) fn has_deep_matrices(cpu: &str) -> bool {
    number(cpu) >= 80
}

/// Whether a machine copies to shared memory while its threads go on (PTX ISA, "cp.async").
pub(super) fn copies_by_itself(cpu: &str) -> bool {
    number(cpu) >= 80
}

/// Whether a machine multiplies matrices in shared memory by four warps together (PTX ISA, "Asynchronous Warpgroup
/// Level Matrix Multiply-Accumulate Instructions").
pub(super) fn has_bands(cpu: &str) -> bool {
    cpu == HOPPER_ONLY
}

/// The number in the name of a machine that is known.
pub(super) fn number(cpu: &str) -> u32 {
    let digits = cpu.trim_start_matches("sm_").trim_end_matches('a');
    digits.parse().unwrap_or_default()
}

/// A machine in LLVM's terms.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) features: String,
}

/// The machine of a name; `None` if there is no such machine. What is newer than LLVM knows is
/// served by the newest that it knows.
pub(super) fn machine(name: &str) -> Option<Machine> {
    if name == HOPPER_ONLY {
        return Some(Machine {
            cpu: name.to_owned(),
            features: "+ptx85".to_owned(),
        });
    }
    let number: u32 = name.strip_prefix("sm_")?.parse().ok()?;
    let known = ALL.iter().rev().find(|known| known.number <= number)?;
    Some(Machine {
        cpu: format!("sm_{}", known.number),
        features: format!("+ptx{}", known.ptx),
    })
}

/// What a device must offer to run code for a machine: every architecture up to its own, so that
/// of several codes that a device can run, the one that asks for most is the newest.
pub(super) fn required(cpu: &str) -> Vec<String> {
    let number = number(cpu);
    let mut required: Vec<String> = ALL
        .iter()
        .filter(|known| known.number <= number)
        .map(|known| format!("sm_{}", known.number))
        .collect();
    if cpu == HOPPER_ONLY {
        required.push(cpu.to_owned());
    }
    required
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_machines_are_served_by_the_newest_that_is_known() {
        let cpu = |name| machine(name).map(|machine| machine.cpu);
        assert_eq!(cpu("sm_90").as_deref(), Some("sm_90"));
        assert_eq!(cpu("sm_88").as_deref(), Some("sm_87"));
        assert_eq!(cpu("sm_130").as_deref(), Some("sm_121"));
        for unknown in ["sm_62", "sm_", "sm_9x", "native", ""] {
            assert_eq!(cpu(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn later_code_asks_for_more() {
        assert_eq!(required("sm_75"), ["sm_70", "sm_72", "sm_75"]);
        assert!(required("sm_90a").len() > required("sm_90").len());
    }
}
