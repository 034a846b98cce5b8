//! A planned function for people to look at: its regions, and who has each value.

use std::fmt;
use std::path::Path;

use super::Plan;
use super::sharing::Sharing;
use crate::ir::{Value, debug};

/// Columns that an instruction takes before its place in the source.
const WIDTH: usize = 90;

/// Shows a plan, instruction by instruction.
pub(in super::super) struct Listing<'a, 'm>(&'a Plan<'m>);

impl<'m> Plan<'m> {
    /// All instructions by region, with who has the same value: all items of a strip, all lanes that
    /// run the region together, or nobody; and which values are kept from region to region.
    pub(in super::super) fn listing(&self) -> Listing<'_, 'm> {
        Listing(self)
    }
}

impl fmt::Display for Listing<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        writeln!(
            f,
            "{} regions, {} lanes",
            plan.split.regions.len(),
            plan.lanes
        )?;
        for (number, region) in plan.split.regions.iter().enumerate() {
            plan.describe(f, number, region)?;
            for block in &region.blocks {
                for instruction in plan.split.blocks.block(*block).instructions() {
                    line(f, plan, instruction)?;
                }
            }
        }
        Ok(())
    }
}

fn line<'m>(f: &mut fmt::Formatter<'_>, plan: &Plan<'m>, instruction: Value<'m>) -> fmt::Result {
    let sharing = match plan.sharings.get(instruction) {
        _ if instruction.is_void() => "",
        Sharing::Strip => "strip",
        Sharing::Region => "region",
        Sharing::Lane => "lane",
    };
    let mut slots = plan.crossings.slots.iter();
    let kept = if slots.any(|slot| slot.value == instruction) {
        "kept"
    } else {
        ""
    };
    let text = format!("{instruction:?}");
    let text = text.split(", !").next().unwrap_or_default().trim();
    let place = place(instruction);
    writeln!(f, "  {sharing:6} {kept:4} {text:WIDTH$}{place}")
}

/// The line of an instruction, and that of the user's by which it got there.
fn place(instruction: Value<'_>) -> String {
    let sources = debug::frames(instruction).into_iter();
    let sources: Vec<_> = sources.filter_map(|frame| frame.source).collect();
    let Some(innermost) = sources.first() else {
        return String::new();
    };
    let line = |source: &legionella_abi::protocol::Source| {
        let name = Path::new(&source.file).file_name().unwrap_or_default();
        format!("{}:{}", name.to_string_lossy(), source.line)
    };
    let is_language = |file: &str| file.starts_with("/rustc/");
    let own = sources.iter().find(|source| !is_language(&source.file));
    match own {
        Some(own) if own != innermost => format!("  ; {} by {}", line(innermost), line(own)),
        _ => format!("  ; {}", line(innermost)),
    }
}
