//! AArch64 machines under Linux, by what `/proc/cpuinfo` says of them.

/// Implementer, part and revision of every kind of core.
pub fn model() -> String {
    let mut lines: Vec<String> = cpuinfo()
        .lines()
        .filter(|line| {
            [
                "CPU implementer",
                "CPU architecture",
                "CPU variant",
                "CPU part",
                "CPU revision",
            ]
            .iter()
            .any(|field| line.starts_with(field))
        })
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.dedup();
    lines.join("\n")
}

/// Features of the first core, under the kernel's and under LLVM's names.
pub fn features() -> Vec<String> {
    let cpuinfo = cpuinfo();
    let Some((_, names)) = cpuinfo
        .lines()
        .find(|line| line.starts_with("Features"))
        .and_then(|line| line.split_once(':'))
    else {
        return vec!["neon".to_owned(), "fp-armv8".to_owned()];
    };
    let mut features: Vec<String> = Vec::new();
    for name in names.split_whitespace() {
        features.push(name.to_owned());
        if let Some((_, llvm)) = LLVM_NAMES.iter().find(|(kernel, _)| *kernel == name) {
            features.push((*llvm).to_owned());
        }
    }
    features
}

/// The kernel's names that differ from LLVM's.
const LLVM_NAMES: [(&str, &str); 21] = [
    ("asimd", "neon"),
    ("asimddp", "dotprod"),
    ("asimdfhm", "fp16fml"),
    ("asimdhp", "fullfp16"),
    ("asimdrdm", "rdm"),
    ("atomics", "lse"),
    ("crc32", "crc"),
    ("dcpodp", "ccdp"),
    ("dcpop", "ccpp"),
    ("flagm2", "altnzcv"),
    ("fp", "fp-armv8"),
    ("frint", "fptoint"),
    ("ilrcpc", "rcpc-immo"),
    ("lrcpc", "rcpc"),
    ("paca", "pauth"),
    ("pmull", "aes"),
    ("rng", "rand"),
    ("svebitperm", "sve-bitperm"),
    ("svesha3", "sve2-sha3"),
    ("svesm4", "sve2-sm4"),
    ("uscat", "lse2"),
];

fn cpuinfo() -> String {
    std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default()
}
