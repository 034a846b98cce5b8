//! Frames to and from a process, with a time limit on everything.
//!
//! Takes the three pipes of a child, which says something by itself and then answers each message, in order, and keeps the
//! last of what the child writes to its standard error. All pipes are served by one loop around
//! `poll`, so a child that neither reads nor writes, or that fills its standard error, blocks
//! nobody. It knows nothing of what messages mean.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdout};
use std::time::{Duration, Instant};

use legionella_abi::frame;
use tracing::debug;

use crate::code::progress;

/// Why no message came.
#[derive(Debug)]
pub enum Broken {
    /// The child closed its output.
    Ended,
    /// The time limit passed.
    TimedOut,
    /// The child sent what is not one frame for one request.
    Garbled(&'static str),
    /// The operating system failed.
    Io(io::Error),
}

/// Both directions to a child, and its log.
#[derive(Debug)]
pub struct Channel {
    // A socket, since writing to a pipe without a reader raises a signal, which kills an
    // application that isn't a Rust program and loads this code as a library.
    input: UnixStream,
    output: ChildStdout,
    errors: ChildStderr,
    errors_open: bool,
    /// What is still to be sent.
    unsent: VecDeque<u8>,
    /// How many messages are to come.
    expected: usize,
    received: Vec<u8>,
    log: VecDeque<u8>,
}

/// Bytes of standard error that are kept.
const LOG: usize = 16 << 10;

impl Channel {
    /// A channel over a child's pipes.
    pub fn new(input: UnixStream, output: ChildStdout, errors: ChildStderr) -> io::Result<Self> {
        input.set_nonblocking(true)?;
        unblock(&output)?;
        unblock(&errors)?;
        Ok(Channel {
            input,
            output,
            errors,
            errors_open: true,
            unsent: VecDeque::new(),
            expected: 1,
            received: Vec::new(),
            log: VecDeque::new(),
        })
    }

    /// Has a frame be sent while messages are waited for.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), Broken> {
        if self.expected == 0 && !self.received.is_empty() {
            return Err(Broken::Garbled("more than one message for one request"));
        }
        self.unsent.extend(frame);
        self.expected += 1;
        Ok(())
    }

    /// Waits for the body of the next frame.
    pub fn receive(&mut self, limit: Duration, tick: &mut dyn FnMut()) -> Result<Vec<u8>, Broken> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(body) = self.take_frame()? {
                self.expected -= 1;
                return Ok(body);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Broken::TimedOut);
            }
            let ready = self
                .wait(!self.unsent.is_empty(), left.min(progress::INTERVAL))
                .map_err(Broken::Io)?;
            if ready.errors {
                self.read_errors();
            }
            if ready.input {
                match self.send_some(self.unsent.as_slices().0) {
                    Ok(sent) => drop(self.unsent.drain(..sent)),
                    // It reads no more, but may have said why: its output decides.
                    Err(_) => self.unsent.clear(),
                }
            }
            if ready.output {
                self.receive_some()?;
            }
            tick();
        }
    }

    /// The last lines of the child's standard error, up to what it has written by now.
    pub fn log(&mut self) -> String {
        self.read_errors();
        let (front, back) = self.log.as_slices();
        let bytes = [front, back].concat();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    /// A whole frame's body out of what was received.
    fn take_frame(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let Some((header, rest)) = self.received.split_first_chunk::<{ frame::HEADER }>() else {
            return Ok(None);
        };
        let len = frame::body_len(*header).ok_or(Broken::Garbled("a message of absurd length"))?;
        if rest.len() < len {
            return Ok(None);
        }
        let body = rest[..len].to_vec();
        self.received.drain(..frame::HEADER + len);
        Ok(Some(body))
    }

    fn wait(&self, sending: bool, limit: Duration) -> io::Result<Ready> {
        let entry = |fd: i32, events: libc::c_short| libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        // A negative descriptor is passed over.
        let mut entries = [
            entry(self.output.as_raw_fd(), libc::POLLIN),
            entry(
                if self.errors_open {
                    self.errors.as_raw_fd()
                } else {
                    -1
                },
                libc::POLLIN,
            ),
            entry(
                if sending { self.input.as_raw_fd() } else { -1 },
                libc::POLLOUT,
            ),
        ];
        let milliseconds = limit.as_millis().clamp(1, 1000) as libc::c_int;
        // SAFETY: a pointer to as many entries as stated.
        let count = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, milliseconds) };
        if count < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
            return Ok(Ready::default());
        }
        let [output, errors, input] = entries.map(|entry| entry.revents != 0);
        Ok(Ready {
            input,
            output,
            errors,
        })
    }

    fn send_some(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: a pointer to as many bytes as stated.
        let sent = unsafe {
            libc::send(
                self.input.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        if let Ok(sent) = usize::try_from(sent) {
            return Ok(sent);
        }
        let error = io::Error::last_os_error();
        if is_transient(&error) {
            Ok(0)
        } else {
            Err(error)
        }
    }

    fn receive_some(&mut self) -> Result<(), Broken> {
        let mut chunk = [0; 64 << 10];
        match self.output.read(&mut chunk) {
            Ok(0) => Err(Broken::Ended),
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if is_transient(&error) => Ok(()),
            Err(error) => Err(Broken::Io(error)),
        }
    }

    /// Moves what the child wrote to its standard error into the log.
    fn read_errors(&mut self) {
        let mut chunk = [0; 4 << 10];
        // At most what a pipe holds, so that a child that never stops writing doesn't hold us up.
        for _ in 0..16 {
            if !self.errors_open {
                return;
            }
            match self.errors.read(&mut chunk) {
                Ok(count) if count > 0 => {
                    for line in String::from_utf8_lossy(&chunk[..count]).lines() {
                        debug!(target: "legionella::driver", "{line}");
                    }
                    self.log.extend(&chunk[..count]);
                    let surplus = self.log.len().saturating_sub(LOG);
                    self.log.drain(..surplus);
                }
                Err(error) if is_transient(&error) => return,
                Ok(_) | Err(_) => self.errors_open = false,
            }
        }
    }
}

#[derive(Default)]
struct Ready {
    input: bool,
    output: bool,
    errors: bool,
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn unblock(pipe: &impl AsRawFd) -> io::Result<()> {
    let fd = pipe.as_raw_fd();
    // SAFETY: the descriptor is open, and only its status flags change.
    let changed = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        flags >= 0 && libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) >= 0
    };
    if changed {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
