//! The functions of NVIDIA's driver that are used here, from the library that a machine has.
//!
//! Nothing is linked and no header is needed: the library is opened when accelerators are first
//! listed. Results are plain numbers, because drivers that are newer than this program have errors
//! that it does not know. Types and numbers: "CUDA Driver API", sections 6.1 and following.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use libloading::Library;

use crate::backend::absent::Absent;

/// The library, by the name that a driver's installation gives it.
const LIBRARY: &str = "libcuda.so.1";

pub(super) type Device = c_int;
pub(super) type Context = *mut c_void;
pub(super) type Module = *mut c_void;
pub(super) type Function = *mut c_void;
pub(super) type Stream = *mut c_void;
pub(super) type Event = *mut c_void;
pub(super) type Pool = *mut c_void;
pub(super) type Graph = *mut c_void;
pub(super) type GraphNode = *mut c_void;
pub(super) type GraphExec = *mut c_void;
/// An address on the device.
pub(super) type Address = u64;

/// `CUresult`: 0 for success.
pub(super) type Code = c_int;

const NO_DEVICE: Code = 100;
/// `CUDA_ERROR_NOT_FOUND`.
pub(super) const NOT_FOUND: Code = 500;
pub(super) const NOT_READY: Code = 600;
/// `CUDA_ERROR_NOT_SUPPORTED`.
pub(super) const NOT_SUPPORTED: Code = 801;

/// `CU_STREAM_NON_BLOCKING`: not ordered with the stream that other code of the process may use.
pub(super) const STREAM_NON_BLOCKING: c_uint = 1;
/// `CU_EVENT_DISABLE_TIMING`.
pub(super) const EVENT_DISABLE_TIMING: c_uint = 2;
/// `CU_MEMHOSTALLOC_DEVICEMAP`, and `PORTABLE` for all contexts.
pub(super) const HOST_MAPPED: c_uint = 3;

/// `CU_MEMORYTYPE_UNIFIED`.
const MEMORY_UNIFIED: c_uint = 4;

/// `CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED`.
pub(super) const REACHES_ALREADY: Code = 704;

/// `CU_MEM_ATTACH_GLOBAL`.
pub(super) const ATTACH_GLOBAL: c_uint = 1;

/// Values of `CUlimit`.
pub(super) const LIMIT_STACK_SIZE: c_uint = 0;

/// Values of `CUdevice_attribute`.
pub(super) const CAPABILITY_MAJOR: c_uint = 75;
pub(super) const CAPABILITY_MINOR: c_uint = 76;
pub(super) const MULTIPROCESSORS: c_uint = 16;
pub(super) const MEMORY_POOLS: c_uint = 115;
pub(super) const HOST_NATIVE_ATOMICS: c_uint = 86;
pub(super) const CONCURRENT_MANAGED_ACCESS: c_uint = 89;
pub(super) const MOST_SHARED_MEMORY: c_uint = 97;

/// Values of `CUfunction_attribute`.
pub(super) const MAX_THREADS_PER_BLOCK: c_uint = 0;
pub(super) const STATIC_SHARED_MEMORY: c_uint = 1;
pub(super) const MOST_DYNAMIC_SHARED_MEMORY: c_uint = 8;

/// Values of `CUjit_option`.
pub(super) const JIT_ERROR_LOG: c_uint = 5;
pub(super) const JIT_ERROR_LOG_SIZE: c_uint = 6;

/// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`.
pub(super) const POOL_RELEASE_THRESHOLD: c_uint = 4;

/// `CU_MEM_LOCATION_TYPE_DEVICE`, and `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`.
const LOCATION_DEVICE: c_uint = 1;
const READ_AND_WRITE: c_uint = 3;

/// `CUmemAccessDesc`: who may access memory, and how.
#[repr(C)]
pub(super) struct Access {
    /// One of `CUmemLocationType`.
    kind: c_uint,
    device: Device,
    /// One of `CUmemAccess_flags`.
    flags: c_uint,
}

impl Access {
    /// A device may read and write it.
    pub(super) fn of(device: Device) -> Access {
        Access {
            kind: LOCATION_DEVICE,
            device,
            flags: READ_AND_WRITE,
        }
    }
}

/// `CUDA_KERNEL_NODE_PARAMS_v1`.
#[repr(C)]
pub(super) struct KernelNode {
    pub(super) function: Function,
    pub(super) groups: [c_uint; 3],
    pub(super) group: [c_uint; 3],
    pub(super) shared: c_uint,
    pub(super) parameters: *mut *mut c_void,
    pub(super) extra: *mut *mut c_void,
}

/// One side of a [`CopyNode`].
#[repr(C)]
pub(super) struct Place {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) z: usize,
    pub(super) level: usize,
    /// One of `CUmemorytype`.
    pub(super) kind: c_uint,
    pub(super) host: *const c_void,
    pub(super) device: Address,
    pub(super) array: *mut c_void,
    pub(super) reserved: *mut c_void,
    pub(super) pitch: usize,
    pub(super) height: usize,
}

impl Place {
    /// An address of any kind of memory.
    pub(super) fn at(address: Address) -> Place {
        Place {
            x: 0,
            y: 0,
            z: 0,
            level: 0,
            kind: MEMORY_UNIFIED,
            host: null(),
            device: address,
            array: null_mut(),
            reserved: null_mut(),
            pitch: 0,
            height: 0,
        }
    }
}

/// `CUDA_MEMCPY3D_v2`.
#[repr(C)]
pub(super) struct CopyNode {
    pub(super) from: Place,
    pub(super) to: Place,
    /// In bytes.
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) depth: usize,
}

/// `CUDA_MEMSET_NODE_PARAMS_v1`.
#[repr(C)]
pub(super) struct FillNode {
    pub(super) to: Address,
    pub(super) pitch: usize,
    pub(super) value: c_uint,
    /// Bytes: 1, 2 or 4.
    pub(super) element: c_uint,
    /// In elements.
    pub(super) width: usize,
    pub(super) height: usize,
}

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($argument:ty),*);)*) => {
        /// The functions, by what they do.
        pub(super) struct Api {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) -> Code,)*
            /// Keeps the functions where they are.
            _library: Option<Library>,
        }

        impl Api {
            /// Takes the functions from where `find` finds them by their symbols.
            ///
            /// # Safety
            /// They are functions of these signatures.
            pub(super) unsafe fn new<E>(
                find: impl Fn(&'static [u8]) -> Result<Found, E>,
            ) -> Result<Api, E> {
                // SAFETY: the caller's promise; all pointers to functions have the same size.
                unsafe {
                    Ok(Api {
                        $($name: std::mem::transmute::<
                            Found,
                            unsafe extern "C" fn($($argument),*) -> Code,
                        >(find($symbol)?),)*
                        _library: None,
                    })
                }
            }
        }
    };
}

/// A function of some signature.
pub(super) type Found = unsafe extern "C" fn();

functions! {
    init = b"cuInit\0" (c_uint);
    driver_version = b"cuDriverGetVersion\0" (*mut c_int);
    error_name = b"cuGetErrorName\0" (Code, *mut *const c_char);
    error_text = b"cuGetErrorString\0" (Code, *mut *const c_char);
    device_count = b"cuDeviceGetCount\0" (*mut c_int);
    device = b"cuDeviceGet\0" (*mut Device, c_int);
    device_name = b"cuDeviceGetName\0" (*mut c_char, c_int, Device);
    device_memory = b"cuDeviceTotalMem_v2\0" (*mut usize, Device);
    device_attribute = b"cuDeviceGetAttribute\0" (*mut c_int, c_uint, Device);
    device_pool = b"cuDeviceGetDefaultMemPool\0" (*mut Pool, Device);
    pool_set = b"cuMemPoolSetAttribute\0" (Pool, c_uint, *mut c_void);
    retain_context = b"cuDevicePrimaryCtxRetain\0" (*mut Context, Device);
    reset_context = b"cuDevicePrimaryCtxReset_v2\0" (Device);
    set_context = b"cuCtxSetCurrent\0" (Context);
    set_limit = b"cuCtxSetLimit\0" (c_uint, usize);
    allocate = b"cuMemAlloc_v2\0" (*mut Address, usize);
    free = b"cuMemFree_v2\0" (Address);
    allocate_async = b"cuMemAllocAsync\0" (*mut Address, usize, Stream);
    free_async = b"cuMemFreeAsync\0" (Address, Stream);
    allocate_host = b"cuMemHostAlloc\0" (*mut *mut c_void, usize, c_uint);
    host_address = b"cuMemHostGetDevicePointer_v2\0" (*mut Address, *mut c_void, c_uint);
    upload = b"cuMemcpyHtoDAsync_v2\0" (Address, *const c_void, usize, Stream);
    upload_now = b"cuMemcpyHtoD_v2\0" (Address, *const c_void, usize);
    download = b"cuMemcpyDtoHAsync_v2\0" (*mut c_void, Address, usize, Stream);
    download_now = b"cuMemcpyDtoH_v2\0" (*mut c_void, Address, usize);
    copy = b"cuMemcpyAsync\0" (Address, Address, usize, Stream);
    copy_peer = b"cuMemcpyPeerAsync\0" (Address, Context, Address, Context, usize, Stream);
    can_reach = b"cuDeviceCanAccessPeer\0" (*mut c_int, Device, Device);
    reach = b"cuCtxEnablePeerAccess\0" (Context, c_uint);
    pool_access = b"cuMemPoolSetAccess\0" (Pool, *const Access, usize);
    allocate_managed = b"cuMemAllocManaged\0" (*mut Address, usize, c_uint);
    trim_pool = b"cuMemPoolTrimTo\0" (Pool, usize);
    fill_bytes = b"cuMemsetD8Async\0" (Address, u8, usize, Stream);
    fill_halves = b"cuMemsetD16Async\0" (Address, u16, usize, Stream);
    fill_words = b"cuMemsetD32Async\0" (Address, c_uint, usize, Stream);
    create_stream = b"cuStreamCreate\0" (*mut Stream, c_uint);
    wait_stream = b"cuStreamSynchronize\0" (Stream);
    query_stream = b"cuStreamQuery\0" (Stream);
    write_word = b"cuStreamWriteValue32_v2\0" (Stream, Address, c_uint, c_uint);
    create_event = b"cuEventCreate\0" (*mut Event, c_uint);
    record_event = b"cuEventRecord\0" (Event, Stream);
    wait_event = b"cuStreamWaitEvent\0" (Stream, Event, c_uint);
    load_module = b"cuModuleLoadDataEx\0"
        (*mut Module, *const c_void, c_uint, *mut c_uint, *mut *mut c_void);
    function = b"cuModuleGetFunction\0" (*mut Function, Module, *const c_char);
    global = b"cuModuleGetGlobal_v2\0" (*mut Address, *mut usize, Module, *const c_char);
    function_attribute = b"cuFuncGetAttribute\0" (*mut c_int, c_uint, Function);
    set_function_attribute = b"cuFuncSetAttribute\0" (Function, c_uint, c_int);
    resident_groups = b"cuOccupancyMaxActiveBlocksPerMultiprocessor\0"
        (*mut c_int, Function, c_int, usize);
    launch = b"cuLaunchKernel\0" (
        Function, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, Stream,
        *mut *mut c_void, *mut *mut c_void
    );
    create_graph = b"cuGraphCreate\0" (*mut Graph, c_uint);
    destroy_graph = b"cuGraphDestroy\0" (Graph);
    add_kernel = b"cuGraphAddKernelNode\0"
        (*mut GraphNode, Graph, *const GraphNode, usize, *const KernelNode);
    add_copy = b"cuGraphAddMemcpyNode\0"
        (*mut GraphNode, Graph, *const GraphNode, usize, *const CopyNode, Context);
    add_fill = b"cuGraphAddMemsetNode\0"
        (*mut GraphNode, Graph, *const GraphNode, usize, *const FillNode, Context);
    instantiate_graph = b"cuGraphInstantiateWithFlags\0" (*mut GraphExec, Graph, u64);
    destroy_instance = b"cuGraphExecDestroy\0" (GraphExec);
    upload_instance = b"cuGraphUpload\0" (GraphExec, Stream);
    launch_instance = b"cuGraphLaunch\0" (GraphExec, Stream);
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LIBRARY)
    }
}

/// The driver of this machine, ready for use.
pub(super) fn api() -> Result<&'static Api, Absent> {
    static API: OnceLock<Result<Api, Absent>> = OnceLock::new();
    API.get_or_init(open).as_ref().map_err(Absent::clone)
}

fn open() -> Result<Api, Absent> {
    // SAFETY: the driver's library is made to be opened by any process.
    let library = unsafe { Library::new(LIBRARY) }
        .map_err(|_| Absent::Nothing(format!("{LIBRARY} not found")))?;
    // SAFETY: the symbols are functions of these signatures, by NVIDIA's documentation.
    let api = unsafe { Api::new(|symbol| library.get::<Found>(symbol).map(|found| *found)) };
    let mut api = api
        .map_err(|error| Absent::Broken(format!("the driver is older than CUDA 11.7: {error}")))?;
    api._library = Some(library);
    // SAFETY: initialises the library, as is to be done before anything else.
    match unsafe { (api.init)(0) } {
        0 => Ok(api),
        NO_DEVICE => Err(Absent::Nothing("the driver finds no device".to_owned())),
        code => Err(Absent::Broken(api.describe(code))),
    }
}

impl Api {
    /// A result as the driver words it.
    pub(super) fn describe(&self, code: Code) -> String {
        let text = |get: unsafe extern "C" fn(Code, *mut *const c_char) -> Code| {
            let mut text = null();
            // SAFETY: the pointer is valid for writes; the driver's texts are static.
            unsafe {
                (get(code, &mut text) == 0 && !text.is_null())
                    .then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
            }
        };
        match (text(self.error_name), text(self.error_text)) {
            (Some(name), Some(text)) => format!("{text} ({name})"),
            _ => format!("error {code} of the driver"),
        }
    }

    /// Version of CUDA that the driver offers: 12080 is 12.8.
    pub(super) fn version(&self) -> c_int {
        let mut version = 0;
        // SAFETY: valid for writes.
        unsafe { (self.driver_version)(&mut version) };
        version
    }
}

/// Whether a context is gone after an error, so that every later call fails the same way: errors
/// of hardware and of running kernels.
pub(super) fn is_fatal(code: Code) -> bool {
    // Deinitialised, destroyed context, and 'unknown'; ECC, NVLink and other hardware; what kernels
    // do wrong.
    matches!(code, 4 | 201 | 214 | 220 | 226 | 700 | 702 | 709..=711 | 714..=721 | 999)
}
