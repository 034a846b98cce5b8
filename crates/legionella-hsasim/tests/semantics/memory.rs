//! Memory: the work-group's, the work-item's, the machine's, and addresses that say which.

use legionella_hsasim::error::Fault;
use legionella_hsasim::isa::Isa;
use legionella_hsasim::machine::memory::{Purpose, memory};

use crate::machine::Machine;

/// Memory of the machine that the test's agent may reach, filled with bytes that count.
fn global(size: usize) -> u64 {
    let base = memory().allocate(size, Purpose::Pool(0), 1).unwrap();
    for at in 0..size {
        // SAFETY: within the allocation.
        unsafe { base.add(at).write(at as u8) };
    }
    base.as_ptr() as u64
}

fn word(address: u64) -> u32 {
    // SAFETY: within an allocation of `global`.
    unsafe { (address as *const u32).read_unaligned() }
}

#[test]
fn loads_of_every_width() {
    let base = global(4096);
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let of = |text: &str| {
            Machine::new(isa)
                .with(9, |lane| 16 * lane as u32)
                .v(0, 0x5555_5555)
                .s64(2, base)
                .run(&format!("{text}\ns_waitcnt vmcnt(0)"))
        };
        let name =
            |new: &'static str, old: &'static str| if isa == Isa::Gfx1100 { new } else { old };
        let load = |new, old, extra: &str| {
            of(&format!(
                "global_load_{} v0, v9, s[2:3]{extra}",
                name(new, old)
            ))
        };
        assert_eq!(load("u8", "ubyte", " offset:128").get(0), 0xd0);
        assert_eq!(load("i8", "sbyte", " offset:128").get(0), 0xffff_ffd0);
        assert_eq!(load("u16", "ushort", " offset:128").get(0), 0xd1d0);
        assert_eq!(load("i16", "sshort", " offset:128").get(0), 0xffff_d1d0);
        assert_eq!(
            load("d16_b16", "short_d16", " offset:2").get(0),
            0x5555_5352
        );
        assert_eq!(
            load("d16_hi_b16", "short_d16_hi", " offset:2").get(0),
            0x5352_5555
        );
        assert_eq!(load("d16_u8", "ubyte_d16", "").get(0), 0x5555_0050);
        assert_eq!(load("b32", "dword", " offset:16").lane(0, 1), 0x2322_2120);
        let below = Machine::new(isa).v(9, 32).s64(2, base).run(&format!(
            "global_load_{} v0, v9, s[2:3] offset:-16\ns_waitcnt vmcnt(0)",
            name("b32", "dword")
        ));
        assert_eq!(below.get(0), 0x1312_1110);
        // Not aligned.
        assert_eq!(load("b32", "dword", " offset:1").get(0), 0x5453_5251);
        let wide = of(&format!(
            "global_load_{} v[0:3], v9, s[2:3]",
            name("b128", "dwordx4")
        ));
        assert_eq!((wide.get(0), wide.get(3)), (0x5352_5150, 0x5f5e_5d5c));
    }
}

#[test]
fn stores_of_every_width() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let base = global(4096);
        let name =
            |new: &'static str, old: &'static str| if isa == Isa::Gfx1100 { new } else { old };
        let store = |new, old, offset: u32| {
            let text = format!(
                "global_store_{} v9, v0, s[2:3] offset:{offset}",
                name(new, old)
            );
            Machine::new(isa)
                .with(9, |lane| 16 * lane as u32)
                .v(0, 0xaabb_ccdd)
                .s64(2, base)
                .exec(0x20)
                .run(&text);
        };
        store("b8", "byte", 0);
        assert_eq!(word(base + 80), 0x5352_51dd);
        store("d16_hi_b8", "byte_d16_hi", 1);
        assert_eq!(word(base + 80), 0x5352_bbdd);
        store("b16", "short", 4);
        store("d16_hi_b16", "short_d16_hi", 6);
        assert_eq!(word(base + 84), 0xaabb_ccdd);
        store("b32", "dword", 8);
        assert_eq!(word(base + 88), 0xaabb_ccdd);
        // Lanes that are off store nothing.
        assert_eq!(
            (word(base + 64), word(base + 96)),
            (0x4342_4140, 0x6362_6160)
        );
    }
}

#[test]
fn scalars_from_memory() {
    let base = global(64);
    let machine = Machine::rdna().s64(2, base).s(4, 8).run(
        "s_load_b32 s8, s[2:3], 0x4
        s_load_b64 s[10:11], s[2:3], s4 offset:0x8
        s_load_b128 s[12:15], s[2:3], null
        s_waitcnt lgkmcnt(0)",
    );
    assert_eq!(machine.scalar(8), 0x0706_0504);
    assert_eq!(machine.scalar64(10), 0x1716_1514_1312_1110);
    assert_eq!(machine.scalar(15), 0x0f0e_0d0c);
    let machine = Machine::cdna()
        .s64(2, base)
        .run("s_load_dwordx2 s[8:9], s[2:3], 0x10\ns_waitcnt lgkmcnt(0)");
    assert_eq!(machine.scalar64(8), 0x1716_1514_1312_1110);
}

#[test]
fn local_memory() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let (read, write) = if isa == Isa::Gfx1100 {
            ("load", "store")
        } else {
            ("read", "write")
        };
        let two = |verb: &str, stride: &str| match (isa, stride) {
            (Isa::Gfx1100, "") => format!("ds_{verb}_2addr_b32"),
            (Isa::Gfx1100, _) => format!("ds_{verb}_2addr_stride64_b32"),
            (_, "") => format!("ds_{verb}2_b32"),
            _ => format!("ds_{verb}2st64_b32"),
        };
        let setup = if isa == Isa::Gfx942 {
            "s_mov_b32 m0, -1\n"
        } else {
            ""
        };
        let machine = Machine::new(isa)
            .with(1, |lane| 4 * lane as u32)
            .with(2, |lane| lane as u32)
            .with(3, |lane| 1000 + lane as u32)
            .v(4, 0)
            .run(&format!(
                "{setup}{} v1, v2, v3 offset1:65
                ds_{read}_b32 v0, v1
                {} v[10:11], v4 offset0:3 offset1:67
                ds_{write}_b8 v1, v3 offset:1
                ds_{read}_b32 v7, v1
                ds_{read}_u8 v8, v1 offset:1
                s_waitcnt lgkmcnt(0)",
                two(write, ""),
                two(read, ""),
            ));
        assert_eq!(machine.lane(0, 9), 9);
        assert_eq!((machine.get(10), machine.get(11)), (3, 1002));
        assert_eq!(machine.lane(7, 2), 2 | ((1002 & 255) << 8));
        assert_eq!(machine.lane(8, 2), 1002 & 255);
        let far = Machine::new(isa)
            .v(1, 4)
            .v(2, 7)
            .v(3, 9)
            .run(&format!("{setup}{} v1, v2, v3 offset0:1 offset1:2\n{} v[10:11], v1 offset0:1 offset1:2\ns_waitcnt lgkmcnt(0)", two(write, "64"), two(read, "64")));
        assert_eq!((far.get(10), far.get(11)), (7, 9));
    }
}

#[test]
fn lanes_that_are_off_have_no_addresses() {
    let machine = Machine::rdna()
        .with(1, |lane| if lane == 0 { 8 } else { 0xffff_fffc })
        .v(2, 7)
        .v(3, 9)
        .exec(1)
        .run("ds_store_2addr_b32 v1, v2, v3 offset0:2 offset1:1\nds_load_2addr_b32 v[10:11], v1 offset0:2 offset1:1\ns_waitcnt lgkmcnt(0)");
    assert_eq!((machine.lane(10, 0), machine.lane(11, 0)), (7, 9));
}

#[test]
fn scratch_memory_is_each_lanes_own() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let (load, store) = if isa == Isa::Gfx1100 {
            ("b32", "b32")
        } else {
            ("dword", "dword")
        };
        let machine = Machine::new(isa)
            .with(1, |lane| lane as u32)
            .v(2, 8)
            .s(4, 16)
            .run(&format!(
                "scratch_store_{store} off, v1, s4 offset:4
            scratch_load_{load} v0, v2, off offset:12
            s_waitcnt vmcnt(0)"
            ));
        assert_eq!((machine.lane(0, 3), machine.lane(0, 31)), (3, 31));
        // Through a flat address.
        let machine = Machine::new(isa)
            .with(1, |lane| lane as u32)
            .v(2, 20)
            .run(&format!(
                "s_mov_b64 s[6:7], src_private_base
                v_mov_b32 v3, s7
                scratch_store_{store} off, v1, off offset:20
                flat_load_{load} v0, v[2:3]
                s_waitcnt vmcnt(0) lgkmcnt(0)"
            ));
        assert_eq!(machine.lane(0, 17), 17);
    }
}

#[test]
fn flat_addresses_of_local_memory() {
    let machine = Machine::rdna()
        .with(1, |lane| lane as u32)
        .with(2, |lane| 4 * lane as u32)
        .run(
            "s_mov_b64 s[6:7], src_shared_base
        v_mov_b32 v3, s7
        flat_store_b32 v[2:3], v1
        ds_load_b32 v0, v2
        s_waitcnt vmcnt(0) lgkmcnt(0)",
        );
    assert_eq!(machine.lane(0, 30), 30);
}

#[test]
fn atomic_operations_return_old_values_when_asked() {
    let base = global(64);
    let address = base + 8;
    // SAFETY: within the allocation.
    unsafe { (address as *mut u64).write(100) };
    let machine = Machine::rdna().v(9, 8).v(1, 1).v(2, 0x77).s64(2, base).run(
        "global_atomic_add_u32 v0, v9, v1, s[2:3] glc
        global_atomic_add_u32 v9, v1, s[2:3]
        s_waitcnt vmcnt(0)",
    );
    assert_eq!(word(address), 164);
    let mut old: Vec<u32> = (0..32).map(|lane| machine.lane(0, lane)).collect();
    old.sort_unstable();
    assert_eq!(old, (100..132).collect::<Vec<u32>>());
    assert_eq!(machine.get(2), 0x77);
    // All 64 bits are compared.
    // SAFETY: within the allocation.
    unsafe { (address as *mut u64).write((1 << 40) | 5) };
    let swap = |compare: u64| {
        Machine::cdna()
            .v(9, 8)
            .v64(2, 9)
            .v64(4, compare)
            .s64(2, base)
            .exec(1)
            .run("global_atomic_cmpswap_x2 v[0:1], v9, v[2:5], s[2:3] sc0\ns_waitcnt vmcnt(0)")
    };
    assert_eq!(swap(5).lane(0, 0), 5);
    assert_eq!(word(address), 5);
    swap((1 << 40) | 5);
    assert_eq!((word(address), word(address + 4)), (9, 0));
    // The two generations have the value to compare with in different places.
    let exchange = |isa, text: &str| {
        Machine::new(isa)
            .v(1, 0)
            .v(2, 7)
            .v(3, 7)
            .v(4, 9)
            .run(&format!("s_mov_b32 m0, -1\n{text}\ns_waitcnt lgkmcnt(0)"))
            .lane(5, 0)
    };
    assert_eq!(
        exchange(
            Isa::Gfx1100,
            "ds_store_b32 v1, v2\nds_cmpstore_rtn_b32 v6, v1, v4, v3\nds_load_b32 v5, v1"
        ),
        9
    );
    assert_eq!(
        exchange(
            Isa::Gfx942,
            "ds_write_b32 v1, v2\nds_cmpst_rtn_b32 v6, v1, v3, v4\nds_read_b32 v5, v1"
        ),
        9
    );
}

#[test]
fn what_is_out_of_bounds_faults() {
    let base = global(64);
    let fault = |text: &str, index: u32| {
        Machine::rdna()
            .v(0, 0)
            .v(9, index)
            .s64(2, base)
            .exec(8)
            .try_run(text)
            .err()
    };
    assert_eq!(fault("global_load_b32 v1, v9, s[2:3]", 60), None);
    let Some(Fault::Memory {
        what: "a load",
        address,
        size: 4,
        lane: 3,
        ..
    }) = fault("global_load_b32 v1, v9, s[2:3]", 61)
    else {
        panic!("the load was let pass");
    };
    assert_eq!(address, base + 61);
    assert!(matches!(
        fault("global_store_b32 v9, v0, s[2:3]", 64),
        Some(Fault::Memory {
            what: "a store",
            ..
        })
    ));
    assert!(matches!(
        fault("ds_load_b32 v1, v9", 1021),
        Some(Fault::Aperture {
            offset: 1021,
            limit: 1024,
            ..
        })
    ));
    assert!(matches!(
        fault("scratch_load_b32 v1, v9, off", 253),
        Some(Fault::Aperture { limit: 256, .. })
    ));
    assert!(matches!(
        fault("global_atomic_add_u32 v9, v0, s[2:3]", 2),
        Some(Fault::Misaligned { size: 4, .. })
    ));
    // Memory that another agent has.
    let other = memory().allocate(64, Purpose::Pool(0), 2).unwrap().as_ptr() as u64;
    let denied = Machine::rdna()
        .v(9, 0)
        .s64(2, other)
        .try_run("global_load_b32 v1, v9, s[2:3]")
        .err();
    assert!(matches!(denied, Some(Fault::Memory { why, .. }) if why.contains("no access")));
    // And none after it was given back.
    let base = global(16 << 20);
    let fault =
        |text: &str, index: u32| Machine::rdna().v(9, index).s64(2, base).try_run(text).err();
    assert_eq!(fault("global_load_b32 v1, v9, s[2:3]", 0), None);
    assert!(memory().remove(base, |_| true));
    assert!(matches!(
        fault("global_load_b32 v1, v9, s[2:3]", 0),
        Some(Fault::Memory { .. })
    ));
}

/// Lanes beside each other, or all at one word, are accessed at once: with the same results and faults as others.
#[test]
fn lanes_beside_each_other() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let base = global(4096);
        let lanes = if isa == Isa::Gfx1100 { 32 } else { 64 };
        let name =
            |new: &'static str, old: &'static str| if isa == Isa::Gfx1100 { new } else { old };
        let at = |shape: &dyn Fn(usize) -> u32| {
            let mut machine = Machine::new(isa).s64(2, base);
            machine.set(9, shape);
            machine
        };
        let load = |width: &str, shape: &dyn Fn(usize) -> u32, offset: i64| {
            let text = format!("global_load_{width} v[0:3], v9, s[2:3] offset:{offset}");
            let text = match width {
                "b32" | "dword" => text.replace("v[0:3]", "v0"),
                _ => text,
            };
            at(shape).run(&format!("{text}\ns_waitcnt vmcnt(0)"))
        };
        let bytes = |at: u32| u32::from_le_bytes([0, 1, 2, 3].map(|byte| (at + byte) as u8));
        for (offset, first) in [(0, 0), (4, 4), (-8, 8), (1, 20)] {
            let beside = |lane: usize| first + 4 * lane as u32;
            let loaded = load(name("b32", "dword"), &beside, offset);
            let same = load(name("b32", "dword"), &|_| first + 16, offset);
            for lane in 0..lanes {
                let from = (beside(lane) as i64 + offset) as u32;
                assert_eq!(loaded.lane(0, lane), bytes(from), "{offset} {lane}");
                let from = (i64::from(first + 16) + offset) as u32;
                assert_eq!(same.lane(0, lane), bytes(from), "{offset} {lane}");
            }
        }
        let wide = load(name("b128", "dwordx4"), &|lane| 16 * lane as u32, 0);
        let one = load(name("b128", "dwordx4"), &|_| 32, 0);
        for lane in 0..lanes {
            for word in 0..4 {
                let from = 16 * lane as u32 + 4 * u32::from(word);
                assert_eq!(wide.lane(word, lane), bytes(from));
                assert_eq!(one.lane(word, lane), bytes(32 + 4 * u32::from(word)));
            }
        }
        // One lane elsewhere, or the end of 32 bits between two of them: each by itself.
        let odd = load(
            name("b32", "dword"),
            &|lane| if lane == 17 { 0 } else { 4 * lane as u32 },
            0,
        );
        assert_eq!((odd.lane(0, 16), odd.lane(0, 17)), (bytes(64), bytes(0)));
        let beyond = at(&|lane| 0u32.wrapping_sub(8).wrapping_add(4 * lane as u32)).try_run(
            &format!("global_load_{} v0, v9, s[2:3]", name("b32", "dword")),
        );
        assert!(matches!(beyond, Err(Fault::Memory { lane: 0, .. })));
        let stored = at(&|lane| 1024 + 4 * lane as u32).with(0, |lane| 1000 + lane as u32);
        stored.run(&format!(
            "global_store_{} v9, v0, s[2:3]",
            name("b32", "dword")
        ));
        for lane in 0..lanes {
            assert_eq!(word(base + 1024 + 4 * lane as u64), 1000 + lane as u32);
        }
        // The last lane's value is what stays.
        let stored = at(&|_| 2048).with(0, |lane| 1000 + lane as u32);
        stored.run(&format!(
            "global_store_{} v9, v0, s[2:3]",
            name("b32", "dword")
        ));
        assert_eq!(word(base + 2048), 999 + lanes as u32);
    }
}

/// What was not written of the work-group's memory stays undefined where lanes are beside each other.
#[test]
fn local_words_that_nobody_wrote() {
    for isa in [Isa::Gfx1100, Isa::Gfx942] {
        let (write, read) = match isa {
            Isa::Gfx1100 => ("ds_store_b32", "ds_load_b32"),
            _ => ("ds_write_b32", "ds_read_b32"),
        };
        let run = |exec: u64, used: u64| {
            let mut machine = Machine::new(isa).exec(exec);
            machine.set(9, |lane| 4 * lane as u32);
            machine.set(1, |lane| 4 * (lane as u32 & 7));
            let mask = match isa {
                Isa::Gfx1100 => format!("s_mov_b32 exec_lo, {:#x}", used as u32),
                _ => format!(
                    "s_mov_b32 exec_lo, {:#x}\ns_mov_b32 exec_hi, {:#x}",
                    used as u32,
                    (used >> 32) as u32
                ),
            };
            let all = mask.replace(&format!("{:#x}", used as u32), "-1");
            let all = all.replace(&format!("{:#x}", (used >> 32) as u32), "-1");
            machine.try_run(&format!(
                "{write} v9, v1\ns_waitcnt lgkmcnt(0)\n{all}\n{read} v2, v9\ns_waitcnt lgkmcnt(0)\n\
                 {mask}\n{read} v3, v2\ns_waitcnt lgkmcnt(0)"
            ))
        };
        let all = if isa == Isa::Gfx1100 {
            0xffff_ffff
        } else {
            u64::MAX
        };
        let without = all & !(1 << 20);
        let whole = run(all, all).unwrap();
        assert_eq!((whole.lane(2, 21), whole.lane(3, 21)), (20, 20));
        // Lane 20 reads what it didn't write: harmless while it is not used as an address.
        assert!(matches!(run(without, all), Err(Fault::Undefined(..))));
        assert_eq!(run(without, without).unwrap().lane(3, 21), 20);
    }
}
