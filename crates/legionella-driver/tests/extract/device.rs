//! What the device library defines for lowering, as far as extraction is concerned.

#[export_name = "legionella.panic_handler"]
pub extern "C" fn panic_handler(_: *const u8) -> ! {
    loop {}
}

#[export_name = "legionella.panic_str"]
pub extern "C" fn panic_str(_: *const u8, _: usize) -> ! {
    loop {}
}

#[export_name = "legionella.alloc_error"]
pub extern "C" fn alloc_error(_: usize, _: usize) -> ! {
    loop {}
}

// Refers to another mathematical function, which is to come along as well.
#[export_name = "legionella.maths.sin.f32"]
pub extern "C" fn sin(x: f32) -> f32 {
    x.exp() - x
}

#[export_name = "legionella.maths.exp.f32"]
pub extern "C" fn exp(x: f32) -> f32 {
    1.0 + x
}

#[export_name = "legionella.maths.cos.f32"]
pub extern "C" fn cos(x: f32) -> f32 {
    1.0 - x
}

#[export_name = "legionella.heap.alloc"]
pub extern "C" fn heap_alloc(_: usize, _: usize) -> *mut u8 {
    core::ptr::null_mut()
}

#[export_name = "legionella.heap.dealloc"]
pub extern "C" fn heap_dealloc(_: *mut u8, _: usize, _: usize) {}

#[inline(never)]
pub unsafe extern "C" fn entry<K: Fn(&mut [u32], f32)>(block: *const (usize, usize, f32)) {
    let (start, len, x) = *block;
    let kernel: K = core::mem::zeroed();
    kernel(core::slice::from_raw_parts_mut(start as *mut u32, len), x)
}

#[inline(never)]
pub fn launch<K: Fn(&mut [u32], f32)>(_: K) {
    let shim: unsafe extern "C" fn(*const (usize, usize, f32)) = entry::<K>;
    std::hint::black_box(shim);
}
