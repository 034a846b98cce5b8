//! The driver as a process: requests in on standard input, responses out on standard output
//! (contract: [`legionella_abi::protocol`]). Ends when its input does, and at once, whatever it is
//! doing, when nobody is left to read its output.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use legionella_abi::frame;
use legionella_abi::protocol::{Options, Request, Response, TargetSpec};

use crate::generate::{Failure, generate};
use crate::llvm;
use crate::target::Toolbox;

/// Serves one application until it closes the driver's standard input. Gives the exit status.
///
/// The only argument is `--sysroot PATH`: where the toolchain is that built the application.
pub fn serve() -> std::process::ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let mut toolbox = Toolbox::default();
    while let Some(argument) = arguments.next() {
        if argument == "--sysroot" {
            toolbox.sysroot = arguments.next().map(PathBuf::from);
        } else {
            eprintln!(
                "legionella-driver: unknown argument {argument:?}; applications start it by \
                 themselves, with `--sysroot PATH`"
            );
            return std::process::ExitCode::from(2);
        }
    }
    match run(&toolbox) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("legionella-driver: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(toolbox: &Toolbox) -> std::io::Result<()> {
    let (start, started) = mpsc::channel::<()>();
    let thread = |name: &str| thread::Builder::new().name(name.to_owned());
    let watching = start.clone();
    thread("watchdog").spawn(|| {
        drop(watching);
        end_with_reader();
    })?;
    // Programs send what they have as soon as they start a driver: it is read and unpacked while LLVM is loaded.
    let (orders, received) = mpsc::channel();
    thread("reader").spawn(move || {
        drop(start);
        read(&orders);
    })?;
    // A thread can't start while another holds the loader's lock, as loading LLVM does.
    let _ = started.recv();
    let mut output = std::io::stdout().lock();
    let mut send = |response: &Response| {
        output.write_all(&frame::encode(response))?;
        output.flush()
    };
    let library = llvm::find(toolbox.sysroot.as_deref()).and_then(|path| llvm::load(&path));
    let library = match library {
        Ok(library) => library,
        Err(error) => return send(&Response::Failed(error.to_string())),
    };
    send(&Response::Ready {
        version: legionella_abi::VERSION,
        llvm: library.path().display().to_string(),
    })?;
    let mut images = HashMap::new();
    for order in received {
        send(&answer(order?, &mut images, toolbox))?;
    }
    Ok(())
}

/// What an application asks for.
enum Order {
    /// To keep an image, which is unpacked, or why it can't be.
    Keep([u8; 32], Result<Vec<u8>, String>),
    Generate {
        image: [u8; 32],
        entry: String,
        target: TargetSpec,
        options: Options,
    },
}

/// Passes on what the application sends, until it closes the input.
fn read(orders: &mpsc::Sender<std::io::Result<Order>>) {
    let mut input = std::io::stdin().lock();
    while let Some(request) = receive(&mut input).transpose() {
        let order = request.map(|request| match request {
            Request::Image {
                hash,
                module,
                bitcode_len,
            } => Order::Keep(hash, unpack(&module, bitcode_len, hash)),
            Request::Generate {
                image,
                entry,
                target,
                options,
            } => Order::Generate {
                image,
                entry,
                target,
                options,
            },
        });
        let last = order.is_err();
        if orders.send(order).is_err() || last {
            return;
        }
    }
}

/// Waits until the application has closed the pipe that answers go into, as it does by ending in
/// whatever way, and ends this process: LLVM may take forever, and doesn't look.
fn end_with_reader() {
    let mut output = libc::pollfd {
        fd: libc::STDOUT_FILENO,
        // What tells that the other end is closed is always reported.
        events: 0,
        revents: 0,
    };
    // SAFETY: one valid element, as said. `_exit` runs nothing that LLVM might be in the way of.
    unsafe {
        while libc::poll(&mut output, 1, -1) < 1 {}
        libc::_exit(0)
    }
}

/// The next request; `None` at the end of the input.
fn receive(input: &mut impl Read) -> std::io::Result<Option<Request>> {
    let invalid = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let mut header = [0; frame::HEADER];
    match input.read_exact(&mut header) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let len =
        frame::body_len(header).ok_or_else(|| invalid("a request of absurd length".to_owned()))?;
    let mut body = vec![0; len];
    input.read_exact(&mut body)?;
    let request = frame::decode(&body).map_err(|error| invalid(error.to_string()))?;
    Ok(Some(request))
}

fn answer(order: Order, images: &mut HashMap<[u8; 32], Vec<u8>>, toolbox: &Toolbox) -> Response {
    match order {
        Order::Keep(hash, Ok(bitcode)) => {
            images.insert(hash, bitcode);
            Response::Image
        }
        Order::Keep(_, Err(reason)) => Response::Failed(reason),
        Order::Generate {
            image,
            entry,
            target,
            options,
        } => {
            let Some(bitcode) = images.get(&image) else {
                return Response::Failed("the image of the kernel was not sent".to_owned());
            };
            match generate(bitcode, &entry, &target, &options, toolbox) {
                Ok(code) => Response::Code(code),
                Err(Failure::Refused(problems)) => Response::Refused(problems),
                Err(Failure::Error(error)) => Response::Failed(error.to_string()),
            }
        }
    }
}

/// Decompresses a module and checks that it is the one it is said to be.
pub(crate) fn unpack(module: &[u8], len: u64, hash: [u8; 32]) -> Result<Vec<u8>, String> {
    let mut bitcode = Vec::new();
    flate2::read::DeflateDecoder::new(module)
        .take(len)
        .read_to_end(&mut bitcode)
        .map_err(|error| format!("cannot decompress the program's bundle: {error}"))?;
    if *blake3::hash(&bitcode).as_bytes() != hash {
        return Err("the program's bundle is damaged: its hash differs".to_owned());
    }
    Ok(bitcode)
}
