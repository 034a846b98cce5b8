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
        // Buffers are scratch memory, which nobody shares.
        let rest = rest
            .strip_prefix("atomic_")
            .filter(|_| space != Space::Buffer)?;
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

/// Loads: name, bytes, whether the sign extends them, and into which half of a register.
const LOADS: [(&str, u8, bool, Option<bool>); 34] = [
    ("b32", 4, false, None),
    ("dword", 4, false, None),
    ("b64", 8, false, None),
    ("dwordx2", 8, false, None),
    ("b96", 12, false, None),
    ("dwordx3", 12, false, None),
    ("b128", 16, false, None),
    ("dwordx4", 16, false, None),
    ("u8", 1, false, None),
    ("ubyte", 1, false, None),
    ("i8", 1, true, None),
    ("sbyte", 1, true, None),
    ("u16", 2, false, None),
    ("ushort", 2, false, None),
    ("i16", 2, true, None),
    ("sshort", 2, true, None),
    ("d16_b16", 2, false, Some(false)),
    ("short_d16", 2, false, Some(false)),
    ("u16_d16", 2, false, Some(false)),
    ("d16_hi_b16", 2, false, Some(true)),
    ("short_d16_hi", 2, false, Some(true)),
    ("u16_d16_hi", 2, false, Some(true)),
    ("d16_u8", 1, false, Some(false)),
    ("ubyte_d16", 1, false, Some(false)),
    ("u8_d16", 1, false, Some(false)),
    ("d16_hi_u8", 1, false, Some(true)),
    ("ubyte_d16_hi", 1, false, Some(true)),
    ("u8_d16_hi", 1, false, Some(true)),
    ("d16_i8", 1, true, Some(false)),
    ("sbyte_d16", 1, true, Some(false)),
    ("i8_d16", 1, true, Some(false)),
    ("d16_hi_i8", 1, true, Some(true)),
    ("sbyte_d16_hi", 1, true, Some(true)),
    ("i8_d16_hi", 1, true, Some(true)),
];

/// Stores: name, bytes, and whether from the upper half of a register.
const STORES: [(&str, u8, bool); 18] = [
    ("b8", 1, false),
    ("byte", 1, false),
    ("b16", 2, false),
    ("short", 2, false),
    ("b32", 4, false),
    ("dword", 4, false),
    ("b64", 8, false),
    ("dwordx2", 8, false),
    ("b96", 12, false),
    ("dwordx3", 12, false),
    ("b128", 16, false),
    ("dwordx4", 16, false),
    ("d16_hi_b8", 1, true),
    ("byte_d16_hi", 1, true),
    ("b8_d16_hi", 1, true),
    ("d16_hi_b16", 2, true),
    ("short_d16_hi", 2, true),
    ("b16_d16_hi", 2, true),
];

/// Atomic operations of global memory: name, operation and bytes.
const ATOMICS: [(&str, Atomic, u8); 63] = [
    ("swap", Atomic::Swap, 4),
    ("swap_b32", Atomic::Swap, 4),
    ("swap_x2", Atomic::Swap, 8),
    ("swap_b64", Atomic::Swap, 8),
    ("cmpswap", Atomic::CompareSwap, 4),
    ("cmpswap_b32", Atomic::CompareSwap, 4),
    ("cmpswap_x2", Atomic::CompareSwap, 8),
    ("cmpswap_b64", Atomic::CompareSwap, 8),
    ("add", Atomic::Add, 4),
    ("add_u32", Atomic::Add, 4),
    ("add_x2", Atomic::Add, 8),
    ("add_u64", Atomic::Add, 8),
    ("sub", Atomic::Subtract, 4),
    ("sub_u32", Atomic::Subtract, 4),
    ("sub_x2", Atomic::Subtract, 8),
    ("sub_u64", Atomic::Subtract, 8),
    ("smin", Atomic::MinSigned, 4),
    ("min_i32", Atomic::MinSigned, 4),
    ("smin_x2", Atomic::MinSigned, 8),
    ("min_i64", Atomic::MinSigned, 8),
    ("umin", Atomic::MinUnsigned, 4),
    ("min_u32", Atomic::MinUnsigned, 4),
    ("umin_x2", Atomic::MinUnsigned, 8),
    ("min_u64", Atomic::MinUnsigned, 8),
    ("smax", Atomic::MaxSigned, 4),
    ("max_i32", Atomic::MaxSigned, 4),
    ("smax_x2", Atomic::MaxSigned, 8),
    ("max_i64", Atomic::MaxSigned, 8),
    ("umax", Atomic::MaxUnsigned, 4),
    ("max_u32", Atomic::MaxUnsigned, 4),
    ("umax_x2", Atomic::MaxUnsigned, 8),
    ("max_u64", Atomic::MaxUnsigned, 8),
    ("and", Atomic::And, 4),
    ("and_b32", Atomic::And, 4),
    ("and_x2", Atomic::And, 8),
    ("and_b64", Atomic::And, 8),
    ("or", Atomic::Or, 4),
    ("or_b32", Atomic::Or, 4),
    ("or_x2", Atomic::Or, 8),
    ("or_b64", Atomic::Or, 8),
    ("xor", Atomic::Xor, 4),
    ("xor_b32", Atomic::Xor, 4),
    ("xor_x2", Atomic::Xor, 8),
    ("xor_b64", Atomic::Xor, 8),
    ("inc", Atomic::Increment, 4),
    ("inc_u32", Atomic::Increment, 4),
    ("inc_x2", Atomic::Increment, 8),
    ("inc_u64", Atomic::Increment, 8),
    ("dec", Atomic::Decrement, 4),
    ("dec_u32", Atomic::Decrement, 4),
    ("dec_x2", Atomic::Decrement, 8),
    ("dec_u64", Atomic::Decrement, 8),
    ("add_f32", Atomic::AddFloat, 4),
    ("add_f64", Atomic::AddFloat, 8),
    ("min_f32", Atomic::MinFloat, 4),
    ("fmin", Atomic::MinFloat, 4),
    ("max_f32", Atomic::MaxFloat, 4),
    ("fmax", Atomic::MaxFloat, 4),
    ("min_f64", Atomic::MinFloat, 8),
    ("fmin_x2", Atomic::MinFloat, 8),
    ("max_f64", Atomic::MaxFloat, 8),
    ("fmax_x2", Atomic::MaxFloat, 8),
    ("pk_add_f16", Atomic::AddHalves, 4),
];

fn load(name: &str) -> Option<Action> {
    let load = LOADS.iter().find(|load| load.0 == name);
    load.map(|&(_, bytes, signed, half)| Action::Load {
        bytes,
        signed,
        half,
    })
}

fn store(name: &str) -> Option<Action> {
    let store = STORES.iter().find(|store| store.0 == name);
    store.map(|&(_, bytes, high)| Action::Store { bytes, high })
}

fn atomic(name: &str) -> Option<(Atomic, u8)> {
    let atomic = ATOMICS.iter().find(|atomic| atomic.0 == name);
    atomic.map(|&(_, operation, bytes)| (operation, bytes))
}

/// The mnemonics, and others that no machine has: not each memory has all operations.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    for space in ["global", "flat", "scratch", "buffer"] {
        names.extend(LOADS.iter().map(|load| format!("{space}_load_{}", load.0)));
        names.extend(
            STORES
                .iter()
                .map(|store| format!("{space}_store_{}", store.0)),
        );
        if space != "buffer" {
            let names_of = ATOMICS.iter().map(|atomic| atomic.0);
            names.extend(names_of.map(|name| format!("{space}_atomic_{name}")));
        }
    }
    for (verb, old) in [("load", "read"), ("store", "write")] {
        let kinds: Vec<&str> = match verb {
            "load" => LOADS.iter().map(|load| load.0).collect(),
            _ => STORES.iter().map(|store| store.0).collect(),
        };
        for kind in kinds {
            names.extend([verb, old].map(|verb| format!("ds_{verb}_{kind}")));
        }
        for (new, older, ..) in PAIRS {
            names.push(format!("ds_{verb}_{new}"));
            names.push(format!("ds_{old}2{older}"));
        }
    }
    for (name, _, kinds) in LOCAL {
        for kind in kinds {
            names.extend(["", "_rtn"].map(|returns| format!("ds_{name}{returns}_{kind}")));
        }
    }
    names
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

/// Two-address forms: the newer and the older name, bytes, and the step of the offsets.
const PAIRS: [(&str, &str, u8, i64); 4] = [
    ("2addr_b32", "_b32", 4, 4),
    ("2addr_b64", "_b64", 8, 8),
    ("2addr_stride64_b32", "st64_b32", 4, 256),
    ("2addr_stride64_b64", "st64_b64", 8, 512),
];

fn pair(name: &str) -> Option<(u8, i64)> {
    let pair = PAIRS.iter().find(|pair| pair.0 == name);
    pair.map(|&(.., bytes, step)| (bytes, step))
}

fn old_pair(name: &str) -> Option<(u8, i64)> {
    let pair = PAIRS.iter().find(|pair| pair.1 == name);
    pair.map(|&(.., bytes, step)| (bytes, step))
}

/// Atomic operations of a work-group's memory, with the types that they have.
const LOCAL: [(&str, Atomic, &[&str]); 20] = [
    ("pk_add", Atomic::AddHalves, &["f16"]),
    ("add", Atomic::AddFloat, &["f32", "f64"]),
    ("add", Atomic::Add, &["u32", "u64"]),
    ("sub", Atomic::Subtract, &["u32", "u64"]),
    ("rsub", Atomic::ReverseSubtract, &["u32", "u64"]),
    ("inc", Atomic::Increment, &["u32", "u64"]),
    ("dec", Atomic::Decrement, &["u32", "u64"]),
    ("min", Atomic::MinFloat, &["f32", "f64"]),
    ("min", Atomic::MinSigned, &["i32", "i64"]),
    ("min", Atomic::MinUnsigned, &["u32", "u64"]),
    ("max", Atomic::MaxFloat, &["f32", "f64"]),
    ("max", Atomic::MaxSigned, &["i32", "i64"]),
    ("max", Atomic::MaxUnsigned, &["u32", "u64"]),
    ("and", Atomic::And, &["b32", "b64"]),
    ("or", Atomic::Or, &["b32", "b64"]),
    ("xor", Atomic::Xor, &["b32", "b64"]),
    ("wrxchg", Atomic::Swap, &["b32", "b64"]),
    ("storexchg", Atomic::Swap, &["b32", "b64"]),
    ("cmpst", Atomic::CompareSwap, &["b32", "b64"]),
    ("cmpstore", Atomic::CompareSwap, &["b32", "b64"]),
];

fn local_atomic(name: &str) -> Option<(Atomic, u8)> {
    let (operation, kind) = name.rsplit_once('_')?;
    let found = LOCAL
        .iter()
        .find(|(other, _, kinds)| *other == operation && kinds.contains(&kind))?;
    let bytes = if kind.ends_with("64") { 8 } else { 4 };
    Some((found.1, bytes))
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
