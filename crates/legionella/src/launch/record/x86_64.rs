//! The address of a symbol that may be null, on x86-64: by way of the global offset table.

macro_rules! address_of_cell {
    () => {
        "mov {cell}, qword ptr [rip + legionella_cell.{entry}@GOTPCREL]"
    };
}

pub(super) use address_of_cell;
