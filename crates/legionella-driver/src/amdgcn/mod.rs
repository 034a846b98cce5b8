//! What a kernel's code takes of AMD's devices, by its assembly as LLVM writes it.
//!
//! Takes an assembly text, whoever's compiler it comes from; gives what a kernel in it needs ([`Usage`]),
//! which accesses to memory it makes and how wide, and the same of the loop in which most is computed
//! ([`Code`]). [`occupancy`] says how many wavefronts can be resident by that. Knows no kernel, and not how the
//! text came about.

mod instruction;
mod occupancy;

use std::collections::{BTreeMap, HashMap};

use crate::ir::flow::{Flow, LoopId, Loops};

pub use instruction::{Access, Memory};
pub use occupancy::occupancy;

use instruction::Instruction;

/// What one kernel needs, in its work-items' terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Vector registers of 32 bits, those for sums of matrices included where they are of the same file.
    pub vector: u32,
    /// Scalar registers of 32 bits, which a wavefront has.
    pub scalar: u32,
    /// Registers of both kinds that live in memory, or in lanes of others, because there are no more.
    pub spilled: u32,
    /// Bytes of an item's stack.
    pub scratch: u32,
    /// Bytes of memory that a group shares.
    pub shared: u32,
    /// All of its code.
    pub all: Code,
    /// The loop in which most is computed, with those inside it, if there is any loop.
    pub busiest: Option<Code>,
}

/// What instructions do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// How many there are, without hints to the hardware.
    pub instructions: u32,
    /// Operations on floating-point numbers, without comparisons and conversions.
    pub operations: u32,
    /// Accesses to memory, by kind and width in bits: how many instructions.
    pub accesses: BTreeMap<(Memory, Access, u32), u32>,
}

impl Code {
    fn add(&mut self, instruction: &Instruction<'_>) {
        self.instructions += u32::from(!instruction.is_hint());
        self.operations += instruction.operations();
        if let Some(access) = instruction.access() {
            *self.accesses.entry(access).or_default() += 1;
        }
    }

    /// The widest access of a kind in bits; 0 if there is none.
    pub fn widest(&self, memory: &[Memory], access: Access) -> u32 {
        let widths = self.of_kind(memory, access).map(|(bits, _)| bits);
        widths.max().unwrap_or(0)
    }

    /// How many instructions make accesses of a kind.
    pub fn count(&self, memory: &[Memory], access: Access) -> u32 {
        self.of_kind(memory, access).map(|(_, count)| count).sum()
    }

    /// Widths of accesses of a kind, and how many have them.
    fn of_kind(&self, memory: &[Memory], access: Access) -> impl Iterator<Item = (u32, u32)> {
        let wanted = move |(is, does): (&Memory, &Access)| memory.contains(is) && *does == access;
        (self.accesses.iter())
            .filter(move |((is, does, _), _)| wanted((is, does)))
            .map(|((.., bits), count)| (*bits, *count))
    }
}

/// Why a text doesn't tell what is asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such kernel in it.
    #[error("the assembly has no kernel `{0}`")]
    Missing(String),
    /// What is said of a kernel is no number.
    #[error("the assembly doesn't say how much `{what}` the kernel `{kernel}` has")]
    Untold {
        /// The kernel's name.
        kernel: String,
        /// The key in the metadata.
        what: &'static str,
    },
    /// Its control flow can't be followed.
    #[error("the code of `{0}` has a branch that leads nowhere, or a cycle with several ways in")]
    Flow(String),
}

/// Reads what a kernel of an assembly text needs.
///
/// # Errors
/// If there is no such kernel, or the text isn't as LLVM writes it.
pub fn read(text: &str, kernel: &str) -> Result<Usage, Error> {
    let told = metadata(text, kernel).ok_or_else(|| Error::Missing(kernel.to_owned()))?;
    let number = |what: &'static str| {
        let number = told.get(what).and_then(|value| value.parse::<u32>().ok());
        number.ok_or_else(|| Error::Untold {
            kernel: kernel.to_owned(),
            what,
        })
    };
    let blocks = blocks(text, kernel).ok_or_else(|| Error::Missing(kernel.to_owned()))?;
    let broken = || Error::Flow(kernel.to_owned());
    let mut all = Code::default();
    blocks.iter().for_each(|block| block.add_to(&mut all));
    Ok(Usage {
        vector: number("vgpr_count")?,
        scalar: number("sgpr_count")?,
        spilled: number("vgpr_spill_count")? + number("sgpr_spill_count")?,
        scratch: number("private_segment_fixed_size")?,
        shared: number("group_segment_fixed_size")?,
        all,
        busiest: busiest(&blocks).ok_or_else(broken)?,
    })
}

/// What the metadata say of a kernel, a list in YAML ("User Guide for AMDGPU Backend", section "Code Object Metadata").
fn metadata<'t>(text: &'t str, kernel: &str) -> Option<HashMap<&'t str, &'t str>> {
    let (_, list) = text.split_once("amdhsa.kernels:\n")?;
    // An element of the list begins behind two spaces, its keys behind four, and its lists' behind more.
    let element = |line: &&str| line.starts_with("  ");
    let mut told = HashMap::new();
    for line in list.lines().take_while(element) {
        if line.starts_with("  - ") {
            if told.get("name") == Some(&kernel) {
                break;
            }
            told.clear();
        }
        let key = line.get(4..).and_then(|rest| rest.strip_prefix('.'));
        if let Some((key, value)) = key.and_then(|rest| rest.split_once(':')) {
            told.insert(key, value.trim().trim_matches('\''));
        }
    }
    (told.get("name") == Some(&kernel)).then_some(told)
}

/// Instructions that nothing leads into but by the first.
#[derive(Default)]
struct Straight<'t> {
    /// Names of the place.
    labels: Vec<&'t str>,
    instructions: Vec<Instruction<'t>>,
}

impl Straight<'_> {
    fn add_to(&self, code: &mut Code) {
        (self.instructions.iter()).for_each(|instruction| code.add(instruction));
    }
}

/// The code of a function, in pieces between labels and branches.
fn blocks<'t>(text: &'t str, function: &str) -> Option<Vec<Straight<'t>>> {
    let mut lines = text.lines().map(|line| {
        let code = line.split(';').next().unwrap_or(line);
        code.trim_end()
    });
    lines.find(|line| line.strip_suffix(':') == Some(function))?;
    let mut blocks = vec![Straight::default()];
    for line in lines.take_while(|line| !line.starts_with(".Lfunc_end")) {
        if let Some(label) = line.strip_suffix(':') {
            if blocks
                .last()
                .is_some_and(|last| !last.instructions.is_empty())
            {
                blocks.push(Straight::default());
            }
            blocks.last_mut()?.labels.push(label);
        } else if let Some(instruction) = Instruction::parse(line) {
            let ends = instruction.ends_block();
            blocks.last_mut()?.instructions.push(instruction);
            if ends {
                blocks.push(Straight::default());
            }
        }
    }
    Some(blocks)
}

/// The loop in which most is computed: of several the one with most floating-point operations outside of loops in
/// it, else with most accesses to memory, else the longest. `None` if the flow can't be followed.
fn busiest(blocks: &[Straight<'_>]) -> Option<Option<Code>> {
    let labels: HashMap<&str, usize> = (blocks.iter().enumerate())
        .flat_map(|(index, block)| block.labels.iter().map(move |label| (*label, index)))
        .collect();
    // What is behind a block's last branch, and where that leads.
    let mut successors = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let last = block.instructions.last();
        let mut next = Vec::new();
        if let Some(label) = last.and_then(Instruction::target) {
            next.push(*labels.get(label)?);
        }
        let falls = last.is_none_or(Instruction::falls_through) && index + 1 < blocks.len();
        if falls && !next.contains(&(index + 1)) {
            next.push(index + 1);
        }
        successors.push(next);
    }
    let (numbers, flow) = reachable(&successors)?;
    let loops = Loops::of(&flow).ok()?;
    let code_of = |nodes: &mut dyn Iterator<Item = usize>| {
        let mut code = Code::default();
        nodes.for_each(|node| blocks[numbers[node]].add_to(&mut code));
        code
    };
    let own = |one: LoopId| {
        let mut nodes = loops.nodes(one);
        let mut inside = nodes
            .by_ref()
            .filter(|node| loops.innermost(*node) == Some(one));
        let code = code_of(&mut inside);
        let accesses: u32 = code.accesses.values().sum();
        (code.operations, accesses, code.instructions)
    };
    let most = loops.all().max_by_key(|one| own(*one));
    Some(most.map(|one| code_of(&mut loops.nodes(one))))
}

/// The part of a graph that node 0 leads to, with the number that each of its nodes had.
fn reachable(successors: &[Vec<usize>]) -> Option<(Vec<usize>, Flow)> {
    let mut numbers = vec![0];
    let mut places = HashMap::from([(0, 0)]);
    let mut edges: Vec<Vec<usize>> = Vec::new();
    while let Some(&node) = numbers.get(edges.len()) {
        let mut next = Vec::new();
        for &to in successors.get(node)? {
            let place = *places.entry(to).or_insert_with(|| {
                numbers.push(to);
                numbers.len() - 1
            });
            next.push(place);
        }
        edges.push(next);
    }
    Some((numbers, Flow::new(edges)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
\t.text
scale:                                  ; @scale
\ts_load_b32 s0, s[0:1], 0x38
\ts_waitcnt lgkmcnt(0)
.LBB0_1:                                ; =>This Loop Header: Depth=1
\ts_delay_alu instid0(VALU_DEP_1)
\tv_cmp_gt_f32_e32 vcc_lo, s0, v1
\ts_cbranch_execz .LBB0_4
.LBB0_2:
\tglobal_load_b128 v[1:4], v0, s[0:1]
\tv_dual_mul_f32 v1, v2, v3 :: v_dual_add_f32 v4, v5, v6
\tv_pk_fma_f32 v[0:1], v[0:1], v[0:1], v[0:1]
\ts_cbranch_scc1 .LBB0_2
; %bb.3:
\tds_load_2addr_b32 v[1:2], v0 offset1:1
\ts_branch .LBB0_1
.LBB0_4:
\tglobal_store_b32 v0, v1, s[0:1]
\ts_endpgm
.LBB0_5:
\ts_branch .LBB0_5
\t.section\t.rodata
.Lfunc_end0:
\t.amdgpu_metadata
---
amdhsa.kernels:
  - .args:
      - .name:           other
        .size:           8
    .group_segment_fixed_size: 512
    .name:           scale
    .private_segment_fixed_size: 16
    .sgpr_count:     18
    .sgpr_spill_count: 1
    .vgpr_count:     7
    .vgpr_spill_count: 2
  - .args:           []
    .name:           last
    .vgpr_count:     unknown
amdhsa.version:
  - 1
";

    #[test]
    fn a_kernel_s_needs_are_read() {
        let usage = read(TEXT, "scale").unwrap();
        assert_eq!((usage.vector, usage.scalar, usage.spilled), (7, 18, 3));
        assert_eq!((usage.scratch, usage.shared), (16, 512));
        assert_eq!(usage.all.instructions, 13);
        let inner = usage.busiest.unwrap();
        assert_eq!((inner.instructions, inner.operations), (4, 4));
        let load = (Memory::Device, Access::Load, 128);
        assert_eq!(inner.accesses, BTreeMap::from([(load, 1)]));
        assert_eq!(usage.all.widest(&[Memory::Group], Access::Load), 64);
        assert_eq!(usage.all.widest(&[Memory::Group], Access::Store), 0);
    }

    #[test]
    fn what_is_not_told_is_an_error() {
        let missing = read(TEXT, "missing").unwrap_err();
        assert!(matches!(missing, Error::Missing(name) if name == "missing"));
        assert!(matches!(read(TEXT, "other"), Err(Error::Missing(_))));
        let text = TEXT.replace("scale:    ", "last:     ");
        assert!(matches!(read(&text, "last"), Err(Error::Untold { .. })));
        let text = TEXT.replace("s_branch .LBB0_1", "s_branch .LBB0_9");
        assert!(matches!(read(&text, "scale"), Err(Error::Flow(_))));
    }
}
