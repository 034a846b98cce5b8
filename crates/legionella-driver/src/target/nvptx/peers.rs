//! Binds what work-items do with those that happen to be at the same place
//! ([`legionella_abi::intrinsic::OPPORTUNISTIC`]) to the threads of a warp.

use inkwell::module::Module;
use legionella_abi::intrinsic;

use super::{architectures, internal};
use crate::error::Error;
use crate::ir;

const TEXT: &std::ffi::CStr = ir::ir_text!("peers.ll");

/// Binds the operations, if there are any.
pub(super) fn bind(module: &Module<'_>, cpu: &str) -> Result<(), Error> {
    let used = |name: &&str| ir::function(module, name).is_some();
    let used: Vec<_> = intrinsic::OPPORTUNISTIC.into_iter().filter(used).collect();
    if used.is_empty() {
        return Ok(());
    }
    ir::link_text(module, TEXT)?;
    for name in used {
        let ours = match name {
            intrinsic::PEERS => "legionella.threads.with_key",
            intrinsic::PEER_LANE => "legionella.threads.lane",
            intrinsic::PEER_VALUE => "legionella.threads.value",
            _ if architectures::combines_in_warps(cpu) => "legionella.threads.union",
            _ => "legionella.threads.union_by_turns",
        };
        let pair = ir::function(module, name).zip(ir::function(module, ours));
        let (asked, ours) = pair.ok_or_else(|| internal(format!("no {ours}")))?;
        asked.value().replace_all_uses_with(ours.value());
        asked.delete();
    }
    ir::keep_inside(module, "legionella.threads.");
    Ok(())
}
