//! Machines that code can be generated for ahead of time: those whose features are listed, so that
//! an application can tell whether it runs on one.
//!
//! Levels and features: x86-64 psABI, section 3.1.1 "Processor Architecture", table "Micro-
//! Architecture Levels", in LLVM's names. AArch64 has its baseline only.

/// The machine that generates the code.
pub(super) const NATIVE: &str = "native";

/// For messages about other names.
pub(super) const ADVICE: &str = if cfg!(target_arch = "x86_64") {
    "use native, x86-64, x86-64-v2, x86-64-v3 or x86-64-v4"
} else {
    "use native or generic"
};

/// What crates use of `core::arch` without asking, because every processor of the architecture has
/// it: for x86-64, SSE2 and carry arithmetic.
pub(super) const NATIVE_INTRINSICS: &[&str] = if cfg!(target_arch = "x86_64") {
    &[
        "llvm.x86.sse.",
        "llvm.x86.sse2.",
        "llvm.x86.addcarry.",
        "llvm.x86.subborrow.",
    ]
} else {
    &["llvm.aarch64.neon."]
};

const V2: [&str; 6] = ["cx16", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"];
const V3: [&str; 14] = [
    "cx16", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3", "avx", "avx2", "bmi", "bmi2", "f16c",
    "fma", "lzcnt", "movbe",
];
const V4: [&str; 19] = [
    "cx16", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3", "avx", "avx2", "bmi", "bmi2", "f16c",
    "fma", "lzcnt", "movbe", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl",
];

/// Whether a processor, by LLVM's name, is one that runs vectors of 512 bits as fast as those of 256, although
/// LLVM prefers the latter on it, as on its predecessors, whose clock wide vectors slowed down.
pub(super) fn runs_wide_vectors(cpu: &str) -> bool {
    let names = ["sapphirerapids", "emeraldrapids", "graniterapids"];
    names.iter().any(|name| cpu.starts_with(name))
}

/// What a level has beyond the architecture's baseline; `None` if it is not a level.
pub(super) fn features(level: &str) -> Option<&'static [&'static str]> {
    Some(match level {
        "x86-64" if cfg!(target_arch = "x86_64") => &[],
        "x86-64-v2" if cfg!(target_arch = "x86_64") => &V2,
        "x86-64-v3" if cfg!(target_arch = "x86_64") => &V3,
        "x86-64-v4" if cfg!(target_arch = "x86_64") => &V4,
        "generic" if cfg!(target_arch = "aarch64") => &[],
        _ => return None,
    })
}
