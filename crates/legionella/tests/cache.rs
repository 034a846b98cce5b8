//! The disk cache under everything that disks, processes and other people do to it.

mod fake;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use fake::{World, again, age, eventually, given_world, obtain, right};
use legionella::code::{Client, Kernel, Settings};

#[test]
fn a_second_process_starts_no_driver() {
    let world = World::new();
    let kernel = world.kernel("code.x");
    assert_eq!(obtain(&world.client(), &kernel).unwrap(), right("code.x"));
    assert_eq!(obtain(&world.client(), &kernel).unwrap(), right("code.x"));
    assert_eq!((world.count("start"), world.count("generate")), (1, 1));
    let mode = world.entry().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o77, 0, "code is for its owner alone");
}

#[test]
fn damaged_and_truncated_entries_are_regenerated() {
    let world = World::new();
    let kernel = world.kernel("code.x");
    obtain(&world.client(), &kernel).unwrap();
    let path = world.entry();
    let whole = fs::read(&path).unwrap();
    // Unit tests of entries go through every byte and bit.
    let mut generated = 1;
    for at in (0..whole.len()).step_by(43) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        for damaged in [&whole[..at], &flipped, &[&whole[..], &[0]].concat()] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(obtain(&world.client(), &kernel).unwrap(), right("code.x"));
            assert_eq!(fs::read(&path).unwrap(), whole, "repaired");
            generated += 1;
        }
    }
    assert_eq!(world.count("generate"), generated);
}

#[test]
fn an_entry_under_another_name_or_of_another_kind_is_not_taken() {
    let world = World::new();
    obtain(&world.client(), &world.kernel("code.x")).unwrap();
    let first = world.entry();
    obtain(&world.client(), &world.kernel("code.y")).unwrap();
    let second = world
        .files()
        .into_iter()
        .map(|name| world.cache().join(name))
        .find(|path| *path != first)
        .unwrap();
    fs::copy(&first, &second).unwrap();
    assert_eq!(
        obtain(&world.client(), &world.kernel("code.y")).unwrap(),
        right("code.y")
    );
    fs::remove_file(&first).unwrap();
    fs::create_dir(&first).unwrap();
    assert_eq!(
        obtain(&world.client(), &world.kernel("code.x")).unwrap(),
        right("code.x")
    );
    fs::remove_dir(&first).unwrap();
    let name = std::ffi::CString::new(first.to_str().unwrap()).unwrap();
    // SAFETY: a terminated string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    assert_eq!(
        obtain(&world.client(), &world.kernel("code.x")).unwrap(),
        right("code.x")
    );
}

#[test]
fn threads_that_miss_together_generate_once_with_and_without_a_disk_cache() {
    for disk in [true, false] {
        let world = World::new();
        let mut settings = world.settings();
        settings.cache = settings.cache.filter(|_| disk);
        let client = Client::new(settings);
        let kernel = world.kernel("slow.x");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(obtain(&client, &kernel).unwrap(), right("slow.x")));
            }
        });
        obtain(&client, &kernel).unwrap();
        assert_eq!(world.count("generate"), 1, "disk cache: {disk}");
        assert_eq!(
            world.files().len(),
            usize::from(disk),
            "{:?}",
            world.files()
        );
    }
}

#[test]
fn processes_that_miss_together_generate_once() {
    let world = World::new();
    let processes: Vec<_> = (0..4)
        .map(|_| again("one_slow_kernel", &world).spawn().unwrap())
        .collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(world.count("generate"), 1);
    assert_eq!(
        world.files().len(),
        1,
        "no lock is left: {:?}",
        world.files()
    );
}

#[test]
fn a_process_that_waits_goes_on_when_the_one_that_generates_is_killed() {
    let world = World::new();
    let mut first = again("one_slow_kernel", &world).spawn().unwrap();
    eventually("the first generates", || world.count("generate") == 1);
    let mut second = again("one_slow_kernel", &world).spawn().unwrap();
    thread::sleep(Duration::from_millis(50));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(world.count("generate"), 2);
    assert_eq!(world.files().len(), 1, "{:?}", world.files());
}

#[test]
fn a_process_that_waits_for_one_that_stopped_loses_patience() {
    let world = World::new();
    let mut first = again("one_slow_kernel", &world).spawn().unwrap();
    eventually("the first generates", || world.count("generate") == 1);
    let pid = libc::pid_t::try_from(first.id()).unwrap();
    // SAFETY: a process of this test.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    let mut settings = world.settings();
    settings.timeout = Duration::from_secs(2);
    let kernel = world.kernel("slow.x");
    assert_eq!(
        obtain(&Client::new(settings), &kernel).unwrap(),
        right("slow.x")
    );
    assert_eq!(world.count("generate"), 2);
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
#[ignore = "a process that other tests start"]
fn one_slow_kernel() {
    let Some(folder) = given_world() else { return };
    let (client, kernels) = given(&folder, &["slow.x"]);
    assert_eq!(obtain(&client, &kernels[0]).unwrap(), right("slow.x"));
}

/// A client and kernels in the world of another process.
fn given(folder: &Path, entries: &[&str]) -> (Client, Vec<Kernel>) {
    let own = World::new();
    let settings = Settings {
        cache: Some(folder.join("cache")),
        ..own.settings()
    };
    let sysroot = format!("ready:{}", folder.join("log").display());
    let program = fake::Program::new(sysroot, entries);
    let kernels = (0..entries.len())
        .map(|index| program.kernel(index))
        .collect();
    (Client::new(settings), kernels)
}

#[test]
fn a_process_killed_at_any_byte_of_an_entry_leaves_nothing_that_is_taken() {
    let world = World::new();
    let kernel = world.kernel("code.y");
    obtain(&world.client(), &kernel).unwrap();
    let path = world.entry();
    let whole = fs::read(&path).unwrap();
    for limit in (0..whole.len()).step_by(71) {
        fs::remove_file(&path).unwrap();
        let status = again("killed_while_it_writes", &world)
            .env("LIMIT", limit.to_string())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!status.success(), "it was killed at byte {limit}");
        let left: Vec<String> = world.files();
        assert!(
            left.iter().any(|name| name.ends_with(".unfinished")),
            "{left:?}"
        );
        assert!(!path.exists());
        assert_eq!(obtain(&world.client(), &kernel).unwrap(), right("code.y"));
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    // Long after, what was left behind goes with the next eviction.
    for name in world.files() {
        age(&world.cache().join(name), 2 * 60 * 60);
    }
    obtain(&world.client(), &world.kernel("code.z")).unwrap();
    let left = world.files();
    assert!(left.iter().all(|name| name.ends_with(".code")), "{left:?}");
}

#[test]
#[ignore = "a process that other tests start"]
fn killed_while_it_writes() {
    let Some(folder) = given_world() else { return };
    let (client, kernels) = given(&folder, &["code.warm-up", "code.y"]);
    // The driver writes its notes without the limit.
    obtain(&client, &kernels[0]).unwrap();
    for file in fs::read_dir(folder.join("cache")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    limit_file_size(std::env::var("LIMIT").unwrap().parse().unwrap());
    // SAFETY: the default is to be killed.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
    let _ = obtain(&client, &kernels[1]);
}

fn limit_file_size(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: a pointer to a limit.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
}

#[test]
fn without_room_on_the_disk_code_is_used_from_memory() {
    let world = World::new();
    let status = again("without_room", &world).status().unwrap();
    assert!(status.success());
    assert_eq!(
        world.files(),
        Vec::<String>::new(),
        "nothing half-written stays"
    );
}

#[test]
#[ignore = "a process that other tests start"]
fn without_room() {
    let Some(folder) = given_world() else { return };
    let (client, kernels) = given(&folder, &["code.warm-up", "code.y"]);
    obtain(&client, &kernels[0]).unwrap();
    for file in fs::read_dir(folder.join("cache")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    // SAFETY: writing beyond the limit is to be an error, as on a full disk.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    limit_file_size(100);
    assert_eq!(obtain(&client, &kernels[1]).unwrap(), right("code.y"));
    assert_eq!(obtain(&client, &kernels[1]).unwrap(), right("code.y"));
}

#[test]
fn a_full_file_system_is_no_error() {
    let world = World::new();
    fs::create_dir(world.cache()).unwrap();
    let status = again("on_a_full_file_system", &world).status().unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "a process that other tests start"]
fn on_a_full_file_system() {
    let Some(folder) = given_world() else { return };
    let cache = folder.join("cache");
    if !mount_small(&cache) {
        eprintln!("this test needs to mount a file system, and may not");
        return;
    }
    let filler = fs::write(cache.join("filler"), vec![1; 1 << 20]).unwrap_err();
    assert_eq!(filler.kind(), std::io::ErrorKind::StorageFull);
    let (client, kernels) = given(&folder, &["code.y"]);
    assert_eq!(obtain(&client, &kernels[0]).unwrap(), right("code.y"));
    let left = fs::read_dir(&cache).unwrap().count();
    assert_eq!(left, 1, "only the file that fills it");
}

/// Puts an empty file system of two pages there, for this process alone.
fn mount_small(folder: &Path) -> bool {
    let folder = std::ffi::CString::new(folder.to_str().unwrap()).unwrap();
    let root = c"/";
    // SAFETY: terminated strings; the namespace is this thread's own, and the changes private.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                std::ptr::null(),
                root.as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                c"tmpfs".as_ptr(),
                folder.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=8k".as_ptr().cast(),
            ) == 0
    }
}

#[test]
fn a_read_only_cache_is_read_and_otherwise_no_error() {
    let world = World::new();
    let client = world.client();
    obtain(&client, &world.kernel("code.x")).unwrap();
    fs::set_permissions(world.cache(), fs::Permissions::from_mode(0o500)).unwrap();
    let before = world.files();
    thread::scope(|scope| {
        scope.spawn(|| {
            let root = drop_root();
            // The client with a driver generates, the one without finds what is cached.
            assert_eq!(
                obtain(&client, &world.kernel("code.y")).unwrap(),
                right("code.y")
            );
            assert_eq!(
                obtain(&client, &world.kernel("code.y")).unwrap(),
                right("code.y")
            );
            if !root {
                assert_eq!(
                    obtain(&world.client(), &world.kernel("code.x")).unwrap(),
                    right("code.x")
                );
            }
        });
    });
    assert_eq!(world.files(), before);
    assert_eq!(world.count("generate"), 2);
    fs::set_permissions(world.cache(), fs::Permissions::from_mode(0o700)).unwrap();
}

/// Takes root's rights over files from this thread; whether it had them.
fn drop_root() -> bool {
    // SAFETY: no memory is involved.
    unsafe {
        let root = libc::geteuid() == 0;
        if root {
            libc::setfsuid(65534);
        }
        root
    }
}

#[test]
fn a_cache_that_cannot_exist_is_no_error() {
    let world = World::new();
    fs::write(world.cache(), "a file where the folder should be").unwrap();
    let client = world.client();
    assert_eq!(
        obtain(&client, &world.kernel("code.x")).unwrap(),
        right("code.x")
    );
    let mut settings = world.settings();
    settings.cache = Some("/proc/none/such".into());
    let client = Client::new(settings);
    assert_eq!(
        obtain(&client, &world.kernel("code.x")).unwrap(),
        right("code.x")
    );
}

#[test]
fn the_least_recently_used_entries_go_when_the_cap_is_passed() {
    let world = World::new();
    let entries: Vec<String> = (0..10).map(|number| format!("code.{number}")).collect();
    let names: Vec<&str> = entries.iter().map(String::as_str).collect();
    let program = world.program("ready", &names);
    let client = world.client();
    let mut paths: Vec<std::path::PathBuf> = Vec::new();
    for (index, _) in names.iter().enumerate() {
        obtain(&client, &program.kernel(index)).unwrap();
        let new = world
            .files()
            .into_iter()
            .map(|name| world.cache().join(name))
            .find(|path| !paths.contains(path))
            .unwrap();
        age(&new, 1000 - index as u64);
        paths.push(new);
    }
    let size = paths[0].metadata().unwrap().len();
    let foreign = world.cache().join("somebody-elses.code");
    fs::write(&foreign, vec![0; 1 << 16]).unwrap();
    age(&foreign, 100_000);

    // A hit makes the oldest the newest.
    obtain(&world.client(), &program.kernel(0)).unwrap();
    let mut settings = world.settings();
    settings.cache_size = 6 * size;
    let client = Client::new(settings);
    obtain(&client, &world.kernel("code.new")).unwrap();
    assert_eq!(world.count("generate"), 11);
    let kept: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
    assert!(kept[0], "used a moment ago");
    assert!(
        kept[9] && !kept[1] && !kept[2] && !kept[3] && !kept[4],
        "{kept:?}"
    );
    assert!(foreign.exists(), "files of others are left alone");
    let total: u64 = world
        .files()
        .iter()
        .map(|name| world.cache().join(name))
        .filter(|path| *path != foreign)
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(total <= 6 * size && total >= 4 * size, "{total}");

    let mut settings = world.settings();
    settings.cache_size = 10;
    let before = world.files();
    obtain(&Client::new(settings), &world.kernel("code.too-large")).unwrap();
    assert_eq!(
        world.files(),
        before,
        "what is larger than the cache is not cached"
    );
}
