//! What hardware lets pass and the simulator doesn't: undefined registers, missing waits.

use legionella_hsasim::decode::Register;
use legionella_hsasim::error::Fault;
use legionella_hsasim::machine::memory::{Purpose, memory};

use crate::machine::Machine;

fn base() -> u64 {
    memory()
        .allocate(4096, Purpose::Pool(0), 1)
        .unwrap()
        .as_ptr() as u64
}

#[test]
fn undefined_addresses() {
    let load = "global_load_b32 v0, v9, s[2:3]";
    let fault = Machine::rdna().s64(2, base()).try_run(load).err();
    assert_eq!(
        fault,
        Some(Fault::Undefined(Register::Vector(9), "an address"))
    );
    let fault = Machine::rdna().v(9, 0).try_run(load).err();
    assert_eq!(
        fault,
        Some(Fault::Undefined(Register::Scalar(2), "an address"))
    );
    // Lanes that are off don't matter.
    assert!(Machine::rdna().s64(2, base()).exec(0).try_run(load).is_ok());
    // What is computed from an undefined value is undefined, a copy of it too.
    let sum = "v_add_nc_u32 v9, 4, v8\nv_mov_b32 v9, v9\nglobal_load_b32 v0, v9, s[2:3]";
    assert!(matches!(
        Machine::rdna().s64(2, base()).try_run(sum),
        Err(Fault::Undefined(..))
    ));
    assert!(Machine::rdna().s64(2, base()).v(8, 4).try_run(sum).is_ok());
}

#[test]
fn lower_words_need_only_lower_words() {
    // LLVM multiplies with an addend whose upper word nobody wrote, and uses the lower word.
    let text = "v_mad_u64_u32 v[4:5], null, s4, s5, v[8:9]\nglobal_load_b32 v0, v4, s[2:3]";
    let machine = || {
        let machine = Machine::rdna().s64(2, base()).s(4, 2).s(5, 4);
        machine.s(8, 8).v(6, 4).v(8, 8)
    };
    let scalar = text.replace("s4, s5, v[8:9]", "v6, 2, s[8:9]");
    for text in [text, &scalar] {
        assert!(machine().try_run(text).is_ok(), "{text}");
        let upper = text.replace("v0, v4", "v0, v5");
        assert!(
            matches!(machine().try_run(&upper), Err(Fault::Undefined(..))),
            "{upper}"
        );
    }
}

#[test]
fn undefined_values_travel_through_memory() {
    let through = |write: bool| {
        let store = if write {
            "scratch_store_b32 off, v1, off"
        } else {
            "s_nop 0"
        };
        Machine::rdna().v(1, 8).s64(2, base()).try_run(&format!(
            "{store}\nscratch_load_b32 v9, off, off\ns_waitcnt vmcnt(0)\nglobal_load_b32 v0, v9, s[2:3]"
        ))
    };
    assert!(through(true).is_ok());
    assert!(matches!(
        through(false),
        Err(Fault::Undefined(Register::Vector(9), _))
    ));
    let local = "ds_load_b32 v9, v1\ns_waitcnt lgkmcnt(0)\nglobal_load_b32 v0, v9, s[2:3]";
    assert!(matches!(
        Machine::rdna().v(1, 8).s64(2, base()).try_run(local),
        Err(Fault::Undefined(..))
    ));
}

#[test]
fn undefined_masks() {
    let fault = Machine::rdna().try_run("s_and_saveexec_b32 s0, s5").err();
    assert_eq!(
        fault,
        Some(Fault::Undefined(Register::Scalar(5), "the execution mask"))
    );
    let fault = Machine::rdna().try_run("v_cmpx_eq_u32 0, v9").err();
    assert_eq!(
        fault,
        Some(Fault::Undefined(
            Register::Vector(9),
            "a condition of v_cmpx"
        ))
    );
}

#[test]
fn masks_are_undefined_lane_by_lane() {
    // As loops keep their masks: what is undefined belongs to lanes that are off.
    let merged = "
        s_and_not1_b32 s6, s5, s4
        s_and_b32 s7, s8, s4
        s_or_b32 s6, s6, s7
        s_and_b32 exec_lo, s4, s6";
    let mut machine = Machine::rdna().s(4, 0xff).s(8, 0xf);
    machine.wave.set_undefined(5, 0xffff_ffff);
    let machine = machine.run(merged);
    assert_eq!(machine.scalar(126), 0xf);
    assert!(!machine.wave.is_defined(6));
    // A comparison leaves the bits of lanes that are off defined.
    let compared = "v_cmp_eq_u32 s6, 0, v9\ns_and_saveexec_b32 s7, s6";
    assert!(Machine::rdna().exec(0).try_run(compared).is_ok());
    assert!(Machine::rdna().exec(1).try_run(compared).is_err());
}

#[test]
fn loads_have_to_be_waited_for() {
    let load = |rest: &str| {
        Machine::rdna()
            .v(9, 0)
            .s64(2, base())
            .try_run(&format!("global_load_b64 v[0:1], v9, s[2:3]\n{rest}"))
            .err()
    };
    let missing = |register| Some(Fault::MissingWait(register, "a load of it"));
    assert_eq!(load("v_mov_b32 v5, v1"), missing(Register::Vector(1)));
    assert_eq!(load("v_mov_b32 v1, 0"), missing(Register::Vector(1)));
    assert_eq!(load("s_waitcnt vmcnt(0)\nv_mov_b32 v5, v1"), None);
    assert_eq!(
        load("s_waitcnt lgkmcnt(0)\nv_mov_b32 v5, v1"),
        missing(Register::Vector(1))
    );
    // Loads end in order: waiting for all but the last is enough for the first.
    let second = "global_load_b32 v4, v9, s[2:3]\ns_waitcnt vmcnt(1)\n";
    assert_eq!(load(&format!("{second}v_mov_b32 v5, v1")), None);
    assert_eq!(
        load(&format!("{second}v_mov_b32 v5, v4")),
        missing(Register::Vector(4))
    );
    let scalar = Machine::rdna()
        .s64(2, base())
        .try_run("s_load_b32 s8, s[2:3], 0x0\ns_mov_b32 s9, s8")
        .err();
    assert_eq!(scalar, missing(Register::Scalar(8)));
    // Of several loads of scalars only waiting for all helps.
    let several = "s_load_b32 s8, s[2:3], 0x0\ns_load_b32 s10, s[2:3], 0x0\ns_waitcnt lgkmcnt(1)\ns_mov_b32 s9, s8";
    assert_eq!(
        Machine::rdna().s64(2, base()).try_run(several).err(),
        missing(Register::Scalar(8))
    );
}

#[test]
fn what_is_unknown_is_named() {
    let Err(Fault::Unknown(why)) = Machine::cdna()
        .v(1, 0)
        .v(2, 0)
        .try_run("v_cvt_pknorm_i16_f32 v0, v1, v2")
    else {
        panic!("it was executed");
    };
    assert!(why.contains("v_cvt_pknorm_i16_f32"), "{why}");
    assert_eq!(
        Machine::rdna().try_run("s_trap 2").err(),
        Some(Fault::Trap(2))
    );
    let beyond = Machine::rdna().v(0, 0).try_run("v_mov_b32 v0, v255").err();
    assert_eq!(beyond, None);
}
