//! Inlined copies of functions, told apart by number.
//!
//! LLVM's remarks name a file, a line and a column, but not through which calls the code got there: a
//! remark on a loop points into the iterator that drives it. Takes a module with locations; gives
//! debug information in which every inlined copy of a function is a function of its own, in a file
//! whose name is the copy's number. What a remark then says of its place leads back to the whole chain
//! of calls. No code is made of this.

use std::collections::HashMap;

use inkwell::module::Module;
use legionella_abi::protocol::{Call, Source};
use llvm_sys::core as c;
use llvm_sys::debuginfo as d;
use llvm_sys::prelude::LLVMMetadataRef;

use super::writer::{Emission, Writer};
use super::{Subprogram, is_located, location, path_of};
use crate::ir::{self, Value, llvm};

/// Between the number of a copy and the name of a loop.
const SEPARATOR: char = ' ';

/// The copies in a module.
pub(crate) struct Copies(Vec<Inlined>);

/// A function, by itself or where it was inlined.
struct Inlined {
    /// Demangled.
    function: String,
    file: String,
    /// The copy that it was inlined into, and where.
    outer: Option<(usize, Position)>,
}

type Position = (u32, u32);

/// Where a remark points.
pub(crate) struct Place {
    /// Name of the loop, if it was given one.
    pub(crate) name: Option<String>,
    /// From the kernel to the place, outermost first.
    pub(crate) chain: Vec<Call>,
}

impl Copies {
    /// Numbers the copies in a module, and writes its debug information anew.
    pub(crate) fn number(module: &Module<'_>) -> Self {
        let functions = ir::functions(module).into_iter();
        let located: Vec<_> = functions
            .flat_map(|function| function.instructions())
            .filter(|instruction| is_located(*instruction))
            .map(|instruction| (instruction, location(instruction)))
            .collect();
        let mut numbering = Numbering {
            writer: Writer::begin(module, Emission::None),
            copies: Vec::new(),
            functions: HashMap::new(),
            numbers: HashMap::new(),
            locations: HashMap::new(),
        };
        for (instruction, old) in located {
            if let Some((new, _)) = numbering.location(old) {
                numbering.writer.locate(instruction, new);
            }
        }
        Copies(numbering.copies)
    }

    /// The place that a text names which begins `NUMBER[ NAME]:LINE:COLUMN: `, and the rest of it.
    pub(crate) fn place<'a>(&self, text: &'a str) -> Option<(Place, &'a str)> {
        let (at, rest) = text.split_once(": ")?;
        let mut parts = at.rsplitn(3, ':');
        let column = parts.next()?.parse().ok()?;
        let line = parts.next()?.parse().ok()?;
        let file = parts.next()?;
        let (number, name) = match file.split_once(SEPARATOR) {
            Some((number, name)) => (number, Some(name.to_owned())),
            None => (file, None),
        };
        let mut chain = Vec::new();
        let mut next: Option<(usize, Position)> = Some((number.parse().ok()?, (line, column)));
        while let Some((number, (line, column))) = next {
            let copy = self.0.get(number)?;
            chain.push(Call {
                function: copy.function.clone(),
                // Of what LLVM made one of several places, it keeps the function alone.
                source: (line != 0).then(|| Source {
                    file: copy.file.clone(),
                    line,
                    column,
                }),
            });
            next = copy.outer;
        }
        chain.reverse();
        Some((Place { name, chain }, rest))
    }
}

/// Whether the name of a file is the number of a copy; the file's path then is its directory.
pub(super) fn is_number(name: &str) -> bool {
    let number = name.split(SEPARATOR).next().unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// A location that gives a loop a name: that of an instruction in the loop. `None` if it has none, or
/// copies aren't numbered.
pub(crate) fn name_loop(instruction: Value<'_>, name: &str) -> Option<LLVMMetadataRef> {
    let old = location(instruction);
    if old.is_null() {
        return None;
    }
    let function = instruction.block().function();
    let scope = llvm!(d::LLVMDILocationGetScope(old));
    let file = llvm!(d::LLVMDIScopeGetFile(scope));
    let number = super::name_of(file);
    if !is_number(&number) {
        return None;
    }
    let directory = super::directory_of(file);
    let named = format!("{number}{SEPARATOR}{name}");
    llvm!({
        let module = c::LLVMGetGlobalParent(function.raw());
        let builder = d::LLVMCreateDIBuilder(module);
        let file = d::LLVMDIBuilderCreateFile(
            builder,
            named.as_ptr().cast(),
            named.len(),
            directory.as_ptr().cast(),
            directory.len(),
        );
        let scope = d::LLVMDIBuilderCreateLexicalBlockFile(builder, scope, file, 0);
        let location = d::LLVMDIBuilderCreateDebugLocation(
            c::LLVMGetModuleContext(module),
            d::LLVMDILocationGetLine(old),
            d::LLVMDILocationGetColumn(old),
            scope,
            d::LLVMDILocationGetInlinedAt(old),
        );
        d::LLVMDisposeDIBuilder(builder);
        Some(location)
    })
}

struct Numbering<'m> {
    writer: Writer<'m>,
    copies: Vec<Inlined>,
    /// By number.
    functions: HashMap<usize, LLVMMetadataRef>,
    /// By function and where it was inlined.
    numbers: HashMap<(Subprogram, LLVMMetadataRef), usize>,
    locations: HashMap<LLVMMetadataRef, (LLVMMetadataRef, usize)>,
}

impl Numbering<'_> {
    /// What is written for a location, and which copy it is in.
    fn location(&mut self, old: LLVMMetadataRef) -> Option<(LLVMMetadataRef, usize)> {
        if let Some(known) = self.locations.get(&old) {
            return Some(*known);
        }
        let scope = llvm!(d::LLVMDILocationGetScope(old));
        let inlined_at = llvm!(d::LLVMDILocationGetInlinedAt(old));
        let subprogram = Subprogram::around(self.writer.context(), scope)?;
        let (outer, outer_copy) = if inlined_at.is_null() {
            (std::ptr::null_mut(), None)
        } else {
            let (outer, number) = self.location(inlined_at)?;
            (outer, Some((number, position(inlined_at))))
        };
        let number = match self.numbers.get(&(subprogram, inlined_at)) {
            Some(known) => *known,
            None => {
                let number = self.copy(subprogram, scope, outer_copy);
                self.numbers.insert((subprogram, inlined_at), number);
                number
            }
        };
        let function = self.functions[&number];
        let new = self.writer.location(position(old), function, outer);
        self.locations.insert(old, (new, number));
        Some((new, number))
    }

    fn copy(
        &mut self,
        subprogram: Subprogram,
        scope: LLVMMetadataRef,
        outer: Option<(usize, Position)>,
    ) -> usize {
        let number = self.copies.len();
        let function = crate::extract::demangle(&subprogram.symbol());
        let file = path_of(scope).unwrap_or_default();
        let node = self.writer.file_in(&number.to_string(), &file);
        let line = subprogram.position().line;
        let node = self.writer.function(&subprogram.symbol(), node, line);
        self.functions.insert(number, node);
        self.copies.push(Inlined {
            function,
            file,
            outer,
        });
        number
    }
}

fn position(location: LLVMMetadataRef) -> Position {
    llvm!((
        d::LLVMDILocationGetLine(location),
        d::LLVMDILocationGetColumn(location)
    ))
}
