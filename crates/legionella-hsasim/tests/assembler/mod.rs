//! LLVM's assembler, so that tests are written in assembly.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

use legionella_hsasim::llvm;
use libloading::{Library, Symbol};
use object::{Object as _, ObjectSection as _};

type Handle = *mut c_void;

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let path = llvm::find().unwrap();
        // SAFETY: LLVM's initialisers only register options.
        let library = unsafe { Library::new(path).unwrap() };
        for part in [
            "TargetInfo",
            "Target",
            "TargetMC",
            "AsmParser",
            "AsmPrinter",
        ] {
            let name = format!("LLVMInitializeAMDGPU{part}");
            // SAFETY: the function takes and gives nothing.
            unsafe {
                library
                    .get::<unsafe extern "C" fn()>(name.as_bytes())
                    .unwrap()()
            };
        }
        library
    })
}

/// A function of LLVM's C API.
///
/// # Safety
/// `F` is its type.
unsafe fn function<F>(name: &str) -> Symbol<'static, F> {
    // SAFETY: the caller's promise.
    unsafe { library().get(name.as_bytes()).unwrap() }
}

/// The object file of a text: assembly, or with `ir` LLVM's.
fn compile(processor: &str, text: &str, ir: bool) -> Vec<u8> {
    let (bytes, mistakes) = try_compile(processor, text, ir);
    assert!(mistakes.is_empty(), "{mistakes}\n{text}");
    bytes
}

/// What LLVM says is wrong with assembly: the line, and what it says.
#[allow(dead_code, reason = "each test program uses its part")]
pub fn mistakes(processor: &str, text: &str) -> Vec<(usize, String)> {
    let (_, mistakes) = try_compile(processor, text, false);
    let mut list = Vec::new();
    for part in mistakes.split("<inline asm>:").skip(1) {
        let (line, why) = part.split_once(':').unwrap();
        list.push((line.parse().unwrap(), why.to_owned()));
    }
    assert!(mistakes.is_empty() || !list.is_empty(), "{mistakes}");
    list
}

/// The object file, and what LLVM says is wrong.
fn try_compile(processor: &str, text: &str, ir: bool) -> (Vec<u8>, String) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let processor = CString::new(processor).unwrap();
    // SAFETY: the functions are called as llvm-c/Core.h, IRReader.h and TargetMachine.h declare them; each
    // handle comes from the function before.
    unsafe {
        let context = function::<unsafe extern "C" fn() -> Handle>("LLVMContextCreate")();
        // Without a handler LLVM ends the process at the first mistake.
        let mut mistakes = String::new();
        function::<unsafe extern "C" fn(Handle, extern "C" fn(Handle, *mut String), *mut String)>(
            "LLVMContextSetDiagnosticHandler",
        )(context, note, &mut mistakes);
        let mut message: *mut c_char = std::ptr::null_mut();
        let said = |message: *mut c_char| CStr::from_ptr(message).to_string_lossy().into_owned();
        let module = if ir {
            let buffer =
                function::<unsafe extern "C" fn(*const c_char, usize, *const c_char) -> Handle>(
                    "LLVMCreateMemoryBufferWithMemoryRangeCopy",
                )(text.as_ptr().cast(), text.len(), c"test".as_ptr());
            let mut module: Handle = std::ptr::null_mut();
            let failed = function::<
                unsafe extern "C" fn(Handle, Handle, *mut Handle, *mut *mut c_char) -> c_int,
            >("LLVMParseIRInContext")(
                context, buffer, &mut module, &mut message
            );
            assert_eq!(failed, 0, "{}", said(message));
            module
        } else {
            let module = function::<unsafe extern "C" fn(*const c_char, Handle) -> Handle>(
                "LLVMModuleCreateWithNameInContext",
            )(c"test".as_ptr(), context);
            function::<unsafe extern "C" fn(Handle, *const c_char, usize)>(
                "LLVMSetModuleInlineAsm2",
            )(module, text.as_ptr().cast(), text.len());
            module
        };
        function::<unsafe extern "C" fn(Handle, *const c_char)>("LLVMSetTarget")(
            module,
            llvm::TRIPLE.as_ptr(),
        );
        let mut target: Handle = std::ptr::null_mut();
        let failed = function::<
            unsafe extern "C" fn(*const c_char, *mut Handle, *mut *mut c_char) -> c_int,
        >("LLVMGetTargetFromTriple")(
            llvm::TRIPLE.as_ptr(), &mut target, &mut message
        );
        assert_eq!(failed, 0, "{}", said(message));
        let machine = function::<
            unsafe extern "C" fn(
                Handle,
                *const c_char,
                *const c_char,
                *const c_char,
                c_int,
                c_int,
                c_int,
            ) -> Handle,
        >("LLVMCreateTargetMachine")(
            target,
            llvm::TRIPLE.as_ptr(),
            processor.as_ptr(),
            c"".as_ptr(),
            2,
            2,
            0,
        );
        let mut buffer: Handle = std::ptr::null_mut();
        let failed = function::<
            unsafe extern "C" fn(Handle, Handle, c_int, *mut *mut c_char, *mut Handle) -> c_int,
        >("LLVMTargetMachineEmitToMemoryBuffer")(
            machine, module, 1, &mut message, &mut buffer
        );
        assert_eq!(failed, 0, "{}", said(message));
        let start =
            function::<unsafe extern "C" fn(Handle) -> *const u8>("LLVMGetBufferStart")(buffer);
        let size = function::<unsafe extern "C" fn(Handle) -> usize>("LLVMGetBufferSize")(buffer);
        let bytes = std::slice::from_raw_parts(start, size).to_vec();
        function::<unsafe extern "C" fn(Handle)>("LLVMDisposeMemoryBuffer")(buffer);
        function::<unsafe extern "C" fn(Handle)>("LLVMDisposeTargetMachine")(machine);
        function::<unsafe extern "C" fn(Handle)>("LLVMDisposeModule")(module);
        function::<unsafe extern "C" fn(Handle)>("LLVMContextDispose")(context);
        (bytes, mistakes)
    }
}

/// Adds what LLVM says is wrong.
extern "C" fn note(diagnostic: Handle, mistakes: *mut String) {
    // SAFETY: LLVM passes a diagnostic and the pointer that it was given with the handler.
    unsafe {
        let severity = function::<unsafe extern "C" fn(Handle) -> c_int>("LLVMGetDiagInfoSeverity")(
            diagnostic,
        );
        if severity != 0 {
            return;
        }
        let text = function::<unsafe extern "C" fn(Handle) -> *mut c_char>(
            "LLVMGetDiagInfoDescription",
        )(diagnostic);
        (*mistakes).push_str(&CStr::from_ptr(text).to_string_lossy());
    }
}

/// The machine code of assembly.
#[allow(dead_code, reason = "each test program uses its part")]
pub fn assemble(processor: &str, text: &str) -> Vec<u8> {
    let object = compile(processor, text, false);
    let file = object::File::parse(&*object).unwrap();
    file.section_by_name(".text")
        .unwrap()
        .data()
        .unwrap()
        .to_vec()
}

/// The code object of LLVM's IR, or of assembly with its directives.
#[allow(dead_code, reason = "each test program uses its part")]
pub fn code_object(processor: &str, text: &str, ir: bool) -> Vec<u8> {
    let object = compile(processor, text, ir);
    let folder = std::env::temp_dir().join(format!(
        "hsasim-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&folder).unwrap();
    let (input, output) = (folder.join("kernel.o"), folder.join("kernel.hsaco"));
    std::fs::write(&input, object).unwrap();
    let linker = llvm::find()
        .unwrap()
        .parent()
        .unwrap()
        .join("rustlib")
        .join(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .join("bin/rust-lld");
    let status = std::process::Command::new(linker)
        .args(["-flavor", "gnu", "-shared", "-o"])
        .args([&output, &input])
        .status()
        .unwrap();
    assert!(status.success());
    let bytes = std::fs::read(output).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    bytes
}
