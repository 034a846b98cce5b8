//! The symbols that stand for the machine inside device code.
//!
//! `legionella-device` defines a function with each of these names, whose body is its meaning on
//! the host; the driver discards the body and binds the symbol to the target's own operation.

/// `fn(dimension: u32) -> u64`: global id of the work-item.
pub const GLOBAL_ID: &str = "legionella.global_id";
/// `fn(dimension: u32) -> u64`: work-items of the grid.
pub const GRID_SIZE: &str = "legionella.grid_size";
/// `fn(dimension: u32) -> u64`: id of the work-item within its work-group.
pub const LOCAL_ID: &str = "legionella.local_id";
/// `fn(dimension: u32) -> u64`: id of the work-group.
pub const GROUP_ID: &str = "legionella.group_id";
/// `fn(dimension: u32) -> u64`: work-items of a whole work-group.
pub const GROUP_SIZE: &str = "legionella.group_size";
/// `fn(*const u8) -> *const u8`: the same address; nothing writes the memory that is reached by the
/// result while the launch runs.
pub const IMMUTABLE: &str = "legionella.immutable";
/// `fn(*const cpu::Panic) -> !`: hands a formatted panic to the target.
pub const PANIC: &str = "legionella.panic";
/// `fn() -> bool`: whether this is device code. Lowering answers it; targets never see it.
pub const ON_DEVICE: &str = "legionella.on_device";

/// `fn(label: u32, place: &'static Location)`: waits until every work-item of the group waits with
/// the same label, which is a constant once the kernel is inlined. What any of them did to memory
/// before is visible to all of them behind.
///
/// If an item has ended or waits with another label, none may go on: the target ends the group by
/// [`BARRIER_FAILED`] or in a way of its own. That is what makes shared memory safe
/// (`legionella_device::tile`). Items that a group at the edge of the grid lacks don't count.
pub const BARRIER: &str = "legionella.barrier";
/// `fn(size: u64, align: u64, id: u32) -> *mut u8`: memory that the items of the group share,
/// undefined at first. Calls with the same id give the same memory, others give memory that doesn't
/// overlap. The arguments are constants once the kernel is inlined.
pub const SHARED: &str = "legionella.shared";
/// `fn() -> *mut u8`: the start of the group's memory whose size the launch gives, aligned to
/// [`DYNAMIC_SHARED_ALIGN`].
pub const DYNAMIC_SHARED: &str = "legionella.dynamic_shared";
/// Alignment of what [`DYNAMIC_SHARED`] gives, in bytes.
pub const DYNAMIC_SHARED_ALIGN: usize = 128;
/// `fn() -> u32`: lanes of a whole subgroup, a power of two of at most 64.
pub const SUBGROUP_SIZE: &str = "legionella.subgroup_size";
/// `fn() -> u32`: lane of the work-item in its subgroup: its linear id in a whole work-group, first
/// dimension fastest, modulo the size of subgroups.
pub const SUBGROUP_LANE: &str = "legionella.subgroup_lane";
/// `fn(value: u32, lane: u32, place: &'static Location) -> u32`: the value of another lane; some value
/// if there is no such lane. All existing lanes of the subgroup take part.
pub const SUBGROUP_SHUFFLE: &str = "legionella.subgroup_shuffle";
/// `fn(bit: u32, place: &'static Location) -> u64`: the lowest bit of each lane, 0 for lanes that
/// don't exist. All existing ones take part.
pub const SUBGROUP_BALLOT: &str = "legionella.subgroup_ballot";

/// Operations that work-items carry out together.
pub const COLLECTIVE: [&str; 3] = [BARRIER, SUBGROUP_SHUFFLE, SUBGROUP_BALLOT];

/// `fn(left: *const [u32; 4], right: *const [u32; 4], sum: *mut [f32; 8], place: &'static Location)`: adds the
/// product of two matrices to a third, of which each lane of the subgroup has a part
/// (`legionella_device::matrix` has the arrangement). All lanes of a whole subgroup take part. Factors are of
/// `f16`.
///
/// The bodies of these functions are made of [`SUBGROUP_SHUFFLE`]: a target that has nothing better keeps them.
pub const MATRIX_F16: &str = "legionella.matrix.f16";
/// As [`MATRIX_F16`], of `bf16`.
pub const MATRIX_BF16: &str = "legionella.matrix.bf16";
/// As [`MATRIX_F16`], of `f32` whose lowest 13 bits are zero.
pub const MATRIX_TF32: &str = "legionella.matrix.tf32";
/// As [`MATRIX_F16`], of `f64`, with a sum of `f64`.
pub const MATRIX_F64: &str = "legionella.matrix.f64";
/// As [`MATRIX_F16`], of `i8`, with a sum of `i32` that wraps.
pub const MATRIX_I8: &str = "legionella.matrix.i8";
/// As [`MATRIX_I8`], of `u8`.
pub const MATRIX_U8: &str = "legionella.matrix.u8";
/// `fn() -> bool`: whether the target binds [`MATRIX_ROWS`] and [`MATRIX_COLUMNS`]. Lowering answers it.
pub const MATRIX_LOADS: &str = "legionella.matrix.loads";
/// `fn(row: *const u8, words: *mut [u32; 4], place: &'static Location)`: four matrices of 8 rows of 16 bytes in
/// shared memory, of which the lanes `8 i` to `8 i + 7` give the addresses of the rows of matrix `i`, aligned to
/// 16. Lane `l` receives as word `i` the word `l mod 4` of row `l / 4` of matrix `i`. All lanes of a whole
/// subgroup take part.
pub const MATRIX_ROWS: &str = "legionella.matrix.rows";
/// As [`MATRIX_ROWS`], of matrices of 16-bit elements, transposed: the two halves of word `i` are the elements
/// `l / 4` of the rows `2 (l mod 4)` and `2 (l mod 4) + 1` of matrix `i`.
pub const MATRIX_COLUMNS: &str = "legionella.matrix.columns";

/// `fn() -> bool`: whether the target binds the operations that follow, on bands. Lowering answers it.
pub const MATRIX_BANDS: &str = "legionella.matrix.bands";
/// `fn(left: *const u8, right: *const u8, columns: u32, sum: *mut [f32; 8], place: &'static Location)`: begins to
/// add a product to a band of sums, of which each of four subgroups beside each other has 16 rows. `left` and
/// `right` are matrices of 64 and of `columns` rows of 128 bytes in shared memory, arranged as
/// `legionella_device::matrix::Tile` has it and aligned to 1,024 bytes; the right one is by columns. Each
/// lane has `columns / 16` parts of the sum. `columns` is a constant once the kernel is inlined. Factors are of
/// `f16`.
///
/// All lanes of the four subgroups come to it behind one [`is_stepwise`] barrier, with the same values. What is
/// read is left alone, and the sums are not looked at, until [`MATRIX_BAND_STEP`] or [`MATRIX_BAND_END`].
pub const MATRIX_BAND_F16: &str = "legionella.matrix.band.f16";
/// As [`MATRIX_BAND_F16`], of `bf16`.
pub const MATRIX_BAND_BF16: &str = "legionella.matrix.band.bf16";
/// As [`MATRIX_BAND_F16`], of `f32` whose lowest 13 bits are zero.
pub const MATRIX_BAND_TF32: &str = "legionella.matrix.band.tf32";
/// As [`MATRIX_BAND_F16`], of `i8`, with a sum of `i32` that wraps.
pub const MATRIX_BAND_I8: &str = "legionella.matrix.band.i8";
/// As [`MATRIX_BAND_I8`], of `u8`.
pub const MATRIX_BAND_U8: &str = "legionella.matrix.band.u8";
/// `fn(place: &'static Location)`: waits until of all products of bands that were begun only those since the last
/// such step are under way.
pub const MATRIX_BAND_STEP: &str = "legionella.matrix.band.step";
/// `fn(columns: u32, floats: u32, sum: *mut u8, place: &'static Location)`: waits for all products of bands; the
/// sum is that of all that were begun, of `f32` if `floats` isn't 0, and else of `i32`.
pub const MATRIX_BAND_END: &str = "legionella.matrix.band.end";
/// `fn() -> u32`: how the lanes of a subgroup hold matrices, one of [`QUADS`], [`ROWS`], [`ALTERNATE_ROWS`]
/// (`legionella_device::matrix` has what these are). Lowering answers it.
pub const MATRIX_ARRANGEMENT: &str = "legionella.matrix.arrangement";
/// As NVIDIA's matrix units have it.
pub const QUADS: u32 = 0;
/// As AMD's have it: a row or column a lane.
pub const ROWS: u32 = 1;
/// The same where neighbouring rows of what a unit computes are in different lanes.
pub const ALTERNATE_ROWS: u32 = 2;

/// Operations on matrices that a target may bind.
pub const MATRICES: [&str; 15] = [
    MATRIX_F16,
    MATRIX_BF16,
    MATRIX_TF32,
    MATRIX_F64,
    MATRIX_I8,
    MATRIX_U8,
    MATRIX_ROWS,
    MATRIX_COLUMNS,
    MATRIX_BAND_F16,
    MATRIX_BAND_BF16,
    MATRIX_BAND_TF32,
    MATRIX_BAND_I8,
    MATRIX_BAND_U8,
    MATRIX_BAND_STEP,
    MATRIX_BAND_END,
];

/// Whether barriers with that label are steps of a stream through shared memory
/// (`legionella_device::matrix::stream`): both bits of two tiles are set, which no other label has.
pub fn is_stepwise(label: u64) -> bool {
    (label & (label >> 1) & 0x5555_5555).count_ones() > 1
}

/// `fn(from: *const u8) -> bool`: whether [`COPY_BEGIN`] can read there, which is so for the memory of buffers.
pub const COPY_REACHES: &str = "legionella.copy.reaches";
/// `fn(to: *mut u8, from: *const u8, bytes: u32)`: begins to copy 16 bytes to shared memory, or, if `bytes` is 0, to
/// fill them with zeros; it is one or the other. Addresses are aligned to 16. The bytes are there for the item
/// behind a [`COPY_WAIT`], and for others behind the next barrier.
///
/// The bodies of these functions copy at once: a target that has nothing better keeps them.
pub const COPY_BEGIN: &str = "legionella.copy.begin";
/// `fn()`: the item's copies begun since the last such call are a set.
pub const COPY_CLOSE: &str = "legionella.copy.close";
/// `fn(sets: u32)`: waits until at most so many of the item's last sets are under way: a constant once the kernel
/// is inlined.
pub const COPY_WAIT: &str = "legionella.copy.wait";

/// Copies that go on while the item does, which a target may bind, all or none.
pub const COPIES: [&str; 4] = [COPY_REACHES, COPY_BEGIN, COPY_CLOSE, COPY_WAIT];

/// `fn() -> bool`: whether the target binds the operations that follow, by which the first item of a group copies whole
/// parts of two matrices to shared memory, for products of bands. Lowering answers it.
///
/// Parts have rows of 128 bytes, arranged as `legionella_device::matrix::Tile` has it. Of these operations, all but
/// [`PART_TOLD`] and [`PART_WAIT`] are for that item alone. While copies are open, no item ends but where items can't
/// meet, at a barrier that [is a step](is_stepwise) of a stream or at an operation on matrices: there the target waits
/// for copies that have begun, and closes them.
pub const PARTS: &str = "legionella.parts";
/// `fn(left: *const u8, width: u64, rows: u32, part: u32, right: *const u8, width: u64, rows: u32, part: u32)`: opens
/// copies of parts of two matrices. The rows of each have `width` times 16 bytes, from 1 to 2²⁹ − 1, and there are from
/// 1 to 2³¹ − 1 of them; a part has `part`, from 1 to 256. What is beyond the last row or a row's end is copied as
/// zeros. The memory is that of buffers ([`COPY_REACHES`]), and nobody writes it. There may be none left of what copies
/// need: then they aren't open.
pub const PART_OPEN: &str = "legionella.part.open";
/// `fn() -> u32`: 0, unless copies are open; else a number with a bit for each stage, from bit 0 on. It is for those
/// behind a barrier that comes after [`PART_OPEN`], all of whom are told the same.
pub const PART_TOLD: &str = "legionella.part.told";
/// `fn(left: *mut u8, right: *mut u8, strip: u32, left_row: u32, right_row: u32, stage: u32, bytes: u32)`: begins to
/// copy a part of each matrix, from these rows on, and from the strip of 16 bytes of that number on in each, to what a
/// stage below [`PART_STAGES`] has in shared memory, aligned to 1,024 bytes, and of which nobody knows the content.
/// `bytes` are those of both parts. Copies are open; numbers are below 2²⁹, those of rows below 2³¹.
pub const PART_BEGIN: &str = "legionella.part.begin";
/// `fn(stage: u32, phase: u32)`: waits until a stage is there for all that the item does behind it. `phase` is the
/// stage's bit of what [`PART_TOLD`] gave, turned for each time that the stage was waited for; such a copy has begun
/// before a barrier that the item has passed.
pub const PART_WAIT: &str = "legionella.part.wait";
/// `fn()`: closes copies, all of which have been waited for.
pub const PART_CLOSE: &str = "legionella.part.close";
/// Most stages that parts are copied to.
pub const PART_STAGES: usize = 8;

/// Copies of whole parts, which a target may bind, all or none.
pub const PART_COPIES: [&str; 5] = [PART_OPEN, PART_TOLD, PART_BEGIN, PART_WAIT, PART_CLOSE];

/// Whether lanes carry out the operation of that name together, if a target binds it.
pub fn is_collective(name: &str) -> bool {
    COLLECTIVE.contains(&name) || MATRICES.contains(&name)
}

/// `fn(address: *const u8, scope: u32) -> *const u8`: the same address; atomic operations at it have
/// that [`Scope`]. All others have that of the device.
pub const SCOPED: &str = "legionella.scoped";
/// `fn(ordering: u32, scope: u32)`: a fence, with an index into [`ORDERINGS`] and a [`Scope`].
pub const FENCE: &str = "legionella.fence";
/// `fn(address: *const u32, value: f32, ordering: u32) -> f32`: adds atomically, gives the value
/// before. The device library's body does it by compare-exchange; a target that has an instruction
/// puts it in its place.
pub const ADD_F32: &str = "legionella.atomic.add.f32";
/// As [`ADD_F32`], of `f64`.
pub const ADD_F64: &str = "legionella.atomic.add.f64";
/// `fn(address: *mut u128, current: u128, new: u128, ordering: u32) -> u128`: a compare-exchange of
/// 128 bits, which gives the value before. There is nothing to make it of where a target has none.
pub const EXCHANGE_IF_U128: &str = "legionella.atomic.exchange_if.u128";

/// Whom an atomic operation orders memory for.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The work-items of a work-group.
    Group,
    /// All work-items on the device.
    Device,
    /// Other devices and the host as well.
    System,
}

/// Orderings by number, in Rust's names.
pub const ORDERINGS: [&str; 5] = ["Relaxed", "Release", "Acquire", "AcqRel", "SeqCst"];

/// `fn()`: the work-item waits for the host, or for other groups; it is called again and again.
pub const PAUSE: &str = "legionella.pause";
/// `fn(&mut [u64; 2])`: writes a number of the running work-item's launch, which no other launch in
/// flight has, and the item's linear id.
pub const RUNNING_ITEM: &str = "legionella.running_item";
/// `fn() -> *const Port`: where the device library sends what kernels print
/// (`legionella_device::print::Port`), or null. Kernels that don't print don't ask.
pub const PRINT_PORT: &str = "legionella.print_port";

/// `fn() -> *mut u8`: the region of the accelerator's heap (`legionella_device::heap`), for targets
/// whose allocator that is.
pub const HEAP_REGION: &str = "legionella.heap_region";
/// `fn() -> u32`: any number, best one that work-items which run at once don't share.
pub const HEAP_SPREAD: &str = "legionella.heap_spread";
/// `fn(size: usize, align: usize) -> *mut u8`: as Rust's `alloc`, from the accelerator's heap.
pub const HEAP_ALLOC: &str = "legionella.heap.alloc";
/// The same, zeroed.
pub const HEAP_ALLOC_ZEROED: &str = "legionella.heap.alloc_zeroed";
/// `fn(memory: *mut u8, size: usize, align: usize)`: as Rust's `dealloc`.
pub const HEAP_DEALLOC: &str = "legionella.heap.dealloc";
/// `fn(memory: *mut u8, old: usize, align: usize, new: usize) -> *mut u8`: as Rust's `realloc`.
pub const HEAP_REALLOC: &str = "legionella.heap.realloc";

/// What the driver links into closures that allocate.
pub const HEAP: [&str; 4] = [HEAP_ALLOC, HEAP_ALLOC_ZEROED, HEAP_DEALLOC, HEAP_REALLOC];

/// `fn(key: u64) -> u64`: some of the lanes that are at this call at once with the same key, a bit each,
/// the work-item's own among them. They then are at each [`PEER_VALUE`] and [`PEER_UNION`] together. That
/// a work-item has no other is always right, and what the bodies of these functions say: a target that
/// has nothing better keeps them.
pub const PEERS: &str = "legionella.peers";
/// `fn() -> u32`: the work-item's lane in what [`PEERS`] gives.
pub const PEER_LANE: &str = "legionella.peers.lane";
/// `fn(peers: u64, value: u64, lane: u32) -> u64`: the value of one of the peers. What any of them did to
/// memory before is visible to all of them behind.
pub const PEER_VALUE: &str = "legionella.peers.value";
/// `fn(peers: u64, value: u64) -> u64`: the bits of the values of all peers; likewise.
pub const PEER_UNION: &str = "legionella.peers.union";

/// What work-items do with those that happen to be at the same place.
pub const OPPORTUNISTIC: [&str; 4] = [PEERS, PEER_LANE, PEER_VALUE, PEER_UNION];

/// `fn(&core::panic::PanicInfo) -> !`: where the compiled panic machinery is cut and led to.
pub const PANIC_HANDLER: &str = "legionella.panic_handler";
/// `fn(message: *const u8, len: usize, &'static Location) -> !`: a panic with a plain message.
pub const PANIC_STR: &str = "legionella.panic_str";
/// `fn(align: usize, size: usize) -> !`: allocation failure.
pub const ALLOC_ERROR: &str = "legionella.alloc_error";

/// `fn(place: &Location, other: Option<&Location>) -> !`: a collective operation that some items of
/// the group wait for at `place`, while others wait at `other` or have ended.
pub const BARRIER_FAILED: &str = "legionella.barrier_failed";

/// Where lowering may lead calls that don't return.
pub const FAILURES: [&str; 4] = [PANIC_HANDLER, PANIC_STR, ALLOC_ERROR, BARRIER_FAILED];

/// A [`cpu::Run`](crate::cpu::Run) that runs groups whose items wait for each other, for the CPU
/// target.
pub const CPU_RUN_GROUPS: &str = "legionella.cpu.run_groups";
/// `fn(block, frame, &mut cpu::Slot, &cpu::Context)`: runs an item of such a group until it waits or
/// ends; `frame` is memory for what it has to keep.
pub const CPU_START: &str = "legionella.cpu.start";
/// `fn(frame)`: runs an item on that waits.
pub const CPU_RESUME: &str = "legionella.cpu.resume";
/// `fn() -> usize`: bytes that an item's frame takes.
pub const CPU_FRAME_SIZE: &str = "legionella.cpu.frame_size";
/// `fn() -> usize`: alignment of an item's frame in bytes.
pub const CPU_FRAME_ALIGN: &str = "legionella.cpu.frame_align";
/// `fn() -> usize`: bytes of all that [`SHARED`] gives.
pub const CPU_SHARED_SIZE: &str = "legionella.cpu.shared_size";
/// `fn(size: usize, align: usize) -> *mut u8`: memory of the calling thread, until the call of
/// [`cpu::Run`](crate::cpu::Run) ends or asks again; null if there is none.
pub const CPU_SCRATCH: &str = "legionella.cpu.scratch";

/// What [`CPU_RUN_GROUPS`] calls, and generated code alone defines.
pub const CPU_BOUND: [&str; 6] = [
    CPU_START,
    CPU_RESUME,
    CPU_FRAME_SIZE,
    CPU_FRAME_ALIGN,
    CPU_SHARED_SIZE,
    CPU_SCRATCH,
];

/// What the driver links into every closure because lowering may lead calls there.
pub const ROOTS: [&str; 5] = [
    PANIC_HANDLER,
    PANIC_STR,
    ALLOC_ERROR,
    BARRIER_FAILED,
    CPU_RUN_GROUPS,
];

/// Prefix of mathematical functions in `legionella-device`, followed by the LLVM intrinsic's name
/// without `llvm.`: `legionella.maths.exp.f32`.
pub const MATHS_PREFIX: &str = "legionella.maths.";

/// Prefix of those of these functions that are quick and nearly right: `legionella.fast.exp.f32`.
pub const FAST_PREFIX: &str = "legionella.fast.";

/// `fn(what: u32, table: *const Table)`: in a kernel's shim, asks for the [`Relaxation`]s of a set of
/// bits. The table (`legionella_device::maths::fast::Table`) names what [`FAST_PREFIX`] begins.
pub const RELAX: &str = "legionella.relax";

/// Liberties that a launch may allow in the kernel's arithmetic of floats, as bits.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relaxation {
    /// A product and a sum may be rounded once, together.
    Contract = 1,
    /// Division may be multiplication by the reciprocal.
    Reciprocal = 2,
    /// Mathematical functions may be approximations.
    Approximate = 4,
    /// Mathematical functions may be those of the device's vendor.
    Vendor = 8,
}

/// Prefix of functions in `legionella-device` that stand for those of the C library which `std`
/// calls for the text of its errors, followed by the C name: `legionella.c.strlen`.
pub const C_PREFIX: &str = "legionella.c.";

/// The C functions for which there may be one, by their names in object files.
pub const C_FUNCTIONS: [&str; 3] = ["strlen", "strerror_r", "__xpg_strerror_r"];

#[cfg(test)]
mod tests {
    use super::is_stepwise;

    #[test]
    fn only_streams_have_both_bits_of_two_tiles() {
        assert!(is_stepwise(0b11_11));
        assert!(is_stepwise(0b11 << 30 | 0b11 << 2));
        // Tiles that change hands, and what a group computes together.
        for other in [
            0,
            0x5555_5555,
            0xaaaa_aaaa,
            0b01_10_01,
            0b11,
            0b01_11,
            0b11 << 30 | 1,
        ] {
            assert!(!is_stepwise(other), "{other:b}");
        }
    }
}
