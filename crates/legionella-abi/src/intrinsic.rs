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

/// `fn(&core::panic::PanicInfo) -> !`: where the compiled panic machinery is cut and led to.
pub const PANIC_HANDLER: &str = "legionella.panic_handler";
/// `fn(message: *const u8, len: usize, &'static Location) -> !`: a panic with a plain message.
pub const PANIC_STR: &str = "legionella.panic_str";
/// `fn(size: usize, align: usize) -> !`: allocation failure.
pub const ALLOC_ERROR: &str = "legionella.alloc_error";

/// What the driver links into every closure because lowering may lead calls there.
pub const ROOTS: [&str; 3] = [PANIC_HANDLER, PANIC_STR, ALLOC_ERROR];

/// Prefix of mathematical functions in `legionella-device`, followed by the LLVM intrinsic's name
/// without `llvm.`: `legionella.maths.exp.f32`.
pub const MATHS_PREFIX: &str = "legionella.maths.";

/// Prefix of functions in `legionella-device` that stand for those of the C library which `std`
/// calls for the text of its errors, followed by the C name: `legionella.c.strlen`.
pub const C_PREFIX: &str = "legionella.c.";

/// The C functions for which there may be one, by their names in object files.
pub const C_FUNCTIONS: [&str; 3] = ["strlen", "strerror_r", "__xpg_strerror_r"];
