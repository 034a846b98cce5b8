//! A driver that misbehaves on demand, and programs with kernels for it.
//!
//! The test's own executable is the driver: started as one, by `--sysroot`, it serves before
//! `main` and exits. What a driver does at its start is said by the sysroot that it is told, what
//! it does for a kernel by the kernel's name; both also say what happened, in a file of lines.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use std::{env, io, process, thread};

use legionella::code::{Client, Error, Kernel, Machine, Settings};
use legionella_abi::bundle::{self, Header, Manifest, Prebuilt, Toolchain};
use legionella_abi::frame;
use legionella_abi::protocol::{
    Call, Code, Diagnostic, Problem, Request, Response, Source, TargetSpec,
};
use tempfile::TempDir;

#[used]
#[unsafe(link_section = ".init_array")]
static BECOME_DRIVER: extern "C" fn() = become_driver;

extern "C" fn become_driver() {
    let Ok(line) = fs::read("/proc/self/cmdline") else {
        return;
    };
    let mut arguments = line.split(|&byte| byte == 0).skip(1);
    if arguments.next() == Some(b"--sysroot") {
        let sysroot = String::from_utf8(arguments.next().unwrap().to_vec()).unwrap();
        let (start, log) = sysroot.split_once(':').unwrap();
        serve(start, Path::new(log));
        process::exit(0);
    }
}

/// The driver's side of the protocol.
fn serve(start: &str, log: &Path) {
    note(log, &format!("start {}", process::id()));
    match start {
        "ready" | "deaf" => send(&Response::Ready {
            version: legionella_abi::VERSION,
            llvm: "fake".into(),
        }),
        "newer" => send(&Response::Ready {
            version: legionella_abi::VERSION + 1,
            llvm: "fake".into(),
        }),
        "no-llvm" => send(&Response::Failed("no libLLVM in this sysroot".into())),
        "die" => {
            eprintln!("error while loading shared libraries");
            process::exit(127);
        }
        "shell" => raw(b"usage: something else entirely\n"),
        "hang" => {}
        other => panic!("no such start: {other}"),
    }
    if matches!(start, "deaf" | "hang") {
        thread::sleep(Duration::from_secs(1000));
    }
    while let Some(request) = receive() {
        match request {
            Request::Image { hash, module, .. } => {
                assert_eq!((hash, module.len()), ([9; 32], MODULE));
                note(log, "image");
                send(&Response::Image);
            }
            Request::Generate {
                entry,
                target,
                options,
                ..
            } => {
                note(
                    log,
                    &format!("generate {entry} {}", options.dump.unwrap_or_default()),
                );
                generate(&entry, &target, log);
            }
        }
    }
    note(log, "end");
}

fn generate(entry: &str, target: &TargetSpec, log: &Path) {
    let code = |requires: &[&str]| {
        send(&Response::Code(Code {
            bytes: code_of(entry, target),
            requires: requires.iter().map(|&name| name.into()).collect(),
        }));
    };
    match entry.split('.').next().unwrap() {
        "code" => code(&["sse2"]),
        "slow" => {
            thread::sleep(Duration::from_millis(300));
            code(&[]);
        }
        "slower" => {
            thread::sleep(Duration::from_millis(1400));
            code(&[]);
        }
        "unfit" => code(&["sse2", "no-such-feature"]),
        "noisy" => {
            eprintln!("{}", "noise ".repeat(200_000));
            code(&[]);
        }
        "last" => {
            code(&[]);
            process::exit(0);
        }
        "refuse" => send(&Response::Refused(vec![
            diagnostic("one"),
            diagnostic("two"),
        ])),
        "fail" => send(&Response::Failed("the linker is missing".into())),
        "die" => {
            eprintln!("LLVM ERROR: Cannot select: intrinsic %llvm.nonsense");
            process::abort();
        }
        "dieonce" => {
            let starts = lines(log)
                .iter()
                .filter(|line| line.starts_with("start"))
                .count();
            if starts == 1 {
                process::exit(3);
            }
            code(&[]);
        }
        "hang" => {
            eprintln!("optimising for ever");
            // Something that would outlive a driver that is killed alone.
            let mut child = process::Command::new("sleep").arg("1000").spawn().unwrap();
            note(log, &format!("child {}", child.id()));
            child.wait().unwrap();
        }
        "close" => {
            // SAFETY: nothing here uses standard output afterwards.
            unsafe { libc::close(io::stdout().as_raw_fd()) };
            thread::sleep(Duration::from_secs(1000));
        }
        "garble" => raw(&frame::encode(&(99u8, "not a response"))),
        "absurd" => raw(b"LLVM says hello on standard output\n"),
        "partial" => {
            let whole = frame::encode(&Response::Code(Code {
                bytes: vec![1; 1000],
                requires: vec![],
            }));
            raw(&whole[..whole.len() / 2]);
            process::exit(0);
        }
        "twice" => {
            let frame = frame::encode(&Response::Code(Code {
                bytes: code_of(entry, target),
                requires: vec![],
            }));
            raw(&[frame.clone(), frame].concat());
        }
        "other" => send(&Response::Image),
        behaviour => panic!("no such kernel: {behaviour}"),
    }
}

/// What the fake driver generates: recognisable, and some hundred bytes.
pub fn code_of(entry: &str, target: &TargetSpec) -> Vec<u8> {
    format!("{entry} for {} {};", target.kind, target.cpu)
        .repeat(4)
        .into_bytes()
}

/// A finding of the fake driver.
pub fn diagnostic(what: &str) -> Diagnostic {
    Diagnostic {
        problem: Problem::InlineAssembly,
        what: what.into(),
        advice: "leave it out".into(),
        chain: vec![Call {
            function: "app::kernel".into(),
            source: Some(Source {
                file: "src/none.rs".into(),
                line: 3,
                column: 1,
            }),
        }],
    }
}

fn send(response: &Response) {
    raw(&frame::encode(response));
}

fn raw(bytes: &[u8]) {
    let mut output = io::stdout().lock();
    // An application that is gone is what some tests are about.
    let _ = output.write_all(bytes).and_then(|()| output.flush());
}

fn receive() -> Option<Request> {
    let mut header = [0; frame::HEADER];
    io::stdin().read_exact(&mut header).ok()?;
    let mut body = vec![0; frame::body_len(header)?];
    io::stdin().read_exact(&mut body).ok()?;
    frame::decode(&body).ok()
}

fn note(log: &Path, line: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(log)
        .unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn lines(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Larger than what a pipe or a socket holds, so that a driver that doesn't read is noticed.
const MODULE: usize = 300 << 10;

/// A folder with a cache, and what the drivers in it noted.
pub struct World {
    pub folder: TempDir,
}

impl World {
    pub fn new() -> World {
        World {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn settings(&self) -> Settings {
        Settings {
            cache: Some(self.cache()),
            cache_size: 1 << 30,
            driver: Some(env::current_exe().unwrap()),
            beside: None,
            path: None,
            timeout: Duration::from_secs(20),
            dump: None,
            maths: Default::default(),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.settings())
    }

    /// How often drivers noted a line that starts so.
    pub fn count(&self, start: &str) -> usize {
        self.noted(start).len()
    }

    /// The rest of the lines that start so.
    pub fn noted(&self, start: &str) -> Vec<String> {
        lines(&self.log())
            .iter()
            .filter_map(|line| line.strip_prefix(start))
            .map(|rest| rest.trim().to_owned())
            .collect()
    }

    /// A kernel of an image that holds nothing else.
    pub fn kernel(&self, entry: &str) -> Kernel {
        self.program("ready", &[entry]).kernel(0)
    }

    /// An image whose driver starts as `start` says.
    pub fn program(&self, start: &str, kernels: &[&str]) -> Program {
        Program::new(format!("{start}:{}", self.log().display()), kernels)
    }

    /// Files in the cache, without the folder.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.cache())
            .into_iter()
            .flatten()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The only entry of the cache.
    pub fn entry(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1, "{files:?}");
        self.cache().join(&files[0])
    }
}

/// An image.
pub struct Program {
    pub manifest: Manifest,
    pub prebuilt: Vec<u8>,
}

impl Program {
    pub fn new(sysroot: String, kernels: &[&str]) -> Program {
        let kernel = |entry: &&str| bundle::Kernel {
            entry: (*entry).to_owned(),
            name: format!("app::{entry}"),
            source: None,
            block_size: 8,
            block_align: 8,
            arguments: vec![],
            instructions: 1,
        };
        Program {
            manifest: Manifest {
                toolchain: Toolchain {
                    rustc: "rustc 1.95.0".into(),
                    sysroot,
                    triple: "x86_64-unknown-linux-gnu".into(),
                },
                driver: "/no/such/recorded/legionella-driver".into(),
                kernels: kernels.iter().map(kernel).collect(),
                prebuilt: vec![],
            },
            prebuilt: vec![],
        }
    }

    /// Adds prebuilt code.
    pub fn prebuilt(mut self, kernel: u32, cpu: &str, requires: &[&str], code: &[u8]) -> Self {
        self.manifest.prebuilt.push(Prebuilt {
            kernel,
            target: target(cpu),
            requires: requires.iter().map(|&name| name.into()).collect(),
            offset: self.prebuilt.len() as u64,
            len: code.len() as u64,
        });
        self.prebuilt.extend_from_slice(code);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let manifest = &frame::encode(&self.manifest)[frame::HEADER..];
        let header = Header {
            version: legionella_abi::VERSION,
            manifest_len: manifest.len() as u64,
            module_len: MODULE as u64,
            bitcode_len: 4 * MODULE as u64,
            module_hash: [9; 32],
        };
        let module = vec![0; MODULE];
        [&header.encode(), manifest, &module, &self.prebuilt].concat()
    }

    pub fn kernel(&self, index: usize) -> Kernel {
        Kernel::in_bundle(self.bytes().leak(), index).unwrap()
    }
}

/// A kernel's code for the machine at hand.
pub fn obtain(client: &Client, kernel: &Kernel) -> Result<Vec<u8>, Error> {
    client
        .obtain(kernel, &target(""), Machine::host())
        .map(|code| code.to_vec())
}

/// The code of a kernel whose driver does as it should.
pub fn right(entry: &str) -> Vec<u8> {
    code_of(entry, &target(""))
}

/// Makes a file as if last used some time ago.
pub fn age(path: &Path, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    let file = OpenOptions::new().append(true).open(path).unwrap();
    file.set_modified(then).unwrap();
}

/// The CPU target.
pub fn target(cpu: &str) -> TargetSpec {
    TargetSpec {
        kind: "cpu".into(),
        cpu: cpu.into(),
    }
}

/// Waits until a condition holds, for at most twenty seconds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs; one that ended and was not waited for doesn't.
pub fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('Z')
    })
}

/// This executable, running one of its ignored tests as a process of its own.
pub fn again(test: &str, world: &World) -> process::Command {
    let mut command = process::Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(WORLD, world.folder.path())
        .env("LEGIONELLA_DRIVER", env::current_exe().unwrap())
        .env("LEGIONELLA_CACHE", world.cache())
        .stdout(process::Stdio::null());
    command
}

/// The world of the test that started this process; `None` in a process that nobody started so.
pub fn given_world() -> Option<PathBuf> {
    env::var_os(WORLD).map(PathBuf::from)
}

const WORLD: &str = "LEGIONELLA_TEST_WORLD";
