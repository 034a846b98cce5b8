//! A driver without a device: streams are threads, memory of the device is the process's own, and kernels
//! are closures. It does what NVIDIA's documentation says of the functions that are used.

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use legionella_abi::nvptx::{Launch, Record, State};

use super::super::api::{
    self, Address, Api, Code, Context, CopyNode, FillNode, Found, KernelNode, NOT_READY,
    NOT_SUPPORTED,
};

/// `CUDA_ERROR_ILLEGAL_ADDRESS`.
const ILLEGAL_ADDRESS: Code = 700;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A device, and what was asked of it.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) lost: AtomicBool,
    /// Whether it can't write words.
    pub(super) wordless: AtomicBool,
    /// Whether it can access what others have.
    pub(super) reaches: AtomicBool,
    /// How often it was allowed to, and how often it copied from there.
    pub(super) allowed: AtomicUsize,
    pub(super) peer_copies: AtomicUsize,
    pub(super) launches: AtomicUsize,
    pub(super) marks: AtomicUsize,
    pub(super) events: AtomicUsize,
    pub(super) instances: AtomicUsize,
    pub(super) destroyed: AtomicUsize,
}

impl Fake {
    fn code(&self) -> Code {
        match self.lost.load(Ordering::SeqCst) {
            true => ILLEGAL_ADDRESS,
            false => 0,
        }
    }
}

/// The device of that number.
pub(super) fn device(number: c_int) -> &'static Fake {
    static ALL: Mutex<Option<HashMap<c_int, &'static Fake>>> = Mutex::new(None);
    let mut all = lock(&ALL);
    let all = all.get_or_insert_default();
    all.entry(number)
        .or_insert_with(|| Box::leak(Box::default()))
}

thread_local! {
    static CURRENT: Cell<Option<&'static Fake>> = const { Cell::new(None) };
}

fn current() -> &'static Fake {
    CURRENT.get().expect("a context is current")
}

type Op = Box<dyn FnOnce() + Send>;

/// A stream: what it was given and what of that is done.
struct Stream {
    fake: &'static Fake,
    given: AtomicU64,
    done: AtomicU64,
    ops: Mutex<Sender<Op>>,
}

impl Stream {
    fn at(stream: api::Stream) -> &'static Stream {
        // SAFETY: made by `create_stream`, and never freed.
        unsafe { &*stream.cast::<Stream>() }
    }

    fn give(&'static self, op: impl FnOnce() + Send + 'static) -> Code {
        let fake = self.fake;
        self.given.fetch_add(1, Ordering::SeqCst);
        let ops = lock(&self.ops);
        let sent = ops.send(Box::new(move || {
            // A lost device does nothing any more.
            if !fake.lost.load(Ordering::SeqCst) {
                op();
                self.done.fetch_add(1, Ordering::SeqCst);
            }
        }));
        sent.expect("streams never end");
        fake.code()
    }

    fn is_idle(&self) -> bool {
        self.done.load(Ordering::SeqCst) == self.given.load(Ordering::SeqCst)
    }
}

unsafe extern "C" fn create_stream(stream: *mut api::Stream, _flags: c_uint) -> Code {
    let (ops, taken) = channel::<Op>();
    let new: &'static Stream = Box::leak(Box::new(Stream {
        fake: current(),
        given: AtomicU64::new(0),
        done: AtomicU64::new(0),
        ops: Mutex::new(ops),
    }));
    thread::spawn(move || taken.into_iter().for_each(|op| op()));
    // SAFETY: valid for writes.
    unsafe { *stream = ptr::from_ref(new).cast_mut().cast() };
    0
}

unsafe extern "C" fn wait_stream(stream: api::Stream) -> Code {
    let stream = Stream::at(stream);
    while !stream.is_idle() && stream.fake.code() == 0 {
        thread::yield_now();
    }
    stream.fake.code()
}

unsafe extern "C" fn query_stream(stream: api::Stream) -> Code {
    let stream = Stream::at(stream);
    match (stream.fake.code(), stream.is_idle()) {
        (0, false) => NOT_READY,
        (code, _) => code,
    }
}

unsafe extern "C" fn write_word(
    stream: api::Stream,
    to: Address,
    value: c_uint,
    _flags: c_uint,
) -> Code {
    let stream = Stream::at(stream);
    if stream.fake.wordless.load(Ordering::SeqCst) {
        return NOT_SUPPORTED;
    }
    stream.fake.marks.fetch_add(1, Ordering::SeqCst);
    stream.give(move || write(to, value))
}

/// Writes memory as a device does.
fn write(to: Address, value: u32) {
    // SAFETY: a word that the host reads as an atomic.
    let word = unsafe { &*(to as *const std::sync::atomic::AtomicU32) };
    word.store(value, Ordering::SeqCst);
}

/// What a kernel is told.
pub(super) struct Run {
    pub(super) launch: Launch,
    pub(super) groups: [c_uint; 3],
    pub(super) block: Vec<u8>,
    state: u64,
    fake: &'static Fake,
}

impl Run {
    fn record(&self) -> *mut Record {
        // SAFETY: the address of a state, which leads to a record.
        unsafe { (*(self.state as *const State)).record as *mut Record }
    }

    /// Panics as generated code does, in the item of that number.
    pub(super) fn panic(&self, item: u32, message: &str) {
        let state = self.state as *mut State;
        // SAFETY: as above; nothing else runs in this kernel, which is a closure.
        unsafe {
            if std::mem::replace(&mut (*state).claimed, 1) != 0 {
                return;
            }
            let record = &mut *self.record();
            record.local = [item, 0, 0];
            record.line = 7;
            record.message[..message.len()].copy_from_slice(message.as_bytes());
            record.message_len = message.len() as u32;
            record.panicked = 1;
        }
    }

    /// Waits for the host as generated code does; whether it was not asked to end.
    pub(super) fn waits(&self) -> bool {
        // SAFETY: the field is written by the host as a whole.
        unsafe {
            let cancelled = &raw mut (*self.record()).cancelled;
            if cancelled.read_volatile() == 0 {
                thread::yield_now();
                return true;
            }
            cancelled.write_volatile(2);
        }
        false
    }

    /// Does what loses the device.
    pub(super) fn crash(&self) {
        self.fake.lost.store(true, Ordering::SeqCst);
    }
}

/// A kernel: the bytes of its argument block, and what it does.
pub(super) struct Kernel {
    block: usize,
    body: Box<dyn Fn(&Run) + Send + Sync>,
}

/// A function of the driver that runs a closure.
pub(super) fn function(block: usize, body: impl Fn(&Run) + Send + Sync + 'static) -> api::Function {
    let body = Box::new(body);
    Box::into_raw(Box::new(Kernel { block, body })).cast()
}

/// # Safety
/// As for the driver's own.
unsafe fn prepare(
    function: api::Function,
    groups: [c_uint; 3],
    parameters: *mut *mut c_void,
    fake: &'static Fake,
) -> impl Fn() + Clone + Send + 'static {
    // SAFETY: made by `function`; the parameters are those of the contract.
    let (kernel, launch, state, block) = unsafe {
        let kernel = &*function.cast::<Kernel>();
        let launch = (*parameters).cast::<Launch>().read();
        let state = (*parameters.add(1)).cast::<u64>().read();
        let block = (*parameters.add(2)).cast::<u8>();
        let block = std::slice::from_raw_parts(block, kernel.block).to_vec();
        (kernel, launch, state, block)
    };
    move || {
        fake.launches.fetch_add(1, Ordering::SeqCst);
        (kernel.body)(&Run {
            launch,
            block: block.clone(),
            groups,
            state,
            fake,
        });
    }
}

unsafe extern "C" fn launch(
    function: api::Function,
    x: c_uint,
    y: c_uint,
    z: c_uint,
    _width: c_uint,
    _height: c_uint,
    _depth: c_uint,
    _shared: c_uint,
    stream: api::Stream,
    parameters: *mut *mut c_void,
    _extra: *mut *mut c_void,
) -> Code {
    let stream = Stream::at(stream);
    // SAFETY: the caller's promise.
    stream.give(unsafe { prepare(function, [x, y, z], parameters, stream.fake) })
}

unsafe extern "C" fn create_event(event: *mut api::Event, _flags: c_uint) -> Code {
    // SAFETY: valid for writes.
    unsafe { *event = Box::into_raw(Box::new(Mutex::new(Arc::new(AtomicBool::new(true))))).cast() };
    0
}

/// What an event is of now: whether it has come.
fn event(event: api::Event) -> &'static Mutex<Arc<AtomicBool>> {
    // SAFETY: made by `create_event`.
    unsafe { &*event.cast() }
}

unsafe extern "C" fn record_event(recorded: api::Event, stream: api::Stream) -> Code {
    let stream = Stream::at(stream);
    stream.fake.events.fetch_add(1, Ordering::SeqCst);
    let came = Arc::new(AtomicBool::new(false));
    *lock(event(recorded)) = Arc::clone(&came);
    stream.give(move || came.store(true, Ordering::SeqCst))
}

unsafe extern "C" fn wait_event(stream: api::Stream, awaited: api::Event, _flags: c_uint) -> Code {
    let came = Arc::clone(&lock(event(awaited)));
    Stream::at(stream).give(move || {
        while !came.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    })
}

unsafe extern "C" fn retain_context(context: *mut Context, number: c_int) -> Code {
    // SAFETY: valid for writes.
    unsafe { *context = ptr::from_ref(device(number)).cast_mut().cast() };
    0
}

unsafe extern "C" fn set_context(context: Context) -> Code {
    // SAFETY: made by `retain_context`.
    CURRENT.set(Some(unsafe { &*context.cast::<Fake>() }));
    current().code()
}

unsafe extern "C" fn device_memory(bytes: *mut usize, _device: c_int) -> Code {
    // SAFETY: valid for writes.
    unsafe { *bytes = 1 << 30 };
    0
}

unsafe extern "C" fn device_attribute(value: *mut c_int, _which: c_uint, _device: c_int) -> Code {
    // SAFETY: valid for writes. There are no pools, and one of all else.
    unsafe { *value = c_int::from(_which != api::MEMORY_POOLS) };
    0
}

unsafe extern "C" fn allocate(address: *mut Address, size: usize) -> Code {
    let words = vec![0u128; size.div_ceil(16)].leak();
    // SAFETY: valid for writes.
    unsafe { *address = words.as_ptr().addr() as Address };
    0
}

unsafe extern "C" fn free(_address: Address) -> Code {
    0
}

unsafe extern "C" fn allocate_host(memory: *mut *mut c_void, size: usize, _flags: c_uint) -> Code {
    let words = vec![0u128; size.div_ceil(16) + 8].leak();
    // SAFETY: valid for writes.
    unsafe {
        let start = words.as_mut_ptr().cast::<u8>();
        *memory = start.add(start.align_offset(128)).cast();
    }
    0
}

unsafe extern "C" fn host_address(
    address: *mut Address,
    memory: *mut c_void,
    _flags: c_uint,
) -> Code {
    // SAFETY: valid for writes.
    unsafe { *address = memory.addr() as Address };
    0
}

fn copy_later(to: Address, from: Address, size: usize, stream: api::Stream) -> Code {
    Stream::at(stream).give(move || {
        // SAFETY: both have that many bytes and are not used meanwhile.
        unsafe { ptr::copy(from as *const u8, to as *mut u8, size) }
    })
}

/// Memory of the host that isn't mapped has been read when the call returns.
unsafe extern "C" fn upload(
    to: Address,
    from: *const c_void,
    size: usize,
    stream: api::Stream,
) -> Code {
    // SAFETY: readable for the size.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), size) }.to_vec();
    Stream::at(stream).give(move || {
        // SAFETY: there are as many bytes.
        unsafe { ptr::copy(bytes.as_ptr(), to as *mut u8, bytes.len()) }
    })
}

unsafe extern "C" fn download(
    to: *mut c_void,
    from: Address,
    size: usize,
    stream: api::Stream,
) -> Code {
    copy_later(to.addr() as Address, from, size, stream)
}

unsafe extern "C" fn copy(to: Address, from: Address, size: usize, stream: api::Stream) -> Code {
    copy_later(to, from, size, stream)
}

unsafe extern "C" fn can_reach(can: *mut c_int, number: c_int, _other: c_int) -> Code {
    // SAFETY: valid for writes.
    unsafe { *can = device(number).reaches.load(Ordering::SeqCst).into() };
    0
}

unsafe extern "C" fn reach(_other: Context, _flags: c_uint) -> Code {
    current().allowed.fetch_add(1, Ordering::SeqCst);
    0
}

unsafe extern "C" fn copy_peer(
    to: Address,
    context: Context,
    from: Address,
    _other: Context,
    size: usize,
    stream: api::Stream,
) -> Code {
    // SAFETY: made by `retain_context`.
    let fake = unsafe { &*context.cast::<Fake>() };
    assert_ne!(fake.allowed.load(Ordering::SeqCst), 0);
    fake.peer_copies.fetch_add(1, Ordering::SeqCst);
    copy_later(to, from, size, stream)
}

fn fill_later(pattern: Vec<u8>, to: Address, count: usize, stream: api::Stream) -> Code {
    Stream::at(stream).give(move || {
        if let [a, b, c, d] = *pattern
            && count == 1
        {
            return write(to, u32::from_ne_bytes([a, b, c, d]));
        }
        for index in 0..count {
            // SAFETY: there are as many bytes.
            unsafe {
                let to = (to as *mut u8).add(index * pattern.len());
                ptr::copy(pattern.as_ptr(), to, pattern.len());
            }
        }
    })
}

unsafe extern "C" fn fill_bytes(to: Address, value: u8, count: usize, stream: api::Stream) -> Code {
    fill_later(vec![value], to, count, stream)
}

unsafe extern "C" fn fill_halves(
    to: Address,
    value: u16,
    count: usize,
    stream: api::Stream,
) -> Code {
    fill_later(value.to_ne_bytes().to_vec(), to, count, stream)
}

unsafe extern "C" fn fill_words(
    to: Address,
    value: c_uint,
    count: usize,
    stream: api::Stream,
) -> Code {
    fill_later(value.to_ne_bytes().to_vec(), to, count, stream)
}

type Step = Arc<dyn Fn() + Send + Sync>;

/// Steps, each behind others of lower number.
#[derive(Clone, Default)]
struct Steps(Vec<Step>);

fn steps(graph: *mut c_void) -> &'static mut Steps {
    // SAFETY: made by `create_graph` or `instantiate_graph`, and used by one thread at a time.
    unsafe { &mut *graph.cast() }
}

unsafe extern "C" fn create_graph(graph: *mut api::Graph, _flags: c_uint) -> Code {
    // SAFETY: valid for writes.
    unsafe { *graph = Box::into_raw(Box::<Steps>::default()).cast() };
    0
}

unsafe extern "C" fn destroy_graph(graph: api::Graph) -> Code {
    // SAFETY: made by `create_graph`.
    drop(unsafe { Box::from_raw(graph.cast::<Steps>()) });
    0
}

/// Adds a step, and looks that those before it are there.
unsafe fn add_step(
    node: *mut api::GraphNode,
    graph: api::Graph,
    before: *const api::GraphNode,
    count: usize,
    step: Step,
) -> Code {
    let steps = &mut steps(graph.cast()).0;
    // SAFETY: as many as there are; valid for writes.
    unsafe {
        let before = match count {
            0 => &[],
            _ => std::slice::from_raw_parts(before, count),
        };
        assert!(before.iter().all(|node| node.addr() <= steps.len()));
        steps.push(step);
        *node = ptr::without_provenance_mut(steps.len());
    }
    0
}

unsafe extern "C" fn add_kernel(
    node: *mut api::GraphNode,
    graph: api::Graph,
    before: *const api::GraphNode,
    count: usize,
    kernel: *const KernelNode,
) -> Code {
    // SAFETY: the caller's promise.
    unsafe {
        let kernel = &*kernel;
        let run = prepare(kernel.function, kernel.groups, kernel.parameters, current());
        // Closures that are `Clone` and `Send` are called by one thread at a time.
        let run = Mutex::new(run);
        add_step(node, graph, before, count, Arc::new(move || lock(&run)()))
    }
}

unsafe extern "C" fn add_copy(
    node: *mut api::GraphNode,
    graph: api::Graph,
    before: *const api::GraphNode,
    count: usize,
    copy: *const CopyNode,
    _context: Context,
) -> Code {
    // SAFETY: the caller's promise.
    unsafe {
        let (to, from, size) = ((*copy).to.device, (*copy).from.device, (*copy).width);
        let step = move || ptr::copy(from as *const u8, to as *mut u8, size);
        add_step(node, graph, before, count, Arc::new(step))
    }
}

unsafe extern "C" fn add_fill(
    node: *mut api::GraphNode,
    graph: api::Graph,
    before: *const api::GraphNode,
    count: usize,
    fill: *const FillNode,
    _context: Context,
) -> Code {
    // SAFETY: the caller's promise.
    unsafe {
        let fill = &*fill;
        let (to, width) = (fill.to, fill.width);
        let pattern = fill.value.to_le_bytes()[..fill.element as usize].to_vec();
        let step = move || {
            for index in 0..width {
                let to = (to as *mut u8).add(index * pattern.len());
                ptr::copy(pattern.as_ptr(), to, pattern.len());
            }
        };
        add_step(node, graph, before, count, Arc::new(step))
    }
}

unsafe extern "C" fn instantiate_graph(
    exec: *mut api::GraphExec,
    graph: api::Graph,
    _flags: u64,
) -> Code {
    current().instances.fetch_add(1, Ordering::SeqCst);
    // SAFETY: valid for writes.
    unsafe { *exec = Box::into_raw(Box::new(steps(graph.cast()).clone())).cast() };
    0
}

unsafe extern "C" fn destroy_instance(exec: api::GraphExec) -> Code {
    current().destroyed.fetch_add(1, Ordering::SeqCst);
    // SAFETY: made by `instantiate_graph`.
    drop(unsafe { Box::from_raw(exec.cast::<Steps>()) });
    0
}

unsafe extern "C" fn upload_instance(_exec: api::GraphExec, _stream: api::Stream) -> Code {
    0
}

unsafe extern "C" fn launch_instance(exec: api::GraphExec, stream: api::Stream) -> Code {
    let steps = steps(exec.cast()).clone();
    Stream::at(stream).give(move || steps.0.iter().for_each(|step| step()))
}

unsafe extern "C" fn text(_code: Code, text: *mut *const c_char) -> Code {
    // SAFETY: valid for writes.
    unsafe { *text = c"as it was told".as_ptr() };
    0
}

/// Stands for functions that tests don't come to.
unsafe extern "C" fn missing() {
    unreachable!("the fake driver has no such function");
}

/// The fake driver.
pub(super) fn api() -> &'static Api {
    macro_rules! table {
        ($symbol:ident: $($name:literal = $function:ident,)*) => {
            match $symbol {
                $(Ok($name) => {
                    std::mem::transmute::<*const (), Found>($function as *const ())
                })*
                _ => missing as Found,
            }
        };
    }
    // SAFETY: functions of the signatures that go with the symbols.
    let api = unsafe {
        Api::new(|symbol| {
            let symbol = CStr::from_bytes_with_nul(symbol).map(CStr::to_bytes);
            Ok::<_, ()>(table! { symbol:
                b"cuStreamCreate" = create_stream,
                b"cuStreamSynchronize" = wait_stream,
                b"cuStreamQuery" = query_stream,
                b"cuStreamWriteValue32_v2" = write_word,
                b"cuLaunchKernel" = launch,
                b"cuEventCreate" = create_event,
                b"cuEventRecord" = record_event,
                b"cuStreamWaitEvent" = wait_event,
                b"cuDevicePrimaryCtxRetain" = retain_context,
                b"cuCtxSetCurrent" = set_context,
                b"cuDeviceTotalMem_v2" = device_memory,
                b"cuDeviceGetAttribute" = device_attribute,
                b"cuMemAlloc_v2" = allocate,
                b"cuMemFree_v2" = free,
                b"cuMemHostAlloc" = allocate_host,
                b"cuMemHostGetDevicePointer_v2" = host_address,
                b"cuMemcpyHtoDAsync_v2" = upload,
                b"cuMemcpyDtoHAsync_v2" = download,
                b"cuMemcpyAsync" = copy,
                b"cuMemcpyPeerAsync" = copy_peer,
                b"cuDeviceCanAccessPeer" = can_reach,
                b"cuCtxEnablePeerAccess" = reach,
                b"cuMemsetD8Async" = fill_bytes,
                b"cuMemsetD16Async" = fill_halves,
                b"cuMemsetD32Async" = fill_words,
                b"cuGraphCreate" = create_graph,
                b"cuGraphDestroy" = destroy_graph,
                b"cuGraphAddKernelNode" = add_kernel,
                b"cuGraphAddMemcpyNode" = add_copy,
                b"cuGraphAddMemsetNode" = add_fill,
                b"cuGraphInstantiateWithFlags" = instantiate_graph,
                b"cuGraphExecDestroy" = destroy_instance,
                b"cuGraphUpload" = upload_instance,
                b"cuGraphLaunch" = launch_instance,
                b"cuGetErrorName" = text,
                b"cuGetErrorString" = text,
            })
        })
    };
    let Ok(api) = api else { unreachable!() };
    Box::leak(Box::new(api))
}
