//! Source lines of addresses, from a code object's debug information.

use addr2line::Context;
use gimli::{Dwarf, EndianSlice, LittleEndian};
use object::{Object as _, ObjectSection as _};

/// The functions and lines that an address of the file belongs to, the innermost first. Empty without
/// debug information.
pub fn frames(file: &[u8], address: u64) -> Vec<String> {
    find(file, address).unwrap_or_default()
}

fn find(file: &[u8], address: u64) -> Option<Vec<String>> {
    let object = object::File::parse(file).ok()?;
    let load = |section: gimli::SectionId| {
        let data = object
            .section_by_name(section.name())
            .and_then(|section| section.data().ok())
            .unwrap_or_default();
        Ok::<_, gimli::Error>(EndianSlice::new(data, LittleEndian))
    };
    let dwarf = Dwarf::load(load).ok()?;
    let context = Context::from_dwarf(dwarf).ok()?;
    let mut frames = context.find_frames(address).skip_all_loads().ok()?;
    let mut lines = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let name = frame
            .function
            .and_then(|function| function.raw_name().ok().map(|name| name.into_owned()))
            .unwrap_or_default();
        if let Some(place) = frame.location {
            let file = place.file.unwrap_or("?");
            let line = place.line.unwrap_or(0);
            lines.push(
                format!("{file}:{line} {}", rustc_demangle::demangle(&name))
                    .trim_end()
                    .to_owned(),
            );
        }
    }
    Some(lines)
}
