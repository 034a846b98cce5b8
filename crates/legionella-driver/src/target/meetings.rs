//! The places in a kernel where the items of a group meet: barriers, exchanges within subgroups.

use inkwell::module::Module;
use legionella_abi::intrinsic;

use crate::error::Error;
use crate::ir::{self, Builder, Function, Value};

/// A place where items meet.
pub(super) struct Site<'m> {
    pub(super) call: Value<'m>,
    pub(super) kind: Kind,
    /// Where that is in the source: the address of a `Location`.
    pub(super) place: Value<'m>,
}

/// What items meet for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Barrier,
    Shuffle,
    Ballot,
    /// One of the operations on matrices.
    Matrix,
}

/// Before the flow of a kernel is analysed: loops get the form that analyses expect, and ids are simple.
pub(super) const PREPARE: &str = "function(instcombine<no-verify-fixpoint>,early-cse,simplifycfg,\
     instcombine<no-verify-fixpoint>,loop-simplify,lcssa)";

/// All such places of an entry shim, in the order of the code: what is built for one stays as it is when
/// the next is looked at.
pub(super) fn sites<'m>(
    module: &'m Module<'_>,
    entry: Function<'m>,
) -> Result<Vec<Site<'m>>, Error> {
    let kinds = [
        (intrinsic::BARRIER, Kind::Barrier),
        (intrinsic::SUBGROUP_SHUFFLE, Kind::Shuffle),
        (intrinsic::SUBGROUP_BALLOT, Kind::Ballot),
    ];
    let matrices = intrinsic::MATRICES.map(|name| (name, Kind::Matrix));
    let kinds: Vec<_> = kinds
        .into_iter()
        .chain(matrices)
        .filter_map(|(name, kind)| Some((ir::function(module, name)?, kind)))
        .collect();
    let mut sites = Vec::new();
    for call in entry.instructions() {
        let Some(called) = call.called_function() else {
            continue;
        };
        let Some((_, kind)) = kinds.iter().find(|(known, _)| *known == called) else {
            continue;
        };
        // The last argument, before what is called.
        let operands = call.operands();
        let place = operands[operands.len() - 2];
        if !place.is_constant() {
            return Err(Error::Internal {
                stage: "groups of a device",
                reason: "items meet at no constant place".to_owned(),
            });
        }
        sites.push(Site {
            call,
            kind: *kind,
            place,
        });
    }
    Ok(sites)
}

/// All calls of the function of that name.
pub(super) fn calls<'m>(module: &'m Module<'_>, name: &str) -> Vec<Value<'m>> {
    ir::function(module, name).map_or_else(Vec::new, |function| function.value().users())
}

/// Removes the function of that name, which nothing calls any more.
pub(super) fn delete(module: &Module<'_>, name: &str) {
    if let Some(function) = ir::function(module, name) {
        function.delete();
    }
}

/// Moves all variables to the start of a function, and gives what follows them. Behind the branches of something that
/// is inlined there, they would no longer be at the start, and have new memory whenever execution comes by.
pub(super) fn behind_variables(entry: Function<'_>) -> Value<'_> {
    let start = entry.blocks()[0];
    let variables = start.allocas();
    let mut instructions = start.instructions().into_iter();
    let first = instructions.find(|instruction| !variables.contains(instruction));
    let first = first.unwrap_or_else(|| start.terminator());
    let at = Builder::before(first);
    for variable in variables {
        variable.detach();
        at.insert(variable);
    }
    first
}

/// Where a function starts.
pub(super) fn first_instruction(function: Function<'_>) -> Value<'_> {
    let mut instructions = function.instructions();
    instructions.swap_remove(0)
}
