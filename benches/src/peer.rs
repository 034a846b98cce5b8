//! The peers, from the library that is compiled for the machine at hand (package `peer`).

use std::path::Path;
use std::sync::atomic::AtomicU32;

use anyhow::Context;
use libloading::Library;

/// The peers' functions. Their meaning and what they ask of the caller stand in package `peer`.
pub struct Peer {
    pub triad: unsafe extern "C" fn(f32, *const f32, *const f32, *mut f32, usize),
    pub dot: unsafe extern "C" fn(*const f32, *const f32, usize, usize) -> f32,
    pub n_body: unsafe extern "C" fn(f32, *const [f32; 4], *mut [f32; 4], usize),
    pub mandelbrot: unsafe extern "C" fn(f32, f32, f32, u32, *mut u32, usize, usize),
    pub convolution: unsafe extern "C" fn(*const [f32; 9], *const f32, *mut f32, usize, usize),
    pub black_scholes: BlackScholes,
    pub reduce: unsafe extern "C" fn(*const f32, usize) -> f32,
    pub scan: unsafe extern "C" fn(*const u32, *mut u32, usize),
    pub sort: unsafe extern "C" fn(*const u32, *mut u32, usize),
    pub histogram: unsafe extern "C" fn(*const u8, usize, *mut u64),
    pub filter: unsafe extern "C" fn(*const u32, *mut u32, usize) -> usize,
    pub transpose: unsafe extern "C" fn(*const u32, *mut u32, usize, usize),
    pub top: unsafe extern "C" fn(*const u32, usize, *mut u32, usize),
    pub matmul: unsafe extern "C" fn(usize, *const f32, *const f32, *mut f32),
    pub reduction: unsafe extern "C" fn(*const f32, *mut f32, usize),
    pub counts: unsafe extern "C" fn(*const u8, usize, *mut u32),
    pub rays: unsafe extern "C" fn(*const [f32; 6], usize, *mut f32, usize, usize),
    pub spmv: Spmv,
    pub empty: extern "C" fn(),
    pub store: unsafe extern "C" fn(*const AtomicU32, u32),
    /// Keeps the functions where they are.
    _library: Library,
}

type BlackScholes =
    unsafe extern "C" fn(f32, f32, *const f32, *const f32, *const f32, *mut f32, *mut f32, usize);

type Spmv =
    unsafe extern "C" fn(*const u32, usize, *const u32, *const f32, *const f32, usize, *mut f32);

impl Peer {
    /// Opens the library.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        // SAFETY: a Rust library of this workspace, without initialisers.
        let library =
            unsafe { Library::new(path) }.with_context(|| format!("{}", path.display()))?;
        // SAFETY: the signatures are those of package `peer`, which is built from the same source
        // tree right before this program; the library outlives the functions.
        unsafe {
            Ok(Peer {
                triad: *library.get(b"peer_triad")?,
                dot: *library.get(b"peer_dot")?,
                n_body: *library.get(b"peer_n_body")?,
                mandelbrot: *library.get(b"peer_mandelbrot")?,
                convolution: *library.get(b"peer_convolution")?,
                black_scholes: *library.get(b"peer_black_scholes")?,
                reduce: *library.get(b"peer_reduce")?,
                scan: *library.get(b"peer_scan")?,
                sort: *library.get(b"peer_sort")?,
                histogram: *library.get(b"peer_histogram")?,
                filter: *library.get(b"peer_filter")?,
                transpose: *library.get(b"peer_transpose")?,
                top: *library.get(b"peer_top")?,
                matmul: *library.get(b"peer_matmul")?,
                reduction: *library.get(b"peer_reduction")?,
                counts: *library.get(b"peer_counts")?,
                rays: *library.get(b"peer_rays")?,
                spmv: *library.get(b"peer_spmv")?,
                empty: *library.get(b"peer_empty")?,
                store: *library.get(b"peer_store")?,
                _library: library,
            })
        }
    }
}
