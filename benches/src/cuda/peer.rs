//! The peers in CUDA C++, from the library that `nvcc` makes of `peer*.cu`, and memory for them.

use std::ffi::{c_int, c_void};
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Context, ensure};
use libloading::Library;

macro_rules! peer {
    ($($name:ident($($argument:ty),*);)*) => {
        /// The peers' functions. Their meaning stands in `peer*.cu`.
        pub struct Peer {
            $(pub $name: unsafe extern "C" fn($($argument),*) -> c_int,)*
            /// Keeps the functions where they are.
            _library: Library,
        }

        impl Peer {
            /// Opens the library.
            pub fn load(path: &Path) -> anyhow::Result<Self> {
                // SAFETY: a library made of `peer*.cu`, whose signatures these are.
                unsafe {
                    let library = Library::new(path).with_context(|| path.display().to_string())?;
                    Ok(Peer {
                        $($name: *library.get(concat!("peer_", stringify!($name)).as_bytes())?,)*
                        _library: library,
                    })
                }
            }
        }
    };
}

peer! {
    allocate(*mut *mut c_void, usize);
    free(*mut c_void);
    upload(*mut c_void, *const c_void, usize);
    download(*mut c_void, *const c_void, usize);
    device_copy(*mut c_void, *const c_void, usize);
    heap_size(usize);
    heap_take(*mut usize, usize, usize);
    heap_give(*mut usize, usize);
    heap_churn(*mut u64, u32, usize);
    empty();
    chain(c_int);
    graph(c_int);
    pool(usize, c_int);
    malloc(usize, c_int);
    copy_f32(*const f32, *mut f32, usize);
    mul_f32(f32, *const f32, *mut f32, usize);
    add_f32(*const f32, *const f32, *mut f32, usize);
    triad_f32(f32, *const f32, *const f32, *mut f32, usize);
    dot_f32(*const f32, *const f32, *mut f32, usize, usize);
    copy_f64(*const f64, *mut f64, usize);
    mul_f64(f64, *const f64, *mut f64, usize);
    add_f64(*const f64, *const f64, *mut f64, usize);
    triad_f64(f64, *const f64, *const f64, *mut f64, usize);
    dot_f64(*const f64, *const f64, *mut f64, usize, usize);
    n_body(f32, *const [f32; 4], *mut [f32; 4], usize);
    mandelbrot(f32, f32, f32, u32, *mut u32, usize, usize);
    convolution(*const f32, *const f32, *mut f32, usize, usize);
    gemm(c_int, *const f32, *const f32, *mut f32);
    sgemm(c_int, *const f32, *const f32, *mut f32);
    bgemm(c_int, *const u16, *const u16, *mut f32);
    spmv(*const u32, *const u32, *const f32, *const f32, *mut f32, usize);
    fft(*const [f32; 2], *const [f32; 2], *mut [f32; 2], *mut [f32; 2], usize, usize);
    reduce(*const f32, *mut f32, usize);
    scan(*const u32, *mut u32, usize);
    sort(*const u32, *mut u32, usize);
    histogram(*const u8, *mut u64, usize);
    black_scholes(f32, f32, *const f32, *const f32, *const f32, *mut f32, *mut f32, usize);
}

/// Memory of the device for the peers.
pub struct Memory<'p, T> {
    peer: &'p Peer,
    start: *mut T,
    len: usize,
}

impl<'p, T: Copy + Default> Memory<'p, T> {
    /// A copy of these elements.
    pub fn of(peer: &'p Peer, elements: &[T]) -> anyhow::Result<Self> {
        let mut start = null_mut();
        let bytes = size_of_val(elements);
        // SAFETY: valid for writes.
        check(unsafe { (peer.allocate)(&mut start, bytes) })?;
        // SAFETY: both have that many bytes.
        check(unsafe { (peer.upload)(start, elements.as_ptr().cast(), bytes) })?;
        Ok(Memory {
            peer,
            start: start.cast(),
            len: elements.len(),
        })
    }

    /// Address of the first element.
    pub fn start(&self) -> *mut T {
        self.start
    }

    /// The elements, on the host.
    pub fn to_vec(&self) -> anyhow::Result<Vec<T>> {
        let mut all = vec![T::default(); self.len];
        // SAFETY: both have that many bytes.
        check(unsafe {
            let to = all.as_mut_ptr().cast();
            (self.peer.download)(to, self.start.cast(), size_of_val(&all[..]))
        })?;
        Ok(all)
    }
}

impl<T> Drop for Memory<'_, T> {
    fn drop(&mut self) {
        // SAFETY: allocated by `of`.
        unsafe { (self.peer.free)(self.start.cast()) };
    }
}

/// Fails if the peer did.
pub fn check(code: c_int) -> anyhow::Result<()> {
    ensure!(
        code == 0,
        "the peer failed with error {code} of CUDA's runtime"
    );
    Ok(())
}
