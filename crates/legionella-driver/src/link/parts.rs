//! The modules of a bundle, of a closure that has been divided.
//!
//! Parts repeat what their kernels have in common with those of others. Each is made by reading what
//! it reaches; where there are many, by reading it from a part that several of them are in.

use inkwell::context::Context;
use legionella_abi::intrinsic;

use crate::error::Error;
use crate::lower;
use crate::parallel;

/// How many parts are read from one module. Reading takes time for all that is in it.
const AT_ONCE: usize = 8;

/// Bitcode, and which kernels it is to be divided into.
struct Piece<'a> {
    bitcode: Vec<u8>,
    parts: &'a [Vec<usize>],
}

/// Makes a module of each part of a closure, in their order. A part lists places in `entries`. LLVM
/// has to be loaded.
pub(super) fn modules(
    bitcode: Vec<u8>,
    entries: &[&str],
    parts: &[Vec<usize>],
) -> Result<Vec<Vec<u8>>, Error> {
    let mut pieces = vec![Piece { bitcode, parts }];
    while pieces.iter().any(|piece| piece.parts.len() > 1) {
        let jobs: Vec<(&Piece<'_>, &[Vec<usize>])> = pieces
            .iter()
            .flat_map(|piece| {
                let several = piece.parts.len().div_ceil(AT_ONCE).max(1);
                piece.parts.chunks(several).map(move |parts| (piece, parts))
            })
            .collect();
        let made = parallel::map(&jobs, |(piece, parts)| {
            let bitcode = if parts.len() == piece.parts.len() {
                piece.bitcode.clone()
            } else {
                let kernels = parts.iter().flatten();
                let entries: Vec<&str> = kernels.map(|&kernel| entries[kernel]).collect();
                let context = Context::create();
                crate::llvm::diagnostics::log(&context);
                let module = lower::reached(&context, &piece.bitcode, &entries, &intrinsic::ROOTS)?;
                module.write_bitcode_to_memory().as_slice().to_vec()
            };
            Ok(Piece { bitcode, parts })
        });
        pieces = made.into_iter().collect::<Result<_, Error>>()?;
    }
    Ok(pieces.into_iter().map(|piece| piece.bitcode).collect())
}

#[cfg(test)]
mod tests {
    use inkwell::memory_buffer::MemoryBuffer;
    use inkwell::module::Module;

    use super::*;

    /// Ten kernels, which have a function in common and one each of their own.
    fn image() -> Vec<u8> {
        let mut text = String::from("define internal void @common() { ret void }\n");
        for kernel in 0..10 {
            text += &format!(
                "define void @kernel{kernel}() {{
                   call void @common()
                   call void @own{kernel}()
                   ret void
                 }}
                 define internal void @own{kernel}() noinline {{ ret void }}\n"
            );
        }
        text.push('\0');
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "image");
        let module = context.create_module_from_ir(buffer).unwrap();
        module.write_bitcode_to_memory().as_slice().to_vec()
    }

    fn functions(bitcode: &[u8]) -> Vec<String> {
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(bitcode, "part");
        let module = Module::parse_bitcode_from_buffer(&buffer, &context).unwrap();
        let names = module.get_functions();
        let mut names: Vec<_> = names
            .map(|function| function.get_name().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn parts_have_what_their_kernels_reach() {
        crate::llvm::load(&crate::llvm::find(None).unwrap()).unwrap();
        let entries: Vec<String> = (0..10).map(|kernel| format!("kernel{kernel}")).collect();
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        let mut parts: Vec<Vec<usize>> = (0..9).map(|kernel| vec![kernel]).collect();
        parts[4].push(9);
        let modules = modules(image(), &entries, &parts).unwrap();
        assert_eq!(modules.len(), 9);
        assert_eq!(functions(&modules[0]), ["common", "kernel0", "own0"]);
        assert_eq!(functions(&modules[8]), ["common", "kernel8", "own8"]);
        let two = ["common", "kernel4", "kernel9", "own4", "own9"];
        assert_eq!(functions(&modules[4]), two);
    }

    #[test]
    fn a_closure_of_one_part_stays_as_it_is() {
        crate::llvm::load(&crate::llvm::find(None).unwrap()).unwrap();
        let image = image();
        let modules = modules(image.clone(), &["kernel0"], &[vec![0]]).unwrap();
        assert_eq!(modules, [image]);
    }
}
