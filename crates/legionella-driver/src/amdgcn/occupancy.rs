//! How many wavefronts can be resident, by what a kernel needs.
//!
//! Numbers are those of LLVM's `AMDGPUBaseInfo.cpp` (`getTotalNumVGPRs`, `getVGPRAllocGranule`, `getMaxWavesPerEU`,
//! `getNumSGPRs…`) and of the "AMD Instruction Set Architecture" guides.

use legionella_abi::amdgpu;

use super::Usage;

/// What a compute unit has, or from gfx10 on two of them that work together.
struct Unit {
    /// Wavefronts of one of its [`PARTS`].
    waves: u32,
    /// Vector registers of a part, by lane, and how many a wavefront is given at once.
    registers: u32,
    at_once: u32,
    /// Bytes of memory that groups share.
    shared: u32,
    /// Groups of more than one wavefront.
    groups: u32,
    /// Scalar registers of a part, if wavefronts share them.
    scalars: Option<u32>,
}

/// Parts that have wavefronts and registers of their own.
const PARTS: u32 = 4;

/// Bytes of shared memory that a group is given at once.
const SHARED_AT_ONCE: u32 = 512;

/// Scalar registers that a wavefront is given at once.
const SCALARS_AT_ONCE: u32 = 16;

fn unit(cpu: &str) -> Option<Unit> {
    let gfx9 = |waves, registers, at_once| Unit {
        waves,
        registers,
        at_once,
        shared: 64 << 10,
        groups: 16,
        scalars: Some(800),
    };
    let later = |waves, registers, at_once| Unit {
        waves,
        registers,
        at_once,
        shared: 128 << 10,
        groups: 32,
        scalars: None,
    };
    Some(match cpu {
        // One file of 512 for both kinds of vector registers.
        "gfx90a" | "gfx942" | "gfx9-4-generic" => gfx9(8, 512, 8),
        "gfx950" => Unit {
            shared: 160 << 10,
            ..gfx9(8, 512, 8)
        },
        "gfx1100" | "gfx1101" | "gfx1151" | "gfx1200" | "gfx1201" | "gfx12-generic" => {
            later(16, 1536, 24)
        }
        _ if cpu.starts_with("gfx9") => gfx9(10, 256, 4),
        _ if cpu.starts_with("gfx101") || cpu == "gfx10-1-generic" => later(20, 1024, 8),
        _ if ["gfx103", "gfx10-3", "gfx11"]
            .iter()
            .any(|family| cpu.starts_with(family)) =>
        {
            later(16, 1024, 16)
        }
        _ => return None,
    })
}

/// Wavefronts of one of a unit's parts that can be resident with groups of that many work-items, in the mean of the
/// parts; `None` for a processor that isn't known.
pub fn occupancy(cpu: &str, usage: &Usage, group: u32) -> Option<f64> {
    let has = unit(cpu)?;
    let lanes = amdgpu::lanes(cpu) as u32;
    let waves = group.div_ceil(lanes).max(1);
    let vector = usage.vector.max(1).next_multiple_of(has.at_once);
    let mut of_part = has.waves.min(has.registers / vector);
    if let Some(scalars) = has.scalars {
        of_part = of_part.min(scalars / usage.scalar.max(1).next_multiple_of(SCALARS_AT_ONCE));
    }
    let by_shared = (has.shared)
        .checked_div(usage.shared.next_multiple_of(SHARED_AT_ONCE))
        .unwrap_or(u32::MAX);
    let most = if waves > 1 { has.groups } else { u32::MAX };
    let groups = (of_part * PARTS / waves).min(by_shared).min(most);
    Some(f64::from(groups * waves) / f64::from(PARTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occupancy_is_what_registers_and_memory_allow() {
        let of = |cpu, vector, scalar, shared, group| {
            let usage = Usage {
                vector,
                scalar,
                shared,
                ..Usage::default()
            };
            occupancy(cpu, &usage, group)
        };
        // As LLVM says of the same numbers ("; Occupancy:" in its assembly).
        assert_eq!(of("gfx1100", 96, 100, 0, 256), Some(16.0));
        assert_eq!(of("gfx1100", 97, 100, 0, 256), Some(12.0));
        assert_eq!(of("gfx1030", 64, 18, 0, 256), Some(16.0));
        assert_eq!(of("gfx1030", 65, 18, 0, 32), Some(12.0));
        assert_eq!(of("gfx90a", 128, 18, 0, 256), Some(4.0));
        assert_eq!(of("gfx942", 129, 18, 0, 256), Some(3.0));
        assert_eq!(of("gfx906", 24, 96, 0, 256), Some(8.0));
        // Groups that don't fit whole: 3 of 5 wavefronts a part are too many for 4 groups of 4.
        assert_eq!(of("gfx1201", 24, 18, 48 << 10, 256), Some(4.0));
        assert_eq!(of("gfx942", 24, 18, 20 << 10, 256), Some(3.0));
        assert_eq!(of("gfx942", 24, 18, 0, 64), Some(8.0));
        assert_eq!(of("gfx803", 24, 18, 0, 64), None);
    }
}
