//! What a group kernel means: its items in lock step, from wait to wait.

use legionella_abi::cpu::SUBGROUP_SIZE;

use super::item::{At, Item, Leave, Memory, Playback, Wait};
use super::{BARRIER_FAILED, SHARED, Step};
use crate::target::cpu::trial::Panicked;

/// An item of a group.
struct Member {
    at: At,
    /// Its number in a whole group.
    in_group: u64,
    read: Vec<i64>,
    yielded: Vec<u64>,
    /// `None` if it has ended.
    waits: Option<Wait>,
}

/// Runs a group of a grid; gives what it may fail with if it does.
pub(in super::super) fn run_group(
    steps: &[Step],
    memory: &mut Memory,
    grid: [u64; 3],
    size: [u64; 3],
    group: [u64; 3],
) -> Result<(), Vec<Panicked>> {
    // Numbers are shared from the start.
    let steps: Vec<_> = std::iter::once(Step::Barrier(0))
        .chain(steps.iter().cloned())
        .collect();
    let base = [0, 1, 2].map(|d| group[d] * size[d]);
    let count = [0, 1, 2].map(|d| size[d].min(grid[d] - base[d]));
    let mut members = Vec::new();
    for z in 0..count[2] {
        for y in 0..count[1] {
            for x in 0..count[0] {
                let id = [base[0] + x, base[1] + y, base[2] + z];
                let at = At {
                    id,
                    linear: id[0] + grid[0] * (id[1] + grid[1] * id[2]),
                    grid,
                    group: size,
                };
                members.push(Member {
                    at,
                    in_group: x + size[0] * (y + size[1] * z),
                    read: Vec::new(),
                    yielded: Vec::new(),
                    waits: None,
                });
            }
        }
    }
    let mut shared = [vec![0; SHARED], vec![0; SHARED]];
    loop {
        let len = members.len();
        let mut panics = Vec::new();
        for (rank, member) in members.iter_mut().enumerate() {
            let playback = Playback {
                rank,
                len,
                shared: &mut shared,
                read: &mut member.read,
                yielded: &member.yielded,
                again: (0, 0),
                barriers: 0,
            };
            let mut item = Item::new(memory, member.at, Some(playback));
            member.waits = match item.steps(&steps) {
                Leave::Wait(wait) => Some(wait),
                Leave::Panic(line, column) => {
                    panics.push(Panicked {
                        item: member.at.id,
                        line,
                        column,
                    });
                    None
                }
                _ => None,
            };
        }
        if !panics.is_empty() {
            return Err(panics);
        }
        let kind = |wait: Option<Wait>| match wait {
            None => 0,
            Some(Wait::Shuffle(..)) => 1,
            Some(Wait::Ballot(_)) => 2,
            Some(Wait::Barrier(label)) => 3 + label,
        };
        let first = members[0].waits;
        if let Some(other) = members.iter().find(|one| kind(one.waits) != kind(first)) {
            let waiting = match first {
                None => other,
                Some(_) => &members[0],
            };
            return Err(vec![Panicked {
                item: waiting.at.id,
                line: BARRIER_FAILED,
                column: 0,
            }]);
        }
        if first.is_none() {
            return Ok(());
        }
        let yielded: Vec<_> = members.iter().map(|one| yields(&members, one)).collect();
        for (member, result) in members.iter_mut().zip(yielded) {
            member.yielded.push(result);
        }
    }
}

/// What the operation that all wait for yields to one of them.
fn yields(members: &[Member], one: &Member) -> u64 {
    let size = u64::from(SUBGROUP_SIZE);
    let subgroup = one.in_group / size;
    let mut lanes = members
        .iter()
        .filter(|other| other.in_group / size == subgroup);
    match one.waits {
        Some(Wait::Shuffle(_, lane)) => {
            let asked = lanes.find(|other| other.in_group % size == u64::from(lane) % size);
            match asked.and_then(|other| other.waits) {
                Some(Wait::Shuffle(value, _)) => u64::from(value),
                _ => 0,
            }
        }
        Some(Wait::Ballot(_)) => lanes
            .filter(|other| other.waits == Some(Wait::Ballot(true)))
            .map(|other| 1 << (other.in_group % size))
            .sum(),
        _ => 0,
    }
}
