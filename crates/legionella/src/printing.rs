//! Text that kernels print. Takes pieces of messages from a device's port
//! ([`legionella_device::print`]), puts the messages of each work-item together to lines, and gives
//! those to a function.

use std::alloc::Layout;
use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use legionella_device::channel::ring::Ring;
use legionella_device::print::{CELL, ERROR, FIRST, Head, LAST, Port};

use crate::backend::Backend;
use crate::error::{Error, Result};

/// Prints on standard output: in a kernel by way of the host, on the host as `std`'s macro does.
///
/// What a kernel prints arrives in order for each work-item, whole lines at a time, and all of it
/// before the launch has ended. If kernels print faster than the host takes it, whole messages are
/// lost, and their number is printed on standard error. [`Accelerator::on_print`] gives it all to a
/// function instead.
///
/// [`Accelerator::on_print`]: crate::Accelerator::on_print
///
/// ```
/// use legionella::prelude::*;
///
/// fn report(at: Item, x: &[f32]) {
///     if x[at.global()].is_nan() {
///         legionella::println!("element {} is not a number", at.global());
///     }
/// }
/// # legionella::host::launch(report, 2, (&[1.0, f32::NAN],));
/// ```
#[macro_export]
macro_rules! println {
    () => {
        $crate::print!("\n")
    };
    ($($text:tt)+) => {
        $crate::print!("{}\n", ::core::format_args!($($text)+))
    };
}

/// As [`println!`], without the end of the line.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::printing::print(::core::format_args!($($text)*))
    };
}

/// As [`println!`], on standard error.
#[macro_export]
macro_rules! eprintln {
    () => {
        $crate::eprint!("\n")
    };
    ($($text:tt)+) => {
        $crate::eprint!("{}\n", ::core::format_args!($($text)+))
    };
}

/// As [`print!`], on standard error.
#[macro_export]
macro_rules! eprint {
    ($($text:tt)*) => {
        $crate::printing::eprint(::core::format_args!($($text)*))
    };
}

/// Prints expressions with their values and where they stand, as `std`'s macro does, and gives the
/// values.
///
/// ```
/// let x = legionella::dbg!(2 + 3) * 2;
/// assert_eq!(x, 10);
/// ```
#[macro_export]
macro_rules! dbg {
    () => {
        $crate::eprintln!("[{}:{}:{}]", ::core::file!(), ::core::line!(), ::core::column!())
    };
    ($value:expr $(,)?) => {
        match $value {
            value => {
                $crate::eprintln!(
                    "[{}:{}:{}] {} = {:#?}",
                    ::core::file!(),
                    ::core::line!(),
                    ::core::column!(),
                    ::core::stringify!($value),
                    &value,
                );
                value
            }
        }
    };
    ($($value:expr),+ $(,)?) => {
        ($($crate::dbg!($value)),+,)
    };
}

/// What [`print!`](crate::print!) calls.
#[doc(hidden)]
#[inline(always)]
pub fn print(text: fmt::Arguments<'_>) {
    if !legionella_device::print::print(text, 0) {
        std::print!("{text}");
    }
}

/// What [`eprint!`](crate::eprint!) calls.
#[doc(hidden)]
#[inline(always)]
pub fn eprint(text: fmt::Arguments<'_>) {
    if !legionella_device::print::print(text, ERROR) {
        std::eprint!("{text}");
    }
}

/// Which of a program's two outputs a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What kernels have printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Printed<'a> {
    /// Lines of one work-item, with their ends; or at the end of a launch a line that has none.
    Text {
        /// The lines.
        text: &'a str,
        /// What they are for.
        stream: Stream,
        /// The work-item's linear id.
        item: u64,
    },
    /// That many messages were lost, because the host did not take them out fast enough.
    Lost(u64),
}

/// Who is given what kernels print.
pub(crate) type Handler = Box<dyn FnMut(Printed<'_>) + Send>;

/// Prints where programs print.
fn to_the_standard_streams(printed: Printed<'_>) {
    // Who has closed the stream doesn't want to know.
    let _ = match printed {
        Printed::Text {
            text,
            stream: Stream::Output,
            ..
        } => std::io::stdout().write_all(text.as_bytes()),
        Printed::Text { text, .. } => std::io::stderr().write_all(text.as_bytes()),
        Printed::Lost(count) => writeln!(
            std::io::stderr(),
            "legionella: {count} messages that kernels printed are lost: they came faster than they \
             could be printed"
        ),
    };
}

/// Bytes of text for which a port has room.
const ROOM: usize = 1 << 20;

/// How long a thread that prints rests between two looks at the port.
const REST: Duration = Duration::from_micros(200);

/// How long the end of a launch waits for a piece of another that is on its way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints the texts of a device's kernels.
#[derive(Debug)]
pub(crate) struct Printer {
    port: &'static Port,
    head: &'static AtomicU64,
    /// Launches in flight that may print.
    launches: AtomicUsize,
    reader: Mutex<Reader>,
    begun: Condvar,
    thread: Once,
}

struct Reader {
    /// The position that is read next.
    next: u64,
    lines: HashMap<[u64; 2], Lines>,
    handler: Handler,
}

/// What a work-item has printed that is no whole line yet.
#[derive(Debug, Default)]
struct Lines {
    /// For each of both streams.
    text: [Vec<u8>; 2],
    /// A message of which some is still to come, and its stream.
    message: Vec<u8>,
}

impl Printer {
    /// A printer for a device, as long-lived as the programs that print: it is never freed.
    pub(crate) fn new(backend: &dyn Backend) -> Result<&'static Printer> {
        let out_of_memory = || Error::OutOfMemory {
            accelerator: backend.name().to_owned(),
            bytes: ROOM,
        };
        let (capacity, ring) = Ring::<[u8; CELL]>::layout(ROOM / CELL).ok_or_else(out_of_memory)?;
        let before = Layout::new::<(Port, AtomicU64)>();
        let (layout, at) = before.extend(ring).map_err(|_| out_of_memory())?;
        let memory = backend.allocate_visible(layout.pad_to_align())?;
        // SAFETY: the memory is large enough for both, all zeros, and never freed; nothing else uses
        // it.
        let (port, head) = unsafe {
            let port = memory.cast::<Port>();
            let head = port.add(1).cast::<AtomicU64>();
            let ring = memory.add(at).as_ptr();
            port.write(Port {
                ring: Ring::create(head.as_ptr(), ring, capacity, backend.is_live()),
                lost: AtomicU64::new(0),
                told: AtomicU64::new(0),
            });
            (port.as_ref(), head.as_ref())
        };
        Ok(Box::leak(Box::new(Printer {
            port,
            head,
            launches: AtomicUsize::new(0),
            reader: Mutex::new(Reader {
                next: 0,
                lines: HashMap::new(),
                handler: Box::new(to_the_standard_streams),
            }),
            begun: Condvar::new(),
            thread: Once::new(),
        })))
    }

    /// Where kernels print to.
    pub(crate) fn port(&self) -> &'static Port {
        self.port
    }

    pub(crate) fn set_handler(&self, handler: Handler) {
        self.reader().handler = handler;
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A launch starts that may print: somebody has to look from now on.
    pub(crate) fn launch_begins(&'static self) {
        if self.launches.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        self.thread.call_once(|| {
            let named = thread::Builder::new().name("legionella-print".to_owned());
            if let Err(error) = named.spawn(|| self.serve()) {
                tracing::warn!(%error, "texts of kernels are printed when their launches end");
            }
        });
        // Under the lock, so that a thread that is about to sleep hears of it.
        let _reader = self.reader();
        self.begun.notify_one();
    }

    /// All that a launch has printed is printed: whose argument block was at that address.
    pub(crate) fn launch_ended(&self, block: u64) {
        self.launches.fetch_sub(1, Ordering::Relaxed);
        let end = self.head.load(Ordering::Acquire);
        let begin = Instant::now();
        let mut reader = self.reader();
        loop {
            reader.read(self.port);
            let behind = end.wrapping_sub(reader.next).cast_signed() > 0;
            if !behind || begin.elapsed() > PATIENCE {
                break;
            }
            // A piece of another launch is on its way.
            drop(reader);
            thread::yield_now();
            reader = self.reader();
        }
        reader.end(block);
        reader.tell_losses(self.port);
    }

    /// The life of the thread that prints while launches run.
    fn serve(&self) {
        let mut reader = self.reader();
        loop {
            if self.launches.load(Ordering::Relaxed) == 0 {
                reader = (self.begun.wait(reader)).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            reader.read(self.port);
            drop(reader);
            thread::sleep(REST);
            reader = self.reader();
        }
    }
}

impl Reader {
    /// Reads all pieces that are there.
    fn read(&mut self, port: &Port) {
        let mut piece = Vec::new();
        // SAFETY: the port is valid; who holds the reader is the only consumer, and takes positions
        // in order.
        while let Some(first) = unsafe { port.ring.peek(self.next) } {
            let head = Head::from_bytes(&first);
            piece.clear();
            for position in self.next..self.next.wrapping_add(head.cells()) {
                // SAFETY: as above.
                match unsafe { port.ring.peek(position) } {
                    Some(cell) => piece.extend_from_slice(&cell),
                    // On its way.
                    None => return,
                }
            }
            for _ in 0..head.cells() {
                // SAFETY: as above; it was there.
                unsafe { port.ring.free(self.next) };
                self.next = self.next.wrapping_add(1);
            }
            let text = piece[size_of::<Head>()..].get(..head.len as usize);
            self.add(head, text.unwrap_or_default());
        }
    }

    /// Adds a piece, and prints what lines it makes whole.
    fn add(&mut self, head: Head, text: &[u8]) {
        let lines = self.lines.entry(head.from).or_default();
        if head.flags & FIRST != 0 {
            // One that never came to its end was lost, and counted.
            lines.message.clear();
        }
        lines.message.extend_from_slice(text);
        if head.flags & LAST == 0 {
            return;
        }
        let (stream, index) = match head.flags & ERROR {
            0 => (Stream::Output, 0),
            _ => (Stream::Error, 1),
        };
        let pending = &mut lines.text[index];
        let before = pending.len();
        pending.append(&mut lines.message);
        let Some(end) = pending[before..].iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let end = before + end + 1;
        let whole = String::from_utf8_lossy(&pending[..end]).into_owned();
        pending.drain(..end);
        if lines.text.iter().all(Vec::is_empty) {
            self.lines.remove(&head.from);
        }
        self.give(&whole, stream, head.from[1]);
    }

    /// Prints what a launch leaves.
    fn end(&mut self, block: u64) {
        let mut left: Vec<_> = (self.lines)
            .extract_if(|from, _| from[0] == block)
            .collect();
        left.sort_unstable_by_key(|(from, _)| *from);
        for (from, lines) in left {
            for (text, stream) in lines.text.iter().zip([Stream::Output, Stream::Error]) {
                if !text.is_empty() {
                    self.give(&String::from_utf8_lossy(text), stream, from[1]);
                }
            }
        }
    }

    fn tell_losses(&mut self, port: &Port) {
        let lost = port.untold();
        if lost > 0 {
            let told = port.told.load(Ordering::Relaxed);
            port.told.store(told.wrapping_add(lost), Ordering::Relaxed);
            self.tell(Printed::Lost(lost));
        }
    }

    fn give(&mut self, text: &str, stream: Stream, item: u64) {
        self.tell(Printed::Text { text, stream, item });
    }

    fn tell(&mut self, printed: Printed<'_>) {
        let handler = &mut self.handler;
        // A handler that panics is its owner's concern; launches go on.
        let told = catch_unwind(AssertUnwindSafe(|| handler(printed)));
        if let Err(payload) = told {
            std::mem::forget(payload);
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("next", &self.next)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use legionella_device::print::send;
    use std::sync::{Arc, mpsc};

    /// What a printer gave: the text, whether it was for standard error, and the item.
    type Given = (String, bool, u64);

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<Given>>>, Arc<AtomicU64>);

    impl Heard {
        fn at(printer: &Printer) -> Heard {
            let heard = Heard::default();
            let by = heard.clone();
            printer.set_handler(Box::new(move |printed| match printed {
                Printed::Text { text, stream, item } => {
                    let given = (text.to_owned(), stream == Stream::Error, item);
                    by.0.lock().unwrap().push(given);
                }
                Printed::Lost(count) => drop(by.1.fetch_add(count, Ordering::Relaxed)),
            }));
            heard
        }

        fn take(&self) -> Vec<Given> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn lost(&self) -> u64 {
            self.1.load(Ordering::Relaxed)
        }
    }

    fn printer() -> &'static Printer {
        Cpu::new("printing", 1).printer().unwrap()
    }

    fn line(text: &str, item: u64) -> Given {
        (text.to_owned(), false, item)
    }

    #[test]
    fn messages_of_an_item_become_lines() {
        let printer = printer();
        let heard = Heard::at(printer);
        let print = |item, text: &str, flags| {
            send(printer.port(), [7, item], format_args!("{text}"), flags);
        };
        printer.launch_begins();
        print(1, "a", 0);
        print(2, "one\ntwo\nthr", 0);
        print(1, "b", ERROR);
        print(1, "c\nd", 0);
        print(2, "ee\n", 0);
        print(1, "", 0);
        printer.launch_ended(7);
        let expected = [
            line("one\ntwo\n", 2),
            line("ac\n", 1),
            line("three\n", 2),
            line("d", 1),
            ("b".to_owned(), true, 1),
        ];
        assert_eq!(heard.take(), expected);
        assert_eq!(heard.lost(), 0);
    }

    #[test]
    fn only_what_the_launch_itself_leaves_is_printed_at_its_end() {
        let printer = printer();
        let heard = Heard::at(printer);
        printer.launch_begins();
        printer.launch_begins();
        send(printer.port(), [1, 0], format_args!("one"), 0);
        send(printer.port(), [2, 0], format_args!("two"), 0);
        printer.launch_ended(2);
        assert_eq!(heard.take(), [line("two", 0)]);
        send(printer.port(), [1, 0], format_args!(" more\n"), 0);
        printer.launch_ended(1);
        assert_eq!(heard.take(), [line("one more\n", 0)]);
    }

    #[test]
    fn long_messages_stay_whole() {
        let printer = printer();
        let heard = Heard::at(printer);
        printer.launch_begins();
        for len in [0, 95, 96, 97, 935, 936, 937, 1872, 5000] {
            let text = "ü".repeat(len / 2) + if len % 2 == 1 { "x\n" } else { "\n" };
            send(printer.port(), [3, len as u64], format_args!("{text}"), 0);
            printer.launch_begins();
            printer.launch_ended(3);
            assert_eq!(heard.take(), [line(&text, len as u64)], "{len}");
        }
        printer.launch_ended(3);
    }

    #[test]
    fn what_comes_too_fast_is_counted() {
        const SENT: u64 = 20_000;
        let printer = printer();
        let heard = Heard::at(printer);
        let (hold, held) = mpsc::channel::<()>();
        let (by, mut first) = (heard.clone(), true);
        // The host is busy with the first message until all are sent.
        printer.set_handler(Box::new(move |printed| match printed {
            Printed::Text { text, .. } => {
                by.0.lock().unwrap().push(line(text, 0));
                if std::mem::take(&mut first) {
                    let _ = held.recv();
                }
            }
            Printed::Lost(count) => drop(by.1.fetch_add(count, Ordering::Relaxed)),
        }));
        printer.launch_begins();
        for index in 0..SENT {
            send(printer.port(), [4, index], format_args!("{index}\n"), 0);
        }
        hold.send(()).unwrap();
        printer.launch_ended(4);
        let printed = heard.take();
        assert!(heard.lost() > 0);
        assert_eq!(printed.len() as u64 + heard.lost(), SENT);
        let numbers: Vec<u64> = (printed.iter())
            .map(|(text, ..)| text.trim_end().parse().unwrap())
            .collect();
        assert!(numbers.is_sorted());
    }
}
