//! Which calls of a kernel may get to a function, by whatever other functions.

use std::collections::BTreeMap;

use crate::ir::{Function, Value};

/// Which functions may get to those of some names, as far as that was found out. Of recursion it is assumed.
pub(super) struct Reaching<'n, 'm> {
    names: &'n [&'n str],
    seen: BTreeMap<Function<'m>, bool>,
}

impl<'n, 'm> Reaching<'n, 'm> {
    /// Nothing was found out.
    pub(super) fn of(names: &'n [&'n str]) -> Self {
        Reaching {
            names,
            seen: BTreeMap::new(),
        }
    }

    /// Whether an instruction is a call that may get there. What calls nothing pays nothing.
    pub(super) fn may_come_from(&mut self, instruction: Value<'m>) -> bool {
        if !instruction.is_call() {
            return false;
        }
        match (instruction.called_function(), instruction.callee()) {
            (Some(called), _) => self.reached_from(called),
            (None, callee) => !callee.is_some_and(Value::is_inline_assembly),
        }
    }

    fn reached_from(&mut self, function: Function<'m>) -> bool {
        if self.names.contains(&&*function.name()) {
            return true;
        }
        if let Some(known) = self.seen.get(&function) {
            return *known;
        }
        self.seen.insert(function, true);
        let instructions = function.instructions();
        let found = (instructions.into_iter()).any(|instruction| self.may_come_from(instruction));
        self.seen.insert(function, found);
        found
    }
}
