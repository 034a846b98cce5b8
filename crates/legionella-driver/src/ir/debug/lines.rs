//! Source lines in a target's code.
//!
//! Takes a module that was optimised with its instructions' locations, but whose functions are others
//! by then; gives debug information of lines alone, in the form that the target's code
//! generator takes.

use std::collections::HashMap;

use inkwell::module::Module;
use llvm_sys::debuginfo as d;
use llvm_sys::prelude::LLVMMetadataRef;

use super::writer::{Emission, Writer};
use super::{Subprogram, location, outwards, path_of};
use crate::ir::{self, Function, Value, llvm};

/// What a target's code says of source lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Nothing.
    None,
    /// Directives of an assembly text.
    Directives,
    /// Tables of DWARF in an object file.
    Table,
}

/// Takes functions' descriptions away, and leaves the locations of instructions: a target moves these
/// between functions, which LLVM allows where functions aren't described.
pub(super) fn detach(module: &Module<'_>) {
    for function in ir::functions(module) {
        if !function.is_declaration() {
            llvm!(d::LLVMSetSubprogram(function.raw(), std::ptr::null_mut()));
        }
    }
}

impl Lines {
    /// Before a module is optimised: leaves what [`Lines::write`] is to find.
    pub(crate) fn prepare(self, module: &Module<'_>) {
        match self {
            Lines::None => drop(module.strip_debug_info()),
            Lines::Directives | Lines::Table => detach(module),
        }
    }

    /// Writes the debug information anew that a module is left with; without lines, there is none.
    pub(crate) fn write(self, module: &Module<'_>) {
        let emission = match self {
            Lines::None => {
                module.strip_debug_info();
                return;
            }
            Lines::Directives => Emission::Directives,
            Lines::Table => Emission::Tables,
        };
        // Nodes stay for as long as the context when the module no longer has them.
        let functions: Vec<Located<'_>> = ir::functions(module)
            .into_iter()
            .filter_map(Located::of)
            .collect();
        let mut translation = Translation {
            writer: Writer::begin(module, emission),
            scopes: HashMap::new(),
        };
        for located in functions {
            translation.function(located);
        }
    }
}

/// A function with instructions whose lines are known.
struct Located<'m> {
    function: Function<'m>,
    /// Those instructions, and calls, which need a location wherever functions have a description.
    instructions: Vec<(Value<'m>, LLVMMetadataRef)>,
    /// The outermost place of the first of them.
    outermost: LLVMMetadataRef,
}

impl<'m> Located<'m> {
    fn of(function: Function<'m>) -> Option<Self> {
        let instructions: Vec<_> = function
            .instructions()
            .into_iter()
            .map(|instruction| (instruction, location(instruction)))
            .filter(|(instruction, location)| !location.is_null() || instruction.is_call())
            .collect();
        let (_, first) = instructions.iter().find(|(_, place)| !place.is_null())?;
        let outermost = outwards(*first).last()?;
        Some(Located {
            function,
            instructions,
            outermost,
        })
    }
}

/// From the locations that instructions had to those that are written.
struct Translation<'m> {
    writer: Writer<'m>,
    /// By scope.
    scopes: HashMap<LLVMMetadataRef, LLVMMetadataRef>,
}

impl<'m> Translation<'m> {
    fn function(&mut self, located: Located<'m>) {
        let Located {
            function,
            instructions,
            outermost,
        } = located;
        let name = function.name();
        let scope = llvm!(d::LLVMDILocationGetScope(outermost));
        let Some(like) = Subprogram::around(self.writer.context(), scope) else {
            return;
        };
        let line = like.position().line;
        let file = path_of(like.node).unwrap_or_default();
        let file = self.writer.file(&file);
        let own = self.writer.function(&name, file, line);
        self.writer.describe(function, own);
        let mut place = Place {
            own,
            inside: self.writer.location((line, 0), own, std::ptr::null_mut()),
            symbol: name,
            known: HashMap::new(),
        };
        let nowhere = self.writer.location((0, 0), own, std::ptr::null_mut());
        for (instruction, location) in instructions {
            let location = if location.is_null() {
                nowhere
            } else {
                self.location(location, &mut place)
            };
            self.writer.locate(instruction, location);
        }
    }

    /// A location in the function that is being written.
    fn location(&mut self, old: LLVMMetadataRef, place: &mut Place) -> LLVMMetadataRef {
        if let Some(known) = place.known.get(&old) {
            return *known;
        }
        let (old_scope, outer) = llvm!((
            d::LLVMDILocationGetScope(old),
            d::LLVMDILocationGetInlinedAt(old)
        ));
        let position = llvm!((
            d::LLVMDILocationGetLine(old),
            d::LLVMDILocationGetColumn(old)
        ));
        let subprogram = Subprogram::around(self.writer.context(), old_scope);
        let is_own = outer.is_null()
            && subprogram.is_some_and(|subprogram| subprogram.symbol() == place.symbol);
        let new = match subprogram {
            Some(_) if is_own => {
                let scope = self.part(place.own, old_scope);
                self.writer.location(position, scope, std::ptr::null_mut())
            }
            Some(subprogram) => {
                let outer = if outer.is_null() {
                    place.inside
                } else {
                    self.location(outer, place)
                };
                let scope = self.scope(subprogram, old_scope);
                self.writer.location(position, scope, outer)
            }
            None => place.inside,
        };
        place.known.insert(old, new);
        new
    }

    /// What is written for a scope in a function.
    fn scope(&mut self, subprogram: Subprogram, old: LLVMMetadataRef) -> LLVMMetadataRef {
        if let Some(known) = self.scopes.get(&old) {
            return *known;
        }
        let function = match self.scopes.get(&subprogram.node) {
            Some(known) => *known,
            None => {
                let file = self
                    .writer
                    .file(&path_of(subprogram.node).unwrap_or_default());
                let name = crate::extract::demangle(&subprogram.symbol());
                let line = subprogram.position().line;
                self.writer.function(&name, file, line)
            }
        };
        self.scopes.insert(subprogram.node, function);
        let scope = self.part(function, old);
        self.scopes.insert(old, scope);
        scope
    }

    /// A function, or what of it is in another file.
    fn part(&mut self, function: LLVMMetadataRef, old: LLVMMetadataRef) -> LLVMMetadataRef {
        let Some(path) = path_of(old) else {
            return function;
        };
        let file = self.writer.file(&path);
        if llvm!(d::LLVMDIScopeGetFile(function)) == file {
            return function;
        }
        self.writer.part_in(function, file)
    }
}

/// The function that is being written.
struct Place {
    own: LLVMMetadataRef,
    /// Where in it is what was inlined without a place.
    inside: LLVMMetadataRef,
    symbol: String,
    /// Locations that were written for those that there were.
    known: HashMap<LLVMMetadataRef, LLVMMetadataRef>,
}
