//! Machines that code can be generated for, in LLVM's names ("User Guide for AMDGPU Backend", sections
//! "Processors" and "Generic processors").
//!
//! A generic one stands for several whose common instructions its code has.

/// For messages about other names.
pub(super) const ADVICE: &str = "use the name of a processor that LLVM knows, such as gfx90a, gfx942, \
     gfx1030, gfx1100 or gfx1201, or that of several: gfx9-generic, gfx9-4-generic, \
     gfx10-1-generic, gfx10-3-generic, gfx11-generic or gfx12-generic";

/// Processors for which code is generated, with the generic one that stands for it; empty if none does.
const ALL: [(&str, &str); 36] = [
    ("gfx900", "gfx9-generic"),
    ("gfx902", "gfx9-generic"),
    ("gfx904", "gfx9-generic"),
    ("gfx906", "gfx9-generic"),
    ("gfx908", ""),
    ("gfx909", "gfx9-generic"),
    ("gfx90a", ""),
    ("gfx90c", "gfx9-generic"),
    ("gfx942", "gfx9-4-generic"),
    ("gfx950", "gfx9-4-generic"),
    ("gfx1010", "gfx10-1-generic"),
    ("gfx1011", "gfx10-1-generic"),
    ("gfx1012", "gfx10-1-generic"),
    ("gfx1013", "gfx10-1-generic"),
    ("gfx1030", "gfx10-3-generic"),
    ("gfx1031", "gfx10-3-generic"),
    ("gfx1032", "gfx10-3-generic"),
    ("gfx1033", "gfx10-3-generic"),
    ("gfx1034", "gfx10-3-generic"),
    ("gfx1035", "gfx10-3-generic"),
    ("gfx1036", "gfx10-3-generic"),
    ("gfx1100", "gfx11-generic"),
    ("gfx1101", "gfx11-generic"),
    ("gfx1102", "gfx11-generic"),
    ("gfx1103", "gfx11-generic"),
    ("gfx1150", "gfx11-generic"),
    ("gfx1151", "gfx11-generic"),
    ("gfx1152", "gfx11-generic"),
    ("gfx1153", "gfx11-generic"),
    ("gfx1200", "gfx12-generic"),
    ("gfx1201", "gfx12-generic"),
    ("gfx9-generic", "gfx9-generic"),
    ("gfx9-4-generic", "gfx9-4-generic"),
    ("gfx10-1-generic", "gfx10-1-generic"),
    ("gfx10-3-generic", "gfx10-3-generic"),
    ("gfx11-generic", "gfx11-generic"),
];

/// The one more generic processor, which stands for itself as well.
const NEWEST: &str = "gfx12-generic";

/// Whether code is generated for a processor of that name.
pub(super) fn is_known(cpu: &str) -> bool {
    cpu == NEWEST || ALL.iter().any(|(name, _)| *name == cpu)
}

/// Version of code objects that a processor needs, as LLVM writes it: code for generic ones came with
/// the sixth.
pub(super) fn code_object(cpu: &str) -> u64 {
    if cpu.ends_with("-generic") { 600 } else { 500 }
}

/// The number that AMD's libraries know a processor by: thousands of the major version, hundreds of the
/// minor one, and the stepping, of which the last two are a hexadecimal digit each in its name.
pub(super) fn version(cpu: &str) -> u32 {
    let name = cpu.trim_start_matches("gfx");
    let (major, minor, stepping) = match name.strip_suffix("-generic") {
        Some(family) => {
            let (major, minor) = family.split_once('-').unwrap_or((family, "0"));
            (major, minor, "0")
        }
        None => {
            let (name, stepping) = name.split_at(name.len().saturating_sub(1));
            let (major, minor) = name.split_at(name.len().saturating_sub(1));
            (major, minor, stepping)
        }
    };
    let digit = |digit| u32::from_str_radix(digit, 16).unwrap_or_default();
    major.parse().unwrap_or(0) * 1000 + digit(minor) * 100 + digit(stepping)
}

/// What a device must offer to run code for a processor: its own name, and that of the generic one, so
/// that of several codes the one for a single processor asks for most.
pub(super) fn required(cpu: &str) -> Vec<String> {
    let generic = ALL.iter().find(|(name, _)| *name == cpu);
    let generic = generic.map(|(_, generic)| *generic).unwrap_or_default();
    let mut required = vec![cpu.to_owned()];
    if !generic.is_empty() && generic != cpu {
        required.push(generic.to_owned());
    }
    required
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_for_one_processor_asks_for_more_than_for_many() {
        assert_eq!(required("gfx942"), ["gfx942", "gfx9-4-generic"]);
        assert_eq!(required("gfx90a"), ["gfx90a"]);
        assert_eq!(required("gfx11-generic"), ["gfx11-generic"]);
        assert_eq!(required("gfx12-generic"), ["gfx12-generic"]);
    }

    #[test]
    fn versions_are_those_of_the_names() {
        let versions = [
            "gfx90a",
            "gfx942",
            "gfx1100",
            "gfx9-4-generic",
            "gfx12-generic",
        ]
        .map(version);
        assert_eq!(versions, [9010, 9402, 11000, 9400, 12000]);
    }

    #[test]
    fn processors_have_their_family_s_wavefronts() {
        assert_eq!(legionella_abi::amdgpu::lanes("gfx90a"), 64);
        assert_eq!(legionella_abi::amdgpu::lanes("gfx9-4-generic"), 64);
        assert_eq!(legionella_abi::amdgpu::lanes("gfx1030"), 32);
        assert_eq!(legionella_abi::amdgpu::lanes("gfx12-generic"), 32);
        assert!(is_known("gfx12-generic") && !is_known("gfx803") && !is_known(""));
    }
}
