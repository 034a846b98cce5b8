//! Streams that launches are in, and how far each has come.
//!
//! What a stream is given has positions, from 1 on. Behind some of it the stream is given a *mark*: to
//! write that position to a word of the host's memory once all before has ended. So the end of launches
//! is seen by looking at memory: nothing is asked of the driver, which those who launch are waiting for,
//! and not each launch needs a mark.
//!
//! A stream that had nothing to do is marked at once. Of many launches in a row one in [`BATCH`] is, and
//! the last one when somebody waits for it, or when the stream was given nothing for a while. A mark takes about half as
//! long as a launch; so launches that the device does faster than they come are such a row as well, though the stream
//! has nothing to do each time.

use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::api::{self, Address, Event, Stream};
use super::device::Device;
use super::states::Place;
use crate::error::{Error, Result};
use crate::schedule::slot::{Behind, Lane};

/// Streams of a device.
pub(super) const STREAMS: usize = 8;

/// How many launches follow each other without a mark.
const BATCH: u32 = 64;

/// A word that a device writes and the host reads, apart from others.
#[repr(C, align(128))]
struct Word(AtomicU32);

/// The streams of a device.
pub(super) struct Lanes {
    device: Arc<Device>,
    lines: Vec<Line>,
    turn: AtomicUsize,
    /// Events that nothing is recorded by.
    events: Mutex<Vec<Event>>,
    /// Whether the device writes words as such; else it fills memory with them.
    writes: bool,
}

/// One stream.
struct Line {
    stream: Stream,
    /// The position whose mark was reached last, modulo 2³².
    word: *const Word,
    /// The same word, for the device.
    address: Address,
    /// The low half of the last position, and of the one that was marked last.
    last: AtomicU32,
    marked: AtomicU32,
    given: Mutex<Given>,
}

/// What of a stream is marked at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// What comes before what it is given now, if that may wait for the host: who waits for what comes before would
    /// otherwise get a mark behind both, and neither went on.
    pub(super) before: bool,
    /// What it is given now.
    pub(super) behind: bool,
}

/// What a stream was given.
#[derive(Default)]
struct Given {
    /// The last position.
    last: u64,
    /// The position that was marked last.
    marked: u64,
    /// Whether nobody has waited since, nor was it given nothing for a while.
    in_row: bool,
    /// States for launches that it is given.
    places: Vec<Place>,
}

// SAFETY: streams and events may be used by any thread; words are atomic and stay as long as the process.
unsafe impl Send for Lanes {}
// SAFETY: as above.
unsafe impl Sync for Lanes {}

/// Something that a stream was given: it ends when the stream has come that far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) lane: Lane,
    pub(super) number: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    /// # Safety
    /// The device's context is current.
    pub(super) unsafe fn new(device: &Arc<Device>) -> Result<Self> {
        let api = device.api();
        let (mut words, mut seen): (_, Address) = (null_mut(), 0);
        let size = STREAMS * size_of::<Word>();
        // SAFETY: both are valid for writes; the words are written before anything reads them.
        unsafe {
            device.check((api.allocate_host)(&mut words, size, api::HOST_MAPPED))?;
            ptr::write_bytes(words.cast::<u8>(), 0, size);
            device.check((api.host_address)(&mut seen, words, 0))?;
        }
        let mut lines = Vec::new();
        let mut writes = true;
        for index in 0..STREAMS {
            // SAFETY: the caller's promise.
            let stream = unsafe { device.new_stream() }?;
            let address = seen + (index * size_of::<Word>()) as Address;
            // SAFETY: a stream of the device, and a word that it may write.
            match unsafe { (api.write_word)(stream, address, 0, 0) } {
                api::NOT_SUPPORTED => writes = false,
                code => device.check(code)?,
            }
            lines.push(Line {
                stream,
                word: words.cast::<Word>().wrapping_add(index),
                address,
                last: AtomicU32::new(0),
                marked: AtomicU32::new(0),
                given: Mutex::default(),
            });
        }
        Ok(Lanes {
            device: Arc::clone(device),
            lines,
            turn: AtomicUsize::new(0),
            events: Mutex::default(),
            writes,
        })
    }

    fn line(&self, lane: Lane) -> &Line {
        &self.lines[lane.0 as usize]
    }

    pub(super) fn stream(&self, lane: Lane) -> Stream {
        self.line(lane).stream
    }

    /// The lane for something that comes after what is in these lanes, for all of which it then waits.
    /// Behind none, it is one that has nothing to do, if there is such a lane. The context is current.
    pub(super) fn choose(&self, behind: Behind) -> Result<Lane> {
        match behind.only() {
            Some(lane) => Ok(lane),
            None => self.choose_among(behind),
        }
    }

    #[inline(never)]
    fn choose_among(&self, mut behind: Behind) -> Result<Lane> {
        let Some(lane) = behind.next() else {
            let idle = self.lines.iter().position(Line::is_idle);
            let any = || self.turn.fetch_add(1, Ordering::Relaxed) % self.lines.len();
            return Ok(Lane(idle.unwrap_or_else(any) as u32));
        };
        for other in behind {
            self.wait_for(self.stream(lane), self.stream(other))?;
        }
        Ok(lane)
    }

    /// Has a stream wait for what another was given. The context is current.
    fn wait_for(&self, stream: Stream, other: Stream) -> Result<()> {
        let event = self.event()?;
        let api = self.device.api();
        // SAFETY: event and streams are the device's. What the stream waits for is fixed by the call, so
        // that the event may be used again.
        let waits = unsafe {
            match (api.record_event)(event, other) {
                0 => (api.wait_event)(stream, event, 0),
                failed => failed,
            }
        };
        lock(&self.events).push(event);
        self.device.check(waits)
    }

    /// An event that nobody uses.
    fn event(&self) -> Result<Event> {
        if let Some(event) = lock(&self.events).pop() {
            return Ok(event);
        }
        let mut event = null_mut();
        // SAFETY: valid for writes; the context is current.
        self.device.check(unsafe {
            (self.device.api().create_event)(&mut event, api::EVENT_DISABLE_TIMING)
        })?;
        Ok(event)
    }

    /// Gives something to a stream, and tells its position. It is marked at once if the stream had
    /// nothing to do, and this is no launch of many in a row, or if that is asked for; so is what comes before it. Gives what `give` does as well, which
    /// is lent the states that launches there may have. The context is current.
    ///
    /// If it fails, parts of it may be in the stream, which have then ended.
    #[inline]
    pub(super) fn give<T>(
        &self,
        lane: Lane,
        marks: Marks,
        give: impl FnOnce(Stream, &mut Vec<Place>) -> Result<T>,
    ) -> Result<(Position, T)> {
        let line = self.line(lane);
        let mut given = lock(&line.given);
        let alone = line.is_idle() && !given.in_row;
        let given = &mut *given;
        let issue = || {
            if marks.before && given.last != given.marked {
                self.mark(line, given)?;
            }
            let gives = give(line.stream, &mut given.places)?;
            given.last += 1;
            line.last.store(given.last as u32, Ordering::Relaxed);
            if marks.behind || alone || given.last - given.marked >= u64::from(BATCH) {
                self.mark(line, given)?;
                given.in_row = true;
            }
            let number = given.last;
            Ok((Position { lane, number }, gives))
        };
        issue().inspect_err(|_| self.wait(lane))
    }

    /// Waits for all that a lane was given, whether or not it fails.
    pub(super) fn wait(&self, lane: Lane) {
        // SAFETY: the stream is the device's.
        unsafe { (self.device.api().wait_stream)(self.stream(lane)) };
    }

    /// Marks what a stream was given last, unless that is marked, or the stream is being given something,
    /// which may take until kernels have ended.
    pub(super) fn mark_last(&self, lane: Lane) -> Result<()> {
        let line = self.line(lane);
        let Ok(mut given) = line.given.try_lock() else {
            return Ok(());
        };
        given.in_row = false;
        match given.last == given.marked {
            true => Ok(()),
            false => self.device.with_context(|_| self.mark(line, &mut given)),
        }
    }

    #[inline(never)]
    fn mark(&self, line: &Line, given: &mut Given) -> Result<()> {
        let (api, word) = (self.device.api(), given.last as u32);
        // SAFETY: the stream is the device's, and the word stays. The device writes it after all that
        // came before, and what that wrote can be seen by whoever sees it.
        self.device.check(unsafe {
            match self.writes {
                true => (api.write_word)(line.stream, line.address, word, 0),
                false => (api.fill_words)(line.address, word, 1, line.stream),
            }
        })?;
        given.marked = given.last;
        line.marked.store(word, Ordering::Relaxed);
        Ok(())
    }

    /// The low half of a lane's last position.
    pub(super) fn last(&self, lane: Lane) -> u32 {
        self.line(lane).last.load(Ordering::Relaxed)
    }

    /// Whether what a lane was given last is marked.
    pub(super) fn is_marked(&self, lane: Lane) -> bool {
        self.line(lane).marked.load(Ordering::Relaxed) == self.last(lane)
    }

    /// The low half of how far a lane has come.
    pub(super) fn word(&self, lane: Lane) -> u32 {
        self.line(lane).reached()
    }

    /// How far a lane has come, at least: `after` is where it was, less than 2³¹ before.
    pub(super) fn reached(&self, lane: Lane, after: u64) -> u64 {
        after + u64::from(self.line(lane).reached().wrapping_sub(after as u32))
    }

    /// What the driver says of a stream that does not go on; nothing if it still runs. The context is
    /// current.
    pub(super) fn failure(&self, lane: Lane) -> Option<Error> {
        // SAFETY: the stream is the device's.
        match unsafe { (self.device.api().query_stream)(self.stream(lane)) } {
            api::NOT_READY => None,
            code => self.device.check(code).err(),
        }
    }
}

impl Line {
    fn reached(&self) -> u32 {
        // SAFETY: memory of the host that stays; the device writes it as a whole.
        unsafe { (*self.word).0.load(Ordering::Acquire) }
    }

    fn is_idle(&self) -> bool {
        self.last.load(Ordering::Relaxed) == self.reached()
    }
}
