//! Loading code into the process, with objects that the compiler at hand makes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::ptr;

use legionella::code::{Error, load::SharedObject};
use legionella_abi::cpu::{Host, Launch, Panic, Progress};

/// A shared object as the driver makes them, whose entry adds `number` to what the block points
/// to and asks the host for memory.
fn object(folder: &Path, number: u32, run: &str) -> Vec<u8> {
    let source = folder.join(format!("{run}{number}.rs"));
    let output = folder.join(format!("{run}{number}.so"));
    fs::write(
        &source,
        format!(
            "#[unsafe(no_mangle)]
            pub static mut legionella_host: *const [usize; 5] = core::ptr::null();
            #[unsafe(no_mangle)]
            pub unsafe extern \"C\" fn {run}(block: *const *mut u64, _: *const u8, first: u64, end: u64, _: *mut u8) {{
                unsafe {{
                    let alloc: extern \"C\" fn(usize, usize) -> *mut u8 =
                        core::mem::transmute((*legionella_host)[0]);
                    assert!(alloc(3, 1) as usize == 0x30);
                    **block += {number} * (end - first);
                }}
            }}"
        ),
    )
    .unwrap();
    let status = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--crate-type=cdylib",
            "--edition=2024",
            "-Cpanic=abort",
            "-Anon_upper_case_globals",
        ])
        .arg("-o")
        .args([&output, &source])
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(output).unwrap()
}

extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    ptr::without_provenance_mut(size << 4 | (align - 1))
}

extern "C" fn dealloc(_: *mut u8, _: usize, _: usize) {}

extern "C" fn realloc(_: *mut u8, _: usize, _: usize, _: usize) -> *mut u8 {
    ptr::null_mut()
}

extern "C" fn panic(_: *const Panic) -> ! {
    std::process::abort()
}

static HOST: Host = Host {
    alloc,
    alloc_zeroed: alloc,
    dealloc,
    realloc,
    panic,
    scratch: alloc,
    pause,
    running_item,
};

extern "C" fn pause() {}

extern "C" fn running_item(_: *mut [u64; 2]) {}

fn run(object: &SharedObject) -> u64 {
    let mut sum = 1u64;
    let block: *mut u64 = &mut sum;
    let launch = Launch {
        grid: [1; 3],
        group: [1; 3],
        groups: [1; 3],
        shared: 0,
        kept: u64::MAX,
    };
    let mut progress = Progress { item: [0; 3] };
    // SAFETY: the object reads a pointer to a number from the block and uses nothing else.
    unsafe { object.run()((&raw const block).cast(), &launch, 2, 4, &mut progress) };
    sum
}

#[test]
fn objects_are_told_apart_loaded_used_and_unloaded() {
    let folder = tempfile::tempdir().unwrap();
    let one = object(folder.path(), 1, "legionella_run");
    let five = object(folder.path(), 5, "legionella_run");
    // SAFETY: the objects have the symbols and types that they should.
    let load = |code: &[u8]| unsafe { SharedObject::load("x", code, &HOST) }.unwrap();
    let kept = load(&one);
    let before = descriptors();
    // Each is loaded from a descriptor with the number that the one before it had.
    for _ in 0..50 {
        let (b, a) = (load(&five), load(&one));
        assert_eq!((run(&a), run(&b), run(&kept)), (3, 11, 3));
    }
    let all: Vec<_> = (0..50)
        .map(|n| load(if n % 2 == 0 { &one } else { &five }))
        .collect();
    for (n, object) in all.iter().enumerate() {
        assert_eq!(run(object), if n % 2 == 0 { 3 } else { 11 });
    }
    assert_eq!(descriptors(), before, "no descriptor stays open");
}

/// Open descriptors of files in memory. Others come and go with the compiler runs of other tests.
fn descriptors() -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let files = all.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    files
        .filter(|file| file.starts_with("/memfd:legionella"))
        .count()
}

#[test]
fn what_is_not_such_an_object_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let other = object(folder.path(), 1, "something_else");
    for (code, expected) in [
        (&b"not an object"[..], "file too short"),
        (&other, "legionella_run"),
    ] {
        // SAFETY: loading fails before anything is used.
        let error = unsafe { SharedObject::load("saxpy", code, &HOST) }.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::NotLoaded { .. }));
        assert!(
            text.contains("`saxpy`") && text.contains(expected),
            "{text}"
        );
    }
}
