//! The address of a symbol that may be null, on AArch64: by way of the global offset table.

macro_rules! address_of_cell {
    () => {
        "adrp {cell}, :got:legionella_cell.{entry}\nldr {cell}, [{cell}, :got_lo12:legionella_cell.{entry}]"
    };
}

pub(super) use address_of_cell;
