//! x86-64 machines, by what `cpuid` says of them.
//!
//! The features are those of LLVM's `sys::getHostCPUFeatures` (llvm/lib/TargetParser/Host.cpp),
//! under the same names and the same conditions on what the operating system saves.

use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv, CpuidResult};

use Register::{Eax, Ebx, Ecx, Edx};
use Saved::{Always, Amx, Apx, Avx, Avx512, Xsave};

/// Vendor, brand, family, model and stepping.
pub fn model() -> String {
    let vendor = __cpuid(0);
    let mut text: Vec<u8> = [vendor.ebx, vendor.edx, vendor.ecx]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    if __cpuid(0x8000_0000).eax >= 0x8000_0004 {
        for leaf in 0x8000_0002..=0x8000_0004 {
            let part = __cpuid(leaf);
            text.extend(
                [part.eax, part.ebx, part.ecx, part.edx]
                    .into_iter()
                    .flat_map(u32::to_le_bytes),
            );
        }
    }
    let mut text = String::from_utf8_lossy(&text).replace('\0', " ");
    text.push_str(&format!(" {:08x}", __cpuid(1).eax));
    text
}

/// All features that processor and operating system offer, in LLVM's names.
pub fn features() -> Vec<&'static str> {
    let saved = SavedState::read();
    let mut leaf = (u32::MAX, 0);
    let mut value = EMPTY;
    let mut features: Vec<&str> = FEATURES
        .iter()
        .filter(|feature| {
            if feature.leaf != leaf {
                leaf = feature.leaf;
                value = read(leaf);
            }
            let register = match feature.register {
                Eax => value.eax,
                Ebx => value.ebx,
                Ecx => value.ecx,
                Edx => value.edx,
            };
            register >> feature.bit & 1 == 1 && saved.covers(feature.saved)
        })
        .map(|feature| feature.name)
        .collect();
    // The one feature that has a version instead of bits.
    if read(EXTENDED_1).edx >> 19 & 1 == 1 && saved.covers(Avx512) {
        let version = read((0x24, 0)).ebx & 0xff;
        let names = [(1, "avx10.1"), (2, "avx10.2")];
        features.extend(
            names
                .iter()
                .filter(|(since, _)| version >= *since)
                .map(|(_, name)| *name),
        );
    }
    features
}

const EMPTY: CpuidResult = CpuidResult {
    eax: 0,
    ebx: 0,
    ecx: 0,
    edx: 0,
};

/// A leaf and subleaf; all zero where the processor has none.
fn read((leaf, subleaf): (u32, u32)) -> CpuidResult {
    let highest = __cpuid(leaf & 0x8000_0000).eax;
    if leaf > highest || (leaf == 7 && subleaf > __cpuid_count(7, 0).eax) {
        return EMPTY;
    }
    __cpuid_count(leaf, subleaf)
}

/// Registers that the operating system keeps for each thread.
struct SavedState {
    xsave: bool,
    mask: u64,
}

impl SavedState {
    fn read() -> Self {
        let xsave = __cpuid(1).ecx >> 27 & 1 == 1;
        // SAFETY: `OSXSAVE` is set, so the instruction exists and is enabled.
        let mask = if xsave { unsafe { enabled_state() } } else { 0 };
        SavedState { xsave, mask }
    }

    fn covers(&self, saved: Saved) -> bool {
        let has = |bits: u64| self.mask & bits == bits;
        match saved {
            Always => true,
            Xsave => self.xsave,
            Avx => has(0x6),
            Avx512 => has(0xe6),
            Amx => has(0x6_0000),
            Apx => has(0x8_0000),
        }
    }
}

/// # Safety
/// The processor has `xgetbv` and the operating system enabled it.
#[target_feature(enable = "xsave")]
unsafe fn enabled_state() -> u64 {
    // SAFETY: the caller's promise.
    unsafe { _xgetbv(0) }
}

#[derive(Clone, Copy)]
enum Register {
    Eax,
    Ebx,
    Ecx,
    Edx,
}

/// What the operating system must save for the feature to be of use.
#[derive(Clone, Copy)]
enum Saved {
    Always,
    Xsave,
    Avx,
    Avx512,
    Amx,
    Apx,
}

struct Feature {
    name: &'static str,
    leaf: (u32, u32),
    register: Register,
    bit: u32,
    saved: Saved,
}

const fn feature(
    name: &'static str,
    leaf: (u32, u32),
    register: Register,
    bit: u32,
    saved: Saved,
) -> Feature {
    Feature {
        name,
        leaf,
        register,
        bit,
        saved,
    }
}

const BASIC: (u32, u32) = (1, 0);
const EXTENDED: (u32, u32) = (7, 0);
const EXTENDED_1: (u32, u32) = (7, 1);
const XSAVE: (u32, u32) = (0xd, 1);
const TRACE: (u32, u32) = (0x14, 0);
const KEY_LOCKER: (u32, u32) = (0x19, 0);
const TILES: (u32, u32) = (0x1e, 1);
const AMD: (u32, u32) = (0x8000_0001, 0);
const AMD_8: (u32, u32) = (0x8000_0008, 0);

/// Sorted by leaf, so that each is read once.
#[rustfmt::skip]
const FEATURES: &[Feature] = &[
    feature("x87", BASIC, Edx, 0, Always),
    feature("cx8", BASIC, Edx, 8, Always),
    feature("cmov", BASIC, Edx, 15, Always),
    feature("mmx", BASIC, Edx, 23, Always),
    feature("fxsr", BASIC, Edx, 24, Always),
    feature("sse", BASIC, Edx, 25, Always),
    feature("sse2", BASIC, Edx, 26, Always),
    feature("sse3", BASIC, Ecx, 0, Always),
    feature("pclmul", BASIC, Ecx, 1, Always),
    feature("ssse3", BASIC, Ecx, 9, Always),
    feature("cx16", BASIC, Ecx, 13, Always),
    feature("sse4.1", BASIC, Ecx, 19, Always),
    feature("sse4.2", BASIC, Ecx, 20, Always),
    feature("crc32", BASIC, Ecx, 20, Always),
    feature("movbe", BASIC, Ecx, 22, Always),
    feature("popcnt", BASIC, Ecx, 23, Always),
    feature("aes", BASIC, Ecx, 25, Always),
    feature("rdrnd", BASIC, Ecx, 30, Always),
    feature("xsave", BASIC, Ecx, 26, Xsave),
    feature("fma", BASIC, Ecx, 12, Avx),
    feature("avx", BASIC, Ecx, 28, Avx),
    feature("f16c", BASIC, Ecx, 29, Avx),
    feature("fsgsbase", EXTENDED, Ebx, 0, Always),
    feature("sgx", EXTENDED, Ebx, 2, Always),
    feature("bmi", EXTENDED, Ebx, 3, Always),
    feature("bmi2", EXTENDED, Ebx, 8, Always),
    feature("invpcid", EXTENDED, Ebx, 10, Always),
    feature("rtm", EXTENDED, Ebx, 11, Always),
    feature("rdseed", EXTENDED, Ebx, 18, Always),
    feature("adx", EXTENDED, Ebx, 19, Always),
    feature("clflushopt", EXTENDED, Ebx, 23, Always),
    feature("clwb", EXTENDED, Ebx, 24, Always),
    feature("sha", EXTENDED, Ebx, 29, Always),
    feature("avx2", EXTENDED, Ebx, 5, Avx),
    feature("avx512f", EXTENDED, Ebx, 16, Avx512),
    feature("avx512dq", EXTENDED, Ebx, 17, Avx512),
    feature("avx512ifma", EXTENDED, Ebx, 21, Avx512),
    feature("avx512cd", EXTENDED, Ebx, 28, Avx512),
    feature("avx512bw", EXTENDED, Ebx, 30, Avx512),
    feature("avx512vl", EXTENDED, Ebx, 31, Avx512),
    feature("pku", EXTENDED, Ecx, 4, Always),
    feature("waitpkg", EXTENDED, Ecx, 5, Always),
    feature("shstk", EXTENDED, Ecx, 7, Always),
    feature("gfni", EXTENDED, Ecx, 8, Always),
    feature("rdpid", EXTENDED, Ecx, 22, Always),
    feature("kl", EXTENDED, Ecx, 23, Always),
    feature("cldemote", EXTENDED, Ecx, 25, Always),
    feature("movdiri", EXTENDED, Ecx, 27, Always),
    feature("movdir64b", EXTENDED, Ecx, 28, Always),
    feature("enqcmd", EXTENDED, Ecx, 29, Always),
    feature("vaes", EXTENDED, Ecx, 9, Avx),
    feature("vpclmulqdq", EXTENDED, Ecx, 10, Avx),
    feature("avx512vbmi", EXTENDED, Ecx, 1, Avx512),
    feature("avx512vbmi2", EXTENDED, Ecx, 6, Avx512),
    feature("avx512vnni", EXTENDED, Ecx, 11, Avx512),
    feature("avx512bitalg", EXTENDED, Ecx, 12, Avx512),
    feature("avx512vpopcntdq", EXTENDED, Ecx, 14, Avx512),
    feature("uintr", EXTENDED, Edx, 5, Always),
    feature("serialize", EXTENDED, Edx, 14, Always),
    feature("tsxldtrk", EXTENDED, Edx, 16, Always),
    feature("pconfig", EXTENDED, Edx, 18, Always),
    feature("avx512vp2intersect", EXTENDED, Edx, 8, Avx512),
    feature("avx512fp16", EXTENDED, Edx, 23, Avx512),
    feature("amx-bf16", EXTENDED, Edx, 22, Amx),
    feature("amx-tile", EXTENDED, Edx, 24, Amx),
    feature("amx-int8", EXTENDED, Edx, 25, Amx),
    feature("raoint", EXTENDED_1, Eax, 3, Always),
    feature("cmpccxadd", EXTENDED_1, Eax, 7, Always),
    feature("hreset", EXTENDED_1, Eax, 22, Always),
    feature("movrs", EXTENDED_1, Eax, 31, Always),
    feature("sha512", EXTENDED_1, Eax, 0, Avx),
    feature("sm3", EXTENDED_1, Eax, 1, Avx),
    feature("sm4", EXTENDED_1, Eax, 2, Avx),
    feature("avxvnni", EXTENDED_1, Eax, 4, Avx),
    feature("avxifma", EXTENDED_1, Eax, 23, Avx),
    feature("avx512bf16", EXTENDED_1, Eax, 5, Avx512),
    feature("amx-fp16", EXTENDED_1, Eax, 21, Amx),
    feature("prefetchi", EXTENDED_1, Edx, 14, Always),
    feature("usermsr", EXTENDED_1, Edx, 15, Always),
    feature("avxvnniint8", EXTENDED_1, Edx, 4, Avx),
    feature("avxneconvert", EXTENDED_1, Edx, 5, Avx),
    feature("avxvnniint16", EXTENDED_1, Edx, 10, Avx),
    feature("amx-complex", EXTENDED_1, Edx, 8, Amx),
    feature("egpr", EXTENDED_1, Edx, 21, Apx),
    feature("push2pop2", EXTENDED_1, Edx, 21, Apx),
    feature("ppx", EXTENDED_1, Edx, 21, Apx),
    feature("ndd", EXTENDED_1, Edx, 21, Apx),
    feature("ccmp", EXTENDED_1, Edx, 21, Apx),
    feature("nf", EXTENDED_1, Edx, 21, Apx),
    feature("cf", EXTENDED_1, Edx, 21, Apx),
    feature("zu", EXTENDED_1, Edx, 21, Apx),
    feature("xsaveopt", XSAVE, Eax, 0, Xsave),
    feature("xsavec", XSAVE, Eax, 1, Xsave),
    feature("xsaves", XSAVE, Eax, 3, Xsave),
    feature("ptwrite", TRACE, Ebx, 4, Always),
    feature("widekl", KEY_LOCKER, Ebx, 2, Always),
    feature("amx-fp8", TILES, Eax, 4, Amx),
    feature("amx-tf32", TILES, Eax, 6, Amx),
    feature("amx-avx512", TILES, Eax, 7, Amx),
    feature("amx-movrs", TILES, Eax, 8, Amx),
    feature("sahf", AMD, Ecx, 0, Always),
    feature("lzcnt", AMD, Ecx, 5, Always),
    feature("sse4a", AMD, Ecx, 6, Always),
    feature("prfchw", AMD, Ecx, 8, Always),
    feature("lwp", AMD, Ecx, 15, Always),
    feature("tbm", AMD, Ecx, 21, Always),
    feature("mwaitx", AMD, Ecx, 29, Always),
    feature("xop", AMD, Ecx, 11, Avx),
    feature("fma4", AMD, Ecx, 16, Avx),
    feature("64bit", AMD, Edx, 29, Always),
    feature("clzero", AMD_8, Ebx, 0, Always),
    feature("rdpru", AMD_8, Ebx, 4, Always),
    feature("wbnoinvd", AMD_8, Ebx, 9, Always),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    #[test]
    fn llvm_finds_the_same_features() {
        let folder = tempfile::tempdir().unwrap();
        let (source, output) = (folder.path().join("f.rs"), folder.path().join("f.ll"));
        std::fs::write(&source, "#[unsafe(no_mangle)] pub fn f() {}").unwrap();
        let status = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args([
                "--crate-type=lib",
                "--edition=2024",
                "--emit=llvm-ir",
                "-Ctarget-cpu=native",
            ])
            .arg("-o")
            .args([&output, &source])
            .status()
            .unwrap();
        assert!(status.success());
        let text = std::fs::read_to_string(output).unwrap();
        let (_, list) = text.split_once("\"target-features\"=\"").unwrap();
        let (list, _) = list.split_once('"').unwrap();
        let theirs: BTreeSet<&str> = list
            .split(',')
            .filter_map(|feature| feature.strip_prefix('+'))
            .collect();
        let mut ours: BTreeSet<&str> = super::features().into_iter().collect();
        // Part of every x86-64 machine, and not in LLVM's list for one.
        ours.remove("x87");
        assert!(theirs.contains("sse2"), "{list}");
        assert_eq!(ours, theirs);
    }
}
