//! Reads the mnemonics of instructions that access memory.

use super::instruction::{Action, Atomic, Space};

/// What a mnemonic of an access says, and whether it has two addresses and in which steps their offsets
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Which memory.
    pub space: Space,
    /// What is done.
    pub action: Action,
    /// Of two-address forms, the bytes of a step of the offsets.
    pub pair: Option<i64>,
}

/// Reads a mnemonic; whether an atomic operation returns the old value is what `returns` says, or the
/// mnemonic.
pub fn form(mnemonic: &str, returns: bool) -> Option<Form> {
    let (prefix, rest) = mnemonic.split_once('_')?;
    let space = match prefix {
        "global" => Space::Global,
        "flat" => Space::Flat,
        "scratch" => Space::Scratch,
        "buffer" => Space::Buffer,
        "ds" => return local(rest),
        _ => return None,
    };
    let action = if let Some(rest) = rest.strip_prefix("load_") {
        load(rest)?
    } else if let Some(rest) = rest.strip_prefix("store_") {
        store(rest)?
    } else {
        let rest = rest.strip_prefix("atomic_")?;
        let (operation, bytes) = atomic(rest)?;
        Action::Atomic {
            operation,
            bytes,
            returns,
        }
    };
    Some(Form {
        space,
        action,
        pair: None,
    })
}

fn load(name: &str) -> Option<Action> {
    let (bytes, signed, half) = match name {
        "b32" | "dword" => (4, false, None),
        "b64" | "dwordx2" => (8, false, None),
        "b96" | "dwordx3" => (12, false, None),
        "b128" | "dwordx4" => (16, false, None),
        "u8" | "ubyte" => (1, false, None),
        "i8" | "sbyte" => (1, true, None),
        "u16" | "ushort" => (2, false, None),
        "i16" | "sshort" => (2, true, None),
        "d16_b16" | "short_d16" | "u16_d16" => (2, false, Some(false)),
        "d16_hi_b16" | "short_d16_hi" | "u16_d16_hi" => (2, false, Some(true)),
        "d16_u8" | "ubyte_d16" | "u8_d16" => (1, false, Some(false)),
        "d16_hi_u8" | "ubyte_d16_hi" | "u8_d16_hi" => (1, false, Some(true)),
        "d16_i8" | "sbyte_d16" | "i8_d16" => (1, true, Some(false)),
        "d16_hi_i8" | "sbyte_d16_hi" | "i8_d16_hi" => (1, true, Some(true)),
        _ => return None,
    };
    Some(Action::Load {
        bytes,
        signed,
        half,
    })
}

fn store(name: &str) -> Option<Action> {
    let (bytes, high) = match name {
        "b8" | "byte" => (1, false),
        "b16" | "short" => (2, false),
        "b32" | "dword" => (4, false),
        "b64" | "dwordx2" => (8, false),
        "b96" | "dwordx3" => (12, false),
        "b128" | "dwordx4" => (16, false),
        "d16_hi_b8" | "byte_d16_hi" | "b8_d16_hi" => (1, true),
        "d16_hi_b16" | "short_d16_hi" | "b16_d16_hi" => (2, true),
        _ => return None,
    };
    Some(Action::Store { bytes, high })
}

/// Atomic operations of global memory: operation and bytes.
fn atomic(name: &str) -> Option<(Atomic, u8)> {
    use Atomic::{
        Add, AddFloat, AddHalves, And, CompareSwap, Decrement, Increment, MaxFloat, MaxSigned,
        MaxUnsigned, MinFloat, MinSigned, MinUnsigned, Or, Subtract, Swap, Xor,
    };
    Some(match name {
        "swap" | "swap_b32" => (Swap, 4),
        "swap_x2" | "swap_b64" => (Swap, 8),
        "cmpswap" | "cmpswap_b32" => (CompareSwap, 4),
        "cmpswap_x2" | "cmpswap_b64" => (CompareSwap, 8),
        "add" | "add_u32" => (Add, 4),
        "add_x2" | "add_u64" => (Add, 8),
        "sub" | "sub_u32" => (Subtract, 4),
        "sub_x2" | "sub_u64" => (Subtract, 8),
        "smin" | "min_i32" => (MinSigned, 4),
        "smin_x2" | "min_i64" => (MinSigned, 8),
        "umin" | "min_u32" => (MinUnsigned, 4),
        "umin_x2" | "min_u64" => (MinUnsigned, 8),
        "smax" | "max_i32" => (MaxSigned, 4),
        "smax_x2" | "max_i64" => (MaxSigned, 8),
        "umax" | "max_u32" => (MaxUnsigned, 4),
        "umax_x2" | "max_u64" => (MaxUnsigned, 8),
        "and" | "and_b32" => (And, 4),
        "and_x2" | "and_b64" => (And, 8),
        "or" | "or_b32" => (Or, 4),
        "or_x2" | "or_b64" => (Or, 8),
        "xor" | "xor_b32" => (Xor, 4),
        "xor_x2" | "xor_b64" => (Xor, 8),
        "inc" | "inc_u32" => (Increment, 4),
        "inc_x2" | "inc_u64" => (Increment, 8),
        "dec" | "dec_u32" => (Decrement, 4),
        "dec_x2" | "dec_u64" => (Decrement, 8),
        "add_f32" => (AddFloat, 4),
        "add_f64" => (AddFloat, 8),
        "min_f32" | "fmin" => (MinFloat, 4),
        "max_f32" | "fmax" => (MaxFloat, 4),
        "min_f64" | "fmin_x2" => (MinFloat, 8),
        "max_f64" | "fmax_x2" => (MaxFloat, 8),
        "pk_add_f16" => (AddHalves, 4),
        _ => return None,
    })
}

/// Instructions of a work-group's memory.
fn local(name: &str) -> Option<Form> {
    let of = |action, pair| {
        Some(Form {
            space: Space::Local,
            action,
            pair,
        })
    };
    if let Some(rest) = name
        .strip_prefix("load_")
        .or_else(|| name.strip_prefix("read_"))
    {
        return match pair(rest) {
            Some((bytes, step)) => of(
                Action::Load {
                    bytes,
                    signed: false,
                    half: None,
                },
                Some(step),
            ),
            None => of(load(rest)?, None),
        };
    }
    // `ds_read2_b32` and its like.
    if let Some(rest) = name.strip_prefix("read2") {
        let (bytes, step) = old_pair(rest)?;
        return of(
            Action::Load {
                bytes,
                signed: false,
                half: None,
            },
            Some(step),
        );
    }
    if let Some(rest) = name.strip_prefix("write2") {
        let (bytes, step) = old_pair(rest)?;
        return of(Action::Store { bytes, high: false }, Some(step));
    }
    if let Some(rest) = name
        .strip_prefix("store_")
        .or_else(|| name.strip_prefix("write_"))
    {
        return match pair(rest) {
            Some((bytes, step)) => of(Action::Store { bytes, high: false }, Some(step)),
            None => of(store(rest)?, None),
        };
    }
    let returns = name.contains("_rtn");
    let name = name.replace("_rtn", "");
    let (operation, bytes) = local_atomic(&name)?;
    of(
        Action::Atomic {
            operation,
            bytes,
            returns,
        },
        None,
    )
}

fn pair(name: &str) -> Option<(u8, i64)> {
    Some(match name {
        "2addr_b32" => (4, 4),
        "2addr_b64" => (8, 8),
        "2addr_stride64_b32" => (4, 256),
        "2addr_stride64_b64" => (8, 512),
        _ => return None,
    })
}

fn old_pair(name: &str) -> Option<(u8, i64)> {
    Some(match name {
        "_b32" => (4, 4),
        "_b64" => (8, 8),
        "st64_b32" => (4, 256),
        "st64_b64" => (8, 512),
        _ => return None,
    })
}

fn local_atomic(name: &str) -> Option<(Atomic, u8)> {
    use Atomic::{
        Add, AddFloat, AddHalves, And, CompareSwap, Decrement, Increment, MaxFloat, MaxSigned,
        MaxUnsigned, MinFloat, MinSigned, MinUnsigned, Or, ReverseSubtract, Subtract, Swap, Xor,
    };
    let (operation, kind) = name.rsplit_once('_')?;
    let bytes = match kind {
        "u32" | "i32" | "b32" | "f32" | "f16" => 4,
        "u64" | "i64" | "b64" | "f64" => 8,
        _ => return None,
    };
    let float = kind.starts_with('f');
    let signed = kind.starts_with('i');
    let operation = match operation {
        "pk_add" => AddHalves,
        "add" if float => AddFloat,
        "add" => Add,
        "sub" => Subtract,
        "rsub" => ReverseSubtract,
        "inc" => Increment,
        "dec" => Decrement,
        "min" if float => MinFloat,
        "min" if signed => MinSigned,
        "min" => MinUnsigned,
        "max" if float => MaxFloat,
        "max" if signed => MaxSigned,
        "max" => MaxUnsigned,
        "and" => And,
        "or" => Or,
        "xor" => Xor,
        "wrxchg" | "storexchg" => Swap,
        "cmpst" | "cmpstore" => CompareSwap,
        _ => return None,
    };
    Some((operation, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_agree() {
        for (one, other) in [
            ("global_load_b128", "global_load_dwordx4"),
            ("global_load_d16_hi_b16", "global_load_short_d16_hi"),
            ("flat_store_b8", "flat_store_byte"),
            ("global_atomic_min_i64", "global_atomic_smin_x2"),
            ("ds_load_2addr_stride64_b64", "ds_read2st64_b64"),
            ("ds_store_b8_d16_hi", "ds_write_b8_d16_hi"),
            ("ds_cmpstore_rtn_b32", "ds_cmpst_rtn_b32"),
            ("ds_load_u16_d16", "ds_read_u16_d16"),
        ] {
            let form = |name| form(name, false).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(form(one), form(other));
        }
        assert_eq!(form("ds_frobnicate_b32", false), None);
    }

    #[test]
    fn old_values_are_asked_for() {
        let returns = |name, returns| match form(name, returns).unwrap().action {
            Action::Atomic { returns, .. } => returns,
            _ => panic!("{name}"),
        };
        assert!(returns("ds_add_rtn_u32", false) && !returns("ds_add_u32", false));
        assert!(returns("global_atomic_add_u32", true) && !returns("flat_atomic_add_u32", false));
    }
}
