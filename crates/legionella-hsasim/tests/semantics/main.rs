//! Instructions, one by one: assembly in, registers out, against what the ISA documents say.

#[path = "../assembler/mod.rs"]
mod assembler;
mod bits;
mod convert;
mod divide;
mod float;
mod halves;
mod integer;
mod lanes;
mod machine;
mod matrix;
mod memory;
mod rules;
mod scalar;
mod vectors;
