//! One driver process.
//!
//! Takes a driver's path, gives code for kernels until something is wrong with the process, after
//! which it is good for nothing but to be dropped. Dropping it ends it, with all that it started.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use legionella_abi::frame;
use legionella_abi::protocol::{Code, Options, Request, Response, TargetSpec};
use tracing::{debug, info};

use super::channel::{Broken, Channel};
use crate::code::{Error, Kernel};

/// How long a driver that closed its output may take to end by itself, so that we learn how.
const GRACE: Duration = Duration::from_millis(200);

/// A driver that has said it is ready.
#[derive(Debug)]
pub struct Process {
    driver: PathBuf,
    child: Child,
    channel: Channel,
    limit: Duration,
    images: HashSet<[u8; 32]>,
    /// The image that has been sent and not been answered for.
    sent: Option<[u8; 32]>,
    owner: u32,
}

/// What one request ends with.
pub enum Answer {
    /// The driver answered, and goes on.
    Answered(Result<Code, Error>),
    /// The driver is of no more use.
    Lost(Error),
}

impl Process {
    /// Starts a driver, sends it the kernel's image and waits until it is ready.
    pub fn start(
        driver: PathBuf,
        kernel: &Kernel,
        limit: Duration,
        tick: &mut dyn FnMut(),
    ) -> Result<Process, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::NotStarted {
            driver: driver.clone(),
            reason: error.to_string(),
            log: String::new(),
        };
        let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
        let mut child = Command::new(&driver)
            .arg("--sysroot")
            .arg(&kernel.bundle().manifest.toolchain.sysroot)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // An interrupt from the terminal is the application's to handle; and what the driver
            // starts can be ended with it.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(&error))?;
        let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both were asked for");
        };
        let channel = Channel::new(ours, output, errors).map_err(|error| {
            end(&mut child);
            failed(&error)
        })?;
        let mut process = Process {
            driver,
            child,
            channel,
            limit,
            images: HashSet::new(),
            sent: None,
            owner: std::process::id(),
        };
        process.send_image(kernel)?;
        process.greet(kernel, tick)?;
        Ok(process)
    }

    /// Whether the process ended since the last request.
    pub fn has_ended(&mut self) -> bool {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                debug!(status = %describe(status), "the driver ended while it had nothing to do");
                true
            }
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Whether this process is the one that started the driver, and not a fork of it.
    pub fn is_ours(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Generates a kernel's code.
    pub fn generate(
        &mut self,
        kernel: &Kernel,
        target: &TargetSpec,
        options: &Options,
        tick: &mut dyn FnMut(),
    ) -> Answer {
        let failed = |reason| {
            Answer::Answered(Err(Error::Failed {
                kernel: kernel.name().to_owned(),
                target: target.clone(),
                reason,
            }))
        };
        let image = kernel.module().0.hash;
        if !self.images.contains(&image) {
            if self.sent != Some(image)
                && let Err(error) = self.send_image(kernel)
            {
                return Answer::Lost(error);
            }
            self.sent = None;
            match self.hear(kernel, tick) {
                Ok(Response::Image) => self.images.insert(image),
                Ok(Response::Failed(reason)) => return failed(reason),
                Ok(other) => return Answer::Lost(self.unexpected(kernel, &other)),
                Err(error) => return Answer::Lost(error),
            };
        }
        let request = Request::Generate {
            image,
            entry: kernel.entry().entry.clone(),
            target: target.clone(),
            options: options.clone(),
        };
        match self.ask(kernel, &request, tick) {
            Ok(Response::Code(code)) => Answer::Answered(Ok(code)),
            Ok(Response::Refused(diagnostics)) => Answer::Answered(Err(Error::Refused {
                kernel: kernel.name().to_owned(),
                target: target.clone(),
                diagnostics,
            })),
            Ok(Response::Failed(reason)) => failed(reason),
            Ok(other) => Answer::Lost(self.unexpected(kernel, &other)),
            Err(error) => Answer::Lost(error),
        }
    }

    /// Waits for the driver's first message.
    fn greet(&mut self, kernel: &Kernel, tick: &mut dyn FnMut()) -> Result<(), Error> {
        let since = Instant::now();
        let body = match self.channel.receive(self.limit, tick) {
            Ok(body) => body,
            Err(Broken::Ended) => {
                let reason = self.how_it_ended();
                return Err(self.not_started(reason));
            }
            Err(broken) => return Err(self.broken(kernel, broken)),
        };
        // Version and position in the message are the same in all versions of the protocol.
        if let Ok((0, theirs)) = frame::decode::<(u32, u32)>(&body)
            && theirs != legionella_abi::VERSION
        {
            return Err(Error::VersionMismatch {
                driver: self.driver.clone(),
                theirs,
                ours: legionella_abi::VERSION,
            });
        }
        match frame::decode(&body) {
            Ok(Response::Ready { llvm, .. }) => {
                info!(driver = %self.driver.display(), llvm, took = ?since.elapsed(), "driver is ready");
                Ok(())
            }
            Ok(Response::Failed(reason)) => Err(self.not_started(reason)),
            Ok(other) => Err(self.unexpected(kernel, &other)),
            Err(_) => Err(self.broken(kernel, Broken::Garbled("what is not a message"))),
        }
    }

    fn ask(
        &mut self,
        kernel: &Kernel,
        request: &Request,
        tick: &mut dyn FnMut(),
    ) -> Result<Response, Error> {
        self.send(kernel, request)?;
        self.hear(kernel, tick)
    }

    fn send_image(&mut self, kernel: &Kernel) -> Result<(), Error> {
        let (module, compressed) = kernel.module();
        self.sent = Some(module.hash);
        let request = Request::Image {
            hash: module.hash,
            module: compressed.to_vec(),
            bitcode_len: module.bitcode_len,
        };
        self.send(kernel, &request)
    }

    fn send(&mut self, kernel: &Kernel, request: &Request) -> Result<(), Error> {
        let sent = self.channel.send(&frame::encode(request));
        sent.map_err(|broken| self.broken(kernel, broken))
    }

    fn hear(&mut self, kernel: &Kernel, tick: &mut dyn FnMut()) -> Result<Response, Error> {
        self.channel
            .receive(self.limit, tick)
            .and_then(|body| {
                frame::decode(&body).map_err(|_| Broken::Garbled("what is not a message"))
            })
            .map_err(|broken| self.broken(kernel, broken))
    }

    /// Ends the process and says what was wrong with it.
    fn broken(&mut self, kernel: &Kernel, broken: Broken) -> Error {
        let how = match broken {
            Broken::Ended => self.how_it_ended(),
            Broken::Garbled(what) => format!("it sent {what}"),
            Broken::Io(error) => format!("its pipes failed: {error}"),
            Broken::TimedOut => {
                end(&mut self.child);
                return Error::DriverTimedOut {
                    kernel: kernel.name().to_owned(),
                    driver: self.driver.clone(),
                    limit: self.limit,
                    log: self.channel.log(),
                };
            }
        };
        self.died(kernel, how)
    }

    fn unexpected(&mut self, kernel: &Kernel, response: &Response) -> Error {
        let what = match response {
            Response::Ready { .. } => "that it is ready",
            Response::Image => "that it knows the image",
            Response::Code(_) => "code",
            Response::Refused(_) => "a refusal",
            Response::Failed(_) => "a failure",
        };
        self.died(kernel, format!("it answered another question: {what}"))
    }

    fn died(&mut self, kernel: &Kernel, how: String) -> Error {
        end(&mut self.child);
        Error::DriverDied {
            kernel: kernel.name().to_owned(),
            driver: self.driver.clone(),
            how,
            log: self.channel.log(),
        }
    }

    fn not_started(&mut self, reason: String) -> Error {
        end(&mut self.child);
        Error::NotStarted {
            driver: self.driver.clone(),
            reason,
            log: self.channel.log(),
        }
    }

    /// How a process that closed its output came to do so.
    fn how_it_ended(&mut self) -> String {
        let since = Instant::now();
        while since.elapsed() < GRACE {
            match self.child.try_wait() {
                Ok(Some(status)) => return describe(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(_) => break,
            }
        }
        "it closed its output and went on running".to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In a fork of the application the driver is not ours to end.
        if self.is_ours() {
            end(&mut self.child);
        }
    }
}

/// Ends a child and what it started, and waits for it.
fn end(child: &mut Child) {
    if let Ok(Some(_)) = child.try_wait() {
        return;
    }
    if let Ok(group) = libc::pid_t::try_from(child.id()) {
        // SAFETY: a child that was not waited for keeps its number, which is its group's.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(libc::SIGABRT) => {
            "it aborted (signal 6), as LLVM does on what it cannot compile".into()
        }
        Some(libc::SIGKILL) => "it was killed (signal 9)".into(),
        Some(signal) => format!("it was ended by signal {signal}"),
        None => format!("it ended with {status}"),
    }
}
