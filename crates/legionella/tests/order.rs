//! Which code is taken: prebuilt, cached or generated, for which target and machine.

mod fake;

use std::fs;

use fake::{World, age, code_of, obtain, right, target};
use legionella::code::{Client, Error, Kernel, Machine};
use legionella_abi::record::Cell;

#[test]
fn target_machine_driver_and_module_are_part_of_the_key() {
    let world = World::new();
    let kernel = world.kernel("code.x");
    let (host, other) = (Machine::host(), Machine::new("other", ["sse2"]));
    let client = world.client();
    client.obtain(&kernel, &target(""), host).unwrap();
    client.obtain(&kernel, &target("znver3"), host).unwrap();
    client.obtain(&kernel, &target(""), &other).unwrap();
    assert_eq!(world.count("generate"), 3);
    let copy = world.folder.path().join("another-driver");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut settings = world.settings();
    settings.driver = Some(copy.clone());
    Client::new(settings.clone())
        .obtain(&kernel, &target(""), host)
        .unwrap();
    assert_eq!(world.count("generate"), 4);
    age(&copy, 100);
    Client::new(settings.clone())
        .obtain(&kernel, &target(""), host)
        .unwrap();
    assert_eq!(world.count("generate"), 5, "a driver that was replaced");
    Client::new(settings)
        .obtain(&kernel, &target(""), host)
        .unwrap();
    assert_eq!(world.count("generate"), 5);
}

#[test]
fn a_dump_is_made_even_of_what_is_cached() {
    let world = World::new();
    let kernel = world.kernel("code.x");
    obtain(&world.client(), &kernel).unwrap();
    let mut settings = world.settings();
    settings.dump = Some("/somewhere/to dump".into());
    obtain(&Client::new(settings), &kernel).unwrap();
    assert_eq!(
        world.noted("generate"),
        ["code.x", "code.x /somewhere/to dump"]
    );
    obtain(&world.client(), &kernel).unwrap();
    assert_eq!(world.files().len(), 1, "a dump makes the same code");
}

#[test]
fn prebuilt_code_is_taken_where_it_fits_and_only_there() {
    let world = World::new();
    let program = world
        .program("ready", &["code.x", "code.y"])
        .prebuilt(0, "x86-64", &[], b"plain")
        .prebuilt(0, "x86-64-v3", &["avx2", "fma"], b"vectors")
        .prebuilt(0, "future", &["no-such-feature"], b"future")
        .prebuilt(1, "future", &["+no-such-feature"], b"future");
    let kernel = program.kernel(0);
    let client = world.client();
    let on = |machine: &Machine, cpu| {
        client
            .obtain(&kernel, &target(cpu), machine)
            .unwrap()
            .to_vec()
    };
    let (old, new) = (
        Machine::new("old", ["sse2"]),
        Machine::new("new", ["avx2", "fma", "sse2"]),
    );
    assert_eq!(on(&new, ""), b"vectors");
    assert_eq!(on(&old, ""), b"plain");
    assert_eq!(on(&new, "x86-64"), b"plain");
    assert_eq!(world.count("start"), 0, "no driver was needed");
    assert_eq!(
        on(&old, "x86-64-v3"),
        code_of("code.x", &target("x86-64-v3"))
    );
    assert_eq!(
        obtain(&client, &program.kernel(1)).unwrap(),
        right("code.y")
    );
    assert_eq!(world.count("generate"), 2);

    let mut settings = world.settings();
    settings.driver = Some("/no/such/driver".into());
    let driverless = Client::new(settings);
    let fits = driverless.obtain(&kernel, &target(""), &new).unwrap();
    assert_eq!(fits[..], *b"vectors");
}

#[test]
fn code_for_a_named_machine_is_refused_on_a_lesser_one() {
    let world = World::new();
    let kernel = world.kernel("unfit.x");
    for _ in 0..2 {
        let error = world
            .client()
            .obtain(&kernel, &target("future"), Machine::host())
            .unwrap_err();
        assert!(matches!(&error, Error::Unfit { missing, .. } if missing == &["no-such-feature"]));
        assert!(error.to_string().contains("no-such-feature"), "{error}");
    }
    assert_eq!(world.count("generate"), 1, "the code itself is cached");
}

#[test]
fn images_that_cannot_be_read_say_what_to_do() {
    // SAFETY: null is allowed.
    let error = unsafe { Kernel::of(std::ptr::null(), "saxpy") }.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`saxpy`") && text.contains("cargo legionella run"),
        "{text}"
    );
    assert!(text.contains("cargo legionella init"), "{text}");

    let world = World::new();
    let program = world
        .program("ready", &["code.x"])
        .prebuilt(0, "", &[], b"code");
    let bytes: &'static [u8] = program.bytes().leak();
    let cell = Cell {
        bundle: bytes.as_ptr(),
        bundle_len: bytes.len() as u64,
        kernel: 0,
        loaded: Default::default(),
    };
    // SAFETY: the bundle was leaked.
    let kernel = unsafe { Kernel::of(&cell, "x") }.unwrap();
    assert_eq!(kernel.name(), "app::code.x");
    let error = Kernel::in_bundle(bytes, 1).unwrap_err();
    assert!(matches!(error, Error::BadBundle { .. }), "{error:?}");
    let short = bytes.len() - 4;
    for len in (0..400).chain(short - 3..short) {
        let error = Kernel::in_bundle(&bytes[..len], 0);
        assert!(
            matches!(error, Err(Error::BadBundle { .. })),
            "cut to {len} bytes"
        );
    }
    for len in short..bytes.len() {
        let cut = Kernel::in_bundle(&bytes[..len], 0).unwrap();
        let error = obtain(&world.client(), &cut).unwrap_err();
        assert!(
            matches!(error, Error::BadBundle { .. }),
            "prebuilt code cut to {len} bytes"
        );
    }
}
