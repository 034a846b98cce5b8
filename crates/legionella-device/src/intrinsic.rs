//! The machine, as functions. The driver discards these bodies and binds the symbols (contract:
//! [`legionella_abi::intrinsic`]) to the target's own operations; entry shims, the only callers of
//! the ids, never run on the host.

use core::panic::Location;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use legionella_abi::cpu::Panic;

use crate::atomic::ordering;
use crate::matrix::{Factor, Tf32, add_product};
use crate::print::Port;

#[cold]
fn only_on_devices(name: &str) -> ! {
    panic!("`{name}` is bound when a kernel is lowered and has no value on the host")
}

/// Global id of the work-item in a dimension.
#[unsafe(export_name = "legionella.global_id")]
#[inline(never)]
pub(crate) extern "C" fn global_id(_dimension: u32) -> u64 {
    only_on_devices("global_id")
}

/// Work-items of the grid in a dimension.
#[unsafe(export_name = "legionella.grid_size")]
#[inline(never)]
pub(crate) extern "C" fn grid_size(_dimension: u32) -> u64 {
    only_on_devices("grid_size")
}

/// Id of the work-item within its work-group in a dimension.
#[unsafe(export_name = "legionella.local_id")]
#[inline(never)]
pub(crate) extern "C" fn local_id(_dimension: u32) -> u64 {
    only_on_devices("local_id")
}

/// Id of the work-group in a dimension.
#[unsafe(export_name = "legionella.group_id")]
#[inline(never)]
pub(crate) extern "C" fn group_id(_dimension: u32) -> u64 {
    only_on_devices("group_id")
}

/// Work-items of a whole work-group in a dimension.
#[unsafe(export_name = "legionella.group_size")]
#[inline(never)]
pub(crate) extern "C" fn group_size(_dimension: u32) -> u64 {
    only_on_devices("group_size")
}

/// The same address.
///
/// # Safety
/// Nothing writes the memory that is reached by the result while the launch runs.
#[doc(hidden)]
#[unsafe(export_name = "legionella.immutable")]
#[inline(never)]
pub unsafe extern "C" fn immutable(start: *const u8) -> *const u8 {
    start
}

/// Ends the work-item with a panic.
#[unsafe(export_name = "legionella.panic")]
#[inline(never)]
pub(crate) extern "C" fn panic(_panic: &Panic) -> ! {
    only_on_devices("panic")
}

/// Whether this is device code: lowering replaces it by `true`.
#[unsafe(export_name = "legionella.on_device")]
#[inline(never)]
pub(crate) extern "C" fn on_device() -> bool {
    false
}

/// Waits until all items of the group wait with the same label.
#[unsafe(export_name = "legionella.barrier")]
#[inline(never)]
pub(crate) extern "C" fn barrier(_label: u32, _place: &'static Location<'static>) {
    only_on_devices("barrier")
}

/// Memory that the items of the group share.
#[unsafe(export_name = "legionella.shared")]
#[inline(never)]
pub(crate) extern "C" fn shared(_size: u64, _align: u64, _id: u32) -> *mut u8 {
    only_on_devices("shared")
}

/// Memory that the items of the group share, of the launch's size.
#[unsafe(export_name = "legionella.dynamic_shared")]
#[inline(never)]
pub(crate) extern "C" fn dynamic_shared() -> *mut u8 {
    only_on_devices("dynamic_shared")
}

/// Lanes of a whole subgroup.
#[unsafe(export_name = "legionella.subgroup_size")]
#[inline(never)]
pub(crate) extern "C" fn subgroup_size() -> u32 {
    only_on_devices("subgroup_size")
}

/// Lane of the work-item.
#[unsafe(export_name = "legionella.subgroup_lane")]
#[inline(never)]
pub(crate) extern "C" fn subgroup_lane() -> u32 {
    only_on_devices("subgroup_lane")
}

/// The value of another lane.
#[unsafe(export_name = "legionella.subgroup_shuffle")]
#[inline(never)]
pub(crate) extern "C" fn subgroup_shuffle(
    _value: u32,
    _lane: u32,
    _place: &'static Location<'static>,
) -> u32 {
    only_on_devices("subgroup_shuffle")
}

/// The lowest bit of each lane.
#[unsafe(export_name = "legionella.subgroup_ballot")]
#[inline(never)]
pub(crate) extern "C" fn subgroup_ballot(_bit: u32, _place: &'static Location<'static>) -> u64 {
    only_on_devices("subgroup_ballot")
}

macro_rules! matrices {
    ($($name:ident $symbol:literal: $factor:ty),* $(,)?) => {$(
        /// Adds the product of two matrices to a sum.
        ///
        /// # Safety
        /// In device code, by all lanes of a whole subgroup; the addresses are of its parts.
        #[unsafe(export_name = $symbol)]
        #[inline(never)]
        pub(crate) unsafe extern "C" fn $name(
            left: *const [u32; 4],
            right: *const [u32; 4],
            sum: *mut [<$factor as Factor>::Sum; 8],
            place: &'static Location<'static>,
        ) {
            // SAFETY: the caller's promise.
            let (left, right, sum) = unsafe { (*left, *right, &mut *sum) };
            let (lane, lanes) = (subgroup_lane() as usize, subgroup_size() as usize);
            add_product::<$factor>(lane, lanes, sum, &mut |index, lane| {
                let word = if index < 4 { left[index] } else { right[index - 4] };
                subgroup_shuffle(word, lane as u32, place)
            });
        }
    )*};
}

matrices! {
    matrix_tf32 "legionella.matrix.tf32": Tf32,
    matrix_f64 "legionella.matrix.f64": f64,
    matrix_i8 "legionella.matrix.i8": i8,
    matrix_u8 "legionella.matrix.u8": u8,
}

#[cfg(feature = "half")]
matrices! {
    matrix_f16 "legionella.matrix.f16": half::f16,
    matrix_bf16 "legionella.matrix.bf16": half::bf16,
}

/// Whether the target has operations that load parts of matrices: lowering replaces it by the answer.
#[unsafe(export_name = "legionella.matrix.loads")]
#[inline(never)]
pub(crate) extern "C" fn matrix_loads() -> bool {
    false
}

/// How lanes hold matrices: lowering replaces it by the answer.
#[unsafe(export_name = "legionella.matrix.arrangement")]
#[inline(never)]
pub(crate) extern "C" fn matrix_arrangement() -> u32 {
    legionella_abi::intrinsic::QUADS
}

/// Loads rows of matrices.
///
/// # Safety
/// In device code that has it, by all lanes of a whole subgroup, with the address of a row in shared memory.
#[unsafe(export_name = "legionella.matrix.rows")]
#[inline(never)]
pub(crate) unsafe extern "C" fn matrix_rows(
    _row: *const u8,
    _words: *mut [u32; 4],
    _place: &'static Location<'static>,
) {
    only_on_devices("matrix_rows")
}

/// Loads columns of matrices of 16-bit elements.
///
/// # Safety
/// In device code that has it, by all lanes of a whole subgroup, with the address of a row in shared memory.
#[unsafe(export_name = "legionella.matrix.columns")]
#[inline(never)]
pub(crate) unsafe extern "C" fn matrix_columns(
    _row: *const u8,
    _words: *mut [u32; 4],
    _place: &'static Location<'static>,
) {
    only_on_devices("matrix_columns")
}

/// Whether the target multiplies bands of matrices: lowering replaces it by the answer.
#[unsafe(export_name = "legionella.matrix.bands")]
#[inline(never)]
pub(crate) extern "C" fn matrix_bands() -> bool {
    false
}

macro_rules! bands {
    ($($name:ident $symbol:literal: $sum:ty),* $(,)?) => {$(
        /// Begins to add a product to a band of sums.
        ///
        /// # Safety
        /// In device code that has it, as [`legionella_abi::intrinsic::MATRIX_BAND_F16`] has it.
        #[unsafe(export_name = $symbol)]
        #[inline(never)]
        pub(crate) unsafe extern "C" fn $name(
            _left: *const u8,
            _right: *const u8,
            _columns: u32,
            _sum: *mut [$sum; 8],
            _place: &'static Location<'static>,
        ) {
            only_on_devices(stringify!($name))
        }
    )*};
}

bands! {
    matrix_band_tf32 "legionella.matrix.band.tf32": f32,
    matrix_band_i8 "legionella.matrix.band.i8": i32,
    matrix_band_u8 "legionella.matrix.band.u8": i32,
}

#[cfg(feature = "half")]
bands! {
    matrix_band_f16 "legionella.matrix.band.f16": f32,
    matrix_band_bf16 "legionella.matrix.band.bf16": f32,
}

/// Waits for products of bands but those begun last.
///
/// # Safety
/// In device code that has it, by all lanes of the four subgroups.
#[unsafe(export_name = "legionella.matrix.band.step")]
#[inline(never)]
pub(crate) unsafe extern "C" fn matrix_band_step(_place: &'static Location<'static>) {
    only_on_devices("matrix_band_step")
}

/// Waits for all products of bands.
///
/// # Safety
/// In device code that has it, by all lanes of the four subgroups; the sum is that of all products.
#[unsafe(export_name = "legionella.matrix.band.end")]
#[inline(never)]
pub(crate) unsafe extern "C" fn matrix_band_end(
    _columns: u32,
    _floats: u32,
    _sum: *mut u8,
    _place: &'static Location<'static>,
) {
    only_on_devices("matrix_band_end")
}

/// Whether copies that go on by themselves can read there.
#[unsafe(export_name = "legionella.copy.reaches")]
#[inline(never)]
pub(crate) extern "C" fn copy_reaches(_from: *const u8) -> bool {
    true
}

/// Begins to copy 16 bytes, or to fill them with zeros.
///
/// # Safety
/// `to` is valid for writes and, unless `bytes` is 0, `from` for reads of 16 bytes, aligned to as many; nobody
/// looks at what is at `to` before it was waited for. On a device `to` is in shared memory, and `from` is where
/// [`copy_reaches`] says.
#[unsafe(export_name = "legionella.copy.begin")]
#[inline(never)]
pub(crate) unsafe extern "C" fn copy_begin(to: *mut u8, from: *const u8, bytes: u32) {
    let to = to.cast::<u128>();
    // SAFETY: the caller's promise.
    unsafe { to.write(if bytes == 0 { 0 } else { *from.cast::<u128>() }) }
}

/// The copies begun since the last such call are a set.
#[unsafe(export_name = "legionella.copy.close")]
#[inline(never)]
pub(crate) extern "C" fn copy_close() {}

/// Waits until at most so many of the last sets of copies are under way.
#[unsafe(export_name = "legionella.copy.wait")]
#[inline(never)]
pub(crate) extern "C" fn copy_wait(_sets: u32) {}

/// Whether the target copies whole parts of matrices: lowering replaces it by the answer.
#[unsafe(export_name = "legionella.parts")]
#[inline(never)]
pub(crate) extern "C" fn parts() -> bool {
    false
}

macro_rules! part_copies {
    ($($(#[$doc:meta])* $name:ident $symbol:literal ($($parameter:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// In device code that has it, as [`legionella_abi::intrinsic::PARTS`] and what follows there have it.
        #[unsafe(export_name = $symbol)]
        #[inline(never)]
        #[allow(clippy::too_many_arguments)]
        pub(crate) unsafe extern "C" fn $name($($parameter: $type),*) $(-> $result)? {
            only_on_devices(stringify!($name))
        }
    )*};
}

part_copies! {
    /// Opens copies of parts of two matrices.
    part_open "legionella.part.open" (
        _left: *const u8, _left_width: u64, _left_rows: u32, _left_part: u32,
        _right: *const u8, _right_width: u64, _right_rows: u32, _right_part: u32
    );
    /// What is known of them to all items.
    part_told "legionella.part.told" () -> u32;
    /// Begins to copy a part of each matrix.
    part_begin "legionella.part.begin" (
        _left: *mut u8, _right: *mut u8, _strip: u32, _left_row: u32, _right_row: u32, _stage: u32, _bytes: u32
    );
    /// Waits until a stage is there.
    part_wait "legionella.part.wait" (_stage: u32, _phase: u32);
    /// Closes copies.
    part_close "legionella.part.close" ();
}

/// The address of an atomic, noted to be operated on at a scope.
#[unsafe(export_name = "legionella.scoped")]
#[inline(never)]
pub(crate) extern "C" fn scoped(address: *const u8, _scope: u32) -> *const u8 {
    address
}

/// A fence of an ordering and a scope.
#[unsafe(export_name = "legionella.fence")]
#[inline(never)]
pub(crate) extern "C" fn fence(order: u32, _scope: u32) {
    core::sync::atomic::fence(ordering(order));
}

macro_rules! add {
    ($name:ident, $symbol:literal: $float:ident in $atomic:ident of $bits:ident) => {
        /// Adds to a float and gives the one before.
        ///
        /// # Safety
        /// The address is that of an atomic integer.
        #[unsafe(export_name = $symbol)]
        #[inline(never)]
        pub(crate) unsafe extern "C" fn $name(
            address: *const $bits,
            value: $float,
            order: u32,
        ) -> $float {
            // SAFETY: the caller's promise.
            let atomic = unsafe { $atomic::from_ptr(address.cast_mut()) };
            let mut before = atomic.load(Ordering::Relaxed);
            loop {
                let sum = <$float>::from_bits(before) + value;
                let (success, failure) = (ordering(order), Ordering::Relaxed);
                match atomic.compare_exchange_weak(before, sum.to_bits(), success, failure) {
                    Ok(before) => return <$float>::from_bits(before),
                    Err(other) => before = other,
                }
            }
        }
    };
}

add!(atomic_add_f32, "legionella.atomic.add.f32": f32 in AtomicU32 of u32);
add!(atomic_add_f64, "legionella.atomic.add.f64": f64 in AtomicU64 of u64);

/// Stores an integer of 128 bits if the one there is `current`, and gives the one that was there.
///
/// # Safety
/// The address is aligned to 16 and valid, and all access to what is there is by this.
#[unsafe(export_name = "legionella.atomic.exchange_if.u128")]
#[inline(never)]
pub(crate) unsafe extern "C" fn atomic_exchange_if_u128(
    address: *mut u128,
    current: u128,
    new: u128,
    order: u32,
) -> u128 {
    // SAFETY: the caller's promise.
    let atomic = unsafe { portable_atomic::AtomicU128::from_ptr(address) };
    match atomic.compare_exchange(current, new, ordering(order), Ordering::Acquire) {
        Ok(before) | Err(before) => before,
    }
}

/// Lets others get on, while the work-item waits for the host or for work-items of other groups. Ends it if
/// the launch was cancelled or another item of it panicked.
#[doc(hidden)]
#[unsafe(export_name = "legionella.pause")]
#[inline(never)]
pub extern "C" fn pause() {
    core::hint::spin_loop();
}

/// Which work-item runs: a number of its launch, and its linear id in that.
#[unsafe(export_name = "legionella.running_item")]
#[inline(never)]
pub(crate) extern "C" fn running_item(_item: &mut [u64; 2]) {
    only_on_devices("running_item")
}

/// Where to send what is printed; null for nowhere.
#[unsafe(export_name = "legionella.print_port")]
#[inline(never)]
pub(crate) extern "C" fn print_port() -> *const Port {
    only_on_devices("print_port")
}

/// The region of the accelerator's heap.
#[unsafe(export_name = "legionella.heap_region")]
#[inline(never)]
pub(crate) extern "C" fn heap_region() -> *mut u8 {
    only_on_devices("heap_region")
}

/// A number that work-items which run at once had best not share.
#[unsafe(export_name = "legionella.heap_spread")]
#[inline(never)]
pub(crate) extern "C" fn heap_spread() -> u32 {
    0
}

/// Which lanes are here at once with the same key.
#[unsafe(export_name = "legionella.peers")]
#[inline(never)]
pub(crate) extern "C" fn peers(_key: u64) -> u64 {
    1
}

/// The lane among peers.
#[unsafe(export_name = "legionella.peers.lane")]
#[inline(never)]
pub(crate) extern "C" fn peer_lane() -> u32 {
    0
}

/// The value of one of the peers.
#[unsafe(export_name = "legionella.peers.value")]
#[inline(never)]
pub(crate) extern "C" fn peer_value(_peers: u64, value: u64, _lane: u32) -> u64 {
    value
}

/// The bits of the values of all peers.
#[unsafe(export_name = "legionella.peers.union")]
#[inline(never)]
pub(crate) extern "C" fn peer_union(_peers: u64, value: u64) -> u64 {
    value
}

/// Asks for relaxed arithmetic in the kernel. For entry shims.
#[doc(hidden)]
#[unsafe(export_name = "legionella.relax")]
#[inline(never)]
pub extern "C" fn relax(_what: u32, _table: *const crate::maths::fast::Table) {}
