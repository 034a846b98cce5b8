//! Accelerators: what there is, and what one does with them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use legionella_device::DeviceData;
use legionella_device::heap::statistics::Statistics as HeapStatistics;

use crate::backend::transfers::{self, Transfers};
use crate::backend::{self, Backend, Program};
use crate::buffer::{Buffer, HostBuffer, Place, Slice, SliceMut, Zeroable};
use crate::channel::Channel;
use crate::enqueue::{BeginLater, Prepared};
use crate::error::{Error, Result};
use crate::graph::{Graph, Recorder};
use crate::grid::Grid;
use crate::launch::{self, After, Kernel, Launch};
use crate::printing::Printed;
use crate::queue::Queue;
use crate::schedule::completion::Completion;
use crate::schedule::slot::Ticket;
use crate::signal::HostSignal;

/// Variable with the name of the accelerator that [`Accelerator::best`] gives.
const CHOICE: &str = "LEGIONELLA_ACCELERATOR";

/// A device that runs kernels. Cheap to clone; clones are the same device.
#[derive(Clone)]
pub struct Accelerator(Arc<Device>);

struct Device {
    id: u64,
    backend: Arc<dyn Backend>,
    /// The code for copies, once there were some.
    transfers: OnceLock<&'static Program>,
}

impl Accelerator {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Accelerator(Arc::new(Device {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            backend,
            transfers: OnceLock::new(),
        }))
    }

    /// All accelerators of this machine, the fastest first. The CPU is always one.
    ///
    /// # Errors
    /// If the environment configures an accelerator in a way that has no meaning.
    pub fn list() -> Result<&'static [Accelerator]> {
        static ALL: OnceLock<Result<Vec<Accelerator>>> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            let devices = backend::devices()?;
            Ok(devices.into_iter().map(Accelerator::new).collect())
        });
        all.as_deref().map_err(Error::clone)
    }

    /// The fastest accelerator, or the one that `LEGIONELLA_ACCELERATOR` names.
    ///
    /// # Errors
    /// As for [`Accelerator::by_name`] if that variable is set.
    pub fn best() -> Result<Accelerator> {
        if let Some(name) = std::env::var_os(CHOICE).filter(|name| !name.is_empty()) {
            return Accelerator::by_name(&name.to_string_lossy());
        }
        let best = Accelerator::list()?.first().cloned();
        best.ok_or_else(|| Error::NoSuchAccelerator {
            name: "best".to_owned(),
            known: Vec::new(),
        })?
        .or_renewed()
    }

    /// The accelerator of that name, such as `cpu` or `cuda:0`. If it was [lost](Error::DeviceLost),
    /// this is a new one on the same device.
    ///
    /// # Errors
    /// [`Error::NoSuchAccelerator`], which lists those there are; [`Error::DeviceLost`] if a lost
    /// one can't be opened anew.
    pub fn by_name(name: &str) -> Result<Accelerator> {
        let all = Accelerator::list()?;
        let found = all.iter().find(|accelerator| accelerator.name() == name);
        found
            .cloned()
            .ok_or_else(|| Error::NoSuchAccelerator {
                name: name.to_owned(),
                known: all.iter().map(|known| known.name().to_owned()).collect(),
            })?
            .or_renewed()
    }

    /// The accelerator itself, or the one that came after it was lost.
    fn or_renewed(self) -> Result<Accelerator> {
        static RENEWED: Mutex<Vec<Accelerator>> = Mutex::new(Vec::new());
        if !self.backend().is_lost() {
            return Ok(self);
        }
        let mut renewed = RENEWED.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = renewed.iter().rfind(|other| other.name() == self.name());
        let latest = latest.unwrap_or(&self);
        if !latest.backend().is_lost() {
            return Ok(latest.clone());
        }
        let new = Accelerator::new(latest.backend().renewed()?);
        renewed.push(new.clone());
        Ok(new)
    }

    /// What the accelerator is, in words.
    pub fn description(&self) -> String {
        self.0.backend.description()
    }

    /// What the accelerator is called.
    pub fn name(&self) -> &str {
        self.0.backend.name()
    }

    /// A buffer with a copy of these elements.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn upload<T: DeviceData>(&self, elements: &[T]) -> Result<Buffer<T>> {
        Buffer::upload(self, elements)
    }

    /// A buffer of `len` equal elements.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn filled<T: DeviceData>(&self, len: usize, value: T) -> Result<Buffer<T>> {
        Buffer::filled(self, len, value)
    }

    /// A buffer of `len` elements that are zero.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub fn zeroed<T: Zeroable>(&self, len: usize) -> Result<Buffer<T>> {
        Buffer::zeroed(self, len)
    }

    /// Memory of the host that stays where it is, for `len` elements of one value: copies between it and
    /// buffers run at full speed, beside kernels.
    ///
    /// There is less of it than of other memory, and it is slow to make: keep it for many copies.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Unsupported`].
    pub fn pinned<T: DeviceData>(&self, len: usize, value: T) -> Result<HostBuffer<T>> {
        HostBuffer::filled(self, Place::Host, len, value)
    }

    /// Memory for `len` elements of one value that moves to wherever it is used, a piece at a time.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]; [`Error::Unsupported`], also where the host may not use such memory while a
    /// kernel runs.
    pub fn managed<T: DeviceData>(&self, len: usize, value: T) -> Result<HostBuffer<T>> {
        HostBuffer::filled(self, Place::Moving, len, value)
    }

    /// Runs a kernel once for every work-item of a grid.
    ///
    /// `kernel` is a function or a closure without captures, its first parameter an
    /// [`Item`](crate::Item); `arguments` is a tuple of what the other parameters are made of, as
    /// [`PassAs`](crate::PassAs) lists. The call returns when the launch is scheduled: it runs
    /// after those it conflicts with, beside those it doesn't.
    ///
    /// The first launch of a kernel on an accelerator generates its code, unless that was
    /// generated before, or waits for another thread that does.
    ///
    /// # Errors
    /// [`Error::Code`] if there is no code for the kernel, [`Error::Grid`] if the grid has no
    /// meaning, [`Error::WrongAccelerator`] if a buffer is elsewhere. What goes wrong while the
    /// kernel runs is the [`Completion`]'s to tell.
    #[inline]
    pub fn launch<K, A, P>(
        &self,
        kernel: K,
        grid: impl Into<Grid>,
        arguments: A,
    ) -> Result<Completion>
    where
        K: Launch<A, P>,
    {
        let _ = kernel;
        // SAFETY: `Launch` says that it is safe.
        unsafe { launch::launch::<K, A, P>(self, grid.into(), arguments, After::default()) }
    }

    /// As [`launch`](Accelerator::launch), with arguments that only the caller can answer for: raw
    /// addresses from [`Buffer::device_ptr`].
    ///
    /// # Safety
    /// For every address among the arguments:
    /// * the buffer that it points into lives until the launch has ended;
    /// * the kernel stays within the buffer;
    /// * what one work-item writes, no other uses, unless both do it atomically;
    /// * until the launch has ended, no other launch and no access by the host uses what it writes
    ///   or writes what it reads. Nothing orders launches by addresses: order them by
    ///   [`after`](Accelerator::after), a [`Queue`] or [`Completion::wait`].
    ///
    /// # Errors
    /// As for [`launch`](Accelerator::launch).
    #[inline]
    pub unsafe fn launch_unchecked<K, A, P>(
        &self,
        kernel: K,
        grid: impl Into<Grid>,
        arguments: A,
    ) -> Result<Completion>
    where
        K: Kernel<A, P>,
    {
        let _ = kernel;
        // SAFETY: the caller's promise.
        unsafe { launch::launch::<K, A, P>(self, grid.into(), arguments, After::default()) }
    }

    /// Copies elements of one buffer or slice to another, both on this accelerator, as a launch does: the call
    /// returns when the copy is scheduled.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`]; [`Error::WrongAccelerator`] if a buffer is elsewhere. What goes wrong while it
    /// runs is the [`Completion`]'s to tell.
    pub fn copy<'b, 'c, T: DeviceData>(
        &self,
        from: impl Into<Slice<'b, T>>,
        to: impl Into<SliceMut<'c, T>>,
    ) -> Result<Completion> {
        let (from, to) = (from.into(), to.into());
        launch::transfer(
            self,
            |binder| to.copied_from(from, binder),
            After::default(),
        )
    }

    /// Overwrites elements of a buffer or slice with one value, as a launch does: the call returns when that is
    /// scheduled.
    ///
    /// # Errors
    /// As for [`copy`](Accelerator::copy).
    pub fn fill<'b, T: DeviceData>(
        &self,
        to: impl Into<SliceMut<'b, T>>,
        value: T,
    ) -> Result<Completion> {
        let to = to.into();
        launch::transfer(
            self,
            |binder| to.filled_with(value, binder),
            After::default(),
        )
    }

    /// Records launches, copies and fills, to be replayed as one launch: see [`Graph`].
    ///
    /// Nothing runs before [`Graph::replay`]. Code of kernels is generated while they are recorded.
    ///
    /// ```no_run
    /// use legionella::prelude::*;
    ///
    /// fn step(at: Item, x: &[f32], mut y: Disjoint<f32>) {
    ///     if let Some(y) = y.at(&at) {
    ///         *y = 0.5 * (x[at.global()] + x[(at.global() + 1) % x.len()]);
    ///     }
    /// }
    ///
    /// # fn main() -> legionella::Result<()> {
    /// let accelerator = Accelerator::best()?;
    /// let mut x = accelerator.upload(&[1.0, 2.0, 4.0, 8.0])?;
    /// let mut y = accelerator.zeroed(4)?;
    /// let steps = accelerator.record(|recorder| {
    ///     recorder.launch(step, 4, (&x, &mut y))?;
    ///     recorder.launch(step, 4, (&y, &mut x))
    /// })?;
    /// for _ in 0..1000 {
    ///     steps.replay()?;
    /// }
    /// println!("{:?}", x.to_vec()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the function; [`Error::Device`] if the device refuses such a graph.
    pub fn record(&self, record: impl FnOnce(&mut Recorder<'_>) -> Result<()>) -> Result<Graph> {
        Graph::record(self, record)
    }

    /// Launches that run after these have ended, whether those succeed or not.
    ///
    /// ```no_run
    /// # use legionella::prelude::*;
    /// # fn first(_: Item) {}
    /// # fn second(_: Item) {}
    /// # fn main() -> legionella::Result<()> {
    /// # let accel = Accelerator::best()?;
    /// let before = accel.launch(first, 100, ())?;
    /// accel.after([&before]).launch(second, 100, ())?.wait()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn after<'c>(&self, launches: impl IntoIterator<Item = &'c Completion>) -> Ordered<'_> {
        Ordered {
            accelerator: self,
            tickets: launches
                .into_iter()
                .filter_map(Completion::ticket)
                .collect(),
        }
    }

    /// Lanes of a whole [`Subgroup`](crate::Subgroup) on this accelerator.
    pub fn subgroup_size(&self) -> usize {
        self.backend().subgroup_size()
    }

    /// The same device as another accelerator, with a heap of that many bytes from which its kernels
    /// allocate: `Box`, `Vec` and their like. Some of them are used for keeping book.
    ///
    /// When the heap is exhausted, a kernel that allocates panics. On the CPU, accelerators that are not
    /// made so use the program's own allocator, unless `LEGIONELLA_HEAP` says how large their heap is.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], also if that is too small for a heap; [`Error::Unsupported`].
    pub fn with_heap(&self, bytes: usize) -> Result<Accelerator> {
        self.backend().with_heap(bytes).map(Accelerator::new)
    }

    /// What the heap of the accelerator's kernels holds; `None` if that is the program's own.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn heap(&self) -> Result<Option<HeapStatistics>> {
        self.backend().heap()
    }

    /// A channel with room for at least that many values, into which kernels send and from which the
    /// host receives, also while they run.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Unsupported`].
    pub fn channel<T: DeviceData>(&self, capacity: usize) -> Result<Channel<T>> {
        Channel::new(self, capacity)
    }

    /// A number that kernels and the host change and wait for while kernels run.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Unsupported`].
    pub fn signal(&self, value: i64) -> Result<HostSignal> {
        HostSignal::new(self, value)
    }

    /// The moment at which a signal is 0, for launches on this accelerator that are to run [after](Accelerator::after) it.
    ///
    /// A kernel that changes a signal to 0 thereby has launches begin that need not wait for its end. On AMD's devices
    /// the queue itself waits for the signal. [`Completion::cancel`] ends the wait, as does the signal being 0 for long
    /// enough to be seen; until then what comes after it waits.
    ///
    /// ```no_run
    /// use legionella::prelude::*;
    ///
    /// fn search(at: Item, x: &[u32], missing: &Signal) {
    ///     if x[at.global()] == 42 {
    ///         missing.set(0); // The other launch begins.
    ///     }
    ///     // Much more to do.
    /// }
    ///
    /// fn celebrate(_: Item) {
    ///     legionella::println!("found");
    /// }
    ///
    /// # fn main() -> legionella::Result<()> {
    /// let accelerator = Accelerator::best()?;
    /// let x = accelerator.upload(&(0..100).collect::<Vec<u32>>())?;
    /// let missing = accelerator.signal(1)?;
    /// let found = accelerator.when_zero(&missing)?;
    /// let party = accelerator.after([&found]).launch(celebrate, 1, ())?;
    /// accelerator.launch(search, 100, (&x, &missing))?;
    /// party.wait()
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::WrongAccelerator`] if the accelerator doesn't see the signal.
    pub fn when_zero(&self, signal: &HostSignal) -> Result<Completion> {
        signal.zero(self)
    }

    /// A kernel with its arguments, for kernels to launch up to `capacity` times a launch of theirs.
    ///
    /// The first argument is [`later()`](crate::later()): the value that the launching kernel gives, by the
    /// [`Enqueue`](crate::Enqueue) that it gets for an argument `&prepared`. Launches that are made so run one after the
    /// other when the launch that made them has, and that ends when they have: its [`Completion`] is theirs as well, and
    /// what they use is ordered as if it used that itself. AMD's devices launch by themselves; for others the host does.
    ///
    /// ```no_run
    /// use legionella::prelude::*;
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    ///
    /// fn rough(at: Item, errors: &[f32], refine: Enqueue<u32>) {
    ///     if errors[at.global()] > 0.1 {
    ///         // Without room, the part stays as it is.
    ///         let _ = refine.enqueue(at.global() as u32);
    ///     }
    /// }
    ///
    /// fn fine(_: Item, part: u32, refined: &[AtomicU32]) {
    ///     refined[part as usize].fetch_add(1, Relaxed);
    /// }
    ///
    /// # fn main() -> legionella::Result<()> {
    /// let accelerator = Accelerator::best()?;
    /// let errors = accelerator.upload(&[0.0, 0.5, 0.05, 0.2])?;
    /// let mut refined = accelerator.zeroed::<u32>(4)?;
    /// let refine = accelerator.prepare(fine, 64, (later(), refined.atomic()), 16)?;
    /// accelerator.launch(rough, 4, (&errors, &refine))?.wait()?;
    /// assert_eq!(refined.to_vec()?, [0, 64, 0, 64]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The buffers are lent for the call alone: what is prepared keeps their memory. A kernel that panics leaves what it
    /// has enqueued to run; one that is cancelled may not.
    ///
    /// # Errors
    /// As for [`launch`](Accelerator::launch); [`Error::OutOfMemory`], also for more than 1024 launches;
    /// [`Error::Unsupported`] for a kernel that itself launches others.
    pub fn prepare<K, A, P>(
        &self,
        kernel: K,
        grid: impl Into<Grid>,
        arguments: A,
        capacity: usize,
    ) -> Result<Prepared<A::Value>>
    where
        K: Launch<A, P>,
        A: BeginLater,
    {
        let _ = kernel;
        Prepared::new::<K, A, P>(self, grid.into(), arguments, capacity)
    }

    /// Gives what kernels on this accelerator [print](crate::println) to a function, in place of
    /// standard output and standard error.
    ///
    /// It is called on any thread, in the order in which messages arrived, and for all that a launch
    /// has printed before the launch has ended. It must neither launch kernels nor wait for them.
    ///
    /// # Errors
    /// [`Error::Unsupported`], [`Error::OutOfMemory`].
    pub fn on_print(&self, handler: impl FnMut(Printed<'_>) + Send + 'static) -> Result<()> {
        self.backend().printer()?.set_handler(Box::new(handler));
        Ok(())
    }

    /// A new queue: launches on it run one after the other.
    pub fn queue(&self) -> Queue {
        Queue::new(self.clone())
    }

    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &*self.0.backend
    }

    /// The code for copies and fills.
    pub(crate) fn transfers(&self) -> Result<&'static Program> {
        if let Some(program) = self.0.transfers.get() {
            return Ok(program);
        }
        let code = match self.backend().transfers()? {
            Some(code) => code,
            None => Box::new(Transfers::new(&self.0.backend)),
        };
        Ok(self
            .0
            .transfers
            .get_or_init(|| Box::leak(Box::new(Program::new(transfers::NAME.into(), code)))))
    }
}

impl PartialEq for Accelerator {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Accelerator {}

impl fmt::Debug for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Accelerator({})", self.name())
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An accelerator whose launches run after others: see [`Accelerator::after`].
#[derive(Debug)]
pub struct Ordered<'a> {
    accelerator: &'a Accelerator,
    tickets: Vec<Ticket>,
}

impl Ordered<'_> {
    /// As [`Accelerator::launch`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn launch<K, A, P>(
        &self,
        kernel: K,
        grid: impl Into<Grid>,
        arguments: A,
    ) -> Result<Completion>
    where
        K: Launch<A, P>,
    {
        let _ = kernel;
        // SAFETY: `Launch` says that it is safe.
        unsafe { launch::launch::<K, A, P>(self.accelerator, grid.into(), arguments, self.order()) }
    }

    /// As [`Accelerator::launch_unchecked`].
    ///
    /// # Safety
    /// As there.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub unsafe fn launch_unchecked<K, A, P>(
        &self,
        kernel: K,
        grid: impl Into<Grid>,
        arguments: A,
    ) -> Result<Completion>
    where
        K: Kernel<A, P>,
    {
        let _ = kernel;
        // SAFETY: the caller's promise.
        unsafe { launch::launch::<K, A, P>(self.accelerator, grid.into(), arguments, self.order()) }
    }

    /// As [`Graph::replay`].
    ///
    /// # Errors
    /// As there; [`Error::WrongAccelerator`] if the graph was recorded on another.
    pub fn replay(&self, graph: &Graph) -> Result<Completion> {
        graph.is_on(self.accelerator)?;
        graph.replay_after(self.order())
    }

    fn order(&self) -> After<'_> {
        After {
            tickets: &self.tickets,
            queue: None,
        }
    }
}
