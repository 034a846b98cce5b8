//! An instruction of an assembly text: which memory it accesses and how wide, what it computes, where it leads.
//!
//! Takes a line of code without its comment. Widths are those of an item's access, or of a wavefront's where it is
//! a scalar one; names are those of all generations ("AMD Instruction Set Architecture" guides, and LLVM's aliases).

/// What memory an instruction accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Memory {
    /// The device's, by all lanes.
    Device,
    /// The device's, once a wavefront.
    Scalar,
    /// A group's.
    Group,
    /// An item's.
    Item,
    /// Any of these, which is known when it is executed.
    Flat,
}

/// What an instruction does with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Reads it.
    Load,
    /// Writes it.
    Store,
}

/// An instruction.
pub(super) struct Instruction<'t> {
    name: &'t str,
    rest: &'t str,
}

impl<'t> Instruction<'t> {
    /// What stands on a line, if it is an instruction and no directive.
    pub(super) fn parse(line: &'t str) -> Option<Self> {
        let code = line.strip_prefix(|c: char| c.is_whitespace())?.trim();
        let (name, rest) = code.split_once(char::is_whitespace).unwrap_or((code, ""));
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase());
        is_name.then_some(Instruction { name, rest })
    }

    /// Whether it only tells the hardware how to go on.
    pub(super) fn is_hint(&self) -> bool {
        ["s_delay_alu", "s_nop", "s_clause", "s_code_end"].contains(&self.name)
    }

    /// The label that it branches to.
    pub(super) fn target(&self) -> Option<&'t str> {
        let is_branch = self.name == "s_branch" || self.name.starts_with("s_cbranch_");
        is_branch.then(|| self.rest.trim())
    }

    /// Whether what stands behind it may come next.
    pub(super) fn falls_through(&self) -> bool {
        !["s_branch", "s_endpgm", "s_setpc_b64"].contains(&self.name)
    }

    /// Whether something else may come next.
    pub(super) fn ends_block(&self) -> bool {
        self.target().is_some() || !self.falls_through()
    }

    /// How many floating-point operations it makes of an item's.
    pub(super) fn operations(&self) -> u32 {
        let second = self.rest.split_once("::").map(|(_, second)| second.trim());
        let second = second.and_then(|second| second.split_whitespace().next());
        let names = std::iter::once(self.name).chain(second);
        names.map(operations).sum()
    }

    /// Which memory it accesses, how, and with how many bits.
    pub(super) fn access(&self) -> Option<(Memory, Access, u32)> {
        let (memory, rest) = [
            ("global_", Memory::Device),
            ("s_buffer_", Memory::Scalar),
            ("s_", Memory::Scalar),
            ("ds_", Memory::Group),
            ("scratch_", Memory::Item),
            ("buffer_", Memory::Item),
            ("flat_", Memory::Flat),
        ]
        .into_iter()
        .find_map(|(prefix, memory)| Some((memory, self.name.strip_prefix(prefix)?)))?;
        let (access, rest) = [
            ("load", Access::Load),
            ("read", Access::Load),
            ("store", Access::Store),
            ("write", Access::Store),
        ]
        .into_iter()
        .find_map(|(prefix, access)| Some((access, rest.strip_prefix(prefix)?)))?;
        Some((memory, access, width(rest)?))
    }
}

fn operations(name: &str) -> u32 {
    let Some(rest) = name.strip_prefix("v_") else {
        return 0;
    };
    let on_floats = ["_f16", "_f32", "_f64"].iter().any(|ty| rest.contains(ty));
    let computes = !["cmp", "cvt_", "cndmask", "frexp", "class"]
        .iter()
        .any(|other| rest.starts_with(other));
    match (on_floats && computes, rest.starts_with("pk_")) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    }
}

/// The width that an access's name ends with: `_dwordx2`, `_b64`, `2_b32`, `_2addr_stride64_b32`, `_ubyte_d16_hi`.
fn width(rest: &str) -> Option<u32> {
    let (several, rest) = match rest.strip_prefix('2').or(rest.strip_prefix("_2addr")) {
        Some(rest) => (2, rest),
        None => (1, rest),
    };
    let rest = (rest.strip_prefix("st64"))
        .or(rest.strip_prefix("_stride64"))
        .unwrap_or(rest);
    let mut parts = rest.strip_prefix('_')?.split('_');
    let ty = match parts.next()? {
        // Of the halves of registers that newer names begin with.
        "d16" => parts.find(|part| *part != "hi").unwrap_or("short"),
        "tr" | "addtid" => parts.next()?,
        ty => ty,
    };
    let bits = match ty {
        "ubyte" | "sbyte" | "byte" => 8,
        "ushort" | "sshort" | "short" => 16,
        "dword" => 32,
        ty => match ty.strip_prefix("dwordx") {
            Some(words) => 32 * words.parse::<u32>().ok()?,
            None => ty.strip_prefix(['b', 'u', 'i'])?.parse().ok()?,
        },
    };
    Some(several * bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_have_the_widths_of_their_names() {
        use {Access::*, Memory::*};
        let access = |line: &'static str| Instruction::parse(line).unwrap().access();
        for (line, expected) in [
            (
                " global_load_dwordx4 v[0:3], v0, s[0:1]",
                (Device, Load, 128),
            ),
            (" global_load_b96 v[0:2], v0, s[0:1]", (Device, Load, 96)),
            (" global_load_d16_hi_u8 v0, v0, s[0:1]", (Device, Load, 8)),
            (
                " global_load_short_d16_hi v0, v0, s[0:1]",
                (Device, Load, 16),
            ),
            (" s_load_dword s0, s[0:1], 0x0", (Scalar, Load, 32)),
            (" s_load_b512 s[0:15], s[0:1], 0x0", (Scalar, Load, 512)),
            (" ds_read2st64_b32 v[0:1], v0", (Group, Load, 64)),
            (" ds_load_2addr_stride64_b64 v[0:3], v0", (Group, Load, 128)),
            (" ds_write_b8 v0, v1", (Group, Store, 8)),
            (
                " buffer_store_dword v0, off, s[0:3], s32",
                (Item, Store, 32),
            ),
            (" scratch_load_b64 v[0:1], off", (Item, Load, 64)),
            (" flat_store_b128 v[0:1], v[2:5]", (Flat, Store, 128)),
        ] {
            assert_eq!(access(line), Some(expected), "{line}");
        }
        for line in [
            " ds_bpermute_b32 v0, v1, v2",
            " buffer_gl0_inv",
            " s_mov_b32 s0, s1",
        ] {
            assert_eq!(access(line), None, "{line}");
        }
    }

    #[test]
    fn operations_are_those_on_floats() {
        let of = |line: &'static str| Instruction::parse(line).unwrap().operations();
        assert_eq!(of("\tv_fma_f32 v0, v1, v2, v3"), 1);
        assert_eq!(
            of("\tv_dual_mov_b32 v0, v1 :: v_dual_mul_f32 v2, v3, v4"),
            1
        );
        assert_eq!(of("\tv_pk_mul_f32 v[0:1], v[2:3], v[4:5]"), 2);
        assert_eq!(of("\tv_cvt_f32_u32_e32 v0, v1"), 0);
        assert_eq!(of("\tv_cmp_gt_f32_e32 vcc, v0, v1"), 0);
        assert_eq!(of("\tv_add_nc_u32_e32 v0, v1, v2"), 0);
    }
}
